"""Parquet, read and written by Arrow.

pyarrow is imported when the first file is opened. Chunks are Arrow IPC streams, and so is an output
until the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from edge_lstm.errors import DataError, first_line, read_error
from edge_lstm.extras import needs
from edge_lstm.printable import Number, well_formed
from edge_lstm.tables.format import ANY_KEYS, Block, Column, Format, Keys, OutputColumns, Rows
from edge_lstm.tables.schema import (
    MAX_ROW,
    MAX_ROW_BYTES,
    WHOLE_ROW,
    Checksum,
    ReadOptions,
    Schema,
    Source,
)
from edge_lstm.tables.values import (
    NULL_TEXT,
    cell_text,
    refuse_bytes,
    replaced,
)

_TEXT_TYPES = ("string", "large_string", "string_view", "binary", "large_binary", "null")


def pyarrow() -> Any:
    """Return the pyarrow package.

    Raises MissingPackageError if it is not installed.
    """
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
        """Return the columns with their Arrow types.

        Raises DataError if the text column does not hold text.
        """
        with _open(source.path) as file:
            types = file.schema_arrow
            count = file.metadata.num_rows
        columns = tuple(types.names)
        text = options.find_text(columns, source)
        # By its index, because names may repeat.
        field = types.field(text)
        kind = field.type
        if pyarrow().types.is_dictionary(kind):
            kind = kind.value_type
        if text != WHOLE_ROW and str(kind) not in _TEXT_TYPES:
            raise DataError(
                f"{source.path}: column {field.name!r} holds {field.type}, not text; "
                "choose another --text-column"
            )
        return Schema(self.name, columns, text, rows=count, types=types.serialize().to_pybytes())

    def blocks(
        self,
        source: Source,
        stream: Any,
        schema: Schema,
        checksum: Checksum,
        limits: tuple[int, int],
    ) -> Iterator[Block]:
        """Yield the rows as tables of Arrow.

        The end of a block depends on the row groups and the limits alone.
        """
        done = 0
        with _open(source.path) as file:
            for group in range(file.metadata.num_row_groups):
                try:
                    # One row group at a time, so that no block has rows of two.
                    for table in _tables(file, group, limits):
                        data = _to_bytes(table)
                        checksum.update(data)
                        yield Block(data, {}, table.num_rows)
                        done += table.num_rows
                except (pyarrow().ArrowException, OSError) as error:
                    raise DataError(
                        f"{source.path} is damaged after row {done} ({first_line(error)}); "
                        "copy or write it again"
                    ) from None

    def parse(self, block: Block, schema: Schema, keys: Keys = ANY_KEYS) -> Rows:
        """Return the rows of an Arrow IPC stream."""
        table = pyarrow().ipc.open_stream(block.rows).read_all()
        every = schema.texts(lambda index: plain_values(table.column(index)))
        reasons = [*map(_reason, every)]
        texts = [text if reason is None else None for text, reason in zip(every, reasons)]
        refuse_bytes(texts, reasons)
        return Rows(texts, reasons, lambda: [*map(plain_values, table.columns)], table=table)

    def header(self, columns: OutputColumns) -> bytes:
        """Return a table without rows, with the types of the output."""
        return _to_bytes(_types(columns).empty_table())

    def write(self, rows: Rows, added: Sequence[Column], columns: OutputColumns) -> bytes:
        """Write rows as an Arrow IPC stream.

        The columns of Parquet keep their types. The columns of other formats are strings as they
        stood in the file; values of JSONL that are not strings are JSON.
        """
        arrow = pyarrow()
        types = _types(columns)
        if rows.table is None:
            arrays = _strings(rows, columns)
        else:
            own_types = arrow.schema([types.field(i) for i in range(len(columns.columns))])
            arrays = _typed(rows.table, columns, own_types).columns
        return _to_bytes(arrow.table([*arrays, *map(_array, added)], schema=types))

    def assemble(self, partial: Path, output: BinaryIO) -> None:
        """Make a Parquet file of the streams.

        A row group has whole streams, so the same streams give the same bytes.
        """
        arrow = pyarrow()
        tables: list[Any] = []
        with partial.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            # The first stream is the header, a table without rows.
            types = arrow.ipc.open_stream(file).read_all().schema
            with arrow.parquet.ParquetWriter(output, types, compression="zstd") as writer:
                while file.tell() < size:
                    tables.append(arrow.ipc.open_stream(file).read_all())
                    if file.tell() == size or sum(table.nbytes for table in tables) >= 2**24:
                        writer.write_table(arrow.concat_tables(tables).combine_chunks())
                        tables = []


def _tables(file: Any, group: int, limits: tuple[int, int]) -> Iterator[Any]:
    """Cut a row group into tables, at the limits.

    limits: rows and bytes.
    """
    max_count, max_size = limits
    arrow = pyarrow()
    batches: list[Any] = []
    count = size = 0
    # A few bytes of a file may stand for any number of long values, and how many bytes a row has is
    # known only when it is decoded.
    step = min(64, max_count)
    for batch in file.iter_batches(step, row_groups=[group], use_threads=False):
        batches.append(batch)
        count += batch.num_rows
        size += batch.nbytes
        if count + step > max_count or size >= max_size:
            yield arrow.Table.from_batches(batches).combine_chunks()
            batches = []
            count = size = 0
    if batches:
        yield arrow.Table.from_batches(batches).combine_chunks()


def _array(column: Column) -> Any:
    """Return an added column as an Arrow array."""
    import numpy as np

    arrow = pyarrow()
    if isinstance(column, bytes):
        return arrow.array(np.frombuffer(column, np.float32), from_pandas=True)
    codes = arrow.array(np.frombuffer(column.codes, np.int32))
    return arrow.array(column.values, arrow.string()).take(codes)


def _types(columns: OutputColumns) -> Any:
    """Return the Arrow schema of an output."""
    arrow = pyarrow()
    kinds = [arrow.string()] * len(columns.columns)
    if columns.schema.types is not None:
        own = arrow.ipc.read_schema(arrow.py_buffer(columns.schema.types))
        kinds = [*columns.pick(own.types)]
    for is_number in columns.added.values():
        kinds.append(arrow.float32() if is_number else arrow.string())
    names = [*columns.columns, *columns.added]
    return arrow.schema([*zip(names, kinds)])


def _typed(table: Any, columns: OutputColumns, types: Any) -> Any:
    """Return the kept columns of a table of the input, with the types of the first input."""
    if columns.kept is not None:
        table = table.select(list(columns.kept))
    try:
        return table.rename_columns(list(columns.columns)).cast(types)
    except (pyarrow().ArrowException, ValueError) as error:
        raise DataError(
            f"the columns of an input have other types than those of the first "
            f"({first_line(error)}); score it separately"
        ) from None


def _strings(rows: Rows, columns: OutputColumns) -> list[Any]:
    """Return the kept columns of an input that is not Parquet, as arrays of strings."""

    def cell(value: Any) -> str | None:
        if value is None:
            return None
        text = cell_text(value)
        return well_formed(text) if columns.schema.is_unicode else replaced(text)

    arrow = pyarrow()
    own = columns.pick(rows.columns)
    return [arrow.array(map(cell, values), arrow.string()) for values in own]


def plain_values(column: Any) -> list[Any]:
    """Return the values of an Arrow column as JSON has them: None, bool, number, str, list, dict.

    A float32 is a :class:`Number` in its shortest digits. Other values (dates of any year, to the
    nanosecond; decimals) become text as Arrow writes it, or within a list or struct as Python does.

    Raises DataError if Arrow cannot convert a value.
    """
    arrow = pyarrow()
    types = arrow.types
    kind = column.type
    if types.is_dictionary(kind):
        kind = kind.value_type
        column = column.cast(kind)
    try:
        # A UUID, for one.
        if isinstance(kind, arrow.BaseExtensionType):
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
    """Return an opened Parquet file.

    Raises DataError.
    """
    arrow = pyarrow()
    try:
        return arrow.parquet.ParquetFile(path, pre_buffer=False, memory_map=False)
    except (arrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise read_error(path, error) from None
        raise DataError(
            f"{path} is not a Parquet file or is damaged; copy or write it again"
        ) from None


def _to_bytes(table: Any) -> bytes:
    """Return a table or record batch as an Arrow IPC stream, with its schema."""
    arrow = pyarrow()
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write(table)
    return bytes(sink.getvalue())


def _reason(text: str | None) -> str | None:
    """Return why a row has no text, or None."""
    if text is None:
        return NULL_TEXT
    if len(text) > MAX_ROW_BYTES:
        return f"the text is longer than {MAX_ROW}"
    return None


PARQUET = ParquetFormat()
