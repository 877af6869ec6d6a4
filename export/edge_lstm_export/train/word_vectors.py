"""First values for the embedding: word vectors from the words' neighbours in all texts, labelled or not.

Positive pointwise mutual information of words within a window, factorised by a truncated singular value
decomposition (Levy, Goldberg and Dagan, 2015): it puts words of one use side by side ("dull", "tedious").
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from edge_lstm.text import FIRST_WORD_ID
from edge_lstm_export.train.data import Floats
from edge_lstm_export.train.examples import Examples

WINDOW = 5  # neighbours on each side; one at distance d counts 1 / d
CONTEXT_POWER = 0.75  # flattens how frequent the neighbours are (Levy, Goldberg and Dagan, 2015, 3.2)
# Standard deviations, well above those an embedding starts from otherwise: of values from the texts, and of
# pretrained ones, from which a training takes little.
SPREAD, PRETRAINED_SPREAD = 0.2, 1.0
FEWEST_TOKENS = 10_000  # with fewer, neighbours are chance


def word_vectors(examples: Examples, num_words: int, dim: int, seed: int) -> Floats | None:
    """float32 [num_words + 1, dim], a row an id, each of length ``SPREAD · sqrt(dim)``; NaN where an id has
    no neighbours (and for the ids that are no words). None where the texts are too few to tell."""
    from sklearn.utils.extmath import randomized_svd

    if len(examples.ids) < FEWEST_TOKENS or num_words - FIRST_WORD_ID < 2 * dim:
        return None
    together = _together(examples, num_words + 1)
    total = np.asarray(together.sum(axis=1)).ravel()
    context = total**CONTEXT_POWER
    counts = together.tocoo()
    information = np.log(counts.data * context.sum() / (total[counts.row] * context[counts.col]))
    positive = information > 0
    where = counts.row[positive], counts.col[positive]
    matrix = sparse.csr_matrix((information[positive].astype(np.float32), where), together.shape)
    left, strength, _ = randomized_svd(matrix, dim, n_iter=3, random_state=seed)
    vectors: Floats = (left * np.sqrt(strength)).astype(np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        vectors *= np.where(norms > 1e-6, SPREAD * np.sqrt(dim) / norms, np.nan).astype(np.float32)
    return vectors


def first_values(vectors: Floats, width: int) -> Floats:
    """What an embedding of this width begins with, from pretrained vectors: their first components; NaN where
    nothing is known. vectors: float32 [ids, any] → float32 [ids, at most width]."""
    first = np.array(vectors[:, :width], np.float32)
    rows = vectors.any(axis=1)
    first *= np.float32(PRETRAINED_SPREAD / max(1e-9, float(first[rows].std()) if rows.any() else 0.0))
    first[~rows] = np.nan
    return first


def _together(examples: Examples, ids: int) -> sparse.csr_matrix:
    """float32 [ids, ids]: how often two words stand within a window, symmetric."""
    owner = np.repeat(np.arange(len(examples)), examples.lengths)
    word = examples.ids >= FIRST_WORD_ID
    counts = sparse.csr_matrix((ids, ids), dtype=np.float32)
    for distance in range(1, WINDOW + 1):
        left, right = examples.ids[:-distance], examples.ids[distance:]
        use = word[:-distance] & word[distance:] & (owner[:-distance] == owner[distance:])
        ones = np.full(int(use.sum()), 1 / distance, np.float32)
        counts = counts + sparse.coo_matrix((ones, (left[use], right[use])), shape=(ids, ids)).tocsr()
    return (counts + counts.T).tocsr()
