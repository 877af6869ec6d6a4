"""What is answered, given a text's probabilities: the best labels, those above their thresholds, or
none where the model is unsure.

A text is unsure where the probability of its best label is below a threshold. Who would rather say
how many answers may be wrong gives that share, and the model file's **risk–coverage curve** has the
threshold for it: how many of some labelled texts that the network did not learn from are answered
from which probability on, and how many of these answers are wrong (El-Yaniv & Wiener 2010).

Few texts say little of so small a share. A threshold counts only where the true share of wrong
answers is below the given one with 90 % confidence: Clopper & Pearson's one-sided bound (1934), as
in selective classification with guaranteed risk (Geifman & El-Yaniv 2017). It is not corrected for
the choice among the curve's points, which are nearly the same texts. The thresholds for unfamiliar
texts are found alike.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from edge_lstm.errors import DataError

if TYPE_CHECKING:  # a model file is read without NumPy
    import numpy as np
    import numpy.typing as npt

CONFIDENCE = 0.9
MOST_POINTS = 32
MAX_POINTS, MAX_TEXTS = 64, 10**7  # of a curve in a file
DIGITS = 6  # of a threshold
_NEGLIGIBLE = 1e-20  # of the largest term: with the terms behind it, it adds nothing to a sum
# Of familiar texts, that may be called unfamiliar: those that a file has thresholds for; the usual
# one.
SHARES, USUAL_SHARE = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3), 0.05
SHOWN_RISKS = (0.01, 0.02, 0.05, 0.1)  # where a curve is shown to a person
ABSTAINED: Literal["abstained"] = "abstained"  # the status of a text without an answer
# and of one that is unlike those that were learnt from
UNFAMILIAR: Literal["unfamiliar"] = "unfamiliar"


@dataclass(frozen=True)
class Point:
    """Texts whose best label has at least the probability ``threshold``: how many, and how many
    wrong."""

    threshold: float
    answered: int
    wrong: int


@dataclass(frozen=True)
class RiskCoverage:
    """A risk–coverage curve.

    data: what the texts are, for people; texts: how many. points: by rising threshold; the first
        has all texts.
    default: the share of wrong answers that is allowed where nothing else is asked for, or None:
        every text is answered.
    sha256: text.texts_digest of the texts, or None where it was not kept.
    unfamiliar: see cost_thresholds, of the same texts; empty where they are too few.
    """

    data: str
    texts: int
    points: tuple[Point, ...]
    default: float | None = None
    sha256: str | None = None
    unfamiliar: tuple[tuple[float, float], ...] = ()

    @classmethod
    def from_predictions(
        cls, probabilities: npt.NDArray[np.float32], truth: npt.NDArray[np.integer[Any]], data: str
    ) -> RiskCoverage:
        """probabilities: float32 [n, labels], truth: int [n], of texts that the network did not
        learn from; n at least 1."""
        import numpy as np

        highest = probabilities.max(axis=1)
        wrong = probabilities.argmax(axis=1) != truth
        order = np.argsort(-highest, kind="stable")
        chosen = order[np.unique(np.linspace(0, len(order) - 1, MOST_POINTS).astype(int))]
        # Rounded down, so that the text it comes from is answered; counted as it is written.
        scale = 10**DIGITS
        thresholds = sorted(
            {0.0, *(math.floor(p * scale) / scale for p in highest[chosen].tolist())}
        )
        points: list[Point] = []
        for threshold in thresholds:
            is_answered = ~is_abstained(highest, threshold)
            answered = int(is_answered.sum())
            if not points or answered < points[-1].answered:
                points.append(Point(threshold, answered, int(wrong[is_answered].sum())))
        return cls(data, len(truth), tuple(points))

    def threshold(self, share: float) -> float:
        """The lowest threshold from which on at most this share of the answers is wrong.

        DataError where ``share`` is not between 0 and 1, or the texts cannot show so little.
        """
        check_abstain(share)
        point = self.operating_point(share)
        if point is None:
            raise DataError(
                f"{self.texts:,} texts ({self.data}) give no threshold for --abstain {share:.3g}, only for "
                f"{self.min_risk:.2g} or more; ask for that, or export with --data and more labelled texts "
                f"({fewest_texts(share):,} at least)"
            )
        return point.threshold

    def operating_point(self, share: float) -> Point | None:
        """The point that :meth:`threshold` takes; None where there is none."""
        return _first_below(self, share)

    @functools.cached_property
    def min_risk(self) -> float:
        """The smallest share of wrong answers that can be asked for, rounded up to two digits."""
        least = 1.0
        for point in self.points:
            if least == 1 or not _exceeds(point, least):
                least = _upper_bound(point.wrong, point.answered)
        scale = 10 ** (1 - math.floor(math.log10(least)))
        return float(math.ceil(least * scale) / scale)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        points = [[p.threshold, p.answered, p.wrong] for p in self.points]
        default = {} if self.default is None else {"default": self.default}
        digest = {} if self.sha256 is None else {"sha256": self.sha256}
        values = {"data": self.data, "texts": self.texts, **digest, **default, "points": points}
        return values | (
            {"unfamiliar": [list(pair) for pair in self.unfamiliar]} if self.unfamiliar else {}
        )

    @classmethod
    def from_dict(cls, values: Any) -> RiskCoverage:
        """The inverse of :meth:`to_dict`. ValueError, KeyError or TypeError where it is no
        curve."""
        if not isinstance(values, dict) or not isinstance(values["points"], list):
            raise TypeError("its risk-coverage curve is not an object with points")
        texts, default, data = values["texts"], values.get("default"), values["data"]
        digest = values.get("sha256")
        if type(texts) is not int or not 0 < texts <= MAX_TEXTS:
            raise ValueError(f"its risk-coverage curve is not of 1 to {MAX_TEXTS:,} texts")
        if len(values["points"]) > MAX_POINTS:
            raise ValueError(f"its risk-coverage curve has more than {MAX_POINTS} points")
        points = tuple(Point(*point) for point in values["points"])
        before = Point(-1.0, texts + 1, texts + 1)
        for point in points:
            numbers = type(point.threshold) in (int, float), type(point.answered), type(point.wrong)
            if numbers != (True, int, int) or not (
                before.threshold < point.threshold <= 1
                and 0 < point.answered < before.answered
                and 0 <= point.wrong <= min(point.answered, before.wrong)
            ):
                raise ValueError("its risk-coverage curve has points out of order")
            before = point
        if not isinstance(data, str) or not points or points[0].answered != texts:
            raise ValueError("its risk-coverage curve does not begin at full coverage")
        if default is not None and (type(default) is not float or not 0 < default < 1):
            raise ValueError("its default --abstain is not above 0 and below 1")
        if digest is not None and type(digest) is not str:
            raise ValueError("the digest of its risk-coverage curve's texts is not a string")
        unfamiliar = check_thresholds(values.get("unfamiliar", []))
        return cls(data, texts, points, default, digest, unfamiliar)


def cost_thresholds(scores: npt.NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    """(share, threshold) for each of SHARES that these texts can show, by rising share: the lowest
    score that
    at most this share of texts like them exceeds. scores: float64 [n], see familiarity.py."""
    import numpy as np

    highest, n, scale = np.sort(scores)[::-1], len(scores), 10**DIGITS
    thresholds: list[tuple[float, float]] = []
    for share in SHARES:
        # How many texts may lie above the threshold: each more makes the bound larger.
        counts = range(int(share * n) + 1)
        allowed = (
            bisect.bisect_right(
                counts, 1 - CONFIDENCE, key=lambda count: binomial_cdf(count, n, share)
            )
            - 1
        )
        if allowed >= 0:  # rounded up, so that the text it comes from is familiar
            thresholds.append((share, math.ceil(float(highest[allowed]) * scale) / scale))
    return tuple(thresholds)


def check_thresholds(values: Any) -> tuple[tuple[float, float], ...]:
    """Return a model file's :func:`cost_thresholds`. ValueError or TypeError where they are
    none."""
    thresholds = tuple((share, threshold) for share, threshold in values)
    if not all(type(share) is float and type(value) in (int, float) for share, value in thresholds):
        raise TypeError("its thresholds of unfamiliar texts are not numbers")
    for (share, value), (larger, lower) in itertools.pairwise([(0.0, math.inf), *thresholds]):
        if not (share < larger < 1 and 0 <= lower <= value and math.isfinite(lower)):
            raise ValueError("its thresholds of unfamiliar texts are in no order")
    return thresholds


def choose_unfamiliar_threshold(curve: RiskCoverage | None, model: object, share: float) -> float:
    """The score above which a text is unfamiliar, at the cost of at most ``share`` of the familiar
    ones.

    curve: of the model file; model: what an error calls it. DataError where ``share`` is none, or
    where the held-out texts cannot show so little.
    """
    if not 0 < share < 1:
        raise DataError(
            f"the share of familiar texts that --unfamiliar may cost is above 0 and below 1, not {share:g}; "
            f"for 5 %, give --unfamiliar {USUAL_SHARE}"
        )
    if curve is None or (not curve.unfamiliar and curve.texts >= fewest_texts(SHARES[-1])):
        raise DataError(
            f"{model} has no thresholds for --unfamiliar; export it again, with --data LABELLED where its "
            "checkpoint has none (of several labels per text there are none: no label is an answer)"
        )
    reached = [threshold for least, threshold in curve.unfamiliar if least <= share]
    if not reached:
        ways = [f"ask for {curve.unfamiliar[0][0]:g} or more"] if curve.unfamiliar else []
        if share >= SHARES[0] or not ways:
            fewest = fewest_texts(max(share, SHARES[0]))
            ways.append(f"export with --data and more labelled texts ({fewest:,} at least)")
        raise DataError(
            f"{model}: {curve.texts:,} texts ({curve.data}) do not show which score at most {share:.3g} of "
            f"familiar texts exceed; {', or '.join(ways)}"
        )
    return reached[-1]


def check_abstain(share: float) -> None:
    """DataError unless it can be the share of answers that may be wrong."""
    if not 0 < share < 1:
        raise DataError(f"--abstain must be above 0 and below 1, not {share:g}; for 2 %, give 0.02")


def choose_threshold(
    curve: RiskCoverage | None, model: object, *, abstain: float | None, threshold: float | None
) -> float:
    """The probability below which a text is unsure: ``threshold``, or that for ``abstain``, the
    share of answers that may be wrong, or the model's own default, or 0. ``model``: what an error
    calls it. DataError.
    """
    if abstain is not None and threshold is not None:
        raise DataError("--abstain and --threshold exclude each other; give one of them")
    if threshold is not None:
        if not 0 <= threshold <= 1:
            raise DataError(f"the threshold must be from 0 to 1, not {threshold}")
        return threshold
    share = abstain if abstain is not None or curve is None else curve.default
    if share is None:
        return 0.0
    check_abstain(share)
    if curve is None:
        raise DataError(
            f"{model} has no risk-coverage curve for --abstain; export it again with --data LABELLED, or "
            "give --threshold"
        )
    try:
        return curve.threshold(share)
    except DataError as error:
        raise DataError(f"{model}: {error}") from None


def is_abstained(highest: npt.NDArray[np.float32], threshold: float) -> npt.NDArray[np.bool_]:
    """Which texts get no answer. highest: float32 [n], the probability of each one's best label."""
    import numpy as np

    return np.asarray(highest < np.float32(threshold))


