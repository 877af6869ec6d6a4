"""Values of rows from one format to another: nothing lost, nothing that is not of the format."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_lstm import DataError, ScoreOptions, score_files
from edge_lstm.tables import read_rows
from edge_lstm.tables.csv import CSV
from edge_lstm.tables.format import OutputColumns, Rows
from edge_lstm.tables.schema import Dialect, Schema
from edge_lstm.tables.values import Number, depth, float32_texts, json_text

arrow = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402


def scored(table: Any, tmp_path: Path, target: str, **options: Any) -> list[dict[str, Any]]:
    pq.write_table(table, "in.parquet", use_deprecated_int96_timestamps=False)
    score_files(
        "in.parquet",
        tmp_path / target,
        options=ScoreOptions(**options),
    )
    return read(tmp_path / target)


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":

        def refuse(constant: str) -> None:
            raise ValueError(f"not JSON: {constant}")

        return [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def table(**columns: Any) -> Any:
    length = len(next(iter(columns.values())))
    return arrow.table({"text": ["good"] * length, **columns})


# Arrow has the type since version 18; an older one reads such columns as bytes.
UUIDS = arrow.array([bytes(range(16)), None], arrow.uuid()) if hasattr(arrow, "uuid") else None
UUID_PARTS = None if UUIDS is None else arrow.StructArray.from_arrays([UUIDS], ["id"])
UUID_TEXTS = ["00010203-0405-0607-0809-0a0b0c0d0e0f", None]
FAR = arrow.array([40_000_000], arrow.int32()).cast(arrow.date32())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (arrow.array([0.1, 3.0, 1e20], arrow.float32()), [0.1, 3.0, 1e20]),
        (arrow.array([0.1, 3.0, None], arrow.float64()), [0.1, 3.0, None]),
        (arrow.array([math.nan, math.inf, -math.inf]), ["NaN", "Infinity", "-Infinity"]),
        (arrow.array([math.nan], arrow.float32()), ["NaN"]),
        (arrow.array([[math.nan, 1.5], None, []]), [["NaN", 1.5], None, []]),
        (arrow.array([[0.5, 0.25]], arrow.list_(arrow.float32(), 2)), [[0.5, 0.25]]),
        (
            arrow.array([{"when": 1000}], arrow.struct([("when", arrow.timestamp("us"))])),
            [{"when": "1970-01-01 00:00:00.001000"}],
        ),
        (arrow.array([1], arrow.timestamp("ns")), ["1970-01-01 00:00:00.000000001"]),
        (FAR, [str(FAR.cast(arrow.string())[0])]),
        (
            arrow.array([{"a": None}, None], arrow.struct([("a", arrow.int8())])),
            [{"a": None}, None],
        ),
        (
            arrow.array([[("k", 1)], None], arrow.map_(arrow.string(), arrow.int8())),
            [[["k", 1]], None],
        ),
        (arrow.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (arrow.array([None], arrow.null()), [None]),
        (arrow.array([True, None]), [True, None]),
        (arrow.array([b"bytes"]), ["bytes"]),
        *(
            []
            if UUIDS is None
            else [(UUIDS, UUID_TEXTS), (UUID_PARTS, [{"id": text} for text in UUID_TEXTS])]
        ),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_a_parquet_value_is_json_whatever_its_type(
    tmp_path: Path, values: Any, expected: list[Any]
) -> None:
    rows = scored(table(x=values), tmp_path, "out.jsonl")
    assert [row["x"] for row in rows] == expected
    assert {row["status"] for row in rows} == {"ok"}
    # In CSV the same, where it has parts as JSON.
    rows = scored(table(x=values), tmp_path, "out.csv")
    for row, value in zip(rows, expected):
        assert row["status"] == "ok"
        if isinstance(value, (list, dict)):
            assert json.loads(row["x"]) == value
        elif isinstance(value, str):
            assert row["x"] == value


def test_a_value_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    nowhere = arrow.array([1], arrow.timestamp("us", "No/Where"))
    with pytest.raises(DataError, match=r"values of type timestamp.* cannot be read"):
        scored(table(x=nowhere), tmp_path, "out.jsonl")
    assert scored(table(x=nowhere), tmp_path, "out.parquet", keep=("text",))[0]["status"] == "ok"


@pytest.mark.parametrize("target", ["out.csv", "out.jsonl", "out.parquet"])
def test_a_string_that_is_not_utf8_is_no_traceback(tmp_path: Path, target: str) -> None:
    forged = arrow.StringArray.from_buffers(
        2, arrow.py_buffer(b"\0\0\0\0\2\0\0\0\4\0\0\0"), arrow.py_buffer(b"ok\xff\xfe")
    )
    rows = scored(table(x=forged), tmp_path, target) if target != "out.parquet" else None
    if rows is None:
        pq.write_table(table(x=forged), "in.parquet")
        score_files("in.parquet", tmp_path / target)
        assert pq.read_table(tmp_path / target)["x"].cast(arrow.binary()).to_pylist() == [
            b"ok",
            b"\xff\xfe",
        ]
        return
    assert rows[0]["x"] == "ok"
    if target == "out.csv":
        assert rows[1]["x"].encode("utf-8", "surrogateescape") == b"\xff\xfe"
    else:
        assert rows[1]["error"] == "column 'x' is not UTF-8; leave it out with --keep"


def test_a_text_that_is_not_utf8_is_an_error_row() -> None:
    forged = arrow.StringArray.from_buffers(
        1, arrow.py_buffer(b"\0\0\0\0\2\0\0\0"), arrow.py_buffer(b"\xff\xfe")
    )
    pq.write_table(arrow.table({"text": forged}), "a.parquet")
    [row] = read_rows(["a.parquet"])
    assert (row.text, row.error) == (None, "the text is not UTF-8 (byte 0xff at position 0)")


@pytest.mark.parametrize("target", ["out.parquet", "out.jsonl"])
def test_bytes_of_another_column_that_are_not_utf8_make_an_error_row(
    tmp_path: Path, target: str
) -> None:
    Path("in.csv").write_bytes(b"id,text\ncaf\xe9,good\n2,bad\n")
    summary = score_files("in.csv", tmp_path / target)
    first, second = read(tmp_path / target)
    assert first["error"] == "column 'id' is not UTF-8; leave it out with --keep"
    assert (first["label"], first["status"]) == (None, "error")
    assert (second["id"], second["status"]) == ("2", "ok")
    assert summary.errors == 1
    # What is not written is not looked at.
    score_files(
        "in.csv",
        tmp_path / target,
        options=ScoreOptions(keep=("text",)),
    )
    assert [row["status"] for row in read(tmp_path / target)] == ["ok", "ok"]


@pytest.mark.parametrize("target", ["o.csv", "o.tsv", "o.parquet", "o.jsonl"])
def test_a_lone_surrogate_gets_the_answer_of_what_it_is_written_as(target: str) -> None:
    texts = ["\ud800 good", "go\udfffod", "\ud83d\ude00 \ude00\ud83d"]
    read_as = ["\ufffd good", "go\ufffdod", "\U0001f600 \ufffd\ufffd"]
    for name, column in (("a", texts), ("b", read_as)):
        rows = [json.dumps({"text": text, "key\ud800": text}) + "\n" for text in column]
        Path(f"{name}.jsonl").write_text("".join(rows))
        score_files(f"{name}.jsonl", f"{name}-{target}")
    of_halves, of_read = (f"{name}-{target}" for name in "ab")
    if target.endswith("jsonl"):  # which has an escape for it
        columns = ("label", "probability", "status")
        mine, expected = (
            [[row[name] for name in columns] for row in read(path)] for path in (of_halves, of_read)
        )
        assert mine == expected
    else:
        assert of_halves.read_bytes() == of_read.read_bytes()
        assert of_halves.read_bytes().count(b"\xef\xbf\xbd") >= 8


def test_names_that_repeat_are_told_apart_by_number(tmp_path: Path) -> None:
    twice = arrow.Table.from_arrays(
        [arrow.array(["wonderful"]), arrow.array(["awful"])], names=["text", "text"]
    )
    pq.write_table(twice, "a.parquet")
    from edge_lstm.tables import ReadOptions

    for number, label in (("1", "pos"), ("2", "neg")):
        for target in ("o.csv", "o.jsonl", "o.parquet"):
            score_files("a.parquet", tmp_path / target, reading=ReadOptions(text_column=number))
            [row] = read(tmp_path / target)
            assert row["label"] == label


@pytest.mark.parametrize(
    ("name", "content"),
    [("in.csv", "id,text\n"), ("in.txt", ""), ("in.jsonl", '{"text": null}\n'), ("in.parquet", "")],
)
def test_no_rows_are_a_parquet_file_without_rows(tmp_path: Path, name: str, content: str) -> None:
    if name == "in.parquet":
        empty = arrow.table(
            {"id": arrow.array([], arrow.int8()), "text": arrow.array([], arrow.string())}
        )
        pq.write_table(empty, tmp_path / name)
    else:
        (tmp_path / name).write_text(content)
    options = ScoreOptions(only_label=("pos",)) if name == "in.jsonl" else ScoreOptions()
    score_files(tmp_path / name, "out.parquet", options=options)
    written = pq.read_table("out.parquet")
    assert written.num_rows == 0
    assert written.column_names[-4:] == ["label", "probability", "status", "error"]
    assert written.schema.field("probability").type == arrow.float32()
    if name == "in.parquet":
        assert written.schema.field("id").type == arrow.int8()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, '"NaN"'),
        (-math.inf, '"-Infinity"'),
        (Number("NaN"), '"NaN"'),
        (Number("1.50"), "1.50"),
        ({"é": ["a", None, True, 1.5]}, '{"é": ["a", null, true, 1.5]}'),
    ],
)
def test_json_text_is_json(value: Any, text: str) -> None:
    assert json_text(value) == text
    json.loads(text)


def test_a_float32_is_written_in_its_shortest_digits() -> None:
    numbers = np.random.default_rng(1).random(100_000, np.float32) ** np.float32(0.5)
    numbers = np.concatenate(
        [numbers, np.float32([0, 1e-9, 0.1, 0.125, 0.25, 0.5, 0.7, 1 - 2**-24, 1])]
    )
    assert float32_texts([*numbers.tolist(), None]) == [*map(str, numbers), ""]


@given(st.lists(st.text(st.sampled_from('ab",;\n\r é'), max_size=5), min_size=4, max_size=4))
def test_a_csv_row_is_written_as_the_csv_module_writes_it(cells: list[str]) -> None:
    facts = {
        "format": "csv",
        "kept": None,
        "columns": ("text",),
        "added": dict.fromkeys("abc", False),
    }
    columns = OutputColumns(schema=Schema("csv", ("text",), 0, dialect=Dialect()), **facts)
    rows = Rows([cells[0]], [None], lambda: [cells[:1]])
    expected = io.StringIO(newline="")
    csv.writer(expected, lineterminator="\r\n").writerow(cells)
    assert (
        CSV.write(rows, [[cell] for cell in cells[1:]], columns).decode()
        == expected.getvalue()[:-2] + "\n"
    )


def test_depth_counts_levels() -> None:
    assert [depth(value) for value in (1, [], [[1], {"a": [2]}], {"a": 1})] == [0, 1, 3, 1]
