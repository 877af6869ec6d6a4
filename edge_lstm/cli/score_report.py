"""What ``edge-lstm score`` shows on standard error: a bar, or lines now and then; the summary."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_lstm import atomic
from edge_lstm.cli.streams import printable, to_json
from edge_lstm.errors import DataError
from edge_lstm.scoring import Progress, Summary
from edge_lstm.signals import held

_LINE_SECONDS = 30.0  # between the lines of a run that nobody watches
_FIRST_ERRORS = 3


class Reporter:
    """Progress of a run. Use it as a context: the bar is gone when it ends."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._on_terminal = sys.stderr is not None and sys.stderr.isatty()
        self._bar: Any = None
        self._task: Any = None
        self._next_line = time.monotonic() + _LINE_SECONDS

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def progress(self, progress: Progress) -> None:
        """Shows how far the run is."""
        if self._quiet:
            return
        if self._on_terminal:
            self._show(progress)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_SECONDS
            say(_line(progress))

    def _show(self, progress: Progress) -> None:
        with held():
            from rich.console import Console
            from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

        if self._bar is None:
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                TaskProgressColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("", total=None)
            self._bar.start()
        counts = progress.summary
        text = f"{counts.rows:,} rows, {counts.rows_per_second:,.0f} rows/s, {counts.errors:,} errors"
        total = None if progress.fraction is None else 1.0
        self._bar.update(self._task, description=text, total=total, completed=progress.fraction or 0.0)

    def interrupted(self, output: str | None) -> None:
        """Says how to go on."""
        if output is None or output == "-":
            say("interrupted")
        else:
            say(f"interrupted; go on with the same command and --resume ({output})")

    def summary(self, summary: Summary) -> None:
        """The end of a run in a few lines."""
        if not self._quiet:
            say("\n".join(_summary_lines(summary)))


def _line(progress: Progress) -> str:
    counts = progress.summary
    part = "" if progress.fraction is None else f" ({100 * progress.fraction:.0f} %)"
    left = ""
    if progress.fraction and counts.seconds:
        # A resumed run starts in the middle: its speed is that of its own rows.
        remaining = counts.rows * (1 / progress.fraction - 1) / max(counts.rows_per_second, 1e-9)
        left = f", {_duration(remaining)} left"
    return f"{counts.rows:,} rows{part}, {counts.rows_per_second:,.0f} rows/s, {counts.errors:,} errors{left}"


def _summary_lines(summary: Summary) -> list[str]:
    where = f" -> {summary.output}" if summary.output not in (None, "-") else ""
    resumed = f", {summary.resumed_at:,} of them before" if summary.resumed_at else ""
    speed = f"({summary.rows_per_second:,.0f} rows/s{resumed})"
    lines = [f"{summary.rows:,} rows{where} in {_duration(summary.seconds)} {speed}"]
    if summary.written != summary.rows:
        lines.append(f"written:  {summary.written:,} rows with a wanted label")
    if summary.labels:
        lines.append("labels:   " + ", ".join(f"{k} {n:,}" for k, n in sorted(summary.labels.items())))
    if summary.below_threshold:
        lines.append(f"unsure:   {summary.below_threshold:,} below the threshold, label left out")
    statuses = {k: n for k, n in sorted(summary.statuses.items()) if k not in ("ok", "error")}
    if statuses:
        lines.append("status:   " + ", ".join(f"{k} {n:,}" for k, n in statuses.items()))
    if summary.errors:
        lines.append(f"errors:   {summary.errors:,} rows without usable text, kept with the reason:")
        shown = summary.first_errors[:_FIRST_ERRORS]
        lines += [f"          {problem.source} row {problem.row}: {problem.error}" for problem in shown]
        if summary.errors > _FIRST_ERRORS:
            lines.append("          ...")
    if summary.added_columns and summary.added_columns[0] != "label":
        lines.append("columns:  " + ", ".join(summary.added_columns))
    return lines


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min {rest:02d} s"


def write_summary(path: Path, summary: Summary) -> None:
    """The summary as a JSON file. Raises OutputError."""
    # A name that is not UTF-8 keeps its bytes, as JSON's own escape.
    atomic.write_atomically(to_json(summary.to_dict(), indent=2) + "\n", path)


def say(text: str) -> None:
    """Lines on standard error."""
    print("\n".join(map(printable, text.split("\n"))), file=sys.stderr, flush=True)


def check_choice(option: str, value: str | None, allowed: Sequence[str]) -> None:
    """DataError where an option has none of its values."""
    if value is not None and value not in allowed:
        raise DataError(f"{option} cannot be {value!r}; choose one of {', '.join(allowed)}")
