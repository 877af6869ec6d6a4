"""Runs the commands that README.md shows and writes their real output under them.

A fenced ``console`` block holds ``$ command`` lines, each followed by its output. ``console long`` blocks
(a training that takes minutes) are left as they are unless --long is given.

    .venv/bin/python tools/readme_outputs.py
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"^```console( long)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def output_of(command: str) -> str:
    """What a person sees of a command in a pipe at 80 columns. Exits where the command fails: the README
    shows none that does, and is left as it is."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/bash", "-c", command],
        cwd=ROOT,
        env={**os.environ, "PATH": path, "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{command}\n{done.stdout}ended with {done.returncode}; README.md is left as it is")
    return done.stdout.rstrip("\n").replace(f"{ROOT}/", "")


def refreshed(match: re.Match[str], *, long: bool) -> str:
    """One block with its outputs made anew."""
    if match[1] and not long:
        return match[0]
    commands = [line for line in match[2].splitlines() if line.startswith("$ ")]
    parts = []
    for command in commands:
        print(command, file=sys.stderr)
        parts.append(f"{command}\n{output_of(command[2:])}".rstrip("\n") + "\n")
    return f"```console{match[1] or ''}\n" + "\n".join(parts) + "```"


def main() -> None:
    """Rewrites README.md."""
    long = "--long" in sys.argv[1:]
    text = README.read_text(encoding="utf-8")
    README.write_text(BLOCK.sub(lambda match: refreshed(match, long=long), text), encoding="utf-8")


main()
