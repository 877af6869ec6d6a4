"""What logits say: probabilities, how far they are from the targets, the temperature.

Where a text has one of two labels, one column of logits stands for the second label,
and 0 for the first.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax
from torch import Tensor
from torch.nn import functional

from edge_lstm_export.arrays import Floats

LARGEST_TEMPERATURE = 10.0  # the search ends there, and at one over it


def log_probabilities(logits: Tensor) -> Tensor:
    """logits [B, 1 or L] → [B, L], of texts with one label each."""
    if logits.shape[1] == 1:
        return torch.cat([functional.logsigmoid(-logits), functional.logsigmoid(logits)], dim=1)
    return functional.log_softmax(logits, dim=1)


def probabilities(logits: Tensor, *, multi_label: bool) -> Floats:
    """logits [n, 1 or L] → [n, L], rows sum to 1 unless a text may have several labels."""
    return (torch.sigmoid(logits) if multi_label else log_probabilities(logits).exp()).numpy()


def soft_cross_entropy(logits: Tensor, targets: Tensor, *, multi_label: bool = False) -> Tensor:
    """Mean cross entropy of a text, in nats; targets [B, L], rows sum to 1.

    multi_label: targets are 0 to 1 each, and the binary cross entropies of all labels are added up.
    """
    if multi_label:
        loss = functional.binary_cross_entropy_with_logits
        return loss(logits, targets.to(logits.dtype), reduction="none").sum(dim=1).mean()
    return -(targets * log_probabilities(logits)).sum(dim=1).mean()


def count_correct(logits: Tensor, targets: Tensor, *, multi_label: bool = False) -> int:
    """Count the rows whose largest target is the answer.

    If a text may have several labels, all must be right at a probability of 0.5.
    """
    if multi_label:
        return int(((logits > 0) == (targets > 0.5)).all(dim=1).sum())
    return int((log_probabilities(logits).argmax(dim=1) == targets.argmax(dim=1)).sum())


def fit_temperature(logits: Tensor, targets: Tensor, *, multi_label: bool = False) -> float:
    """Return the divisor of the logits with the least log loss (Guo et al., 2017).

    Few texts say little, and if all of them are classified right the least loss is at 0. A normal
    prior on the logarithm holds the answer near 1 then, and has no say over thousands of texts.

    logits: float32 [n, 1 or L], of texts that did not train the network.
    targets: float32 [n, L].
    """
    wide = logits.double()

    def loss(log_temperature: float) -> float:
        data = soft_cross_entropy(
            wide / math.exp(log_temperature), targets, multi_label=multi_label
        )
        # One standard deviation of the prior is a factor of 1.6.
        return float(data) * len(targets) + (log_temperature / math.log(1.6)) ** 2 / 2

    bounds = (-math.log(LARGEST_TEMPERATURE), math.log(LARGEST_TEMPERATURE))
    best = minimize_scalar(loss, bounds=bounds, method="bounded")
    return math.exp(float(best.x))


def cross_entropy(logits: Floats, targets: Floats, *, multi_label: bool) -> tuple[float, Floats]:
    """Return the sum over the texts, in nats, and its gradient by the logits [n, outputs].

    logits: [n, outputs], one column for two labels of which a text has one.
    targets: [n, L].
    """
    if multi_label:
        nats = np.logaddexp(0, logits) - targets * logits
        return float(nats.sum()), expit(logits) - targets
    logs = log_softmax(two_columns(logits), axis=1)
    slope = np.exp(logs) * targets.sum(axis=1, keepdims=True) - targets
    nats = -(targets * logs).sum()
    return float(nats), slope[:, -logits.shape[1] :]


def two_columns(logits: Floats) -> Floats:
    """[n, 1 or labels] → [n, labels]: one column is the second of two, 0 the first."""
    if logits.shape[1] > 1:
        return logits
    return np.concatenate([np.zeros_like(logits), logits], axis=1)
