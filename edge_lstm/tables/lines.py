"""Text, one document per line, and JSONL, one object per line.

A row that is written as text is only its added columns, separated by tabs.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from edge_lstm.core.fields import parse_object
from edge_lstm.errors import DataError
from edge_lstm.printable import Number, json_text
from edge_lstm.tables.encoding import check_text
from edge_lstm.tables.format import (
    ANY_KEYS,
    Block,
    Column,
    Format,
    Keys,
    OutputColumns,
    Piece,
    Rows,
    cells_of,
    lines_of,
    separated,
)
from edge_lstm.tables.schema import (
    BOM,
    MAX_ROW_BYTES,
    WHOLE_ROW,
    Checksum,
    ReadOptions,
    Schema,
    Source,
)
from edge_lstm.tables.stream import HEAD_BYTES, LongLine, Stream, table_head
from edge_lstm.tables.values import (
    MAX_DEPTH,
    NULL_TEXT,
    RowError,
    json_object,
    json_value,
    kind_of,
    refuse_bytes,
    replaced,
    scan_json,
)

RAW_COLUMN = "raw"  # the key of a row that is not a JSON object; its value is the row as a string
_ESCAPE = "surrogateescape"


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
    ) -> Iterator[Piece | LongLine | None]:
        """Yield the lines as rows."""
        for piece in stream.pieces(checksum):
            if not isinstance(piece, bytes):
                yield piece
                continue
            # Lines that begin with a brace are not blank, and of JSONL nearly all do.
            is_other = not piece.startswith(b"{") or re.compile(rb"\n[^{]").search(piece)
            if is_other and not self.has_blank_rows:
                piece = b"".join(line for line in io.BytesIO(piece) if not _is_blank(line))
            yield lines_of(piece)

    def parse(self, block: Block, schema: Schema, keys: Keys = ANY_KEYS) -> Rows:
        """Return each line as a row."""
        lines = _lines(block.rows)
        texts: list[str | None] = [*lines]
        reasons: list[str | None] = [None] * len(lines)
        for place, reason in block.gaps.items():
            lines.insert(place, "")
            texts.insert(place, None)
            reasons.insert(place, reason)
        refuse_bytes(texts, reasons)
        return Rows(texts, reasons, lambda: [lines])

    def _parts(
        self, rows: Rows, added: Sequence[Column], columns: OutputColumns
    ) -> list[Iterable[str]]:
        """Return the added columns alone; a tab or a line end in a value becomes a space."""
        return separated(
            [cells_of(column, one_line) for column in added], "\t", "\n", len(rows.texts)
        )


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

    def parse(self, block: Block, schema: Schema, keys: Keys = ANY_KEYS) -> Rows:
        """Return the rows of a block.

        A row that is not an object, or has no key or a wrong one, is its line under RAW_COLUMN.
        """
        lines = _lines(block.rows)
        for place in block.gaps:
            lines.insert(place, "")
        key = None if schema.text == WHOLE_ROW else schema.text_column
        fits = keys.fits
        is_suspect = _is_suspect(block.rows)
        texts: list[str | None] = []
        reasons: list[str | None] = [None] * len(lines)
        own: list[str] = []
        for place, line in enumerate(lines):
            text = None
            # It is not an object with a text, or has a number of too many digits for Python.
            try:
                row, end = ({}, 0) if key is None else scan_json(line, 0)
                text = row[key]
                is_plain = end == len(line) and type(text) is str and fits(row)
            except (StopIteration, ValueError, RecursionError, KeyError, TypeError):
                is_plain = False
            if is_plain and not (is_suspect and _is_suspect(line.encode("utf-8", _ESCAPE))):
                texts.append(text)
                own.append(line[:-1])
                continue
            text, reasons[place], stem = _read_row(line, block.gaps.get(place), schema, keys)
            texts.append(text)
            own.append(stem)

        def load() -> list[Sequence[Any]]:
            objects = [json_value(stem + "}") for stem in own]
            return [[row.get(name) for row in objects] for name in schema.columns]

        return Rows(texts, reasons, load, own)

    def _parts(
        self, rows: Rows, added: Sequence[Column], columns: OutputColumns
    ) -> list[Iterable[str]]:
        """Return the parts of objects.

        A row of JSONL is written as it stands in its file, unless columns are chosen.
        """
        count = len(rows.texts)
        items: list[tuple[str, Iterable[str]]] = []
        if columns.is_appended:
            parts: list[Iterable[str]] = [
                rows.own,
                ["" if own.endswith("{") else ", " for own in rows.own],
            ]
        else:
            parts = [["{"] * count]
            for name, index in zip(columns.columns, columns.own):
                items.append((name, map(json_text, rows.columns[index])))
        before = ""
        items += [(name, cells_of(each, json_text)) for name, each in zip(columns.added, added)]
        for name, values in items:
            parts += [[f"{before}{json_text(name)}: "] * count, values]
            before = ", "
        return [*parts, ["}\n"] * count]

    def _encoded(self, lines: str, columns: OutputColumns) -> bytes:
        if columns.schema.is_unicode:
            # JSON has an escape for half a character.
            return lines.encode("utf-8", "backslashreplace")
        return replaced(lines).encode()


def one_line(value: str | None) -> str:
    """Return a value as it stands in a line: with a space for each tab and line end."""
    return re.compile("[\t\r\n]").sub(" ", value or "")


def _first_keys(stream: Stream) -> tuple[str, ...]:
    """Return the keys of the objects in the first HEAD_BYTES, or else of the first object.

    The first object must begin within the size of a row. A line that is not an object, or too long,
    is an error row and does not end the run.
    """
    keys: dict[str, None] = {}
    size = 0
    for piece in stream.first_pieces():
        data = piece if isinstance(piece, bytes) else b""
        for line in io.BytesIO(data):
            size += len(line)
            try:
                row = json_object(line.rstrip(b"\r\n").decode("utf-8", _ESCAPE))
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


def _lines(rows: bytes) -> list[str]:
    """Return lines as text, without their ends."""
    lines = rows.decode("utf-8", _ESCAPE).split("\n")[:-1]
    return [line.removesuffix("\r") for line in lines] if b"\r" in rows else lines


def _is_suspect(lines: bytes) -> bool:
    """Return whether a line may not be UTF-8, or may be nested too deep."""
    # The braces that begin other lines do not count.
    if lines.count(b"{") + lines.count(b"[") - lines.count(b"\n{") >= MAX_DEPTH:
        return True
    try:
        lines.decode()
    except UnicodeDecodeError:
        return True
    return False


def _read_row(
    line: str, gap: str | None, schema: Schema, keys: Keys
) -> tuple[str | None, str | None, str]:
    """Return the text of any line, why it has none, and the line up to where more keys can follow.

    gap: why the line was not kept; None if it was.
    """
    is_whole = schema.text == WHOLE_ROW
    try:
        if gap is not None:
            raise RowError(gap)
        row = dict(json_object(line, parse_object if is_whole else json_value))
        keys.check(row)
    except (RowError, DataError) as error:
        raw = json_text(None if gap else replaced(line))
        reason = str(error).removesuffix("; correct the object")
        return None, reason, f'{{"{RAW_COLUMN}": {raw}'
    stem = line.rstrip().removesuffix("}").rstrip()
    try:
        return line if is_whole else _text(row, schema.text_column), None, stem
    except RowError as error:
        return None, str(error), stem


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
