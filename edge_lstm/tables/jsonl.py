"""JSONL: an object a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from edge_lstm.errors import DataError
from edge_lstm.tables.format import Broken, Format, OutputColumns, Rows, Text, Writer, distinct, refuse_bytes
from edge_lstm.tables.lines import line_rows
from edge_lstm.tables.schema import BOM, ReadOptions, Schema, Source
from edge_lstm.tables.stream import HEAD_BYTES, Stream, check_not_empty, check_text
from edge_lstm.tables.values import MAX_DEPTH, Number, RowError, depth, json_text, parse_json, replaced

if TYPE_CHECKING:
    from hashlib import _Hash

RAW_COLUMN = "raw"  # of a row that is no JSON object: the row as a string
_TOO_DEEP = f"the row is nested more than {MAX_DEPTH} deep"


class JsonlFormat(Format):
    """Files with a JSON object on each line."""

    name = "jsonl"
    suffixes = (".jsonl", ".ndjson", ".json")
    is_unicode = True
    has_fixed_columns = False

    def schema(self, source: Source, stream: Stream | None, options: ReadOptions) -> Schema:
        assert stream is not None
        head = stream.head()
        check_text(source, head)
        check_not_empty(source, head)
        lines = head.removeprefix(BOM).split(b"\n")
        if len(head) >= HEAD_BYTES:
            lines.pop()  # cut by the look, not by the file
        keys: dict[str, None] = {}
        for line in lines:
            try:
                row: Any = parse_json(line.decode())
            except (ValueError, RecursionError):
                continue  # a bad row is an error row, not the end of the run
            if isinstance(row, dict):
                keys.update(dict.fromkeys(row))
        is_list = lines[0].strip() == b"["  # over several lines
        if not keys or is_list:
            is_list = is_list or head.lstrip().startswith(b"[")
            hint = f"convert it with: jq -c '.[]' {source.path}" if is_list else "give one JSON object a line"
            raise DataError(f"{source.name} does not begin with a JSON object on a line; {hint}")
        columns = tuple(keys)
        return Schema(self.name, columns, options.find_text(columns, source))

    def rows(
        self, source: Source, stream: Stream | None, schema: Schema, digest: _Hash
    ) -> Iterator[tuple[Any, int]]:
        assert stream is not None
        return (row for row in line_rows(stream, digest) if not isinstance(row[0], bytes) or row[0].strip())

    def parse(
        self,
        rows: Sequence[Any],
        schema: Schema,
        *,
        forbidden: frozenset[str] = frozenset(),
        allowed: frozenset[str] | None = None,
    ) -> Rows:
        texts: list[Text] = []
        objects: list[dict[str, Any]] = []
        for row in rows:
            held: dict[str, Any] = {}
            try:
                if isinstance(row, Broken):
                    raise RowError(row.reason)
                held = {RAW_COLUMN: row.decode("utf-8", "replace")}
                fields = _object(row)
                _check_keys(fields, forbidden, allowed)
                held = fields
                texts.append((_text(fields, schema.text_column), None))
            except RowError as error:
                texts.append((None, str(error)))
            objects.append(held)
        return Rows(texts, lambda: [[o.get(n) for n in schema.columns] for o in objects], objects=objects)

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """JSON has an escape for a lone surrogate."""
        return distinct(columns)

    def writer(self, columns: OutputColumns) -> JsonlWriter:
        return JsonlWriter(columns)


class JsonlWriter(Writer):
    """An object for each row; of a JSONL input, with all of its own keys unless some are chosen."""

    def __init__(self, columns: OutputColumns) -> None:
        self._columns = columns
        self._is_unicode = columns.schema.format == JsonlFormat.name
        self._keys = [json_text(name) + ": " for name in columns.added]

    def check(self, rows: Rows) -> None:
        """See Writer."""
        if not self._is_unicode:
            refuse_bytes(rows, self._columns)

    def write(self, rows: Rows, added: Sequence[Sequence[Any] | None]) -> bytes:
        """See Writer."""
        columns = self._columns
        lines = []
        for i, behind in enumerate(added):
            if behind is None:
                continue
            own = (
                rows.objects[i].items()
                if rows.objects is not None and columns.kept is None
                else zip(columns.columns, columns.pick(rows.values[i]))
            )
            items = [f"{json_text(key)}: {json_text(value)}" for key, value in own]
            # A float32 is written in its shortest digits.
            items += [
                key + (json_text(value) if value is None or isinstance(value, str) else str(value))
                for key, value in zip(self._keys, behind)
            ]
            lines.append("{" + ", ".join(items) + "}\n")
        text = "".join(lines)
        if self._is_unicode:
            return text.encode("utf-8", "backslashreplace")  # JSON's escape for a lone surrogate
        return replaced(text).encode()


def _check_keys(row: dict[str, Any], forbidden: frozenset[str], allowed: frozenset[str] | None) -> None:
    if not forbidden.isdisjoint(row):
        key = min(forbidden.intersection(row))
        raise RowError(f"the row has a key {key!r}, which the first rows do not have; choose another prefix")
    if allowed is not None and not allowed.issuperset(row):
        key = next(name for name in row if name not in allowed)
        raise RowError(f"the row has a key {key!r}, which the first rows do not have; write JSONL")


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
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, Number):
        return "a number"
    return {str: "a string", list: "a list", dict: "an object", type(None): "null"}[type(value)]


JSONL = JsonlFormat()
