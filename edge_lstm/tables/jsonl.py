"""JSONL: an object a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from edge_lstm.errors import DataError
from edge_lstm.tables.format import Broken, Format, OutputColumns, Rows
from edge_lstm.tables.lines import line_rows
from edge_lstm.tables.schema import BOM, ReadOptions, Schema, Source
from edge_lstm.tables.stream import HEAD_BYTES, Stream, table_head
from edge_lstm.tables.values import MAX_DEPTH, Number, RowError, Text, depth, json_text, parse_json, replaced

if TYPE_CHECKING:
    from hashlib import _Hash

RAW_COLUMN = "raw"  # of a row that is no JSON object: the row as a string
_TOO_DEEP = f"the row is nested more than {MAX_DEPTH} deep"
_KINDS = {bool: "true or false", Number: "a number", str: "a string", list: "a list", dict: "an object"}


class JsonlFormat(Format):
    """Files with a JSON object on each line."""

    name = "jsonl"
    suffixes = (".jsonl", ".ndjson", ".json")
    is_unicode = needs_utf8 = True
    has_fixed_columns = False

    def schema(self, source: Source, stream: Stream | None, options: ReadOptions) -> Schema:
        head = table_head(source, stream)
        lines = head.removeprefix(BOM).split(b"\n")
        if len(head) >= HEAD_BYTES:
            lines.pop()  # cut by the look, not by the file
        keys: dict[str, None] = {}
        for line in lines:
            try:
                keys.update(dict.fromkeys(_object(line)))
            except RowError:
                continue  # a bad row is an error row, not the end of the run
        if not keys or lines[0].strip() == b"[":
            is_list = head.lstrip().startswith(b"[")
            hint = f"convert it with: jq -c '.[]' {source.path}" if is_list else "give one JSON object a line"
            raise DataError(f"{source.name} does not begin with a JSON object on a line; {hint}")
        columns = tuple(keys)
        return Schema(self.name, columns, options.find_text(columns, source))

    def rows(self, source: Source, stream: Stream | None, digest: _Hash, schema: Schema) -> Iterator[Any]:
        return (row for row in line_rows(stream, digest) if not isinstance(row[0], bytes) or row[0].strip())

    def parse(self, rows: Any, schema: Schema, keys: Callable[[Any], None]) -> Rows:
        texts: list[Text] = []
        objects: list[dict[str, Any]] = []
        for row in rows:
            fields: dict[str, Any] = {}
            try:
                if isinstance(row, Broken):
                    raise RowError(row.reason)
                fields = {RAW_COLUMN: row.decode("utf-8", "replace")}
                parsed = _object(row)
                keys(parsed)
                fields = parsed
                texts.append((_text(fields, schema.text_column), None))
            except RowError as error:
                texts.append((None, str(error)))
            objects.append(fields)
        return Rows(texts, lambda: [[o.get(n) for n in schema.columns] for o in objects], objects)

    def writer(self, columns: OutputColumns) -> JsonlWriter:
        return JsonlWriter(columns)


class JsonlWriter:
    """An object for each row; of a JSONL input, with all of its own keys unless some are chosen."""

    header = b""

    def __init__(self, columns: OutputColumns) -> None:
        self._columns = columns
        self._is_unicode = columns.schema.format == JsonlFormat.name
        self._keys = [json_text(name) + ": " for name in columns.added]

    def write(self, rows: Rows, added: Sequence[Sequence[Any] | None]) -> bytes:
        """See Writer."""
        columns = self._columns
        lines = []
        for i, behind in enumerate(added):
            if behind is None:
                continue
            if rows.objects is not None and columns.kept is None:
                own = list(rows.objects[i].items())
            else:
                own = list(zip(columns.columns, columns.pick(rows.values[i])))
            items = [f"{json_text(key)}: {json_text(value)}" for key, value in own]
            # A float32 is written in its shortest digits.
            items += [
                key + (json_text(value) if value is None or isinstance(value, str) else str(value))
                for key, value in zip(self._keys, behind)
            ]
            lines.append("{" + ", ".join(items) + "}\n")
        text = "".join(lines)
        # JSON has an escape for a lone surrogate.
        return text.encode("utf-8", "backslashreplace") if self._is_unicode else replaced(text).encode()


def _text(row: dict[str, Any], column: str) -> str:
    text = row.get(column)
    if isinstance(text, str) and not isinstance(text, Number):
        return text
    if column not in row:
        raise RowError(f"the row has no {column!r}")
    raise RowError("the text is null" if text is None else f"the text is {_kind(text)}, not a string")


def _object(line: bytes) -> dict[str, Any]:
    try:
        row = parse_json(line.decode())
    except UnicodeDecodeError as error:
        byte = f"byte 0x{line[error.start]:02x} at position {error.start}"
        raise RowError(f"the row is not UTF-8 ({byte})") from None
    except RecursionError:
        raise RowError(_TOO_DEEP) from None
    except ValueError as error:
        raise RowError(f"the row is not JSON: {error}") from None
    if line.count(b"{") + line.count(b"[") > MAX_DEPTH and depth(row) > MAX_DEPTH:
        raise RowError(_TOO_DEEP)
    if not isinstance(row, dict):
        raise RowError(f"the row is {_kind(row)}, not an object")
    return row


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "null")


JSONL = JsonlFormat()
