"""The texts of a training: labelled rows and the transfer set, divided into folds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_lstm_export.arrays import Ints
from edge_lstm_export.options import Plan
from edge_lstm_export.train.sources import Dataset, Split, folds_of, hold_out


@dataclass(frozen=True)
class LabelledRows:
    """The labelled texts of a training.

    learnt: texts to learn from.
    fold: int64 [learnt], from 0.
    validation: texts that judge the network.
    test: texts that judge the finished one; None without any.
    """

    learnt: Split
    fold: Ints
    validation: Split
    test: Split | None

    @property
    def folds(self) -> int:
        """The number of folds; few texts have fewer than were planned."""
        return int(np.max(self.fold, initial=0)) + 1


def hold_out_rows(dataset: Dataset, plan: Plan) -> LabelledRows:
    """Hold out the validation part, and divide the rest into folds for cross-fitting."""
    learnt, validation = hold_out(dataset.train, plan.validation.share, plan.seed)
    folds = plan.validation.folds or (5 if plan.teachers else 1)
    return LabelledRows(learnt, folds_of(learnt, folds, plan.seed), validation, dataset.test)
