"""A chunk → the bytes of its rows, with the model's answers: what each worker does."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edge_lstm.answering import ABSTAINED, is_abstained
from edge_lstm.scoring.columns import ScoreOptions
from edge_lstm.scoring.summary import MAX_LISTED_ERRORS, RowProblem, Summary
from edge_lstm.tables.format import OutputColumns, Rows
from edge_lstm.tables.reader import FORMATS, Chunk
from edge_lstm.tables.values import RowError, utf8_error
from edge_lstm.text import LABEL_JOINT

if TYPE_CHECKING:
    from edge_lstm.classifier import Classifier

# What the rows of a chunk got, by added column (see columns.added_columns): text, a float that is a
# float32, or None. The first is the label: None for an error row and where the probability is below
# the threshold; of a model that gives several labels all that the text has, joined by LABEL_JOINT,
# None where it has none. The last two are the status (edge_lstm.text; ``unfamiliar``,
# ``abstained``, ``error``) and why there is none.
Answers = list[list[Any]]
# of a chunk: the bytes to write, compressed by themselves; what they are
Scored = tuple[bytes, Summary]


class Answerer:
    """A classifier with the options of a run, settled (see columns.settled)."""

    def __init__(
        self, classifier: Classifier, options: ScoreOptions, batch_size: int | None
    ) -> None:
        self.labels = classifier.labels
        self._classifier, self._options, self._batch_size = classifier, options, batch_size
        self._highest = classifier.model.choose_unfamiliar_threshold(options.unfamiliar)

    def answers(self, texts: Sequence[str | None], reasons: Sequence[str | None]) -> Answers:
        """Answer each row: its text and None, or None and why it has no text."""
        good = [text for text in texts if text is not None]
        columns = self._columns(
            *self._classifier._classify(good, self._highest, batch_size=self._batch_size)
        )
        if len(good) < len(texts):
            for i, column in enumerate(columns, 1):
                answered, nothing = iter(column), "error" if i == len(columns) else None
                column[:] = [next(answered) if reason is None else nothing for reason in reasons]
        return [*columns, list(reasons)]

    def _columns(self, probabilities: npt.NDArray[np.float32], statuses: list[Any]) -> Answers:
        """Return the values of each added column but the last.

        probabilities: float32 [n, labels]. statuses: of the n texts.
        """
        options, rows = self._options, np.arange(len(probabilities))
        order = probabilities.argmax(axis=1)[:, None]
        if options.top > 1 or self._classifier.model.thresholds is not None:
            order = np.argsort(-probabilities, axis=1, kind="stable")
        best = [[self.labels[i] for i in column] for column in order.T[: options.top].tolist()]
        highest = [probabilities[rows, column].tolist() for column in order.T[: options.top]]
        labels: list[str | None] = [*best[0]]
        if self._classifier.model.thresholds is not None:
            has = self._classifier.has_labels(probabilities)
            labels = [
                LABEL_JOINT.join([self.labels[i] for i in row if flags[i]]) or None
                for row, flags in zip(order.tolist(), has.tolist())
            ]
        else:
            is_unsure = is_abstained(probabilities[rows, order[:, 0]], options.threshold or 0.0)
            for i in np.flatnonzero(is_unsure).tolist():
                labels[i], statuses[i] = None, ABSTAINED
        columns: Answers = [labels, *([best[0]] if options.only_abstained else []), highest[0]]
        for names, values in zip(best[1:], highest[1:]):
            columns += [names, values]
        if options.all_probabilities:
            columns += probabilities.T.tolist()
        return [*columns, statuses]

    def names(self, label: str | None) -> Sequence[str]:
        """The labels of what an answer has as its label."""
        if label is None:
            return ()
        return (label,) if self._classifier.model.thresholds is None else label.split(LABEL_JOINT)

    def chosen(self, answers: Answers) -> Sequence[int]:
        """Return the indexes of the rows that are written."""
        if self._options.only_abstained:
            return [i for i, status in enumerate(answers[-2]) if status == ABSTAINED]
        if not (labels := self._options.only_label):
            return range(len(answers[0]))
        wanted = {
            label for label in {*answers[0]} if any(name in labels for name in self.names(label))
        }
        return [i for i, label in enumerate(answers[0]) if label in wanted]


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
        answers = answerer.answers(rows.texts, rows.reasons)
        statuses, labels = Counter(answers[-2]), Counter[str]()
        for label, count in Counter(answers[0]).items():
            labels.update(dict.fromkeys(answerer.names(label), count))
        errors = (
            (i, error) for i, error in enumerate(answers[-1], chunk.first + 1) if error is not None
        )
        first_errors = islice(errors, min(statuses["error"], MAX_LISTED_ERRORS))
        chosen = answerer.chosen(answers)
        if len(chosen) < chunk.count:
            rows, answers = rows.only(chosen), [[column[i] for i in chosen] for column in answers]
        data = writing.write(rows, answers, output) if chosen else b""
        summary = Summary(
            rows=chunk.count,
            written=len(chosen),
            errors=statuses["error"],
            below_threshold=statuses[ABSTAINED],
            labels=labels,
            statuses=statuses,
            first_errors=[RowProblem(chunk.source, i, error) for i, error in first_errors],
        )
        return compressed(data, self._is_gzip) if data else b"", summary

    def _check_keys(self, row: dict[str, Any]) -> None:
        if self._forbidden.isdisjoint(row) and (
            self._allowed is None or self._allowed.issuperset(row)
        ):
            return
        for key in row:
            is_forbidden = key in self._forbidden
            if is_forbidden or (self._allowed is not None and key not in self._allowed):
                hint = "rename it" if is_forbidden else "write JSONL"
                raise RowError(
                    f"the row has a key {key!r}, which the first rows do not have; {hint}"
                )


def compressed(data: bytes, is_gzip: bool) -> bytes:
    """Return ``data``, or a whole gzip file of it: always the same, and such files can be put end
    to end."""
    return gzip.compress(data, 6, mtime=0) if is_gzip else data


def _refuse_bytes(rows: Rows, output: OutputColumns) -> None:
    """Put an error in place of the text of each row with another column that is not UTF-8."""
    for values, name in zip(output.pick(rows.columns), output.columns):
        reason = f"column {name!r} is not UTF-8; leave it out with --keep"
        for i, value in enumerate(values):
            if rows.texts[i] is not None and isinstance(value, str) and utf8_error(value):
                rows.texts[i], rows.reasons[i] = None, reason
