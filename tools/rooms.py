"""The rooms of both packages, drawn from their imports into CONTRIBUTING.md.

    python tools/rooms.py [--check]
    python tools/rooms.py ROOM

A room is a folder, or a file beside folders. A floor above the ground is one more than the highest
floor that a room imports. ``--check`` compares instead, and says what to run. With a ROOM, such as
``edge_lstm.core``, it prints which names others import of it, and which rooms these are.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "CONTRIBUTING.md"
PACKAGES = {
    "edge_lstm": ROOT / "edge_lstm",
    "edge_lstm_export": ROOT / "export" / "edge_lstm_export",
}
BEGIN = "<!-- rooms: python tools/rooms.py -->\n"
END = "<!-- end of rooms -->\n"
# Folders that are divided into rooms themselves.
DIVIDED = {"edge_lstm_export.train"}


def modules() -> dict[str, Path]:
    """Dotted name → file; a package is its ``__init__``."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            inner = path.relative_to(folder).with_suffix("").parts
            parts = inner[:-1] if inner[-1] == "__init__" else inner
            found[".".join((package, *parts))] = path
    return found


MODULES = modules()


def room_of(module: str) -> str:
    """Return the room that a module is in: the folder or the file that its package has."""
    parts = module.split(".")
    deep = 3 if ".".join(parts[:2]) in DIVIDED else 2
    return ".".join(parts[:deep])


def imports(module: str) -> Iterator[tuple[str, str]]:
    """Yield the names that a module imports from others, with the module that each is in."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            if inner in MODULES:
                yield inner, alias.name
            elif node.module in MODULES:
                yield str(node.module), alias.name


def floors(graph: Mapping[str, set[str]]) -> dict[str, int]:
    """Return the floor of each room, 1 on the ground. CycleError names a circle."""
    found: dict[str, int] = {}
    for room in TopologicalSorter(graph).static_order():
        found[room] = 1 + max((found[other] for other in graph[room]), default=0)
    return found


def purpose(room: str) -> str:
    """Return the first sentence of what a room says of itself."""
    docstring = ast.get_docstring(ast.parse(MODULES[room].read_text(encoding="utf-8"))) or ""
    first = docstring.split("\n\n")[0].replace("\n", " ")
    return first.split(". ")[0].rstrip(".")


def drawn(package: str) -> str:
    """Return a package's rooms as a table, the highest floor first."""
    own = {name for name in MODULES if name.split(".")[0] == package}
    graph: dict[str, set[str]] = {room_of(name): set() for name in own}
    for module in own:
        for other, _ in imports(module):
            if other in own and room_of(other) != room_of(module):
                graph[room_of(module)].add(room_of(other))
    lines = ["| floor | room | what it is for |", "|---|---|---|"]
    for room, floor in sorted(floors(graph).items(), key=lambda each: (-each[1], each[0])):
        if room in {package, *DIVIDED}:
            continue
        path = room.removeprefix(f"{package}.").replace(".", "/")
        kind = "/" if MODULES[room].name == "__init__.py" else ".py"
        lines.append(f"| {floor} | `{path}{kind}` | {purpose(room)} |")
    return "\n".join(lines) + "\n"


def taken(room: str) -> str:
    """Return the names that other rooms import of a room, a line each, with these rooms."""
    users: dict[str, set[str]] = defaultdict(set)
    for module in MODULES:
        for other, name in imports(module):
            if room_of(other) == room and room_of(module) != room:
                users[name].add(room_of(module))
    return "\n".join(f"{name}: {', '.join(sorted(users[name]))}" for name in sorted(users))


def section() -> str:
    """Return the part of CONTRIBUTING.md between its marks."""
    device, workstation = (drawn(package) for package in PACKAGES)
    return (
        f"{BEGIN}\nThe device, `edge_lstm/`:\n\n{device}\nThe workstation, "
        f"`export/edge_lstm_export/`:\n\n{workstation}\n{END}"
    )


def main() -> None:
    """Write the section, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="compare; exit code 1 if it differs")
    parser.add_argument("room", nargs="?", help="print what others import of it")
    asked = parser.parse_args()
    if asked.room:
        print(taken(asked.room) or sys.exit(f"nothing is imported of a room {asked.room!r}"))
        return
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    new = before + section() + after
    if asked.check and new != page:
        sys.exit("CONTRIBUTING.md shows other rooms than the code has; run: python tools/rooms.py")
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
