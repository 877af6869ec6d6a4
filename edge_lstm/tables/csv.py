"""CSV and TSV, by Python's ``csv`` module.

A doubled quote stands for one, and a quote inside an unquoted field is a plain character. A blank
line is skipped, except in a file of one column.
"""

from __future__ import annotations

import csv
import enum
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, chain
from typing import Any

from edge_lstm.errors import DataError
from edge_lstm.tables import fast
from edge_lstm.tables.encoding import NAME_IT
from edge_lstm.tables.format import (
    Added,
    Column,
    Format,
    Items,
    OutputColumns,
    Part,
    Piece,
    Rows,
    RowWithoutText,
    separated,
    too_long,
)
from edge_lstm.tables.schema import (
    BOM,
    MAX_ROW,
    MAX_ROW_BYTES,
    Checksum,
    Dialect,
    ReadOptions,
    Schema,
    Source,
)
from edge_lstm.tables.stream import HEAD_BYTES, LongLine, table_head
from edge_lstm.tables.values import cell_text, utf8_error
from edge_lstm.text import well_formed

# The comma first: it wins if another delimiter fits as well.
DELIMITERS = (",", ";", "\t", "|")
_SNIFFED_ROWS = 50
_SNIFFED_LINES = 200
# A row is at most MAX_ROW_BYTES and one line long when it is cut. The module counts characters.
csv.field_size_limit(max(csv.field_size_limit(), 4 * MAX_ROW_BYTES))
# The module refuses a carriage return inside a line and, before Python 3.11, a zero byte. They pass
# through it as surrogates that stand for no byte.
_INNER_RETURN = re.compile(r"\r(?!\n|\Z)")
_PASSED_ZERO = "\udc00"
_PASSED_RETURN = "\udc0d"


def _decoded(lines: bytes) -> tuple[str, bool]:
    """Return lines for the module, and whether their fields need :func:`_put_back`."""
    text = lines.decode("utf-8", "surrogateescape")
    if "\0" not in text and text.count("\r") == text.count("\r\n"):
        return text, False
    return _INNER_RETURN.sub(_PASSED_RETURN, text.replace("\0", _PASSED_ZERO)), True


def _put_back(fields: list[str]) -> list[str]:
    """Return the fields of a row as they stand in the file."""
    return [field.replace(_PASSED_ZERO, "\0").replace(_PASSED_RETURN, "\r") for field in fields]


class _State(enum.Enum):
    """The state of a RowReader."""

    READING = "lines follow"
    CUT = "the row is too long to keep, and goes on in quotes"
    ENDED = "the input has no more lines"


class RowReader:
    """The rows of any CSV, each with its size in bytes.

    pieces: whole lines, or LongLine; an iterator, of which no more is taken than the rows need.
    """

    def __init__(self, pieces: Iterator[bytes | LongLine], schema: Schema) -> None:
        self._pieces = pieces
        self._delimiter = schema.dialect.delimiter
        self._blank = [""] if len(schema.columns) == 1 else None
        self._state = _State.READING
        # The lines of a piece that no row has yet: their bytes and text.
        self._lines: deque[tuple[int, str]] = deque()
        self._is_passed = False  # whether a line has characters that _put_back puts back
        # Bytes of the row that is read now: in memory, and no longer there.
        self._kept = self._dropped = 0

    def read(self) -> Piece:
        """Return the rows of the next piece, the last one with its lines in later pieces.

        If the piece has only blank lines, a later one gives the rows.
        """
        rows: list[Any] = []
        sizes: list[int] = []
        reader = csv.reader(self._next_lines(), delimiter=self._delimiter)
        while self._lines or self._kept or self._dropped or not rows:
            fields = next(reader, None)
            if fields is None:
                break
            if self._state is _State.CUT:
                # A quote is open, so the rest of the row is read after a quote.
                self._state = _State.READING
                self._dropped += self._kept
                self._kept = 0
                lines = chain(['"'], self._next_lines())
                reader = csv.reader(lines, delimiter=self._delimiter)
                continue
            size = self._dropped + self._kept
            row = self._row(fields, size)
            if row is not None:
                rows.append(row)
                sizes.append(size)
            self._kept = self._dropped = 0
        return rows, list(accumulate(sizes))

    def _next_lines(self) -> Iterator[str]:
        """Yield lines until the row is too long to keep, or the input ends."""
        while self._kept <= MAX_ROW_BYTES:
            if self._lines:
                size, line = self._lines.popleft()
                self._kept += size
                yield line
                continue
            piece = next(self._pieces, None)
            if piece is None:
                self._state = _State.ENDED
                return
            if isinstance(piece, LongLine):
                self._dropped += piece.size
                # The row is not kept, but its quotes decide on its end.
                yield '"' * (piece.quotes % 2) + "\n"
                continue
            text, is_passed = _decoded(piece)
            self._is_passed = self._is_passed or is_passed
            self._lines.extend(zip(map(len, io.BytesIO(piece)), io.StringIO(text, newline="\n")))
        self._state = _State.CUT

    def _row(self, fields: list[str], size: int) -> list[str] | RowWithoutText | None:
        """Return the row of these fields; None for a blank line that is skipped."""
        if size > MAX_ROW_BYTES:
            return too_long(size)
        if self._is_passed:
            fields = _put_back(fields)
        if self._state is _State.READING:
            return fields or self._blank
        # The module asks for a line after the last one only if a quote is open.
        *before, last = fields
        last = last.removesuffix("\n").removesuffix("\r")
        return RowWithoutText("a quote opens in this row and never closes", [*before, last])


