"""Statistics of samples: percentiles, confidence intervals, ratios, the cost of a token.

Intervals are 95 % bootstraps from a fixed seed: the same samples give the same numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PERCENTILES = (50, 90, 95, 99)
RESAMPLES = 1000  # draws of a bootstrap
LIMITS = (2.5, 97.5)  # percentiles of the draws at the ends of a 95 % interval
MIN_CHUNKS = 10  # the least that a bootstrap draws from
MIN_BLOCKS = 5  # blocks of texts before a ratio is given


def samples_needed(percentile: int) -> int:
    """Return the least number of samples for a percentile: 20 for p50, 1,000 for p99."""
    # At least ten samples lie beyond it.
    return math.ceil(10 * 100 / (100 - percentile))


def percentile(samples: Floats, which: int) -> float | None:
    """Return a percentile, or None if there are too few samples for it."""
    return float(np.percentile(samples, which)) if len(samples) >= samples_needed(which) else None


def median_interval(samples: Floats, block: int = 0, seed: int = 0) -> tuple[float, float] | None:
    """Return the 95 % interval of the median; None if there are too few samples.

    samples: float64 [n], in the order of time.
    block: number of samples in a block of texts, 0 without blocks.
    seed: of the draws.

    Neighbours in time share the state of the machine, so the bootstrap draws them together: as
    blocks of texts if there are enough of them, else as equal parts.
    """
    n = len(samples)
    if n < samples_needed(50):
        return None
    size = block if block and n // block >= MIN_CHUNKS else n // (2 * MIN_CHUNKS)
    count = n // size
    order = np.argsort(samples, kind="stable")
    ordered = samples[order]
    chunks = np.minimum(order // size, count - 1)
    rng = np.random.default_rng(seed)
    medians = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        # The draw as weights of the sorted samples, so that no draw is sorted.
        running = np.cumsum(np.bincount(rng.integers(0, count, count), minlength=count)[chunks])
        medians[i] = ordered[np.searchsorted(running, running[-1] / 2)]
    low, high = np.percentile(medians, LIMITS)
    return float(low), float(high)


@dataclass(frozen=True)
class Ratio:
    """The ratio of two times.

    value: the estimate.
    low, high: its 95 % interval.
    """

    value: float
    low: float
    high: float


def paired_ratio(pairs: Floats) -> Ratio | None:
    """Return the median ratio of times; None for fewer than MIN_BLOCKS blocks.

    pairs: float64 [blocks, 2], two times of the same texts, run in turn.

    A drift of the machine affects both times of a block alike and leaves their ratio alone.
    """
    if len(pairs) < MIN_BLOCKS:
        return None
    logs = np.log(pairs[:, 0] / pairs[:, 1])
    rng = np.random.default_rng(0)
    draws = np.median(logs[rng.integers(0, len(logs), (RESAMPLES, len(logs)))], axis=1)
    return Ratio(*np.exp([np.median(logs), *np.percentile(draws, LIMITS)]).tolist())


@dataclass(frozen=True)
class LengthFit:
    """The time of a text by its tokens.

    fixed_us: of a text without tokens, in µs.
    per_token_us: of each token, in µs.
    """

    fixed_us: float
    per_token_us: float


def fit_length(tokens: Floats, times_us: Floats) -> LengthFit | None:
    """Fit a line with the least squares of relative errors.

    tokens: float64 [texts].
    times_us: float64 [texts], the median over the runs of each text.

    A disturbance costs a long text more, so that plain squares would let the longest bend the line.
    Return None if the texts' lengths are too few or too alike.
    """
    # A line through fewer lengths, or over a shorter range, says nothing about the cost of a token.
    if len(np.unique(tokens)) < 8 or np.ptp(tokens) < 30:
        return None
    slope, fixed = np.polyfit(tokens, times_us, 1, w=1 / np.maximum(times_us, 1e-9))
    return LengthFit(float(fixed), float(slope))


def per_text(text: npt.NDArray[np.int64], values: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return the different texts and the median of each.

    text: int64 [n], number of the text of each sample.
    values: float64 [n], the samples.
    """
    order = np.argsort(text, kind="stable")
    texts, starts = np.unique(text[order], return_index=True)
    parts = np.split(values[order], starts[1:])
    return texts, np.array([float(np.median(part)) for part in parts])
