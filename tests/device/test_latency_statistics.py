"""Numbers out of samples: what the percentiles, intervals, ratios and fits of a latency result
mean."""

import numpy as np
import pytest

from edge_lstm.latency import statistics


@pytest.mark.parametrize(("which", "needed"), [(50, 20), (90, 100), (95, 200), (99, 1000)])
def test_a_percentile_takes_ten_samples_beyond_it(which: int, needed: int) -> None:
    assert statistics.samples_needed(which) == needed
    assert statistics.percentile(np.arange(needed - 1.0), which) is None
    assert statistics.percentile(np.arange(float(needed)), which) == pytest.approx(
        np.percentile(np.arange(needed), which)
    )


def test_the_interval_of_the_median_covers_the_true_median_about_95_times_in_100() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(100):
        low, high = statistics.median_interval(rng.lognormal(0, 0.5, 405), seed=seed) or (0, 0)
        covered += low <= 1.0 <= high
    assert 85 <= covered <= 100


def test_a_ratio_of_interleaved_blocks_survives_a_drift_that_doubles_all_times() -> None:
    rng = np.random.default_rng(4)
    drift = np.linspace(1, 2, 60)
    base = 100 * drift * rng.normal(1, 0.02, 60)
    other = 80 * drift * rng.normal(1, 0.02, 60)
    ratio = statistics.paired_ratio(np.stack([other, base], axis=1))
    assert ratio is not None
    assert ratio.low < 0.8 < ratio.high
    assert ratio.high - ratio.low < 0.03
    assert ratio.value == pytest.approx(0.8, abs=0.01)
    assert statistics.paired_ratio(np.ones((4, 2))) is None, "it takes five blocks"


def test_one_long_text_that_was_disturbed_does_not_bend_the_line() -> None:
    tokens = np.arange(10, 610, 10.0)
    times = 30 + 1.5 * tokens
    times[-1] *= 3
    fit = statistics.fit_length(tokens, times)
    assert fit is not None
    assert fit.per_token_us == pytest.approx(1.5, rel=0.05)
    assert fit.fixed_us == pytest.approx(30, rel=0.1)


@pytest.mark.parametrize(
    ("tokens", "fits"),
    [
        (np.full(100, 50.0), False),
        (np.arange(50, 80.0), False),
        (np.arange(50, 81.0), True),
        (np.arange(0, 70.0, 10), False),
        (np.arange(0, 80.0, 10), True),
    ],
    ids=["one length", "lengths 29 apart", "lengths 30 apart", "seven lengths", "eight lengths"],
)
def test_no_fit_where_all_texts_are_about_as_long(tokens: np.ndarray, fits: bool) -> None:
    fit = statistics.fit_length(tokens, np.arange(float(len(tokens))))
    assert (fit is not None) is fits
