"""A line of progress on standard error, on a terminal only."""

from __future__ import annotations

import sys
import time
from types import TracebackType

_SECONDS_BETWEEN = 0.1  # redraws; more often costs time and shows nothing more


class ProgressLine:
    """``label  1,024 of 25,000``, drawn over itself and removed at the end.

    >>> with ProgressLine("evaluating", 25_000) as progress:
    ...     progress.advance(1_024)
    """

    def __init__(self, label: str, total: int) -> None:
        self._label = label
        self._total = total
        self._done = 0
        self._drawn_at = 0.0
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown and self._drawn_at:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def show(self, done: int, total: int) -> None:
        """``done`` of ``total`` are done."""
        self._total = total
        self.advance(done - self._done)

    def advance(self, count: int) -> None:
        """``count`` more are done."""
        self._done += count
        now = time.monotonic()
        if self._shown and now - self._drawn_at >= _SECONDS_BETWEEN:
            self._drawn_at = now
            sys.stderr.write(f"\r\x1b[K{self._label}  {self._done:,} of {self._total:,}")
            sys.stderr.flush()
