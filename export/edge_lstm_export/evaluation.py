"""A network's answers for examples, and what they are worth: loss, scores, temperature."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
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
from edge_lstm_export.examples import Examples, evaluation_batches
from edge_lstm_export.network import Network

EVALUATION_BATCH = 64


def predict_logits(
    network: Network,
    examples: Examples,
    *,
    device: str = "cpu",
    on_batch: Callable[[], None] = lambda: None,
) -> Tensor:
    """Logits: float32 [n, 1 or L], in the examples' order, on the CPU. Leaves the network in
    evaluation mode. ``on_batch`` is called after each batch.
    """
    network.eval()
    logits = torch.empty(len(examples), network.config.logits)
    with torch.inference_mode():
        for rows in evaluation_batches(examples, EVALUATION_BATCH):
            ids, lengths = examples.padded(rows)
            logits[torch.from_numpy(rows)] = network(ids.to(device), lengths.to(device)).cpu()
            on_batch()
    return logits


def log_probabilities(logits: Tensor) -> Tensor:
    """logits [B, 1 or L] → [B, L], of texts with one label each."""
    if logits.shape[1] == 1:
        return torch.cat([functional.logsigmoid(-logits), functional.logsigmoid(logits)], dim=1)
    return functional.log_softmax(logits, dim=1)


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


def score(logits: Tensor, labels: npt.NDArray[np.int64], names: tuple[str, ...]) -> Scores:
    """logits: float32 [n, 1 or L], labels: int64 [n], n at least 1."""
    probabilities = log_probabilities(logits).exp().numpy()
    predicted = probabilities.argmax(axis=1)
    right = int((predicted == labels).sum())
    return Scores(
        texts=len(labels),
        accuracy=right / len(labels),
        interval=wilson_interval(right, len(labels)),
        log_loss=log_loss(labels, probabilities),
        calibration_error=expected_calibration_error(calibration_bins(labels, probabilities)),
        labels=label_scores(confusion_matrix(labels, predicted, len(names)), names),
    )


def score_sets(
    logits: Tensor, truth: npt.NDArray[np.bool_], names: tuple[str, ...], thresholds: Sequence[float]
) -> SetScores:
    """Of texts that may have several labels. logits: float32 [n, L], truth: bool [n, L], n at least 1."""
    return set_scores(truth, reach(torch.sigmoid(logits).numpy(), thresholds), names)


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

    found = minimize_scalar(loss, bounds=(-math.log(10), math.log(10)), method="bounded")
    return math.exp(float(found.x))


def favouring(logits: Tensor, labels: npt.NDArray[np.int64], first: int, counts: float) -> float:
    """What is best added to the logits of the ``first`` labels where a text of one of them counts so many
    times as much as a text of another: the lowest log loss. 0 where no text has one of the others.

    Few texts say little: a normal prior as wide as 1 holds it near 0 then. logits: float32 [n, L];
    labels: int64 [n].
    """
    wide, truth = logits.double().numpy(), labels < first
    if truth.all():
        return 0.0
    group = logsumexp(wide[:, :first], axis=1) - logsumexp(wide[:, first:], axis=1)

    def loss(added: float) -> float:
        odds = group + added  # of the first labels against the others
        nats = counts * np.logaddexp(0, -odds[truth]).sum() + np.logaddexp(0, odds[~truth]).sum()
        return float(nats) + added**2 / 2

    return float(minimize_scalar(loss, bounds=(-5, 5), method="bounded").x)


def divide_logits(network: Network, temperature: float) -> None:
    """Folds a temperature into the head and the linear part: calibrated without one more operation in the
    graph."""
    with torch.no_grad():
        for part in (network.head, network.pairs):
            for parameter in part.parameters() if part is not None else ():
                parameter.div_(temperature)
