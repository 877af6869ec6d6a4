"""A chunk → the bytes of its rows: what each worker does, in a process of its own or in the caller's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_lstm.scoring.columns import Plan
from edge_lstm.tables import Chunk
from edge_lstm.tables.compression import Compression, compress
from edge_lstm.tables.formats import FORMATS

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
        self._compression = compression
        self._answerer = Answerer(classifier, plan.options, batch_size)
        self._schema = plan.schema
        self._format = FORMATS[plan.schema.format]
        self._forbidden = frozenset(plan.added)
        writing = FORMATS[plan.format]
        # Where columns are fixed, a row with another key would lose it.
        is_fixed = writing.has_fixed_columns and plan.output.kept is None
        self._allowed = frozenset(plan.schema.columns) if is_fixed else None
        self._writer = writing.writer(plan.output)

    def __reduce__(self) -> tuple[Any, ...]:
        return Worker, self._arguments

    def score(self, chunk: Chunk) -> Scored:
        """Classify the rows of a chunk and encode them."""
        answerer = self._answerer
        rows = self._format.parse(chunk.rows, self._schema, forbidden=self._forbidden, allowed=self._allowed)
        self._writer.check(rows)
        answers = answerer.answers(rows.texts)
        added = list(map(answerer.added, answers))
        written = len(added) - added.count(None)
        data = self._writer.write(rows, added) if written else b""
        return Scored(compress(data, self._compression) if data else b"", answerer.count(answers, written))
