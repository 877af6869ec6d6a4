"""Encoders that are fine-tuned on parts of the labelled rows, so that each row is answered by one that did
not see it, and every other text by all of them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax

from edge_lstm_export.cross_validation import FOLDS, folds_of
from edge_lstm_export.distillation import Distillation, Say
from edge_lstm_export.fit import Prepared
from edge_lstm_export.ngram_svm import FEW_TEXTS
from edge_lstm_export.teacher.labels import Floats, Ints

if TYPE_CHECKING:
    from edge_lstm_export.teacher.transformer import Encoder

_LEAST = 1e-6  # of a probability


def can_fine_tune(prepared: Prepared, seed: int) -> bool:
    """Whether every fold of the rows is there, and leaves two labels or more to learn."""
    fold, labels = folds_of(prepared.train, FOLDS, seed), prepared.train.labels
    parts = [fold == k for k in range(FOLDS)]
    return all(held.any() and len(np.unique(labels[~held])) > 1 for held in parts)


class TunedEncoders:
    """The folds are those of :func:`cross_validate`, so that what is fine-tuned on all rows but those of a
    fold serves the cross-validation too. vectors: the frozen encoder's, of the rows, float32 [rows, hidden].
    others: the texts without a label, after them what was made of the labelled ones, and the validation part
    with what was made of it. Nothing is fine-tuned before it is asked for."""

    def __init__(
        self,
        encoder: Encoder,
        vectors: Floats,
        prepared: Prepared,
        others: list[str],
        of: Distillation,
        seed: int,
        say: Say,
    ) -> None:
        self.encoder, self.vectors, self.prepared, self.of, self.say = encoder, vectors, prepared, of, say
        self.texts, self.rows = [*prepared.train.texts, *others], len(prepared.train)
        self.fold = folds_of(prepared.train, FOLDS, seed)

    @property
    def of_rows(self) -> Floats:
        """Of each row what the encoder says that did not see it: float32 [rows, labels]."""
        return self._on_parts[0]

    def of_others(self, rows: Ints) -> Floats:
        """What is said of the others by what was fine-tuned on these rows; of all rows, by what was on their
        parts, together: float32 [others, labels]."""
        if len(rows) == self.rows:
            logs = np.stack([np.log(part.clip(_LEAST)) for part in self._on_parts[1]])
            asked = np.stack([part.any(axis=1) for part in self._on_parts[1]])[:, :, None]
            mean = (logs * asked).sum(axis=0) / np.maximum(1, asked.sum(axis=0))
            return np.asarray(softmax(mean, axis=1), np.float32)
        for k, part in enumerate(self._on_parts[1]):
            if np.array_equal(rows, np.flatnonzero(self.fold != k)):
                return part
        return self._answers(rows, np.arange(self.rows, len(self.texts)))

    @cached_property
    def _source(self) -> str:
        from edge_lstm_export.teacher.hub import source_digest

        return source_digest(self.of.teacher)

    @cached_property
    def _on_parts(self) -> tuple[Floats, list[Floats]]:
        """(of each row by the one that did not see it, [rows, labels]; of the others by each, [others,
        labels], 0 where it was not asked). With few rows each is asked for all others, since cross-validation
        needs that; with many, for texts without a label, for what was made of the rows that it did not
        see, and for its share of the validation part and what was made of that."""
        own = np.zeros((self.rows, self.encoder.labels), np.float32)
        others = []
        self._say_cost()
        for k in range(FOLDS):
            held = np.flatnonzero(self.fold == k)
            asked = self._asked(k)
            found = self._answers(np.flatnonzero(self.fold != k), np.concatenate([held, self.rows + asked]))
            own[held] = found[: len(held)]
            answers = np.zeros((len(self.texts) - self.rows, self.encoder.labels), np.float32)
            answers[asked] = found[len(held) :]
            others.append(answers)
        return own, others

    def _asked(self, k: int) -> Ints:
        """Numbers of the others that the encoder of fold k answers."""
        others = np.arange(len(self.texts) - self.rows)
        if self.rows < FEW_TEXTS:
            return others
        logs, made = len(self.prepared.further), self.prepared.made
        of_held = logs + made.of(np.flatnonzero(self.fold == k))
        return np.concatenate([others[:logs], of_held, others[logs + len(made.texts) + k :: FOLDS]])

    def _answers(self, rows: Ints, texts: Ints) -> Floats:
        """texts: numbers of the rows, and after them of the others."""
        from edge_lstm_export.teacher.tuned import answers_of_tuned

        return answers_of_tuned(
            self.encoder,
            [self.texts[row] for row in rows],
            self.prepared.train.labels[rows],
            self.vectors[rows],
            [self.texts[i] for i in texts],
            self.of.transformer,
            partial=self.of.weights,
            key=self._source,
            say=self.say,
        )

    def _say_cost(self) -> None:
        from edge_lstm_export.teacher.answers import say_cost
        from edge_lstm_export.teacher.tuned import times_read

        learnt = [row for k in range(FOLDS) for row in np.flatnonzero(self.fold != k)]
        read = [i for k in range(FOLDS) for i in self._asked(k)]
        say_cost(
            self.encoder,
            [self.texts[row] for row in learnt],
            [self.texts[self.rows + i] for i in read],
            self.of.transformer,
            self.say,
            times=times_read(len(learnt) // FOLDS, self.encoder.labels),
            models=FOLDS,
        )
