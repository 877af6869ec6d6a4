"""A table dropped on the page comes back as ``edge-lstm score`` writes it, whatever is wrong with it."""

from __future__ import annotations

import base64
import json
import random
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edge_lstm import Classifier, DataError, ReadOptions, RunOptions, score_files
from edge_lstm.live_page import build_page
from edge_lstm.modelfile import open_model
from edge_lstm.tables import open_inputs
from tests.ports.chromium import CHROMIUM, Chromium
from tests.ports.conftest import Case
from tests.ports.test_javascript import NODE, needs_node

MIB = 2**20
PROBABILITY = re.compile(rb"(?<![\w.])[01]\.\d+(?:e-\d+)?(?![\w.])")

# Name → bytes. A file that score refuses is refused by the page.
TABLES: dict[str, bytes] = {
    "plain.csv": b"id,text,note\n1,good,x\n2,awful,y\n",
    "no last line end.csv": b"id,text\n1,good\n2,awful",
    "short row.csv": b"id,text,note\n1,charged twice\n2,awful,y\n",
    "shorter than the text.csv": b"id,text\n1\n2,awful\n",
    "long row.csv": b"id,text\n1,good,and,more\n2,awful\n",
    "blank row.csv": b"id,text\n1,good\n\n2,awful\n\n",
    "blank row, CR LF.csv": b"id,text\r\n1,good\r\n\r\n2,awful\r\n",
    "blank row of one column.csv": b"text\ngood\n\nawful\n",
    "row of blanks.csv": b"id,text\n1,good\n  \n2,awful\n",
    "row of a delimiter.csv": b"id,text\n,\n2,awful\n",
    "blank first line.csv": b"\nid,text\n1,good\n",
    "open quote.csv": b'id,text,note\n1,good,x\n2,"awful,y\n3,good,z\n4,good,z\n',
    "open quote at the end.csv": b'id,text\n1,good\n2,"aw""ful\r\n',
    "open quote, one character.csv": b'id,text\n1,"',
    "open quote in another column.csv": b'id,text\n"1,good\n2,awful\n',
    "open quote in the header.csv": b'id,"text\n1,good\n2,awful\n',
    "text that is not UTF-8.csv": b"id,text\n1,caf\xe9 good\n2,awful\n",
    "another column that is not UTF-8.csv": b"id,text\ncaf\xe9,good\n2,awful\n",
    "header that is not UTF-8.csv": b"caf\xe9,text\n1,good\n",
    "bytes cut off at the end.csv": "id,text\n1,good\n2,é".encode()[:-1],
    "overlong.csv": b"text\n\xc0\xaf\na\xe0\x80\xaf\n",
    "a surrogate, too large.csv": b"text\na\xed\xa0\x80\nab\xf4\x90\x80\x80\n",
    "half a character.csv": b"text\n\xe2\x82(\n\x80\n",
    "not UTF-8 in a short row.csv": b"id,text,note\n\xff,\xfe\n",
    "UTF-16.csv": "id,text\n1,good\n".encode("utf-16"),
    "UTF-16 without a mark.csv": ("id,text\n1,good film\n" * 9).encode("utf-16-le"),
    "CR alone.csv": b"id,text\r1,good\r2,awful\r",
    "CR inside.csv": b"id,text\n1,go\rod\n2,awful\r\n\r\n",
    "CR LF.csv": b"id,text\r\n1,good\r\n2,awful\r\n",
    "LF, then CR LF.csv": b"id,text\n1,good\r\n2,awful\n",
    "byte order mark.csv": b"\xef\xbb\xbfid,text\n1,good\n2,\xef\xbb\xbfawful\n",
    "byte order mark alone.csv": b"\xef\xbb\xbf",
    "quotes.csv": b'id,text\n1,"good, ""very"" good\nfilm"\n2,a "bad" film\n3,"odd"quote,\n4,""\n5,"a"b"c"\n',
    "quoted CR.csv": b'id,text\r\n1,"good\r"\r\n2,"awful\r\n"\r\n',
    "semicolons.csv": b"id;text\n1;good, very good\n2;awful, bad\n3\n",
    "bars.csv": b"id|text\n1|good\n2|a;b;c\n3|\n",
    "tabs.csv": b"id\ttext\n1\tgood, very\n2\n",
    "more commas in the header.csv": b"a,b,c;text\n1;good\n2;awful\n",
    "equally many.csv": b"id,text;x\n1,good;1\n2,awful;2\n",
    "commas.tsv": b"id,text\ttext\n1\tgood, very\n2,awful\n",
    "LABEL.CSV": b"id,text,label\n1,good,neg\n",
    "label taken twice.csv": b"text,label,edge_lstm_label\ngood,neg,pos\n",
    "status taken.csv": b"text,status\ngood,open\nbad\n",
    "names repeat.csv": b"id,id,text\n1,2,good\n3,4\n",
    "no text column.csv": b"id,words\n1,good\n",
    "two text columns.csv": b"review,comment\ngood,bad\n",
    "text beside review.csv": b"review,Text \nawful,good\n",
    "utterance beside tweet.csv": b"utterance,tweet\nawful,good\n",
    "one column.csv": b"words\ngood\nawful, bad\n",
    "header alone.csv": b"id,text\n",
    "empty.csv": b"",
    "blank.csv": b" \n\r\n\t\n",
    "zero bytes.csv": b"id,text\n1,go\0od\n2,\0\n",
    "separators of Unicode.csv": "id,text\n1,good\u2028film\u0085\n2,\ufeff\n".encode(),
    "long.csv": b"id,text\n1,good\n2,%b\n3,awful\n" % (b"a " * (8 * MIB)),
    "long and open.csv": b'id,text\n1,good\n2,"%b\n3,awful\n' % (b"a,\n" * (6 * MIB)),
    "lines.txt": b"good\n\nawful, bad\n",
    "tabs and quotes.txt": b'"good\tfilm\r\nnot UTF-8 \xff\n\xef\xbb\xbfawful',
    "marked.txt": b"\xef\xbb\xbfgood\n",
    "empty.txt": b"",
}


