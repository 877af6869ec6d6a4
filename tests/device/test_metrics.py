"""What the metrics promise, with figures worked out by hand or published."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_lstm.metrics import (
    calibration_bins,
    confusion_matrix,
    expected_calibration_error,
    label_scores,
    log_loss,
    mcnemar,
    paired_difference_interval,
    wilson_interval,
)

TRUTH = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 1, 1, 0, 0])


def test_the_confusion_matrix_has_a_row_for_each_true_label() -> None:
    assert confusion_matrix(TRUTH, PREDICTED, 3).tolist() == [[2, 1, 0], [1, 1, 0], [1, 0, 0]]


def test_precision_recall_and_f1_of_each_label() -> None:
    first, second, third = label_scores(confusion_matrix(TRUTH, PREDICTED, 3), ("a", "b", "c"))
    assert (first.precision, first.recall, first.support, first.predicted) == (2 / 4, 2 / 3, 3, 4)
    assert first.f1 == pytest.approx(2 * (1 / 2) * (2 / 3) / (1 / 2 + 2 / 3))
    assert (second.precision, second.recall, second.f1) == (1 / 2, 1 / 2, 1 / 2)
    # Never predicted: no precision to speak of, and nothing divided by zero.
    assert (third.precision, third.recall, third.f1, third.support, third.predicted) == (0, 0, 0, 1, 0)


def test_log_loss_is_finite_for_an_answer_that_was_sure_and_wrong() -> None:
    sure = np.array([[1.0, 0.0], [1.0, 0.0]], dtype=np.float32)
    assert log_loss(np.array([0, 1]), sure) == pytest.approx(-math.log(2**-23) / 2)
    assert f"{log_loss(np.array([0, 0]), sure):.1f}" == "0.0"  # not -0.0


def test_calibration_error_is_the_weighted_gap_between_confidence_and_accuracy() -> None:
    # Four answers at 0.9, three right: gap 0.15. One at 0.6, right: gap 0.4.
    probabilities = np.array([[0.9, 0.1]] * 4 + [[0.4, 0.6]])
    bins = calibration_bins(np.array([0, 0, 0, 1, 1]), probabilities)
    assert [(b.count, b.accuracy) for b in bins if b.count] == [(1, 1.0), (4, 0.75)]
    assert expected_calibration_error(bins) == pytest.approx(0.8 * 0.15 + 0.2 * 0.4)


def test_a_probability_of_one_falls_into_the_last_bin_and_a_border_into_the_lower_one() -> None:
    bins = calibration_bins(np.array([0, 0]), np.array([[1.0, 0.0], [0.6, 0.4]]), bins=5)
    assert [b.count for b in bins] == [0, 0, 1, 0, 1]


def test_wilson_interval_gives_published_figures() -> None:
    # Newcombe 1998 (Statistics in Medicine 17), table I, method 3.
    for successes, n, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (1, 29, 0.0061, 0.1718),
    ]:
        interval = wilson_interval(successes, n)
        assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)
    assert wilson_interval(0, 20).low == 0 and round(wilson_interval(0, 20).high, 4) == 0.1611
    assert wilson_interval(20, 20).high == 1


def test_mcnemar_gives_published_figures() -> None:
    # Fagerland, Lydersen & Laake 2013: airway hyper-responsiveness, 1 and 7 discordant pairs.
    test = mcnemar(1, 7)
    assert (round(test.exact, 4), round(test.mid_p, 4)) == (0.0703, 0.0391)
    # The same paper: 59 and 16.
    assert mcnemar(59, 16).mid_p < 1e-6


def test_mcnemar_sees_no_difference_where_there_is_none() -> None:
    assert (mcnemar(0, 0).exact, mcnemar(0, 0).mid_p) == (1, 1)
    assert mcnemar(5, 5).mid_p == pytest.approx(1)
    assert mcnemar(6000, 6000).mid_p == pytest.approx(1)


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_does_not_care_which_comes_first_and_agrees_with_exact_arithmetic(b: int, c: int) -> None:
    n, k = b + c, min(b, c)
    below, at = sum(math.comb(n, i) for i in range(k + 1)), math.comb(n, k)
    assert mcnemar(b, c).exact == pytest.approx(min(1.0, 2 * below / 2**n), rel=1e-9)
    assert mcnemar(b, c).mid_p == pytest.approx((2 * below - at) / 2**n, rel=1e-9)
    assert mcnemar(c, b).mid_p == mcnemar(b, c).mid_p


def test_paired_difference_interval_gives_the_adjusted_wald_interval() -> None:
    # Bonett & Price: (b + 1, c + 1) of n + 2, by hand for 1 and 7 of 21.
    interval = paired_difference_interval(1, 7, 21)
    half = 1.959964 * math.sqrt((10 / 23 - (6 / 23) ** 2) / 23)
    assert interval.low == pytest.approx(6 / 23 - half, abs=1e-6)
    assert interval.high == pytest.approx(6 / 23 + half, abs=1e-6)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 1000))
def test_paired_difference_interval_turns_round_with_its_arguments(b: int, c: int, rest: int) -> None:
    n = b + c + rest + 1
    one, other = paired_difference_interval(b, c, n), paired_difference_interval(c, b, n)
    assert one.low == pytest.approx(-other.high) and -1 <= one.low <= one.high <= 1
