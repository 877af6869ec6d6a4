"""Linear models on the teacher's features, and cross-fitting: no text is labelled by a model that saw it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm_export.teacher.ngrams import Ints, Matrix

Floats = npt.NDArray[Any]


@dataclass(frozen=True)
class Linear:
    """scores = x @ weights + bias. weights: float32 [features, outputs]; bias: float32 [outputs]."""

    weights: Floats
    bias: Floats

    def scores(self, x: Matrix | Floats) -> Floats:
        """float [rows, outputs]: one output for two labels, one for each label where there are more."""
        return np.asarray(x @ self.weights) + self.bias


def one_against_rest(labels: Ints, count: int) -> list[npt.NDArray[np.float32]]:
    """The 0/1 targets of the binary problems: one for two labels, one for each label otherwise."""
    return [(labels == label).astype(np.float32) for label in ([1] if count == 2 else range(count))]


def stratified_folds(labels: Ints, folds: int, rng: np.random.Generator) -> Ints:
    """A fold for each row, each label spread evenly: int64 [n]."""
    fold = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        fold[rows] = np.arange(len(rows)) % folds
    return fold


def cross_fitted_scores(fit: Callable[[Ints], Linear], x: Matrix | Floats, fold: Ints) -> Floats:
    """Scores of all rows of ``x``, whose first ``len(fold)`` rows are labelled.

    A labelled row is scored by the model that was fitted without its fold, the others by the mean of
    all models. ``fit`` takes the row numbers to learn from.
    """
    scores = [fit(np.flatnonzero(fold != k)).scores(x) for k in range(int(fold.max()) + 1)]
    mixed: Floats = np.mean(scores, axis=0)
    for k, own in enumerate(scores):
        rows = np.flatnonzero(fold == k)
        mixed[rows] = own[rows]
    return mixed
