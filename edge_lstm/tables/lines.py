"""Text, one document per line, and JSONL, one object per line.

Written as text, a row is what was added to it, tab-separated.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, repeat
from json.scanner import make_scanner
from typing import TYPE_CHECKING, Any

from edge_lstm.errors import DataError
from edge_lstm.tables.format import Added, Broken, Format, OutputColumns, Piece, Rows, too_long
from edge_lstm.tables.schema import BOM, MAX_ROW_BYTES, ReadOptions, Schema, Source
from edge_lstm.tables.stream import HEAD_BYTES, LongLine, check_text, table_head
from edge_lstm.tables.values import MAX_DEPTH, Number, RowError, depth, json_text, replaced, utf8_error

if TYPE_CHECKING:
    from hashlib import _Hash

_BREAKS = re.compile("[\t\r\n]")
RAW_COLUMN = "raw"  # of a row that is no JSON object: the row as a string
_TOO_DEEP = f"the row is nested more than {MAX_DEPTH} deep"
_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=Number)
_SCAN: Callable[[str, int], tuple[Any, int]] = make_scanner(_DECODER)  # type: ignore[arg-type]
_KINDS = {bool: "true or false", Number: "a number", str: "a string", list: "a list", dict: "an object"}


class TextFormat(Format):
    """Text files; fastText's, where lines begin with labels."""

    name = "text"
    suffixes = (".txt", ".text", ".ft")
    has_fixed_columns = False
    has_blank_rows = True

    def schema(self, source: Source, stream: Any, options: ReadOptions) -> Schema:
        check_text(source, stream.head())
        return Schema(self.name, ("text",), 0)

    def pieces(self, source: Source, stream: Any, digest: _Hash, schema: Schema) -> Iterator[Piece | None]:
        """A row is a line without its end, the only field."""
        for piece in stream.pieces(digest):
            if piece is None:
                yield None
            elif isinstance(piece, LongLine):
                yield [too_long(piece.size)], [0]
            else:
                text = piece.decode("utf-8", "surrogateescape").removesuffix("\n")
                lines = text.split("\n")
                if not self.has_blank_rows and not all(map(str.strip, lines)):
                    lines = [line for line in lines if line.strip() or len(line) > MAX_ROW_BYTES]
                sizes = [*map(len, lines)]
                rows: list[Any] = [[line.removesuffix("\r")] for line in lines]
                if len(text) > MAX_ROW_BYTES:
                    rows = [too_long(n) if n > MAX_ROW_BYTES else row for row, n in zip(rows, sizes)]
                yield rows, sizes

    def write(self, rows: Rows, added: Added, columns: OutputColumns) -> bytes:
        """The added columns alone; a tab or a line end in a value becomes a space."""
        cells = [[_BREAKS.sub(" ", value or "") for value in values] for values in columns.texts(added)]
        return "\n".join([*map("\t".join, zip(*cells)), ""]).encode()


class JsonlFormat(TextFormat):
    """Files with a JSON object on each line."""

    name = "jsonl"
    suffixes = (".jsonl", ".ndjson", ".json")
    needs_utf8 = True
    has_blank_rows = False

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

    def parse(self, rows: Any, schema: Schema, check_keys: Callable[[Any], None]) -> Rows:
        texts, reasons, objects = list[str | None](), list[str | None](), list[dict[str, Any]]()
        for row in rows:
            fields: dict[str, Any] | None = None
            text = reason = None
            try:
                if isinstance(row, Broken):
                    raise RowError(row.reason)
                parsed = _object(row[0])
                check_keys(parsed)
                fields = parsed
                text = _text(fields, schema.text_column)
            except RowError as error:
                reason = str(error)
                if fields is None:
                    fields = {} if isinstance(row, Broken) else {RAW_COLUMN: replaced(row[0])}
            texts.append(text)
            reasons.append(reason)
            objects.append(fields)
        return Rows(texts, reasons, lambda: [[o.get(n) for o in objects] for n in schema.columns], objects)

    def write(self, rows: Rows, added: Added, columns: OutputColumns) -> bytes:
        """An object for each row; of a JSONL input, with all of its own keys unless some are chosen."""
        objects = rows.objects if columns.kept is None else None
        own: Iterable[tuple[str, Sequence[Any]]] = ()
        parts: list[Iterable[str]] = []
        key = functools.cache(lambda name: json_text(name) + ": ")
        if objects is None:
            own = zip(columns.columns, columns.pick(rows.columns))
        elif len({*map(tuple, objects)}) == 1:
            own = [(name, [row[name] for row in objects]) for name in objects[0]]
        else:
            pairs = ([f"{key(name)}{json_text(value)}, " for name, value in row.items()] for row in objects)
            parts = [["{" + "".join(each) for each in pairs]]
        items: list[tuple[str, Iterable[str]]] = [(name, map(json_text, values)) for name, values in own]
        for (name, is_number), texts in zip(columns.added.items(), columns.texts(added)):
            known = {"": "null"} if is_number else {text: json_text(text) for text in {*texts}}
            items.append((name, [known.get(text, text) for text in texts]))
        before = "" if parts else "{"
        for name, cells in items:
            parts += [repeat(before + key(name)), cells]
            before = ", "
        text = "".join(chain.from_iterable(zip(*parts, repeat("}\n"))))
        # JSON has an escape for a lone surrogate.
        is_unicode = columns.schema.is_unicode
        return text.encode("utf-8", "backslashreplace") if is_unicode else replaced(text).encode()


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
        try:
            row, end = _SCAN(line, 0)
        except StopIteration:
            row, end = None, 0
        if end < len(line):  # spaces around it, or what is no JSON
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
