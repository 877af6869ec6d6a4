"""CSV and TSV by Python's ``csv`` module: a doubled quote stands for one, a quote inside an unquoted field is
a plain character, a blank line is no row (but in a file of one column).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from edge_lstm.errors import DataError
from edge_lstm.tables.format import Broken, Format, OutputColumns, Rows, Text, Writer, too_long
from edge_lstm.tables.schema import BOM, MAX_ROW_BYTES, Dialect, ReadOptions, Schema, Source
from edge_lstm.tables.stream import HEAD_BYTES, LongLine, Stream, check_not_empty, check_text
from edge_lstm.tables.values import cell_text, utf8_error

if TYPE_CHECKING:
    from hashlib import _Hash

DELIMITERS = (",", ";", "\t", "|")
_SNIFFED_ROWS, _SNIFFED_LINES = 50, 200
# What the module refuses (a carriage return inside a line; before Python 3.11, NUL) passes through it as a
# surrogate that stands for no byte.
_REFUSED, _PASSED = re.compile("\0|\r(?!\n|\\Z)"), re.compile("[\udc00\udc0d]")


def join(fields: Iterable[Any], dialect: Dialect) -> str:
    """Return values as a line, quoted only where they must be. Without a quote character a value cannot hold
    the delimiter or a line end: they become spaces.
    """
    special, quote = _special(dialect.delimiter, dialect.quote), dialect.quote
    cells = []
    for value in fields:
        cell = "" if value is None else str(value)
        if special(cell):
            if quote:
                cell = quote + cell.replace(quote, quote * 2) + quote
            else:
                cell = cell.replace(dialect.delimiter, " ").replace("\r", " ").replace("\n", " ")
        cells.append(cell)
    return dialect.delimiter.join(cells) + dialect.newline


@cache
def _special(delimiter: str, quote: str) -> Callable[[str], object]:
    return re.compile(f"[\r\n{re.escape(delimiter)}{re.escape(quote)}]").search


class _Lines:
    """The lines of a file for ``csv.reader``, which asks for a further one within a row only while a quote is
    open.

    size: characters of the row so far; whoever takes a row sets it to 0.
    event: what the blank line just given stands for: a pause, or a row that is too long to be kept.
    is_open: whether the input ended within a quote. has_passed: whether there are characters to put back.
    """

    def __init__(self, pieces: Iterable[bytes | LongLine | None], quote: str) -> None:
        self._pieces = pieces
        self._quote = quote
        self.size = 0
        self.event: Broken | Literal["pause"] | None = None
        self.is_open = self.has_passed = False

    def __iter__(self) -> Iterator[str]:
        quotes = -1  # of a row that is too long, those of its lines so far; -1: it is not
        end = ""
        for line in self._lines():
            if line is None:
                if not self.size:
                    self.event = "pause"
                    yield "\n"
                continue
            was_open = self.size > 0
            self.size += line.size if isinstance(line, LongLine) else len(line)
            if self.size <= MAX_ROW_BYTES:
                yield line  # type: ignore[misc]
                continue
            if quotes < 0:
                # Whoever writes so long a row has its quotes in pairs.
                quotes, end = int(was_open), self._quote + "\n" if was_open else "\n"
            if self._quote:
                quotes += line.quotes if isinstance(line, LongLine) else line.count(self._quote)
            if quotes % 2 == 0:
                self.event, quotes = too_long(self.size), -1
                yield end
        if quotes >= 0:
            self.event = too_long(self.size)
            yield end
        self.is_open = self.size > 0

    def _lines(self) -> Iterator[str | LongLine | None]:
        for piece in self._pieces:
            if piece is None or isinstance(piece, LongLine):
                yield piece
                continue
            text = piece.decode("utf-8", "surrogateescape")
            if "\r" in text or "\0" in text:
                text, passed = _REFUSED.subn(lambda match: chr(0xDC00 + ord(match[0])), text)
                self.has_passed |= passed > 0
            yield from io.StringIO(text, newline="\n")

    def put_back(self, fields: list[str]) -> list[str]:
        """Return the fields of a row as they stand in the file."""
        if not self.has_passed:
            return fields
        return [_PASSED.sub(lambda match: chr(ord(match[0]) - 0xDC00), field) for field in fields]


def _reader(lines: _Lines, delimiter: str, quote: str) -> Iterator[list[str]]:
    csv.field_size_limit(max(csv.field_size_limit(), 2 * MAX_ROW_BYTES))
    if not quote:
        return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    return csv.reader(lines, delimiter=delimiter, quotechar=quote)


class CsvFormat(Format):
    """CSV of any delimiter, or with the one that is given."""

    def __init__(self, name: str, suffixes: tuple[str, ...], delimiter: str | None) -> None:
        self.name = name
        self.suffixes = suffixes
        self._delimiter = delimiter

    def schema(self, source: Source, stream: Stream | None, options: ReadOptions) -> Schema:
        assert stream is not None
        head = stream.head()
        check_text(source, head)
        check_not_empty(source, head)
        body = head.removeprefix(BOM)
        if b"\n" not in body and b"\r" in body:
            raise DataError(
                f"{source.name} ends its lines in CR alone; convert it with: tr '\\r' '\\n' < {source.path}"
            )
        dialect = sniff(body, options.delimiter or self._delimiter, options.quote)
        lines = _Lines([body], dialect.quote)
        names = lines.put_back(next(_reader(lines, dialect.delimiter, dialect.quote)) or [""])
        if lines.is_open and len(head) >= HEAD_BYTES:
            raise DataError(
                f"{source.name}: the header has a quote that does not close within 1 MiB; "
                'check it, or read without quotes: --quote ""'
            )
        if not options.header:
            names = [str(i) for i in range(1, len(names) + 1)]
        elif any(map(utf8_error, names)):
            raise DataError(
                f"{source.name}: its header is not UTF-8; "
                f"convert it with: iconv -f WINDOWS-1252 -t UTF-8 {source.path}"
            )
        dialect = replace(dialect, bom=head.startswith(BOM))
        columns = tuple(names)
        return Schema(self.name, columns, options.find_text(columns, source), dialect, options.header)

    def rows(
        self, source: Source, stream: Stream | None, schema: Schema, digest: _Hash
    ) -> Iterator[tuple[Any, int]]:
        assert stream is not None and schema.dialect is not None
        quote, has_one_column = schema.dialect.quote, len(schema.columns) == 1
        lines = _Lines(stream.pieces(digest, quote.encode() or b'"'), quote)
        is_header = schema.header
        for fields in _reader(lines, schema.dialect.delimiter, quote):
            size, lines.size = lines.size, 0
            event, lines.event = lines.event, None
            if event is not None:
                yield (None if event == "pause" else event), 0
            elif is_header:
                is_header = False
            elif lines.is_open:
                reason = "a quote opens in this row and never closes"
                fields[-1] = fields[-1].removesuffix("\n").removesuffix("\r")  # the end of the last line
                yield Broken(reason, lines.put_back(fields)), size
            elif fields or has_one_column:
                yield (lines.put_back(fields) or [""]), size

    def parse(self, rows: Sequence[Any], schema: Schema, **_: Any) -> Rows:
        """What a row has too much stays with its last column."""
        count, text_index = len(schema.columns), schema.text
        delimiter = schema.dialect.delimiter if schema.dialect else ","
        texts: list[Text] = []
        values: list[Sequence[Any]] = []
        for row in rows:
            fields = row.fields if isinstance(row, Broken) else row
            if isinstance(row, Broken):
                texts.append((None, row.reason))
            elif len(fields) != count:
                columns = f"{len(fields)} column{'s' * (len(fields) != 1)}"
                texts.append((None, f"the row has {columns}, the header {count}"))
            elif where := utf8_error(fields[text_index]):
                texts.append((None, f"the text is not UTF-8 {where}"))
            else:
                texts.append((fields[text_index], None))
            if len(fields) > count:
                fields = [*fields[: count - 1], delimiter.join(fields[count - 1 :])]
            values.append(fields if len(fields) == count else fields + [None] * (count - len(fields)))
        return Rows(texts, lambda: values)

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Names of CSV may repeat."""
        return tuple(columns)

    def writer(self, columns: OutputColumns) -> CsvWriter:
        schema = columns.schema
        is_same = schema.format == self.name and schema.dialect is not None
        return CsvWriter(columns, schema.dialect if is_same else Dialect(self._delimiter or ","))  # type: ignore[arg-type]


