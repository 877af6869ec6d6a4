"""What the metrics promise, with figures by hand, published, or by scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_lstm import metrics


def test_log_loss_is_finite_for_a_prediction_that_was_sure_and_wrong() -> None:
    sure = np.array([[1.0, 0.0], [1.0, 0.0]], dtype=np.float32)
    assert metrics.log_loss(np.array([0, 1]), sure) == pytest.approx(-math.log(2**-23) / 2)
    assert f"{metrics.log_loss(np.array([0, 0]), sure):.1f}" == "0.0"  # not -0.0


def test_calibration_error_is_the_weighted_gap_between_confidence_and_accuracy() -> None:
    # Four predictions at 0.9, three right: gap 0.15. One at 0.6, right: gap 0.4.
    probabilities = np.array([[0.9, 0.1]] * 4 + [[0.4, 0.6]])
    bins = metrics.calibration_bins(np.array([0, 0, 0, 1, 1]), probabilities)
    filled = [(each.count, each.accuracy, each.confidence) for each in bins if each.count]
    assert filled == [(1, 1.0, pytest.approx(0.6)), (4, 0.75, pytest.approx(0.9))]
    assert metrics.expected_calibration_error(bins) == pytest.approx(0.8 * 0.15 + 0.2 * 0.4)


def test_a_bin_of_the_calibration_holds_its_upper_end_and_not_its_lower_one() -> None:
    # 9/15, and the next number above it; a probability of 1 lies in the last bin.
    likely = np.array([0.6, np.nextafter(0.6, 1), 1.0])
    bins = metrics.calibration_bins(np.zeros(3, int), np.stack([likely, 1 - likely], axis=1))
    assert [(each.low, each.high) for each in bins] == [(i / 15, (i + 1) / 15) for i in range(15)]
    assert [i for i, each in enumerate(bins) if each.count] == [8, 9, 14]


def exact_p(only_first_right: int, only_second_right: int) -> float:
    """The p value of McNemar's test with these counts."""
    first = np.repeat([True, False], [only_first_right, only_second_right])
    return metrics.mcnemar(first, ~first).exact_p


def test_intervals_and_tests_give_published_figures() -> None:
    # Newcombe 1998 (Statistics in Medicine 17), table I, method 3.
    for successes, n, low, high in [(81, 263, 0.2553, 0.3662), (1, 29, 0.0061, 0.1718)]:
        interval = metrics.wilson_interval(successes, n)
        assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)
    assert metrics.wilson_interval(0, 20).low == 0 and metrics.wilson_interval(20, 20).high == 1
    # 10 of 10 right: 1 / (1 + z² / n).
    assert metrics.wilson_interval(10, 10).low == pytest.approx(1 / (1 + 1.959964**2 / 10))
    # Fagerland, Lydersen & Laake 2013: airway hyper-responsiveness, 1 and 7 discordant pairs.
    assert round(exact_p(1, 7), 4) == 0.0703
    assert exact_p(7, 1) == exact_p(1, 7)
    assert exact_p(0, 1) == exact_p(4, 4) == exact_p(0, 0) == 1
    assert exact_p(0, 6) == pytest.approx(2 / 2**6)
    assert exact_p(6000, 6000) == pytest.approx(1)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 20, 1000])
def test_an_interval_ends_where_proportions_end(n: int) -> None:
    none = metrics.wilson_interval(0, n)
    every = metrics.wilson_interval(n, n)
    assert (none.low, every.high) == (0, 1)
    # Which share would show none of n with 2.5 %, by the normal approximation: z² / (n + z²).
    assert (none.high, 1 - every.low) == pytest.approx([3.841459 / (n + 3.841459)] * 2)


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_test_of_mcnemar_is_exact_and_does_not_care_which_comes_first(b: int, c: int) -> None:
    n = b + c
    tail = sum(math.comb(n, i) for i in range(min(b, c) + 1))
    assert exact_p(b, c) == pytest.approx(min(1, 2 * tail / 2**n), rel=1e-9)
    assert exact_p(c, b) == exact_p(b, c) <= 1
    both = np.ones(3, bool)  # texts on which the two agree say nothing
    first = np.repeat([True, False], [b, c])
    test = metrics.mcnemar(np.append(first, both), np.append(~first, both))
    assert (test.only_first_right, test.only_second_right, test.exact_p) == (b, c, exact_p(b, c))


