"""Linear models on sparse columns: SVM and naive Bayes. One of two labels has one column of weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
Matrix = Any  # scipy.sparse.csr_matrix, float32
BAYES_SMOOTHING = 0.3


def svm_and_bayes(
    x: Matrix, counts: Matrix, labels: Bools, several: bool, c: float, bayes: float
) -> tuple[Floats, Floats]:
    """(weights float32 [columns, outputs], bias [outputs]) of an SVM and ``bayes`` times naive Bayes, each
    scaled by the spread of its scores. counts: the first columns of x, which naive Bayes counts."""
    outputs = 1 if labels.shape[1] == 2 and not several else labels.shape[1]
    weights, bias = svm_weights(x, labels, outputs, c)
    if bayes:
        naive = bayes_weights(counts, labels, outputs)
        naive = np.pad(naive, ((0, x.shape[1] - len(naive)), (0, 0)))
        spreads = [max(1e-6, float(_centred(x @ part).std())) for part in (weights, naive)]
        weights, bias = weights / spreads[0] + bayes * naive / spreads[1], bias / spreads[0]
    return np.asarray(weights, np.float32), np.asarray(bias, np.float32)


def svm_weights(x: Matrix, labels: Bools, outputs: int, c: float) -> tuple[Floats, Floats]:
    """(weights float32 [columns, outputs], bias [outputs]) of a linear SVM for each label against the rest. A
    label that all texts have, or none, gets a constant score."""
    from sklearn.svm import LinearSVC

    x = x.astype(np.float64)
    x.sum_duplicates()  # as liblinear wants it: else each label does both again
    weights, bias = np.zeros((x.shape[1], outputs), np.float32), np.zeros(outputs, np.float32)
    for column, target in enumerate(labels.T[-outputs:]):
        if target.all() or not target.any():
            bias[column] = 1.0 if target.any() else -1.0
            continue
        model = LinearSVC(C=c, tol=1e-2, random_state=0, max_iter=500).fit(x, target)
        weights[:, column], bias[column] = model.coef_[0], model.intercept_[0]
    return weights, bias


def bayes_weights(x: Matrix, labels: Bools, outputs: int) -> Floats:
    """Complement naive Bayes (Rennie et al., 2003): float32 [columns, outputs]. A label's score is how
    little a text's n-grams occur in the texts of all others."""
    in_label = labels.astype(np.float32).T @ x
    rest = np.asarray(x.sum(axis=0)) - np.asarray(in_label) + BAYES_SMOOTHING
    weights = -np.log(rest / rest.sum(axis=1, keepdims=True)).T
    weights -= weights.mean(axis=1, keepdims=True)
    return np.asarray(weights[:, 1:] - weights[:, :1] if outputs == 1 else weights, np.float32)


def _centred(scores: Floats) -> Floats:
    return scores if scores.shape[1] == 1 else scores - scores.mean(axis=1, keepdims=True)
