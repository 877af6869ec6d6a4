"""Scores and calibration.

Temperature, weights of the two components, offset of rare labels, thresholds.

All of it is fitted on texts that the network did not learn from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from edge_lstm import metrics
from edge_lstm.core.decide import apply_thresholds
from edge_lstm.metrics import SetScores
from edge_lstm.printable import listed, shorten
from edge_lstm_export.arrays import Bools, Doubles, Floats, Ints
from edge_lstm_export.network import cross_entropy, fit_temperature, probabilities, two_columns
from edge_lstm_export.options import UNTUNED


@dataclass(frozen=True)
class Scores(SetScores):
    """Scores of texts with one label each; the accuracy counts sets of labels.

    log_loss: in nats.
    calibration_error: from 0 to 1.
    """

    log_loss: float
    calibration_error: float

    @property
    def interval(self) -> metrics.Interval:
        """95 % interval of the accuracy."""
        return metrics.wilson_interval(self.exact, self.texts)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        numbers = ("macro_f1", "log_loss", "calibration_error")
        return {
            "texts": self.texts,
            "accuracy": round(self.subset_accuracy, 6),
            **{name: round(getattr(self, name), 6) for name in numbers},
            "interval": [round(self.interval.low, 6), round(self.interval.high, 6)],
            "labels": {row.label: row.to_dict() for row in self.labels},
        }


def score(
    logits: Tensor, labels: Bools, names: tuple[str, ...], thresholds: Sequence[float] | None = None
) -> SetScores:
    """Return Scores; with thresholds SetScores.

    logits: float32 [n, 1 or L].
    labels: bool [n, L], n at least 1.
    thresholds: if a text may have several labels, the probability from which on it has each.
    """
    answers = probabilities(logits, multi_label=thresholds is not None)
    sets = metrics.set_scores(labels, apply_thresholds(answers, thresholds), names)
    if thresholds is not None:
        return sets
    truth = labels.argmax(axis=1)
    error = metrics.expected_calibration_error(metrics.calibration_bins(truth, answers))
    return Scores(**vars(sets), log_loss=metrics.log_loss(truth, answers), calibration_error=error)


@dataclass(frozen=True)
class ComponentLogits:
    """Logits of the two components for texts that neither learnt from.

    lstm, sparse: float32 [n, outputs].
    targets: float32 [n, L], probabilities.
    """

    lstm: Floats
    sparse: Floats
    targets: Floats

    def subset(self, rows: Ints) -> ComponentLogits:
        """Return the given rows, in the given order."""
        return ComponentLogits(self.lstm[rows], self.sparse[rows], self.targets[rows])


@dataclass(frozen=True)
class Stack:
    """Weights of the two components, whose sum is the network's logits.

    lstm, sparse: factors.
    bias: float32 [outputs].
    """

    lstm: float
    sparse: float
    bias: Floats

    def logits(self, parts: ComponentLogits) -> Floats:
        """float32 [n, outputs]."""
        return np.asarray(
            self.lstm * parts.lstm + self.sparse * parts.sparse + self.bias, np.float32
        )

    def divided_by(self, temperature: float) -> Stack:
        """Return the weights of logits that are divided by a temperature."""
        bias = self.bias / np.float32(temperature)
        return Stack(self.lstm / temperature, self.sparse / temperature, bias)


def expected_stack(texts: int, outputs: int) -> Stack:
    """Return the weights to expect before a text has judged the components.

    The LSTM has a fifth, less below 2,000 texts.

    texts: that the LSTM learnt from. From few it knows little.
    """
    share = 0.2 * min(1.0, texts / 2000)
    return Stack(share, 1 - share, np.zeros(outputs, np.float32))


def fit_stack(parts: ComponentLogits, expected: Stack, *, multi_label: bool) -> Stack:
    """Return the weights and the bias of least log loss, near the expected ones.

    This is stacking (Wolpert, 1992).

    Each component is first divided by its own temperature, so that the expected weights mean
    shares: a network that knows few texts by heart answers new ones with large logits.
    """
    targets = torch.from_numpy(parts.targets)
    scales = []
    scaled = []
    for part in (parts.lstm, parts.sparse):
        logits = torch.from_numpy(part)
        scale = 1 / fit_temperature(logits, targets, multi_label=multi_label)
        scales.append(scale)
        scaled.append(part * np.float32(scale))
    prior = 20.0  # nats that hold the weights there
    start = np.array([expected.lstm, expected.sparse, *expected.bias])

    def loss(weights: Doubles) -> tuple[float, Doubles]:
        first, second = scaled
        logits = weights[0] * first + weights[1] * second + weights[2:]
        nats, slope = cross_entropy(logits, parts.targets, multi_label=multi_label)
        of_parts = [float((slope * part).sum()) for part in scaled]
        gradient = np.array([*of_parts, *slope.sum(axis=0)])
        away = weights - start
        penalty = prior * float((away**2).sum())
        return nats + penalty, gradient + 2 * prior * away

    best = minimize(loss, start, method="L-BFGS-B", jac=True).x
    return Stack(
        float(best[0]) * scales[0], float(best[1]) * scales[1], best[2:].astype(np.float32)
    )


def rarity_offset(logits: Floats, labels: Bools, *, balance: bool) -> Floats:
    """Return the shift of the logits that finds rare labels: float32 [outputs].

    It is a multiple of the logarithm of each label's rarity (logit adjustment; Menon et al., 2021).

    logits: float32 [n, outputs].
    labels: bool [n, L].
    balance: take the multiple of the best macro F1, 0 to 1.
    """
    both = two_columns(logits)
    counts = labels.sum(axis=0) + 1
    rarity = -np.log(counts / (len(labels) + len(counts)))
    rarity -= rarity.mean()
    names = tuple(map(str, range(labels.shape[1])))

    def f1(share: float) -> float:
        return metrics.set_scores(labels, apply_thresholds(both + share * rarity), names).macro_f1

    multiple = 0.15  # a little, unless recall comes first
    if balance:
        multiple = max(np.linspace(0, 1, 21), key=f1)  # in steps of 0.05
    offset = multiple * rarity
    if logits.shape[1] == 1:  # one logit stands for two
        offset = offset[1:] - offset[:1]
    return np.asarray(offset, np.float32)


def choose_thresholds(truth: Bools, probabilities: Floats) -> tuple[float, ...]:
    """Return the threshold of each label that gives the best F1, above 0 to 1.

    The best one for the five texts of a rare label is mostly chance. So a text's label is mixed
    with its calibrated probability, more so if the label has few texts.

    truth: bool [n, L].
    probabilities: float32 [n, L], calibrated.
    """
    columns = probabilities.T.astype(np.float64)
    return tuple(_threshold(has, chances) for has, chances in zip(truth.T, columns))


def _threshold(truth: Bools, probabilities: Doubles) -> float:
    positives = int(truth.sum())
    if not positives:
        return UNTUNED
    # The probabilities count as much as ten texts of the label.
    trust = 10 / (10 + positives)
    order = np.argsort(-probabilities, kind="stable")
    p = probabilities[order]
    right = np.cumsum((1 - trust) * truth[order] + trust * p)
    # Texts of the same probability are answered alike: only the last of them can be a border. The
    # threshold lies half-way to the next one, so that rounding moves no text over it.
    ends = np.flatnonzero(np.append(p[:-1] > p[1:], True))
    answered = np.arange(1, len(p) + 1)
    f1 = 2 * right / (answered + right[-1])
    best = ends[f1[ends].argmax()]
    border = (p[best] + np.append(p, 0.0)[best + 1]) / 2
    return float(f"{np.clip(border, 1e-4, 1.0):.5g}")


@dataclass(frozen=True)
class Calibration:
    """Weights of the components, and scores of the network on texts that it did not learn from.

    stack: the weights, divided by the temperature.
    scores: None without such texts.
    thresholds: of texts that may have several labels.
    chances: float32 [n, L], the answers to these texts, as the traffic has them.
    """

    stack: Stack
    temperature: float = 1.0
    scores: SetScores | None = None
    thresholds: tuple[float, ...] | None = None
    chances: Floats | None = None


def result_warnings(scores: SetScores | None) -> Iterator[str]:
    """Yield what to know of the result on texts that the network did not learn from."""
    if scores is None:
        return
    if isinstance(scores, Scores):
        frequent = max(scores.labels, key=lambda row: row.support)
        share = frequent.support / scores.texts
        if scores.interval.low <= share:
            yield (
                "accuracy is not significantly better than always predicting "
                f"{shorten(frequent.label)} ({scores.subset_accuracy:.1%} against {share:.1%}): "
                "collect more texts"
            )
    if never := [shorten(row.label) for row in scores.labels if row.support and not row.predicted]:
        verb = "is" if len(never) == 1 else "are"
        yield f"{listed(never)} {verb} never predicted: collect more such texts"
