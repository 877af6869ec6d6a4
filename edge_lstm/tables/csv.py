"""CSV and TSV, by Python's ``csv`` module.

A doubled quote stands for one, and a quote inside an unquoted field is a plain character. A blank
line is skipped, except in a file of one column.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from edge_lstm.errors import DataError
from edge_lstm.printable import well_formed
from edge_lstm.tables.encoding import NAME_IT
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
    fitted_row,
    lines_of,
    separated,
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
from edge_lstm.tables.values import cell_text, refuse_bytes, utf8_error

# The comma first: it wins if another delimiter fits as well.
DELIMITERS = (",", ";", "\t", "|")
# A row is at most MAX_ROW_BYTES and one line long when it is cut. The module counts characters.
csv.field_size_limit(max(csv.field_size_limit(), 4 * MAX_ROW_BYTES))
# The module refuses a carriage return inside a line and, before Python 3.11, a zero byte. They pass
# through it as surrogates that stand for no byte.
_INNER_RETURN = re.compile(r"\r(?!\n|\Z)")
_PASSED_ZERO = "\udc00"
_PASSED_RETURN = "\udc0d"
_BLANK = (b"", b"\r")  # lines


def _passed(text: str) -> tuple[str, bool]:
    """Return lines for the module, and whether their fields need :func:`_put_back`."""
    if "\0" not in text and text.count("\r") == text.count("\r\n"):
        return text, False
    return _INNER_RETURN.sub(_PASSED_RETURN, text.replace("\0", _PASSED_ZERO)), True


def _put_back(fields: list[str]) -> list[str]:
    """Return the fields of a row as they stand in the file."""
    return [field.replace(_PASSED_ZERO, "\0").replace(_PASSED_RETURN, "\r") for field in fields]


def ends_open(line: bytes, delimiter: bytes, *, is_open: bool) -> bool:
    """Return whether a quote is open at the end of a line.

    is_open: whether one is at its beginning.
    """
    # A doubled quote changes nothing: it opens and closes, or stands for a character. Without them,
    # a quote closes, opens at the beginning of a field, or is a character within one.
    before = line.replace(b'""', b"").split(b'"')[:-1]
    for i, text in enumerate(before):
        is_open = not is_open and (text.endswith(delimiter) or not (i or text))
    return is_open


class RowCutter:
    """The rows of any CSV, cut out of the lines of its pieces.

    A blank line is a row only of a file of one column.
    """

    def __init__(self, schema: Schema) -> None:
        self._delimiter = schema.dialect.delimiter.encode()
        self._skipped = () if len(schema.columns) == 1 else _BLANK
        self._is_open = False
        # The lines of a row whose quote is open, and the bytes of others that are not kept.
        self._row = bytearray()
        self._dropped = 0

    def cut(self, piece: bytes | LongLine) -> Iterator[Piece | LongLine]:
        """Yield the rows that end in a piece. LongLine is a row that is not kept."""
        if isinstance(piece, LongLine):
            self._drop(piece.size)
            # Of such a line, only the number of its quotes is known.
            self._is_open = self._is_open != bool(piece.quotes % 2)
            if not self._is_open:
                yield LongLine(self._dropped, 0)
                self._dropped = 0
            return
        is_blank = any(b"\n" + line + b"\n" in b"\n" + piece for line in _BLANK)
        if not (self._is_open or is_blank or b'"' in piece):
            yield lines_of(piece)
            return
        end = len(self._row)
        data = self._row
        data += piece
        first = start = 0  # of the rows that are yielded next, and of the last of them
        ends: list[int] = []
        for line in piece.split(b"\n")[:-1]:
            end += len(line) + 1
            if self._is_open or b'"' in line:
                self._is_open = ends_open(line, self._delimiter, is_open=self._is_open)
                if self._is_open:
                    continue
            elif line in self._skipped:
                start = end
                continue
            if end - start + self._dropped <= MAX_ROW_BYTES:
                ends.append(end - first)
            else:
                yield Piece(bytes(data[first:start]), ends)
                yield LongLine(end - start + self._dropped, 0)
                self._dropped = 0
                ends = []
                first = end
            start = end
        yield Piece(bytes(data[first:start]), ends)
        del data[:start]
        if len(data) > MAX_ROW_BYTES:
            self._drop()

    def last(self) -> Iterator[Piece | LongLine]:
        """Yield the row whose quote never closes, if there is one."""
        if self._dropped:
            yield LongLine(self._dropped + len(self._row), 0)
        elif self._row:
            yield Piece(bytes(self._row), [len(self._row)])

    def _drop(self, more: int = 0) -> None:
        """Drop the beginning of a row. more: further bytes of the row."""
        self._dropped += len(self._row) + more
        self._row.clear()


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
        dialect = sniff(body, self._delimiter)
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
    ) -> Iterator[Piece | LongLine]:
        """Yield the rows after the header."""
        cutter = RowCutter(schema)
        cut = map(cutter.cut, filter(None, stream.pieces(checksum)))
        is_header = True
        for piece in chain(chain.from_iterable(cut), cutter.last()):
            if not is_header or (isinstance(piece, Piece) and not piece.ends):
                yield piece
                continue
            is_header = False
            if isinstance(piece, Piece):
                size = piece.ends[0]
                yield Piece(piece.rows[size:], [end - size for end in piece.ends[1:]])

    def parse(self, block: Block, schema: Schema, keys: Keys = ANY_KEYS) -> Rows:
        """Return the rows of a block.

        If a row has too many fields, the last column has the rest.
        """
        delimiter = schema.dialect.delimiter
        table, own = _split(block.rows, schema)
        reasons: list[str | None] = [None] * len(table)
        if own and _never_closes(own[-1], delimiter):
            reasons[-1] = "a quote opens in this row and never closes"
            table[-1][-1] = table[-1][-1].removesuffix("\n").removesuffix("\r")
        for place, reason in block.gaps.items():
            table.insert(place, [])
            own.insert(place, "")
            reasons.insert(place, reason)
        for i, fields in enumerate(table):
            if reasons[i] is not None or len(fields) != len(schema.columns):
                table[i], reasons[i] = fitted_row(fields, schema, reasons[i])
                own[i] = delimiter.join(cells(table[i], delimiter))
        every = schema.texts(lambda index: [row[index] for row in table])
        texts = [None if reason else text for text, reason in zip(every, reasons)]
        refuse_bytes(texts, reasons)
        return Rows(texts, reasons, lambda: list(zip(*table)), own)

    def header(self, columns: OutputColumns) -> bytes:
        """Return the line of the names, after a byte order mark if the input has one."""
        dialect = self._dialect(columns)
        names = cells([*columns.columns, *columns.added], dialect.delimiter)
        line = dialect.delimiter.join(names) + dialect.newline
        return (BOM if dialect.bom else b"") + well_formed(line).encode()

    def _parts(
        self, rows: Rows, added: Sequence[Column], columns: OutputColumns
    ) -> list[Iterable[str]]:
        """Return the parts of rows. A row of CSV is written as it stands in its file."""
        dialect = self._dialect(columns)
        is_alone = len(columns.columns) + len(added) == 1

        def cell(value: str | None) -> str:
            (text,) = cells([value], dialect.delimiter)
            return text or ('""' if is_alone else "")  # most readers skip an empty line

        row: list[Iterable[str]] = [rows.own]
        if not columns.is_appended:
            row = [self._cells(rows, index, columns) for index in columns.own]
        row += [cells_of(column, cell) for column in added]
        return separated(row, dialect.delimiter, dialect.newline, len(rows.texts))

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


def _split(rows: bytes, schema: Schema) -> tuple[list[Any], list[str]]:
    """Return the fields of rows, and each row as it stands in the file, without its end."""
    text = rows.decode("utf-8", "surrogateescape")
    lines = text.split("\n")[:-1]
    passed, is_passed = _passed(text)
    reader = csv.reader(
        [line + "\n" for line in passed.split("\n")[:-1]], delimiter=schema.dialect.delimiter
    )
    blank = [""] if len(schema.columns) == 1 else None
    table: list[Any] = []
    own: list[str] = []
    start = 0
    for fields in reader:
        end = reader.line_num
        row = fields or blank
        if row is not None:
            table.append(_put_back(row) if is_passed else row)
            own.append("\n".join(lines[start:end]).removesuffix("\r"))
        start = end
    return table, own


def _never_closes(row: str, delimiter: str) -> bool:
    is_open = False
    for line in row.encode("utf-8", "surrogateescape").split(b"\n"):
        is_open = ends_open(line, delimiter.encode(), is_open=is_open)
    return is_open


def _header(body: bytes, dialect: Dialect) -> tuple[tuple[str, ...], bool]:
    """Return the fields of the first row, and whether the text ends within a quoted one."""
    # The reader takes the empty line only if a quote is open.
    text, _ = _passed(body.decode("utf-8", "surrogateescape"))
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


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as CSV with commas. Half a character becomes U+FFFD."""
    return well_formed("".join(",".join(cells(row, ",")) + "\n" for row in rows))


