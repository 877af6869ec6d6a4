"""Parquet files in record batches. pyarrow is imported when the first one is opened, not before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edge_lstm.errors import DataError, MissingPackageError
from edge_lstm.files.stream import MAX_ROW_BYTES


def pyarrow() -> Any:
    """The pyarrow package; MissingPackageError where it is not installed."""
    try:
        import pyarrow as package
        import pyarrow.parquet
    except ImportError:
        raise MissingPackageError(
            "Parquet files need the pyarrow package; install it with: pip install 'edge-lstm[parquet]'"
        ) from None
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
    with _open(path) as file:
        return tuple(file.schema_arrow.names)


def rows(path: str) -> int:
    """The number of rows of a Parquet file."""
    with _open(path) as file:
        return int(file.metadata.num_rows)


def schema(path: str) -> Any:
    """The Arrow schema of a Parquet file."""
    with _open(path) as file:
        return file.schema_arrow


def check_text_column(path: str, column: str) -> None:
    """DataError where a column cannot hold text."""
    found = schema(path).field(column).type
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
    try:
        values = column.to_pylist()
    except UnicodeDecodeError:  # Arrow does not check what it is given: then value by value
        values = [_value(scalar) for scalar in column]
    return [_text(value) for value in values]


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return b"\xff"


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
