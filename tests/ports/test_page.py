"""``edge-lstm page`` and the module, in headless Chromium: what a person does, and what a worker does."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_lstm import Classifier
from edge_lstm.cli import app
from edge_lstm.live_page import build_page
from edge_lstm.modelfile import open_model
from tests.ports.chromium import CHROMIUM, Chromium, served
from tests.ports.conftest import PROJECT, Case

needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="no chromium")
TEXT = "I expected little, and yet it was a wonderful film. Only the music was awful."


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One browser for all tests of this module."""
    with Chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def page(browser: Chromium, tiny: Path, tmp_path: Path) -> Iterator[Chromium]:
    """The browser, on a page with ``tiny`` that was opened from the disk."""
    path = tmp_path / "page.html"
    path.write_text(build_page(open_model(tiny)), encoding="utf-8")
    browser.problems.clear()
    browser.look()
    browser.open(path.as_uri())
    yield browser
    assert browser.problems == []  # no error, no request to anywhere


def write(browser: Chromium, text: str) -> None:
    """Replaces what is in the text box, as typed."""
    browser.run("document.getElementById('text').select(); document.getElementById('text').focus()")
    browser.type(text)


def shown(browser: Chromium, name: str) -> str:
    """The text of an element."""
    return str(browser.run(f"document.getElementById({json.dumps(name)}).innerText"))


def test_a_page_is_one_file_of_at_most_250_kb_with_tiny(tiny: Path) -> None:
    html = build_page(open_model(tiny))
    assert len(html.encode()) <= 250_000
    assert html.count("</script>") == 2 and "<link rel=stylesheet" not in html and "src=" not in html


