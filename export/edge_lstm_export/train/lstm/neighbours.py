"""First values for the embedding, from the words' neighbours in all texts.

Positive pointwise mutual information of words within a window, factorised by a truncated singular
value decomposition (Levy, Goldberg and Dagan, 2015): it puts words of one use side by side ("dull",
"tedious").
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from edge_lstm.core.text import FIRST_WORD_ID
from edge_lstm_export.arrays import Floats
from edge_lstm_export.network import Examples

SMALLEST_NORM = 1e-6  # a shorter vector is 0


def word_vectors(examples: Examples, num_words: int, dim: int, seed: int) -> Floats | None:
    """Return a vector per id, float32 [num_words + 1, dim], of a standard deviation of 0.2.

    An id without neighbours has NaN, as have ids other than words'. None if the texts have fewer
    than 10,000 tokens: so few say nothing of a word's use.
    """
    from sklearn.utils.extmath import randomized_svd

    if len(examples.ids) < 10_000 or num_words - FIRST_WORD_ID < 2 * dim:
        return None
    together = _together(examples, num_words + 1)
    total = np.asarray(together.sum(axis=1)).ravel()
    context = total**0.75  # rare neighbours count less (3.2 of the paper)
    counts = together.tocoo()
    information = np.log(counts.data * context.sum() / (total[counts.row] * context[counts.col]))
    positive = information > 0
    where = counts.row[positive], counts.col[positive]
    matrix = sparse.csr_matrix((information[positive].astype(np.float32), where), together.shape)
    left, strength, _ = randomized_svd(matrix, dim, n_iter=3, random_state=seed)
    vectors: Floats = (left * np.sqrt(strength)).astype(np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        length = 0.2 * np.sqrt(dim)
        vectors *= np.where(norms > SMALLEST_NORM, length / norms, np.nan).astype(np.float32)
    return vectors


def _together(examples: Examples, ids: int) -> sparse.csr_matrix:
    """Count how often two words are at most five apart: float32 [ids, ids], symmetric.

    A neighbour at distance d counts 1 / d.
    """
    owner = np.repeat(np.arange(len(examples)), examples.lengths)
    word = examples.ids >= FIRST_WORD_ID
    counts = sparse.csr_matrix((ids, ids), dtype=np.float32)
    for distance in range(1, 5 + 1):
        left = examples.ids[:-distance]
        right = examples.ids[distance:]
        are_words = word[:-distance] & word[distance:]
        use = are_words & (owner[:-distance] == owner[distance:])
        ones = np.full(int(use.sum()), 1 / distance, np.float32)
        counts += sparse.csr_matrix((ones, (left[use], right[use])), counts.shape)
    return (counts + counts.T).tocsr()
