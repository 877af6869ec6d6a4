"""From which probability on a text is given a label, where it may have several.

It is chosen on the validation part, where the best threshold for the five texts of a rare label is mostly
chance. So what counts as a text's label is mixed with its calibrated probability: the more, the fewer texts
of the label there are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

UNTUNED = 0.5  # of a label that no validation text has
PRIOR = 10.0  # so many texts of a label count as much as what its probabilities say
SMALLEST, LARGEST = 1e-4, 1.0


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
    ends = np.flatnonzero(np.append(p[:-1] > p[1:], True))
    if precision is None:
        best = ends[(2 * right / (given + right[-1]))[ends].argmax()]
    else:
        sure = ends[right[ends] >= precision * given[ends]]
        if not len(sure):
            return LARGEST
        best = sure[-1]
    border = (p[best] + np.append(p, 0.0)[best + 1]) / 2
    return float(f"{np.clip(border, SMALLEST, LARGEST):.5g}")
