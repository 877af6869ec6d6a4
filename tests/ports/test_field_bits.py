"""Rows with fields: the engine, WebAssembly, NumPy and Python read 2,000 hostile rows alike."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import reference
import reference_checks

from edge_lstm import Classifier, DataError
from edge_lstm.core import onnx_file
from edge_lstm.core.fields import FIRST_WORD, Field, Fields
from edge_lstm.core.text import front_coded, front_decoded, uncoded
from edge_lstm.printable import well_formed
from tests.engine.conftest import Compile, answers, compiled, finished, program  # noqa: F401
from tests.model_files import DATA, compact, edited
from tests.ports.conftest import TOLERANCE
from tests.ports.test_javascript import in_node, needs_node

ROWS = 2000
FIELDS = Fields(
    (
        Field("t"),
        Field("n", "number", known=(-1.5, 0.0, 1.0, 2.5, 1e22, 1e308)),
        Field("c", "category", known=("a", "1", 'é"\\', "true", "1e2")),
        Field("a.b", "number", known=(0.1, 0.30000000000000004)),
        Field("l", "number", "length", known=(0, 2, 5)),
        Field("l", "number", "least", known=(-1, 0.5)),
        Field("l", "number", "greatest", known=(1, 100)),
        Field("l", "number", "sum", known=(-0.000001, 0.3, 7.25, 1e11)),
        Field("l"),
        Field("o.p.q", "number", "sum", known=(1, 2)),
        Field("d", "number", known=("1970-01-01", "1970-01-02T01:00+01:00", 1.7e9)),
    ),
    ((1, 3), (1, 5), (10, 1), (6, 7)),
)
# fmt: off
NUMBERS = [
    "0", "-0", "-0.0", "1", "1.0", "10e-1", "2.5", "2.50", "25e-1", "2.4999999999999999999999",
    "2.5000000000000000000001", "1e308", "1e309", "1e400", "-1e400", "5e-324", "1e-400", "0.1",
    "0.30000000000000004", "0.30000000000000005", "1e22", "9999999999999999999999", "1e99999999",
    "1e999999999", "1e-99999999", "0e999999999", "0e99999999", "999999999999.9999999",
    "1000000000000", "-1.50",
    "0.000001", "0.0000009999", "7.25", "86400", "100", "1E2", "1" + "0" * 300,
    "3." + "14159" * 200, "9" * 10_000,
]
NO_NUMBERS = ["01", "1.", "-", ".5", "+1", "1e", "NaN", "Infinity", "0x10", "--1", "1e+"]
TEXTS = [
    "", "a", "1", "1.0", "a wonderful film", 'é"\\', "true", "NaN", "1,5", " 2.5 ", "007", "1e2",
    "1970-01-01", "1970-01-02T00:00:00", "2024-02-29", "2023-02-29", "1970-01-01T00:00:01+00:01",
    "1970-01-01T00:00:00.999Z", "1970-01-01 23:59", "1970-13-01", "0000-01-01", "0001-01-01",
    "9999-12-31T23:59:59-23:59", "1970-01-01T24:00", "1970-01-01T00:00:60", "1" * 64, "1" * 65,
    "ΑΣ", "Σ", "İ", chr(FIRST_WORD + 3), "日本", "\ud83c", "\ud83c\udfac", "\udfac\ud83c", "\t",
]
KEYS = ["t", "n", "c", "a", "a.b", "b", "l", "o", "p", "q", "o.p", "d", "x", "", "T", "\\u006e"]
# fmt: on


class Rows:
    """Rows of JSON, and what is nearly that."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)

    def row(self) -> str:
        """A row, a damaged one, a deep one or a text."""
        chance = self.draw.random()
        if chance < 0.03:
            depth = self.draw.choice([30, 31, 32, 5000])
            return f'{{"n":{"[" * depth}1{"]" * depth}}}'
        if chance < 0.06:
            return self.draw.choice(TEXTS)
        row = self.object(0)
        if chance < 0.2:
            place = self.draw.randrange(len(row))
            more = self.draw.choice(["", *'{}[],:"\\ 0x\x01', *NO_NUMBERS])
            row = row[:place] + more + row[place + 1 :]
        return row

    def space(self) -> str:
        return self.draw.choice(["", "", " ", "\n", "\t ", "\r\n"])

    def object(self, depth: int) -> str:
        keys = self.draw.choices(KEYS, k=self.draw.choice([0, 1, 2, 4, 8]))
        parts = [f'{self.space()}"{key}":{self.value(depth)}{self.space()}' for key in keys]
        return "{" + ",".join(parts) + "}"

    def value(self, depth: int) -> str:
        chance = self.draw.random()
        if chance < 0.3 or depth == 5:
            return self.draw.choice(NUMBERS)
        if chance < 0.6:
            text = self.draw.choice(TEXTS)
            return json.dumps(text, ensure_ascii=self.draw.random() < 0.5)
        if chance < 0.68:
            return self.draw.choice(["null", "true", "false"])
        if chance < 0.85:
            items = [self.value(depth + 1) for _ in range(self.draw.choice([0, 1, 3, 6]))]
            return "[" + f"{self.space()},".join(items) + "]"
        return self.object(depth + 1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with these fields, whose words have the ids of its last words."""
    vocabulary = uncoded(onnx_file.parse(DATA).metadata["edge_lstm.vocabulary"], 10**6)
    entries = [*front_decoded(vocabulary, 10**6)]
    words = sum(each.words for each in FIELDS.fields) + 3 * len(FIELDS.pairs)
    entries[-words:] = [chr(FIRST_WORD + number) for number in range(words)]
    changes = {"fields": compact(FIELDS.to_dict()), "vocabulary": front_coded(entries)}
    path = tmp_path_factory.mktemp("fields") / "m.onnx"
    path.write_bytes(edited({**changes, "golden": None}))
    return path


@pytest.fixture(scope="module")
def rows() -> list[str]:
    source = Rows(0)
    made = [well_formed(source.row()) for _ in range(ROWS)]
    return [*made, json.dumps({f"k{i}": {"a": [i]} for i in range(10_000)})]


def test_engine_and_python_read_hostile_rows_alike(
    model: Path,
    rows: list[str],
    program: list[str],  # noqa: F811
) -> None:
    classifier = Classifier.load(model)
    statuses, ids, bits = answers(program, model, texts=[row.encode() for row in rows])
    found = bits.view(np.float32)
    readable = [i for i, status in enumerate(statuses) if status != "error"]
    assert ROWS // 2 < len(readable) < len(rows) - ROWS // 20
    for i, row in enumerate(rows):
        if i not in readable:
            assert not found[i].any()
            with pytest.raises(DataError):
                classifier.model.as_text(row)
            continue
        encoded = classifier.model.tokenizer.encode_text(classifier.model.as_text(row))
        expected = ",".join(map(str, encoded.ids))
        assert (statuses[i], ids[i].split(";")[0]) == (encoded.status, expected), row[:200]
    answered = classifier.probabilities([rows[i] for i in readable])
    assert np.abs(answered - found[readable]).max() <= TOLERANCE


def test_the_reference_reads_them_alike(model: Path, rows: list[str]) -> None:
    fields = Classifier.load(model).model.fields
    read = reference_checks.read(model.read_bytes())
    assert fields is not None
    for row in rows:
        try:
            expected = str(fields.read(row))
        except DataError:
            with pytest.raises(reference.ModelError):
                reference.row_text(read, row)
        else:
            assert reference.row_text(read, row) == expected, row[:200]


@needs_node
def test_webassembly_gives_the_bits_of_the_engine(
    model: Path,
    rows: list[str],
    program: list[str],  # noqa: F811
) -> None:
    statuses, _, bits = answers(program, model, texts=[row.encode() for row in rows])
    kept = [i for i, status in enumerate(statuses) if status != "error"]
    broken = next(i for i, status in enumerate(statuses) if status == "error")
    result, refused = in_node(
        [
            {"path": str(model), "texts": [rows[i] for i in kept]},
            {"path": str(model), "texts": [rows[broken]]},
        ]
    )
    told = [[p for _, p in answer["probabilities"]] for answer in result["answers"]]
    assert (np.array(told, np.float32).view(np.uint32) == bits[kept]).all()
    assert "is not the JSON object of fields" in refused["error"] and not refused["refused"]


def test_the_command_in_c_refuses_what_is_no_row(
    model: Path,
    compiled: Compile,  # noqa: F811
) -> None:
    engine = Path(__file__).parents[2] / "engine"
    sources = [str(engine / "main.c"), str(engine / "edge_lstm.c")]
    command = str(compiled("gcc", "-std=c99", "-O1", sources=sources))
    done = finished([command, model, '{"t":'])
    assert done.returncode != 0 and "not the JSON object" in done.stderr
    assert finished([command, model, '{"t":"a film","n":2}']).stdout.count("\t") == 2
