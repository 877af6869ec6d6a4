"""The times of one setting, block by block, and their summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edge_lstm.core.classifier import Classifier
from edge_lstm.latency import statistics
from edge_lstm.latency.cold_start import ColdStart, Memory
from edge_lstm.latency.energy import Energy
from edge_lstm.latency.result import Model, SettingResult, Times
from edge_lstm.latency.settings import Setting
from edge_lstm.latency.statistics import Floats, Ratio

# Times are steady if the median of the last blocks is within this share of the median of as many
# blocks before them.
STEADY = 0.03
STEADY_BLOCKS = 4
MOST_BLOCKS = 512  # blocks kept of each setting; a longer run keeps every 2nd, 4th … block


@dataclass(frozen=True)
class Block:
    """A block of texts, run by one setting.

    number: blocks with the same number hold the same texts.
    rows: int64 [runs, 4]. The columns are the number of the batch's first text, tokens, ns from
        texts to ids, ns from ids to probabilities.
    cpu_ns: CPU time of the process.
    """

    number: int
    rows: npt.NDArray[np.int64]
    cpu_ns: int

    @property
    def total_ns(self) -> int:
        """Time of all its runs, in ns."""
        return int(self.rows[:, 2:].sum())


@dataclass
class Recording:
    """All measurements of one setting.

    setting: how the model is run.
    classifier: runs it.
    tokens: number of tokens that the model reads, of each text of the sample.
    warm_up: blocks before the measurement.
    runs, total_ns, cpu_ns, max_ns: number, sum of times, CPU time and longest time of all runs.
    every: the number of a kept block is a multiple of this.
    blocks: the kept blocks, at most MOST_BLOCKS.
    cold_starts: one for each fresh process.
    memory: None if it was not measured.
    energy: None if it was not measured.
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
        """Return the time over the other setting's time for the same blocks of texts."""
        mine = {block.number: block.total_ns for block in self.blocks}
        theirs = {block.number: block.total_ns for block in other.blocks}
        pairs = [(mine[number], theirs[number]) for number in mine if number in theirs]
        return statistics.paired_ratio(np.array(pairs, np.float64))

    def to_result(self, first: Recording) -> SettingResult:
        """Summarise the recording. first: the setting that the others are compared with."""
        setting = self.setting
        model = self.classifier.model
        texts = self.runs * setting.batch_size
        rows = np.concatenate([block.rows for block in self.blocks])
        encode_us = rows[:, 2] / 1e3
        run_us = rows[:, 3] / 1e3
        both_us = encode_us + run_us
        block = len(self.blocks[0].rows)
        length_fit = None
        by_text: tuple[tuple[float, float], ...] = ()
        if setting.batch_size == 1:
            numbers, medians = statistics.per_text(rows[:, 0], both_us)
            tokens = np.array(self.tokens, np.float64)[numbers]
            length_fit = statistics.fit_length(tokens, medians)
            by_text = tuple(zip(tokens.tolist(), medians.tolist()))
        return SettingResult(
            name=setting.name,
            model=Model(**model.facts()),
            threads=setting.engine.threads,
            batch_size=setting.batch_size,
            engine=setting.engine.name,
            cold_starts=tuple(self.cold_starts),
            memory=self.memory,
            warm_up_blocks=len(self.warm_up),
            runs=self.runs,
            texts=texts,
            both=_times(both_us, block, self.max_ns / 1e3),
            encode=_times(encode_us, block),
            run=_times(run_us, block),
            texts_per_second=texts / (self.total_ns / 1e9),
            cpu_us_per_text=self.cpu_ns / 1e3 / texts,
            ratio=None if self is first else self.ratio_to(first),
            length_fit=length_fit,
            energy=self.energy,
            by_text=by_text,
        )


def _times(samples: Floats, block: int, longest: float | None = None) -> Times:
    """Summarise times in µs.

    block: runs of a block.
    longest: of all runs, kept or not; None for the longest of the samples.
    """
    percentiles = {f"p{p}_us": statistics.percentile(samples, p) for p in statistics.PERCENTILES}
    return Times(
        mean_us=float(samples.mean()),
        p50_ci_us=statistics.median_interval(samples, block),
        max_us=float(np.max(samples)) if longest is None else longest,
        **percentiles,
    )


def is_steady(blocks: Sequence[Block]) -> bool:
    """Return whether the last blocks took as long as the blocks before them, see STEADY."""
    times = [block.total_ns for block in blocks]
    if len(times) < 2 * STEADY_BLOCKS:
        return False
    last = float(np.median(times[-STEADY_BLOCKS:]))
    before = float(np.median(times[-2 * STEADY_BLOCKS : -STEADY_BLOCKS]))
    return abs(last - before) <= STEADY * before
