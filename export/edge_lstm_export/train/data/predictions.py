"""What teachers say of texts: the targets of a training."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from scipy.special import expit, softmax

from edge_lstm_export.arrays import Floats
from edge_lstm_export.checkpoint import Stage


@dataclass(frozen=True)
class Predictions:
    """Logits of one teacher, or of an ensemble.

    labelled: float32 [n, L], out of fold.
    transfer: float32 [folds + 1, m, L] of the transfer set, by the models of :func:`queries`; NaN
        if one was not asked.
    """

    labelled: Floats
    transfer: Floats

    def of_transfer_set(self, fold: int | None = None) -> Floats:
        """Return logits of the transfer set: float32 [m, L].

        fold: by the model that saw no label of that fold. None: by the model of all rows, or the
            mean of the folds' models if that was not asked.
        """
        if fold is not None:
            return np.asarray(self.transfer[fold])
        by_fold = self.transfer[:-1]
        by_all = self.transfer[-1]
        asked = ~np.isnan(by_fold)
        mean = np.where(asked, by_fold, 0).sum(axis=0) / np.maximum(asked.sum(axis=0), 1)
        return np.asarray(np.where(np.isnan(by_all), mean, by_all), np.float32)


@dataclass(frozen=True)
class Member:
    """One teacher of an ensemble: its weight in the sum of logits, and its own accuracy, 0 to 1."""

    name: str
    weight: float
    accuracy: float


@dataclass(frozen=True)
class EnsemblePredictions:
    """Predictions of the ensemble, and its members.

    accuracy: of the ensemble on the labelled texts, 0 to 1.
    """

    predictions: Predictions
    members: tuple[Member, ...]
    accuracy: float

    def stage(self) -> Stage:
        """Return the predictions as a stage of a training that is kept."""
        return Stage.of(
            vars(self.predictions), members=[*map(astuple, self.members)], accuracy=self.accuracy
        )

    @classmethod
    def from_stage(cls, stage: Stage) -> EnsemblePredictions:
        """Read what :meth:`stage` returned, as it comes back from a file."""
        plain = stage.plain
        members = tuple(Member(*member) for member in plain["members"])
        return cls(Predictions(**stage.arrays), members, plain["accuracy"])


def probabilities(logits: Floats, multi_label: bool) -> Floats:
    """Logits → probabilities, float32 [n, L]."""
    return np.asarray(expit(logits) if multi_label else softmax(logits, axis=1), np.float32)
