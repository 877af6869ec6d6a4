"""The texts of a training: labelled rows and the transfer set, divided into folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_lstm_export.train.data import Dataset, Floats, Ints, Split, folds_of, hold_out
from edge_lstm_export.train.plan import Plan
from edge_lstm_export.train.unlabelled import augment


@dataclass(frozen=True)
class LabelledRows:
    """The labelled texts of a training.

    learnt: texts to learn from.
    fold: int64 [learnt], from 0.
    validation: texts that judge the network.
    """

    learnt: Split
    fold: Ints
    validation: Split

    @property
    def folds(self) -> int:
        """The number of folds; few texts have fewer than were planned."""
        return int(np.max(self.fold, initial=0)) + 1


def hold_out_rows(dataset: Dataset, plan: Plan) -> LabelledRows:
    """Hold out the validation part, and divide the rest into folds for cross-fitting."""
    learnt, validation = hold_out(dataset.train, plan.validation.share, plan.seed)
    folds = plan.validation.folds or (5 if plan.teachers else 1)
    return LabelledRows(learnt, folds_of(learnt, folds, plan.seed), validation)


@dataclass(frozen=True)
class TransferSet:
    """Texts without a label, for the teachers to label: first a log's, then augmented ones.

    source_fold: int64 [texts], fold of the rows that a text was made of; -1 for a text of the log.
    soft_labels: float32 [texts, L], probabilities that replace the teachers'; None: the teachers
        are asked.
    """

    texts: tuple[str, ...]
    source_fold: Ints
    soft_labels: Floats | None = None

    @property
    def from_log(self) -> int:
        """The number of texts of the log."""
        return int((self.source_fold < 0).sum())


def make_transfer_set(
    rows: LabelledRows, log: Sequence[str], soft_labels: Floats | None, plan: Plan
) -> TransferSet:
    """Augment the rows, and put the texts of the log before the augmented ones."""
    augmented, fold = augment(
        rows.learnt.texts, rows.fold, plan.augmentation.texts_per_row, plan.seed
    )
    from_log = np.full(len(log), -1, np.int64)
    return TransferSet((*log, *augmented), np.concatenate([from_log, fold]), soft_labels)
