"""The tests by folder, for tests/README.md.

    python tools/count_tests.py [--write]

Counts functions, each of which pytest may run with many parameters. ``--write`` puts the table into
the page, between its two marks.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PAGE = PROJECT / "tests" / "README.md"
BEGIN = "<!-- python tools/count_tests.py --write -->"
END = "<!-- end -->"
FOLDERS = {
    "device": "the package on a device: texts, files, answers, scoring, serving, latency",
    "export": "the workstation: plans, training, importing, export",
    "end_to_end": "commands from start to end: hostile inputs, kills, full disks, documents",
    "engine": "the C: bits, memory, damage, the wheel",
    "ports": "the file format, NumPy's program, JavaScript, the page in a browser",
}


def tests_in(path: Path) -> Iterator[ast.FunctionDef]:
    """Yield the test functions of a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node


def counts() -> dict[str, int]:
    """Return the number of test functions by folder."""
    found = {}
    for folder in FOLDERS:
        files = (PROJECT / "tests" / folder).glob("test_*.py")
        found[folder] = sum(len(list(tests_in(path))) for path in files)
    return found


def table() -> str:
    """Return the table of the page."""
    lines = ["| `tests/` | functions | what they try |", "|---|---:|---|"]
    found = counts()
    lines += [f"| `{name}` | {found[name]} | {what} |" for name, what in FOLDERS.items()]
    return "\n".join([*lines, f"| all | {sum(found.values())} | |"])


def main() -> None:
    """The command line."""
    if "--write" not in sys.argv[1:]:
        print(table())
        return
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
