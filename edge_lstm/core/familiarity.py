"""Unfamiliarity: a score of how unlike the training texts a text is.

The model file has thresholds for it (risk_coverage.py). The score is a sum of two numbers from 0 to
1, the second at half its weight. Both need only what every engine returns:

- how undecided the labels are: the Rényi entropy of order 1/2 of their probabilities over its
  largest value. Unlike Shannon's it reflects the probability left for the many unlikely labels;
- how rare the tokens are: the mean level of their ids over its largest value. The most frequent
  words have the lowest ids, and by Zipf's law the logarithm of a word's rank is, up to a constant,
  the negative logarithm of its frequency. A level is that logarithm to the base 4, rounded up:
  within a level ids follow the alphabet.

benchmarks/decisions.md compares it with other scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge_lstm.core.text import Tokenizer

RARITY = 0.5  # weight of the tokens; the labels have 1


def level(ids: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return half of the bits of each id, rounded up: 1 for 1 to 3, 2 up to 15, 3 up to 63."""
    bits = np.frexp(ids)[1].astype(np.int64)
    return (bits + 1) // 2


def unfamiliarity(
    probabilities: npt.NDArray[np.float32], rows: Sequence[Sequence[int]], tokenizer: Tokenizer
) -> npt.NDArray[np.float64]:
    """Return float64 [n], 0 to 1.5; a higher score is less familiar.

    probabilities: float32 [n, labels], rows sum to 1.
    rows: ids of the n texts.
    tokenizer: which made the ids.
    """
    wide = probabilities.astype(np.float64)
    undecided = 2 * np.log(np.sqrt(wide).sum(axis=1)) / math.log(wide.shape[1])
    rule = tokenizer.rule
    ends = tokenizer.num_ids
    rare = np.ones(len(rows))  # the value of a text without tokens
    for i, row in enumerate(rows):
        ids = np.asarray(row, np.int64)
        ids = ids[ids != rule.start_id]
        if len(ids):
            is_word = (ids >= rule.first_word_id) & (ids != rule.oov_id)
            rare[i] = level(np.where(is_word, ids, ends)).mean() / level(ends)
    return np.asarray(undecided + RARITY * rare)
