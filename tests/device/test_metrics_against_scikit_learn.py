"""The device's own metrics give the figures of scikit-learn and SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scipy import stats
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from edge_lstm import metrics


@pytest.mark.parametrize(("labels", "n"), [(2, 1), (2, 500), (3, 400), (5, 1000), (7, 13)])
def test_answers_are_scored_as_by_scikit_learn(labels: int, n: int) -> None:
    rng = np.random.default_rng(n)
    logits = rng.normal(scale=3, size=(n, labels)).astype(np.float32)
    probabilities = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)
    truth, predicted = rng.integers(labels, size=n), probabilities.argmax(axis=1)
    confusion = metrics.confusion_matrix(truth, predicted, labels)
    assert (confusion == reference.confusion_matrix(truth, predicted, labels=range(labels))).all()
    given: Any = {"labels": range(labels), "zero_division": 0}
    expected = reference.precision_recall_fscore_support(truth, predicted, **given)
    for row, values in zip(
        metrics.label_scores(confusion, tuple(map(str, range(labels)))), np.array(expected).T
    ):
        assert (row.precision, row.recall, row.f1, row.support) == pytest.approx(tuple(values))
    expected = reference.log_loss(truth, probabilities, labels=range(labels))
    assert metrics.log_loss(truth, probabilities) == pytest.approx(expected, rel=1e-5)
    bins = [b for b in metrics.calibration_bins(truth, probabilities) if b.count]
    accuracy, confidence = calibration_curve(predicted == truth, probabilities.max(axis=1), n_bins=15)
    assert [b.accuracy for b in bins] == pytest.approx(accuracy.tolist())
    assert [b.confidence for b in bins] == pytest.approx(confidence.tolist())


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (3, 7), (22963, 25000), (25000, 25000)])
def test_wilson_interval(successes: int, n: int) -> None:
    expected = stats.binomtest(successes, n).proportion_ci(method="wilson")
    interval = metrics.wilson_interval(successes, n)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("b", "c"), [(0, 1), (3, 9), (29, 30), (400, 330), (9000, 9100)])
def test_mcnemar(b: int, c: int) -> None:
    ours = metrics.mcnemar(b, c)
    assert ours.exact == pytest.approx(stats.binomtest(min(b, c), b + c).pvalue, rel=1e-9)
    assert ours.mid_p == pytest.approx(ours.exact - stats.binom.pmf(min(b, c), b + c, 0.5), rel=1e-9)


def test_paired_difference_interval_covers_the_truth_as_often_as_it_says() -> None:
    n, first, second = 400, 0.03, 0.05  # shares of texts that only one of them gets right
    counts = np.random.default_rng(7).multinomial(n, [first, second, 1 - first - second], size=4000)
    intervals = [metrics.paired_difference_interval(b, c, n) for b, c, _ in counts.tolist()]
    assert 0.94 <= np.mean([i.low <= second - first <= i.high for i in intervals]) <= 0.97
