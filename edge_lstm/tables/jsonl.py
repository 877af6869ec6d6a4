"""JSONL: an object a line. Rows are passed on as they came, the added keys before their last brace."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from edge_lstm.errors import DataError
from edge_lstm.tables.blocks import Lines
from edge_lstm.tables.format import Encoded, OutputColumns, RowWriter, distinct
from edge_lstm.tables.lines import LineFormat, check_not_empty, decoded, each
from edge_lstm.tables.records import Rows, RowText
from edge_lstm.tables.schema import BOM, ReadOptions, Schema, Source
from edge_lstm.tables.stream import HEAD_BYTES
from edge_lstm.tables.values import MAX_DEPTH, Number, RowError, depth, json_text, parse_json

RAW_COLUMN = "raw"  # of a row that is no JSON object: the row as a string
_TOO_DEEP = f"the row is nested more than {MAX_DEPTH} deep"


class JsonlFormat(LineFormat):
    """Files with a JSON object on each line."""

    name = "jsonl"
    suffixes = (".jsonl", ".ndjson", ".json")
    has_fixed_columns = False

    def schema_of(self, source: Source, head: bytes, options: ReadOptions) -> Schema:
        check_not_empty(source, head)
        lines = head.removeprefix(BOM).split(b"\n")
        if len(head) >= HEAD_BYTES:
            lines.pop()  # cut by the look, not by the file
        keys: dict[str, None] = {}
        is_array = lines[0].strip() == b"["  # over several lines
        for line in lines:
            try:
                row: Any = parse_json(line.decode())
            except (ValueError, RecursionError):
                continue  # a bad row is an error row, not the end of the run
            if isinstance(row, dict):
                keys.update(dict.fromkeys(row))
        if not keys or is_array:
            is_array = is_array or head.lstrip().startswith(b"[")
            hint = (
                f"convert it with: jq -c '.[]' {source.path}" if is_array else "give one JSON object a line"
            )
            raise DataError(f"{source.name} does not begin with a JSON object on a line; {hint}")
        columns = tuple(keys)
        return Schema(self.name, columns, options.find_text(columns, source))

    def lines(self, schema: Schema) -> Lines:
        return Lines(bytes.strip)

    def is_same(self, first: Schema, other: Schema) -> bool:
        """Objects may differ from row to row, so only their text must have the same key."""
        return first.text_column == other.text_column

    def texts(
        self, schema: Schema, forbidden: frozenset[str], known: frozenset[str] | None
    ) -> Callable[[Sequence[bytes]], list[RowText]]:
        column = schema.text_column

        def text_of(record: bytes) -> str:
            row = _object(record)
            if not forbidden.isdisjoint(row):
                taken = min(forbidden.intersection(row))
                raise RowError(
                    f"the row has a key {taken!r}, which the first rows do not have; choose another prefix"
                )
            if known is not None and not known.issuperset(row):
                surplus = next(name for name in row if name not in known)
                raise RowError(
                    f"the row has a key {surplus!r}, which the first rows do not have; write JSONL"
                )
            text = row.get(column)
            if isinstance(text, str) and not isinstance(text, Number):
                return text
            if column not in row:
                raise RowError(f"the row has no {column!r}")
            raise RowError("the text is null" if text is None else f"the text is {_kind(text)}, not a string")

        return each(text_of)

    def values_of(self, schema: Schema) -> Callable[[bytes], Sequence[Any]]:
        columns = schema.columns

        def values_of(record: bytes) -> Sequence[Any]:
            try:
                row = _object(record)
            except RowError:
                row = {}
            return [row.get(name) for name in columns]

        return values_of

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """JSON has an escape for a lone surrogate."""
        return distinct(columns)

    def writer(self, columns: OutputColumns) -> JsonlWriter:
        return JsonlWriter(columns, passes_on=columns.schema.format == self.name and columns.kept is None)


class JsonlWriter(RowWriter):
    """passes_on: the input is JSONL too, and all of its columns are kept."""

    def __init__(self, columns: OutputColumns, *, passes_on: bool) -> None:
        self._columns = columns
        self._passes_on = passes_on
        self._keys = [json.dumps(name, ensure_ascii=False) + ": " for name in columns.added]
        self._added = Encoded(_encoded)

    def row(self, rows: Rows, index: int, added: Sequence[Any], errors: str) -> bytes:
        if self._passes_on and errors == "strict":
            row = bytes(rows.records[index]).strip()
        elif self._passes_on:
            row = self._as_object(rows.records[index])
        else:
            values = zip(self._columns.columns, self._columns.pick(rows.values(index)))
            items = [f"{json_text(name, name)}: {json_text(value, name, errors)}" for name, value in values]
            row = ("{" + ", ".join(items) + "}").encode()
        inside = row[:-1]
        comma = b"" if inside.strip() == b"{" else b", "
        behind = ", ".join([key + self._added[value] for key, value in zip(self._keys, added)])
        return inside + comma + behind.encode() + b"}\n"

    def _as_object(self, record: Any) -> bytes:
        """A row with an error → an object that the added keys can be put into."""
        if not isinstance(record, bytes):
            return b"{}"  # too long to be held
        try:
            row = parse_json(record.decode())
            if isinstance(row, dict) and row.keys().isdisjoint(self._columns.added):
                return record.strip()
        except (ValueError, RecursionError):
            pass
        return json.dumps({RAW_COLUMN: record.decode("utf-8", "replace")}, ensure_ascii=False).encode()


def _encoded(value: Any) -> str:
    """An added value as JSON; a float32 in its shortest digits."""
    return json_text(value, "") if value is None or isinstance(value, str) else str(value)


def _object(record: bytes) -> dict[str, Any]:
    try:
        row = parse_json(decoded(record, "row"))
    except RecursionError:
        raise RowError(_TOO_DEEP) from None
    except ValueError as error:
        raise RowError(f"the row is not JSON: {error}") from None
    if record.count(b"{") + record.count(b"[") > MAX_DEPTH and depth(row) > MAX_DEPTH:
        raise RowError(_TOO_DEEP)
    if not isinstance(row, dict):
        raise RowError(f"the row is {_kind(row)}, not an object")
    return row


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, Number):
        return "a number"
    return {str: "a string", list: "a list", dict: "an object", type(None): "null"}[type(value)]


JSONL = JsonlFormat()
