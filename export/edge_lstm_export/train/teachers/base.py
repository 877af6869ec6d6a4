"""What a teacher is, how several are cross-fitted, and what they predict together.

A teacher labels texts without having seen their labels: each labelled text is predicted by a model that was
fitted on the other folds, and every other text by the fold models that it is asked of, averaged.

Predictions are logits, float32 [n, L]: logarithms of probabilities where a text has one label (any constant
may be added to a row), log odds of each label where it may have several.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax

from edge_lstm_export.train.data import Bools, Floats, Ints
from edge_lstm_export.train.stages import Stage

Say = Callable[[str], None]
_PRIOR = 1.0  # nats that hold the weights of teachers at equal shares: a hundred texts decide
_LARGEST_LOGIT = 20.0
C = 10.0  # inverse regularisation of a logistic regression on vectors of length 1
UNSEEN = 1e-6  # the probability of a label that no row has
Predict = Callable[[Ints], Floats]  # numbers of texts among those that a teacher read → logits [rows, L]


class Teacher(ABC):
    """Something that learns labels of texts, or knows them. name: for people."""

    name: str

    def read(self, texts: Sequence[str]) -> None:
        """Take the texts that are to be learnt from and labelled: the labelled ones first. Called once."""
        self.texts = list(texts)

    @abstractmethod
    def fit(self, rows: Ints, labels: Bools) -> Predict:
        """Learn from some of the texts. labels: bool [rows, L], at least one True in two columns or more."""


class Regression(Teacher):
    """A logistic regression on features, texts → float32 [n, width]. several: one for each label."""

    def __init__(self, name: str, features: Callable[[Sequence[str]], Floats], several: bool) -> None:
        self.name, self.features, self.several = name, features, several

    def read(self, texts: Sequence[str]) -> None:
        """See Teacher."""
        self._x = self.features(texts)

    def fit(self, rows: Ints, labels: Bools) -> Predict:
        """See Teacher."""
        weights, bias = fit_layer(self._x[rows], labels, self.several)
        return lambda asked: log_chances(self._x[asked] @ weights.T + bias, self.several)


@dataclass(frozen=True)
class Predictions:
    """What one teacher, or several together, predict.

    labelled: float32 [n, L], out of fold. others: float32 [folds + 1, m, L], by the model of each fold, then
    by one of all rows; NaN where it was not asked.
    """

    labelled: Floats
    others: Floats

    def of_others(self, fold: int | None = None) -> Floats:
        """float32 [m, L]: by the model of all rows, else the mean of the folds'; or by one fold's, which saw
        no label of that fold. NaN where none was asked."""
        if fold is not None:
            return np.asarray(self.others[fold])
        *folds, of_all = self.others
        asked = ~np.isnan(folds).any(axis=2, keepdims=True)
        total, count = np.where(asked, folds, 0).sum(axis=0), asked.sum(axis=0)
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        return np.asarray(np.where(np.isnan(of_all), mean, of_all), np.float32)


@dataclass(frozen=True)
class Member:
    """One teacher of an ensemble: its weight in the sum of logits, and its own accuracy, 0 to 1."""

    name: str
    weight: float
    accuracy: float


@dataclass(frozen=True)
class EnsemblePredictions:
    """What teachers predict together, and who they are. dropped: (name, accuracy with it, accuracy without)
    of those that did not improve the others."""

    predictions: Predictions
    members: tuple[Member, ...]
    dropped: tuple[tuple[str, float, float], ...]
    accuracy: float

    def stage(self) -> Stage:
        """As a stage of a training that is kept."""
        plain = {"members": [[m.name, m.weight, m.accuracy] for m in self.members]}
        arrays = {"labelled": self.predictions.labelled, "others": self.predictions.others}
        return Stage.of(arrays, **plain, dropped=self.dropped, accuracy=self.accuracy)

    @classmethod
    def from_stage(cls, stage: Stage) -> EnsemblePredictions:
        """From :meth:`stage`, as it comes back from a file."""
        plain = stage.plain
        members = tuple(Member(*member) for member in plain["members"])
        dropped = tuple((name, with_it, without) for name, with_it, without in plain["dropped"])
        return cls(Predictions(**stage.arrays), members, dropped, plain["accuracy"])


def cross_fit(teacher: Teacher, labels: Bools, fold: Ints, asked: Bools) -> Predictions:
    """Fit a teacher without each fold in turn.

    labels: bool [n, L]; fold: int64 [n], from 0; asked: bool [folds + 1, m], which fold's model is asked for
    which of the texts behind the labelled ones, and at last the model of all rows.
    """
    n, count = labels.shape
    labelled = np.zeros((n, count), np.float32)
    unlabelled = np.full((*asked.shape, count), np.nan, np.float32)
    for k in range(len(asked)):
        rows, rest, more = np.flatnonzero(fold == k), np.flatnonzero(fold != k), np.flatnonzero(asked[k])
        if labels[rest].any(axis=0).sum() < 2:
            unlabelled[k, more] = 0  # nothing to learn: no opinion
        elif len(rows) or len(more):
            logits = _bounded(teacher.fit(rest, labels[rest])(np.concatenate([rows, n + more])))
            labelled[rows], unlabelled[k, more] = logits[: len(rows)], logits[len(rows) :]
    return Predictions(labelled, unlabelled)


def ensemble(
    teachers: Sequence[Teacher], labels: Bools, fold: Ints, asked: Bools, *, several: bool, say: Say
) -> EnsemblePredictions:
    """Cross-fit each teacher, drop those that do harm, and weigh the others by the rows' log loss.

    The first teacher is always kept. several: a text may have several labels.
    """
    names: list[str] = []
    kept: list[Predictions] = []
    dropped: list[tuple[str, float, float]] = []
    for teacher in teachers:
        say(f"teacher: {teacher.name}")
        part = cross_fit(teacher, labels, fold, asked)
        if labelled := [each.labelled for each in kept]:
            both = [stacked(each, labels, several) for each in ([*labelled, part.labelled], labelled)]
            if log_loss_gain(both[0], both[1], labels, several) < -1:
                rates = [accuracy(logits, labels, several) for logits in both]
                dropped.append((teacher.name, rates[0], rates[1]))
                continue
        names.append(teacher.name)
        kept.append(part)
    labelled = [each.labelled for each in kept]
    weights = stacking_weights(labelled, labels, several)
    together = Predictions(_mixed(weights, labelled), _mixed(weights, [each.others for each in kept]))
    rates = [accuracy(logits, labels, several) for logits in (together.labelled, *labelled)]
    members = tuple(map(Member, names, weights, rates[1:]))
    return EnsemblePredictions(together, members, tuple(dropped), rates[0])


def stacked(parts: Sequence[Floats], labels: Bools, several: bool) -> Floats:
    """The weighted sum of logits with the least log loss on these labels: float32 [n, L]."""
    return _mixed(stacking_weights(parts, labels, several), parts)


def _mixed(weights: Sequence[float], parts: Sequence[Floats]) -> Floats:
    return np.asarray(sum(weight * part for weight, part in zip(weights, parts)), np.float32)


def stacking_weights(parts: Sequence[Floats], labels: Bools, several: bool) -> list[float]:
    """A weight for each of the logits, none below 0, with the least log loss. parts: float32 [n, L] each."""
    equal = 1 / len(parts)

    def loss(weights: npt.NDArray[np.float64]) -> float:
        mixed = sum(weight * part for weight, part in zip(weights, parts))
        nats = float(log_losses(mixed, labels, several).sum())
        return nats + _PRIOR * float(((weights - equal) ** 2).sum())

    least = minimize(loss, [equal] * len(parts), method="L-BFGS-B", bounds=[(0, 10)] * len(parts))
    return [float(weight) for weight in least.x]


def improves(with_it: Floats, without: Floats, labels: Bools, several: bool) -> bool:
    """Whether predictions of one more teacher are surely better: more texts are right, by a standard error or
    more, and the mean log loss is lower by four."""
    gain = _right(with_it, labels, several).astype(np.float64) - _right(without, labels, several)
    return _standard_errors(gain) >= 1 and log_loss_gain(with_it, without, labels, several) >= 4


def log_loss_gain(with_it: Floats, without: Floats, labels: Bools, several: bool) -> float:
    """By how many standard errors the mean log loss falls: a paired test."""
    return _standard_errors(log_losses(without, labels, several) - log_losses(with_it, labels, several))


def _standard_errors(gain: npt.NDArray[np.floating[Any]]) -> float:
    """A mean in standard errors of it. gain: float [n], a difference per text."""
    return float(gain.mean() / max(1e-12, gain.std() / max(1, len(gain)) ** 0.5))


def log_losses(logits: Floats, labels: Bools, several: bool) -> Floats:
    """float64 [n]: the cross entropy of each text, in nats."""
    if several:
        return np.asarray((np.logaddexp(0, logits) - labels * logits).sum(axis=1))
    return np.asarray(-(labels * log_softmax(logits, axis=1)).sum(axis=1))


def accuracy(logits: Floats, labels: Bools, several: bool) -> float:
    """The share of texts whose prediction is right, 0 to 1; of several labels all, at probability 0.5."""
    return float(_right(logits, labels, several).mean())


def _right(logits: Floats, labels: Bools, several: bool) -> Bools:
    """bool [n], see :func:`accuracy`."""
    if several:
        return np.asarray(((logits > 0) == labels).all(axis=1))
    return np.asarray(labels[np.arange(len(labels)), logits.argmax(axis=1)])


def probabilities(logits: Floats, several: bool) -> Floats:
    """Logits → probabilities, float32 [n, L]."""
    return np.asarray(expit(logits) if several else softmax(logits, axis=1), np.float32)


def log_chances(logits: Floats, several: bool) -> Floats:
    """What is predicted for outputs of a softmax or, of several labels, of sigmoids: float32 [n, L]."""
    return np.asarray(logits if several else log_softmax(logits, axis=1), np.float32)


def fit_layer(x: Floats, labels: Bools, several: bool) -> tuple[Floats, Floats]:
    """A logistic regression as a layer: weights float32 [L, width] and bias [L].

    x: float32 [n, width]; labels: bool [n, L]; several: one regression for each label. A label that no row
    has is as good as impossible, one that all have as good as certain.
    """
    from sklearn.linear_model import LogisticRegression

    weights = np.zeros((labels.shape[1], x.shape[1]), np.float32)
    bias = np.where(labels.all(axis=0), -np.log(UNSEEN), np.log(UNSEEN)).astype(np.float32)
    model = LogisticRegression(C=C, max_iter=300, tol=1e-3)
    if several:
        for column in np.flatnonzero(labels.any(axis=0) & ~labels.all(axis=0)):
            model.fit(x, labels[:, column])
            weights[column], bias[column] = model.coef_[0], model.intercept_[0]
        return weights, bias
    model.fit(x, labels.argmax(axis=1))
    layer = [model.coef_, model.intercept_]
    if len(model.classes_) == 2:  # one logit stands for two
        layer = [np.concatenate([-values / 2, values / 2]) for values in layer]
    weights[model.classes_], bias[model.classes_] = layer
    return weights, bias


def _bounded(logits: Floats) -> Floats:
    """No model is more certain than e^20 to 1, so that one wrong text cannot decide alone."""
    low = np.minimum(logits.max(axis=1, keepdims=True), _LARGEST_LOGIT) - 2 * _LARGEST_LOGIT
    return np.asarray(np.clip(logits, low, _LARGEST_LOGIT), np.float32)
