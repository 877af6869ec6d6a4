"""Runs the commands that README.md and docs/ show, and writes or compares what they print.

    .venv/bin/python tools/outputs.py [PAGE …]             # writes the outputs into the pages
    .venv/bin/python tools/outputs.py --check [PAGE …]     # compares; exit code 1: they differ
    .venv/bin/python tools/outputs.py --check --strict     # on the machine that wrote the pages

A fenced ``console`` block holds ``$ command`` lines, each followed by what it prints to standard
output, or where that is nothing, to standard error. The commands of a page run one after the other
in one empty folder that has the repository's ``examples``, ``export`` and ``benchmarks``. An output
that begins with ``…`` shows the last lines only, one that ends with it the first ones: as many as
it has now. A word behind
``console`` says how an output is compared:

- none: all of it, but for times
- ``near``: of a training, whose sums differ from CPU to CPU, so that another CPU may make another
  model: all words, numbers within a fifth. What differs is said, and an error only with --strict
- ``here``: measured on the machine at hand: the command has to succeed
- ``long``: takes minutes: is left alone without --long
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```console(?: (near|here|long))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CUT = "…"
TIME = re.compile(r"[\d.,]+(?= ?(?:µs|ms|s|h|minutes|rows/s)\b)")
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e-\d+)?")
NEAR = 0.2


def shown(block: str) -> list[tuple[str, str]]:
    """The commands of a block and what stands under each."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
    return [(command, output.strip("\n")) for command, output in zip(parts[1::2], parts[2::2])]


def output_of(command: str, folder: Path) -> str:
    """Return what a command prints at 80 columns. SystemExit where it fails, as none of a page
    does.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/bash", "-c", command], cwd=folder, env={**os.environ, "PATH": path, "COLUMNS": "80"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        said = f"{done.stdout}{done.stderr}ended with {done.returncode}"
        sys.exit(f"{command}\n{said}; the page is left as it is")
    printed = done.stdout or done.stderr
    return printed.strip("\n").replace(f"{folder}/", "").replace(f"{ROOT}/", "")


def cut_like(new: str, old: str) -> str:
    """The new output, as long as the old one where that is cut."""
    lines = new.splitlines()
    before = old.splitlines()
    if before and before[0] == CUT:
        return "\n".join([CUT, *lines[-(len(before) - 1) :]])
    if before and before[-1] == CUT:
        return "\n".join([*lines[: len(before) - 1], CUT])
    return new


def same(old: str, new: str, kind: str | None) -> bool:
    """Whether a page's output is still what the command prints, as far as its kind can say that."""
    if kind == "here":
        return True
    old, new = (TIME.sub("#", text) for text in (old, new))
    if kind is None:
        return old == new
    if NUMBER.sub("#", old).split() != NUMBER.sub("#", new).split():
        return False
    numbers = [[float(n.replace(",", "")) for n in NUMBER.findall(text)] for text in (old, new)]
    return all(abs(a - b) <= NEAR * max(a, b) for a, b in zip(*numbers))


def refreshed(page: Path, *, long: bool, differences: list[tuple[str | None, str]]) -> str:
    """A page with its outputs made anew; what is not as it was is added to ``differences``, with
    its kind.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for linked in ("examples", "export", "benchmarks"):
            (folder / linked).symlink_to(ROOT / linked)

        def block(match: re.Match[str]) -> str:
            kind = match[1]
            if kind == "long" and not long:
                return match[0]
            parts = []
            for command, old in shown(match[2]):
                print(f"{page.relative_to(ROOT)}: {command}", file=sys.stderr)
                new = cut_like(output_of(command, folder), old)
                if not same(old, new, kind):
                    where = f"{page.relative_to(ROOT)}: $ {command}"
                    said = f"{where}\n--- the page\n{old}\n+++ now\n{new}\n"
                    differences.append((kind, said))
                parts.append(f"$ {command}\n{new}".rstrip("\n") + "\n")
            return f"```console{f' {kind}' if kind else ''}\n" + "\n".join(parts) + "```"

        return BLOCK.sub(block, page.read_text(encoding="utf-8"))


def main() -> None:
    """Rewrites the pages, or compares."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    parser.add_argument(
        "--strict", action="store_true", help="what a training prints has to be near, too"
    )
    parser.add_argument("--long", action="store_true", help="run what takes minutes, too")
    given = parser.parse_args()
    differences: list[tuple[str | None, str]] = []
    every = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for page in [path.resolve() for path in given.pages] or every:
        text = refreshed(page, long=given.long, differences=differences)
        if not given.check:
            page.write_text(text, encoding="utf-8")
    if given.check and differences:
        text = (
            "\n".join(said for _, said in differences)
            + "'python tools/outputs.py' writes the pages anew"
        )
        if given.strict or any(kind != "near" for kind, _ in differences):
            sys.exit(text)
        print(f"{text}\nnote: only trainings differ, as they may from CPU to CPU", file=sys.stderr)


if __name__ == "__main__":
    main()
