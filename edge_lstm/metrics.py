"""Metrics of answers: accuracy, scores per label, log loss, calibration, and their intervals.

Two classifiers are compared on the same texts. numpy only.

Throughout, ``truth`` is int [n], the index of each text's label; ``probabilities`` is float [n,
labels] with rows that sum to 1. n is at least 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm.core.risk_coverage import binomial_cdf

Z_95 = 1.959963984540054  # the normal distribution's 97.5 % quantile: two-sided 95 % intervals
# Smallest probability that enters a logarithm: the step of float32 at 1. The model's output cannot
# be closer to 1 than that.
SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)

Ints = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval, with both ends. As text: in percent, without the sign."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.low:.2f} to {100 * self.high:.2f}"


@dataclass(frozen=True)
class LabelScores:
    """The scores of one label.

    precision, recall, f1: 0 if the denominator is 0 (the label is never predicted, or never true).
    support: number of texts that truly have the label.
    predicted: number of texts that were given it.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    predicted: int

    @classmethod
    def of(cls, label: str, right: int, support: int, predicted: int) -> LabelScores:
        """Compute the scores from counts. right: texts that have the label and were given it."""
        return cls(
            label=label,
            precision=_ratio(right, predicted),
            recall=_ratio(right, support),
            f1=_ratio(2 * right, support + predicted),
            support=support,
            predicted=predicted,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON with the label as the key."""
        scores = {name: round(getattr(self, name), 6) for name in ("precision", "recall", "f1")}
        return {**scores, "texts": self.support}


@dataclass(frozen=True)
class CalibrationBin:
    """A bin of a reliability diagram.

    low, high: the bin holds the texts whose answer has a probability in (low, high].
    count: their number.
    confidence: their mean probability; 0 if the bin is empty.
    accuracy: their share of right answers; 0 if the bin is empty.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class McNemar:
    """McNemar's test of two classifiers.

    It asks whether they are right equally often on the same texts. Only texts on which exactly one
    of them is right count.

    only_first_right, only_second_right: number of these texts.
    exact_p: two-sided p value of the exact test, a binomial test with probability 1/2 (McNemar
        1947; the exact form: Edwards 1948). It holds for any number of texts.
    """

    only_first_right: int
    only_second_right: int
    exact_p: float


def confusion_matrix(truth: Ints, predicted: Ints, labels: int) -> npt.NDArray[np.int64]:
    """Return int64 [labels, labels]: row = true label, column = predicted label."""
    cells = np.bincount(truth.astype(np.int64) * labels + predicted, minlength=labels * labels)
    return cells.reshape(labels, labels).astype(np.int64)


@dataclass(frozen=True)
class SetScores:
    """The scores of all labels together.

    texts: number of texts.
    exact: number of texts that were given all their labels and no other.
    labels: the scores of each label.
    """

    texts: int
    exact: int
    labels: tuple[LabelScores, ...]

    @property
    def subset_accuracy(self) -> float:
        """Share of texts whose labels are exactly right."""
        return self.exact / self.texts

    @property
    def micro_f1(self) -> float:
        """2 · right / (true labels + given labels), over every label of every text."""
        right = sum(round(row.recall * row.support) for row in self.labels)
        return _ratio(2 * right, sum(row.support + row.predicted for row in self.labels))

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the labels that occur in the data or the answers; rare ones count fully."""
        scores = [row.f1 for row in self.labels if row.support or row.predicted]
        return float(np.mean(scores or [0.0]))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "texts": self.texts,
            "micro_f1": round(self.micro_f1, 6),
            "macro_f1": round(self.macro_f1, 6),
            "subset_accuracy": round(self.subset_accuracy, 6),
            "labels": {row.label: row.to_dict() for row in self.labels},
        }


def set_scores(truth: Bools, given: Bools, names: tuple[str, ...]) -> SetScores:
    """Compute the scores of labels.

    truth: bool [n, labels], the labels that each text has.
    given: bool [n, labels], the labels that it was given.
    names: of the labels.
    """
    right = (truth & given).sum(axis=0).tolist()
    support = truth.sum(axis=0).tolist()
    predicted = given.sum(axis=0).tolist()
    exact = int((truth == given).all(axis=1).sum())
    return SetScores(
        len(truth), exact, tuple(map(LabelScores.of, names, right, support, predicted))
    )


def auroc(negative: Floats, positive: Floats) -> float:
    """Return the area under the ROC curve.

    It is the chance that a positive has a higher score than a negative; ties count half (Mann &
    Whitney, 1947).

    negative: float [n], scores, at least one.
    positive: float [m], scores, at least one.
    """
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left")
    not_above = np.searchsorted(ordered, positive, "right")
    return float((below + not_above).mean() / (2 * len(ordered)))


def recall_at(negative: Floats, positive: Floats, false_alarms: float) -> float:
    """Return the share of positives above a threshold that few negatives exceed.

    negative: float [n], scores, at least one.
    positive: float [m], scores, at least one.
    false_alarms: share of negatives that may exceed the threshold.
    """
    threshold = np.sort(negative)[::-1][int(false_alarms * len(negative))]
    return float((positive > threshold).mean())


def log_loss(truth: Ints, probabilities: Floats) -> float:
    """Return the mean negative natural logarithm of the true labels' probabilities."""
    given = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    return float(-np.log(np.clip(given, SMALLEST_PROBABILITY, 1.0)).mean()) + 0.0  # 0, not -0


def calibration_bins(truth: Ints, probabilities: Floats) -> tuple[CalibrationBin, ...]:
    """Sort answers by probability into bins of equal width, for a reliability diagram."""
    bins = 15  # Guo et al. 2017, "On Calibration of Modern Neural Networks"
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == truth
    # Bin b holds (b / bins, (b + 1) / bins]; a probability of exactly 0 would belong to the first.
    index = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    sums = np.bincount(index, weights=confidence, minlength=bins)
    rights = np.bincount(index, weights=right.astype(np.float64), minlength=bins)
    return tuple(
        CalibrationBin(
            low=b / bins,
            high=(b + 1) / bins,
            count=int(count[b]),
            confidence=_ratio(sums[b], count[b]),
            accuracy=_ratio(rights[b], count[b]),
        )
        for b in range(bins)
    )


def expected_calibration_error(bins: tuple[CalibrationBin, ...]) -> float:
    """Return the mean distance between confidence and accuracy, weighted by the bins' texts."""
    texts = sum(b.count for b in bins)
    return _ratio(sum(b.count * abs(b.accuracy - b.confidence) for b in bins), texts)


def wilson_interval(successes: int, n: int) -> Interval:
    """Return the 95 % confidence interval of a proportion (Wilson 1927).

    It is sensible for 0 or n successes, and for small n.
    """
    share = successes / n
    z2 = Z_95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # The exact ends at 0 and n successes are 0 and 1; rounding would miss them by 1e-17.
    return Interval(
        0.0 if successes == 0 else max(0.0, centre - half),
        1.0 if successes == n else min(1.0, centre + half),
    )


def mcnemar(first: Bools, second: Bools) -> McNemar:
    """Return McNemar's exact test of two classifiers on the same n texts.

    first, second: bool [n], whether each is right.
    """
    only_first_right = int((first & ~second).sum())
    only_second_right = int((second & ~first).sum())
    # Under the null hypothesis, each of the two counts is binomial(n, 1/2).
    fewer = min(only_first_right, only_second_right)
    tail = binomial_cdf(fewer, only_first_right + only_second_right, 0.5)
    return McNemar(only_first_right, only_second_right, min(1.0, 2 * tail))


def paired_difference_interval(only_first_right: int, only_second_right: int, n: int) -> Interval:
    """Return the 95 % interval of (second's accuracy - first's accuracy) on the same n texts.

    It is Wald's interval with Bonett & Price's adjustment (2012): one text added to each of the two
    counts, which keeps its coverage for small n and for counts of 0.
    """
    first = (only_first_right + 1) / (n + 2)
    second = (only_second_right + 1) / (n + 2)
    difference = second - first
    half = Z_95 * math.sqrt((first + second - difference**2) / (n + 2))
    return Interval(max(-1.0, difference - half), min(1.0, difference + half))


def _ratio(part: float, whole: float) -> float:
    """Return a ratio, 0 for a denominator of 0."""
    return float(part / whole) if whole else 0.0
