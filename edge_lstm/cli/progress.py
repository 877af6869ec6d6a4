"""The progress of a command on standard error: one line that changes."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any

# Seconds before the first line on a terminal: shorter work shows none.
AFTER_SECONDS = 0.5
SILENCE_SECONDS = 2.0  # without a terminal, longer work prints a line
LINE_SECONDS = 30.0  # between two lines without a terminal


class ProgressLine:
    """How far the work is. A context manager: on a terminal, the line is gone at the end.

    It has no thread, which would draw while a clock runs.
    """

    def __init__(self, first_line: float = SILENCE_SECONDS) -> None:
        """first_line: seconds before the first line without a terminal."""
        self._is_terminal = sys.stderr.isatty()
        self._next = time.monotonic() + (AFTER_SECONDS if self._is_terminal else first_line)
        self._shown = ""

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._change("")

    def draw(self, text: str, fraction: float | None) -> None:
        """Show how far the work is.

        text: for a person.
        fraction: of the work, 0 to 1; None if its end is not known.
        """
        now = time.monotonic()
        if now < self._next:
            return
        line = text if fraction is None else f"{fraction:.0%}: {text}"
        if self._is_terminal:
            self._next = now + 0.1
            self._change(line[: shutil.get_terminal_size().columns - 1])
        else:
            self._next = now + LINE_SECONDS
            print(line, file=sys.stderr, flush=True)

    def _change(self, line: str) -> None:
        print(f"\r{'':<{len(self._shown)}}\r{line}", end="", file=sys.stderr, flush=True)
        self._shown = line


class ProgressCount(ProgressLine):
    """The same with a count, ``label  1,024 of 25,000``."""

    def __init__(self, label: str, total: int) -> None:
        """label: name of the work. total: the last count."""
        super().__init__()
        self._label = label
        self._total = total
        self._done = 0

    def advance(self, count: int) -> None:
        """Add to the count."""
        self._done += count
        text = f"{self._label}  {self._done:,} of {self._total:,}"
        self.draw(text, self._done / self._total if self._total else None)
