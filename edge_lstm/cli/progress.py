"""How far a command is, on standard error: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time
from typing import Any

from edge_lstm.signals import held

# what is done by then needs no bar, nor the time that rich takes to be imported
_AFTER_SECONDS = 0.5
SILENCE_SECONDS = 2.0  # through a pipe; longer work says what it does
LINE_SECONDS = 30.0  # between the lines of a run that nobody watches


class Bar:
    """A text and a bar, drawn over itself and gone at the end; a context. Without a terminal a
    line, first after ``first_line`` seconds."""

    def __init__(self, first_line: float) -> None:
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
        """fraction: of the work that is done, None where its end is not known."""
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
        self._bar.update(self._bar.task_ids[0], text=text, total=total, completed=fraction or 0.0)


class ProgressBar(Bar):
    """``label  1,024 of 25,000`` and a bar."""

    def __init__(self, label: str, total: int) -> None:
        super().__init__(SILENCE_SECONDS)
        self._label, self._total, self._done = label, total, 0

    def advance(self, count: int) -> None:
        """``count`` more are done."""
        self._done += count
        text = f"{self._label}  {self._done:,} of {self._total:,}"
        self.draw(text, self._done / self._total if self._total else None)
