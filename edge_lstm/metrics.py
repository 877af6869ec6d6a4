"""How good answers are, and how sure that is: accuracy, per-label scores, log loss, calibration,
confidence intervals and the comparison of two classifiers on the same texts. numpy only.

Throughout, ``truth`` is int [n], the index of each text's label; ``probabilities`` is float [n,
labels] with rows that sum to 1. n = 0 is allowed nowhere: there is nothing to measure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

CALIBRATION_BINS = 15  # Guo et al. 2017, "On Calibration of Modern Neural Networks"
Z_95 = 1.959963984540054  # the normal distribution's 97.5 % quantile: two-sided 95 % intervals
# Smallest probability that enters a logarithm: one float32 step below 1, what the model's output
# can say.
SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)

Ints = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval, both ends included."""

    low: float
    high: float


@dataclass(frozen=True)
class LabelScores:
    """One label's scores. A ratio whose denominator is 0 (label never predicted, or never true) is
    0.

    support: texts that truly have the label; predicted: texts that were given it.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    predicted: int

    @classmethod
    def of(cls, label: str, right: int, support: int, predicted: int) -> LabelScores:
        """right: texts that have the label and were given it."""
        precision, recall = _ratio(right, predicted), _ratio(right, support)
        return cls(
            label, precision, recall, _ratio(2 * right, support + predicted), support, predicted
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON in which the label is the key."""
        scores = {name: round(getattr(self, name), 6) for name in ("precision", "recall", "f1")}
        return {**scores, "texts": self.support}


@dataclass(frozen=True)
class CalibrationBin:
    """Texts whose answer's probability is in (low, high].

    confidence: their mean probability; accuracy: the share of right answers. Both 0 where count is
        0.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class McNemar:
    """McNemar's test: are two classifiers equally often right on the same texts?

    Only texts on which exactly one of them is right say anything about that.
    mid_p: Lancaster's two-sided mid-p value (Fagerland, Lydersen & Laake 2013).
    """

    only_first_right: int
    only_second_right: int
    mid_p: float


def confusion_matrix(truth: Ints, predicted: Ints, labels: int) -> npt.NDArray[np.int64]:
    """int64 [labels, labels]: row = true label, column = predicted label, value = texts."""
    cells = np.bincount(truth.astype(np.int64) * labels + predicted, minlength=labels * labels)
    return cells.reshape(labels, labels).astype(np.int64)


@dataclass(frozen=True)
class SetScores:
    """Scores of texts with several labels each. exact: texts of which all labels, and no other,
    were given.

    micro_f1 counts every label of every text once.
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
        """2 · right / (labels there are + labels given)."""
        right = sum(round(row.recall * row.support) for row in self.labels)
        return _ratio(2 * right, sum(row.support + row.predicted for row in self.labels))

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the labels that occur, in the data or in the answers: a rare one counts as
        much."""
        return float(
            np.mean([row.f1 for row in self.labels if row.support or row.predicted] or [0.0])
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "texts": self.texts,
            "micro_f1": round(self.micro_f1, 6),
            "macro_f1": round(self.macro_f1, 6),
            "subset_accuracy": round(self.subset_accuracy, 6),
            "labels": {row.label: row.to_dict() for row in self.labels},
        }


def set_scores(truth: Bools, given: Bools, names: tuple[str, ...]) -> SetScores:
    """truth, given: bool [n, labels], the labels that each text has and those it was given."""
    counts = zip(*(table.sum(axis=0).tolist() for table in (truth & given, truth, given)))
    rows = tuple(LabelScores.of(name, *of_label) for name, of_label in zip(names, counts))
    return SetScores(len(truth), int((truth == given).all(axis=1).sum()), rows)


def auroc(negative: Floats, positive: Floats) -> float:
    """The chance that a positive has a higher score than a negative, ties half (Mann & Whitney,
    1947): the area under the ROC curve. float [n] and [m], neither empty."""
    ordered = np.sort(negative)
    ranks = np.searchsorted(ordered, positive, "left") + np.searchsorted(ordered, positive, "right")
    return float(ranks.mean() / (2 * len(ordered)))


def recall_at(negative: Floats, positive: Floats, false_alarms: float) -> float:
    """The share of positives whose score is above that which at most this share of negatives
    exceeds. float [n] and [m], neither empty."""
    threshold = np.sort(negative)[::-1][int(false_alarms * len(negative))]
    return float((positive > threshold).mean())


def log_loss(truth: Ints, probabilities: Floats) -> float:
    """Mean negative natural logarithm of the probability given to the true label."""
    given = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    return float(-np.log(np.clip(given, SMALLEST_PROBABILITY, 1.0)).mean()) + 0.0  # 0, not -0


def calibration_bins(
    truth: Ints, probabilities: Floats, bins: int = CALIBRATION_BINS
) -> tuple[CalibrationBin, ...]:
    """Answers sorted into ``bins`` bins of equal width by their probability, as a reliability
    diagram shows them."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == truth
    # Bin b holds (b / bins, (b + 1) / bins]; a probability of exactly 0 would belong to the first.
    index = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    sums = np.bincount(index, weights=confidence, minlength=bins)
    rights = np.bincount(index, weights=right.astype(np.float64), minlength=bins)
    return tuple(
        CalibrationBin(
            b / bins,
            (b + 1) / bins,
            int(count[b]),
            _ratio(sums[b], count[b]),
            _ratio(rights[b], count[b]),
        )
        for b in range(bins)
    )


def expected_calibration_error(bins: tuple[CalibrationBin, ...]) -> float:
    """Mean distance between confidence and accuracy over the bins, weighted by their texts."""
    return _ratio(
        sum(b.count * abs(b.accuracy - b.confidence) for b in bins), sum(b.count for b in bins)
    )


def wilson_interval(successes: int, n: int) -> Interval:
    """95 % confidence interval of a proportion (Wilson 1927): sensible for 0, for n and for small
    n."""
    share, z2 = successes / n, Z_95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # The exact ends at 0 and n successes are 0 and 1; rounding would miss them by 1e-17.
    return Interval(
        0.0 if successes == 0 else max(0.0, centre - half),
        1.0 if successes == n else min(1.0, centre + half),
    )


def mcnemar(only_first_right: int, only_second_right: int) -> McNemar:
    """McNemar's mid-p test from the two counts of texts on which exactly one is right."""
    n, k = only_first_right + only_second_right, min(only_first_right, only_second_right)
    # Under the null hypothesis k is binomial(n, 1/2). Logarithms, since 2**n overflows from n =
    # 1024.
    terms = [
        math.exp(math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) - n * math.log(2))
        for i in range(k + 1)
    ]
    mid_p = 2 * math.fsum(terms) - terms[-1]
    return McNemar(only_first_right, only_second_right, min(1.0, mid_p))


def paired_difference_interval(only_first_right: int, only_second_right: int, n: int) -> Interval:
    """95 % confidence interval of (second's accuracy - first's accuracy) on the same n texts.

    Wald's interval with Bonett & Price's adjustment (2012): one text added to each of the two
    counts, which keeps its coverage for small n and for counts of 0.
    """
    first, second = (only_first_right + 1) / (n + 2), (only_second_right + 1) / (n + 2)
    difference = second - first
    half = Z_95 * math.sqrt((first + second - difference**2) / (n + 2))
    return Interval(max(-1.0, difference - half), min(1.0, difference + half))


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
