"""The data of a training as ids: the vocabulary, and targets for the rows and the transfer set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from edge_lstm.core.fields import Fields
from edge_lstm.core.question import SCORE, Question
from edge_lstm.core.text import Tokenizer
from edge_lstm_export.arrays import Floats, Ints, Names
from edge_lstm_export.network import Examples
from edge_lstm_export.options import NetworkOptions, Plan
from edge_lstm_export.train.data.predictions import EnsemblePredictions, probabilities
from edge_lstm_export.train.data.rows import LabelledRows
from edge_lstm_export.train.data.transfer import TransferSet, misspell
from edge_lstm_export.train.sources import Split


@dataclass(frozen=True)
class TrainingData:
    """Rows and transfer set as ids, and their targets.

    plan: as it was given; its network is the one that ``network`` was fitted from.
    tokenizer: the text rule with its vocabulary.
    network: of this vocabulary, in the plan's file.
    predictions: of the teachers; None without any.
    fields: that the texts were made of; None if they are texts.
    """

    labels: Names
    plan: Plan
    rows: LabelledRows
    transfer: TransferSet
    tokenizer: Tokenizer
    network: NetworkOptions
    predictions: EnsemblePredictions | None
    fields: Fields | None = None

    @cached_property
    def letters(self) -> dict[str, str]:
        """The letters of each field word, see :meth:`Fields.below`: of a number, one for each edge.

        Neighbouring words share letters, as words of one stem do, so they share their weights.
        """
        return {} if self.fields is None else dict(self.fields.below({*self.tokenizer.words}))

    @cached_property
    def row_examples(self) -> Examples:
        """The rows, with their labels as targets."""
        return self.encode(self.rows.learnt)

    @cached_property
    def transfer_examples(self) -> Examples:
        """The transfer set, without targets."""
        unknown = np.zeros((len(self.transfer.texts), self.network.labels), np.float32)
        return Examples.from_texts(self.tokenizer, self.transfer.texts, unknown)

    @cached_property
    def all_examples(self) -> Examples:
        """The rows, then the transfer set."""
        return self.row_examples.joined(self.transfer_examples)

    @cached_property
    def validation_examples(self) -> Examples | None:
        """The validation part, with its labels as targets; None if nothing is held out."""
        if not len(self.rows.validation):
            return None
        return self.encode(self.rows.validation)

    @cached_property
    def test_examples(self) -> Examples | None:
        """The test texts, with their labels as targets; None without any."""
        return None if self.rows.test is None else self.encode(self.rows.test)

    def encode(self, split: Split) -> Examples:
        """Return the texts as ids, with their labels as targets."""
        return Examples.from_texts(self.tokenizer, split.texts, split.targets)

    def row_targets(self) -> Floats:
        """Return the targets of the rows, float32 [rows, L]: labels mixed with the teachers'."""
        labels = self.row_examples.targets
        if self.plan.question == SCORE:
            labels = smoothed(labels, Question.of(SCORE, self.labels).levels)
        if self.predictions is None:
            return labels
        weight = np.float32(self.plan.hard_label_weight)
        logits = self.predictions.predictions.labelled
        predicted = probabilities(logits, self.network.multi_label)
        return np.asarray(weight * labels + (1 - weight) * predicted, np.float32)

    def transfer_targets(self, fold: int | None = None) -> Floats:
        """Return the targets of the transfer set, float32 [texts, L].

        fold: by teachers that saw no label of this fold.
        """
        if self.predictions is not None:
            logits = self.predictions.predictions.of_transfer_set(fold)
            return probabilities(logits, self.network.multi_label)
        if self.transfer.soft_labels is not None:
            return self.transfer.soft_labels
        return self.transfer_examples.targets

    def rows_without(self, fold: int | None) -> Ints:
        """Return the indexes of the rows that are not in the fold; of all rows for None."""
        if fold is None:
            return np.arange(len(self.row_examples))
        return np.flatnonzero(self.rows.fold != fold)

    def learnt(self, fold: int | None = None, more: Examples | None = None) -> Examples:
        """Return all examples with their targets, first the rows.

        fold: leave out its rows, and texts that are made of them.
        more: come last.
        """
        rows = self.rows_without(fold)
        labelled = replace(self.row_examples.subset(rows), targets=self.row_targets()[rows])
        texts = np.arange(len(self.transfer_examples))
        if fold is not None:
            texts = np.flatnonzero(self.transfer.source_fold != fold)
        targets = self.transfer_targets(fold)[texts]
        learnt = labelled.joined(replace(self.transfer_examples.subset(texts), targets=targets))
        return learnt if more is None else learnt.joined(more)

    def with_typos(self, examples: Examples, fold: int | None = None) -> Examples:
        """Add misspelt copies of the rows, the first of the examples, with the same targets."""
        rows = self.rows_without(fold)
        texts = [self.rows.learnt.texts[row] for row in rows]
        misspelt = misspell(texts, self.plan.augmentation.typos, self.plan.seed)
        targets = examples.targets[: len(rows)]
        return examples.joined(Examples.from_texts(self.tokenizer, misspelt, targets))


def smoothed(targets: Floats, levels: Sequence[float]) -> Floats:
    """Return targets of which a fifth goes to the neighbouring numbers, float32 [n, L].

    These are nearly right.

    targets: float32 [n, L].
    levels: the number of each label.
    """
    rank = np.argsort(np.argsort(levels))
    is_next = np.abs(rank[:, None] - rank) == 1
    neighbours = is_next / is_next.sum(axis=1, keepdims=True)
    kernel = 0.8 * np.eye(len(rank)) + 0.2 * neighbours
    return np.asarray(targets @ kernel, np.float32)
