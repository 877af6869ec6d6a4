"""Texts → answers: what the added columns say of each row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_lstm.answering import ABSTAINED, LABEL_JOINT, is_abstained
from edge_lstm.scoring.columns import ScoreOptions

if TYPE_CHECKING:
    from edge_lstm.classifier import Classifier

MAX_LISTED_ERRORS = 20  # of a chunk: enough for a summary, bounded for a file of nothing but errors


class Answer(NamedTuple):
    """What one row got.

    label: None for an error row and where the probability is below the threshold. Of a model that gives
        several labels all that the text has, joined by LABEL_JOINT; None where it has none.
    probability, probabilities: float32 values, None for an error row; ``probabilities`` only where all
        are asked for. str() of them is the shortest text that gives the same bits.
    status: that of the text (see edge_lstm.text), ``abstained`` or ``error``.
    predicted: the label that was left out, where such rows are asked for.
    further: the next best labels, each followed by its probability, where they are asked for.
    """

    label: str | None
    probability: Any
    probabilities: Sequence[Any] | None
    status: str
    error: str | None
    predicted: str | None = None
    further: Sequence[Any] = ()


class Answerer:
    """A classifier with the options of a run, settled (see columns.settled)."""

    def __init__(self, classifier: Classifier, options: ScoreOptions, batch_size: int | None) -> None:
        self._classifier = classifier
        self._options = options
        self._batch_size = batch_size
        # Of an error row, which has the columns and no values.
        self._no_further = [None] * (2 * (options.top - 1))
        self._no_probabilities = [None] * (len(classifier.labels) if options.all_probabilities else 0)

    def answers(self, read: Sequence[tuple[str | None, str | None]]) -> list[Answer]:
        """One answer for each row, which is its text and None, or None and why it has no text."""
        classifier, options = self._classifier, self._options
        encode = classifier.model.tokenizer.encode_text
        encoded = [encode(text) for text, _ in read if text is not None]
        probabilities = classifier.probabilities_of(
            [text.ids for text in encoded], batch_size=self._batch_size
        )
        best = probabilities.argmax(axis=1)
        highest = probabilities[np.arange(len(encoded)), best]
        statuses: list[str] = [text.status for text in encoded]
        labels: list[str | None]
        guesses: Iterable[str | None] = repeat(None)
        if classifier.model.thresholds is not None:
            labels = self._several(probabilities)
        else:
            labels = [classifier.labels[i] for i in best.tolist()]
            guesses = labels.copy() if options.only_abstained else guesses
            for i in np.flatnonzero(is_abstained(highest, options.threshold or 0.0)).tolist():
                labels[i], statuses[i] = None, ABSTAINED
        every = probabilities if options.all_probabilities else repeat(None)
        further = self._further(probabilities)
        scored = map(Answer, labels, highest, every, statuses, repeat(None), guesses, further)
        if len(encoded) == len(read):
            return list(scored)
        return [
            next(scored)
            if reason is None
            else Answer(None, None, None, "error", reason, further=self._no_further)
            for _, reason in read
        ]

    def _several(self, probabilities: npt.NDArray[np.float32]) -> list[str | None]:
        """The labels that each text has, the most probable first, joined; None where it has none."""
        has = self._classifier.has_labels(probabilities)
        names = self._classifier.labels
        order = np.argsort(-probabilities, axis=1, kind="stable")
        return [
            LABEL_JOINT.join([names[i] for i in row if own[i]]) or None
            for row, own in zip(order.tolist(), has.tolist())
        ]

    def _names(self, label: str | None) -> Sequence[str]:
        """The labels of what :class:`Answer` has as its label."""
        if label is None:
            return ()
        return (label,) if self._classifier.model.thresholds is None else label.split(LABEL_JOINT)

    def count(self, answers: Sequence[Answer], written: int) -> Counts:
        """Answers of a chunk → what the summary counts."""
        statuses = Counter(answer.status for answer in answers)
        labels = Counter(name for answer in answers for name in self._names(answer.label))
        errors = ((i, answer.error) for i, answer in enumerate(answers) if answer.error is not None)
        return Counts(len(answers), written, labels, statuses, list(islice(errors, MAX_LISTED_ERRORS)))

    def _further(self, probabilities: npt.NDArray[np.float32]) -> Iterable[Sequence[Any]]:
        """Of each row of float32 [n, labels] the labels behind the best, up to ``options.top``."""
        if self._options.top == 1:
            return repeat(())
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, 1 : self._options.top]
        names = self._classifier.labels
        return (
            [value for i in row for value in (names[i], own[i])]
            for row, own in zip(order.tolist(), probabilities)
        )

    def is_written(self, answer: Answer) -> bool:
        """Whether the row is written at all."""
        if self._options.only_abstained:
            return answer.status == ABSTAINED
        wanted = self._options.only_label
        return not wanted or any(name in wanted for name in self._names(answer.label))

    def added(self, answer: Answer) -> Sequence[Any] | None:
        """The values of the added columns; None where the row is not written."""
        if not self.is_written(answer):
            return None
        label, probability, every, status, error, predicted, further = answer
        if every is None:
            every = self._no_probabilities
        named = (label, predicted) if self._options.only_abstained else (label,)
        return (*named, probability, *further, *every, status, error)


@dataclass
class Counts:
    """What a summary counts. ``errors`` lists the first error rows: (row in the chunk from 0, reason)."""

    rows: int
    written: int
    labels: Counter[str]
    statuses: Counter[str]
    errors: list[tuple[int, str]]
