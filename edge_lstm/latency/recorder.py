"""Samples of one setting, bounded however long it runs: every other block is dropped when full."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

# Samples kept: 20,000 leave 200 beyond p99. Longer runs keep every 2nd, 4th … block of texts.
CAPACITY = 20_000
MINUTE_S = 60.0


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


@dataclass
class Recorder:
    """Takes blocks, keeps a bounded number of samples spread evenly over time, counts everything."""

    block_texts: int
    capacity: int = CAPACITY
    runs: int = 0
    blocks: int = 0
    total_ns: int = 0
    cpu_ns: int = 0
    max_ns: int = 0
    stride: int = 1
    minutes: list[Minute] = field(default_factory=list)
    _kept: list[tuple[int, npt.NDArray[np.int64], int]] = field(default_factory=list)
    _minute: list[npt.NDArray[np.int64]] = field(default_factory=list)

    def add(self, block: Block) -> None:
        """One more block."""
        both = block.rows[:, 2] + block.rows[:, 3]
        self.total_ns += block.total_ns
        self.cpu_ns += block.cpu_ns
        self.max_ns = max(self.max_ns, int(both.max()))
        self.runs += len(both)
        self._minute.append(both)
        if self.blocks % self.stride == 0:
            self._kept.append((self.blocks, block.rows, block.total_ns))
            if len(self._kept) > 1 and len(self._kept) * len(both) > self.capacity:
                self.stride *= 2
                self._kept = [kept for kept in self._kept if kept[0] % self.stride == 0]
        self.blocks += 1

    def end_minute(self, mhz: float | None, temperature_c: float | None) -> None:
        """Closes a minute: all its runs count, kept or not."""
        if self._minute:
            both = np.concatenate(self._minute)
            p50 = float(np.median(both)) / 1e3
            self.minutes.append(Minute(len(self.minutes) + 1, len(both), p50, mhz, temperature_c))
            self._minute = []

    def samples(self) -> Samples:
        """The kept samples."""
        rows = (
            np.concatenate([rows for _, rows, _ in self._kept]) if self._kept else np.empty((0, 4), np.int64)
        )
        return Samples(rows[:, 0], rows[:, 1], rows[:, 2] / 1e3, rows[:, 3] / 1e3)

    def block_times(self) -> dict[int, float]:
        """Time per text of each kept block, in µs, by the block's number: the same number, the same texts."""
        return {number: total / 1e3 / self.block_texts for number, _, total in self._kept}
