"""Text, one document per line, and JSONL, one object per line.

Written as text, a row is what was added to it, tab-separated.
"""

from __future__ import annotations

import functools
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, repeat
from json.scanner import make_scanner
from typing import Any

from edge_lstm.errors import DataError
from edge_lstm.tables.encoding import check_text
from edge_lstm.tables.format import (
    Added,
    Broken,
    Format,
    OutputColumns,
    Piece,
    Rows,
    as_written,
    too_long,
)
from edge_lstm.tables.schema import BOM, MAX_ROW_BYTES, Digest, ReadOptions, Schema, Source
from edge_lstm.tables.stream import HEAD_BYTES, LongLine, Stream, table_head
from edge_lstm.tables.values import (
    MAX_DEPTH,
    NOT_UTF8,
    Number,
    RowError,
    depth,
    json_text,
    replaced,
    utf8_error,
)

_BREAKS = re.compile("[\t\r\n]")
_AT_ONCE_BYTES, _AT_ONCE_KEYS = 2**20, 64  # of a chunk whose lines one pattern fits
RAW_COLUMN = "raw"  # of a row that is no JSON object: the row as a string
_TOO_DEEP = f"the row is nested more than {MAX_DEPTH} deep"
_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=Number)
_SCAN: Callable[[str, int], tuple[Any, int]] = make_scanner(_DECODER)  # type: ignore[arg-type]
_KINDS = {
    bool: "true or false",
    Number: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}


class TextFormat(Format):
    """Text files; fastText's, where lines begin with labels."""

    name = "text"
    suffixes = (".txt", ".text", ".ft")
    has_fixed_columns = False
    has_blank_rows = True

    def schema(self, source: Source, stream: Any, options: ReadOptions) -> Schema:
        check_text(source, stream.head())
        return Schema(self.name, ("text",), 0)

    def pieces(
        self, source: Source, stream: Any, digest: Digest, schema: Schema
    ) -> Iterator[Piece | None]:
        """A row is a line without its end, the only field."""
        import numpy as np

        for piece in stream.pieces(digest):
            if piece is None or isinstance(piece, LongLine):
                yield piece and ([too_long(piece.size)], [piece.size])
                continue
            characters = np.frombuffer(piece, np.uint8)
            ends = np.flatnonzero(characters == ord("\n")) + 1
            if not self.has_blank_rows and (characters[[0, *ends[:-1]]] != ord("{")).any():
                lines = [
                    line
                    for line in io.BytesIO(piece)
                    if line.decode("utf-8", "surrogateescape").strip()
                ]
                piece, ends = b"".join(lines), np.cumsum([*map(len, lines)])
            yield piece, ends

    def split(self, data: bytes, schema: Schema) -> Iterable[Any]:
        text = data.decode("utf-8", "surrogateescape")
        return [[line.removesuffix("\r")] for line in text.split("\n")[:-1]]

    def write(self, rows: Rows, added: Added, columns: OutputColumns) -> bytes:
        """The added columns alone; a tab or a line end in a value becomes a space."""
        cells = [
            [_BREAKS.sub(" ", value or "") for value in values] for values in columns.texts(added)
        ]
        return "\n".join([*map("\t".join, zip(*cells)), ""]).encode()