def test_the_mean_f1_is_of_the_labels_that_a_text_has_or_was_given() -> None:
    # Of a and b one of two is right, c is only given, d is nowhere.
    truth = np.array([0, 0, 1, 1])
    given = np.array([0, 2, 1, 2])
    one_hot = np.eye(4, dtype=bool)
    scores = metrics.set_scores(one_hot[truth], one_hot[given], tuple("abcd"))
    assert [row.f1 for row in scores.labels] == [pytest.approx(2 / 3)] * 2 + [0, 0]
    assert scores.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert (scores.micro_f1, scores.subset_accuracy) == (0.5, 0.5)
    nothing = np.zeros((2, 4), bool)
    assert metrics.set_scores(nothing, nothing, tuple("abcd")).macro_f1 == 0


def test_the_paired_difference_interval_covers_the_truth_as_often_as_it_says() -> None:
    # shares of texts that only one of them gets right
    n = 400
    first = 0.03
    second = 0.05
    counts = np.random.default_rng(7).multinomial(n, [first, second, 1 - first - second], size=4000)
    intervals = [metrics.paired_difference_interval(b, c, n) for b, c, _ in counts.tolist()]
    assert 0.94 <= np.mean([i.low <= second - first <= i.high for i in intervals]) <= 0.97


def test_mcnemar_counts_the_texts_that_one_of_both_gets_right() -> None:
    first = np.array([True, True, True, False, True, False])
    second = np.array([True, False, False, True, False, False])
    test = metrics.mcnemar(first, second)
    assert (test.only_first_right, test.only_second_right) == (3, 1)


def test_the_paired_difference_is_bonett_and_prices() -> None:
    """By hand: 9 and 4 of 50, so that shares are 10/52 and 5/52."""
    interval = metrics.paired_difference_interval(9, 4, 50)
    difference = -5 / 52
    half = 1.959964 * math.sqrt((15 / 52 - difference**2) / 52)
    assert (interval.low, interval.high) == pytest.approx((difference - half, difference + half))


@pytest.mark.needs("sklearn")
def test_the_area_under_the_curve_counts_ties_half() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(3)
    positive = rng.integers(2, 9, 40).astype(float)
    negative = rng.integers(0, 7, 60).astype(float)
    expected = roc_auc_score([1] * 40 + [0] * 60, [*positive, *negative])
    assert metrics.auroc(negative, positive) == pytest.approx(expected)
    assert metrics.auroc(np.array([1.0]), np.array([1.0])) == 0.5


def test_recall_is_at_a_threshold_that_no_more_negatives_exceed() -> None:
    negative = np.arange(10.0)
    positive = np.array([6.5, 7.5, 8.0, 8.5, 9.5])
    assert metrics.recall_at(negative, positive, 0.0) == 0.2  # above 9
    assert metrics.recall_at(negative, positive, 0.1) == 0.4  # above 8, which one exceeds
    assert metrics.recall_at(negative, positive, 0.2) == 0.8  # above 7


@pytest.mark.needs("sklearn")
@pytest.mark.parametrize(("labels", "n"), [(2, 1), (3, 400), (7, 13)])
def test_predictions_are_scored_as_by_scikit_learn(labels: int, n: int) -> None:
    from sklearn import metrics as reference

    rng = np.random.default_rng(n)
    probabilities = rng.dirichlet(np.full(labels, 0.3), n).astype(np.float32)
    truth = rng.integers(labels, size=n)
    predicted = probabilities.argmax(axis=1)
    every = range(labels)
    confusion = metrics.confusion_matrix(truth, predicted, labels)
    assert (confusion == reference.confusion_matrix(truth, predicted, labels=every)).all()
    expected = reference.precision_recall_fscore_support(
        truth, predicted, labels=every, zero_division=0
    )
    one_hot = np.eye(labels, dtype=bool)
    scores = metrics.set_scores(one_hot[truth], one_hot[predicted], tuple(map(str, every)))
    for row, values in zip(scores.labels, zip(*expected)):
        assert (row.precision, row.recall, row.f1, row.support) == pytest.approx(values)
    seen = sorted({*truth.tolist(), *predicted.tolist()})
    macro = reference.f1_score(truth, predicted, labels=seen, average="macro", zero_division=0)
    assert scores.macro_f1 == pytest.approx(macro)
    assert scores.micro_f1 == pytest.approx((truth == predicted).mean())
    assert scores.exact == (truth == predicted).sum()
    loss = reference.log_loss(truth, probabilities, labels=every)
    assert metrics.log_loss(truth, probabilities) == pytest.approx(loss, rel=1e-5)
