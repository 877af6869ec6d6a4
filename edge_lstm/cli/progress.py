"""The progress of a command on standard error: a bar on a terminal, elsewhere lines."""

from __future__ import annotations

import sys
import time
from typing import Any

from edge_lstm.system.signals import held

# Seconds before the bar appears: shorter work needs no bar, nor the import of rich.
_AFTER_SECONDS = 0.5
SILENCE_SECONDS = 2.0  # without a terminal, longer work prints a line
LINE_SECONDS = 30.0  # between two lines without a terminal


class Bar:
    """A text and a bar on standard error.

    A context manager: the bar is redrawn in place and removed at the end. Without a terminal, lines
    are printed.
    """

    def __init__(self, first_line: float) -> None:
        """first_line: seconds before the first line without a terminal."""
        self.is_shown = sys.stderr.isatty()
        self._from = time.monotonic() + (_AFTER_SECONDS if self.is_shown else first_line)
        self._bar: Any = None

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def draw(self, text: str, fraction: float | None) -> None:
        """Show how far the work is.

        text: for a person.
        fraction: of the work, 0 to 1; None if its end is not known.
        """
        if time.monotonic() < self._from:
            return
        if not self.is_shown:
            self._from = time.monotonic() + LINE_SECONDS
            part = "" if fraction is None else f"{fraction:.0%}: "
            print(f"{part}{text}", file=sys.stderr, flush=True)
            return
        if self._bar is None:
            with held():
                from rich.console import Console
                from rich.progress import Progress

            columns: Any = (*Progress.get_default_columns()[1:], "{task.fields[text]}")
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.add_task("", total=None, text="")
            self._bar.start()
        total = None if fraction is None else 1.0
        task = self._bar.task_ids[0]
        self._bar.update(task, text=text, total=total, completed=fraction or 0.0)


class ProgressBar(Bar):
    """A bar with a count, ``label  1,024 of 25,000``."""

    def __init__(self, label: str, total: int) -> None:
        """label: name of the work. total: the last count."""
        super().__init__(SILENCE_SECONDS)
        self._label = label
        self._total = total
        self._done = 0

    def advance(self, count: int) -> None:
        """Add to the count."""
        self._done += count
        text = f"{self._label}  {self._done:,} of {self._total:,}"
        self.draw(text, self._done / self._total if self._total else None)