class JsonlFormat(TextFormat):
    """Files with a JSON object on each line."""

    name = "jsonl"
    suffixes = (".jsonl", ".ndjson", ".json")
    needs_utf8 = True
    has_blank_rows = False

    def schema(self, source: Source, stream: Any, options: ReadOptions) -> Schema:
        head = table_head(source, stream)
        is_list = head.removeprefix(BOM).lstrip().startswith(b"[")
        is_first_bracket = head.removeprefix(BOM).partition(b"\n")[0].strip() == b"["
        keys = dict[str, None]() if is_first_bracket else _first_keys(stream)
        if not keys:
            hint = (
                f"convert it with: jq -c '.[]' {source.path}"
                if is_list
                else "give one object per line"
            )
            raise DataError(f"{source.name} does not begin with a JSON object on a line; {hint}")
        columns = tuple(keys)
        return Schema(self.name, columns, options.find_text(columns, source), is_unicode=True)

    def parse(self, chunk: Any, schema: Schema, check_keys: Callable[[Any], None]) -> Rows:
        if isinstance(chunk, bytes) and (rows := _as_written(chunk, schema, check_keys)):
            return rows
        texts, reasons, objects = list[str | None](), list[str | None](), list[dict[str, Any]]()
        for row in self.split(chunk, schema) if isinstance(chunk, bytes) else chunk:
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
        return Rows(
            texts,
            reasons,
            lambda: [[o.get(n) for o in objects] for n in schema.columns],
            objects=objects,
        )

    def write(self, rows: Rows, added: Added, columns: OutputColumns) -> bytes:
        """An object for each row; of a JSONL input, with all of its own keys unless some are
        chosen."""
        objects = rows.objects if columns.kept is None else None
        own: Iterable[tuple[str, Sequence[Any]]] = ()
        parts: list[Iterable[str]] = []
        before = "{"
        key = functools.cache(lambda name: json_text(name) + ": ")
        if rows.lines is not None and columns.kept is None and columns.schema.format == self.name:
            parts, before = [rows.lines], ", "
        elif objects is None:
            own = zip(columns.columns, columns.pick(rows.columns))
        elif len({*map(tuple, objects)}) == 1:
            own = [(name, [row[name] for row in objects]) for name in objects[0]]
        else:
            pairs = (
                [f"{key(name)}{json_text(value)}, " for name, value in row.items()]
                for row in objects
            )
            parts, before = [["{" + "".join(each) for each in pairs]], ""
        for name, values in own:
            parts += [repeat(before + key(name)), map(json_text, values)]
            before = ", "
        for (name, is_number), texts in zip(columns.added.items(), columns.texts(added)):
            if is_number:
                parts += [repeat(before + key(name)), [text or "null" for text in texts]]
            else:
                known = {text: before + key(name) + json_text(text) for text in {*texts}}
                parts.append(map(known.__getitem__, texts))
            before = ", "
        text = "".join(chain.from_iterable(zip(*parts, repeat("}\n"))))
        # JSON has an escape for a lone surrogate.
        is_unicode = columns.schema.is_unicode
        return text.encode("utf-8", "backslashreplace") if is_unicode else replaced(text).encode()


def _first_keys(stream: Stream) -> dict[str, None]:
    """Return the keys of the objects at the beginning of an input: of all in HEAD_BYTES, or else of
    the first object, if it begins within the size of a row. A line that is no object, or is too
    long, is an error row, not the end of the run."""
    keys, size = dict[str, None](), 0
    for piece in stream.first_pieces():
        for line in io.BytesIO(piece if isinstance(piece, bytes) else b""):
            size += len(line)
            try:
                keys.update(dict.fromkeys(_object(line.decode("utf-8", "surrogateescape"))))
            except RowError:
                continue
        if (keys and (piece is None or size >= HEAD_BYTES)) or size > MAX_ROW_BYTES:
            break
    return keys


def _as_written(data: bytes, schema: Schema, check_keys: Callable[[Any], None]) -> Rows | None:
    """Return the rows of lines that are as ``write`` makes them, with the keys of the first; else
    None."""
    import numpy as np

    try:
        keys = [*_object(data[: data.find(b"\n")].decode("utf-8", "surrogateescape"))]
        check_keys(keys)
    except RowError:
        return None
    # The pattern takes any character in quotes, and memory for each escape of a line.
    ends, controls = data.count(b"\n"), np.count_nonzero(np.frombuffer(data, np.uint8) < ord(" "))
    is_small = len(data) <= _AT_ONCE_BYTES and len(keys) <= _AT_ONCE_KEYS
    if schema.text_column not in keys or controls > ends or not is_small:
        return None
    has_escapes = b"\\" in data
    string = r'[^"\\]*(?:\\["\\nrtbf][^"\\]*)*' if has_escapes else '[^"]*'
    number = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
    values = dict.fromkeys(keys, f'(?:"{string}"|{number}|true|false|null)')
    values[schema.text_column] = f'"({string})"'
    items = ", ".join([f"{re.escape(json_text(key))}: {value}" for key, value in values.items()])
    texts, lines = as_written(data, re.compile(rf"^\{{{items}\}}\n", re.MULTILINE), "}\n")
    if not texts:
        return None
    if has_escapes:
        texts = [json.loads(f'"{text}"') if "\\" in text else text for text in texts]

    def load() -> list[Sequence[Any]]:
        objects, _ = _SCAN("[" + "},".join(lines) + "}]", 0)
        return [[row.get(name) for row in objects] for name in schema.columns]

    return Rows(texts, [None] * len(texts), load, lines)


def _text(row: dict[str, Any], column: str) -> str:
    text = row.get(column)
    if isinstance(text, str) and not isinstance(text, Number):
        return text
    if column not in row:
        raise RowError(f"the row has no {column!r}")
    raise RowError(
        "the text is null" if text is None else f"the text is {_kind(text)}, not a string"
    )


def _object(line: str) -> dict[str, Any]:
    if not line.isascii() and (where := utf8_error(line)):
        raise RowError(f"the row {NOT_UTF8} {where}")
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
