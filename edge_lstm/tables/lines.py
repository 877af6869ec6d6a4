"""Text, one document per line, and JSONL, one object per line.

Written as text, a row is what was added to it, tab-separated.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from edge_lstm.errors import DataError
from edge_lstm.tables.format import Added, Broken, Format, OutputColumns, Rows, too_long
from edge_lstm.tables.schema import BOM, MAX_ROW_BYTES, ReadOptions, Schema, Source
from edge_lstm.tables.stream import HEAD_BYTES, LongLine, check_text, table_head
from edge_lstm.tables.values import MAX_DEPTH, Number, RowError, Text, depth, json_text, replaced, utf8_error

if TYPE_CHECKING:
    from hashlib import _Hash

_BREAKS = re.compile("[\t\r\n]")
RAW_COLUMN = "raw"  # of a row that is no JSON object: the row as a string
_TOO_DEEP = f"the row is nested more than {MAX_DEPTH} deep"
_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=Number)
_KINDS = {bool: "true or false", Number: "a number", str: "a string", list: "a list", dict: "an object"}


class TextFormat(Format):
    """Text files; fastText's, where lines begin with labels."""

    name = "text"
    suffixes = (".txt", ".text", ".ft")
    has_fixed_columns = False

    def schema(self, source: Source, stream: Any, options: ReadOptions) -> Schema:
        check_text(source, stream.head())
        return Schema(self.name, ("text",), 0)

    def rows(self, source: Source, stream: Any, digest: _Hash, schema: Schema) -> Iterator[tuple[Any, int]]:
        """A row is a line without its end, the only field."""
        for piece in stream.pieces(digest):
            if piece is None:
                yield None, 0
            elif isinstance(piece, LongLine):
                yield too_long(piece.size), 0
            else:
                for line in piece.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n"):
                    size = len(line)
                    yield ([line.removesuffix("\r")] if size <= MAX_ROW_BYTES else too_long(size)), size

    def write(self, rows: Rows, added: Added, columns: OutputColumns) -> bytes:
        """The added columns alone; a tab or a line end in a value becomes a space."""
        lines = [
            "\t".join(["" if value is None else _BREAKS.sub(" ", str(value)) for value in values]) + "\n"
            for values in added
            if values is not None
        ]
        return "".join(lines).encode()


class JsonlFormat(TextFormat):
    """Files with a JSON object on each line."""

    name = "jsonl"
    suffixes = (".jsonl", ".ndjson", ".json")
    needs_utf8 = True

    def schema(self, source: Source, stream: Any, options: ReadOptions) -> Schema:
        head = table_head(source, stream)
        lines = head.removeprefix(BOM).decode("utf-8", "surrogateescape").split("\n")
        if len(head) >= HEAD_BYTES:
            lines.pop()  # cut by the look, not by the file
        keys: dict[str, None] = {}
        for line in lines:
            try:
                keys.update(dict.fromkeys(_object(line)))
            except RowError:
                continue  # a bad row is an error row, not the end of the run
        if not keys or lines[0].strip() == "[":
            is_list = head.lstrip().startswith(b"[")
            hint = f"convert it with: jq -c '.[]' {source.path}" if is_list else "give one object per line"
            raise DataError(f"{source.name} does not begin with a JSON object on a line; {hint}")
        columns = tuple(keys)
        return Schema(self.name, columns, options.find_text(columns, source), is_unicode=True)

    def rows(self, source: Source, stream: Any, digest: _Hash, schema: Schema) -> Iterator[tuple[Any, int]]:
        for row, size in super().rows(source, stream, digest, schema):
            if row is None or isinstance(row, Broken) or row[0].strip():
                yield row, size

    def parse(self, rows: Any, schema: Schema, check_keys: Callable[[Any], None]) -> Rows:
        texts: list[Text] = []
        objects: list[dict[str, Any]] = []
        column = schema.text_column
        for row in rows:
            fields: dict[str, Any] | None = None
            try:
                if isinstance(row, Broken):
                    raise RowError(row.reason)
                parsed = _object(row[0])
                check_keys(parsed)
                fields = parsed
                texts.append((_text(fields, column), None))
            except RowError as error:
                texts.append((None, str(error)))
                if fields is None:
                    fields = {} if isinstance(row, Broken) else {RAW_COLUMN: replaced(row[0])}
            objects.append(fields)
        return Rows(texts, lambda: [[o.get(n) for n in schema.columns] for o in objects], objects)

    def write(self, rows: Rows, added: Added, columns: OutputColumns) -> bytes:
        """An object for each row; of a JSONL input, with all of its own keys unless some are chosen."""
        chosen = [i for i, behind in enumerate(added) if behind is not None]
        behind = map(_json_items, columns.added.items(), zip(*[added[i] or () for i in chosen]))
        pairs: list[Iterable[tuple[str, Any]]]
        if rows.objects is not None and columns.kept is None:
            pairs = [rows.objects[i].items() for i in chosen]
        else:
            pairs = [zip(columns.columns, columns.pick(rows.values[i])) for i in chosen]
        key = functools.cache(lambda name: json_text(name) + ": ")
        lines = []
        for own, *ours in zip(pairs, *behind):
            items = [key(name) + json_text(value) for name, value in own]
            lines.append("{" + ", ".join(items + ours) + "}\n")
        text = "".join(lines)
        # JSON has an escape for a lone surrogate.
        is_unicode = columns.schema.is_unicode
        return text.encode("utf-8", "backslashreplace") if is_unicode else replaced(text).encode()


def _json_items(column: tuple[str, bool], values: Sequence[Any]) -> list[str]:
    """Return an added column's values behind its name: strings, most of them equal, or float32, in their
    shortest digits."""
    name, is_number = json_text(column[0]) + ": ", column[1]
    if is_number:
        return [name + ("null" if value is None else str(value)) for value in values]
    texts = {value: name + json_text(value) for value in set(values)}
    return [texts[value] for value in values]


def _text(row: dict[str, Any], column: str) -> str:
    text = row.get(column)
    if isinstance(text, str) and not isinstance(text, Number):
        return text
    if column not in row:
        raise RowError(f"the row has no {column!r}")
    raise RowError("the text is null" if text is None else f"the text is {_kind(text)}, not a string")


def _object(line: str) -> dict[str, Any]:
    if not line.isascii() and (where := utf8_error(line)):
        raise RowError(f"the row is not UTF-8 {where}")
    try:
        row, end = _DECODER.raw_decode(line) if line.startswith("{") else (None, 0)
        if end < len(line):  # spaces around it, or what is no object
            row = _DECODER.decode(line)
    except RecursionError:
        raise RowError(_TOO_DEEP) from None
    except ValueError as error:
        raise RowError(f"the row is not JSON: {error}") from None
    if len(line) > MAX_DEPTH < line.count("{") + line.count("[") and depth(row) > MAX_DEPTH:
        raise RowError(_TOO_DEEP)
    if not isinstance(row, dict):
        raise RowError(f"the row is {_kind(row)}, not an object")
    return row


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "null")


TEXT, JSONL = TextFormat(), JsonlFormat()
