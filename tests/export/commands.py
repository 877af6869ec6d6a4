"""Commands of ``edge-lstm``, as they are typed."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_lstm.cli import main


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def error(self) -> str:
        """The one line that bad input gets."""
        assert self.returncode == 1, self.stderr
        (line,) = self.stderr.splitlines()
        assert line.startswith("error: "), line
        return line


def command(*arguments: str | Path) -> Result:
    """In this process: importing torch anew each time would take most of the time."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["edge-lstm", *map(str, arguments)])
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    assert isinstance(code, int)
    return Result(code, out.getvalue(), err.getvalue())


def train(*arguments: str | Path) -> Result:
    """``edge-lstm train``."""
    return command("train", *arguments)
