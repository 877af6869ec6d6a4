"""What a teacher says of texts, and what several say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_PRIOR = 1.0  # nats for a weight that is 1 off the equal share: a hundred held-out texts decide
_LEAST = 1e-6


@dataclass(frozen=True)
class SoftLabels:
    """Probabilities float32 [n, labels] for the labelled texts, the unlabelled ones, and spans of both.

    report: what each teacher reached, plain values.
    """

    labelled: Floats
    unlabelled: Floats
    spans: Floats
    report: dict[str, Any] = field(default_factory=dict)


def blend_weights(opinions: Sequence[Floats], labels: Ints) -> list[float]:
    """How much each teacher counts: the weights, none below 0, of their log probabilities with the least loss
    on held-out texts. opinions: float32 [n, labels] each; labels: int64 [n]. Equal where there is no text.
    """
    logs = [np.log(np.clip(opinion, _LEAST, 1)) for opinion in opinions]
    equal = 1 / len(logs)

    def loss(weights: npt.NDArray[np.float64]) -> float:
        mixed = log_softmax(sum(weight * log for weight, log in zip(weights, logs)), axis=1)
        nats = -float(mixed[np.arange(len(labels)), labels].sum())
        return nats + _PRIOR * float(((weights - equal) ** 2).sum())

    found = minimize(loss, [equal] * len(logs), method="L-BFGS-B", bounds=[(0, 10)] * len(logs))
    return [float(weight) for weight in found.x]


def blended(opinions: Sequence[Floats], weights: Sequence[float]) -> Floats:
    """Probabilities [n, labels] each → those of the weighted sum of their logarithms."""
    logs = (weight * np.log(np.clip(opinion, _LEAST, 1)) for weight, opinion in zip(weights, opinions))
    return np.asarray(softmax(sum(logs), axis=1), np.float32)


def accuracy_of(probabilities: Floats, labels: Ints) -> float | None:
    """From 0 to 1; None without texts."""
    return float((probabilities.argmax(axis=1) == labels).mean()) if len(labels) else None


def adds(with_it: Floats, without: Floats, labels: Ints, errors: float = 2.0) -> bool:
    """Whether one more teacher is worth it: of texts that none has learnt from, more are answered
    rightly with it than without, and their own labels are surer by so many standard errors of the log loss.

    with_it, without: probabilities, float32 [n, labels]; labels: int64 [n]."""
    right = [(one.argmax(axis=1) == labels).sum() for one in (with_it, without)]
    own = [one[np.arange(len(labels)), labels].clip(_LEAST) for one in (with_it, without)]
    gain = np.log(own[0]) - np.log(own[1])
    return bool(right[0] > right[1] and gain.mean() > errors * gain.std() / max(1, len(labels)) ** 0.5)
