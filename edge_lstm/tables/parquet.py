"""Parquet, read and written by Arrow. pyarrow is imported when the first file is opened, not
before.

Chunks travel as Arrow IPC streams; so does an output, until it is put together at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from edge_lstm.errors import DataError, first_line
from edge_lstm.extras import needs
from edge_lstm.tables.format import Added, Format, OutputColumns, Rows
from edge_lstm.tables.schema import MAX_ROW_BYTES, Digest, ReadOptions, Schema, Source
from edge_lstm.tables.values import Number, cell_text, refuse_bytes, replaced
from edge_lstm.text import well_formed

_GROUP_BYTES = 16 * 2**20  # of a row group that is written
_TEXT_TYPES = ("string", "large_string", "string_view", "binary", "large_binary", "null")


def pyarrow() -> Any:
    """Return the pyarrow package. Raises MissingPackageError where it is not installed."""
    with needs("parquet", "reading or writing Parquet"):
        import pyarrow as package
        import pyarrow.parquet
    return package


class ParquetFormat(Format):
    """Parquet files."""

    name = "parquet"
    suffixes = (".parquet", ".pq")
    is_stream = False
    is_assembled = needs_utf8 = True

    def schema(self, source: Source, stream: Any, options: ReadOptions) -> Schema:
        with _open(source.path) as file:
            types, count = file.schema_arrow, file.metadata.num_rows
        columns = tuple(types.names)
        text = options.find_text(columns, source)
        field = types.field(text)  # by its index: names may repeat
        kind = field.type.value_type if pyarrow().types.is_dictionary(field.type) else field.type
        if str(kind) not in _TEXT_TYPES:
            raise DataError(
                f"{source.path}: column {field.name!r} holds {field.type}, not text; "
                "choose another --text-column"
            )
        return Schema(self.name, columns, text, rows=count, types=types.serialize().to_pybytes())

    def chunks(
        self, source: Source, stream: Any, schema: Schema, digest: Digest, limits: tuple[int, int]
    ) -> Iterator[tuple[bytes | list[Any], int, bool]]:
        done = 0
        with _open(source.path) as file:
            for group in range(file.metadata.num_row_groups):
                # Of long texts fewer in a batch: as many as fill the limit on average.
                sizes = file.metadata.row_group(group)
                limit = max(
                    1, min(limits[0], sizes.num_rows * limits[1] // max(1, sizes.total_byte_size))
                )
                try:
                    # One row group at a time: batches then never reach over a border of two groups.
                    for batch in file.iter_batches(limit, row_groups=[group], use_threads=False):
                        data = _to_bytes(batch)
                        digest.update(data)
                        yield data, batch.num_rows, False
                        done += batch.num_rows
                except (pyarrow().ArrowException, OSError) as error:
                    raise DataError(
                        f"{source.path} is damaged after row {done} ({first_line(error)}); "
                        "copy or write it again"
                    ) from None

    def parse(self, rows: Any, schema: Schema, check_keys: object) -> Rows:
        table = pyarrow().ipc.open_stream(rows).read_all()
        texts = plain_values(table.column(schema.text))
        reasons = [*map(_reason, texts)]
        texts = [text if reason is None else None for text, reason in zip(texts, reasons)]
        refuse_bytes(texts, reasons)
        return Rows(texts, reasons, lambda: [*map(plain_values, table.columns)], table=table)

    def header(self, columns: OutputColumns) -> bytes:
        return _to_bytes(_types(columns).empty_table())

    def write(self, rows: Rows, added: Added, columns: OutputColumns) -> bytes:
        """Columns of a Parquet input keep their types; those of other formats are strings, exactly
        what stood in the file (of JSONL, what is no string is its JSON text)."""
        arrow, types = pyarrow(), _types(columns)
        count = len(columns.columns)
        schema = arrow.schema([types.field(i) for i in range(count)])
        table = (
            _strings(rows, columns, schema)
            if rows.table is None
            else _typed(rows.table, columns, schema)
        )
        arrays = [arrow.array(values, kind) for values, kind in zip(added, types.types[count:])]
        return _to_bytes(arrow.table([*table.columns, *arrays], schema=types))

    def assemble(self, partial: str, path: str) -> None:
        """A row group holds the streams that fill 16 MiB: the same streams give the same bytes."""
        arrow = pyarrow()
        tables: list[Any] = []
        with open(partial, "rb") as file:  # noqa: PTH123
            size = file.seek(0, 2)
            file.seek(0)
            types = arrow.ipc.open_stream(file).read_all().schema  # the header: no rows
            with arrow.parquet.ParquetWriter(path, types, compression="zstd") as writer:
                while file.tell() < size:
                    tables.append(arrow.ipc.open_stream(file).read_all())
                    if file.tell() == size or sum(table.nbytes for table in tables) >= _GROUP_BYTES:
                        writer.write_table(arrow.concat_tables(tables).combine_chunks())
                        tables = []


def _types(columns: OutputColumns) -> Any:
    """Return the Arrow schema of an output."""
    arrow = pyarrow()
    kinds = [arrow.string()] * len(columns.columns)
    if columns.schema.types is not None:
        kinds = list(
            columns.pick(arrow.ipc.read_schema(arrow.py_buffer(columns.schema.types)).types)
        )
    kinds += [
        arrow.float32() if is_number else arrow.string() for is_number in columns.added.values()
    ]
    return arrow.schema(list(zip([*columns.columns, *columns.added], kinds)))


def _typed(table: Any, columns: OutputColumns, types: Any) -> Any:
    """Return the kept columns of a table of the input, with the types of the first input."""
    table = table if columns.kept is None else table.select(list(columns.kept))
    try:
        return table.rename_columns(list(columns.columns)).cast(types)
    except (pyarrow().ArrowException, ValueError) as error:
        raise DataError(
            f"an input has columns of other types than the first ({first_line(error)}); "
            "score it in a run of its own"
        ) from None


def _strings(rows: Rows, columns: OutputColumns, types: Any) -> Any:
    def cell(value: Any) -> str | None:
        if value is None:
            return None
        text = cell_text(value)
        return well_formed(text) if columns.schema.is_unicode else replaced(text)

    arrow = pyarrow()
    cells = [[*map(cell, values)] for values in columns.pick(rows.columns)]
    return arrow.table([arrow.array(column, arrow.string()) for column in cells], schema=types)


def plain_values(column: Any) -> list[Any]:
    """Return a column as what JSON has: None, bool, numbers, str, list, dict. Raises DataError.

    float32 is a :class:`Number` in its own shortest digits. What JSON has no form for is text, as
    Arrow writes it (dates of any year, to the nanosecond; decimals), or within a list or struct as
    Python does.
    """
    arrow = pyarrow()
    kind, types = column.type, arrow.types
    if types.is_dictionary(kind):
        kind, column = kind.value_type, column.cast(kind.value_type)
    try:
        if isinstance(kind, arrow.BaseExtensionType):  # a UUID, for one
            return [value and str(value) for value in column.to_pylist()]
        if types.is_float16(kind) or types.is_float32(kind):
            values = zip(column.to_pylist(), column.to_numpy())
            return [
                Number(n) if value is not None and math.isfinite(value) else value
                for value, n in values
            ]
        is_plain = types.is_null(kind) or types.is_boolean(kind) or types.is_integer(kind)
        if is_plain or types.is_float64(kind) or types.is_nested(kind):
            return list(column.to_pylist())
        if "binary" not in str(kind):
            column = column.cast(arrow.string()).cast(arrow.binary())
        values = column.to_pylist()
    except (arrow.ArrowException, ValueError, OverflowError) as error:
        reason = first_line(error)
        raise DataError(
            f"values of type {kind} cannot be read ({reason}); leave their column out"
        ) from None
    return [None if value is None else value.decode("utf-8", "surrogateescape") for value in values]


def _open(path: str) -> Any:
    arrow = pyarrow()
    try:
        return arrow.parquet.ParquetFile(path, pre_buffer=False, memory_map=False)
    except (arrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise DataError(
                f"cannot read {path}: {error.strerror}; check its permissions"
            ) from None
        raise DataError(
            f"{path} is not a Parquet file or is damaged; copy or write it again"
        ) from None


def _to_bytes(table: Any) -> bytes:
    """Return a table or record batch as an Arrow IPC stream, schema included."""
    arrow = pyarrow()
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write(table)
    return bytes(sink.getvalue())


def _reason(text: str | None) -> str | None:
    if text is None:
        return "the text is null"
    return (
        f"the text is longer than {MAX_ROW_BYTES // 2**20} MiB"
        if len(text) > MAX_ROW_BYTES
        else None
    )


PARQUET = ParquetFormat()