class CsvFormat(Format):
    """CSV of a given delimiter, or of any."""

    may_repeat_names = True

    def __init__(self, name: str, suffixes: tuple[str, ...], delimiter: str | None) -> None:
        self.name = name
        self.suffixes = suffixes
        self._delimiter = delimiter

    def schema(self, source: Source, stream: Any, options: ReadOptions) -> Schema:
        """Return the columns of the header, and the dialect.

        Raises DataError if the header cannot be read.
        """
        head = table_head(source, stream)
        body = head.removeprefix(BOM)
        if b"\n" not in body:
            if b"\r" in body:
                raise DataError(
                    f"{source.name} ends its lines with CR only; "
                    f"convert it with: tr '\\r' '\\n' < {source.path}"
                )
            if len(head) > MAX_ROW_BYTES:
                raise DataError(
                    f"{source.name}: the header is longer than {MAX_ROW}; check that it is a table"
                )
        dialect = sniff(body, options.delimiter or self._delimiter)
        columns, is_open = _header(body, dialect)
        # A quoted name may go on after the bytes that were looked at.
        if is_open and len(head) >= HEAD_BYTES:
            columns, is_open = _header(stream.head(MAX_ROW_BYTES).removeprefix(BOM), dialect)
            if is_open:
                raise DataError(
                    f"{source.name}: the header has a quote that does not close; check it"
                )
        if any(map(utf8_error, columns)):
            raise DataError(f"{source.name}: its header is not UTF-8; {NAME_IT}")
        dialect = replace(dialect, bom=head.startswith(BOM))
        return Schema(self.name, columns, options.find_text(columns, source), dialect=dialect)

    def pieces(
        self, source: Source, stream: Any, checksum: Checksum, schema: Schema
    ) -> Iterator[Piece]:
        """Yield the rows after the header; as bytes if they are as ``csv.writer`` writes them."""
        # The empty piece at the end takes a row that is still open.
        pieces = chain(filter(None, stream.pieces(checksum)), [b""])
        is_header = True
        open_row = b""
        rows: bytes | Sequence[Any]
        for piece in pieces:
            data = b"" if isinstance(piece, LongLine) else open_row + piece
            ends: Any = fast.csv_row_ends(data, schema.dialect)
            if ends is None:
                rows, ends = RowReader(chain([open_row, piece], pieces), schema).read()
                open_row = b""
            else:
                rows = data[: ends[-1]]
                open_row = data[ends[-1] :]
            if is_header and len(ends):
                is_header = False
                rows = rows[ends[0] :] if isinstance(rows, bytes) else rows[1:]
                ends = [end - ends[0] for end in ends[1:]]
            yield rows, ends

    def split(self, data: bytes, schema: Schema) -> Iterable[Any]:
        """Return the fields of rows that ``fast.csv_row_ends`` has found."""
        lines = io.StringIO(data.decode("utf-8", "surrogateescape"), newline="\n")
        return csv.reader(lines, delimiter=schema.dialect.delimiter)

    def header(self, columns: OutputColumns) -> bytes:
        """Return the line of the names, after a byte order mark if the input has one."""
        dialect = self._dialect(columns)
        names = cells([*columns.columns, *columns.added], dialect.delimiter)
        line = dialect.delimiter.join(names) + dialect.newline
        return (BOM if dialect.bom else b"") + well_formed(line).encode()

    def parts(self, added: Sequence[Column], columns: OutputColumns) -> list[Part]:
        """Return the cells, with quotes if they need them; most readers skip an empty line."""
        dialect = self._dialect(columns)
        is_alone = len(columns.columns) + len(added) == 1

        def cell(value: str | None) -> str:
            (text,) = cells([value], dialect.delimiter)
            return text or ('""' if is_alone else "")

        row: list[Part] = [*columns.own, *(Added(column, cell) for column in added)]
        parts = separated(row, dialect.delimiter)
        if columns.kept is None and dialect is columns.schema.dialect:
            parts[: 2 * len(columns.own)] = [Items(dialect.delimiter)]
        return [*parts, dialect.newline]

    def _cells(self, rows: Rows, index: int, columns: OutputColumns) -> Iterable[str]:
        values: Iterable[Any] = rows.columns[index]
        # The other formats have strings, and None in a row that is too short.
        if columns.schema.is_unicode or rows.table is not None:
            values = map(cell_text, values)
        texts = cells(values, self._dialect(columns).delimiter)
        if len(columns.columns) + len(columns.added) == 1:
            texts = [text or '""' for text in texts]
        return texts

    def _encoded(self, lines: str, columns: OutputColumns) -> bytes:
        # A string of JSON may hold half a character. In the other formats, a surrogate is a byte.
        if columns.schema.is_unicode:
            lines = well_formed(lines)
        return super()._encoded(lines, columns)

    def _dialect(self, columns: OutputColumns) -> Dialect:
        """Return the dialect of an output."""
        if columns.schema.format == self.name:
            return columns.schema.dialect
        return Dialect(self._delimiter or ",")


