"""From which probability on a text is given a label, where it may have several.

It is chosen on the validation part. Rare labels have few texts there, and the best threshold for five of
them is mostly chance. So what counts as a text's label is mixed with its probability, which says what is to
be expected of calibrated answers: the more, the fewer texts of the label there are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm.errors import DataError

UNTUNED = 0.5  # of a label that no validation text has
PRIOR = 10.0  # so many texts of a label count as much as what its probabilities say
SMALLEST, LARGEST = 1e-4, 1.0


def check_precision(precision: float | None) -> None:
    """DataError where it is none that can be wanted."""
    if precision is not None and not 0 < precision <= 1:
        raise DataError(f"precision must be above 0 and at most 1, not {precision}")


def choose_thresholds(
    truth: npt.NDArray[np.bool_], probabilities: npt.NDArray[np.float32], precision: float | None = None
) -> tuple[float, ...]:
    """A threshold for each label, above 0 to 1: of the best F1, or, with ``precision``, the lowest from which
    on so many of the texts that get the label have it (1 where none is so sure).

    truth: bool [n, labels]; probabilities: float32 [n, labels], calibrated.
    """
    return tuple(
        _threshold(truth[:, label], probabilities[:, label].astype(np.float64), precision)
        for label in range(truth.shape[1])
    )


def _threshold(
    truth: npt.NDArray[np.bool_], probabilities: npt.NDArray[np.float64], precision: float | None
) -> float:
    positives = int(truth.sum())
    if not positives:
        return UNTUNED
    trust = PRIOR / (PRIOR + positives)
    order = np.argsort(-probabilities, kind="stable")
    p = probabilities[order]
    right = np.cumsum((1 - trust) * truth[order] + trust * p)
    given = np.arange(1, len(p) + 1)
    # Texts of the same probability are answered alike: only the last of them can be a border. The threshold
    # lies half-way to the next one, so that rounding moves no text over it.
    ends = np.append(p[:-1] > p[1:], True)
    borders = np.clip((p + np.append(p[1:], 0.0)) / 2, SMALLEST, LARGEST)
    if precision is None:
        value: npt.NDArray[Any] = np.where(ends, 2 * right / (given + right[-1]), -1.0)
        best = int(value.argmax())
    else:
        sure = np.flatnonzero(ends & (right >= precision * given))
        if not len(sure):
            return LARGEST
        best = int(sure[-1])
    return float(f"{borders[best]:.5g}")
