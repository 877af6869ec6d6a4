"""Parquet, read and written by Arrow. pyarrow is imported when the first file is opened, not before.

Blocks travel as Arrow IPC streams; so does an output, until it is put together at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

from edge_lstm.errors import DataError
from edge_lstm.extras import needs
from edge_lstm.tables.arrow_values import plain_values, strings
from edge_lstm.tables.blocks import Block, Content, Position
from edge_lstm.tables.format import Format, OutputColumns, Refuse, Writer
from edge_lstm.tables.records import Rows
from edge_lstm.tables.schema import ReadOptions, Schema, Source
from edge_lstm.tables.stream import MAX_ROW_BYTES, Stream
from edge_lstm.tables.values import RowError, field_text, json_text

_GROUP_BYTES = 16 * 2**20  # of a row group that is written
_TEXT_TYPES = ("string", "large_string", "string_view", "binary", "large_binary", "null")


def pyarrow() -> Any:
    """The pyarrow package; MissingPackageError where it is not installed."""
    with needs("parquet", "reading or writing Parquet"):
        import pyarrow as package
        import pyarrow.parquet
    return package


class ParquetFormat(Format):
    """Parquet files."""

    name = "parquet"
    suffixes = (".parquet", ".pq")
    is_stream = False
    keeps_bytes = False
    is_assembled = True
    default_output = "jsonl"

    def schema(self, source: Source, stream: Stream | None, options: ReadOptions) -> Schema:
        with _open(source.path) as file:
            found = file.schema_arrow
        columns = tuple(found.names)
        text = options.find_text(columns, source)
        field = found.field(text)  # by its index: names may repeat
        kind = field.type.value_type if pyarrow().types.is_dictionary(field.type) else field.type
        if str(kind) not in _TEXT_TYPES:
            raise DataError(
                f"{source.path}: column {field.name!r} holds {field.type}, not text; "
                "choose another --text-column"
            )
        return Schema(self.name, columns, text, header=found.serialize().to_pybytes())

    def size(self, source: Source) -> int:
        with _open(source.path) as file:
            return int(file.metadata.num_rows)

    def blocks(
        self, source: Source, stream: Stream | None, schema: Schema, start: Position, rows: int, size: int
    ) -> Iterator[Block]:
        for batch in _batches(source.path, start.offset, rows):
            number = start.row + batch.num_rows
            end = Position(start.source, number, number)
            yield Block(start, end, _to_bytes(batch), batch.nbytes)
            start = end

    def reader(
        self, schema: Schema, *, forbidden: frozenset[str] = frozenset(), known: frozenset[str] | None = None
    ) -> Callable[[Content], Rows]:
        def read(content: Content) -> Rows:
            assert isinstance(content, bytes)
            return TableRows(pyarrow().ipc.open_stream(content).read_all(), schema)

        return read

    def check(self) -> None:
        pyarrow()

    def writer(self, columns: OutputColumns) -> Writer:
        return ParquetWriter(columns)

    def assemble(self, partial: str, path: str) -> None:
        """A row group holds the streams that fill 16 MiB: the same streams give the same bytes."""
        arrow = pyarrow()
        kept: list[Any] = []
        held = 0
        with open(partial, "rb") as file:  # noqa: PTH123
            size = file.seek(0, 2)
            file.seek(0)
            first = arrow.ipc.open_stream(file).read_all()  # the header: no rows
            with arrow.parquet.ParquetWriter(path, first.schema, compression="zstd") as writer:
                while file.tell() < size:
                    table = arrow.ipc.open_stream(file).read_all()
                    kept.append(table)
                    held += table.nbytes
                    if held >= _GROUP_BYTES:
                        writer.write_table(arrow.concat_tables(kept).combine_chunks())
                        kept, held = [], 0
                if kept:
                    writer.write_table(arrow.concat_tables(kept).combine_chunks())


class TableRows(Rows):
    """Rows of an Arrow table."""

    def __init__(self, table: Any, schema: Schema) -> None:
        texts = [_text(value) for value in strings(table.column(schema.text))]
        super().__init__(range(table.num_rows), texts, lambda i: self._columns[i])
        self.table = table

    @cached_property
    def _columns(self) -> list[tuple[Any, ...]]:
        return list(zip(*map(plain_values, self.table.columns)))


class ParquetWriter(Writer):
    """Columns of a Parquet input keep their types; those of other formats are strings, exactly what stood in
    the file (of JSONL, what is no string is its JSON text).
    """

    def __init__(self, columns: OutputColumns) -> None:
        self._columns = columns
        arrow = pyarrow()
        self._numbered = [arrow.float32() if number else arrow.string() for number in columns.numbers]
        fields = [arrow.field(name, arrow.string()) for name in columns.columns]
        if columns.schema.format == ParquetFormat.name:
            own = arrow.ipc.read_schema(arrow.py_buffer(columns.schema.header))
            fields = list(columns.pick([own.field(i) for i in range(len(own))]))
        self._own = arrow.schema([f.with_name(name) for f, name in zip(fields, columns.columns)])
        self._added = arrow.schema(
            [arrow.field(name, kind) for name, kind in zip(columns.added, self._numbered)]
        )
        self._schema = arrow.schema([*self._own, *self._added])
        self.header = _to_bytes(self._schema.empty_table())

    def write(self, rows: Rows, added: Sequence[Sequence[Any] | None], refuse: Refuse) -> bytes:
        arrow = pyarrow()
        values = list(added)
        table = rows.table if isinstance(rows, TableRows) else None
        table = self._strings(rows, values, refuse) if table is None else self._kept(table)
        chosen = [i for i, value in enumerate(values) if value is not None]
        if len(chosen) < len(values):
            table = table.take(arrow.array(chosen, arrow.int64()))
        behind = list(zip(*[value for value in values if value is not None])) or [()] * len(self._added)
        arrays = [arrow.array(column, kind) for column, kind in zip(behind, self._numbered)]
        return _to_bytes(arrow.table([*table.columns, *arrays], schema=self._schema))

    def _kept(self, table: Any) -> Any:
        """The kept columns of a table of the input, with the types of the first input."""
        columns = self._columns
        if columns.kept is not None:
            table = table.select(list(columns.kept))
        table = table.rename_columns(list(columns.columns))  # repeated names were numbered
        try:
            return table.cast(self._own)
        except (pyarrow().ArrowException, ValueError) as error:
            reason = str(error).splitlines()[0][:200]
            raise DataError(
                f"an input has columns of other types than the first ({reason}); score it in a run of its own"
            ) from None

    def _strings(self, rows: Rows, added: list[Sequence[Any] | None], refuse: Refuse) -> Any:
        arrow = pyarrow()
        names = self._columns.columns
        cells: list[list[str | None]] = [[] for _ in names]
        for i, (text, _) in enumerate(rows.texts):
            row = self._columns.pick(rows.values(i))
            try:
                errors = "replace" if text is None else "strict"
                written = [_cell(value, name, errors) for value, name in zip(row, names)]
            except RowError as error:
                if added[i] is not None:
                    added[i] = refuse(i, str(error))
                written = [_cell(value, name, "replace") for value, name in zip(row, names)]
            for column, cell in zip(cells, written):
                column.append(cell)
        return arrow.table([arrow.array(column, arrow.string()) for column in cells], schema=self._own)


def _cell(value: Any, name: str, errors: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        return field_text(value, name, errors)
    if isinstance(value, str):  # numbers of a JSON row too, in their own digits
        return value.encode("utf-8", "replace").decode()
    return json_text(value, name, errors)


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


def _batches(path: str, first_row: int, batch_rows: int) -> Iterator[Any]:
    """The rows from ``first_row`` on as Arrow record batches of at most ``batch_rows``.

    Where batches end depends on the file alone, not on ``first_row``. Raises DataError.
    """
    arrow = pyarrow()
    with _open(path) as file:
        start = 0
        groups = []
        for group in range(file.metadata.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            if start + count > first_row:
                groups.append((group, start))
            start += count
        for group, group_start in groups:
            position = group_start
            try:
                # One row group at a time: batches then never reach over a border of two groups.
                for batch in file.iter_batches(batch_rows, row_groups=[group], use_threads=False):
                    end = position + batch.num_rows
                    if end > first_row:
                        yield batch.slice(max(0, first_row - position))
                    position = end
            except (arrow.ArrowException, OSError) as error:
                reason = str(error).splitlines()[0][:200]
                raise DataError(
                    f"{path} is damaged after row {position} ({reason}); copy or write it again"
                ) from None


def _to_bytes(table: Any) -> bytes:
    """A table or record batch as an Arrow IPC stream, schema included."""
    arrow = pyarrow()
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write(table)
    return bytes(sink.getvalue())


def _text(value: Any) -> tuple[str | None, str | None]:
    if value is None:
        return None, "the text is null"
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            return None, "the text is not UTF-8"
    if len(value) > MAX_ROW_BYTES:
        return None, f"the text is longer than {MAX_ROW_BYTES // 2**20} MiB"
    return value, None


PARQUET = ParquetFormat()
