"""Rows in → rows out by the native engine, without a Python object for a row.

The engine finds and classifies the texts of a chunk: of JSONL, CSV and lines, whose rows it writes
too, and of Arrow. The rows that it does not take go through worker.py, which gives the same bytes
for all rows. A test compares the two on generated files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_lstm.answering import ABSTAINED, is_abstained
from edge_lstm.native import STATUSES, NativeSession
from edge_lstm.scoring.columns import ScoreOptions
from edge_lstm.scoring.summary import Summary
from edge_lstm.tables.csv import CSV, TSV, cells
from edge_lstm.tables.format import OutputColumns, Rows
from edge_lstm.tables.lines import ATTRIBUTES, JSONL, TEXT, one_line
from edge_lstm.tables.parquet import PARQUET, pyarrow
from edge_lstm.tables.schema import MAX_ROW_BYTES
from edge_lstm.tables.values import json_text

if TYPE_CHECKING:
    from edge_lstm_native._engine import Texts

    from edge_lstm.classifier import Classifier

# Formats of rows: read by the engine → written by it.
_FORMATS = {
    JSONL.name: (JSONL.name, ATTRIBUTES.name),
    CSV.name: (CSV.name,),
    TSV.name: (TSV.name,),
    TEXT.name: (TEXT.name,),
}
# The types of Arrow whose texts the engine reads in place.
_ARROW_TYPES = ("string", "large_string", "string_view")
# The most keys that the engine takes, and added columns that it looks for among a row's keys.
_MOST_KEYS = 1024
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


class _Answers(NamedTuple):
    """The answers for n texts.

    columns: the added columns that are written.
    is_chosen: bool [n], the rows that are written; None for all of them.
    """

    columns: Sequence[_Column]
    is_chosen: npt.NDArray[np.bool_] | None
    summary: Summary


class DirectScored(NamedTuple):
    """Rows that were scored.

    data: as they are written. summary: of these rows. end: the bytes of the chunk up to here.
    next: the bytes up to the row after the one that the engine does not take.
    """

    data: bytes
    summary: Summary
    end: int
    next: int


class DirectScorer:
    """A classifier of the native engine, with the options of a run. It can be pickled."""

    def __init__(
        self, classifier: Classifier, options: ScoreOptions, output: OutputColumns
    ) -> None:
        """Take over what :func:`direct_scorer` found fit."""
        self._classifier = classifier
        self._options = options
        self._output = output

    def score(self, rows: bytes, start: int) -> DirectScored:
        """Classify rows of a chunk, from a byte on, up to one that the engine does not take.

        Raises ModelFileError if the model gives values that are not probabilities.
        """
        raise NotImplementedError

    def _answer(self, texts: Texts) -> _Answers:
        """Classify texts."""
        session = self._classifier.native
        assert session is not None
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
        written = texts.count if is_chosen is None else int(is_chosen.sum())
        return _Answers(
            self._output.pick_added(columns), is_chosen, self._summary(labels, statuses, written)
        )

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


class RowScorer(DirectScorer):
    """A scorer of rows that are bytes: JSONL, CSV and lines of text."""

    def __init__(
        self, classifier: Classifier, options: ScoreOptions, output: OutputColumns
    ) -> None:
        """Take over what :func:`direct_scorer` found fit."""
        super().__init__(classifier, options, output)
        schema = output.schema
        self._wanted = output.kept or ()
        if schema.format == JSONL.name:
            # The first key is the text's.
            others = (index for index in self._wanted if index != schema.text)
            self._wanted = (schema.text, *others)
        self._places = [self._wanted.index(index) for index in output.kept or ()]

    def score(self, rows: bytes, start: int) -> DirectScored:
        """Classify rows of a chunk, see DirectScorer."""
        texts = self._texts(rows, start)
        if not texts.count:
            return DirectScored(b"", Summary(), texts.end, texts.next)
        answers = self._answer(texts)
        if self._output.format == JSONL.name:
            parts = self._objects(answers.columns)
        elif self._output.format == ATTRIBUTES.name:
            parts = self._attributes(answers.columns, texts.lengths())
        else:
            parts = self._cells(answers.columns)
        chosen = None if answers.is_chosen is None else answers.is_chosen.tobytes()
        data = texts.write(tuple(map(_part, parts)), chosen)
        return DirectScored(data, answers.summary, texts.end, texts.next)

    def _texts(self, rows: bytes, start: int) -> Texts:
        """Find the texts, up to the first row that the engine does not take."""
        from edge_lstm_native import _engine

        schema = self._output.schema
        if schema.format == TEXT.name:
            return _engine.text_lines(rows, start)
        if schema.format == JSONL.name:
            wanted = [_bytes(json_text(schema.columns[index])) for index in self._wanted]
            refused = [_bytes(json_text(name)) for name in self._output.added]
            return _engine.json_lines(rows, start, tuple(wanted), tuple(refused))
        delimiter = schema.dialect.delimiter.encode()
        columns = len(schema.columns)
        return _engine.csv_rows(rows, start, delimiter, columns, schema.text, tuple(self._wanted))

    def _objects(self, columns: Sequence[_Column]) -> list[Any]:
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
        for name, column in zip(output.added, columns):
            parts += [f"{before}{json_text(name)}: ", _written(column, json_text)]
            before = ", "
        return [*parts, "}\n"]

    def _attributes(self, columns: Sequence[_Column], lengths: bytes) -> list[Any]:
        """Return the parts of a line, as AttributesFormat.write has them."""
        parts: list[Any] = ['{"id": ', *self._places, ', "attributes": {']
        before = ""
        for name, column in zip(self._output.added, columns):
            parts += [f"{before}{json_text(name)}: [[0, ", ("q", lengths), ", "]
            parts += [_written(column, json_text), "]]"]
            before = ", "
        return [*parts, "}}\n"]

    def _cells(self, columns: Sequence[_Column]) -> list[Any]:
        """Return the parts of a line, as CsvFormat.write and TextFormat.write have them."""
        output = self._output
        dialect = output.schema.dialect
        if output.format == TEXT.name:
            parts: list[Any] = [_written(column, one_line) for column in columns]
            return [*_between("\t", parts), "\n"]

        def cell(value: str | None) -> str:
            (text,) = cells([value], dialect.delimiter)
            # Most readers skip an empty line.
            return text or ('""' if is_alone else "")

        parts = [*self._places] if output.kept is not None else [_ITEMS]
        is_alone = not parts and len(columns) == 1
        parts += [_written(column, cell) for column in columns]
        return [*_between(dialect.delimiter, parts), dialect.newline]


class TableScorer(DirectScorer):
    """A scorer of Arrow tables: Parquet."""

    def score(self, rows: bytes, start: int) -> DirectScored:
        """Classify the rows of a chunk, see DirectScorer: all of them, or none."""
        from edge_lstm_native import _engine

        arrow = pyarrow()
        table = arrow.ipc.open_stream(rows).read_all()
        column = table.column(self._output.schema.text)
        refused = DirectScored(b"", Summary(), start, len(rows))
        if str(column.type) not in _ARROW_TYPES or not hasattr(column, "__arrow_c_stream__"):
            return refused
        texts = _engine.arrow_stream(column.__arrow_c_stream__())
        if texts.unfit(MAX_ROW_BYTES) < texts.count:
            return refused
        answers = self._answer(texts)
        added = [_array(column) for column in answers.columns]
        if answers.is_chosen is not None:
            table = table.filter(answers.is_chosen)
            added = [values.filter(arrow.array(answers.is_chosen)) for values in added]
        data = b""
        if table.num_rows:
            data = PARQUET.write(Rows([], [], list, table=table), added, self._output)
        return DirectScored(data, answers.summary, len(rows), len(rows))


def direct_scorer(
    classifier: Classifier, options: ScoreOptions, output: OutputColumns
) -> DirectScorer | None:
    """Return the scorer for a run; None if Python has to look into its rows."""
    model = classifier.model
    is_plain = not model.is_score and model.thresholds is None and options.unfamiliar is None
    if not (is_plain and isinstance(classifier.native, NativeSession)):
        return None
    if output.schema.format == output.format == PARQUET.name:
        return TableScorer(classifier, options, output)
    if output.format not in _FORMATS.get(output.schema.format, ()):
        return None
    if max(len(output.kept or ()), len(output.added)) >= _MOST_KEYS:
        return None
    if output.format in (CSV.name, TSV.name) and len(output.columns) == 1 and not output.added:
        return None  # an empty cell that is alone has quotes
    return RowScorer(classifier, options, output)


def _part(part: Any) -> Any:
    return _bytes(part) if isinstance(part, str) else part


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _between(separator: str, parts: Sequence[Any]) -> list[Any]:
    """Return the parts with a separator between two of them."""
    return [each for part in parts for each in (separator, part)][1:]


def _written(column: _Column, text_of: Callable[[str | None], str]) -> Any:
    """Return the part of a line that a column is. text_of: writes a text."""
    if isinstance(column, _Coded):
        table = tuple(_bytes(text_of(value)) for value in column.values)
        return (column.codes.astype(np.int32).tobytes(), table)
    if ((column >= _LEAST) | (column == 0)).all() and (column <= 1).all():
        return ("f", column.tobytes())
    texts = tuple(str(value).encode() for value in column)
    return (np.arange(len(column), dtype=np.int32).tobytes(), texts)


def _array(column: _Column) -> Any:
    """Return a column as an Arrow array."""
    arrow = pyarrow()
    if isinstance(column, _Coded):
        return arrow.array(column.values, arrow.string()).take(arrow.array(column.codes))
    return arrow.array(np.ascontiguousarray(column))


def _counted(codes: npt.NDArray[Any], names: Sequence[str]) -> Counter[str]:
    counts = np.bincount(codes, minlength=len(names)).tolist()
    return Counter({name: count for name, count in zip(names, counts) if count})
