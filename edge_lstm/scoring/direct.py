"""JSONL in → JSONL out by the native engine, without a Python object for a row.

The engine finds and classifies the texts of a chunk, and writes its lines. The rows that it does
not take go through worker.py, which gives the same bytes for all rows. A test compares the two on
generated files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_lstm.answering import ABSTAINED, is_abstained
from edge_lstm.native import STATUSES, NativeSession
from edge_lstm.scoring.columns import ScoreOptions
from edge_lstm.scoring.summary import Summary
from edge_lstm.tables.format import OutputColumns
from edge_lstm.tables.lines import ATTRIBUTES, JSONL
from edge_lstm.tables.values import json_text

if TYPE_CHECKING:
    from edge_lstm.classifier import Classifier

# A part of a line that is the row's own items. Texts.write has all kinds of parts.
_ITEMS = -1
# Floats from here to 1 are written by the engine.
_LEAST = np.float32(1e-8)
_STATUSES = (*STATUSES, ABSTAINED)


class _Coded(NamedTuple):
    """A column of text: for each row the place of its value in ``values``."""

    codes: npt.NDArray[Any]
    values: Sequence[str | None]


# A column of an output: text, or probabilities as float32 [rows].
_Column = _Coded | npt.NDArray[np.float32]


class DirectScored(NamedTuple):
    """Rows that were scored.

    data: their lines. summary: of these rows. end: the bytes of the chunk up to here.
    """

    data: bytes
    summary: Summary
    end: int


class DirectScorer:
    """A classifier of the native engine, with the options of a run. It can be pickled."""

    def __init__(
        self, classifier: Classifier, options: ScoreOptions, output: OutputColumns
    ) -> None:
        """Take over what :func:`direct_scorer` found fit."""
        self._classifier = classifier
        self._options = options
        self._output = output
        schema = output.schema
        kept = output.kept or ()
        wanted = [schema.text, *(index for index in kept if index != schema.text)]
        self._wanted = [json_text(schema.columns[index]) for index in wanted]
        self._refused = [json_text(name) for name in output.added]
        self._places = [wanted.index(index) for index in kept]

    def score(self, rows: bytes, start: int) -> DirectScored:
        """Classify rows of a chunk, from a byte on, up to one that the engine does not take.

        Raises ModelFileError if the model gives values that are not probabilities.
        """
        output = self._output
        session = self._classifier.native
        assert session is not None
        texts = session.json_lines(rows, start, self._wanted, self._refused)
        if not texts.count:
            return DirectScored(b"", Summary(), texts.end)
        answers, statuses = session.classify_texts(texts)
        answers = self._classifier._checked(answers, texts.count)
        long = np.flatnonzero(statuses == STATUSES.index("truncated"))
        if self._options.windows and len(long):
            answers = answers.copy()
            answers[long] = self._classifier.classify_in_windows(list(map(texts.text, long)))
            statuses = np.where(statuses == STATUSES.index("truncated"), 0, statuses)
        order = self._order(answers)
        values = np.take_along_axis(answers, order, axis=1)
        is_unsure = is_abstained(values[:, 0], self._options.threshold or 0.0)
        statuses = np.where(is_unsure, len(STATUSES), statuses)
        labels = np.where(is_unsure, len(self._classifier.labels), order[:, 0])
        is_chosen = self._chosen(labels, is_unsure)
        columns = self._columns(answers, order, values, labels, statuses)
        chosen = None if is_chosen is None else is_chosen.tobytes()
        parts = self._parts(columns)
        if output.format == ATTRIBUTES.name:
            parts = self._attributes(columns, texts.lengths())
        data = texts.write(tuple(map(_part, parts)), chosen)
        written = texts.count if is_chosen is None else int(is_chosen.sum())
        return DirectScored(data, self._summary(labels, statuses, written), texts.end)

    def _order(self, answers: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
        """Return int [n, top]: the labels of each text, the most probable first."""
        top = self._options.top
        if top == 1:
            return np.asarray(answers.argmax(axis=1)[:, None])
        return np.argsort(-answers, axis=1, kind="stable")[:, :top]

    def _chosen(
        self, labels: npt.NDArray[Any], is_unsure: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.bool_] | None:
        """Return bool [n]: the rows that are written; None for all of them."""
        if self._options.only_abstained:
            return is_unsure
        wanted = self._options.only_label
        if not wanted:
            return None
        return np.isin(labels, [self._classifier.labels.index(label) for label in wanted])

    def _columns(
        self,
        answers: npt.NDArray[np.float32],
        order: npt.NDArray[np.intp],
        values: npt.NDArray[np.float32],
        labels: npt.NDArray[Any],
        statuses: npt.NDArray[Any],
    ) -> list[_Column]:
        """Return the added columns, in the order of columns.added_columns."""
        options = self._options
        names = (*self._classifier.labels, None)
        columns: list[_Column] = [_Coded(labels, names)]
        if options.only_abstained:
            columns.append(_Coded(order[:, 0], names))
        columns.append(values[:, 0])
        for rank in range(1, options.top):
            columns += [_Coded(order[:, rank], names), values[:, rank]]
        if options.all_probabilities:
            columns += [*answers.T]
        columns.append(_Coded(statuses, _STATUSES))
        columns.append(_Coded(np.zeros(len(labels), np.int32), [None]))
        return columns

    def _parts(self, columns: Sequence[_Column]) -> list[Any]:
        """Return the parts of a line, as JsonlFormat.write has them."""
        output = self._output
        parts: list[Any] = ["{"]
        before = ""
        if output.kept is None:
            parts.append(_ITEMS)
            before = ", "
        for name, place in zip(output.columns, self._places):
            parts += [f"{before}{json_text(name)}: ", place]
            before = ", "
        for name, column in zip(output.added, output.pick_added(columns)):
            parts += [f"{before}{json_text(name)}: ", *_written(column)]
            before = ", "
        return [*parts, "}\n"]

    def _attributes(self, columns: Sequence[_Column], lengths: bytes) -> list[Any]:
        """Return the parts of a line, as AttributesFormat.write has them."""
        output = self._output
        parts: list[Any] = ['{"id": ', *self._places, ', "attributes": {']
        before = ""
        for name, column in zip(output.added, output.pick_added(columns)):
            parts += [f"{before}{json_text(name)}: [[0, ", ("q", lengths), ", "]
            parts += [*_written(column), "]]"]
            before = ", "
        return [*parts, "}}\n"]

    def _summary(
        self, labels: npt.NDArray[Any], statuses: npt.NDArray[Any], written: int
    ) -> Summary:
        by_status = _counted(statuses, _STATUSES)
        return Summary(
            rows=len(labels),
            written=written,
            below_threshold=by_status[ABSTAINED],
            labels=_counted(labels[labels < len(self._classifier.labels)], self._classifier.labels),
            statuses=by_status,
        )


def direct_scorer(
    classifier: Classifier, options: ScoreOptions, output: OutputColumns
) -> DirectScorer | None:
    """Return the scorer for a run; None if Python has to look into its rows."""
    is_jsonl = output.schema.format == JSONL.name and output.format in (JSONL.name, ATTRIBUTES.name)
    model = classifier.model
    is_plain = not model.is_score and model.thresholds is None and options.unfamiliar is None
    if not (is_jsonl and is_plain and isinstance(classifier.native, NativeSession)):
        return None
    return DirectScorer(classifier, options, output)


def _part(part: Any) -> Any:
    return _bytes(part) if isinstance(part, str) else part


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _written(column: _Column) -> list[Any]:
    """Return the part of a line that a column is."""
    if isinstance(column, _Coded):
        table = tuple(_bytes(json_text(value)) for value in column.values)
        return [(column.codes.astype(np.int32).tobytes(), table)]
    if ((column >= _LEAST) | (column == 0)).all() and (column <= 1).all():
        return [("f", column.tobytes())]
    texts = tuple(str(value).encode() for value in column)
    return [(np.arange(len(column), dtype=np.int32).tobytes(), texts)]


def _counted(codes: npt.NDArray[Any], names: Sequence[str]) -> Counter[str]:
    counts = np.bincount(codes, minlength=len(names)).tolist()
    return Counter({name: count for name, count in zip(names, counts) if count})
