"""A chunk → the bytes of its rows, with the model's answers: what each worker does."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any

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

# What a row got, the values of the added columns (see columns.added_columns): text, float32 (its str() is the
# shortest text with the same bits) or None. The first is the label: None for an error row and where the
# probability is below the threshold; of a model that gives several labels all that the text has, joined by
# LABEL_JOINT, None where it has none. The last two are the status (see edge_lstm.text; ``unfamiliar``,
# ``abstained`` or ``error``) and why there is no answer.
Answer = tuple[Any, ...]
Scored = tuple[bytes, Summary]  # of a chunk: the bytes to write, compressed by themselves; what they are


class Answerer:
    """A classifier with the options of a run, settled (see columns.settled)."""

    def __init__(self, classifier: Classifier, options: ScoreOptions, batch_size: int | None) -> None:
        self.labels = classifier.labels
        self._classifier, self._options, self._batch_size = classifier, options, batch_size
        self._highest = classifier.model.unfamiliar_threshold(options.unfamiliar)

    def answers(self, texts: Sequence[Text]) -> list[Answer]:
        """One answer for each row, which is its text and None, or None and why it has no text."""
        good = [text for text, _ in texts if text is not None]
        classified = self._classifier.classify(good, self._highest, batch_size=self._batch_size)
        columns = self._columns(*classified)
        answered, nothing = zip(*columns), (None,) * (len(columns) - 2)
        if len(good) == len(texts):
            return list(answered)
        return [next(answered) if reason is None else (*nothing, "error", reason) for _, reason in texts]

    def _columns(self, probabilities: npt.NDArray[np.float32], statuses: list[Any]) -> list[Iterable[Any]]:
        """Return the values of each added column.

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
        return [*columns, statuses, repeat(None)]

    def names(self, label: str | None) -> Sequence[str]:
        """The labels of what an answer has as its label."""
        if label is None:
            return ()
        return (label,) if self._classifier.model.thresholds is None else label.split(LABEL_JOINT)

    def written(self, answers: Sequence[Answer]) -> Sequence[Answer | None]:
        """Return the answers with None in the place of those that are not written."""
        labels = self._options.only_label
        if self._options.only_abstained:
            return [answer if answer[-2] == ABSTAINED else None for answer in answers]
        if labels:
            return [a if any(name in labels for name in self.names(a[0])) else None for a in answers]
        return answers


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
        added = answerer.written(answers)
        written = len(added) - added.count(None)
        data = writing.write(rows, added, output) if written else b""
        statuses, labels = Counter([answer[-2] for answer in answers]), Counter[str]()
        for label, count in Counter([answer[0] for answer in answers]).items():
            labels.update(dict.fromkeys(answerer.names(label), count))
        errors = (
            RowProblem(chunk.source, i, answer[-1])
            for i, answer in enumerate(answers, chunk.first + 1)
            if answer[-1] is not None
        )
        summary = Summary(
            rows=len(answers),
            written=written,
            errors=statuses["error"],
            below_threshold=statuses[ABSTAINED],
            labels=labels,
            statuses=statuses,
            first_errors=list(islice(errors, min(statuses["error"], MAX_LISTED_ERRORS))),
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
