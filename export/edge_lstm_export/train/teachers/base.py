"""Teachers: their interface, cross-fitting, and the weighted ensemble.

A teacher labels texts without having seen their labels. A model that was fitted on the other folds
predicts each labelled text; the models of the folds, averaged, or one of all rows predict the
transfer set.

Predictions are logits, float32 [n, L]: logarithms of probabilities if a text has one label (any
constant may be added to a row), log odds of each label if it may have several.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax

from edge_lstm_export.arrays import Bools, Floats, Ints
from edge_lstm_export.train.data import EnsemblePredictions, Member, Predictions

Say = Callable[[str], None]
Predict = Callable[[Ints], Floats]  # indexes of texts that a teacher read → logits [texts, L]
SMALLEST = 1e-12  # divisors are at least this
LARGEST_LOGIT = 20.0  # no teacher is more certain, so that one wrong text cannot decide alone


class Teacher(ABC):
    """Labels texts, after a fit on the labels of others.

    name: for people; the plan gives it.
    """

    name = ""

    def read(self, texts: Sequence[str]) -> None:
        """Take the texts to learn from and to label, the labelled ones first.

        Called once.
        """
        self.texts = list(texts)

    @abstractmethod
    def fit(self, rows: Ints, labels: Bools) -> Predict:
        """Learn from some of the texts.

        labels: bool [rows, L], with a True in two columns or more.
        """


@dataclass
class Regression(Teacher):
    """A logistic regression on features, one per label if a text may have several.

    features: texts → float32 [n, width].
    """

    features: Callable[[Sequence[str]], Floats]
    multi_label: bool

    def read(self, texts: Sequence[str]) -> None:
        """See Teacher."""
        self._x = self.features(texts)

    def fit(self, rows: Ints, labels: Bools) -> Predict:
        """See Teacher."""
        weights, bias = fit_layer(self._x[rows], labels, self.multi_label)
        return lambda asked: log_chances(self._x[asked] @ weights.T + bias, self.multi_label)


def queries(source_fold: Ints, folds: int, *, judged_by_folds: bool) -> Bools:
    """Return which model labels which text of the transfer set: bool [folds + 1, m].

    A model for each fold did not learn from it; the last one learnt from all rows.

    source_fold: int64 [m], fold of the rows that a text was made of; -1 for a text of a log.

    A made text is labelled by the model that saw none of its rows. A text of a log has no row:
    every model of a fold labels it. If folds judge the network too, it is trained without each fold
    in turn, and needs the labels of that fold's model for all texts; the final network gets the
    labels of the model of all rows.
    """
    is_log = source_fold < 0
    own_fold = source_fold == np.arange(folds)[:, None]
    return np.vstack([own_fold | is_log | judged_by_folds, is_log & judged_by_folds])


def cross_fit(teacher: Teacher, labels: Bools, fold: Ints, asked: Bools) -> Predictions:
    """Fit a teacher without each fold in turn, and on all rows if a text asks for that.

    labels: bool [n, L].
    fold: int64 [n], from 0.
    asked: bool [folds + 1, m], see :func:`queries`.
    """
    n, outputs = labels.shape
    labelled = np.zeros((n, outputs), np.float32)
    transfer = np.full((*asked.shape, outputs), np.nan, np.float32)
    for k, texts in enumerate(map(np.flatnonzero, asked)):
        rows = np.flatnonzero(fold == k)
        learnt = np.flatnonzero(fold != k)
        wanted = np.concatenate([rows, n + texts])
        if not len(wanted):
            continue
        logits = np.zeros((len(wanted), outputs), np.float32)
        if labels[learnt].any(axis=0).sum() > 1:  # else nothing to learn: no opinion
            logits = _bounded(teacher.fit(learnt, labels[learnt])(wanted))
        labelled[rows] = logits[: len(rows)]
        transfer[k, texts] = logits[len(rows) :]
    return Predictions(labelled, transfer)


def ensemble(
    teachers: Sequence[Teacher],
    labels: Bools,
    fold: Ints,
    asked: Bools,
    *,
    multi_label: bool,
    say: Say,
) -> EnsemblePredictions:
    """Cross-fit each teacher, and weigh them by the rows' log loss.

    asked: see :func:`cross_fit`.
    multi_label: a text may have several labels.
    """
    found = []
    for teacher in teachers:
        say(f"teacher: {teacher.name}")
        found.append(cross_fit(teacher, labels, fold, asked))
    labelled = [each.labelled for each in found]
    weights = stacking_weights(labelled, labels, multi_label)
    mixed = Predictions(
        _mixed(weights, labelled), _mixed(weights, [each.transfer for each in found])
    )
    rates = [accuracy(logits, labels, multi_label) for logits in labelled]
    members = tuple(map(Member, [teacher.name for teacher in teachers], weights, rates))
    return EnsemblePredictions(mixed, members, accuracy(mixed.labelled, labels, multi_label))


def stacked(parts: Sequence[Floats], labels: Bools, multi_label: bool) -> Floats:
    """Return the weighted sum of logits with the least log loss on these labels: float32 [n, L]."""
    return _mixed(stacking_weights(parts, labels, multi_label), parts)


def _mixed(weights: Sequence[float], parts: Sequence[Floats]) -> Floats:
    return np.asarray(sum(weight * part for weight, part in zip(weights, parts)), np.float32)


def stacking_weights(parts: Sequence[Floats], labels: Bools, multi_label: bool) -> list[float]:
    """Return a weight for each of the logits, none below 0, with the least log loss.

    A nat holds them at equal shares.

    parts: float32 [n, L] each.
    """
    equal = 1 / len(parts)

    def loss(weights: npt.NDArray[np.float64]) -> float:
        mixed = sum(weight * part for weight, part in zip(weights, parts))
        nats = float(log_losses(mixed, labels, multi_label).sum())
        return nats + float(((weights - equal) ** 2).sum())

    bounds = [(0, 10)] * len(parts)
    least = minimize(loss, [equal] * len(parts), method="L-BFGS-B", bounds=bounds)
    return [float(weight) for weight in least.x]


def accuracy_gain(with_it: Floats, without: Floats, labels: Bools, multi_label: bool) -> float:
    """Return by how many standard errors the accuracy rises: a paired test."""
    before = _right(without, labels, multi_label).astype(np.float64)
    return _standard_errors(_right(with_it, labels, multi_label) - before)


def log_loss_gain(with_it: Floats, without: Floats, labels: Bools, multi_label: bool) -> float:
    """Return by how many standard errors the mean log loss falls: a paired test."""
    before = log_losses(without, labels, multi_label)
    return _standard_errors(before - log_losses(with_it, labels, multi_label))


def _standard_errors(gain: npt.NDArray[np.floating[Any]]) -> float:
    """Return a mean in standard errors of it.

    gain: float [n], a difference per text.
    """
    return float(gain.mean() / max(SMALLEST, gain.std() / max(1, len(gain)) ** 0.5))


def log_losses(logits: Floats, labels: Bools, multi_label: bool) -> Floats:
    """float64 [n]: the cross entropy of each text, in nats."""
    if multi_label:
        return np.asarray((np.logaddexp(0, logits) - labels * logits).sum(axis=1))
    return np.asarray(-(labels * log_softmax(logits, axis=1)).sum(axis=1))


def accuracy(logits: Floats, labels: Bools, multi_label: bool) -> float:
    """Return the share of texts whose prediction is right, 0 to 1.

    If a text may have several labels, all must be right at probability 0.5.
    """
    return float(_right(logits, labels, multi_label).mean())


def _right(logits: Floats, labels: Bools, multi_label: bool) -> Bools:
    """bool [n], see :func:`accuracy`."""
    if multi_label:
        return np.asarray(((logits > 0) == labels).all(axis=1))
    return np.asarray(labels[np.arange(len(labels)), logits.argmax(axis=1)])


def log_chances(logits: Floats, multi_label: bool) -> Floats:
    """Return the logits for outputs of a softmax, or of sigmoids: float32 [n, L]."""
    return np.asarray(logits if multi_label else log_softmax(logits, axis=1), np.float32)


def fit_layer(x: Floats, labels: Bools, multi_label: bool) -> tuple[Floats, Floats]:
    """Fit a logistic regression; return it as a layer, weights float32 [L, width] and bias [L].

    x: float32 [n, width].
    labels: bool [n, L].
    multi_label: one regression per label. A label that no row has is as good as impossible, one
        that all have as good as certain.
    """
    from sklearn.linear_model import LogisticRegression

    weights = np.zeros((labels.shape[1], x.shape[1]), np.float32)
    impossible = np.log(1e-6)  # of a probability
    bias = np.where(labels.all(axis=0), -impossible, impossible).astype(np.float32)
    model = LogisticRegression(C=10.0, max_iter=300, tol=1e-3)
    if multi_label:
        for column in np.flatnonzero(labels.any(axis=0) & ~labels.all(axis=0)):
            model.fit(x, labels[:, column])
            weights[column] = model.coef_[0]
            bias[column] = model.intercept_[0]
        return weights, bias
    model.fit(x, labels.argmax(axis=1))
    layer = [model.coef_, model.intercept_]
    if len(model.classes_) == 2:  # one logit stands for two
        layer = [np.concatenate([-values / 2, values / 2]) for values in layer]
    weights[model.classes_], bias[model.classes_] = layer
    return weights, bias


def _bounded(logits: Floats) -> Floats:
    """Bound the certainty."""
    low = np.minimum(logits.max(axis=1, keepdims=True), LARGEST_LOGIT) - 2 * LARGEST_LOGIT
    return np.asarray(np.clip(logits, low, LARGEST_LOGIT), np.float32)