def by_score(path: Path, out: Path, classifier: Classifier) -> bytes | None:
    """What score writes; None where it refuses the file."""
    try:
        score_files(path, out, model=classifier, run=RunOptions(workers=1))
    except DataError as error:
        assert not out.exists(), error
        return None
    return out.read_bytes()


def is_same(page: bytes, score: bytes, source: Path, folder: Path) -> bool:
    """Whether two outputs hold the same values, but for the last digits of probabilities. (The page passes on
    the bytes of a row, score writes it again.)
    """
    ours, theirs = (np.array(PROBABILITY.findall(data), float) for data in (page, score))
    if ours.shape != theirs.shape or (np.abs(ours - theirs) > 1e-5).any():
        return False
    page, score = (PROBABILITY.sub(b"P", data) for data in (page, score))
    return values_of(page, source, folder) == values_of(score, source, folder)


def values_of(data: bytes, source: Path, folder: Path) -> list[object]:
    """The values of an output that was made of ``source``."""
    dialect = open_inputs([source]).schema.dialect
    if dialect is None:
        return [data]
    path = folder / "values.csv"
    path.write_bytes(data)
    inputs = open_inputs([path], options=ReadOptions("1", dialect.delimiter))
    return [inputs.schema.columns, *((row.values, row.error) for row in inputs.rows())]


def compare(model: Path, paths: Sequence[Path], folder: Path) -> int:
    """Drops the files on the model's page, in Node, and scores them → how many were not refused."""
    (folder / "page.html").write_text(build_page(open_model(model)), encoding="utf-8")
    request = json.dumps({"page": str(folder / "page.html"), "files": [str(path) for path in paths]})
    script = Path(__file__).with_name("page_tables.mjs")
    run = subprocess.run([NODE, str(script)], input=request, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    classifier = Classifier.load(model)
    answered = 0
    for path, line in zip(paths, run.stdout.splitlines(), strict=True):
        dropped = json.loads(line)
        expected = by_score(path, folder / f"{path.stem}.scored{path.suffix.lower()}", classifier)
        what = f"{path.name}: {path.read_bytes()[:200]!r}, the page: {dropped}, score: {expected!r:.500}"
        if expected is None:
            assert dropped["error"].startswith(f"{path.name}: ") and "\n" not in dropped["error"], what
            continue
        answered += 1
        assert not dropped["error"], what
        assert dropped["name"] == f"{path.stem}.scored{path.suffix}"
        assert is_same(base64.b64decode(dropped["data"]), expected, path, folder), what
    return answered


def written(folder: Path, tables: dict[str, bytes]) -> list[Path]:
    """The tables as files."""
    folder.mkdir()
    for name, data in tables.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in tables]


@needs_node
def test_a_table_comes_back_as_score_writes_it(tiny: Path, tmp_path: Path) -> None:
    assert compare(tiny, written(tmp_path / "in", TABLES), tmp_path) == 48


@needs_node
def test_a_table_of_labels_comes_back_as_score_writes_it(cases: list[Case], tmp_path: Path) -> None:
    """Where a text may have several labels, a column of them moves the names of the added ones."""
    model = next(case.path for case in cases if case.name == "several.int8.onnx")
    tables = {
        "intent.csv": b"intent,text\na,good\nb\n",
        "taken.csv": b"intent,edge_lstm_error,text\na,b,good\n",
    }
    assert compare(model, written(tmp_path / "in", tables), tmp_path) == 1


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
    names = ("quotes.csv", "blank.csv", "text that is not UTF-8.csv", "byte order mark.csv", "lines.txt")
    (tmp_path / "page.html").write_text(build_page(open_model(tiny)), encoding="utf-8")
    classifier = Classifier.load(tiny)
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
            page.run("scored.arrayBuffer().then((data) => (window.bytes = [...new Uint8Array(data)]))")
            page.wait("window.bytes")
            scored = bytes(page.run("[window.bytes, (window.bytes = null)][0]"))
            assert is_same(scored, expected, path, tmp_path), path.name
        assert page.problems == []
