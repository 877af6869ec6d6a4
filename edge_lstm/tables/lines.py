"""Text, one document per line, and JSONL, one object per line.

A row that is written as text is only its added columns, separated by tabs.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from edge_lstm.errors import DataError
from edge_lstm.tables import fast
from edge_lstm.tables.encoding import check_text
from edge_lstm.tables.format import (
    Added,
    Column,
    Format,
    Items,
    LineEnds,
    OutputColumns,
    Part,
    Piece,
    Rows,
    RowWithoutText,
    separated,
    too_long,
)
from edge_lstm.tables.schema import BOM, MAX_ROW_BYTES, Checksum, ReadOptions, Schema, Source
from edge_lstm.tables.stream import HEAD_BYTES, LongLine, Stream, table_head
from edge_lstm.tables.values import (
    NULL_TEXT,
    Number,
    RowError,
    json_object,
    json_text,
    kind_of,
    replaced,
)

RAW_COLUMN = "raw"  # the key of a row that is not a JSON object; its value is the row as a string
_BREAKS = re.compile("[\t\r\n]")
_OTHER_LINE = re.compile(rb"\n[^{]")


class TextFormat(Format):
    """Text files; fastText's, whose lines begin with labels."""

    name = "text"
    suffixes: tuple[str, ...] = (".txt", ".text", ".ft")
    has_fixed_columns = False
    has_blank_rows = True

    def schema(self, source: Source, stream: Any, options: ReadOptions) -> Schema:
        """Return the only column.

        Raises DataError if the beginning is not text.
        """
        check_text(source, stream.head())
        return Schema(self.name, ("text",), 0)

    def pieces(
        self, source: Source, stream: Any, checksum: Checksum, schema: Schema
    ) -> Iterator[Piece | None]:
        """Yield rows of one field: a line without its end."""
        for piece in stream.pieces(checksum):
            if piece is None:
                yield None
                continue
            if isinstance(piece, LongLine):
                yield [too_long(piece.size)], [piece.size]
                continue
            # Lines that begin with a brace are not blank, and of JSONL nearly all do.
            is_other = not piece.startswith(b"{") or _OTHER_LINE.search(piece)
            if is_other and not self.has_blank_rows:
                piece = b"".join(line for line in io.BytesIO(piece) if not _is_blank(line))
            yield piece, LineEnds(piece)

    def split(self, data: bytes, schema: Schema) -> Iterable[Any]:
        """Return each line as a row."""
        lines = data.decode("utf-8", "surrogateescape").split("\n")[:-1]
        return [[line.removesuffix("\r")] for line in lines]

    def parts(self, added: Sequence[Column], columns: OutputColumns) -> list[Part]:
        """Return the added columns alone; a tab or a line end in a value becomes a space."""
        cells = [Added(column, one_line) for column in added]
        return [*separated(cells, "\t"), "\n"]


