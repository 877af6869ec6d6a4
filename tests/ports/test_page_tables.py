"""A table dropped on the page comes back as ``edge-lstm score`` writes it, whatever is wrong with
it."""

from __future__ import annotations

import base64
import json
import random
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_lstm import Classifier, DataError, RunOptions, ScoreOptions, score_files
from edge_lstm.live_page import build_page
from edge_lstm.modelfile import embedded_model, open_model
from tests.cases import raw, rows
from tests.engine.conftest import importable, installed  # noqa: F401
from tests.model_files import compact, edited
from tests.ports.chromium import CHROMIUM, Chromium
from tests.ports.conftest import PROJECT, Case
from tests.ports.test_javascript import MODULE, NODE, needs_node
from tests.ports.texts import TEXTS

MIB = 2**20
PAGE = PROJECT / "edge_lstm" / "live_page" / "page.html"
DEFAULT_OPTIONS = ScoreOptions()

# Name → bytes. A file that score refuses is refused by the page.
TABLES = {
    name: raw(content)
    for name, content in rows(
        r'''
        plain.csv | id,text,note\n1,good,x\n2,awful,y\n
        no last line end.csv | id,text\n1,good\n2,awful
        short row.csv | id,text,note\n1,charged twice\n2,awful,y\n
        shorter than the text.csv | id,text\n1\n2,awful\n
        long row.csv | id,text\n1,good,and,more\n2,awful\n
        blank row.csv | id,text\n1,good\n\n2,awful\n\n
        blank row, CR LF.csv | id,text\r\n1,good\r\n\r\n2,awful\r\n
        blank row of one column.csv | text\ngood\n\nawful\n
        row of blanks.csv | id,text\n1,good\n  \n2,awful\n
        row of a delimiter.csv | id,text\n,\n2,awful\n
        blank first line.csv | \nid,text\n1,good\n
        open quote.csv | id,text,note\n1,good,x\n2,"awful,y\n3,good,z\n4,good,z\n
        open quote at the end.csv | id,text\n1,good\n2,"aw""ful\r\n
        open quote, one character.csv | id,text\n1,"
        open quote in another column.csv | id,text\n"1,good\n2,awful\n
        open quote in the header.csv | id,"text\n1,good\n2,awful\n
        text that is not UTF-8.csv | id,text\n1,caf\xe9 good\n2,awful\n
        another column that is not UTF-8.csv | id,text\ncaf\xe9,good\n2,awful\n
        header that is not UTF-8.csv | caf\xe9,text\n1,good\n
        bytes cut off at the end.csv | id,text\n1,good\n2,\xc3
        overlong.csv | text\n\xc0\xaf\na\xe0\x80\xaf\n
        a surrogate, too large.csv | text\na\xed\xa0\x80\nab\xf4\x90\x80\x80\n
        half a character.csv | text\n\xe2\x82(\n\x80\n
        not UTF-8 in a short row.csv | id,text,note\n\xff,\xfe\n
        CR alone.csv | id,text\r1,good\r2,awful\r
        CR inside.csv | id,text\n1,go\rod\n2,awful\r\n\r\n
        CR LF.csv | id,text\r\n1,good\r\n2,awful\r\n
        LF, then CR LF.csv | id,text\n1,good\r\n2,awful\n
        byte order mark.csv | \xef\xbb\xbfid,text\n1,good\n2,\xef\xbb\xbfawful\n
        byte order mark alone.csv | \xef\xbb\xbf
        quotes.csv | id,text\n1,"good, ""very"" good\nfilm"\n2,a "bad" film\n3,"odd"quote,\n4,""\n
        more quotes.csv | id,text\n4,""\n5,"a"b"c"\n
        quoted CR.csv | id,text\r\n1,"good\r"\r\n2,"awful\r\n"\r\n
        semicolons.csv | id;text\n1;good, very good\n2;awful, bad\n3\n
        bars.csv | id|text\n1|good\n2|a;b;c\n3|\n
        tabs.csv | id\ttext\n1\tgood, very\n2\n
        more commas in the header.csv | a,b,c;text\n1;good\n2;awful\n
        equally many.csv | id,text;x\n1,good;1\n2,awful;2\n
        commas.tsv | id,text\ttext\n1\tgood, very\n2,awful\n
        LABEL.CSV | id,text,label\n1,good,neg\n
        label taken twice.csv | text,label,edge_lstm_label\ngood,neg,pos\n
        status taken.csv | text,status\ngood,open\nbad\n
        names repeat.csv | id,id,text\n1,2,good\n3,4\n
        no text column.csv | id,words\n1,good\n
        two text columns.csv | review,comment\ngood,bad\n
        text beside review.csv | review,Text \nawful,good\n
        utterance beside tweet.csv | utterance,tweet\nawful,good\n
        one column.csv | words\ngood\nawful, bad\n
        header alone.csv | id,text\n
        empty.csv |
        blank.csv | \x20\n\r\n\t\n
        zero bytes.csv | id,text\n1,go\0od\n2,\0\n
        lines.txt | good\n\nawful, bad\n
        tabs and quotes.txt | "good\tfilm\r\nnot UTF-8 \xff\n\xef\xbb\xbfawful
        marked.txt | \xef\xbb\xbfgood\n
        empty.txt |
        tabs.TAB | id\tcomment,x\tsentence\n1\ta\tgood, "x" film\n2\tb\n
        byte order mark.tsv | \xef\xbb\xbfid\t"text"\r\n1\t"good"\r\n2\t"a\tb"\r\n
        quotes without need.csv | "id","text"\n"1","good"\n"2","awful film"\n3,"a ""b"""\n
        quotes without need, CR LF.csv | "text"\r\n"good"\r\n""\r\n"a\nb"\r\n
        lines.text | good\nawful
        labels.ft | __label__pos good\n
        '''
    )
}
TABLES |= {
    "saved by Excel.csv": "id,text\n1,schöne Grüße\n2,für Sie\n".encode("cp1252"),
    "of other letters.txt": "не пришло\nгде деньги\n".encode("cp1251"),
    "UTF-16 without a mark.csv": ("id,text\n1,good film\n" * 9).encode("utf-16-le"),
    "separators of Unicode.csv": "id,text\n1,good\u2028film\u0085\n2,\ufeff\n".encode(),
    "long.csv": b"id,text\n1,good\n2,%b\n3,awful\n" % (b"a " * (8 * MIB)),
    "long and open.csv": b'id,text\n1,good\n2,"%b\n3,awful\n' % (b"a,\n" * (6 * MIB)),
}

