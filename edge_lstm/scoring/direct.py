"""Rows in → rows out by the native engine, without a Python object for a row.

The engine finds and classifies the texts of a chunk: of JSONL, CSV and lines, whose rows it writes
too, and of Arrow. The rows that it does not take go through worker.py, which gives the same bytes
for all rows. A test compares the two on generated files.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_lstm.answering import ABSTAINED
from edge_lstm.native import STATUSES, NativeSession
from edge_lstm.scoring.columns import ScoreOptions
from edge_lstm.scoring.summary import MAX_LISTED_ERRORS, RowProblem, Summary
from edge_lstm.tables.csv import CSV, TSV, cells
from edge_lstm.tables.format import OutputColumns, Rows
from edge_lstm.tables.lines import ATTRIBUTES, JSONL, TEXT, one_line
from edge_lstm.tables.parquet import PARQUET, pyarrow
from edge_lstm.tables.reader import Chunk
from edge_lstm.tables.schema import MAX_ROW_BYTES
from edge_lstm.tables.values import NULL_TEXT, float32_texts, json_text

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
# In the engine's order.
_STATUSES = (*STATUSES, "error", ABSTAINED)
_ERROR = _STATUSES.index("error")


class _Coded(NamedTuple):
    """A column of text: for each row the place of its value in ``values``.

    codes: int32 [n] as bytes.
    """

    codes: bytes
    values: Sequence[str | None]


# A column of an output: text, or probabilities as the bytes of float32 [n].
_Column = _Coded | bytes


class _Answers(NamedTuple):
    """The answers for n texts.

    columns: the added columns that are written.
    is_chosen: a byte for each row, 1 if it is written; None for all of them.
    """

    columns: Sequence[_Column]
    is_chosen: bytes | None
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

    def score(self, chunk: Chunk, start: int) -> DirectScored:
        """Classify rows of a chunk, from a byte on, up to one that the engine does not take.

        Raises ModelFileError if the model gives values that are not probabilities.
        """
        raise NotImplementedError

    def _answer(self, texts: Texts, chunk: Chunk) -> _Answers:
        """Classify texts of a chunk. If one is null, they are all of its texts."""
        session = self._classifier.native
        assert session is not None
        answers, statuses = session.classify_texts(texts)
        if self._options.windows:
            answers, statuses = self._with_windows(texts, answers, statuses)
        decided = session.decide(
            answers, statuses, self._options.top, self._options.threshold or 0.0
        )
        if decided is None:
            raise self._classifier.not_probabilities()
        labels, codes, ranks, by_label, by_status = decided
        is_chosen = self._chosen(labels, codes)
        names = self._classifier.labels
        statuses_of_rows = _counted(by_status, _STATUSES)
        summary = Summary(
            rows=texts.count,
            written=texts.count if is_chosen is None else sum(is_chosen),
            errors=statuses_of_rows["error"],
            below_threshold=statuses_of_rows[ABSTAINED],
            labels=_counted(by_label, names),
            statuses=statuses_of_rows,
        )
        if summary.errors:
            nulls = (i for i, code in enumerate(_int32(codes), chunk.first + 1) if code == _ERROR)
            summary.first_errors = [
                RowProblem(chunk.source, number, NULL_TEXT)
                for number in islice(nulls, MAX_LISTED_ERRORS)
            ]
        columns = self._columns(answers, labels, codes, ranks)
        return _Answers(self._output.pick_added(columns), is_chosen, summary)

    def _with_windows(self, texts: Texts, answers: bytes, statuses: bytes) -> tuple[bytes, bytes]:
        """Classify the texts in windows that are longer than the model reads."""
        truncated = STATUSES.index("truncated")
        long = [i for i, status in enumerate(statuses) if status == truncated]
        if not long:
            return answers, statuses
        import numpy as np

        rows = np.frombuffer(answers, np.float32).reshape(texts.count, -1).copy()
        rows[long] = self._classifier.classify_in_windows([*map(texts.text, long)])
        return rows.tobytes(), statuses.replace(bytes([truncated]), b"\0")

    def _chosen(self, labels: bytes, statuses: bytes) -> bytes | None:
        """Return a byte for each row, 1 if it is written; None for all of them."""
        if self._options.only_abstained:
            abstained = _STATUSES.index(ABSTAINED)
            return bytes(status == abstained for status in _int32(statuses))
        if not self._options.only_label:
            return None
        wanted = {self._classifier.labels.index(label) for label in self._options.only_label}
        return bytes(map(wanted.__contains__, _int32(labels)))

    def _columns(
        self,
        answers: bytes,
        labels: bytes,
        statuses: bytes,
        ranks: Sequence[tuple[bytes, bytes]],
    ) -> list[_Column]:
        """Return the added columns, in the order of columns.added_columns."""
        options = self._options
        names = (*self._classifier.labels, None)
        (best, probability), *others = ranks
        columns: list[_Column] = [_Coded(labels, names)]
        if options.only_abstained:
            columns.append(_Coded(best, names))
        columns.append(probability)
        for label, value in others:
            columns += [_Coded(label, names), value]
        if options.all_probabilities:
            every = memoryview(answers).cast("f")
            columns += [every[i :: len(names) - 1].tobytes() for i in range(len(names) - 1)]
        columns.append(_Coded(statuses, _STATUSES))
        reasons = [NULL_TEXT if status == "error" else None for status in _STATUSES]
        columns.append(_Coded(statuses, reasons))
        return columns


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

    def score(self, chunk: Chunk, start: int) -> DirectScored:
        """Classify rows of a chunk, see DirectScorer."""
        texts = self._texts(chunk.rows, start)
        if not texts.count:
            return DirectScored(b"", Summary(), texts.end, texts.next)
        answers = self._answer(texts, chunk)
        if self._output.format == JSONL.name:
            parts = self._objects(answers.columns)
        elif self._output.format == ATTRIBUTES.name:
            parts = self._attributes(answers.columns, texts.lengths())
        else:
            parts = self._cells(answers.columns)
        try:
            data = texts.write(tuple(map(_part, parts)), answers.is_chosen)
        except ValueError:
            # A probability is too small for the digits of the engine.
            data = texts.write(tuple(map(_spelled, map(_part, parts))), answers.is_chosen)
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

    def score(self, chunk: Chunk, start: int) -> DirectScored:
        """Classify the rows of a chunk, see DirectScorer: all of them, or none."""
        import numpy as np
        from edge_lstm_native import _engine

        arrow = pyarrow()
        table = arrow.ipc.open_stream(chunk.rows).read_all()
        column = table.column(self._output.schema.text)
        end = len(chunk.rows)
        refused = DirectScored(b"", Summary(), start, end)
        if str(column.type) not in _ARROW_TYPES or not hasattr(column, "__arrow_c_stream__"):
            return refused
        texts = _engine.arrow_stream(column.__arrow_c_stream__())
        if texts.unfit(MAX_ROW_BYTES) < texts.count:
            return refused
        answers = self._answer(texts, chunk)
        added = [_array(column) for column in answers.columns]
        if answers.is_chosen is not None:
            chosen = arrow.array(np.frombuffer(answers.is_chosen, np.bool_))
            table = table.filter(chosen)
            added = [values.filter(chosen) for values in added]
        data = b""
        if table.num_rows:
            data = PARQUET.write(Rows([], [], list, table=table), added, self._output)
        return DirectScored(data, answers.summary, end, end)


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


def _spelled(part: Any) -> Any:
    """Return a part of a line with its floats, if it has some, as a table of texts."""
    if not (isinstance(part, tuple) and part[0] == "f"):
        return part
    texts = float32_texts(memoryview(part[1]).cast("f"))
    codes = array("i", range(len(texts)))
    return codes.tobytes(), tuple(map(str.encode, texts))


def _between(separator: str, parts: Sequence[Any]) -> list[Any]:
    """Return the parts with a separator between two of them."""
    return [each for part in parts for each in (separator, part)][1:]


def _written(column: _Column, text_of: Callable[[str | None], str]) -> Any:
    """Return the part of a line that a column is. text_of: writes a text."""
    if isinstance(column, _Coded):
        return column.codes, tuple(_bytes(text_of(value)) for value in column.values)
    return "f", column


def _array(column: _Column) -> Any:
    """Return a column as an Arrow array. The probability of a null is null."""
    import numpy as np

    arrow = pyarrow()
    if isinstance(column, bytes):
        return arrow.array(np.frombuffer(column, np.float32), from_pandas=True)
    codes = arrow.array(np.frombuffer(column.codes, np.int32))
    return arrow.array(column.values, arrow.string()).take(codes)


def _int32(column: bytes) -> Sequence[int]:
    return memoryview(column).cast("i")


def _counted(counts: Sequence[int], names: Sequence[str]) -> Counter[str]:
    return Counter({name: count for name, count in zip(names, counts) if count})
