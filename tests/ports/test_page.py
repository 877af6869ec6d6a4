"""``edge-lstm page`` and the module, in headless Chromium: what a person does, and what a worker
does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_lstm import Classifier
from tests.commands import command, json_of
from tests.model_files import EMBEDDED, SMALL, compact, edited
from tests.ports.chromium import CHROMIUM, Chromium, served
from tests.ports.conftest import PROJECT, Case
from tests.ports.test_field_bits import model as fields_file  # noqa: F401

needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="no chromium")
TEXT = "I expected little, and yet it was a wonderful film. Only the music was awful."


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One browser for all tests of this module."""
    with Chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def opened(browser: Chromium, folder: Path, *arguments: str | Path) -> None:
    """Open a page from the disk, and wait until its model is compiled and open.

    arguments: those of ``page``.
    """
    path = folder / "page.html"
    command("page", "-o", path, *arguments)
    browser.problems.clear()
    browser.look()
    browser.open(path.as_uri())
    browser.wait("document.getElementById('label').textContent")


def dropped(browser: Chromium, path: Path) -> None:
    """Drop a model on the page, and wait until it is there."""
    browser.drop(path)
    browser.wait(f"document.getElementById('name').textContent === {json.dumps(path.name)}")


@pytest.fixture
def page(browser: Chromium, tiny: Path, tmp_path: Path) -> Iterator[Chromium]:
    """The browser, on a page with ``tiny``."""
    opened(browser, tmp_path, "-m", tiny)
    yield browser
    assert browser.problems == []  # no error, no request to anywhere


def write(browser: Chromium, text: str) -> None:
    """Replaces what is in the text box, as typed."""
    browser.run("document.getElementById('text').select(); document.getElementById('text').focus()")
    browser.type(text)


def shown(browser: Chromium, name: str) -> str:
    """The text of an element."""
    return str(browser.run(f"document.getElementById({json.dumps(name)}).innerText"))


def test_the_command_writes_one_file_of_at_most_200_kb_with_tiny(
    tiny: Path, tmp_path: Path
) -> None:
    odd = tmp_path / "<b>{module}&.onnx"
    out = tmp_path / "out.html"
    odd.write_bytes(tiny.read_bytes())
    done = command("page", "-m", odd, "-o", out)
    html = out.read_text(encoding="utf-8")
    assert done.stdout == f"{out}: {len(html.encode()):,} bytes, with the model\n"
    assert len(html.encode()) <= 200_000 and html.count("</script>") == 3
    assert "<link rel=stylesheet" not in html and "src=" not in html
    assert "<title>&lt;b&gt;{module}&amp;.onnx</title>" in html and "<b>" not in html
    line = [sys.executable, "-m", "edge_lstm", "page", "-m", odd, "-o", "/dev/stdout"]
    run = subprocess.run(line, capture_output=True, check=True)
    # to a stream goes the page, and nothing else
    assert run.stdout.decode() == html and run.stderr == b""