_CELLS = (text.replace('"', '""') for text in TEXTS)
TEXTS_CSV = ("id,text\n" + "".join(f'{i},"{cell}"\n' for i, cell in enumerate(_CELLS))).encode(
    "utf-8", "replace"
)
TEXTS_TXT = "\n".join(TEXTS).encode("utf-8", "replace")


@pytest.fixture(autouse=True)
def native(installed: Path) -> Iterator[None]:  # noqa: F811
    """This process finds the engine that the page has, too."""
    with importable(installed):
        yield


def by_score(
    path: Path,
    out: Path,
    classifier: Classifier | dict[str, Classifier],
    options: ScoreOptions = DEFAULT_OPTIONS,
) -> bytes | None:
    """What score writes; None where it refuses the file."""
    try:
        score_files(path, out, model=classifier, options=options, run=RunOptions(workers=1))
    except DataError as error:
        assert not out.exists(), error
        return None
    return out.read_bytes()


def drop(
    model: Path | dict[str, Path], paths: Sequence[Path], folder: Path, *, unfamiliar: bool = False
) -> list[dict[str, str]]:
    """What the model's page makes of each file that is dropped on it, in Node.

    unfamiliar: whether the page is asked to mark unfamiliar texts.
    """
    if isinstance(model, dict):
        page = build_page({name: open_model(path) for name, path in model.items()})
    else:
        page = build_page(open_model(model))
    (folder / "page.html").write_text(page, encoding="utf-8")
    files = [str(path) for path in paths]
    request = {"page": str(folder / "page.html"), "files": files, "unfamiliar": unfamiliar}
    script = Path(__file__).with_name("page_tables.mjs")
    run = subprocess.run(
        [NODE, str(script)], input=json.dumps(request), capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def compare(
    model: Path | dict[str, Path], paths: Sequence[Path], folder: Path, *, unfamiliar: bool = False
) -> int:
    """Drop the files on the page of a model, or of several questions, and score them: the same
    bytes → how many were not refused."""
    classifier: Classifier | dict[str, Classifier]
    if isinstance(model, dict):
        classifier = {name: Classifier.load(path, engine="native") for name, path in model.items()}
    else:
        classifier = Classifier.load(model, engine="native")
    options = ScoreOptions(unfamiliar=0.05 if unfamiliar else None)
    answered = 0
    for path, dropped in zip(paths, drop(model, paths, folder, unfamiliar=unfamiliar), strict=True):
        expected = by_score(
            path, folder / f"{path.stem}.scored{path.suffix.lower()}", classifier, options
        )
        what = f"{path.name}: {path.read_bytes()[:200]!r}"
        if expected is None:
            assert dropped["error"].startswith(f"{path.name}: ") and "\n" not in dropped["error"], (
                what
            )
            continue
        answered += 1
        assert not dropped["error"], what
        assert dropped["name"] == f"{path.stem}.scored{path.suffix}"
        assert base64.b64decode(dropped["data"]) == expected, what
    return answered


def written(folder: Path, tables: dict[str, bytes]) -> list[Path]:
    """The tables as files."""
    folder.mkdir()
    for name, data in tables.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in tables]


