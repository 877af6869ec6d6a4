"""What a network's answers are worth, and what makes them probabilities: scores, temperature, the weights of
its two parts, the offset for rare labels.

All of it is fitted on texts that the network did not learn from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize, minimize_scalar
from torch import Tensor
from torch.nn import functional

from edge_lstm.answering import reach
from edge_lstm.metrics import (
    Interval,
    LabelScores,
    SetScores,
    calibration_bins,
    confusion_matrix,
    expected_calibration_error,
    label_scores,
    log_loss,
    macro_f1,
    set_scores,
    wilson_interval,
)
from edge_lstm_export.train.data import Bools, Floats
from edge_lstm_export.train.examples import Examples, evaluation_batches
from edge_lstm_export.train.linear import cross_entropy, two_columns
from edge_lstm_export.train.network import Network

EVALUATION_BATCH = 64
# The LSTM's expected weight beside the n-grams, before a validation text was seen, where it learnt from so
# many texts; of fewer, less. How far the weights are trusted to lie there, in nats.
LSTM_SHARE, ENOUGH_TEXTS, PRIOR = 0.2, 2000, 20.0


def predict_logits(
    network: Network, examples: Examples, *, on_batch: Callable[[], None] = lambda: None
) -> Tensor:
    """Logits: float32 [n, 1 or L], in the examples' order. Leaves the network in evaluation mode.
    ``on_batch`` is called after each batch.
    """
    network.eval()
    logits = torch.empty(len(examples), network.config.logits)
    with torch.inference_mode():
        for rows in evaluation_batches(examples, EVALUATION_BATCH):
            logits[torch.from_numpy(rows)] = network(*examples.padded(rows))
            on_batch()
    return logits


def log_probabilities(logits: Tensor) -> Tensor:
    """logits [B, 1 or L] → [B, L], of texts with one label each."""
    if logits.shape[1] == 1:
        return torch.cat([functional.logsigmoid(-logits), functional.logsigmoid(logits)], dim=1)
    return functional.log_softmax(logits, dim=1)


def probabilities(logits: Tensor, *, several: bool) -> npt.NDArray[np.float32]:
    """logits [n, 1 or L] → float32 [n, L]."""
    return (torch.sigmoid(logits) if several else log_probabilities(logits).exp()).numpy()


def soft_cross_entropy(logits: Tensor, targets: Tensor, *, several: bool = False) -> Tensor:
    """Mean cross entropy of a text, in nats; targets [B, L], rows sum to 1. several: targets are 0 to 1 each,
    and the binary cross entropies of all labels are added up."""
    if several:
        each = functional.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype), reduction="none")
        return each.sum(dim=1).mean()
    return -(targets * log_probabilities(logits)).sum(dim=1).mean()


def count_correct(logits: Tensor, targets: Tensor, *, several: bool = False) -> int:
    """How many rows have their largest target as the answer; of several labels, all of them right at a
    probability of 0.5."""
    if several:
        return int(((logits > 0) == (targets > 0.5)).all(dim=1).sum())
    return int((log_probabilities(logits).argmax(dim=1) == targets.argmax(dim=1)).sum())


@dataclass(frozen=True)
class Scores:
    """How good a network's answers are for labelled texts. accuracy from 0 to 1 with its 95 % interval,
    log_loss in nats, calibration_error from 0 to 1.
    """

    texts: int
    accuracy: float
    interval: Interval
    log_loss: float
    calibration_error: float
    labels: tuple[LabelScores, ...]

    @property
    def macro_f1(self) -> float:
        """See :func:`edge_lstm.metrics.macro_f1`."""
        return macro_f1(self.labels)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "texts": self.texts,
            "accuracy": round(self.accuracy, 6),
            "interval": [round(self.interval.low, 6), round(self.interval.high, 6)],
            "macro_f1": round(self.macro_f1, 6),
            "log_loss": round(self.log_loss, 6),
            "calibration_error": round(self.calibration_error, 6),
            "labels": {row.label: row.to_dict() for row in self.labels},
        }


def score(
    logits: Tensor,
    labels: Bools,
    names: tuple[str, ...],
    thresholds: Sequence[float] | None = None,
) -> Scores | SetScores:
    """logits: float32 [n, 1 or L], labels: bool [n, L], n at least 1. thresholds: of texts that may have
    several labels, the probability from which on a text has each."""
    answers = probabilities(logits, several=thresholds is not None)
    if thresholds is not None:
        return set_scores(labels, reach(answers, thresholds), names)
    predicted, truth = answers.argmax(axis=1), labels.argmax(axis=1)
    right = int((predicted == truth).sum())
    return Scores(
        texts=len(labels),
        accuracy=right / len(labels),
        interval=wilson_interval(right, len(labels)),
        log_loss=log_loss(truth, answers),
        calibration_error=expected_calibration_error(calibration_bins(truth, answers)),
        labels=label_scores(confusion_matrix(truth, predicted, len(names)), names),
    )


def fit_temperature(logits: Tensor, targets: Tensor, *, several: bool = False) -> float:
    """The number by which logits are best divided so that probabilities mean what they say
    (Guo et al., 2017): the lowest log loss on texts that did not train the network.

    Few texts say little, and where all of them are classified right the lowest loss is at 0: a normal
    prior on the logarithm, as wide as a factor of 1.6 is common, holds the answer near 1 then and has
    no say over thousands of texts. logits: float32 [n, 1 or L]; targets: float32 [n, L].
    """
    wide = logits.double()

    def loss(log_temperature: float) -> float:
        data = soft_cross_entropy(wide / math.exp(log_temperature), targets, several=several)
        return float(data) * len(targets) + (log_temperature / math.log(1.6)) ** 2 / 2

    best = minimize_scalar(loss, bounds=(-math.log(10), math.log(10)), method="bounded")
    return math.exp(float(best.x))


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

    def divided(self, temperature: float) -> Stack:
        """The same for logits that are divided by a temperature."""
        return Stack(self.lstm / temperature, self.sparse / temperature, self.bias / np.float32(temperature))


def expected_stack(learnt_from: int, outputs: int) -> Stack:
    """The weights where no text has judged the parts. learnt_from: texts that the LSTM learnt from."""
    share = LSTM_SHARE * min(1.0, learnt_from / ENOUGH_TEXTS)
    return Stack(share, 1 - share, np.zeros(outputs, np.float32))


def fit_stack(parts: PartLogits, learnt_from: int, *, several: bool) -> Stack:
    """The weights and the bias of least log loss (stacking; Wolpert, 1992).

    Each part is first made probabilities of its own, so that the prior weights mean shares: a network that
    knows few texts by heart answers new ones with large logits.
    """
    outputs = parts.lstm.shape[1]
    targets = torch.from_numpy(parts.targets)
    scales = [
        1 / fit_temperature(torch.from_numpy(part), targets, several=several)
        for part in (parts.lstm, parts.sparse)
    ]
    scaled = [part * np.float32(scale) for part, scale in zip((parts.lstm, parts.sparse), scales)]
    prior = expected_stack(learnt_from, outputs)
    expected = np.array([prior.lstm, prior.sparse, *np.zeros(outputs)])

    def loss(weights: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        logits = weights[0] * scaled[0] + weights[1] * scaled[1] + weights[2:]
        nats, slope = cross_entropy(logits, parts.targets, several=several)
        gradient = np.array([*(float((slope * part).sum()) for part in scaled), *slope.sum(axis=0)])
        away = weights - expected
        return nats + PRIOR * float((away**2).sum()), gradient + 2 * PRIOR * away

    best = minimize(loss, expected, method="L-BFGS-B", jac=True).x
    return Stack(float(best[0]) * scales[0], float(best[1]) * scales[1], best[2:].astype(np.float32))


def balance_offset(logits: Floats, labels: Bools) -> Floats:
    """What is added to the logits so that rare labels are found: float32 [outputs].

    A multiple, 0 to 1, of the logarithm of how rare each label is (logit adjustment; Menon et al., 2021): the
    one of the best macro F1 on these texts. logits: float32 [n, outputs]; labels: bool [n, L].
    """
    both, truth = two_columns(logits), labels.argmax(axis=1)
    rarity = -np.log((labels.sum(axis=0) + 1) / (len(labels) + labels.shape[1]))
    rarity -= rarity.mean()
    names = tuple(map(str, range(labels.shape[1])))

    def f1(share: float) -> float:
        predicted = (both + share * rarity).argmax(axis=1)
        return macro_f1(label_scores(confusion_matrix(truth, predicted, len(names)), names))

    best = max(np.linspace(0, 1, 21), key=f1) * rarity
    return np.asarray(best[1:] - best[:1] if logits.shape[1] == 1 else best, np.float32)