def test_the_command_writes_it(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = tmp_path / "<b>{module}&.onnx"
    odd.write_bytes(tiny.read_bytes())
    app(["page", str(odd), "-o", str(tmp_path / "out.html")], standalone_mode=False)
    html = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "<title>&lt;b&gt;{module}&amp;.onnx</title>" in html and "<b>" not in html
    size = (tmp_path / "out.html").stat().st_size
    assert capsys.readouterr().out == f"wrote {tmp_path / 'out.html'}: {size:,} bytes, the model in it\n"


def test_a_page_that_goes_to_a_stream_is_all_that_is_written(tiny: Path) -> None:
    command = [sys.executable, "-m", "edge_lstm", "page", str(tiny), "-o", "/dev/stdout"]
    run = subprocess.run(command, capture_output=True, check=True)
    assert run.stdout.decode() == build_page(open_model(tiny)) and run.stderr == b""


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
def test_words_are_coloured_by_what_they_did(page: Chromium, tiny: Path) -> None:
    from edge_lstm.explain import explain

    write(page, TEXT)
    page.wait("document.getElementById('strongest').textContent.includes('Strongest')")
    titles = page.run("[...document.querySelectorAll('#words span')].map(s => [s.textContent, s.title])")
    effects = [(word.text, word.effect) for word in explain(Classifier.load(tiny), TEXT).words if word.known]
    told = [(text, float(title.replace("−", "-"))) for text, title in titles if title]
    assert [text for text, _ in told] == [text for text, _ in effects]  # a word may be there twice
    for (text, one), (_, other) in zip(told, effects):
        assert abs(one - other) <= 0.011, text
    assert shown(page, "words") == TEXT


@needs_chromium
def test_the_files_own_test_is_shown(page: Chromium, tiny: Path) -> None:
    rows = len(open_model(tiny).golden)
    assert f"{rows} of {rows}" in shown(page, "verdict")
    assert page.run("document.querySelectorAll('#golden .ok').length") == rows
    page.run("document.querySelectorAll('#golden .link')[2].click()")
    assert page.run("document.getElementById('text').value") == "This is a good one."


@needs_chromium
def test_another_model_dropped_on_it_takes_its_place(page: Chromium, cases: list[Case]) -> None:
    for name in ("seed.int8.onnx", "low-rank.fp32.onnx", "several.int8.onnx"):
        case = next(c for c in cases if c.name == name)
        page.drop(case.path)
        page.wait(f"document.getElementById('name').textContent === {json.dumps(name)}")
        assert "✗" not in shown(page, "golden") and shown(page, "error") == ""
        write(page, case.texts[4])
        assert shown(page, "label") == (case.answers[4].replace("|", ", ").replace("\t", " ") or "no label")


@needs_chromium
def test_a_file_that_is_no_model_leaves_the_model_in_place(
    page: Chromium, tiny: Path, damaged: list[tuple[str, bytes]], tmp_path: Path
) -> None:
    for i, (what, data) in enumerate(damaged[::5]):
        path = tmp_path / f"damaged {i}.onnx"
        path.write_bytes(data)
        page.choose("#file", path)
        page.wait(f"document.getElementById('error').textContent.startsWith('damaged {i}.onnx: ')")
        assert "\n" not in shown(page, "error"), what
    write(page, "A wonderful film.")
    answer = Classifier.load(tiny).predict(["A wonderful film."])[0]
    assert shown(page, "label") == answer.label and shown(page, "name") == "tiny.onnx"


@needs_chromium
def test_a_table_dropped_on_it_comes_back_scored(page: Chromium, tiny: Path, tmp_path: Path) -> None:
    rows = [["id", "review", "note"], ["1", "A wonderful film.", "é"], ["2", 'bad, "bad"\nfilm', ""]]
    rows += [["3", "", " x "], ["4", "Qwxyzzy!", "last"]]
    texts = [row[1] for row in rows[1:]]
    answers = Classifier.load(tiny).predict(texts)
    page.send("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    for separator, name in ((",", "rows.csv"), (";", "semicolons.csv"), ("\t", "tabs.tsv")):
        written = io.StringIO()
        csv.writer(written, delimiter=separator).writerows(rows)
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + written.getvalue().encode())
        page.drop(tmp_path / name)
        page.wait(f"document.getElementById('download').textContent.includes({json.dumps(name[:4])})")
        page.wait("!document.getElementById('download').hidden")
        page.run("document.getElementById('download').click()")
        stem, suffix = name.split(".")
        scored = tmp_path / f"{stem}.scored.{suffix}"
        end = time.monotonic() + 20
        while not (scored.exists() and scored.stat().st_size) and time.monotonic() < end:
            time.sleep(0.02)
        back = list(csv.reader(io.StringIO(scored.read_text("utf-8-sig"), newline=""), delimiter=separator))
        assert [row[:3] for row in back] == rows
        assert back[0][3:] == ["label", "probability", "status", "error"]
        for row, answer in zip(back[1:], answers, strict=True):
            assert [row[3], *row[5:]] == [answer.label, answer.status, ""]
            assert abs(float(row[4]) - answer.probability) <= 1e-5


@needs_chromium
def test_it_is_used_from_the_keyboard_and_fits_a_phone(page: Chromium) -> None:
    page.look(360, 700, mobile=True)
    page.run("document.body.focus(); document.getElementById('text').focus()")
    seen = []
    for _ in range(4):
        page.press("Tab", 9)
        seen.append(page.run("document.activeElement.id || document.activeElement.textContent"))
    assert seen[0] == "file" and "(empty)" in seen
    for element in page.run(
        "[...document.querySelectorAll('textarea, input, progress')].map(e => [e.id, "
        "!!(e.labels?.length || e.getAttribute('aria-label') || e.getAttribute('aria-labelledby'))])"
    ):
        assert element[1], f"{element[0]} has no name"
    write(page, TEXT + " " + "w" * 300)
    # Not innerWidth: a phone zooms into the field that has the focus.
    page.wait("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@needs_chromium
def test_light_and_dark_have_enough_contrast(page: Chromium) -> None:
    for dark in (False, True):
        page.look(dark=dark)
        colours = page.run(
            "['color', 'backgroundColor'].map(k => getComputedStyle(document.documentElement)[k])"
            ".concat(getComputedStyle(document.getElementById('about')).color)"
        )
        ink, paper, muted = [_luminance(colour) for colour in colours]
        for one in (ink, muted):
            assert (max(one, paper) + 0.05) / (min(one, paper) + 0.05) >= 4.5


def _luminance(colour: str) -> float:
    """Of ``rgb(r, g, b)``, as WCAG defines it."""
    values = [int(v) / 255 for v in colour[4:-1].split(",")]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@needs_chromium
def test_the_module_gives_the_answers_in_a_page_and_in_a_worker(
    browser: Chromium, cases: list[Case], tmp_path: Path
) -> None:
    (tmp_path / "edge-lstm.mjs").write_bytes((PROJECT / "ports" / "js" / "edge-lstm.mjs").read_bytes())
    (tmp_path / "index.html").write_text("<!doctype html><title>module</title>")
    (tmp_path / "worker.mjs").write_text(
        "import { Classifier } from './edge-lstm.mjs';\n"
        "onmessage = async ({ data: [name, texts] }) => { const c = await Classifier.load(name);"
        " postMessage(texts.map((t) => [...c.predict(t).probabilities.values()])); };"
    )
    chosen = [c for c in cases if c.name in ("embedded", "seed.int8.onnx", "low-rank.fp32.onnx")]
    for i, case in enumerate(chosen):
        (tmp_path / f"{i}.onnx").write_bytes(case.path.read_bytes())
    in_page = (
        "import('./edge-lstm.mjs').then(async ({ Classifier }) => { const c = await Classifier.load(NAME);"
        " return TEXTS.map((t) => [...c.predict(t).probabilities.values()]); })"
    )
    in_worker = (
        "new Promise((done) => { const w = new Worker('./worker.mjs', { type: 'module' });"
        " w.onmessage = ({ data }) => done(data); w.postMessage([NAME, TEXTS]); })"
    )
    with served(page=tmp_path) as address:
        browser.open(f"{address}/page/index.html")
        for i, case in enumerate(chosen):
            for script in (in_page, in_worker):
                told = script.replace("NAME", f"'{i}.onnx'").replace("TEXTS", json.dumps(case.texts))
                assert np.abs(np.array(browser.run(told)) - case.probabilities).max() <= 1e-4, case.name
