"""Blocks with their answers → Arrow, for Parquet output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edge_lstm.files import parquet
from edge_lstm.files.rows import Number, values_reader
from edge_lstm.scoring.encoders import as_text, json_text
from edge_lstm.scoring.plan import Plan

if TYPE_CHECKING:
    from edge_lstm.scoring.answers import Answer


def arrow_bytes(
    plan: Plan, records: Sequence[Any], table: Any, answers: Sequence[Answer], chosen: Sequence[int]
) -> bytes:
    """One Arrow IPC stream of the rows ``chosen``: the kept columns, then the added ones.

    Columns of a Parquet input keep their types; those of other formats are strings, exactly what stood
    in the file (of JSONL, what is no string is its JSON text).
    """
    arrow = parquet.pyarrow()
    if table is None:
        table = _table(arrow, plan, records)
    if plan.kept is not None:
        table = table.select(list(plan.kept))
    # Repeated names were numbered.
    table = table.rename_columns(list(plan.columns))
    for name, values, kind in _added(arrow, plan, answers):
        table = table.append_column(arrow.field(name, kind), arrow.array(values, kind))
    if len(chosen) < len(answers):
        table = table.take(arrow.array(chosen, arrow.int64()))
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _table(arrow: Any, plan: Plan, records: Sequence[Any]) -> Any:
    values_of = values_reader(plan.layout)
    rows = [values_of(record) for record in records]
    columns = [
        arrow.array([_cell(row[i], name) for row in rows], arrow.string())
        for i, name in enumerate(plan.layout.columns)
    ]
    return arrow.table(columns, names=[str(i) for i in range(len(columns))])


def _cell(value: Any, name: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        return str(as_text(value, name, "replace"))
    if isinstance(value, Number):
        return str.__str__(value)
    text = value if isinstance(value, str) else json_text(value)
    return text.encode("utf-8", "replace").decode()


def _added(arrow: Any, plan: Plan, answers: Sequence[Answer]) -> list[tuple[str, list[Any], Any]]:
    columns: list[tuple[list[Any], Any]] = [
        ([a.label for a in answers], arrow.string()),
        ([a.probability for a in answers], arrow.float32()),
    ]
    if plan.choices.all_probabilities:
        columns += [
            ([None if a.probabilities is None else a.probabilities[i] for a in answers], arrow.float32())
            for i in range(len(plan.labels))
        ]
    columns += [
        ([a.status for a in answers], arrow.string()),
        ([a.error for a in answers], arrow.string()),
    ]
    return [(name, values, kind) for name, (values, kind) in zip(plan.added, columns)]


def assemble(partial: str, path: str) -> None:
    """Arrow IPC streams, one after the other in ``partial`` → one Parquet file.

    A row group holds the streams that fill 16 MiB: the same streams give the same bytes.
    """
    arrow = parquet.pyarrow()
    writer = None
    kept: list[Any] = []
    held = 0
    with open(partial, "rb") as file:  # noqa: PTH123
        size = file.seek(0, 2)
        file.seek(0)
        while file.tell() < size:
            table = arrow.ipc.open_stream(file).read_all()
            writer = writer or arrow.parquet.ParquetWriter(path, table.schema, compression="zstd")
            kept.append(table)
            held += table.nbytes
            if held >= 16 * 2**20:
                writer.write_table(arrow.concat_tables(kept).combine_chunks())
                kept, held = [], 0
        if kept and writer:
            writer.write_table(arrow.concat_tables(kept).combine_chunks())
        if writer:
            writer.close()