class CsvWriter(Writer):
    """dialect: of the output, that of an input of the same format."""

    def __init__(self, columns: OutputColumns, dialect: Dialect) -> None:
        self._columns = columns
        self._dialect = dialect
        # A JSON string may hold half a character; a surrogate of other formats is a byte.
        self._errors = "replace" if columns.schema.format == "jsonl" else "surrogateescape"
        if columns.schema.header:
            names = join([*columns.columns, *columns.added], dialect).encode("utf-8", "replace")
            self.header = (BOM if dialect.bom else b"") + names

    def write(self, rows: Rows, added: Sequence[Sequence[Any] | None]) -> bytes:
        """See Writer."""
        columns, dialect = self._columns, self._dialect
        lines = [
            join([*map(cell_text, columns.pick(own)), *behind], dialect)
            for own, behind in zip(rows.values, added)
            if behind is not None
        ]
        return "".join(lines).encode("utf-8", self._errors)


def sniff(head: bytes, delimiter: str | None = None, quote: str | None = None) -> Dialect:
    """Return the dialect of a file that begins with ``head`` (without a byte order mark).

    A delimiter is chosen by how many of the first records have as many fields as the header; given
    values are taken as they are.
    """
    lines = head.split(b"\n")[:-1] or [head]
    newline = "\r\n" if lines[0].endswith(b"\r") else "\n"
    if quote is None:
        quote = "'" if lines[0].startswith(b"'") and b'"' not in lines[0] else '"'
    if delimiter is not None:
        return Dialect(delimiter, quote, newline)
    first = b"\n".join([*lines[:_SNIFFED_LINES], b""])

    def fit(candidate: str) -> tuple[float, int]:
        lines, counts = _Lines([first], quote), list[int]()
        for fields in _reader(lines, candidate, quote):
            if lines.is_open or len(counts) == _SNIFFED_ROWS:
                break
            lines.size = 0
            if fields:
                counts.append(len(fields))
        if not counts or counts[0] < 2:
            return (0.0, 0)
        return (counts.count(counts[0]) / len(counts), counts[0])

    best = max(DELIMITERS, key=fit)  # the first of equals: the comma
    return Dialect(best if fit(best) > (0.0, 0) else ",", quote, newline)


def check_characters(options: ReadOptions) -> None:
    """Raise DataError where an option's value cannot be a delimiter or quote."""
    for name, value in (("delimiter", options.delimiter), ("quote", options.quote or None)):
        if value is not None and (len(value) != 1 or not value.isascii() or value in "\r\n"):
            raise DataError(f"{name} must be one ASCII character, not {value!r}; give one character")
    if options.delimiter is not None and options.delimiter == options.quote:
        raise DataError(f"delimiter and quote are both {options.quote!r}; give different characters")


CSV = CsvFormat("csv", (".csv",), None)
TSV = CsvFormat("tsv", (".tsv", ".tab"), "\t")