class JsonlFormat(TextFormat):
    """Files with a JSON object on each line."""

    name = "jsonl"
    suffixes: tuple[str, ...] = (".jsonl", ".ndjson", ".json")
    needs_utf8 = True
    has_blank_rows = False

    def schema(self, source: Source, stream: Any, options: ReadOptions) -> Schema:
        """Return the keys of the first objects.

        Raises DataError if the beginning has none.
        """
        head = table_head(source, stream).removeprefix(BOM)
        # A list over several lines may hold objects on lines of their own, with a comma behind.
        begins_list = head.partition(b"\n")[0].strip() == b"["
        columns = () if begins_list else _first_keys(stream)
        if not columns:
            hint = "give one object per line"
            if head.lstrip().startswith(b"["):
                hint = f"convert it with: jq -c '.[]' {source.path}"
            raise DataError(f"{source.name} does not begin with a JSON object on a line; {hint}")
        return Schema(self.name, columns, options.find_text(columns, source), is_unicode=True)

    def parse(self, chunk: Any, schema: Schema, check_keys: Callable[[Any], None]) -> Rows:
        """Return the rows of a chunk.

        A row that is not an object has its line under the key RAW_COLUMN.
        """
        if isinstance(chunk, bytes):
            rows = fast.json_rows(chunk, schema, check_keys)
            if rows is not None:
                return rows
            chunk = self.split(chunk, schema)
        texts: list[str | None] = []
        reasons: list[str | None] = []
        objects: list[dict[str, Any]] = []
        for row in chunk:
            fields: dict[str, Any] | None = None
            text = None
            reason = None
            try:
                if isinstance(row, RowWithoutText):
                    raise RowError(row.reason)
                parsed = json_object(row[0])
                check_keys(parsed)
                fields = parsed
                text = _text(fields, schema.text_column)
            except RowError as error:
                reason = str(error)
                if fields is None:
                    fields = (
                        {} if isinstance(row, RowWithoutText) else {RAW_COLUMN: replaced(row[0])}
                    )
            texts.append(text)
            reasons.append(reason)
            objects.append(fields)

        def load() -> list[Sequence[Any]]:
            return [[row.get(name) for row in objects] for name in schema.columns]

        return Rows(texts, reasons, load, objects=objects)

    def parts(self, added: Sequence[Column], columns: OutputColumns) -> list[Part]:
        """Return the parts of an object.

        A row of JSONL is written with all of its own keys, unless columns are chosen.
        """
        items: list[tuple[str, Part]] = [*zip(columns.columns, columns.own)]
        parts: list[Part] = ["{"]
        if columns.kept is None and columns.schema.is_unicode:
            items = []
            parts.append(Items(", "))
        items += [(name, Added(column, json_text)) for name, column in zip(columns.added, added)]
        before = ""
        for name, value in items:
            parts += [f"{before}{json_text(name)}: ", value]
            before = ", "
        return [*parts, "}\n"]

    def _cells(self, rows: Rows, index: int, columns: OutputColumns) -> Iterable[str]:
        return map(json_text, rows.columns[index])

    def _items(self, rows: Rows, separator: str, columns: OutputColumns) -> Iterable[str]:
        if rows.objects is None:
            return [line + separator for line in rows.lines or ()]
        texts: list[str] = []
        for row in rows.objects:
            items = [f"{json_text(key)}: {json_text(value)}" for key, value in row.items()]
            texts.append(separator.join([*items, ""]))
        return texts

    def _encoded(self, lines: str, columns: OutputColumns) -> bytes:
        if columns.schema.is_unicode:
            # JSON has an escape for half a character.
            return lines.encode("utf-8", "backslashreplace")
        return replaced(lines).encode()


def one_line(value: str | None) -> str:
    """Return a value as it stands in a line: with a space for each tab and line end."""
    return _BREAKS.sub(" ", value or "")


def _first_keys(stream: Stream) -> tuple[str, ...]:
    """Return the keys of the objects in the first HEAD_BYTES, or else of the first object.

    The first object must begin within the size of a row. A line that is not an object, or too long,
    is an error row and does not end the run.
    """
    keys: dict[str, None] = {}
    size = 0
    for piece in stream.first_pieces():
        data = piece if isinstance(piece, bytes) else b""
        if same := fast.json_keys(data):
            keys.update(dict.fromkeys(same))
            size += len(data)
            data = b""
        for line in io.BytesIO(data):
            size += len(line)
            try:
                row = json_object(line.decode("utf-8", "surrogateescape"))
            except RowError:
                continue
            keys.update(dict.fromkeys(row))
        is_seen = piece is None or size >= HEAD_BYTES
        if (keys and is_seen) or size > MAX_ROW_BYTES:
            break
    return tuple(keys)


def _is_blank(line: bytes) -> bool:
    # Unicode has more spaces than ASCII.
    return not line.decode("utf-8", "surrogateescape").strip()


def _text(row: dict[str, Any], column: str) -> str:
    """Return the text of a row.

    Raises RowError if it has none.
    """
    if column not in row:
        raise RowError(f"the row has no {column!r}")
    text = row[column]
    if text is None:
        raise RowError(NULL_TEXT)
    if not isinstance(text, str) or isinstance(text, Number):
        raise RowError(f"the text is {kind_of(text)}, not a string")
    return text


TEXT = TextFormat()
JSONL = JsonlFormat()
