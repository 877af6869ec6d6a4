"""The plan is complete: a training has no numbers of its own that would change its result."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import edge_lstm_export
import pytest

TRAIN = Path(edge_lstm_export.__file__).parent / "train"
# Where the plan's fields and their defaults stand.
DECIDES = {"options.py", "defaults.py", "plan.py"}
# What is read, kept and said, and decides no weight.
READS = {"data.py", "warnings.py", "checkpoint.py", "stages.py", "history.py", "run.py"}
MODULES = [
    path
    for path in sorted(TRAIN.rglob("*.py"))
    if path.name not in DECIDES | READS and path.parent.name != "sources"
]
MARK = "# tolerance:"
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


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(TRAIN)))
def test_a_number_outside_the_plan_is_a_tolerance_and_says_so(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [
        f"{path.name}:{node.lineno}: {node.value}"
        for node in numbers(path)
        if node.value not in PLAIN and MARK not in lines[node.lineno - 1]
    ]
    assert not found, f"make it a field of the plan, or mark it '{MARK} why'"
