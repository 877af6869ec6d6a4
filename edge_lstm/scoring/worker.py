"""The work on one chunk: its rows in, the bytes of the output's rows out."""

from __future__ import annotations

from edge_lstm.scoring.answers import Predictor
from edge_lstm.scoring.summary import Summary
from edge_lstm.tables.compression import compressed
from edge_lstm.tables.format import Keys, OutputColumns, Rows
from edge_lstm.tables.reader import FORMATS, Chunk
from edge_lstm.tables.values import utf8_error

# The bytes of a chunk's rows, compressed by themselves, and their summary.
Scored = tuple[bytes, Summary]


class Worker:
    """A predictor and the columns of the output. It can be pickled."""

    def __init__(self, predictor: Predictor, output: OutputColumns, compression: str) -> None:
        """Take over what a chunk needs.

        compression: of the output; see tables/compression.py.
        """
        self._predictor = predictor
        self._output = output
        self._compression = compression
        # If the columns are fixed, a row with another key would lose it.
        is_fixed = FORMATS[output.format].has_fixed_columns and output.kept is None
        allowed = frozenset(output.schema.columns) if is_fixed else None
        self._keys = Keys(frozenset(output.reserved), allowed)

    def score(self, chunk: Chunk) -> Scored:
        """Classify the rows of a chunk and return the bytes of the output's rows."""
        output = self._output
        schema = output.schema
        writing = FORMATS[output.format]
        rows = FORMATS[schema.format].parse(chunk.block, schema, self._keys)
        if writing.needs_utf8 and schema.format != writing.name and not schema.is_unicode:
            _refuse_bytes(rows, output)
        predictions = self._predictor.predict(rows.texts, rows.reasons)
        summary = predictions.summary(chunk.source, chunk.first)
        if not summary.rows:
            return b"", summary
        added = output.pick_added(predictions.columns)
        data = writing.write(rows, added, output)
        return compressed(data, self._compression), summary


def _refuse_bytes(rows: Rows, output: OutputColumns) -> None:
    """Make each row with another column that is not UTF-8 an error row."""
    for values, name in zip(output.pick(rows.columns), output.columns):
        reason = f"column {name!r} is not UTF-8; leave it out with --only-columns"
        for i, value in enumerate(values):
            if rows.texts[i] is not None and isinstance(value, str) and utf8_error(value):
                rows.texts[i] = None
                rows.reasons[i] = reason
