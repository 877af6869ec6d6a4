"""Lines and branches of the engine's C that its tests run: ``make -C engine coverage``.

    python tools/c_coverage.py [--missing] [PYTEST_ARGUMENT…]

Every program of the tests is built without optimization and with gcc's counters, and gcov's counts
are added up over all programs. Nothing is inlined (conftest.py): a function's branches count once,
those of lstm_step.h once for each kernel. ``--missing`` lists the branches that no test takes.
Without arguments for pytest: the tests that build a program for this machine, and random damage.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
ENGINE = PROJECT / "engine"
TESTS = [
    *(
        "tests/engine/test_command.py",
        "tests/engine/test_engine.py",
        "tests/engine/test_same_bits.py",
    ),
    *("tests/engine/test_out_of_memory.py::test_each_allocation_of_the_command_fails_once",),
    *("-m", "not emulated", "-k", "not compiler and not webassembly"),
]
Counts = dict[tuple[str, int, int], int]  # file, line and number of a branch, or -1 for the line


def counts_in(folder: Path) -> Counts:
    """Return how often each line and branch of the engine ran, in all programs of ``folder``."""
    counts: Counts = defaultdict(int)
    for data in sorted(folder.rglob("*.gcda")):
        command = ["gcov", "--json-format", "--stdout", "--branch-probabilities", data]
        told = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
        for line in told.stdout.splitlines():
            for file in json.loads(line)["files"]:
                add_file(counts, file)
    return counts


def add_file(counts: Counts, file: dict[str, object]) -> None:
    """Add the counts of one of gcov's files, if it is the engine's."""
    path = (PROJECT / str(file["file"])).resolve()
    if not path.is_relative_to(ENGINE):
        return
    name = str(path.relative_to(ENGINE))
    lines = file["lines"]
    assert isinstance(lines, list)
    seen: dict[int, int] = defaultdict(int)  # branches of a line so far, in all functions of it
    for line in lines:
        number = line["line_number"]
        counts[name, number, -1] += line["count"]
        for branch in line["branches"]:
            counts[name, number, seen[number]] += branch["count"]
            seen[number] += 1


def share(counts: list[int]) -> str:
    """Return how many were run, of how many."""
    run = sum(count > 0 for count in counts)
    return f"{run:>5} of {len(counts):>5} {100 * run / max(1, len(counts)):>6.1f} %"


def show(counts: Counts, *, missing: bool) -> None:
    """Print a line a file, the sum, and the branches that were not taken."""
    names = sorted({name for name, _, _ in counts})
    print(f"{'':24}{'lines':>15}{'branches':>26}")
    for name in [*names, ""]:
        mine = {key: count for key, count in counts.items() if name in ("", key[0])}
        lines = share([count for key, count in mine.items() if key[2] < 0])
        branches = share([count for key, count in mine.items() if key[2] >= 0])
        print(f"{name or 'all':24}{lines}  {branches}")
    if not missing:
        return
    places = sorted({key[:2] for key, count in counts.items() if key[2] >= 0 and not count})
    for name, line in places:
        text = (ENGINE / name).read_text(encoding="utf-8").splitlines()[line - 1].strip()
        print(f"{name}:{line}: {text}")


def main() -> None:
    """The command line."""
    arguments = sys.argv[1:]
    missing = "--missing" in arguments
    asked = [argument for argument in arguments if argument != "--missing"]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "EDGE_LSTM_COVERAGE": folder}
        command = [sys.executable, "-m", "pytest", *(asked or TESTS)]
        tested = subprocess.run(command, cwd=PROJECT, env=environment, check=False)
        counts = counts_in(Path(folder))
    if not counts:
        sys.exit("error: no program of the tests was built; see whether gcc and gcov are there")
    show(counts, missing=missing)
    sys.exit(tested.returncode)


if __name__ == "__main__":
    main()
