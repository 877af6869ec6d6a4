"""Selective classification: the labels that a text gets, if any.

A model abstains from a text if the probability of its best label is below a threshold. A caller may
give the share of answers that may be wrong instead. The model file's **risk–coverage curve**
(El-Yaniv & Wiener 2010) has the threshold for it. The curve counts labelled texts that the network
did not learn from: how many are answered at each threshold, and how many of the answers are wrong.

Few texts say little about a small share. A threshold counts only if the true share of wrong answers
is below the given one with 90 % confidence. The bound is Clopper & Pearson's one-sided one (1934),
as in selective classification with guaranteed risk (Geifman & El-Yaniv 2017). It is not corrected
for the choice among the curve's points, because they share nearly all their texts.

The thresholds for unfamiliar texts (out of distribution, OOD) are found in the same way.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_lstm.errors import DataError

if TYPE_CHECKING:  # a model file is read without NumPy
    import numpy as np
    import numpy.typing as npt

CONFIDENCE = 0.9

# Points of a curve that is made here.
MOST_POINTS = 32

# Limits for a curve in a file, which someone else may have made.
MAX_POINTS = 64
MAX_TEXTS = 10**7

# Decimals of a threshold.
DIGITS = 6

# A term this small, as a share of the largest, adds nothing to a sum, nor do the terms behind it.
_NEGLIGIBLE = 1e-20

# Shares of familiar texts that may be called unfamiliar. A file has a threshold for each.
SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3)
USUAL_SHARE = 0.05

# Risks at which a curve is shown to a person.
SHOWN_RISKS = (0.01, 0.02, 0.05, 0.1)


@dataclass(frozen=True)
class Point:
    """A point of a risk–coverage curve.

    threshold: a probability, 0 to 1.
    answered: number of texts whose best label has at least this probability.
    wrong: number of wrong answers among them.
    """

    threshold: float
    answered: int
    wrong: int


@dataclass(frozen=True)
class RiskCoverage:
    """A risk–coverage curve.

    data: a description of the texts, for people.
    texts: number of texts.
    points: by rising threshold; the first has all texts.
    default: the share of wrong answers that is allowed by default, above 0 and below 1; None: every
        text is answered by default.
    sha256: text.texts_digest of the texts; None if it was not kept.
    unfamiliar: see :func:`cost_thresholds`, for the same texts; empty if they are too few.
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
        """Measure a curve on labelled texts that the network did not learn from.

        probabilities: float32 [n, labels]; n is at least 1.
        truth: int [n], the index of each text's label.
        data: a description of the texts, for people.
        """
        import numpy as np

        highest = probabilities.max(axis=1)
        wrong = probabilities.argmax(axis=1) != truth
        order = np.argsort(-highest, kind="stable")
        chosen = order[np.unique(np.linspace(0, len(order) - 1, MOST_POINTS).astype(int))]
        # Rounded down, so that the text that gives a threshold is answered at it. Texts are counted
        # at the rounded threshold, the one that the file has.
        scale = 10**DIGITS
        rounded = [math.floor(p * scale) / scale for p in highest[chosen].tolist()]
        points: list[Point] = []
        for threshold in sorted({0.0, *rounded}):
            is_answered = ~is_abstained(highest, threshold)
            answered = int(is_answered.sum())
            if not points or answered < points[-1].answered:
                points.append(Point(threshold, answered, int(wrong[is_answered].sum())))
        return cls(data, len(truth), tuple(points))

    def threshold(self, share: float) -> float:
        """Return the lowest threshold at which at most this share of the answers is wrong.

        share: above 0 and below 1.

        Raises DataError if it is not, or if the curve has too few texts to show it.
        """
        check_abstain(share)
        point = self.operating_point(share)
        if point is None:
            raise DataError(
                f"{self.texts:,} texts ({self.data}) give no threshold for --abstain {share:.3g}, "
                f"only for {self.min_risk:.2g} or more; ask for that, or export with --data and "
                f"more labelled texts, at least {fewest_texts(share):,} that are all answered "
                "right"
            )
        return point.threshold

    def operating_point(self, share: float) -> Point | None:
        """Return the point that :meth:`threshold` takes; None if the curve has none."""
        return _first_below(self, share)

    @functools.cached_property
    def min_risk(self) -> float:
        """The smallest share of wrong answers that the curve can show, rounded up to two digits."""
        least = min(_upper_bound(point.wrong, point.answered) for point in self.points)
        scale = 10 ** (1 - math.floor(math.log10(least)))
        return float(math.ceil(least * scale) / scale)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON, of what the curve has."""
        values: dict[str, Any] = {
            "data": self.data,
            "texts": self.texts,
            "sha256": self.sha256,
            "default": self.default,
            "points": [[p.threshold, p.answered, p.wrong] for p in self.points],
            "unfamiliar": [list(pair) for pair in self.unfamiliar] or None,
        }
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_dict(cls, values: Any) -> RiskCoverage:
        """Make a curve from the values of :meth:`to_dict`, which may come from anyone.

        Raises ValueError, KeyError or TypeError if they do not describe a curve.
        """
        if not isinstance(values, dict) or not isinstance(values["points"], list):
            raise TypeError("its risk-coverage curve is not an object with points")
        texts = values["texts"]
        data = values["data"]
        default = values.get("default")
        digest = values.get("sha256")
        if type(texts) is not int or not 0 < texts <= MAX_TEXTS:
            raise ValueError(f"its risk-coverage curve is not made from 1 to {MAX_TEXTS:,} texts")
        if len(values["points"]) > MAX_POINTS:
            raise ValueError(f"its risk-coverage curve has more than {MAX_POINTS} points")
        points = tuple(Point(*point) for point in values["points"])
        before = Point(-1.0, texts + 1, texts + 1)
        for point in points:
            if not _may_follow(before, point):
                raise ValueError("its risk-coverage curve has points out of order")
            before = point
        if not isinstance(data, str) or not points or points[0].answered != texts:
            raise ValueError("its risk-coverage curve does not begin at full coverage")
        if default is not None and (type(default) is not float or not 0 < default < 1):
            raise ValueError("its default --abstain is not above 0 and below 1")
        if digest is not None and type(digest) is not str:
            raise ValueError("the digest of its risk-coverage curve's texts is not a string")
        return cls(
            data, texts, points, default, digest, check_thresholds(values.get("unfamiliar", []))
        )


def _may_follow(before: Point, point: Point) -> bool:
    """Check the types of a point's values, and its place in a curve."""
    if type(point.threshold) not in (int, float):
        return False
    if type(point.answered) is not int or type(point.wrong) is not int:
        return False
    return (
        before.threshold < point.threshold <= 1
        and 0 < point.answered < before.answered
        and 0 <= point.wrong <= min(point.answered, before.wrong)
    )


