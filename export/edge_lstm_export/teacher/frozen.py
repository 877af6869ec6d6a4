"""A frozen encoder as teacher of few rows: its vectors, and a logistic regression on them.

Where there are some hundred labelled texts, fine-tuning 20 million weights learns them by heart; a linear
model on the vectors of a sentence encoder does not, and takes seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression

from edge_lstm_export.teacher.labels import Floats, Ints, blended
from edge_lstm_export.teacher.nbsvm import stratified_folds

C = 10.0  # inverse regularisation, for vectors of length 1
FOLDS = 5
_UNSEEN = 1e-6  # the probability of a label that a fold's rows do not have


@dataclass(frozen=True)
class Frozen:
    """model: scikit-learn's, fitted on all rows. power: what makes its answers probabilities. count: labels.

    labelled: float32 [n, count], for each row what a model says that did not see it.
    """

    model: Any
    power: float
    count: int
    labelled: Floats

    def probabilities(self, vectors: Floats) -> Floats:
        """vectors: float32 [m, hidden] → float32 [m, count]."""
        return blended([_answers(self.model, vectors, self.count)], [self.power])


def fit_frozen(vectors: Floats, labels: Ints, count: int, seed: int) -> Frozen:
    """vectors: float32 [n, hidden], of length 1; labels: int64 [n], below ``count``, of two or more kinds."""
    fold = stratified_folds(labels, FOLDS, np.random.default_rng([seed, 0xF0]))
    honest = np.full((len(labels), count), 1 / count, np.float32)
    for k in range(FOLDS):
        own = fold == k
        if own.any() and len(np.unique(labels[~own])) > 1:
            honest[own] = _answers(_fitted(vectors[~own], labels[~own]), vectors[own], count)

    def loss(power: float) -> float:
        mixed = blended([honest], [power])
        return -float(np.log(mixed[np.arange(len(labels)), labels].clip(_UNSEEN)).mean())

    power = float(minimize_scalar(loss, bounds=(0.2, 5), method="bounded").x)
    return Frozen(_fitted(vectors, labels), power, count, blended([honest], [power]))


def linear_head(vectors: Floats, labels: Ints, count: int) -> tuple[Floats, Floats]:
    """The same regression as a layer: weights float32 [count, hidden] and bias [count], for vectors of
    length 1. A label that no row has is as good as impossible."""
    model = _fitted(vectors, labels)
    weights, bias = np.zeros((count, vectors.shape[1])), np.full(count, np.log(_UNSEEN))
    coefficients, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # one logit stands for two
        coefficients, intercepts = (np.concatenate([-x / 2, x / 2]) for x in (coefficients, intercepts))
    weights[model.classes_], bias[model.classes_] = coefficients, intercepts
    return np.asarray(weights, np.float32), np.asarray(bias, np.float32)


def _fitted(vectors: Floats, labels: Ints) -> Any:
    return LogisticRegression(C=C, max_iter=300, tol=1e-3).fit(vectors, labels)


def _answers(model: Any, vectors: Floats, count: int) -> Floats:
    found = np.full((len(vectors), count), _UNSEEN, np.float32)
    found[:, model.classes_] = model.predict_proba(vectors)
    return np.asarray(found / found.sum(axis=1, keepdims=True), np.float32)
