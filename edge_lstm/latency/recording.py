"""What is recorded of one setting, block by block, and its summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edge_lstm.classifier import Classifier
from edge_lstm.latency import statistics
from edge_lstm.latency.cold_start import ColdStart, Memory
from edge_lstm.latency.energy import Energy
from edge_lstm.latency.result import Model, SettingResult, Times
from edge_lstm.latency.settings import Setting
from edge_lstm.latency.statistics import Floats, Ratio

# Steady: the median time of the last blocks is this close to that of the blocks before them.
STEADY = 0.03
STEADY_BLOCKS = 4
MOST_BLOCKS = 512  # kept of each setting; a longer run keeps every 2nd, 4th … block


@dataclass(frozen=True)
class Block:
    """A block of texts as one setting ran it.

    number: the same number, the same texts. rows: int64 [runs, 4]: the text's number (of a batch,
    its first one's), tokens, ns of text → ids, ns of ids → probabilities.
    """

    number: int
    rows: npt.NDArray[np.int64]
    cpu_ns: int

    @property
    def total_ns(self) -> int:
        """Time of all its runs."""
        return int(self.rows[:, 2:].sum())


@dataclass
class Recording:
    """Everything measured of one setting: totals over all runs, and a bounded number of blocks.

    tokens: of each text of the sample, at most those that the model takes.
    """

    setting: Setting
    classifier: Classifier
    tokens: list[int]
    warm_up: list[Block] = field(default_factory=list)
    runs: int = 0
    total_ns: int = 0
    cpu_ns: int = 0
    max_ns: int = 0
    every: int = 1
    blocks: list[Block] = field(default_factory=list)
    cold_starts: list[ColdStart] = field(default_factory=list)
    memory: Memory | None = None
    energy: Energy | None = None

    def add(self, block: Block) -> None:
        """Count a block, and keep it if its turn has come."""
        self.runs += len(block.rows)
        self.total_ns += block.total_ns
        self.cpu_ns += block.cpu_ns
        self.max_ns = max(self.max_ns, int(np.max(block.rows[:, 2:].sum(axis=1))))
        if block.number % self.every == 0:
            self.blocks.append(block)
        if len(self.blocks) > MOST_BLOCKS:
            self.every *= 2
            self.blocks = [block for block in self.blocks if block.number % self.every == 0]

    def ratio_to(self, other: Recording) -> Ratio | None:
        """How many times as long it takes for the same blocks of texts."""
        by_number = {block.number: block.total_ns for block in other.blocks}
        pairs = [(b.total_ns, by_number[b.number]) for b in self.blocks if b.number in by_number]
        mine, theirs = np.array(pairs, np.float64).reshape(-1, 2).T
        return statistics.paired_ratio(mine, theirs)

    def to_result(self, first: Recording) -> SettingResult:
        """The summary. first: the setting that the others are compared with."""
        setting = self.setting
        rows = np.concatenate([block.rows for block in self.blocks])
        encode, run = rows[:, 2] / 1e3, rows[:, 3] / 1e3
        block, texts = len(self.blocks[0].rows), self.runs * setting.batch_size
        numbers, medians = statistics.per_text(rows[:, 0], encode + run)
        tokens = np.array(self.tokens, np.float64)[numbers]
        alone = setting.batch_size == 1
        return SettingResult(
            name=setting.name,
            model=Model(**self.classifier.model.facts()),
            threads=setting.threads,
            batch_size=setting.batch_size,
            provider=setting.provider,
            cold_starts=tuple(self.cold_starts),
            memory=self.memory,
            warm_up_blocks=len(self.warm_up),
            runs=self.runs,
            texts=texts,
            both=_times(encode + run, block, self.max_ns / 1e3),
            encode=_times(encode, block),
            run=_times(run, block),
            texts_per_second=texts / (self.total_ns / 1e9),
            cpu_us_per_text=self.cpu_ns / 1e3 / texts,
            ratio=None if self is first else self.ratio_to(first),
            length_fit=statistics.fit_length(tokens, medians) if alone else None,
            energy=self.energy,
            by_text=tuple(zip(tokens.tolist(), medians.tolist())) if alone else (),
        )


def _times(samples: Floats, block: int, longest: float | None = None) -> Times:
    percentiles = {
        f"p{which}_us": statistics.percentile(samples, which) for which in statistics.PERCENTILES
    }
    return Times(
        mean_us=float(samples.mean()),
        p50_ci_us=statistics.median_interval(samples, block),
        max_us=float(np.max(samples)) if longest is None else longest,
        **percentiles,
    )


def is_steady(blocks: Sequence[Block]) -> bool:
    """Whether the last blocks took as long as the blocks before them."""
    times = [block.total_ns for block in blocks]
    if len(times) < 2 * STEADY_BLOCKS:
        return False
    last = float(np.median(times[-STEADY_BLOCKS:]))
    before = float(np.median(times[-2 * STEADY_BLOCKS : -STEADY_BLOCKS]))
    return abs(last - before) <= STEADY * before
