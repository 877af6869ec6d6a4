"""Commands, of ``edge-lstm`` as they are typed and of others."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hostile import run_here


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def error(self) -> str:
        """The one line that bad input gets, behind the stages that a slow machine shows."""
        assert self.returncode == 1, self.stderr
        *_, line = self.stderr.splitlines()
        assert line.startswith("error: "), line
        return line


def command(*arguments: str | Path) -> Result:
    """In this process: importing torch anew each time would take most of the time."""
    done = run_here([*map(str, arguments)])
    return Result(done.exit, done.stdout.decode(), done.stderr.decode())


def json_of(*arguments: str | Path) -> Any:
    """What a command prints with ``--json``."""
    return json.loads(command(*arguments, "--json").stdout)


def inspected(path: str | Path) -> Any:
    """What ``edge-lstm inspect`` says of a checkpoint or a model file."""
    return json_of("inspect", "-m", path)


def train(*arguments: str | Path) -> Result:
    """``edge-lstm train``."""
    return command("train", *arguments)


@cache
def help_of(*names: str) -> str:
    """What ``--help`` shows, of a command or of all."""
    return command(*names, "--help").stdout


def parameters(name: str) -> list[str]:
    """The options of a command, by their long names, and its arguments, as its help lists them."""
    line = r"^  (?:-\w, )?(--[\w-]+|\[?[A-Z]{2,})\S*(?: \S+){0,2}(?:  |$)"
    return re.findall(line, help_of(name), re.MULTILINE)


COMMANDS = re.findall(r"^  ([a-z]+)  ", help_of().partition("Commands:")[2], re.MULTILINE)


def finished(line: Sequence[Any], **options: Any) -> subprocess.CompletedProcess[str]:
    """A process that has run, with the texts of its streams."""
    return subprocess.run(line, capture_output=True, text=True, **options)
