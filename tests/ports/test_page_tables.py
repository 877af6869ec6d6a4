"""A CSV dropped on the page comes back with the answers that predict gives; all else is refused."""

from __future__ import annotations

import base64
import csv
import io
import json
import random
import re
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_lstm import Classifier, DataError, Policy, Prediction, ScorePrediction
from tests.commands import command, finished
from tests.model_files import EMBEDDED, compact, edited
from tests.ports.chromium import CHROMIUM, Chromium
from tests.ports.conftest import Case
from tests.ports.test_javascript import MODULE, NODE, needs_node
from tests.ports.texts import TEXTS

# Name → bytes. The last column is the text.
TABLES = {
    "plain.csv": b"id,text\n1,good\n2,awful\n",
    "no last line end.csv": b"id,text\n1,good\n2,awful",
    "one column.csv": b"words\ngood\n\nawful film\n",
    "semicolons.csv": b"id;text\n1;good, very good\n2;awful, bad\n",
    "tabs.csv": b"id\ttext\n1\tgood, very\n2\tawful; bad\n",
    "commas.tsv": b"a,b,c,d\ttext\n1\tgood, very\n",
    "CR LF.csv": b"id,text\r\n1,good\r\n2,awful\r\n",
    "CR.csv": b"id,text\r1,good\r2,awful",
    "saved by Excel.csv": "\ufeffid;text\r\n1;schön gut\r\n".encode(),
    "quotes.csv": b'"id","text"\n1,"good, ""very"" good\nfilm"\n2,""\n"3","a"b"c"\n4,a "b" c\n',
    "label taken.csv": b"label,status,text\nneg,open,good\n",
    "named.csv": b"id, Review \n1,good\n",
    "header alone.csv": b"id,text\n",
    "separators of Unicode.csv": "id,text\n1,good\u2028film\u0085\n2,\ufeff\n".encode(),
    "long.csv": b'id,text\n1,"%b"\n2,awful\n' % (b'a ""\n' * 2**21),
}
# Name → bytes, and what the page says of them.
REFUSED = {
    "latin.csv": ("id,text\n1,schön\n".encode("cp1252"), "it is not UTF-8"),
    "UTF-16.csv": ("id,text\n1,good\n".encode("utf-16"), "it is not UTF-8"),
    "empty.csv": (b"", "it has no rows"),
    "blank.csv": (b" \n\r\n\t\n", "it has no rows"),
    "open.csv": (b'id,text\n1,good\n2,"awful\n3,bad\n', "a quote never closes, in the row “2,"),
    "open header.csv": (b'id,"text\n1,good\n', "a quote never closes, in the row “id,"),
    "open at the end.csv": (b'id,text\n1,"""', "a quote never closes, in the row “1,"),
    "no text.csv": (b"id,words\n1,good\n", "no column is clearly the text"),
    "two texts.csv": (b"review,comment\ngood,bad\n", "several columns may hold the text"),
    **{
        f"a.{suffix}": (b'{"text": "good"}\n', "for everything else: edge-lstm score")
        for suffix in ("jsonl", "txt", "parquet", "csv.gz", "xlsx")
    },
}
Models = Path | dict[str, Path]


def csv_of(texts: Sequence[str]) -> bytes:
    """A table of texts, as Python writes it."""
    out = io.StringIO()
    rows = [("id", "text"), *enumerate(text.encode("utf-8", "replace").decode() for text in texts)]
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def drop(
    model: Models, tables: Mapping[str, bytes], folder: Path, *, unfamiliar: bool = False
) -> dict[str, dict[str, Any]]:
    """What the model's page makes of each file that is dropped on it, in Node.

    unfamiliar: whether the page is asked to mark unfamiliar texts.
    """
    named = model if isinstance(model, dict) else {"": model}
    asked = [f"{name}={path}" if name else str(path) for name, path in named.items()]
    page = ("page", "-o", folder / "page.html")
    command(*page, *chain.from_iterable(("-m", model) for model in asked))
    for name, data in tables.items():
        (folder / name).write_bytes(data)
    files = [str(folder / name) for name in tables]
    request = {"page": str(folder / "page.html"), "files": files, "unfamiliar": unfamiliar}
    script = Path(__file__).with_name("page_tables.mjs")
    run = finished([NODE, str(script)], input=json.dumps(request), timeout=300)
    assert run.returncode == 0, run.stderr
    return dict(zip(tables, map(json.loads, run.stdout.splitlines()), strict=True))


