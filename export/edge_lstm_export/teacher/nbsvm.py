"""NB-SVM: a linear model on n-grams scaled by their naive-Bayes log ratio (Wang & Manning, 2012)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from edge_lstm_export.teacher.linear import Floats, Linear, one_against_rest
from edge_lstm_export.teacher.ngrams import Ints, Matrix

SMOOTHING = 1.0


def log_ratios(x: Matrix, target: npt.NDArray[np.float32]) -> Floats:
    """[n-grams]: log of how much more often each occurs where the target is 1 than where it is 0."""
    there = x.T @ target + SMOOTHING
    elsewhere = x.T @ (1.0 - target) + SMOOTHING
    ratios: Floats = np.log(there / there.sum() * (elsewhere.sum() / elsewhere))
    return ratios


def fit_nbsvm(x: Matrix, labels: Ints, count: int, c: float) -> Linear:
    """One model for each binary problem, the log ratios folded into its weights."""
    weights, bias = [], []
    for target in one_against_rest(labels, count):
        if target.min() == target.max():  # a label that none of these texts bears, or all
            weights.append(np.zeros(x.shape[1], np.float32))
            bias.append(np.log((target.sum() + 0.5) / ((1 - target).sum() + 0.5)))
            continue
        ratios = log_ratios(x, target).astype(np.float32)
        scaled = x.copy()
        scaled.data = ratios[x.indices]
        # Its own optimum needs hundreds of steps more and labels no better.
        model = LogisticRegression(C=c, max_iter=60, tol=1e-3).fit(scaled, target)
        weights.append(model.coef_[0].astype(np.float32) * ratios)
        bias.append(model.intercept_[0])
    return Linear(np.stack(weights, axis=1), np.array(bias, np.float32))
