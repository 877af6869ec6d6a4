"""Parquet, read and written by Arrow. pyarrow is imported when the first file is opened, not before.

Chunks travel as Arrow IPC streams; so does an output, until it is put together at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from edge_lstm.errors import DataError
from edge_lstm.extras import needs
from edge_lstm.tables.format import Format, OutputColumns, Rows, Text, Writer, refuse_bytes
from edge_lstm.tables.schema import MAX_ROW_BYTES, ReadOptions, Schema, Source
from edge_lstm.tables.stream import Stream
from edge_lstm.tables.values import Number, cell_text, replaced, utf8_error

if TYPE_CHECKING:
    from hashlib import _Hash

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
    is_assembled = True
    default_output = "jsonl"

    def schema(self, source: Source, stream: Stream | None, options: ReadOptions) -> Schema:
        with _open(source.path) as file:
            types = file.schema_arrow
        columns = tuple(types.names)
        text = options.find_text(columns, source)
        field = types.field(text)  # by its index: names may repeat
        kind = field.type.value_type if pyarrow().types.is_dictionary(field.type) else field.type
        if str(kind) not in _TEXT_TYPES:
            raise DataError(
                f"{source.path}: column {field.name!r} holds {field.type}, not text; "
                "choose another --text-column"
            )
        return Schema(self.name, columns, text, types=types.serialize().to_pybytes())

    def rows(self, *_: Any) -> Iterator[tuple[Any, int]]:
        """Parquet is read in batches, see :meth:`chunks`."""
        raise NotImplementedError

    def chunks(
        self, source: Source, stream: Stream | None, schema: Schema, digest: _Hash, limits: tuple[int, int]
    ) -> Iterator[tuple[Sequence[Any], int, bool]]:
        done = 0
        with _open(source.path) as file:
            for group in range(file.metadata.num_row_groups):
                # Of long texts fewer in a batch: as many as fill the limit on average.
                sizes = file.metadata.row_group(group)
                limit = max(1, min(limits[0], sizes.num_rows * limits[1] // max(1, sizes.total_byte_size)))
                try:
                    # One row group at a time: batches then never reach over a border of two groups.
                    for batch in file.iter_batches(limit, row_groups=[group], use_threads=False):
                        data = _to_bytes(batch)
                        digest.update(data)
                        yield data, batch.num_rows, False
                        done += batch.num_rows
                except (pyarrow().ArrowException, OSError) as error:
                    reason = str(error).splitlines()[0][:200]
                    raise DataError(
                        f"{source.path} is damaged after row {done} ({reason}); copy or write it again"
                    ) from None

    def parse(self, rows: Any, schema: Schema, **_: Any) -> Rows:
        table = pyarrow().ipc.open_stream(rows).read_all()
        texts = [_text(value) for value in plain_values(table.column(schema.text))]
        return Rows(texts, lambda: list(zip(*map(plain_values, table.columns))), table=table)

    def fraction(self, source: Source, stream: Stream | None, row: int) -> float | None:
        with _open(source.path) as file:
            return row / max(1, int(file.metadata.num_rows))

    def check(self) -> None:
        pyarrow()

    def writer(self, columns: OutputColumns) -> Writer:
        return ParquetWriter(columns)

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


class ParquetWriter(Writer):
    """Columns of a Parquet input keep their types; those of other formats are strings, exactly what stood in
    the file (of JSONL, what is no string is its JSON text).
    """

    def __init__(self, columns: OutputColumns) -> None:
        self._columns = columns
        self._is_unicode = columns.schema.format == "jsonl"
        arrow = pyarrow()
        kinds = [arrow.string()] * len(columns.columns)
        if columns.schema.types is not None:
            types = arrow.ipc.read_schema(arrow.py_buffer(columns.schema.types))
            kinds = list(columns.pick(types.types))
        self._own = arrow.schema(list(zip(columns.columns, kinds)))
        self._added = [arrow.float32() if number else arrow.string() for number in columns.numbers]
        self._schema = arrow.schema([*self._own, *map(arrow.field, columns.added, self._added)])
        self.header = _to_bytes(self._schema.empty_table())

    def check(self, rows: Rows) -> None:
        """See Writer."""
        if rows.table is None and not self._is_unicode:
            refuse_bytes(rows, self._columns)

    def write(self, rows: Rows, added: Sequence[Sequence[Any] | None]) -> bytes:
        """See Writer."""
        arrow = pyarrow()
        table = self._strings(rows) if rows.table is None else self._typed(rows.table)
        chosen = [i for i, value in enumerate(added) if value is not None]
        if len(chosen) < len(added):
            table = table.take(arrow.array(chosen, arrow.int64()))
        behind = list(zip(*[value for value in added if value is not None])) or [()] * len(self._added)
        arrays = [arrow.array(column, kind) for column, kind in zip(behind, self._added)]
        return _to_bytes(arrow.table([*table.columns, *arrays], schema=self._schema))

    def _typed(self, table: Any) -> Any:
        """Return the kept columns of a table of the input, with the types of the first input."""
        columns = self._columns
        table = table if columns.kept is None else table.select(list(columns.kept))
        try:
            return table.rename_columns(list(columns.columns)).cast(self._own)
        except (pyarrow().ArrowException, ValueError) as error:
            reason = str(error).splitlines()[0][:200]
            raise DataError(
                f"an input has columns of other types than the first ({reason}); score it in a run of its own"
            ) from None

    def _strings(self, rows: Rows) -> Any:
        arrow = pyarrow()
        cells = [[self._cell(value) for value in self._columns.pick(row)] for row in rows.values]
        columns = zip(*cells) if cells else [()] * len(self._own)
        return arrow.table([arrow.array(column, arrow.string()) for column in columns], schema=self._own)

    def _cell(self, value: Any) -> str | None:
        if value is None:
            return None
        text = cell_text(value)
        if text.isascii():
            return str(text)
        return text.encode("utf-8", "replace").decode() if self._is_unicode else replaced(text)


def plain_values(column: Any) -> list[Any]:
    """Return a column (chunked, or an array) as what JSON has: None, bool, numbers, str, list, dict.

    float32 is a :class:`Number` in its own shortest digits. What JSON has no form for is text, as Arrow
    writes it: dates (of any year, to the nanosecond), decimals, UUIDs.
    """
    arrow = pyarrow()
    if isinstance(column, arrow.ChunkedArray):
        return [value for chunk in column.chunks for value in plain_values(chunk)]
    kind, types = column.type, arrow.types
    if isinstance(column, arrow.ExtensionArray):
        if kind.extension_name == "arrow.uuid":
            return [value and str(value) for value in column.to_pylist()]
        return plain_values(column.storage)
    if types.is_dictionary(kind):
        return plain_values(column.dictionary_decode())
    if types.is_null(kind) or types.is_boolean(kind) or types.is_integer(kind) or types.is_float64(kind):
        return list(column.to_pylist())
    if types.is_floating(kind):
        values = zip(column.to_pylist(), column.to_numpy(zero_copy_only=False))
        return [Number(n) if value is not None and math.isfinite(value) else value for value, n in values]
    if types.is_struct(kind):
        names = [kind.field(i).name for i in range(kind.num_fields)]
        fields = [plain_values(field) for field in column.flatten()]
        rows = zip(*fields) if fields else [()] * len(column)
        valid = column.is_valid().to_pylist()
        return [dict(zip(names, row)) if is_valid else None for row, is_valid in zip(rows, valid)]
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        items = iter(plain_values(column.flatten()))
        lengths = column.value_lengths().to_pylist()
        return [None if n is None else [next(items) for _ in range(n)] for n in lengths]
    if types.is_map(kind):
        entries = arrow.concat_arrays([column])  # offsets of a slice count from the beginning of the whole
        pairs = list(map(list, zip(plain_values(entries.keys), plain_values(entries.items))))
        begins, valid = entries.offsets.to_pylist(), entries.is_valid().to_pylist()
        return [pairs[i:j] if is_valid else None for i, j, is_valid in zip(begins, begins[1:], valid)]
    return _strings(column)


def _strings(column: Any) -> list[Any]:
    """Return values as Arrow writes them; in UTC where the system does not know a time zone."""
    arrow = pyarrow()
    kind, types = column.type, arrow.types
    if types.is_timestamp(kind) and kind.tz not in (None, "UTC"):
        try:
            return list(column.cast(arrow.string()).to_pylist())
        except arrow.ArrowException:
            column = column.cast(arrow.timestamp(kind.unit, "UTC"))
    is_bytes = types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
    try:
        column = column if is_bytes else column.cast(arrow.string()).cast(arrow.binary())
    except arrow.ArrowException:
        return [str(scalar) if scalar.is_valid else None for scalar in column]
    values = column.to_pylist()
    return [None if value is None else value.decode("utf-8", "surrogateescape") for value in values]


def _open(path: str) -> Any:
    arrow = pyarrow()
    try:
        return arrow.parquet.ParquetFile(path, pre_buffer=False, memory_map=False)
    except (arrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise DataError(
                f"cannot read {path}: {error.strerror}; check the file and its permissions"
            ) from None
        raise DataError(f"{path} is not a Parquet file or is damaged; copy or write it again") from None


def _to_bytes(table: Any) -> bytes:
    """Return a table or record batch as an Arrow IPC stream, schema included."""
    arrow = pyarrow()
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write(table)
    return bytes(sink.getvalue())


def _text(value: Any) -> Text:
    if value is None:
        return None, "the text is null"
    if utf8_error(value):
        return None, "the text is not UTF-8"
    if len(value) > MAX_ROW_BYTES:
        return None, f"the text is longer than {MAX_ROW_BYTES // 2**20} MiB"
    return value, None


PARQUET = ParquetFormat()
