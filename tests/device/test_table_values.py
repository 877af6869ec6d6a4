"""Values of rows from one format to another: nothing lost, nothing that is not of the format."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from table_files import read_rows

from edge_lstm import DataError, ReadOptions, ScoreOptions, score_files

pytestmark = pytest.mark.needs("pyarrow")
arrow = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402


def scored(table: Any, target: str, **options: Any) -> list[dict[str, Any]]:
    pq.write_table(table, "in.parquet", use_deprecated_int96_timestamps=False)
    score_files("in.parquet", target, options=ScoreOptions(**options))
    return read_rows(target)


def table(**columns: Any) -> Any:
    length = len(next(iter(columns.values())))
    return arrow.table({"text": ["good"] * length, **columns})


# Arrow has the type since version 18; an older one reads such columns as bytes.
UUIDS = arrow.array([bytes(range(16)), None], arrow.uuid()) if hasattr(arrow, "uuid") else None
UUID_TEXT = "00010203-0405-0607-0809-0a0b0c0d0e0f"
FAR = arrow.array([40_000_000], arrow.int32()).cast(arrow.date32())
TIMES = arrow.array([1000], arrow.timestamp("us"))
# Values, and the JSON that they are.
VALUES = [
    (arrow.array([0.1, 3.0, 1e20, None], arrow.float32()), "[0.1, 3.0, 1e20, null]"),
    (arrow.array([0.1, 3.0, None]), "[0.1, 3.0, null]"),
    (arrow.array([math.nan, math.inf, -math.inf]), '["NaN", "Infinity", "-Infinity"]'),
    (arrow.array([math.nan], arrow.float32()), '["NaN"]'),
    (arrow.array([[math.nan, 1.5], None, []]), '[["NaN", 1.5], null, []]'),
    (arrow.array([[0.5, 0.25]], arrow.list_(arrow.float32(), 2)), "[[0.5, 0.25]]"),
    (
        arrow.StructArray.from_arrays([TIMES], ["when"]),
        '[{"when": "1970-01-01 00:00:00.001000"}]',
    ),
    (arrow.array([1], arrow.timestamp("ns")), '["1970-01-01 00:00:00.000000001"]'),
    (FAR, f'["{FAR.cast(arrow.string())[0]}"]'),
    (arrow.array([{"a": 1}, {"a": None}, None]), '[{"a": 1}, {"a": null}, null]'),
    (
        arrow.array([[("k", 1)], None], arrow.map_(arrow.string(), arrow.int8())),
        '[[["k", 1]], null]',
    ),
    (arrow.array(["a", "b", "a"]).dictionary_encode(), '["a", "b", "a"]'),
    (arrow.array([None], arrow.null()), "[null]"),
    (arrow.array([True, None]), "[true, null]"),
    (arrow.array([b"bytes"]), '["bytes"]'),
]
if UUIDS is not None:
    VALUES.append((UUIDS, f'["{UUID_TEXT}", null]'))
    parts = arrow.StructArray.from_arrays([UUIDS], ["id"])
    VALUES.append((parts, f'[{{"id": "{UUID_TEXT}"}}, {{"id": null}}]'))


@pytest.mark.parametrize(
    ("values", "expected"), VALUES, ids=lambda value: str(getattr(value, "type", ""))
)
def test_a_parquet_value_is_json_whatever_its_type(values: Any, expected: str) -> None:
    rows = scored(table(x=values), "out.jsonl")
    assert [row["x"] for row in rows] == json.loads(expected)
    assert {row["status"] for row in rows} == {"ok"}
    # In CSV the same, where it has parts as JSON.
    rows = scored(table(x=values), "out.csv")
    for row, value in zip(rows, json.loads(expected)):
        assert row["status"] == "ok"
        if isinstance(value, (list, dict)):
            assert json.loads(row["x"]) == value
        elif isinstance(value, str):
            assert row["x"] == value


def test_a_value_that_cannot_be_read_is_one_line() -> None:
    nowhere = table(x=arrow.array([1], arrow.timestamp("us", "No/Where")))
    with pytest.raises(DataError, match=r"values of type timestamp.* cannot be read"):
        scored(nowhere, "out.jsonl")
    assert scored(nowhere, "out.parquet", only_columns=("text", "status"))[0]["status"] == "ok"


def forged(*strings: bytes) -> Any:
    """A column of strings with these bytes, whatever they are."""
    ends = np.cumsum([0, *map(len, strings)], dtype=np.int32)
    buffers = (arrow.py_buffer(ends.tobytes()), arrow.py_buffer(b"".join(strings)))
    return arrow.StringArray.from_buffers(len(strings), *buffers)


def test_a_string_that_is_not_utf8_is_no_traceback() -> None:
    odd = table(x=forged(b"ok", b"\xff\xfe"))
    of_json = scored(odd, "out.jsonl")
    assert of_json[0]["x"] == "ok"
    assert of_json[1]["error"] == "column 'x' is not UTF-8; leave it out with --only-columns"
    assert scored(odd, "out.csv")[1]["x"].encode("utf-8", "surrogateescape") == b"\xff\xfe"
    score_files("in.parquet", "out.parquet")
    kept = pq.read_table("out.parquet")["x"].cast(arrow.binary())
    assert kept.to_pylist() == [b"ok", b"\xff\xfe"]


@pytest.mark.parametrize("target", ["out.parquet", "out.jsonl"])
def test_bytes_of_another_column_that_are_not_utf8_make_an_error_row(target: str) -> None:
    Path("in.csv").write_bytes(b"id,text\ncaf\xe9,good\n2,bad\n")
    summary = score_files("in.csv", target)
    first, second = read_rows(target)
    assert first["error"] == "column 'id' is not UTF-8; leave it out with --only-columns"
    assert (first["label"], first["status"]) == (None, "error")
    assert (second["id"], second["status"]) == ("2", "ok")
    assert summary.errors == 1
    # What is not written is not looked at.
    score_files("in.csv", target, options=ScoreOptions(only_columns=("text", "status")))
    assert [row["status"] for row in read_rows(target)] == ["ok", "ok"]


@pytest.mark.parametrize("target", ["o.csv", "o.parquet", "o.jsonl"])
def test_a_lone_surrogate_gets_the_answer_of_what_it_is_written_as(target: str) -> None:
    halves = ["\ud800 good", "go\udfffod", "\ud83d\ude00 \ude00\ud83d"]
    read_as = ["\ufffd good", "go\ufffdod", "\U0001f600 \ufffd\ufffd"]
    written = []
    for texts in (halves, read_as):
        rows = [json.dumps({"text": text, "key\ud800": text}) + "\n" for text in texts]
        Path("in.jsonl").write_text("".join(rows))
        score_files("in.jsonl", target)
        if target == "o.jsonl":  # which has an escape for it
            columns = ("label", "probability", "status")
            written.append([[row[name] for name in columns] for row in read_rows(target)])
        else:
            written.append(Path(target).read_bytes())
            assert written[-1].count(b"\xef\xbf\xbd") >= 8
    assert written[0] == written[1]


def test_no_rows_are_a_parquet_file_without_rows() -> None:
    Path("in.csv").write_text("id,text\n")
    score_files("in.csv", "out.parquet")
    score_files("out.parquet", "again.parquet", reading=ReadOptions(text_column="text"))
    written = pq.read_table("again.parquet")
    assert written.num_rows == 0
    assert written.column_names[-4:] == [
        f"edge_lstm_{name}" for name in ("label", "probability", "status", "error")
    ]
    assert written.schema.field("probability").type == arrow.float32()
