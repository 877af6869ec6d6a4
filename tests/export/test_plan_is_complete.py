"""The plan is complete: a training has no numbers of its own that would change its result."""

from __future__ import annotations

import ast
import tokenize
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


def numbers(tree: ast.AST) -> Iterator[ast.Constant]:
    """Constants of a module, a class or a default that are numbers, and fractions within
    functions."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or type(node.value) not in (int, float):
            continue
        yield node


def within_functions(tree: ast.Module) -> set[int]:
    """Lines of function bodies."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for statement in node.body:
                lines.update(range(statement.lineno, (statement.end_lineno or 0) + 1))
    return lines


def marked(path: Path) -> set[int]:
    """Lines with the mark of a tolerance."""
    with path.open("rb") as file:
        tokens = tokenize.tokenize(file.readline)
        return {
            token.start[0]
            for token in tokens
            if token.type == tokenize.COMMENT and MARK in token.string
        }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(TRAIN)))
def test_a_number_outside_the_plan_is_a_tolerance_and_says_so(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = within_functions(tree)
    allowed = marked(path)
    found = [
        f"{path.name}:{node.lineno}: {node.value}"
        for node in numbers(tree)
        if node.value not in PLAIN
        and node.lineno not in allowed
        and (node.lineno not in inside or isinstance(node.value, float))
    ]
    assert not found, f"make it a field of the plan, or mark it '{MARK} why'"
