"""Mutates the code of rooms at random, and counts the changes that their tests notice.

    pip install cosmic-ray
    python tools/mutants.py [ROOM ...] [--sample N] [--seed S]

ROOM: of tests/rooms.toml; all. Cosmic Ray's operators make the mutants: another comparison,
operator or constant, a condition turned round, a loop that does not run. N of each room are drawn;
those that change nothing but annotations are none. Survivors are printed with their line, to be
read one by one: equivalent, a promise without a test, or code that nothing needs. The last lines
are a table for tests/README.md, with the 95 % interval of the share (Wilson).
"""

from __future__ import annotations

import argparse
import ast
import difflib
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from edge_lstm.metrics import wilson_interval  # noqa: E402
from tools.breaks import Break, Copy  # noqa: E402
from tools.room import room_of, rooms  # noqa: E402

# Those whose mutants are mostly no Python, or change nothing that runs.
LEFT_OUT = ("VariableInserter", "VariableReplacer", "RemoveDecorator", "NoOp")


@dataclass(frozen=True)
class Mutant:
    """A change of one place. change: its lines, as diff shows them."""

    file: str
    source: str
    mutated: str

    @property
    def change(self) -> str:
        """The changed lines, old and new."""
        lines = difflib.unified_diff(
            self.source.splitlines(), self.mutated.splitlines(), n=0, lineterm=""
        )
        return "\n".join(line for line in lines if not line.startswith(("---", "+++")))


def python_files(names: list[str]) -> Iterator[Path]:
    """Yield the modules of files and folders."""
    for name in names:
        path = ROOT / name
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def runs(source: str) -> str:
    """Return the code without annotations and docstrings, in one spelling."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return ast.unparse(tree)


def mutants(files: list[str], count: int, rng: random.Random) -> Iterator[Mutant]:
    """Yield mutants of some files, each place of each operator as likely as any other."""
    from cosmic_ray.ast import ast_nodes, get_ast_from_path
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    places = []
    for path in python_files(files):
        nodes = [*ast_nodes(get_ast_from_path(path))]
        for name in operator_names():
            if not any(each in name for each in LEFT_OUT):
                operator = get_operator(name)()
                found = sum(len([*operator.mutation_positions(node)]) for node in nodes)
                places += [(path, name, occurrence) for occurrence in range(found)]
    rng.shuffle(places)
    for path, name, occurrence in places:
        if count == 0:
            return
        source = path.read_text("utf-8")
        mutated = mutate_code(source, get_operator(name)(), occurrence)
        try:
            if mutated is None or runs(mutated) == runs(source):
                continue
        except SyntaxError:
            continue
        count -= 1
        yield Mutant(path.relative_to(ROOT).as_posix(), source, mutated)


def main() -> None:
    """Try the mutants of the rooms of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rooms", nargs="*")
    parser.add_argument("--sample", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    table = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Copy(Path(folder))
        for name in arguments.rooms or rooms():
            room = room_of(name)
            rng = random.Random(f"{name} {arguments.seed}")
            tried = killed = 0
            for mutant in mutants(room["files"], arguments.sample, rng):
                each = Break("", "", mutant.file, mutant.source, mutant.mutated)
                tried += 1
                # A mutant that cannot even be imported is noticed by every test.
                wrong = copy.try_break(each, room["tests"])
                killed += wrong != "stays green"
                if wrong == "stays green":
                    print(f"{name}: {mutant.file}\n{mutant.change}\n", flush=True)
            interval = wilson_interval(killed, tried)
            share = f"{killed / tried:.0%} ({interval.low:.0%} to {interval.high:.0%})"
            table.append(f"| {name} | {tried} | {killed} | {share} |")
            print(table[-1], flush=True)
    print("\n| room | mutants | killed | share |", "|---|---:|---:|---:|", *table, sep="\n")


if __name__ == "__main__":
    main()
