"""The n-gram part from soft labels: what an encoder says of texts, in weights of n-grams.

An SVM reads only the likeliest label of a text, and words that no text holds say nothing to it. Here a
logistic regression learns the whole answer, of the labelled texts and of those without a label, from what
the SVM reads and from the meanings of the words beside it. All of it is linear in what a text holds, so it
comes into the vectors as the parts of words do, and a word that is in no text has one too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import log_softmax

from edge_lstm_export.examples import Examples
from edge_lstm_export.ngram_features import Features, Floats
from edge_lstm_export.ngram_svm import Vectors, Weighting, two_columns

Doubles = npt.NDArray[np.float64]

# Of the squared weights, beside the mean cross entropy. 1e-3, 3e-4, 1e-4 and 3e-5 on parts of the training
# splits of trec6 and SST-2 (200 rows) and TweetEval's emotions (300): a mean of 63.8, 65.2, 65.9, 65.5 %.
STRENGTH = 1e-4
STEPS = 50


def fit_soft(examples: Examples, features: Features, meanings: Floats) -> Vectors:
    """Vectors of one column a logit, by the examples' targets.

    meanings: float32 [n-grams, width], what each word means; 0 where that is not known.
    """
    x, lengths = features.matrix(examples), examples.lengths
    weighting = Weighting.of(x, lengths, features)
    held = features.held(examples)
    meant = meanings * _rarity(held)[:, None]
    read = np.asarray(held @ meant) / np.sqrt(lengths)[:, None]
    size = max(1e-9, float(np.sqrt((read**2).sum(axis=1).mean())))  # as the n-grams, and the parts, have
    weights, of_meanings, bias = _least_loss(
        weighting.apply(x, lengths), np.asarray(read / size, np.float32), examples.targets
    )
    vectors = features.folded(np.asarray(weights * weighting.weights[:, None], np.float32)) + meant @ (
        of_meanings / size
    )
    return Vectors(
        np.asarray(vectors, np.float32), np.eye(len(bias), dtype=np.float32), np.asarray(bias, np.float32)
    )


def _rarity(held: Any) -> Doubles:
    """Inverse document frequency, float64 [columns]: of what no text holds, that of what one does."""
    in_texts = np.bincount(held.indices, minlength=held.shape[1])
    return np.asarray(np.log(held.shape[0] / np.maximum(1, in_texts)) + 1, np.float64)


def _least_loss(x: Any, dense: Floats, targets: Floats) -> tuple[Doubles, Doubles, Doubles]:
    """(weights of x's columns, of dense's, bias), float64 [columns, logits] each: of a logistic regression.

    x: CSR, float32 [texts, columns]; dense: float32 [texts, columns]; targets: float32 [texts, labels]."""
    texts, labels = targets.shape
    outputs = 1 if labels == 2 else labels
    # One logit stands for two that are each half of it.
    strength = STRENGTH / 2 if outputs == 1 else STRENGTH
    first, second = x.shape[1], dense.shape[1]
    transposed = sparse.csr_matrix(x.T)

    def loss(flat: Doubles) -> tuple[float, Doubles]:
        w = flat.reshape(-1, outputs)
        z = x @ w[:first] + dense @ w[first:-1] + w[-1]
        logs = log_softmax(two_columns(z), axis=1)
        slope = (np.exp(logs) * targets.sum(axis=1, keepdims=True) - targets)[:, -outputs:] / texts
        gradient = np.concatenate(
            [transposed @ slope, dense.T @ slope, slope.sum(axis=0, keepdims=True)]
        ).astype(np.float64)
        gradient[:-1] += strength * w[:-1]
        nats = -float((targets * logs).sum()) / texts
        return nats + 0.5 * strength * float((w[:-1] ** 2).sum()), gradient.ravel()

    begin = np.zeros((first + second + 1) * outputs)
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x
    w = found.reshape(-1, outputs)
    return w[:first], w[first:-1], w[-1]
