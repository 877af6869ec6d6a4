"""The work on one chunk: its rows in, the bytes of the output's rows out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import count

from edge_lstm.scoring.answers import Predictor
from edge_lstm.scoring.direct import DirectScorer, direct_scorer
from edge_lstm.scoring.summary import Summary
from edge_lstm.tables.compression import compressed
from edge_lstm.tables.format import OutputColumns, Rows
from edge_lstm.tables.reader import FORMATS, Chunk
from edge_lstm.tables.values import RowError, utf8_error

# The bytes of a chunk's rows, compressed by themselves, and their summary.
Scored = tuple[bytes, Summary]
# Rows of a chunk that take Python, each alone. If there are more, it reads the rest of the chunk.
_MOST_LEFT_OUT = 8


class Worker:
    """A predictor and the columns of the output. It can be pickled."""

    def __init__(self, predictor: Predictor, output: OutputColumns, compression: str) -> None:
        """Take over what a chunk needs.

        compression: of the output; see tables/compression.py.
        """
        self._predictor = predictor
        self._output = output
        self._compression = compression
        self._forbidden = frozenset(output.reserved)
        # If the columns are fixed, a row with another key would lose it.
        is_fixed = FORMATS[output.format].has_fixed_columns and output.kept is None
        self._allowed = frozenset(output.schema.columns) if is_fixed else None
        self._direct = direct_scorer(predictor, output)

    def score(self, chunk: Chunk) -> Scored:
        """Classify the rows of a chunk and return the bytes of the output's rows."""
        if self._direct is not None and isinstance(chunk.rows, bytes):
            data, summary = self._score_directly(self._direct, chunk)
        else:
            data, summary = self._score(chunk)
        return compressed(data, self._compression) if data else b"", summary

    def _score_directly(self, direct: DirectScorer, chunk: Chunk) -> Scored:
        """Score a chunk by the engine, and by Python the rows that the engine does not take."""
        pieces: list[bytes] = []
        summary = Summary()
        end = len(chunk.rows)
        start = 0
        for left_out in count():
            scored = direct.score(chunk, start)
            pieces.append(scored.data)
            summary.add(scored.summary)
            if scored.end == end:
                break
            # One row, or all that follow.
            start = scored.next if left_out < _MOST_LEFT_OUT else end
            number = 1 if start < end else chunk.count - summary.rows
            first = chunk.first + summary.rows
            rows = chunk.rows[scored.end : start]
            data, part = self._score(replace(chunk, first=first, count=number, rows=rows))
            pieces.append(data)
            summary.add(part)
            if start == end:
                break
        return b"".join(pieces), summary

    def _score(self, chunk: Chunk) -> Scored:
        """Score a chunk, row by row."""
        output = self._output
        schema = output.schema
        writing = FORMATS[output.format]
        rows = FORMATS[schema.format].parse(chunk.rows, schema, self._check_keys)
        if writing.needs_utf8 and schema.format != writing.name and not schema.is_unicode:
            _refuse_bytes(rows, output)
        predictions = self._predictor.predict(rows.texts, rows.reasons)
        chosen = self._predictor.chosen(predictions)
        summary = predictions.summary(chunk.source, chunk.first, chosen)
        if not summary.written:
            return b"", summary
        added = output.pick_added(predictions.columns)
        return writing.write(rows, added, output, chosen), summary

    def _check_keys(self, keys: Iterable[str]) -> None:
        """Raise RowError if a row has a key that the output has no place for."""
        for key in keys:
            if key in self._forbidden:
                hint = "rename it"
            elif self._allowed is None or key in self._allowed:
                continue
            else:
                hint = "write JSONL"
            raise RowError(f"the row has a key {key!r}, which the first rows do not have; {hint}")


def _refuse_bytes(rows: Rows, output: OutputColumns) -> None:
    """Make each row with another column that is not UTF-8 an error row."""
    for values, name in zip(output.pick(rows.columns), output.columns):
        reason = f"column {name!r} is not UTF-8; leave it out with --keep"
        for i, value in enumerate(values):
            if rows.texts[i] is not None and isinstance(value, str) and utf8_error(value):
                rows.texts[i] = None
                rows.reasons[i] = reason
