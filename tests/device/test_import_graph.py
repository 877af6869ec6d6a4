"""The import graph of both packages: no circle, and no arrow that runs back up.

Read from the source, with the imports inside functions. Imports for type checkers make no circle
either, but may run back up. A new module stands on the floor of its folder, or is named here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEVICE = ROOT / "edge_lstm"
WORKSTATION = ROOT / "export" / "edge_lstm_export"

# From the top, each package's rooms: one imports from the floors below its own, and from itself.
DEVICE_FLOORS = (
    "__main__",
    "cli __init__",  # __init__: the names of the API, imported when they are asked for
    "scoring evaluation explain doctor latency serving live_page",  # none knows another
    "tables metrics describe",
    "core",
    "system html checked extras",
    "errors printable models _version",
)
WORKSTATION_FLOORS = (
    "cli",
    "estimator train.run",
    "train.fit train.plan",
    "train.components train.teachers train.baseline",
    "train.sparse",
    "train.lstm train.data train.provenance progress",
    "train.calibrate importing onnx",
    "checkpoint train.sources",
    "network digests",
    "options arrays bounded suggest train __init__",
)
# Where the device side hands over to the workstation: a checkpoint to inspect, a data set to
# evaluate on.
HANDS_OVER = {
    "edge_lstm.cli.inspect",
    "edge_lstm.evaluation.sources",
}


def modules(package: Path) -> dict[str, Path]:
    """Dotted name → file; a package is its ``__init__``."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = {**modules(DEVICE), **modules(WORKSTATION)}


def imports(name: str, *, type_checking: bool) -> Iterator[str]:
    """The modules of both packages that a module imports, anywhere in it."""
    path = MODULES[name]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if type_checking else _outside_type_checking(tree):
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


def graph(*, type_checking: bool) -> dict[str, list[str]]:
    """The modules that each module imports."""
    return {
        name: sorted(set(imports(name, type_checking=type_checking)) - {name}) for name in MODULES
    }


GRAPH = graph(type_checking=False)


def test_no_module_imports_itself_round_a_corner() -> None:
    TopologicalSorter(graph(type_checking=True)).prepare()  # CycleError names the circle


def place(name: str, floors: tuple[str, ...]) -> tuple[int, str]:
    """(floor, 0 at the top; what stands there: the module, or else the folder that it is in)"""
    parts = name.split(".")[1:] or ["__init__"]
    known = {room: number for number, rooms in enumerate(floors) for room in rooms.split()}
    names = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((known[found], found) for found in names if found in known)


@pytest.mark.parametrize("package", [DEVICE, WORKSTATION], ids=lambda path: path.name)
def test_every_module_has_a_floor_and_no_arrow_runs_back_up(package: Path) -> None:
    floors = DEVICE_FLOORS if package == DEVICE else WORKSTATION_FLOORS
    own = {name: place(name, floors) for name in modules(package)}
    for name, (floor, room) in own.items():
        for other in own.keys() & set(GRAPH[name]):
            below, theirs = own[other]
            assert floor < below or room == theirs or (floor == below and package != DEVICE), (
                f"{name} → {other}"
            )


def test_nothing_below_the_command_line_knows_it() -> None:
    knows = {
        name.split(".")[1] for name in modules(WORKSTATION) if any(".cli" in o for o in GRAPH[name])
    }
    assert knows <= {"cli"}


def test_the_device_side_hands_over_to_the_workstation_in_three_places() -> None:
    across = {
        name for name in modules(DEVICE) if any(o in modules(WORKSTATION) for o in GRAPH[name])
    }
    assert across <= HANDS_OVER


@pytest.mark.parametrize("package", ["pyarrow", "matplotlib", "ray", "httpx"])
def test_nothing_of_the_device_imports_a_heavy_package_when_it_is_imported(package: str) -> None:
    for name, path in modules(DEVICE).items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert package not in {n.split(".")[0] for n in names}, name


@pytest.mark.parametrize(
    ("package", "modules_"),
    [
        ("uvicorn", {"edge_lstm.serving.server"}),
        ("httpx", {"edge_lstm.serving.upstream"}),
        ("torch", set()),
        ("onnx", set()),
    ],
)
def test_one_module_knows_each_package_of_the_server_and_none_those_of_trainings(
    package: str, modules_: set[str]
) -> None:
    knows = {
        name
        for name, path in modules(DEVICE).items()
        if re.search(rf"^\s*(?:from|import) {package}\b", path.read_text(encoding="utf-8"), re.M)
    }
    assert knows == modules_
