"""How unlike the texts that the model learnt from a text is: a score, for which the model file has
thresholds (answering.py).

The score is a sum of two numbers from 0 to 1, the second at half its weight. They need nothing of
the model file but what every engine gives:

- how undecided the labels are: the Rényi entropy of order 1/2 of their probabilities over its
  largest value. Unlike Shannon's it sees how much is left for the many unlikely labels;
- how rare the tokens are: the mean logarithm of their ids over its largest value. The most frequent
  words have the lowest ids, and by Zipf's law the logarithm of a rank is, up to a constant, that of
  how rare it is.

benchmarks/decisions.md compares it with others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge_lstm.text import FIRST_WORD_ID, START_ID

RARITY = 0.5  # what the tokens count beside the labels


def unfamiliarity(
    probabilities: npt.NDArray[np.float32], rows: Sequence[Sequence[int]], num_ids: int
) -> npt.NDArray[np.float64]:
    """float64 [n], 0 to 1.5, the higher the less familiar.

    probabilities: float32 [n, L], rows sum to 1. rows: the ids of the n texts. num_ids: of the
        vocabulary.
    """
    wide = probabilities.astype(np.float64)
    undecided = 2 * np.log(np.sqrt(wide).sum(axis=1)) / math.log(wide.shape[1])
    rare = np.ones(len(rows))  # of a text without tokens
    for i, row in enumerate(rows):
        ids = np.asarray(row)
        ids = ids[ids != START_ID]
        if len(ids):
            rare[i] = np.log(np.where(ids < FIRST_WORD_ID, num_ids, ids)).mean() / math.log(num_ids)
    return np.asarray(undecided + RARITY * rare)
