"""Samples of one setting, bounded however long it runs: of every two passes over the texts one is dropped.

What is dropped are whole passes, so that what is kept holds every text equally often, and neighbours in what
is kept are the texts of one pass: the intervals of :mod:`edge_lstm.latency.statistics` rely on it.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TextIO

import numpy as np
import numpy.typing as npt

from edge_lstm.atomic import is_stream, open_stream, write_error
from edge_lstm.latency.settings import Setting
from edge_lstm.os_file import NO_FOLLOW

# Samples kept: 20,000 leave 200 beyond p99. Longer runs keep every 2nd, 4th … pass over the texts.
CAPACITY = 20_000
BLOCKS = 1000  # times of whole blocks kept, for ratios
MINUTE_S = 60.0
CSV_HEADER = "setting,block_started_s,text,tokens,encode_us,run_us\n"


@dataclass(frozen=True)
class Minute:
    """One minute of a long run: the median of its runs and the machine at its end."""

    minute: int
    runs: int
    p50_us: float
    mhz: float | None
    temperature_c: float | None


@dataclass
class Samples:
    """What was timed, in the order of time; a row is one run (one batch).

    text: int64 [n], the text's number, -1 in batches; tokens: int64 [n], of the whole run;
    encode_us, run_us: float64 [n], text → ids and ids → probabilities.
    """

    text: npt.NDArray[np.int64]
    tokens: npt.NDArray[np.int64]
    encode_us: npt.NDArray[np.float64]
    run_us: npt.NDArray[np.float64]

    @property
    def both_us(self) -> npt.NDArray[np.float64]:
        """Text → probabilities: float64 [n]."""
        return self.encode_us + self.run_us


@dataclass
class Block:
    """One block of one setting: int64 [runs, 4] (text, tokens, encode ns, run ns), and its CPU time."""

    rows: npt.NDArray[np.int64]
    cpu_ns: int
    started_ns: int

    @property
    def total_ns(self) -> int:
        """Time of all its runs, pauses left out."""
        return int(self.rows[:, 2:].sum())


@dataclass(frozen=True)
class BlockTime:
    """A block's number (the same number, the same texts), and all its runs together."""

    number: int
    total_ns: int
    tokens: int


@dataclass
class Recorder:
    """Takes blocks, keeps a bounded number of samples spread evenly over time, counts everything.

    block_texts: texts in a block; pass_runs: runs in which every text comes once, kept or dropped together.
    every: of so many passes, one is kept.
    """

    block_texts: int
    pass_runs: int
    capacity: int = CAPACITY
    runs: int = 0
    blocks: int = 0
    total_ns: int = 0
    cpu_ns: int = 0
    max_ns: int = 0
    every: int = 1
    minutes: list[Minute] = field(default_factory=list)
    _passes: list[npt.NDArray[np.int64]] = field(default_factory=list)  # of each kept run, its pass's number
    _rows: list[npt.NDArray[np.int64]] = field(default_factory=list)
    _kept: int = 0
    _block_times: list[BlockTime] = field(default_factory=list)
    _every_block: int = 1
    _minute: list[npt.NDArray[np.int64]] = field(default_factory=list)

    def add(self, block: Block) -> None:
        """One more block."""
        both = block.rows[:, 2] + block.rows[:, 3]
        self.total_ns += block.total_ns
        self.cpu_ns += block.cpu_ns
        self.max_ns = max(self.max_ns, int(both.max()))
        self._minute.append(both)
        if self.blocks % self._every_block == 0:
            time = BlockTime(self.blocks, block.total_ns, int(block.rows[:, 1].sum()))
            self._block_times.append(time)
            if len(self._block_times) > BLOCKS:
                self._every_block *= 2
                self._block_times = [one for one in self._block_times if one.number % self._every_block == 0]
        self.blocks += 1
        passes = (self.runs + np.arange(len(both))) // self.pass_runs
        self.runs += len(both)
        self._keep(passes, block.rows)
        # The pass that runs now stays, however large: it is the only one there is.
        while self._kept > self.capacity and passes[-1] >= self.every:
            self.every *= 2
            earlier = zip(self._passes, self._rows)
            self._passes, self._rows, self._kept = [], [], 0
            for numbers, rows in earlier:
                self._keep(numbers, rows)

    def _keep(self, passes: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> None:
        """Takes those runs whose pass is one of every ``every``."""
        kept = passes % self.every == 0
        if kept.any():
            self._passes.append(passes[kept])
            self._rows.append(rows[kept])
            self._kept += int(kept.sum())

    def end_minute(self, mhz: float | None, temperature_c: float | None) -> None:
        """Closes a minute: all its runs count, kept or not."""
        if self._minute:
            both = np.concatenate(self._minute)
            p50 = float(np.median(both)) / 1e3
            self.minutes.append(Minute(len(self.minutes) + 1, len(both), p50, mhz, temperature_c))
            self._minute = []

    def samples(self) -> Samples:
        """The kept samples."""
        rows = np.concatenate([np.empty((0, 4), np.int64), *self._rows])
        return Samples(rows[:, 0], rows[:, 1], rows[:, 2] / 1e3, rows[:, 3] / 1e3)

    def block_times(self) -> dict[int, float]:
        """Time per text of each kept block, in µs, by the block's number: the same number, the same texts."""
        return {one.number: one.total_ns / 1e3 / self.block_texts for one in self._block_times}

    def block_times_per_token(self) -> npt.NDArray[np.float64]:
        """Time per token of each kept block, in µs: float64 [blocks]."""
        return np.array([one.total_ns / 1e3 / one.tokens for one in self._block_times])


class CsvStream:
    """A CSV file of every run, none left out. What was written stays when the measurement is cut off.

    Raises OutputError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first_ns: int | None = None
        try:
            self._file = _opened(path)
            self._file.write(CSV_HEADER)
        except OSError as error:
            raise write_error(path, error) from None

    def write(self, setting: Setting, block: Block) -> None:
        """One block of one setting. text is empty in batches."""
        if self._first_ns is None:
            self._first_ns = block.started_ns
        name = setting.name
        if any(sign in name for sign in '",\r\n'):
            name = '"' + name.replace('"', '""') + '"'
        start = f"{name},{(block.started_ns - self._first_ns) / 1e9:.6f}"
        lines = [
            f"{start},{'' if text < 0 else text},{tokens},{encode / 1e3:.3f},{run / 1e3:.3f}\n"
            for text, tokens, encode, run in block.rows.tolist()
        ]
        try:
            self._file.writelines(lines)
            self._file.flush()
        except OSError as error:
            raise write_error(self._path, error) from None

    def __enter__(self) -> CsvStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError as error:
            # What could not be written is tried once more on closing: the first error is the one to tell.
            if value is None:
                raise write_error(self._path, error) from None


def _opened(path: Path) -> TextIO:
    """The file, made anew: a link under its name is replaced, what it points to stays as it is."""
    if is_stream(path):
        return io.TextIOWrapper(io.BufferedWriter(open_stream(path)), "utf-8", "replace", newline="")
    if path.is_symlink():
        path.unlink()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | NO_FOLLOW, 0o666)
    return os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="")