def apply_thresholds(
    probabilities: npt.NDArray[np.float32], thresholds: Sequence[float] | None
) -> npt.NDArray[np.bool_]:
    """bool [n, labels]: the labels that each text is given, those whose probability is at least
    their threshold, compared in float64; the most probable one where there are no thresholds.

    probabilities: float32 [n, labels].
    """
    import numpy as np

    if thresholds is None:
        return np.asarray(
            probabilities.argmax(axis=1)[:, None] == np.arange(probabilities.shape[1])
        )
    return np.asarray(probabilities >= np.array(thresholds))


def check_top(k: int, labels: int) -> None:
    """DataError where the ``k`` most probable of so many labels cannot be given."""
    if not 1 <= k <= labels:
        raise DataError(f"--top must be from 1 to {labels}, the number of labels, not {k}")


def fewest_texts(share: float) -> int:
    """Texts, all answered right, that show a share of wrong answers of at most ``share``."""
    return math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-share))


@functools.lru_cache(maxsize=64)
def _first_below(curve: RiskCoverage, share: float) -> Point | None:
    """The first point whose share of wrong answers is at most ``share``, with confidence."""
    return next((point for point in curve.points if not _exceeds(point, share)), None)


def _exceeds(point: Point, share: float) -> bool:
    """Whether more than this share of the point's answers may be wrong."""
    wrong, answered = point.wrong, point.answered  # no bound is below their own share
    return wrong > share * answered or binomial_cdf(wrong, answered, share) > 1 - CONFIDENCE


def binomial_cdf(wrong: int, answered: int, share: float) -> float:
    """The probability that at most ``wrong`` of ``answered`` answers are wrong where ``share`` of
    all are."""
    start = min(wrong, int(share * answered))  # the largest term, or next to it
    logarithm = (
        math.lgamma(answered + 1)
        - math.lgamma(start + 1)
        - math.lgamma(answered - start + 1)
        + start * math.log(share)
        + (answered - start) * math.log1p(-share)
    )
    odds = share / (1 - share)
    total = term = 1.0  # of that of `start`
    for i in range(start, 0, -1):
        term *= i / ((answered - i + 1) * odds)
        total += term
        if term < _NEGLIGIBLE:
            break
    term = 1.0
    for i in range(start, wrong):
        term *= (answered - i) / (i + 1) * odds
        total += term
        if term < _NEGLIGIBLE:
            break
    return math.exp(logarithm) * total


def _upper_bound(wrong: int, answered: int) -> float:
    """Clopper & Pearson's one-sided upper bound of the share of wrong answers."""
    if wrong == answered:
        return 1.0
    low, high = wrong / answered, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if binomial_cdf(wrong, answered, middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high