def cost_thresholds(scores: npt.NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    """Find the thresholds above which a text is unfamiliar, out of distribution (OOD).

    scores: float64 [n], the scores (familiarity.py) of texts that the network did not learn from.

    Returns (share, threshold) for each of SHARES that n texts can show, by rising share. The
    threshold is the lowest score that at most this share of such texts exceeds.
    """
    import numpy as np

    n = len(scores)
    highest = np.sort(scores)[::-1]
    scale = 10**DIGITS
    thresholds: list[tuple[float, float]] = []
    for share in SHARES:
        # How many texts may lie above the threshold: 0, 1, … The probability of at most so few
        # rises with their number, so the allowed numbers come first.
        counts = range(int(share * n) + 1)
        allowed = bisect.bisect_right(
            counts, 1 - CONFIDENCE, key=lambda count: binomial_cdf(count, n, share)
        )
        if allowed:
            # Rounded up, so that the text that gives the threshold is familiar.
            threshold = math.ceil(float(highest[allowed - 1]) * scale) / scale
            thresholds.append((share, threshold))
    return tuple(thresholds)


def check_thresholds(values: Any) -> tuple[tuple[float, float], ...]:
    """Return a model file's :func:`cost_thresholds`, checked.

    Raises ValueError or TypeError if they cannot be.
    """
    thresholds = tuple((share, threshold) for share, threshold in values)
    if not all(type(share) is float and type(value) in (int, float) for share, value in thresholds):
        raise TypeError("its thresholds of unfamiliar texts are not numbers")
    for (share, value), (larger, lower) in itertools.pairwise([(0.0, math.inf), *thresholds]):
        if not (share < larger < 1 and 0 <= lower <= value and math.isfinite(lower)):
            raise ValueError("its thresholds of unfamiliar texts are out of order")
    return thresholds


def choose_unfamiliar_threshold(curve: RiskCoverage | None, model: object, share: float) -> float:
    """Return the score above which a text is unfamiliar, out of distribution (OOD).

    curve: the one in the model file.
    model: the model's name in an error.
    share: of familiar texts, at most this share is called unfamiliar; above 0 and below 1.

    Raises DataError if it is not, or if the curve has no threshold for it.
    """
    if not 0 < share < 1:
        raise DataError(
            f"--unfamiliar must be above 0 and below 1, not {share:g}; "
            f"for 5 %, give --unfamiliar {USUAL_SHARE}"
        )
    if curve is None or (not curve.unfamiliar and curve.texts >= fewest_texts(SHARES[-1])):
        raise DataError(
            f"{model} has no thresholds for --unfamiliar; export it again, with --data LABELLED "
            "if its checkpoint has none (a model that gives several labels per text has none)"
        )
    reached = [threshold for smaller, threshold in curve.unfamiliar if smaller <= share]
    if not reached:
        ways = [f"give {curve.unfamiliar[0][0]:g} or more"] if curve.unfamiliar else []
        if share >= SHARES[0] or not ways:
            fewest = fewest_texts(max(share, SHARES[0]))
            ways.append(f"export with --data and at least {fewest:,} labelled texts")
        raise DataError(
            f"{model}: {curve.texts:,} texts ({curve.data}) are too few for --unfamiliar "
            f"{share:.3g}; {', or '.join(ways)}"
        )
    return reached[-1]


def check_abstain(share: float) -> None:
    """Check a share of answers that may be wrong, and raise DataError for what is none."""
    if not 0 < share < 1:
        raise DataError(f"--abstain must be above 0 and below 1, not {share:g}; for 2 %, give 0.02")


def choose_threshold(
    curve: RiskCoverage | None, model: object, *, abstain: float | None, threshold: float | None
) -> float:
    """Return the probability below which the model abstains from a text.

    It is ``threshold`` if given, else the threshold for ``abstain``, else the one for the curve's
    default, else 0.

    curve: the one in the model file, if any.
    model: the model's name in an error.
    abstain: the share of answers that may be wrong, above 0 and below 1.
    threshold: a probability, 0 to 1.

    Raises DataError if both are given, one is out of range, or the curve cannot show the share.
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
            f"{model} has no risk-coverage curve for --abstain; "
            "export it again with --data LABELLED, or give --threshold"
        )
    try:
        return curve.threshold(share)
    except DataError as error:
        raise DataError(f"{model}: {error}") from None


def is_abstained(highest: npt.NDArray[np.float32], threshold: float) -> npt.NDArray[np.bool_]:
    """Return bool [n]: the texts that get no answer.

    highest: float32 [n], the probability of each text's best label.
    threshold: compared in float32.
    """
    import numpy as np

    return np.asarray(highest < np.float32(threshold))


def fewest_texts(share: float) -> int:
    """Return the number of texts, all answered right, that shows at most this share of errors."""
    return math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-share))


@functools.lru_cache(maxsize=64)
def _first_below(curve: RiskCoverage, share: float) -> Point | None:
    """Return the first point whose share of wrong answers is at most ``share``, with confidence."""
    return next((point for point in curve.points if not _exceeds(point, share)), None)


def _exceeds(point: Point, share: float) -> bool:
    """Tell whether more than this share of the point's answers may be wrong."""
    # No upper bound lies below the observed share: no need to compute it then.
    if point.wrong > share * point.answered:
        return True
    return binomial_cdf(point.wrong, point.answered, share) > 1 - CONFIDENCE


def binomial_cdf(wrong: int, answered: int, share: float) -> float:
    """Return the binomial distribution's cumulative probability.

    It is the probability that at most ``wrong`` of ``answered`` answers are wrong if each is wrong
    with probability ``share``, above 0 and below 1.
    """
    # The largest term, or the one next to it: the others are multiples of it.
    start = min(wrong, int(share * answered))
    logarithm = (
        math.lgamma(answered + 1)
        - math.lgamma(start + 1)
        - math.lgamma(answered - start + 1)
        + start * math.log(share)
        + (answered - start) * math.log1p(-share)
    )
    odds = share / (1 - share)
    # The sum, in units of that term.
    total = 1.0
    term = 1.0
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
    """Return Clopper & Pearson's one-sided upper bound of the share of wrong answers."""
    if wrong == answered:
        return 1.0
    low = wrong / answered
    high = 1.0
    # 40 halvings leave less than 1e-12.
    for _ in range(40):
        middle = (low + high) / 2
        if binomial_cdf(wrong, answered, middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high
