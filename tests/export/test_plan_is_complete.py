"""The plan is complete: neither a training nor an export has numbers that change its result."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import edge_lstm_export
import pytest
from edge_lstm_export.onnx.export import export
from edge_lstm_export.options import RoundingOptions
from made import make_checkpoint

from edge_lstm.errors import DataError

EXPORT = Path(edge_lstm_export.__file__).parent
FOLDERS = ("train", "graph", "onnx")
# Where the plan's fields and their defaults stand.
DECIDES = {"options.py", "defaults.py", "plan.py"}
# What is read, kept and said, and decides no weight.
READS = {"data.py", "warnings.py", "checkpoint.py", "stages.py", "history.py", "run.py"}
# The operators and tables that a file is made of, and the texts that it is tested with.
FORMAT = {"build.py", "pairs.py", "golden.py"}
# What decides whether a file is written, and nothing in it.
GATES = {"gates.py"}
MODULES = [
    path
    for folder in FOLDERS
    for path in sorted((EXPORT / folder).rglob("*.py"))
    if path.name not in DECIDES | READS | FORMAT | GATES and path.parent.name != "sources"
]
# "imported": of networks that were trained elsewhere, which have no plan.
MARKS = ("# tolerance", "# format", "# imported")
# Counts, indexes, signs and halves say how something is computed, not how much of it there is.
PLAIN = {0, 1, 2, -1, 0.5, 1000, 1024}


def numbers(path: Path) -> Iterator[ast.Constant]:
    """The numbers of a module, of classes and of defaults, and the fractions within functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inside = {
        inner
        for function in functions
        for statement in function.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        kinds = (float,) if node in inside else (float, int)
        if isinstance(node, ast.Constant) and type(node.value) in kinds:
            yield node


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(EXPORT)))
def test_a_number_outside_the_plan_is_a_tolerance_and_says_so(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [
        f"{path.name}:{node.lineno}: {node.value}"
        for node in numbers(path)
        if node.value not in PLAIN and not any(mark in lines[node.lineno - 1] for mark in MARKS)
    ]
    assert not found, f"make it a field of the plan, or mark it as one of {MARKS}"


def rounded_by(shape: dict[str, Any], **options: Any) -> bytes:
    """Return the int8 file of an untrained network whose plan has these options."""
    plan = {"rounding": {**asdict(RoundingOptions()), **options}}
    checkpoint = replace(make_checkpoint(**shape), plan=plan)
    return export(checkpoint, quantize="int8").data


TOPICS = {"hidden": 0, "embedding_dim": 0, "ngram_words": 196, "ngram_dim": 20, "labels": 20}


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ({"embedding_dim": 16, "hidden": 4}, {"passes": 1}),
        (TOPICS, {"book_passes": 1}),
        (TOPICS, {"book_sample": 300}),
    ],
)
def test_an_export_rounds_as_the_plan_of_its_checkpoint_says(
    shape: dict[str, Any], options: dict[str, Any]
) -> None:
    usual = export(replace(make_checkpoint(**shape), plan={"kind": "short"}), quantize="int8").data
    assert rounded_by(shape) == usual
    assert rounded_by(shape, **options) != usual


def test_an_export_refuses_a_plan_that_it_cannot_round_by() -> None:
    with pytest.raises(DataError, match="checkpoint's plan, rounding: passes must be from 1 to"):
        rounded_by({}, passes=0)