def model_with_curve(
    folder: Path, default: float, points: Any, changes: dict[str, str] | None = None, **more: Any
) -> Path:
    """A file that abstains by this share, with a curve of these points."""
    texts = points[0][1]
    curve = {"data": "held out", "texts": texts, "default": default, "points": points, **more}
    path = folder / "m.onnx"
    path.write_bytes(edited({"abstention": compact(curve), **(changes or {})}))
    return path


@needs_node
def test_a_table_comes_back_as_score_writes_it(tiny: Path, tmp_path: Path) -> None:
    assert compare(tiny, written(tmp_path / "in", TABLES), tmp_path) == 55


@needs_node
def test_a_table_of_another_format_is_refused_as_such(tiny: Path, tmp_path: Path) -> None:
    names = ["a.jsonl", "a.JSON", "a.parquet", "a.csv.gz"]
    tables = {**dict.fromkeys(names, b'{"text": "good"}\n'), "b.csv": b"text\ngood\n"}
    *refused, answered = drop(tiny, written(tmp_path / "in", tables), tmp_path)
    said = "this page reads .csv, .tsv and .txt; give it to edge-lstm score"
    assert [each["error"] for each in refused] == [f"{name}: {said}" for name in names]
    assert not answered["error"] and answered["data"]  # the next one is scored


@needs_node
@pytest.mark.parametrize("unfamiliar", [False, True])
def test_a_text_that_the_file_is_unsure_of_comes_back_without_a_label(
    unfamiliar: bool, tmp_path: Path
) -> None:
    """By the default of the file; what is unfamiliar is called so only if it is asked for."""
    points = [[0.0, 900, 300], [0.5, 800, 200], [0.52, 600, 30], [0.55, 500, 20], [0.9, 9, 0]]
    unfamiliar_scores = [[0.01, 1.9], [0.05, 1.1]]
    model = model_with_curve(tmp_path, 0.06, points, unfamiliar=unfamiliar_scores)
    assert Classifier.load(model).threshold() == 0.55
    paths = written(tmp_path / "in", {"texts.csv": TEXTS_CSV, "lines.txt": TEXTS_TXT})
    assert compare(model, paths, tmp_path, unfamiliar=unfamiliar) == 2
    lines = (tmp_path / "lines.scored.txt").read_text().splitlines()
    found = {line.split("\t")[2] for line in lines}
    assert {"ok", "abstained"} <= found and ("unfamiliar" in found) == unfamiliar


@needs_node
@pytest.mark.parametrize("labels", [["10", "-0.5"], ["0", "0.0001"]])
def test_a_score_comes_back_as_score_writes_it(labels: list[str], tmp_path: Path) -> None:
    points = [[0.0, 900, 300], [0.6, 500, 20]]
    changes = {"labels": compact(labels), "question": compact({"type": "score"})}
    model = model_with_curve(tmp_path, 0.06, points, changes)
    tables = {
        "texts.csv": TEXTS_CSV + b"2\n",
        "taken.csv": b"score_low,text\na,good\n",
        "lines.txt": TEXTS_TXT,
    }
    assert compare(model, written(tmp_path / "in", tables), tmp_path) == 3


@needs_node
@pytest.mark.parametrize("default", [0.3, 0.021, 0.001])
def test_the_page_abstains_from_the_threshold_that_score_takes(
    default: float, tmp_path: Path
) -> None:
    """A file that cannot show the share of its own default is refused by both."""
    wrong = sorted(random.Random(5).sample(range(250), 30), reverse=True)
    points = [[i / 40, 2000 - 60 * i, wrong[i]] for i in range(30)]
    model = model_with_curve(tmp_path, default, points)
    code = f"const {{ Classifier }} = await import({json.dumps(str(MODULE))});"
    code += f"console.log((await Classifier.load({json.dumps(str(model))})).threshold)"
    run = subprocess.run([NODE, "--input-type=module", "-e", code], capture_output=True, text=True)
    try:
        threshold = Classifier.load(model).threshold()
    except DataError:
        assert "no threshold" in run.stderr
    else:
        assert np.float32(run.stdout) == np.float32(threshold)


