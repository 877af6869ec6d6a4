"""Whether a text is unlike those that the model learnt from: a score, and how many familiar texts it costs.

The score adds two numbers from 0 to 1, which need nothing of the model file but what every engine gives:

- how undecided the labels are: the Rényi entropy of order 1/2 of their probabilities over its largest value.
  Unlike Shannon's it sees how much is left for the many unlikely labels;
- how rare the tokens are: the mean logarithm of their ids over its largest value. The most frequent words
  have the lowest ids, and by Zipf's law the logarithm of a rank is, up to a constant, that of how rare it is.

benchmarks/decisions.md compares it with others. A threshold counts only where at most the wanted share of
texts like the held-out ones lies above it with 90 % confidence, as in answering.py.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge_lstm.answering import CONFIDENCE, DIGITS, RiskCoverage, fewest_texts, tail
from edge_lstm.errors import DataError
from edge_lstm.text import FIRST_WORD_ID, START_ID

if TYPE_CHECKING:  # a model file is read without NumPy
    import numpy as np
    import numpy.typing as npt

SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3)
USUAL_SHARE = 0.05  # what is shown where no share is asked for


def unfamiliarity(
    probabilities: npt.NDArray[np.float32], rows: Sequence[Sequence[int]], num_ids: int
) -> npt.NDArray[np.float64]:
    """float64 [n], 0 to 2, the higher the less familiar.

    probabilities: float32 [n, L], rows sum to 1. rows: the ids of the n texts. num_ids: of the vocabulary.
    """
    import numpy as np

    wide = probabilities.astype(np.float64)
    undecided = 2 * np.log(np.sqrt(wide).sum(axis=1)) / math.log(wide.shape[1])
    rare = np.ones(len(rows))  # of a text without tokens
    for i, row in enumerate(rows):
        ids = np.asarray(row)
        ids = ids[ids != START_ID]
        if len(ids):
            rare[i] = np.log(np.where(ids < FIRST_WORD_ID, num_ids, ids)).mean() / math.log(num_ids)
    return np.asarray(undecided + rare)


def cost_thresholds(scores: npt.NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    """(share, threshold) for each of SHARES that these texts can show, by rising share: the lowest score that
    at most this share of texts like them exceeds. scores: float64 [n], of texts that were not learnt from."""
    import numpy as np

    highest, n, scale = np.sort(scores)[::-1], len(scores), 10**DIGITS
    thresholds: list[tuple[float, float]] = []
    for share in SHARES:
        # How many texts may lie above the threshold: each more makes the bound larger.
        counts = range(int(share * n) + 1)
        allowed = bisect.bisect_right(counts, 1 - CONFIDENCE, key=lambda count: tail(count, n, share)) - 1
        if allowed >= 0:  # rounded up, so that the text it comes from is familiar
            thresholds.append((share, math.ceil(float(highest[allowed]) * scale) / scale))
    return tuple(thresholds)


def threshold_for(curve: RiskCoverage | None, model: object, share: float) -> float:
    """The score above which a text is unfamiliar, at the cost of at most ``share`` of the familiar ones.

    curve: of the model file; model: what an error calls it. DataError where ``share`` is none, or where the
    held-out texts cannot show so little.
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
        raise DataError(
            f"{model}: {curve.texts:,} texts ({curve.data}) do not show which score at most {share:.3g} of "
            "familiar texts exceed; ask for more, or export with --data and more labelled texts "
            f"({fewest_texts(max(share, SHARES[0])):,} at least)"
        )
    return reached[-1]