def test_title_and_examples_stand_in_the_page_and_a_line_tells_of_those_of_the_file(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out.html"
    texts = tmp_path / "texts.txt"
    texts.write_text("A fine <film>.\nNever.\n")
    done = command("page", "-o", out, "--title", "Film <reviews>", "--examples", texts)
    count = len(Classifier.load().model.examples)
    assert done.stderr == (
        f"note: anyone who has the page can read the {count} example texts of the model file\n"
    )
    html = out.read_text(encoding="utf-8")
    assert "<title>Film &lt;reviews&gt;</title>" in html
    assert '["A fine \\u003cfilm>.", "Never."]' in html
    assert command("page", "-m", SMALL, "-o", out).stderr == ""


@needs_chromium
def test_the_answer_follows_at_each_key(page: Chromium, tiny: Path) -> None:
    classifier = Classifier.load(tiny)
    for text in ("A wonderful film.", "Terrible", "", "Qwxyzzy!", TEXT):
        write(page, text) if text else page.run(
            "document.getElementById('text').value = ''; document.getElementById('text').oninput()"
        )
        answer = classifier.predict([text])[0]
        assert shown(page, "label") == answer.label
        assert shown(page, "probability") == f"{100 * answer.probability:.1f} %"
        assert ("no words" in shown(page, "status")) == (answer.status == "empty")
        assert ("vocabulary" in shown(page, "status")) == (answer.status == "unknown_words")
    page.wait("document.getElementById('spoken').textContent.includes('%')")  # for a screen reader


@needs_chromium
def test_a_typed_text_is_answered_as_predict_does(
    browser: Chromium, tiny: Path, tmp_path: Path
) -> None:
    """The file's own abstention counts; a text is unfamiliar only if that is asked for."""
    points = [[0.0, 900, 300], [0.999, 800, 10]]
    curve = {"data": "held out", "texts": 900, "points": points, "unfamiliar": [[0.05, 0.0]]}
    unsure = tmp_path / "unsure.onnx"
    never = tmp_path / "never.onnx"
    unsure.write_bytes(edited({"abstention": compact({**curve, "default": 0.06})}))
    never.write_bytes(edited({"abstention": compact({**curve, "default": 0.5})}))
    opened(browser, tmp_path, "-m", unsure)
    write(browser, TEXT)
    assert Classifier.load(unsure).predict([TEXT])[0].status == "abstained"
    assert shown(browser, "label") == "no label" and "abstained" in shown(browser, "status")
    dropped(browser, never)
    write(browser, TEXT)
    assert shown(browser, "label") == Classifier.load(never).predict([TEXT])[0].label
    assert "unlike" not in shown(browser, "status")
    browser.run("document.getElementById('unfamiliar').click()")
    assert "unlike" in shown(browser, "status")
    dropped(browser, tiny)  # it has no threshold: nothing can be asked for
    assert browser.run("document.getElementById('ask').hidden")
    assert not browser.run("document.getElementById('unfamiliar').checked")


@needs_chromium
def test_words_are_coloured_by_what_they_did(page: Chromium, tiny: Path) -> None:
    write(page, TEXT)
    page.wait("document.getElementById('strongest').textContent.includes('Strongest')")
    told = page.run(
        "[...document.querySelectorAll('#words span')].filter(s => s.title)"
        ".map(s => [s.textContent, +s.title.replace('−', '-')])"
    )
    words = [word for word in json_of("explain", "-m", tiny, TEXT)["words"] if word["known"]]
    for (text, effect), word in zip(told, words, strict=True):  # a word may be there twice
        assert text == word["text"]
        assert effect == pytest.approx(word["effect"], abs=0.011)
    assert shown(page, "words") == TEXT


@needs_chromium
def test_a_page_of_rows_has_an_input_for_each_field_and_says_what_each_did(
    browser: Chromium,
    fields_file: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    opened(browser, tmp_path, "-m", fields_file)
    assert browser.run("document.querySelector('label[for=text]').textContent") == "Row, in JSON"
    browser.run("document.querySelector('#fields input[title=number]').focus()")
    browser.type("7.5")
    row = json.loads(browser.run("document.getElementById('text').value"))
    assert row == {"n": 7.5}
    assert shown(browser, "label") == Classifier.load(fields_file).predict([row])[0].label
    assert "n " in shown(browser, "strongest")
    assert browser.problems == []


@needs_chromium
def test_the_files_own_test_is_shown(page: Chromium, tiny: Path) -> None:
    rows = len(Classifier.load(tiny).model.golden)
    assert f"{rows} of {rows}" in shown(page, "verdict")
    assert page.run("document.querySelectorAll('#golden .ok').length") == rows
    # They are the file's own test, and nothing to try: a page of a file without examples offers no
    # text.
    assert page.run("document.querySelectorAll('#golden button, #examples button').length") == 0
    assert page.run("document.getElementById('examples').hidden")


@needs_chromium
def test_a_page_has_its_own_title_and_examples(
    browser: Chromium, tiny: Path, tmp_path: Path
) -> None:
    odd = "What </script><b>film</b>! \\u003c"
    (tmp_path / "texts.txt").write_text(f"Fine.\n{odd}\n")
    more = ("--title", "Film <reviews>", "--examples", tmp_path / "texts.txt")
    opened(browser, tmp_path, "-m", tiny, *more)
    assert shown(browser, "name") == "Film <reviews>"
    assert browser.run("document.getElementById('text').value") == "Fine."  # the first is shown
    browser.run("document.querySelectorAll('#examples button')[1].click()")
    assert browser.run("document.getElementById('text').value") == odd
    dropped(browser, EMBEDDED)  # another model brings its own
    examples = Classifier.load().model.examples
    browser.run("document.querySelectorAll('#examples button')[0].click()")
    assert browser.run("document.getElementById('text').value") == examples[0]
    count = browser.run("document.querySelectorAll('#examples button').length")
    assert count == len(examples) >= 2


@needs_chromium
@pytest.mark.parametrize("name", ["seed.int8.onnx", "low-rank.fp32.onnx", "multi_label.int8.onnx"])
def test_another_model_dropped_on_it_takes_its_place(
    page: Chromium, cases: list[Case], name: str
) -> None:
    (case,) = (case for case in cases if case.name == name)
    dropped(page, case.path)
    assert page.run("document.querySelectorAll('#golden .wrong').length") == 0
    assert shown(page, "error") == ""
    write(page, case.texts[4])
    assert shown(page, "label") == (case.answers[4].replace("|", ", ") or "no label")


@needs_chromium
def test_a_page_of_several_questions_asks_them_all_of_a_text(
    browser: Chromium, tiny: Path, cases: list[Case], tmp_path: Path
) -> None:
    (kind,) = (case.path for case in cases if case.name == "low-rank.int8.onnx")
    files = {"team": tiny, "kind": kind}
    opened(browser, tmp_path, "-m", f"team={tiny}", "-m", f"kind={kind}")
    browser.look(390, 900)
    write(browser, TEXT)
    for i, (name, path) in enumerate(files.items()):
        answer = Classifier.load(path).predict([TEXT])[0]
        card = browser.run(f"document.querySelectorAll('#questions button')[{i}].innerText")
        assert card.split("\n") == [name, answer.label, f"{100 * answer.probability:.1f} %"]
        browser.run(f"document.querySelectorAll('#questions button')[{i}].click()")
        assert (shown(browser, "question"), shown(browser, "label")) == (name, answer.label)
    browser.wait("document.getElementById('spoken').textContent.includes('kind: ')")
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not browser.run(wide)
    dropped(browser, tiny)  # another model takes the place of all
    assert browser.run("document.getElementById('questions').hidden")
    assert browser.problems == []


def test_a_page_is_of_a_model_or_of_questions(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.html"
    named = ("-m", f"a={tiny}", "-m", f"b={tiny}", "-o", out)
    said = command("page", *named).stdout
    assert said == f"{out}: {out.stat().st_size:,} bytes, with 2 models\n"
    out.unlink()
    assert "needs a name; write NAME=" in command("page", "-m", tiny, *named).error
    assert list(tmp_path.iterdir()) == []


@needs_chromium
def test_a_file_that_is_no_model_leaves_the_model_in_place(
    page: Chromium, tiny: Path, damaged: list[tuple[str, bytes]], tmp_path: Path
) -> None:
    for i, (what, data) in enumerate(damaged[::9]):
        path = tmp_path / f"damaged {i}.onnx"
        path.write_bytes(data)
        page.choose("#file", path)
        page.wait(f"document.getElementById('error').textContent.startsWith('damaged {i}.onnx: ')")
        assert "\n" not in shown(page, "error"), what
    write(page, TEXT)
    assert shown(page, "label") == Classifier.load(tiny).predict([TEXT])[0].label
    assert shown(page, "name") == "tiny.onnx"


@needs_chromium
def test_it_is_used_from_the_keyboard_and_fits_a_phone(page: Chromium) -> None:
    page.look(360, 700, mobile=True)
    page.run("document.body.focus(); document.getElementById('text').focus()")
    seen = []
    for _ in range(8):
        page.press("Tab", 9)
        seen.append(page.run("document.activeElement.id || document.activeElement.textContent"))
    assert "file" in seen
    for element in page.run(
        "[...document.querySelectorAll('textarea, input, progress')].map(e => [e.id, "
        "!!(e.labels?.length || e.getAttribute('aria-label') || "
        "e.getAttribute('aria-labelledby'))])"
    ):
        assert element[1], f"{element[0]} has no name"
    write(page, TEXT + " " + "w" * 300)
    # Not innerWidth: a phone zooms into the field that has the focus.
    page.wait("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@needs_chromium
def test_the_module_gives_the_answers_in_a_worker(
    browser: Chromium, cases: list[Case], tmp_path: Path
) -> None:
    (case,) = (case for case in cases if case.name == "low-rank.fp32.onnx")
    module = PROJECT / "engine" / "js"
    for path in (module / "edge-lstm.mjs", module / "edge-lstm.wasm", case.path):
        shutil.copy(path, tmp_path)
    (tmp_path / "index.html").write_text("<!doctype html><title>module</title>")
    (tmp_path / "worker.mjs").write_text(
        "import { Classifier } from './edge-lstm.mjs';\n"
        "onmessage = async ({ data: [name, texts] }) => { const c = await Classifier.load(name);"
        " postMessage(texts.map((t) => [...c.predict(t).probabilities.values()])); };"
    )
    script = (
        "new Promise((done) => { const w = new Worker('./worker.mjs', { type: 'module' });"
        f" w.onmessage = ({{ data }}) => done(data);"
        f" w.postMessage({json.dumps([case.name, case.texts])}); }})"
    )
    with served(page=tmp_path) as address:
        browser.open(f"{address}/page/index.html")
        answers = np.array(browser.run(script))
    assert np.abs(answers - case.probabilities).max() <= 1e-4
