"""Parquet files in record batches. pyarrow is imported when the first one is opened, not before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from edge_lstm.errors import DataError
from edge_lstm.extras import needs
from edge_lstm.tables.stream import MAX_ROW_BYTES
from edge_lstm.tables.values import Number


def pyarrow() -> Any:
    """The pyarrow package; MissingPackageError where it is not installed."""
    with needs("parquet", "reading or writing Parquet"):
        import pyarrow as package
        import pyarrow.parquet
    return package


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


def columns(path: str) -> tuple[str, ...]:
    """The columns of a Parquet file."""
    return tuple(schema(path).names)


def rows(path: str) -> int:
    """The number of rows of a Parquet file."""
    with _open(path) as file:
        return int(file.metadata.num_rows)


def schema(path: str) -> Any:
    """The Arrow schema of a Parquet file."""
    with _open(path) as file:
        return file.schema_arrow


def check_text_column(path: str, index: int) -> None:
    """DataError where a column cannot hold text. By its index: names may repeat."""
    field = schema(path).field(index)
    column, found = field.name, field.type
    value = found.value_type if pyarrow().types.is_dictionary(found) else found
    if str(value) not in ("string", "large_string", "string_view", "binary", "large_binary", "null"):
        raise DataError(f"{path}: column {column!r} holds {found}, not text; choose another --text-column")


def batches(path: str, first_row: int, batch_rows: int) -> Iterator[Any]:
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


def to_bytes(batch: Any) -> bytes:
    """A record batch as an Arrow IPC stream, schema included."""
    arrow = pyarrow()
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def from_bytes(data: bytes) -> Any:
    """The inverse of :func:`to_bytes`: a table."""
    return pyarrow().ipc.open_stream(data).read_all()


def texts(column: Any) -> list[tuple[str | None, str | None]]:
    """A column → for each row (text, None) or (None, why there is none)."""
    return [_text(value) for value in _strings(pyarrow(), column)]


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


def plain_values(column: Any) -> list[Any]:
    """A column (chunked, or an array) → for each row what JSON has: None, bool, numbers, str, list, dict.

    float32 is a :class:`Number` in its own shortest digits. What JSON has no form for is text: dates (of any
    year, to the nanosecond), decimals. Bytes stay bytes, and so does a string that is not UTF-8.
    """
    arrow = pyarrow()
    if isinstance(column, arrow.ChunkedArray):
        return [value for chunk in column.chunks for value in plain_values(chunk)]
    kind, types = column.type, arrow.types
    if isinstance(column, arrow.ExtensionArray):
        return plain_values(column.storage)
    if types.is_dictionary(kind):
        return plain_values(column.dictionary_decode())
    if types.is_null(kind) or types.is_boolean(kind) or types.is_integer(kind):
        return list(column.to_pylist())
    if types.is_float64(kind):
        return list(column.to_pylist())
    if types.is_floating(kind):
        single = np.float32 if types.is_float32(kind) else np.float16
        return [value if value is None else _number(single(value)) for value in column.to_pylist()]
    if types.is_struct(kind):
        names = [kind.field(i).name for i in range(kind.num_fields)]
        fields = [plain_values(field) for field in column.flatten()]
        rows = zip(*fields) if fields else [()] * len(column)
        return [dict(zip(names, row)) if valid else None for row, valid in zip(rows, _are_valid(column))]
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        lengths = column.value_lengths().to_pylist()
        return _cut(plain_values(column.flatten()), lengths)
    if types.is_map(kind):
        entries = arrow.concat_arrays([column])  # offsets of a slice count from the beginning of the whole
        pairs = zip(plain_values(entries.keys), plain_values(entries.items))
        begins = entries.offsets.to_pylist()
        every, valid = [list(pair) for pair in pairs], _are_valid(entries)
        return [every[i:j] if v else None for i, j, v in zip(begins, begins[1:], valid)]
    return _strings(arrow, column)


def as_strings(column: Any) -> list[Any]:
    """A column → for each row its text as CSV has it, or what :func:`plain_values` gives where a value has
    parts. Strings that are not UTF-8 are bytes.
    """
    arrow = pyarrow()
    if arrow.types.is_nested(column.type) or isinstance(column.type, arrow.ExtensionType):
        return plain_values(column)
    return _strings(arrow, column)


def _strings(arrow: Any, column: Any) -> list[Any]:
    """Values as Arrow writes them (numbers, dates and decimals in their shortest exact form)."""
    kind, types = column.type, arrow.types
    if types.is_dictionary(kind):
        kind, column = kind.value_type, column.cast(kind.value_type)
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return list(column.to_pylist())
    try:
        return list(column.cast(arrow.string()).to_pylist())
    except UnicodeDecodeError:  # Arrow does not check what it is given
        return [_decoded(value) for value in column.cast(arrow.binary()).to_pylist()]
    except arrow.ArrowException:
        return [None if not scalar.is_valid else str(scalar) for scalar in column]


def _decoded(value: bytes | None) -> str | bytes | None:
    try:
        return value if value is None else value.decode()
    except UnicodeDecodeError:
        return value


def _number(value: np.floating[Any]) -> Number | float:
    return Number(value) if np.isfinite(value) else float(value)


def _are_valid(column: Any) -> list[bool]:
    return list(column.is_valid().to_pylist())


def _cut(values: list[Any], lengths: list[int | None]) -> list[list[Any] | None]:
    """Values of lists, one behind the other → the lists; a length of None is a list that is null."""
    lists = list[Any]()
    begin = 0
    for length in lengths:
        end = begin + (length or 0)
        lists.append(None if length is None else values[begin:end])
        begin = end
    return lists
