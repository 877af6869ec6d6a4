"""CSV and TSV by Python's ``csv`` module: a doubled quote stands for one, a quote inside an unquoted field is
a plain character, a blank line is no row (but in a file of one column).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from edge_lstm.errors import DataError
from edge_lstm.tables.format import Added, Broken, Format, OutputColumns, Rows, too_long
from edge_lstm.tables.schema import BOM, MAX_ROW_BYTES, Dialect, ReadOptions, Schema, Source
from edge_lstm.tables.stream import HEAD_BYTES, LongLine, table_head
from edge_lstm.tables.values import cell_text, utf8_error

if TYPE_CHECKING:
    from hashlib import _Hash

DELIMITERS = (",", ";", "\t", "|")
_SNIFFED_ROWS, _SNIFFED_LINES = 50, 200
# What the module refuses (a carriage return inside a line; before Python 3.11, NUL) passes through it as a
# surrogate that stands for no byte.
_REFUSED, _PASSED = re.compile("\0|\r(?!\n|\\Z)"), re.compile("[\udc00\udc0d]")


class _Lines:
    """The lines of a file for ``csv.reader``, which asks for a further one within a row only while a quote is
    open. Of a row that is too long only the quotes go on: as many as tell where it ends.

    size: characters of the row so far; whoever takes a row sets it to 0.
    is_open: whether the input ended within a quote. has_passed: whether there are characters to put back.
    """

    def __init__(self, pieces: Iterable[bytes | LongLine | None]) -> None:
        self._pieces = pieces
        self.size = 0
        self.is_open = self.has_passed = False

    def __iter__(self) -> Iterator[str]:
        for piece in self._pieces:
            if isinstance(piece, LongLine):
                self.size += piece.size
                yield '"' * (piece.quotes % 2)
            elif piece is not None:
                text = piece.decode("utf-8", "surrogateescape")
                if "\r" in text or "\0" in text:
                    text, passed = _REFUSED.subn(lambda match: chr(0xDC00 + ord(match[0])), text)
                    self.has_passed |= passed > 0
                for line in io.StringIO(text, newline="\n"):
                    self.size += len(line)
                    yield line if self.size <= MAX_ROW_BYTES else '"' * (line.count('"') % 2)
        self.is_open = self.size > 0

    def put_back(self, fields: list[str]) -> list[str]:
        """Return the fields of a row as they stand in the file."""
        if not self.has_passed:
            return fields
        return [_PASSED.sub(lambda match: chr(ord(match[0]) - 0xDC00), field) for field in fields]

    def rows(self, delimiter: str) -> Iterator[list[str]]:
        """Yield the fields of each row."""
        csv.field_size_limit(max(csv.field_size_limit(), 2 * MAX_ROW_BYTES))
        return csv.reader(self, delimiter=delimiter)


class CsvFormat(Format):
    """CSV of any delimiter, or with the one that is given."""

    may_repeat_names = True

    def __init__(self, name: str, suffixes: tuple[str, ...], delimiter: str | None) -> None:
        self.name = name
        self.suffixes = suffixes
        self._delimiter = delimiter

    def schema(self, source: Source, stream: Any, options: ReadOptions) -> Schema:
        head = table_head(source, stream)
        body = head.removeprefix(BOM)
        if b"\n" not in body and b"\r" in body:
            raise DataError(
                f"{source.name} ends its lines in CR alone; convert it with: tr '\\r' '\\n' < {source.path}"
            )
        dialect = sniff(body, options.delimiter or self._delimiter)
        lines = _Lines([body])
        columns = tuple(lines.put_back(next(lines.rows(dialect.delimiter)) or [""]))
        if lines.is_open and len(head) >= HEAD_BYTES:
            raise DataError(f"{source.name}: the header has a quote that does not close in 1 MiB; check it")
        if any(map(utf8_error, columns)):
            raise DataError(
                f"{source.name}: its header is not UTF-8; "
                f"convert it with: iconv -f WINDOWS-1252 -t UTF-8 {source.path}"
            )
        dialect = replace(dialect, bom=head.startswith(BOM))
        return Schema(self.name, columns, options.find_text(columns, source), dialect=dialect)

    def rows(self, source: Source, stream: Any, digest: _Hash, schema: Schema) -> Iterator[tuple[Any, int]]:
        assert schema.dialect is not None
        lines, is_header = _Lines(stream.pieces(digest)), True
        for fields in lines.rows(schema.dialect.delimiter):
            size, lines.size = lines.size, 0
            if size > MAX_ROW_BYTES:
                yield too_long(size), 0
            elif is_header:
                is_header = False
            elif lines.is_open:
                fields[-1] = fields[-1].removesuffix("\n").removesuffix("\r")  # the end of the last line
                yield Broken("a quote opens in this row and never closes", lines.put_back(fields)), size
            elif fields or len(schema.columns) == 1:
                yield (lines.put_back(fields) or [""]), size

    def header(self, columns: OutputColumns) -> bytes:
        dialect = self._dialect(columns)
        names = _written([[*columns.columns, *columns.added]], dialect).encode("utf-8", "replace")
        return (BOM if dialect.bom else b"") + names

    def write(self, rows: Rows, added: Added, columns: OutputColumns) -> bytes:
        """Values are quoted only where they must be; an input of the same format keeps its dialect."""
        is_text = rows.objects is None and rows.table is None  # strings, or None where a row is short
        own = map(columns.pick, rows.values)
        cells = (
            [*(values if is_text else map(cell_text, values)), *behind]
            for values, behind in zip(own, added)
            if behind is not None
        )
        # A JSON string may hold half a character; a surrogate of other formats is a byte.
        errors = "replace" if columns.schema.is_unicode else "surrogateescape"
        return _written(cells, self._dialect(columns)).encode("utf-8", errors)

    def _dialect(self, columns: OutputColumns) -> Dialect:
        dialect = columns.schema.dialect if columns.schema.format == self.name else None
        return dialect or Dialect(self._delimiter or ",")


def _written(rows: Iterable[Iterable[Any]], dialect: Dialect) -> str:
    """Return rows as lines. The module quotes what may end a line: before Python 3.13 a carriage return only
    where lines end with one."""
    lines: list[str] = []
    sink = SimpleNamespace(write=lines.append)
    csv.writer(sink, delimiter=dialect.delimiter, lineterminator="\r\n").writerows(rows)
    return "".join(lines if dialect.newline == "\r\n" else [line[:-2] + "\n" for line in lines])


def sniff(head: bytes, delimiter: str | None = None) -> Dialect:
    """Return the dialect of a file that begins with ``head`` (without a byte order mark): the delimiter with
    which most of the first records have as many fields as the header, unless it is given.
    """
    lines = head.split(b"\n")[:-1] or [head]
    newline = "\r\n" if lines[0].endswith(b"\r") else "\n"
    first = b"\n".join([*lines[:_SNIFFED_LINES], b""])

    def fit(candidate: str) -> tuple[float, int]:
        sample, counts = _Lines([first]), list[int]()
        for fields in sample.rows(candidate):
            if sample.is_open or len(counts) == _SNIFFED_ROWS:
                break
            sample.size = 0
            if fields:
                counts.append(len(fields))
        return (counts.count(counts[0]) / len(counts), counts[0]) if counts and counts[0] > 1 else (0.0, 0)

    # The first of equals: the comma.
    return Dialect(delimiter or max(DELIMITERS, key=fit), newline)


CSV = CsvFormat("csv", (".csv",), None)
TSV = CsvFormat("tsv", (".tsv", ".tab"), "\t")