def rows_of(data: bytes) -> list[list[str]]:
    """The rows of a table that are not blank, as Python reads them."""
    csv.field_size_limit(2**30)
    text = data.decode("utf-8-sig")
    header = re.split("[\r\n]", text, maxsplit=1)[0]
    delimiter = next((mark for mark in "\t;" if mark in header), ",")
    return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]


def columns_of(name: str, answer: Prediction) -> dict[str, str | float]:
    """The columns of an answer, by their names: what is text, and numbers that are compared."""
    prefix = f"{name}_" if name else ""
    status = {f"{prefix}status": answer.status}
    if not isinstance(answer, ScorePrediction):
        label = {name or "label": "|".join(answer.labels)}
        return {**label, f"{prefix}probability": answer.probability, **status}
    first = name or "score"
    values = {first: answer.value, f"{first}_low": answer.low, f"{first}_high": answer.high}
    return {**{key: "" if value is None else value for key, value in values.items()}, **status}


def same(found: str, expected: str | float) -> bool:
    """Whether the page wrote what is expected, a number to within four digits."""
    if isinstance(expected, str):
        return found == expected
    return float(found) == pytest.approx(expected, abs=1e-4)


def check(
    model: Models, tables: Mapping[str, bytes], folder: Path, *, unfamiliar: bool = False
) -> None:
    """Each table comes back as it is, with the columns of predict's answers behind it."""
    named = model if isinstance(model, dict) else {"": model}
    classifiers = {name: Classifier.load(path) for name, path in named.items()}
    for name, dropped in drop(model, tables, folder, unfamiliar=unfamiliar).items():
        assert not dropped["error"], name
        assert dropped["name"] == f"{Path(name).stem}.scored{Path(name).suffix}"
        data = tables[name]
        scored = base64.b64decode(dropped["data"])
        assert scored.startswith(BOM_UTF8) == data.startswith(BOM_UTF8), name
        assert (b"\r\n" in scored) == (b"\r\n" in data), name
        header, *rows = rows_of(data)
        told_header, *told = rows_of(scored)
        texts = [row[-1] for row in rows]
        share = 0.05 if unfamiliar else None
        answers = [
            (question, classifier.predict(texts, unfamiliar=share))
            for question, classifier in classifiers.items()
        ]
        assert len(told) == len(rows), name
        for i, (own, row) in enumerate(zip(told, rows)):
            expected: dict[str, str | float] = {}
            for question, of_texts in answers:
                expected |= columns_of(question, of_texts[i])
            taken = "edge_lstm_" if {*expected} & {*header} else ""
            assert told_header == [*header, *(taken + column for column in expected)], name
            assert own[: len(row)] == row, name
            for found, value in zip(own[len(row) :], expected.values(), strict=True):
                assert same(found, value), (name, own, expected)


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
def test_a_table_comes_back_with_the_answers_of_predict(tiny: Path, tmp_path: Path) -> None:
    check(tiny, TABLES, tmp_path)


@needs_node
def test_a_file_that_is_no_such_table_is_refused_in_one_line(tiny: Path, tmp_path: Path) -> None:
    tables = {name: data for name, (data, _) in REFUSED.items()}
    *refused, (_, answered) = drop(tiny, {**tables, "b.csv": b"text\ngood\n"}, tmp_path).items()
    for name, dropped in refused:
        assert dropped["error"].startswith(f"{name}: ") and "\n" not in dropped["error"]
        assert REFUSED[name][1] in dropped["error"], dropped["error"]
        assert "data" not in dropped
    assert not answered["error"] and answered["data"]  # the next one is scored


@needs_node
def test_a_row_with_more_or_fewer_cells_than_the_header_has_no_answer(
    tiny: Path, tmp_path: Path
) -> None:
    table = b"id,text,note\n1,good\n2,good,x\n3,good,and,more\n"
    (dropped,) = drop(tiny, {"a.csv": table}, tmp_path).values()
    _, short, right, long = base64.b64decode(dropped["data"]).decode().splitlines()
    assert short == "1,good,,,,error" and long == "3,good,and,more,,,error"
    assert right.startswith("2,good,x,") and right.endswith(",ok")


@needs_node
def test_rows_with_fields_are_scored_by_their_columns(tmp_path: Path) -> None:
    model = tmp_path / "rows.onnx"
    model.write_bytes(edited({"fields": '{"fields":[{"name":"t","kind":"text"}],"pairs":[]}'}))
    tables = {"a.csv": b"t,t\ngood,bad\n", "b.csv": b"id,x\n1,2\n"}
    scored, refused = drop(model, tables, tmp_path).values()
    assert "it has no column “t”; its columns are id, x" in refused["error"]
    _, row = rows_of(base64.b64decode(scored["data"]))
    (expected,) = Classifier.load(model).predict(['{"t":"good","t":"bad"}'])
    assert same(row[3], expected.probability)
    assert scored["status"].startswith("no words: the prediction for an empty row")


