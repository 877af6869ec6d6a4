"""Rows with odd numbers and odd JSON: the engine, Python and the specification read the same."""

from __future__ import annotations

import json
import random
from pathlib import Path

import onnx
import pytest
import reference
import reference_checks

from edge_lstm import DataError
from edge_lstm.core.modelfile import open_model
from tests.engine.conftest import answers
from tests.model_files import sealed

FILE = Path(__file__).parents[1] / "data" / "format" / "fields.int8.onnx"
VALUES = [
    "1", "2", "1.0", "2.00000000000000000000000001", "-0", "0e5", "1e308", "5e-324", "1e400",
    "-1e99999999", "1e999999999", "1" + "0" * 10_000, '"NaN"', '"1e400"', '"007"', '" 2 "', '"1,5"',
    '"2026-02-30"', '"1970-01-01T00:00:01"', '"1970-01-01 01:00+01:00"', "true", "null", '""', "[]",
    "[1,2.5,-1e12]", "[[1],[2]]", "[1e-7,[],null]", '[{"size":2},{"size":"a"}]', '{"size":2}',
    '"a"', '"\\u0061"', '"b c"', '"\\ud800"', '"\U000f0003"', "[" * 31 + "]" * 31,
]  # fmt: skip
WRONG = ["01", "NaN", "1e", "+1", ".5", '"\x01"', '"\\x"', "{", "[1,]", "[" * 32 + "]" * 32]
KEYS = ["text", "size", "kind", "x", "si\\u007ae"]
WITH_LISTS = {
    "fields": [
        {"name": "text", "kind": "text"},
        {"name": "size", "kind": "number", "edges": []},
        {"name": "size", "kind": "number", "part": "sum", "edges": []},
    ],
    "pairs": [[1, 2]],
}


def hostile_row(draw: random.Random) -> str:
    """An object of any keys, often twice, and any values; one in ten has a wrong value."""
    values = VALUES if draw.random() < 0.9 else VALUES + 10 * WRONG
    members = [f'"{draw.choice(KEYS)}": {draw.choice(values)}' for _ in range(draw.randint(0, 6))]
    return "{" + ",\t".join(members) + "}" + " " * draw.randint(0, 1)


@pytest.mark.parametrize("fields", [None, WITH_LISTS], ids=["values", "lists and a pair"])
def test_hostile_rows_are_read_alike(
    fields: dict[str, object] | None, program: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "m.onnx"
    model = onnx.load(FILE)
    for entry in model.metadata_props:
        if entry.key == "edge_lstm.fields" and fields is not None:
            entry.value = json.dumps(fields, separators=(",", ":"))
    assert model.metadata_props.pop().key == "edge_lstm.digest"
    path.write_bytes(sealed(model.SerializeToString()))
    draw = random.Random(7)
    rows = [hostile_row(draw) for _ in range(2000)]
    rows.append("{" + ",".join(f'"k{i}": [{i}]' for i in range(10_000)) + ',"size": 2}')
    own = open_model(path)
    specified = reference_checks.read(path.read_bytes())
    statuses, found, _ = answers(program, path, texts=[row.encode() for row in rows])
    refused = 0
    for row, status, line in zip(rows, statuses, found):
        ids = [int(i) for i in line.partition(";")[0].split(",") if i]
        try:
            read = own.tokenizer.encode_text(own.as_text(row))
        except DataError:
            refused += 1
            with pytest.raises(reference.ModelError):
                reference.row_text(specified, row)
            assert status not in ("ok", "truncated", "unknown_words"), row
            continue
        assert ids == list(read.ids), row
        assert (ids, status) == reference.encode(specified, reference.row_text(specified, row)), row
    assert 50 < refused < 500
