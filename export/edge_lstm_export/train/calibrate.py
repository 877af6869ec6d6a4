"""What a network's answers are worth, and what makes them probabilities: scores, temperature, the weights of
its two parts, the offset for rare labels, the thresholds of several.

All of it is fitted on texts that the network did not learn from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from edge_lstm import metrics
from edge_lstm.answering import RiskCoverage, reach
from edge_lstm.metrics import SetScores
from edge_lstm_export.train.data import Bools, Doubles, Floats
from edge_lstm_export.train.logits import cross_entropy, fit_temperature, probabilities, two_columns
from edge_lstm_export.train.options import UNTUNED

# The LSTM's expected weight beside the n-grams, before a validation text was seen: from rows alone, and with
# texts that teachers labelled; from few of them, less. How far weights are trusted to lie there, in nats.
ROWS_ALONE, LSTM_SHARE, ENOUGH_TEXTS, PRIOR = 0.1, 0.2, 2000, 20.0
RARITY = 0.15  # what the rarity of labels counts unasked: so small a shift finds some at no cost of accuracy
# Of the thresholds: so many texts of a label count as much as what its probabilities say.
THRESHOLD_PRIOR, SMALLEST_THRESHOLD = 10.0, 1e-4


@dataclass(frozen=True)
class Scores(SetScores):
    """Scores of texts with one label each, whose accuracy is that of the sets. log_loss in nats,
    calibration_error from 0 to 1."""

    log_loss: float
    calibration_error: float

    @property
    def interval(self) -> metrics.Interval:
        """Of the accuracy, 95 %."""
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
    """logits: float32 [n, 1 or L], labels: bool [n, L], n at least 1 → :class:`Scores`. thresholds: of texts
    that may have several labels, the probability from which on a text has each → SetScores."""
    answers = probabilities(logits, several=thresholds is not None)
    if thresholds is not None:
        return metrics.set_scores(labels, reach(answers, thresholds), names)
    predicted, truth = answers.argmax(axis=1), labels.argmax(axis=1)
    sets = metrics.set_scores(labels, np.eye(len(names), dtype=np.bool_)[predicted], names)
    error = metrics.expected_calibration_error(metrics.calibration_bins(truth, answers))
    return Scores(**vars(sets), log_loss=metrics.log_loss(truth, answers), calibration_error=error)


@dataclass(frozen=True)
class PartLogits:
    """What the two parts of a network answer for texts that neither learnt from: float32 [n, outputs] each;
    targets: float32 [n, L]."""

    lstm: Floats
    sparse: Floats
    targets: Floats


@dataclass(frozen=True)
class Stack:
    """The network's logits: the LSTM's times ``lstm``, the n-grams' times ``sparse``, and a bias, float32
    [outputs]."""

    lstm: float
    sparse: float
    bias: Floats

    def logits(self, parts: PartLogits) -> Floats:
        """float32 [n, outputs]."""
        return np.asarray(self.lstm * parts.lstm + self.sparse * parts.sparse + self.bias, np.float32)


def expected_stack(rows: int, pool: int, outputs: int) -> Stack:
    """The weights where no text has judged the parts. rows, pool: texts that the LSTM learnt from."""
    share = (LSTM_SHARE if pool else ROWS_ALONE) * min(1.0, (rows + pool) / ENOUGH_TEXTS)
    return Stack(share, 1 - share, np.zeros(outputs, np.float32))


def fit_stack(parts: PartLogits, prior: Stack, *, several: bool) -> Stack:
    """The weights and the bias of least log loss (stacking; Wolpert, 1992), near those that are expected.

    Each part is first made probabilities of its own, so that the prior weights mean shares: a network that
    knows few texts by heart answers new ones with large logits.
    """
    both, targets = (parts.lstm, parts.sparse), torch.from_numpy(parts.targets)
    scales = [1 / fit_temperature(torch.from_numpy(part), targets, several=several) for part in both]
    scaled = [part * np.float32(scale) for part, scale in zip(both, scales)]
    expected = np.array([prior.lstm, prior.sparse, *prior.bias])

    def loss(weights: Doubles) -> tuple[float, Doubles]:
        logits = weights[0] * scaled[0] + weights[1] * scaled[1] + weights[2:]
        nats, slope = cross_entropy(logits, parts.targets, several=several)
        gradient = np.array([*(float((slope * part).sum()) for part in scaled), *slope.sum(axis=0)])
        away = weights - expected
        return nats + PRIOR * float((away**2).sum()), gradient + 2 * PRIOR * away

    best = minimize(loss, expected, method="L-BFGS-B", jac=True).x
    return Stack(float(best[0]) * scales[0], float(best[1]) * scales[1], best[2:].astype(np.float32))


def balance_offset(logits: Floats, labels: Bools, *, best: bool) -> Floats:
    """What is added to the logits so that rare labels are found: float32 [outputs].

    A multiple of the logarithm of how rare each label is (logit adjustment; Menon et al., 2021): RARITY, or
    of 0 to 1 the one of the best macro F1 on these texts. logits: float32 [n, outputs]; labels: bool [n, L].
    """
    both, one_hot = two_columns(logits), np.eye(labels.shape[1], dtype=np.bool_)
    rarity = -np.log((labels.sum(axis=0) + 1) / (len(labels) + labels.shape[1]))
    rarity -= rarity.mean()
    names = tuple(map(str, range(labels.shape[1])))

    def f1(share: float) -> float:
        predicted = (both + share * rarity).argmax(axis=1)
        return metrics.set_scores(labels, one_hot[predicted], names).macro_f1

    offset = (max(np.linspace(0, 1, 21), key=f1) if best else RARITY) * rarity
    return np.asarray(offset[1:] - offset[:1] if logits.shape[1] == 1 else offset, np.float32)


def choose_thresholds(truth: Bools, probabilities: Floats) -> tuple[float, ...]:
    """A threshold for each label, of the best F1: the probability, above 0 to 1, from which on texts have it.

    The best one for the five texts of a rare label is mostly chance. So what counts as a text's label is
    mixed with its calibrated probability: the more, the fewer texts of the label there are.

    truth: bool [n, L]; probabilities: float32 [n, L], calibrated.
    """
    return tuple(map(_threshold, truth.T, probabilities.T.astype(np.float64)))


def _threshold(truth: Bools, probabilities: Doubles) -> float:
    positives = int(truth.sum())
    if not positives:
        return UNTUNED
    trust = THRESHOLD_PRIOR / (THRESHOLD_PRIOR + positives)
    order = np.argsort(-probabilities, kind="stable")
    p = probabilities[order]
    right = np.cumsum((1 - trust) * truth[order] + trust * p)
    # Texts of the same probability are answered alike: only the last of them can be a border. The threshold
    # lies half-way to the next one, so that rounding moves no text over it.
    ends = np.flatnonzero(np.append(p[:-1] > p[1:], True))
    best = ends[(2 * right / (np.arange(1, len(p) + 1) + right[-1]))[ends].argmax()]
    border = (p[best] + np.append(p, 0.0)[best + 1]) / 2
    return float(f"{np.clip(border, SMALLEST_THRESHOLD, 1.0):.5g}")


@dataclass(frozen=True)
class Calibration:
    """What the network's parts are weighed by, and how good it is then, on texts that it did not learn from.
    temperature: is in the weights. scores, curve, thresholds: None where there are no such texts; the curve
    of risk and coverage is of one label per text, the thresholds are of several."""

    stack: Stack
    temperature: float = 1.0
    scores: SetScores | None = None
    curve: RiskCoverage | None = None
    thresholds: tuple[float, ...] | None = None