@needs_node
@pytest.mark.parametrize("unfamiliar", [False, True])
def test_a_text_that_the_file_is_unsure_of_comes_back_without_a_label(
    unfamiliar: bool, tmp_path: Path
) -> None:
    """By the default of the file; what is unfamiliar is called so only if it is asked for."""
    points = [[0.0, 900, 300], [0.5, 800, 200], [0.52, 600, 30], [0.55, 500, 20], [0.9, 9, 0]]
    unfamiliar_scores = [[0.01, 1.9], [0.05, 1.1]]
    model = model_with_curve(tmp_path, 0.06, points, unfamiliar=unfamiliar_scores)
    assert Policy.of(Classifier.load(model).model).threshold == 0.55
    (dropped,) = drop(model, {"a.csv": csv_of(TEXTS)}, tmp_path, unfamiliar=unfamiliar).values()
    found = {row[-1] for row in rows_of(base64.b64decode(dropped["data"]))}
    assert {"ok", "abstained"} <= found and ("unfamiliar" in found) == unfamiliar
    check(model, {"a.csv": csv_of(TEXTS)}, tmp_path, unfamiliar=unfamiliar)


@needs_node
@pytest.mark.parametrize("labels", [["10", "-0.5"], ["0", "0.0001"]])
def test_a_score_comes_back_with_its_interval(labels: list[str], tmp_path: Path) -> None:
    points = [[0.0, 900, 300], [0.6, 500, 20]]
    changes = {"labels": compact(labels), "question": compact({"type": "score"})}
    model = model_with_curve(tmp_path, 0.06, points, changes)
    check(model, {"a.csv": csv_of(TEXTS), "taken.csv": b"score_low,text\na,good\n"}, tmp_path)


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
    run = finished([NODE, "--input-type=module", "-e", code])
    try:
        threshold = Policy.of(Classifier.load(model).model).threshold
    except DataError:
        assert "no threshold" in run.stderr
    else:
        assert np.float32(run.stdout) == np.float32(threshold)


@needs_node
@pytest.mark.parametrize("name", ["low-rank.int8.onnx", "multi_label.fp32.onnx"])
def test_many_labels_and_several_come_back(name: str, cases: list[Case], tmp_path: Path) -> None:
    """Labels that CSV has to quote, too."""
    (path,) = (case.path for case in cases if case.name == name)
    check(path, {"a.csv": csv_of(TEXTS)}, tmp_path)


@needs_node
def test_several_questions_come_back(tiny: Path, cases: list[Case], tmp_path: Path) -> None:
    """One of them has several labels per text; one name is a column of the table."""
    several = next(case.path for case in cases if case.name == "multi_label.int8.onnx")
    questions = {"team": tiny, "note": several, "7": EMBEDDED}
    check(questions, {"a.csv": csv_of(TEXTS), "b.csv": b"note,text\nx,good\n"}, tmp_path)


@pytest.mark.skipif(not CHROMIUM, reason="no chromium")
def test_a_browser_gives_what_node_does(tiny: Path, tmp_path: Path) -> None:
    tables = {**TABLES, "open.csv": REFUSED["open.csv"][0]}
    by_node = drop(tiny, tables, tmp_path)
    with Chromium(tmp_path / "profile") as page:
        page.look()
        page.open((tmp_path / "page.html").as_uri())
        # What is to be downloaded is kept: whether a browser saves it is its own affair.
        page.run("URL.createObjectURL = (blob) => ((window.scored = blob), 'blob:')")
        for name, told in by_node.items():
            page.run("document.getElementById('download').hidden = true")
            page.run("document.getElementById('error').textContent = ''")
            page.drop(tmp_path / name)
            if told["error"]:
                page.wait("document.getElementById('error').textContent")
                continue
            page.wait("!document.getElementById('download').hidden")
            page.run("scored.text().then((text) => (window.text = text))")
            page.wait("window.text")
            scored = page.run("[window.text, (window.text = null)][0]")
            expected = base64.b64decode(told["data"]).decode()
            assert scored.removeprefix("\ufeff") == expected.removeprefix("\ufeff"), name
        assert page.problems == []
