"""The question that a model file answers: a choice, a yes or no, or a score on a scale.

The labels of a score are numbers. Its answer is the expected value over their probabilities, with
an interval: from the number below which a tenth of the probability lies to the one above which a
tenth lies. Both ends are numbers of the scale, so a true label is within them for 80 % of the texts
or more, if the probabilities are right.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from edge_lstm.errors import DataError
from edge_lstm.printable import shorten

if TYPE_CHECKING:  # a model file is read without NumPy
    import numpy as np
    import numpy.typing as npt

QuestionType = Literal["choice", "yes_no", "score"]
CHOICE: Literal["choice"] = "choice"
YES_NO: Literal["yes_no"] = "yes_no"
SCORE: Literal["score"] = "score"

# Python alone takes 1_000 and digits of other scripts for numbers.
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")

# Probability that lies outside of the interval of a score, on each side.
TAIL = 0.1

# Sums of float32 probabilities miss a border by less.
_ROUNDING = 1e-6


class Estimates(NamedTuple):
    """The scores of n texts, float64 [n] each.

    values: the expected values.
    low, high: the ends of the intervals.
    """

    values: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Question:
    """The type of a question, and what its labels mean.

    yes: the label that says yes, of a yes/no question.
    levels: the number of each label of a score, in the order of the labels.
    """

    type: QuestionType = CHOICE
    yes: str | None = None
    levels: tuple[float, ...] = ()

    @classmethod
    def of(cls, kind: QuestionType, labels: Sequence[str]) -> Question:
        """Return a question of a type with these labels.

        Raises DataError if they cannot be its labels.
        """
        if kind == YES_NO:
            yes = yes_label(labels)
            if yes is None:
                raise DataError(
                    "the labels of a yes/no question are yes and no, true and false, or 1 and 0; "
                    "rename them, or ask for a choice"
                )
            return cls(kind, yes)
        if kind == SCORE:
            return cls(kind, levels=_levels(labels))
        return cls()

    def to_dict(self) -> dict[str, str]:
        """Return plain values, for JSON."""
        return {"type": self.type} if self.yes is None else {"type": self.type, "yes": self.yes}

    @classmethod
    def from_dict(cls, values: Any, labels: Sequence[str]) -> Question:
        """Make a question of the values of :meth:`to_dict`, which may come from anyone.

        Raises ValueError, KeyError or TypeError if they do not describe one.
        """
        if not isinstance(values, dict) or values["type"] not in (CHOICE, YES_NO, SCORE):
            raise ValueError("its question has an unknown type")
        try:
            question = cls.of(values["type"], labels)
        except DataError:
            raise ValueError("its labels do not fit its question") from None
        if values.get("yes") != question.yes:
            raise ValueError("its question names the wrong label for yes")
        return question

    def estimate(self, probabilities: npt.NDArray[np.float32]) -> Estimates:
        """Return the scores of texts.

        probabilities: float32 [n, labels], of the labels of a score.
        """
        import numpy as np

        levels = np.array(self.levels)
        order = np.argsort(levels)
        shares = probabilities[:, order].astype(np.float64)
        shares /= shares.sum(axis=1, keepdims=True)
        below = np.cumsum(shares, axis=1)
        low = (below < TAIL - _ROUNDING).sum(axis=1)
        high = (below < 1 - TAIL - _ROUNDING).sum(axis=1)
        return Estimates(shares @ levels[order], levels[order][low], levels[order][high])


ANY_CHOICE = Question()


def yes_label(labels: Sequence[str]) -> str | None:
    """Return the one of two labels that says yes; None if they do not say yes and no."""
    by_name = {label.lower(): label for label in labels}
    # Labels in lower case that say no and yes.
    for no, yes in (("no", "yes"), ("false", "true"), ("0", "1")):
        if len(labels) == 2 and by_name.keys() == {no, yes}:
            return by_name[yes]
    return None


def number(label: str) -> float | None:
    """Return the value of a label that is a decimal number; else None."""
    if _NUMBER.fullmatch(label) is None:
        return None
    value = float(label)
    return value if math.isfinite(value) else None


def _levels(labels: Sequence[str]) -> tuple[float, ...]:
    by_value: dict[float, str] = {}
    for label in labels:
        value = number(label)
        if value is None:
            raise DataError(
                f"the labels of a score must be numbers, and {shorten(label)} is not one; correct "
                "it, or ask for a choice"
            )
        if value in by_value:
            raise DataError(
                f"the labels {by_value[value]} and {label} are the same number; write them the "
                "same way, or ask for a choice"
            )
        by_value[value] = label
    return tuple(by_value)
