"""A chunk → the bytes of its rows, with the model's answers: what each worker does."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_lstm.answering import ABSTAINED, LABEL_JOINT, is_abstained
from edge_lstm.scoring.columns import Plan, ScoreOptions
from edge_lstm.tables.format import OutputColumns, Rows
from edge_lstm.tables.reader import FORMATS, Chunk
from edge_lstm.tables.values import RowError, Text, utf8_error

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


@dataclass
class Counts:
    """What a summary counts. ``errors`` lists the first error rows: (row in the chunk from 0, reason)."""

    rows: int
    written: int
    labels: Counter[str]
    statuses: Counter[str]
    errors: list[tuple[int, str]]


Scored = tuple[bytes, Counts]  # a chunk, done: the bytes to write, compressed by themselves


class Answerer:
    """A classifier with the options of a run, settled (see columns.settled)."""

    def __init__(self, classifier: Classifier, options: ScoreOptions, batch_size: int | None) -> None:
        self._classifier = classifier
        self._options = options
        self._batch_size = batch_size
        # Of an error row, which has the columns and no values.
        self._no_further = [None] * (2 * (options.top - 1))
        self._no_probabilities = [None] * (len(classifier.labels) if options.all_probabilities else 0)

    def answers(self, texts: Sequence[Text]) -> list[Answer]:
        """One answer for each row, which is its text and None, or None and why it has no text."""
        classifier, options = self._classifier, self._options
        encode = classifier.model.tokenizer.encode_text
        encoded = [encode(text) for text, _ in texts if text is not None]
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
        return [
            next(scored)
            if reason is None
            else Answer(None, None, None, "error", reason, further=self._no_further)
            for _, reason in texts
        ]

    def _several(self, probabilities: npt.NDArray[np.float32]) -> list[str | None]:
        """The labels that each text has, the most probable first, joined; None where it has none."""
        names, has = self._classifier.labels, self._classifier.has_labels(probabilities)
        return [
            LABEL_JOINT.join([names[i] for i in row if own[i]]) or None
            for row, own in zip(_descending(probabilities).tolist(), has.tolist())
        ]

    def _further(self, probabilities: npt.NDArray[np.float32]) -> Iterable[Sequence[Any]]:
        """Of each row of float32 [n, labels] the labels behind the best, up to ``options.top``."""
        if self._options.top == 1:
            return repeat(())
        names, order = self._classifier.labels, _descending(probabilities)[:, 1 : self._options.top]
        return (
            [value for i in row for value in (names[i], own[i])]
            for row, own in zip(order.tolist(), probabilities)
        )

    def names(self, label: str | None) -> Sequence[str]:
        """The labels of what :class:`Answer` has as its label."""
        if label is None:
            return ()
        return (label,) if self._classifier.model.thresholds is None else label.split(LABEL_JOINT)

    def added(self, answer: Answer) -> Sequence[Any] | None:
        """The values of the added columns; None where the row is not written."""
        options = self._options
        label, probability, every, status, error, predicted, further = answer
        if options.only_abstained and status != ABSTAINED:
            return None
        if options.only_label and not any(name in options.only_label for name in self.names(label)):
            return None
        if every is None:
            every = self._no_probabilities
        named = (label, predicted) if options.only_abstained else (label,)
        return (*named, probability, *further, *every, status, error)


class Worker:
    """A classifier and the plan. It can be pickled."""

    def __init__(self, classifier: Classifier, plan: Plan, is_gzip: bool, batch_size: int | None) -> None:
        self._plan, self._is_gzip = plan, is_gzip
        self._answerer = Answerer(classifier, plan.options, batch_size)
        self._forbidden = frozenset(plan.output.added)
        # Where columns are fixed, a row with another key would lose it.
        is_fixed = FORMATS[plan.format].has_fixed_columns and plan.output.kept is None
        self._allowed = frozenset(plan.output.schema.columns) if is_fixed else None

    def score(self, chunk: Chunk) -> Scored:
        """Classify the rows of a chunk and encode them."""
        answerer, output = self._answerer, self._plan.output
        schema, writing = output.schema, FORMATS[self._plan.format]
        rows = FORMATS[schema.format].parse(chunk.rows, schema, self._check_keys)
        if writing.needs_utf8 and schema.format != writing.name and not schema.is_unicode:
            _refuse_bytes(rows, output)
        answers = answerer.answers(rows.texts)
        added = list(map(answerer.added, answers))
        written = len(added) - added.count(None)
        data = writing.write(rows, added, output) if written else b""
        statuses = Counter(answer.status for answer in answers)
        labels = Counter(name for answer in answers for name in answerer.names(answer.label))
        errors = ((i, answer.error) for i, answer in enumerate(answers) if answer.error is not None)
        counts = Counts(len(answers), written, labels, statuses, list(islice(errors, MAX_LISTED_ERRORS)))
        return compressed(data, self._is_gzip) if data else b"", counts

    def _check_keys(self, row: dict[str, Any]) -> None:
        for key in row:
            is_forbidden = key in self._forbidden
            if is_forbidden or (self._allowed is not None and key not in self._allowed):
                hint = "choose another prefix" if is_forbidden else "write JSONL"
                raise RowError(f"the row has a key {key!r}, which the first rows do not have; {hint}")


def _descending(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Return the indexes of the labels of each row, the most probable first: int [n, labels]."""
    return np.argsort(-probabilities, axis=1, kind="stable")


def compressed(data: bytes, is_gzip: bool) -> bytes:
    """Return ``data``, or a whole gzip file of it: always the same, and such files can be put end to end."""
    return gzip.compress(data, 6, mtime=0) if is_gzip else data


def _refuse_bytes(rows: Rows, output: OutputColumns) -> None:
    """Put an error in place of the text of each row with another column that is not UTF-8."""
    for i, (text, _) in enumerate(rows.texts):
        if text is None:
            continue
        for value, name in zip(output.pick(rows.values[i]), output.columns):
            if isinstance(value, str) and utf8_error(value):
                rows.texts[i] = None, f"column {name!r} is not UTF-8; leave it out with --keep"
                break