@needs_node
def test_a_probability_has_the_digits_that_score_writes() -> None:
    chance = np.random.default_rng(8)
    around = np.float32([0.0001, 0.125, 0.25, 0.5, 0.9, 0.99, 0.001, 1e-5, 1e-7]).view(np.int32)
    bits = [chance.integers(0, 0x3F800001, 20_000), np.arange(0, 0x3F800001, 0x800000)]
    bits += [around + i for i in range(-3, 4)]
    values = np.unique(np.concatenate(bits).clip(0, 0x3F800000)).astype(np.int32).view(np.float32)
    # the only one that has shorter digits than the nearest ones
    values = values[values != 2.0**-96]
    page = PAGE.read_text(encoding="utf-8")
    (function,) = re.findall(r"^function float32Text.*?^}", page, re.M | re.S)
    code = f"{function}; const v = JSON.parse(require('fs').readFileSync(0));"
    code += "console.log(JSON.stringify(v.map((x) => float32Text(Math.fround(x)))))"
    asked = json.dumps(values.tolist())
    told = subprocess.run([NODE, "-e", code], input=asked, capture_output=True, text=True)
    assert json.loads(told.stdout) == [str(value) for value in values]


@needs_node
@pytest.mark.parametrize(
    ("name", "refused"),
    # Where a text may have several labels, a column of them moves the names of the added ones.
    [("low-rank.int8.onnx", 0), ("multi_label.fp32.onnx", 1)],
)
def test_many_labels_and_several_come_back_as_score_writes_them(
    name: str, refused: int, cases: list[Case], tmp_path: Path
) -> None:
    """Labels that CSV has to quote, too."""
    tables = {
        "a.csv": TEXTS_CSV,
        "b.TSV": TEXTS_CSV.replace(b",", b"\t"),
        "c.txt": TEXTS_TXT,
        "intent.csv": b"intent,text\na,good\nb\n",
        "taken.csv": b"intent,edge_lstm_error,text\na,b,good\n",
    }
    (path,) = (case.path for case in cases if case.name == name)
    assert compare(path, written(tmp_path / "in", tables), tmp_path) == len(tables) - refused


@needs_node
def test_several_questions_come_back_as_score_writes_them(
    tiny: Path, cases: list[Case], tmp_path: Path
) -> None:
    """One of them has several labels per text; one name is a column of the table."""
    several = next(case.path for case in cases if case.name == "multi_label.int8.onnx")
    questions = {"team": tiny, "note": several, "again": embedded_model()}
    tables = {name: data for name, data in TABLES.items() if "UTF-8" in name or "row" in name}
    assert compare(questions, written(tmp_path / "in", tables), tmp_path) > 5
    (refused,) = drop({"a": tiny, "a_status": tiny}, [tmp_path / "in" / "long row.csv"], tmp_path)
    assert "two questions make the same column" in refused["error"]


@needs_node
def test_any_table_comes_back_as_score_writes_it(tiny: Path, tmp_path: Path) -> None:
    chance = random.Random(37)
    parts = [*b',,\n\n""\r;\t\' \xff']
    parts = [*(bytes([part]) for part in parts), b"\r\n", b"good", b"bad"]
    heads = [b"id,text\n", b"text\n", b"id;text;x\r\n", b'"id","text"\n', b"text|id\n", b""]
    tables = {
        f"{i}.{chance.choice(['csv', 'csv', 'tsv', 'txt'])}": chance.choice(heads)
        + b"".join(chance.choices(parts, k=chance.randrange(30)))
        for i in range(200)
    }
    assert compare(tiny, written(tmp_path / "in", tables), tmp_path) > 100


@pytest.mark.skipif(not CHROMIUM, reason="no chromium")
def test_a_browser_gives_what_node_does(tiny: Path, tmp_path: Path) -> None:
    """A table, a refused one, bytes that are not UTF-8, a byte order mark and a text."""
    names = (
        "quotes.csv",
        "blank.csv",
        "text that is not UTF-8.csv",
        "byte order mark.csv",
        "lines.txt",
    )
    (tmp_path / "page.html").write_text(build_page(open_model(tiny)), encoding="utf-8")
    classifier = Classifier.load(tiny, engine="native")
    with Chromium(tmp_path / "profile") as page:
        page.look()
        page.open((tmp_path / "page.html").as_uri())
        # What is to be downloaded is kept: whether a browser saves it is its own affair.
        page.run("URL.createObjectURL = (blob) => ((window.scored = blob), 'blob:')")
        for path in written(tmp_path / "in", {name: TABLES[name] for name in names}):
            expected = by_score(path, tmp_path / f"score-{path.name}", classifier)
            page.run("document.getElementById('download').hidden = true")
            page.run("document.getElementById('error').textContent = ''")
            page.drop(path)
            if expected is None:
                page.wait("document.getElementById('error').textContent")
                continue
            page.wait("!document.getElementById('download').hidden")
            page.run(
                "scored.arrayBuffer().then((data) => (window.bytes = [...new Uint8Array(data)]))"
            )
            page.wait("window.bytes")
            scored = bytes(page.run("[window.bytes, (window.bytes = null)][0]"))
            assert scored == expected, path.name
        assert page.problems == []
