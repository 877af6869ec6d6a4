"""The import graph of both packages: no circle, and no arrow that runs back up.

Read from the source, with the imports inside functions and without those for type checkers. A new module
stands on the floor of its folder, or is named here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEVICE, WORKSTATION = ROOT / "edge_lstm", ROOT / "export" / "edge_lstm_export"

# From the top: a module imports from the floors below its own, and from its own room.
FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"__main__"}),
    frozenset({"cli"}),
    frozenset({"scoring", "evaluation", "explain", "doctor", "latency", "live_page"}),  # none knows another
    frozenset({"classifier", "model_card"}),
    frozenset({"modelfile", "tables", "charts"}),
    frozenset({"model_checks", "native"}),
    frozenset(
        {
            "answering",
            "text",
            "machine",
            "metrics",
            "onnx_file",
            "html",
            "atomic",
            "models",
            "extras",
            "signals",
        }
    ),
    frozenset({""}),  # edge_lstm/__init__.py: the names of the API, imported when they are asked for
    frozenset({"errors", "os_file", "printable", "_version"}),
)
# Of the workstation: a module imports from the floors below, and from its own.
WORKSTATION_FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"cli"}),
    frozenset({"estimator", "quickstart", "suggest", "train.run"}),
    frozenset({"train.train", "train.parts", "train.corpus", "train.label_issues"}),
    frozenset({"train.teachers", "onnx"}),
    frozenset(
        f"train.{name}"
        for name in (
            *("plan", "loop", "calibrate", "linear", "ngrams", "word_vectors", "checkpoint"),
            *("sources", "unlabelled", "warnings"),
        )
    ),
    frozenset(
        f"train.{name}"
        for name in ("data", "examples", "network", "vocabulary", "pretrained", "augment", "history")
    ),
    frozenset({"train.options", "train.thresholds", "train.lock", "train", ""}),
)
# Where the device side hands over to the workstation: a checkpoint to inspect, a data set to evaluate on.
HANDS_OVER = {"edge_lstm.cli.inspect", "edge_lstm.evaluation.sources"}


def modules(package: Path) -> dict[str, Path]:
    """Dotted name → file; a package is its ``__init__``."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = {**modules(DEVICE), **modules(WORKSTATION)}


def imports(name: str) -> Iterator[str]:
    """The modules of both packages that a module imports, anywhere in it."""
    path = MODULES[name]
    for node in _outside_type_checking(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in MODULES:
                    yield inner
                elif node.module in MODULES:
                    yield str(node.module)


def _outside_type_checking(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from _outside_type_checking(node)


GRAPH = {name: sorted(set(imports(name)) - {name}) for name in MODULES}


def test_no_module_imports_itself_round_a_corner() -> None:
    TopologicalSorter(GRAPH).prepare()  # CycleError names the circle


def room(name: str) -> str:
    """A module's part of the package: ``edge_lstm.cli.score`` is in the room ``cli``."""
    return name.split(".")[1] if "." in name else ""


def floor(name: str) -> int:
    """0 is the top."""
    return next(i for i, rooms in enumerate(FLOORS) if room(name) in rooms)


def test_every_module_has_a_floor() -> None:
    assert not {room(name) for name in modules(DEVICE)} - {room for rooms in FLOORS for room in rooms}


def test_no_arrow_runs_back_up() -> None:
    assert not [
        f"{name} → {other}"
        for name in modules(DEVICE)
        for other in GRAPH[name]
        if other in modules(DEVICE) and room(other) != room(name) and floor(other) <= floor(name)
    ]


def workstation_floor(name: str) -> int:
    """0 is the top: of a module, or else of the folder that it is in."""
    parts = name.split(".")[1:]
    names = [".".join(parts[:count]) for count in (len(parts), len(parts) - 1)]
    return next(i for found in names for i, rooms in enumerate(WORKSTATION_FLOORS) if found in rooms)


def test_the_workstation_has_seven_floors_and_no_arrow_runs_back_up() -> None:
    assert len(WORKSTATION_FLOORS) == 7
    assert not [
        f"{name} → {other}"
        for name in modules(WORKSTATION)
        for other in GRAPH[name]
        if other in modules(WORKSTATION) and workstation_floor(other) < workstation_floor(name)
    ]


def test_nothing_below_the_command_line_knows_it() -> None:
    for name in modules(WORKSTATION):
        if room(name) not in ("cli", "quickstart"):
            assert not [other for other in GRAPH[name] if room(other) == "cli"], name


def test_the_device_side_hands_over_to_the_workstation_in_two_places() -> None:
    across = {name for name in modules(DEVICE) if any(o in modules(WORKSTATION) for o in GRAPH[name])}
    assert across <= HANDS_OVER


@pytest.mark.parametrize("package", ["torch", "onnx", "pyarrow", "matplotlib", "ray", "zstandard"])
def test_nothing_of_the_device_imports_a_heavy_package_when_it_is_imported(package: str) -> None:
    for name, path in modules(DEVICE).items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert package not in {n.split(".")[0] for n in names}, name
