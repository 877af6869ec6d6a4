"""Blocks with their answers → Arrow, for Parquet output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from edge_lstm.scoring.columns import Plan
from edge_lstm.tables import parquet
from edge_lstm.tables.rows import values_reader
from edge_lstm.tables.sources import Source
from edge_lstm.tables.values import RowError, field_text, json_text

if TYPE_CHECKING:
    from edge_lstm.scoring.answers import Answer


def arrow_bytes(
    plan: Plan,
    records: Sequence[Any],
    table: Any,
    answers: list[Answer],
    is_written: Callable[[Answer], bool],
) -> tuple[bytes, int]:
    """One Arrow IPC stream of the rows to write: the kept columns, then the added ones; and how many they
    are. A row that has no form in Parquet (not UTF-8) becomes an error row in ``answers`` too.

    Columns of a Parquet input keep their types; those of other formats are strings, exactly what stood
    in the file (of JSONL, what is no string is its JSON text).
    """
    arrow = parquet.pyarrow()
    if table is None:
        table = _table(arrow, plan, records, answers)
    elif plan.kept is not None:
        table = table.select(list(plan.kept))
    # Repeated names were numbered.
    table = table.rename_columns(list(plan.columns))
    for name, values, kind in _added(arrow, plan, answers):
        table = table.append_column(arrow.field(name, kind), arrow.array(values, kind))
    chosen = [i for i, answer in enumerate(answers) if is_written(answer)]
    if len(chosen) < len(answers):
        table = table.take(arrow.array(chosen, arrow.int64()))
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue()), len(chosen)


def no_rows(plan: Plan, source: Source) -> bytes:
    """The stream of an input without rows: its columns and their types all the same."""
    table = parquet.schema(source.path).empty_table() if plan.layout.format == "parquet" else None
    return arrow_bytes(plan, (), table, [], lambda answer: True)[0]


def _table(arrow: Any, plan: Plan, records: Sequence[Any], answers: list[Answer]) -> Any:
    values_of = values_reader(plan.layout)
    rows = [values_of(record) for record in records]
    columns = []
    for i in plan.kept if plan.kept is not None else range(len(plan.layout.columns)):
        name, cells = plan.layout.columns[i], list[str | None]()
        for number, row in enumerate(rows):
            try:
                cells.append(_cell(row[i], name, "strict"))
            except RowError as error:
                cells.append(_cell(row[i], name, "replace"))
                if answers[number].error is None:
                    answers[number] = type(answers[number])(None, None, None, "error", str(error))
        columns.append(arrow.array(cells, arrow.string()))
    return arrow.table(columns, names=[str(i) for i in range(len(columns))])


def _cell(value: Any, name: str, errors: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        return field_text(value, name, errors)
    if isinstance(value, str):  # numbers of a JSON row too, in their own digits
        return value.encode("utf-8", "replace").decode()
    return json_text(value, name, errors)


def _added(arrow: Any, plan: Plan, answers: Sequence[Answer]) -> list[tuple[str, list[Any], Any]]:
    columns: list[tuple[list[Any], Any]] = [
        ([a.label for a in answers], arrow.string()),
        ([a.probability for a in answers], arrow.float32()),
    ]
    if plan.options.all_probabilities:
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
