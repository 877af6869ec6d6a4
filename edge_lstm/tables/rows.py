"""One record → its text, or why there is none, and the values of its columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edge_lstm.tables.csv import Dialect
from edge_lstm.tables.records import Records, text_spans
from edge_lstm.tables.schema import Schema
from edge_lstm.tables.stream import MAX_ROW_BYTES
from edge_lstm.tables.values import MAX_DEPTH, Number, RowError, depth, parse_json


@dataclass(frozen=True)
class FileRecord:
    """A file of a folder. path: relative to it; error: why it could not be read."""

    path: str
    data: bytes
    error: str | None = None


@dataclass(frozen=True)
class TooLong:
    """Stands for a row of more than MAX_ROW_BYTES, of which nothing was kept."""

    size: int


_TOO_DEEP = f"the row is nested more than {MAX_DEPTH} deep"


def text_reader(
    schema: Schema, *, forbidden: frozenset[str] = frozenset(), known: frozenset[str] | None = None
) -> Callable[[Any], str]:
    """The function that takes a record to its text. It raises RowError.

    forbidden: keys that a JSONL row must not have; known: the only ones it may have (None: any).
    """
    if schema.format == "text":
        return _checked(_decode)
    if schema.format == "folder":
        return _checked(_file_text)
    if schema.format == "jsonl":
        column = schema.text_column
        return _checked(lambda record: _json_text(record, column, forbidden, known))
    dialect, columns, text = _dialect(schema), len(schema.columns), schema.text

    def csv_text(record: bytes) -> str:
        fields, is_open = dialect.read(record)
        if is_open:
            raise RowError("a quote opens in this row and never closes")
        if len(fields) != columns:
            raise RowError(
                f"the row has {len(fields)} column{'s' * (len(fields) != 1)}, the header {columns}"
            )
        return _decode(fields[text])

    return _checked(csv_text)


def read_texts(
    records: Records | Sequence[FileRecord | TooLong], schema: Schema, text_of: Callable[[Any], str]
) -> list[tuple[str | None, str | None]]:
    """For each record (its text, None) or (None, why there is none). ``text_of``: of :func:`text_reader`,
    for records of which more must be known than where their text lies.
    """
    if not isinstance(records, Records):
        return [_text_or_reason(text_of, record) for record in records]
    data, read = records.data, list[tuple[str | None, str | None]]()
    quote = schema.dialect.quote_byte if schema.dialect else b""
    starts, stops = text_spans(records, schema)
    for i, (start, stop) in enumerate(zip(starts.tolist(), stops.tolist())):
        if start < 0:
            read.append(_text_or_reason(text_of, data[records.starts[i] : records.stops[i]]))
            continue
        text = data[start:stop]
        if quote and text.startswith(quote):
            text = text[1:-1].replace(quote * 2, quote)
        try:
            read.append((text.decode(), None))
        except UnicodeDecodeError:
            read.append(_text_or_reason(_decode, text))
    return read


def _text_or_reason(text_of: Callable[[Any], str], record: Any) -> tuple[str | None, str | None]:
    try:
        return text_of(record), None
    except RowError as error:
        return None, str(error)


def values_reader(schema: Schema) -> Callable[[Any], list[Any]]:
    """The function that takes a record to the values of ``schema.columns``, whatever its state.

    Values of CSV, TSV, text and folders are bytes; of JSONL what JSON has, numbers as :class:`Number`.
    None where a row has no such column. What a row has too much stays with its last column.
    """
    columns = schema.columns
    if schema.format == "text":
        return lambda record: [record if isinstance(record, bytes) else None]
    if schema.format == "folder":
        return lambda record: [record.path.encode("utf-8", "surrogateescape"), record.data]
    if schema.format == "jsonl":

        def json_values(record: Any) -> list[Any]:
            try:
                row = _json(record) if isinstance(record, bytes) else {}
            except RowError:
                row = {}
            return [row.get(name) for name in columns]

        return json_values
    dialect, count = _dialect(schema), len(columns)

    def csv_values(record: Any) -> list[Any]:
        if not isinstance(record, bytes):
            return [None] * count
        fields, _ = dialect.read(record)
        values: list[bytes | None] = [*fields[:count]]
        if len(fields) > count:
            values[-1] = dialect.delimiter_byte.join(fields[count - 1 :])
        return values + [None] * (count - len(values))

    return csv_values


def _dialect(schema: Schema) -> Dialect:
    assert schema.dialect is not None
    return schema.dialect


def _checked(read: Callable[[Any], str]) -> Callable[[Any], str]:
    def checked(record: Any) -> str:
        if isinstance(record, TooLong):
            raise RowError(f"the row has {record.size:,} bytes, more than {MAX_ROW_BYTES // 2**20} MiB")
        return read(record)

    return checked


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise RowError(
            f"the text is not UTF-8 (byte 0x{data[error.start]:02x} at position {error.start})"
        ) from None


def _file_text(record: FileRecord) -> str:
    if record.error:
        raise RowError(record.error)
    return _decode(record.data)


def _json(record: bytes) -> dict[str, Any]:
    try:
        row = parse_json(record.decode())
    except UnicodeDecodeError as error:
        raise RowError(
            f"the row is not UTF-8 (byte 0x{record[error.start]:02x} at position {error.start})"
        ) from None
    except RecursionError:
        raise RowError(_TOO_DEEP) from None
    except ValueError as error:
        raise RowError(f"the row is not JSON: {error}") from None
    if record.count(b"{") + record.count(b"[") > MAX_DEPTH and depth(row) > MAX_DEPTH:
        raise RowError(_TOO_DEEP)
    if not isinstance(row, dict):
        raise RowError(f"the row is {_kind(row)}, not an object")
    return row


def _json_text(record: bytes, column: str, forbidden: frozenset[str], known: frozenset[str] | None) -> str:
    row = _json(record)
    if not forbidden.isdisjoint(row):
        taken = sorted(forbidden.intersection(row))[0]
        raise RowError(
            f"the row has a key {taken!r}, which the first rows do not have; choose another prefix"
        )
    if known is not None and not known.issuperset(row):
        surplus = next(name for name in row if name not in known)
        raise RowError(f"the row has a key {surplus!r}, which the first rows do not have; write JSONL")
    text = row.get(column)
    if isinstance(text, str) and not isinstance(text, Number):
        return text
    if column not in row:
        raise RowError(f"the row has no {column!r}")
    raise RowError("the text is null" if text is None else f"the text is {_kind(text)}, not a string")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, Number):
        return "a number"
    return {str: "a string", list: "a list", dict: "an object", type(None): "null"}[type(value)]
