"""A chunk → the bytes of its rows: what each worker does, in a process of its own or in the caller's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_lstm.scoring.columns import Plan
from edge_lstm.tables import Chunk
from edge_lstm.tables.compression import Compression, compress
from edge_lstm.tables.format import refuse_bytes
from edge_lstm.tables.formats import FORMATS
from edge_lstm.tables.values import RowError

if TYPE_CHECKING:
    from edge_lstm.classifier import Classifier
    from edge_lstm.scoring.answers import Counts


@dataclass(frozen=True)
class Scored:
    """A chunk, done. data: the bytes to write, compressed by themselves where the output is compressed."""

    data: bytes
    counts: Counts


class Worker:
    """A classifier and the plan. It can be pickled."""

    def __init__(
        self, classifier: Classifier, plan: Plan, compression: Compression | None, batch_size: int | None
    ) -> None:
        from edge_lstm.scoring.answers import Answerer

        self._arguments = classifier, plan, compression, batch_size
        self._plan, self._compression = plan, compression
        self._answerer = Answerer(classifier, plan.options, batch_size)
        self._reading, self._writing = FORMATS[plan.output.schema.format], FORMATS[plan.format]
        # Where columns are fixed, a row with another key would lose it.
        is_fixed = self._writing.has_fixed_columns and plan.output.kept is None
        self._forbidden = frozenset(plan.output.added)
        self._allowed = frozenset(plan.output.schema.columns) if is_fixed else None
        self._writer = self._writing.writer(plan.output)

    def __reduce__(self) -> tuple[Any, ...]:
        return Worker, self._arguments

    def score(self, chunk: Chunk) -> Scored:
        """Classify the rows of a chunk and encode them."""
        answerer, reading, writing, output = self._answerer, self._reading, self._writing, self._plan.output
        rows = reading.parse(chunk.rows, output.schema, self._check_keys)
        if writing.needs_utf8 and writing is not reading and not reading.is_unicode:
            refuse_bytes(rows, output)
        answers = answerer.answers(rows.texts)
        added = list(map(answerer.added, answers))
        written = len(added) - added.count(None)
        data = self._writer.write(rows, added) if written else b""
        return Scored(compress(data, self._compression) if data else b"", answerer.count(answers, written))

    def _check_keys(self, row: dict[str, Any]) -> None:
        for key in row:
            is_forbidden = key in self._forbidden
            if is_forbidden or (self._allowed is not None and key not in self._allowed):
                hint = "choose another prefix" if is_forbidden else "write JSONL"
                raise RowError(f"the row has a key {key!r}, which the first rows do not have; {hint}")
