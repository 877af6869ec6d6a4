"""A block → the bytes of its rows: what each worker does, in its own process or in the caller's."""

from __future__ import annotations

from typing import Any

from edge_lstm.classifier import Classifier
from edge_lstm.modelfile import parse_model
from edge_lstm.scoring.answers import Answer, Answerer, count
from edge_lstm.scoring.encoders import encoder, parquet_values
from edge_lstm.scoring.job import Job, Scored
from edge_lstm.scoring.table_encoder import arrow_bytes
from edge_lstm.tables import parquet
from edge_lstm.tables.blocks import Block
from edge_lstm.tables.compression import compress
from edge_lstm.tables.records import cut
from edge_lstm.tables.rows import read_texts, text_reader
from edge_lstm.tables.values import RowError


class Worker:
    """A loaded classifier and the plan."""

    def __init__(self, job: Job, classifier: Classifier | None = None) -> None:
        classifier = classifier or Classifier.from_model(
            parse_model(job.model, job.path), provider=job.provider, arena=job.arena
        )
        self._plan = plan = job.plan
        self._compression = job.compression
        self._answerer = Answerer(classifier, plan.choices, job.batch_size)
        if plan.layout.format != "parquet":
            closed = plan.format in ("csv", "tsv", "parquet") and plan.kept is None
            self._text_of = text_reader(
                plan.layout,
                forbidden=frozenset(plan.added),
                # Where columns are fixed, a row with another key would lose it.
                known=frozenset(plan.layout.columns) if closed else None,
            )
        self._encode = encoder(plan) if plan.format != "parquet" else None

    def score(self, block: Block) -> Scored:
        """Classifies the rows of a block and encodes them."""
        plan = self._plan
        content: Any = block.content
        table: Any = None
        records: Any
        if plan.layout.format == "parquet":
            table = parquet.from_bytes(content)
            read = parquet.texts(table.column(plan.layout.text))
            records = parquet_values(table, plan) if self._encode else ()
        else:
            records = cut(content, plan.layout) if isinstance(content, bytes) else content
            read = read_texts(records, plan.layout, self._text_of)
        answers = self._answerer.answers(read)
        if self._encode is None:
            data, written = arrow_bytes(plan, records, table, answers, self._answerer.is_written)
            return Scored(data, count(answers, written))
        rows = []
        for i, record in enumerate(records):
            if not self._answerer.is_written(answers[i]):
                continue
            try:
                rows.append(self._encode(record, answers[i]))
            except RowError as error:
                answers[i] = Answer(None, None, None, "error", str(error))
                if self._answerer.is_written(answers[i]):
                    rows.append(self._encode(record, answers[i]))
        data = compress(b"".join(rows), self._compression) if rows else b""
        return Scored(data, count(answers, len(rows)))
