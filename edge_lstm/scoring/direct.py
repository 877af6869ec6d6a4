"""Rows in → rows out by the native engine, without a Python object for a row.

The engine finds and classifies the texts of a chunk: of JSONL, CSV and lines, whose rows it writes
too, and of Arrow. The rows that it does not take go through worker.py, which gives the same bytes
for all rows. A test compares the two on generated files.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_lstm.scoring.answers import Answerer, Predictions, Predictor
from edge_lstm.scoring.summary import Summary
from edge_lstm.tables.csv import CSV, TSV
from edge_lstm.tables.format import Added, Coded, Column, Items, OutputColumns, Part, Rows
from edge_lstm.tables.lines import JSONL, TEXT
from edge_lstm.tables.parquet import PARQUET, pyarrow
from edge_lstm.tables.reader import FORMATS, Chunk
from edge_lstm.tables.schema import MAX_ROW_BYTES
from edge_lstm.tables.values import float32_texts, json_text

if TYPE_CHECKING:
    from edge_lstm_native._engine import Texts

# Formats of rows: read by the engine → written by it.
_FORMATS = {
    JSONL.name: (JSONL.name,),
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


class DirectScored(NamedTuple):
    """Rows that were scored.

    data: as they are written. summary: of these rows. end: the bytes of the chunk up to here.
    next: the bytes up to the row after the one that the engine does not take.
    """

    data: bytes
    summary: Summary
    end: int
    next: int


@dataclass(frozen=True)
class DirectScorer:
    """A scorer of rows that Python does not look into. It can be pickled."""

    answerer: Answerer
    output: OutputColumns

    def score(self, chunk: Chunk, start: int) -> DirectScored:
        """Classify rows of a chunk, from a byte on, up to one that the engine does not take.

        Raises ModelFileError if the model gives values that are not probabilities.
        """
        raise NotImplementedError

    def _answer(self, texts: Texts, chunk: Chunk) -> tuple[Sequence[Column], bytes | None, Summary]:
        """Classify texts of a chunk. If one is null, they are all of its texts.

        Returns the added columns that are written, a byte for each row (1 if it is written; None
        for all of them), and the summary.
        """
        answers = self.answerer.answer_texts(texts)
        chosen = self.answerer.chosen(answers)
        predictions = Predictions.of_texts(answers)
        summary = predictions.summary(chunk.source, chunk.first, chosen)
        return self.output.pick_added(predictions.columns), chosen, summary


class RowScorer(DirectScorer):
    """A scorer of rows that are bytes: JSONL, CSV and lines of text."""

    @property
    def wanted(self) -> tuple[int, ...]:
        """The indexes of the columns that the engine finds in a row."""
        schema = self.output.schema
        kept = self.output.kept or ()
        if schema.format != JSONL.name:
            return kept
        # The first key is the text's.
        return (schema.text, *(index for index in kept if index != schema.text))

    def score(self, chunk: Chunk, start: int) -> DirectScored:
        """Classify rows of a chunk, see DirectScorer."""
        texts = self._texts(chunk.rows, start)
        if not texts.count:
            return DirectScored(b"", Summary(), texts.end, texts.next)
        added, chosen, summary = self._answer(texts, chunk)
        parts: list[Any] = []
        for part in FORMATS[self.output.format].parts(added, self.output):
            parts += self._native(part, texts)
        try:
            data = texts.write(tuple(parts), chosen)
        except ValueError:
            # A probability is too small for the digits of the engine.
            data = texts.write(tuple(map(_spelled, parts)), chosen)
        return DirectScored(data, summary, texts.end, texts.next)

    def _texts(self, rows: bytes, start: int) -> Texts:
        """Find the texts, up to the first row that the engine does not take."""
        from edge_lstm_native import _engine

        schema = self.output.schema
        if schema.format == TEXT.name:
            return _engine.text_lines(rows, start)
        if schema.format == JSONL.name:
            wanted = [_bytes(json_text(schema.columns[index])) for index in self.wanted]
            refused = [_bytes(json_text(name)) for name in self.output.reserved]
            return _engine.json_lines(rows, start, tuple(wanted), tuple(refused))
        delimiter = schema.dialect.delimiter.encode()
        columns = len(schema.columns)
        return _engine.csv_rows(rows, start, delimiter, columns, schema.text, tuple(self.wanted))

    def _native(self, part: Part, texts: Texts) -> list[Any]:
        """Return a part of a line as Texts.write takes it."""
        if isinstance(part, str):
            return [_bytes(part)]
        if isinstance(part, Items):
            return [_ITEMS, _bytes(part.separator)]
        if not isinstance(part, Added):
            return [self.wanted.index(part)]
        if not isinstance(part.column, Coded):
            return [("f", part.column)]
        spelled = [_bytes(part.text_of(value)) for value in part.column.values]
        return [(part.column.codes, tuple(spelled))]


class TableScorer(DirectScorer):
    """A scorer of Arrow tables: Parquet."""

    def score(self, chunk: Chunk, start: int) -> DirectScored:
        """Classify the rows of a chunk, see DirectScorer: all of them, or none."""
        from edge_lstm_native import _engine

        table = pyarrow().ipc.open_stream(chunk.rows).read_all()
        column = table.column(self.output.schema.text)
        end = len(chunk.rows)
        refused = DirectScored(b"", Summary(), start, end)
        if str(column.type) not in _ARROW_TYPES or not hasattr(column, "__arrow_c_stream__"):
            return refused
        texts = _engine.arrow_stream(column.__arrow_c_stream__())
        if texts.unfit(MAX_ROW_BYTES) < texts.count:
            return refused
        added, chosen, summary = self._answer(texts, chunk)
        data = b""
        if summary.written:
            data = PARQUET.write(Rows([], [], list, table=table), added, self.output, chosen)
        return DirectScored(data, summary, end, end)


def direct_scorer(predictor: Predictor, output: OutputColumns) -> DirectScorer | None:
    """Return the scorer for a run; None if Python has to look into its rows."""
    answerer = predictor.answerers.get("")
    if answerer is None or not answerer.takes_texts:
        return None
    if output.schema.format == output.format == PARQUET.name:
        return TableScorer(answerer, output)
    if output.format not in _FORMATS.get(output.schema.format, ()):
        return None
    if max(len(output.kept or ()), len(output.added)) >= _MOST_KEYS:
        return None
    if output.format in (CSV.name, TSV.name) and len(output.columns) == 1 and not output.added:
        return None  # an empty cell that is alone has quotes
    return RowScorer(answerer, output)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _spelled(part: Any) -> Any:
    """Return a part of a line with its floats, if it has some, as a table of texts."""
    if not (isinstance(part, tuple) and part[0] == "f"):
        return part
    texts = float32_texts(memoryview(part[1]).cast("f"))
    codes = array("i", range(len(texts)))
    return codes.tobytes(), tuple(map(str.encode, texts))