def sniff(head: bytes, delimiter: str | None = None) -> Dialect:
    """Return the dialect of a file.

    head: its beginning, without a byte order mark.
    delimiter: if None, the one with which most records have as many fields as the header.
    """
    lines = head.split(b"\n")[:-1] or [head]
    newline = "\r\n" if lines[0].endswith(b"\r") else "\n"
    if delimiter is None:
        some = b"\n".join([*lines[:200], b""])
        sample, _ = _passed(some.decode("utf-8", "surrogateescape"))
        delimiter = max(DELIMITERS, key=lambda candidate: _fit(sample, candidate))
    return Dialect(delimiter, newline)


def _fit(sample: str, delimiter: str) -> tuple[float, int]:
    """Return the share of the first records with as many fields as the header, and that number."""
    lines = chain(io.StringIO(sample, newline="\n"), [""])
    # The last record is empty, or its quote is open.
    records = [*csv.reader(lines, delimiter=delimiter)][:-1]
    counts = [len(fields) for fields in records if fields][:50]
    if not counts or counts[0] == 1:
        return 0.0, 0
    return counts.count(counts[0]) / len(counts), counts[0]


CSV = CsvFormat("csv", (".csv",), None)
TSV = CsvFormat("tsv", (".tsv", ".tab"), "\t")