def _header(body: bytes, dialect: Dialect) -> tuple[tuple[str, ...], bool]:
    """Return the fields of the first row, and whether the text ends within a quoted one."""
    # The reader takes the empty line only if a quote is open.
    text, _ = _decoded(body)
    lines = chain(io.StringIO(text, newline="\n"), [""])
    fields = next(csv.reader(lines, delimiter=dialect.delimiter))
    is_open = next(lines, None) is None
    return tuple(_put_back(fields) or [""]), is_open


def cells(values: Iterable[str | None], delimiter: str) -> list[str]:
    """Return strings as ``csv.writer`` writes them in lines that end with CR LF; None as empty."""
    is_special = re.compile(f'["\r\n{re.escape(delimiter)}]').search
    texts: list[str] = []
    for value in values:
        text = value or ""
        if is_special(text):
            text = '"' + text.replace('"', '""') + '"'
        texts.append(text)
    return texts


def sniff(head: bytes, delimiter: str | None = None) -> Dialect:
    """Return the dialect of a file.

    head: its beginning, without a byte order mark.
    delimiter: if None, the one with which most records have as many fields as the header.
    """
    lines = head.split(b"\n")[:-1] or [head]
    newline = "\r\n" if lines[0].endswith(b"\r") else "\n"
    if delimiter is None:
        sample, _ = _decoded(b"\n".join([*lines[:_SNIFFED_LINES], b""]))
        delimiter = max(DELIMITERS, key=lambda candidate: _fit(sample, candidate))
    return Dialect(delimiter, newline)


def _fit(sample: str, delimiter: str) -> tuple[float, int]:
    """Return the share of the first records with as many fields as the header, and that number."""
    lines = chain(io.StringIO(sample, newline="\n"), [""])
    # The last record is empty, or its quote is open.
    records = [*csv.reader(lines, delimiter=delimiter)][:-1]
    counts = [len(fields) for fields in records if fields][:_SNIFFED_ROWS]
    if not counts or counts[0] == 1:
        return 0.0, 0
    return counts.count(counts[0]) / len(counts), counts[0]


CSV = CsvFormat("csv", (".csv",), None)
TSV = CsvFormat("tsv", (".tsv", ".tab"), "\t")
