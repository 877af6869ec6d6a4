"""A chunk → the bytes of its rows, with the model's answers: what each worker does."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_lstm.answering import ABSTAINED, is_abstained
from edge_lstm.scoring.columns import ScoreOptions
from edge_lstm.scoring.summary import MAX_LISTED_ERRORS, RowProblem, Summary
from edge_lstm.tables.format import OutputColumns, Rows
from edge_lstm.tables.reader import FORMATS, Chunk
from edge_lstm.tables.values import RowError, Text, utf8_error
from edge_lstm.text import LABEL_JOINT

if TYPE_CHECKING:
    from edge_lstm.classifier import Classifier


class Answer(NamedTuple):
    """What one row got.

    label: None for an error row and where the probability is below the threshold. Of a model that gives
        several labels all that the text has, joined by LABEL_JOINT; None where it has none.
    status: that of the text (see edge_lstm.text), ``unfamiliar``, ``abstained`` or ``error``. error: why
        there is no answer.
    columns: the values of the added columns (see columns.added_columns): text, float32 (str() of it is the
        shortest text that gives the same bits), or None.
    """

    label: str | None
    status: str
    error: str | None
    columns: tuple[Any, ...]


Scored = tuple[bytes, Summary]  # of a chunk: the bytes to write, compressed by themselves; what they are


class Answerer:
    """A classifier with the options of a run, settled (see columns.settled)."""

    def __init__(self, classifier: Classifier, options: ScoreOptions, batch_size: int | None) -> None:
        self.labels = classifier.labels
        self._classifier, self._options, self._batch_size = classifier, options, batch_size
        self._highest = classifier.model.unfamiliar_threshold(options.unfamiliar)

    def answers(self, texts: Sequence[Text]) -> list[Answer]:
        """One answer for each row, which is its text and None, or None and why it has no text."""
        classified = self._classifier.classify(
            [text for text, _ in texts if text is not None], self._highest, batch_size=self._batch_size
        )
        labels, statuses, columns = self._columns(*classified)
        answered = map(Answer, labels, statuses, repeat(None), zip(*columns))
        nothing = (None,) * (len(columns) - 2)
        return [
            next(answered) if reason is None else Answer(None, "error", reason, (*nothing, "error", reason))
            for _, reason in texts
        ]

    def _columns(
        self, probabilities: npt.NDArray[np.float32], statuses: list[Any]
    ) -> tuple[list[str | None], list[str], list[Iterable[Any]]]:
        """Return label and status of each text, and the values of each added column.

        probabilities: float32 [n, labels]. statuses: of the n texts.
        """
        options, rows = self._options, np.arange(len(probabilities))
        order = probabilities.argmax(axis=1)[:, None]
        if options.top > 1 or self._classifier.model.thresholds is not None:
            order = np.argsort(-probabilities, axis=1, kind="stable")
        best = [[self.labels[i] for i in column] for column in order.T[: options.top].tolist()]
        highest = [probabilities[rows, column] for column in order.T[: options.top]]
        labels: list[str | None] = [*best[0]]
        if self._classifier.model.thresholds is not None:
            has = self._classifier.has_labels(probabilities)
            labels = [
                LABEL_JOINT.join([self.labels[i] for i in row if flags[i]]) or None
                for row, flags in zip(order.tolist(), has.tolist())
            ]
        else:
            for i in np.flatnonzero(is_abstained(highest[0], options.threshold or 0.0)).tolist():
                labels[i], statuses[i] = None, ABSTAINED
        columns: list[Iterable[Any]] = [labels, *([best[0]] if options.only_abstained else []), highest[0]]
        for names, values in zip(best[1:], highest[1:]):
            columns += [names, values]
        if options.all_probabilities:
            columns += list(probabilities.T)
        return labels, statuses, [*columns, statuses, repeat(None)]

    def names(self, label: str | None) -> Sequence[str]:
        """The labels of what :class:`Answer` has as its label."""
        if label is None:
            return ()
        return (label,) if self._classifier.model.thresholds is None else label.split(LABEL_JOINT)

    def is_written(self, answer: Answer) -> bool:
        """Whether the row is written at all."""
        if self._options.only_abstained:
            return answer.status == ABSTAINED
        labels = self._options.only_label
        return not labels or any(name in labels for name in self.names(answer.label))


class Worker:
    """What answers, and the columns of the output. It can be pickled."""

    def __init__(self, answerer: Answerer, output: OutputColumns, is_gzip: bool) -> None:
        self._answerer, self._output, self._is_gzip = answerer, output, is_gzip
        self._forbidden = frozenset(output.added)
        # Where columns are fixed, a row with another key would lose it.
        is_fixed = FORMATS[output.format].has_fixed_columns and output.kept is None
        self._allowed = frozenset(output.schema.columns) if is_fixed else None

    def score(self, chunk: Chunk) -> Scored:
        """Classify the rows of a chunk and encode them."""
        answerer, output = self._answerer, self._output
        schema, writing = output.schema, FORMATS[output.format]
        rows = FORMATS[schema.format].parse(chunk.rows, schema, self._check_keys)
        if writing.needs_utf8 and schema.format != writing.name and not schema.is_unicode:
            _refuse_bytes(rows, output)
        answers = answerer.answers(rows.texts)
        added = [answer.columns if answerer.is_written(answer) else None for answer in answers]
        written = len(added) - added.count(None)
        data = writing.write(rows, added, output) if written else b""
        statuses, labels = Counter(answer.status for answer in answers), Counter[str]()
        for label, count in Counter(answer.label for answer in answers).items():
            labels.update(dict.fromkeys(answerer.names(label), count))
        errors = (
            RowProblem(chunk.source, i, answer.error)
            for i, answer in enumerate(answers, chunk.first + 1)
            if answer.error is not None
        )
        summary = Summary(
            rows=len(answers),
            written=written,
            errors=statuses["error"],
            below_threshold=statuses[ABSTAINED],
            labels=labels,
            statuses=statuses,
            first_errors=list(islice(errors, MAX_LISTED_ERRORS)),
        )
        return compressed(data, self._is_gzip) if data else b"", summary

    def _check_keys(self, row: dict[str, Any]) -> None:
        for key in row:
            is_forbidden = key in self._forbidden
            if is_forbidden or (self._allowed is not None and key not in self._allowed):
                hint = "rename it" if is_forbidden else "write JSONL"
                raise RowError(f"the row has a key {key!r}, which the first rows do not have; {hint}")


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
