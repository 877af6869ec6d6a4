"""CSV and TSV by Python's ``csv`` module: a doubled quote stands for one, a quote inside an unquoted field is
a plain character, a blank line is no row (but in a file of one column).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, compress, islice, pairwise
from typing import TYPE_CHECKING, Any

from edge_lstm.errors import DataError
from edge_lstm.tables.format import Added, Broken, Format, OutputColumns, Piece, Rows, too_long
from edge_lstm.tables.schema import BOM, MAX_ROW_BYTES, Dialect, ReadOptions, Schema, Source
from edge_lstm.tables.stream import HEAD_BYTES, LongLine, table_head
from edge_lstm.tables.values import cell_text, utf8_error

if TYPE_CHECKING:
    from hashlib import _Hash

DELIMITERS = (",", ";", "\t", "|")
_SNIFFED_ROWS, _SNIFFED_LINES = 50, 200
csv.field_size_limit(max(csv.field_size_limit(), 4 * MAX_ROW_BYTES))
# What the module refuses (a carriage return inside a line; before Python 3.11, NUL) passes through it as a
# surrogate that stands for no byte.
_REFUSED, _PASSED = re.compile("\0|\r(?!\n|\\Z)"), re.compile("[\udc00\udc0d]")


def _decoded(piece: bytes) -> str:
    text = piece.decode("utf-8", "surrogateescape")
    if "\0" in text or text.count("\r") > text.count("\r\n"):
        text = _REFUSED.sub(lambda match: chr(0xDC00 + ord(match[0])), text)
    return text


def _put_back(fields: list[str]) -> list[str]:
    """Return the fields of a row as they stand in the file."""
    return [_PASSED.sub(lambda match: chr(ord(match[0]) - 0xDC00), field) for field in fields]


def _lines(texts: Iterable[str]) -> Iterator[str]:
    """Yield the lines of texts of whole lines, and an empty one: a row of its own unless a quote is open."""
    return chain(chain.from_iterable(io.StringIO(text, newline="\n") for text in texts), [""])


def _split(texts: Sequence[str], delimiter: str) -> tuple[list[Any], list[int]]:
    """Return the fields of each row and its characters, and of what is left: none, or a row whose quote does
    not close in these texts.
    """
    rows, line_sizes = list(csv.reader(_lines(texts), delimiter=delimiter)), map(len, _lines(texts))
    sizes = [*islice(line_sizes, len(rows))]
    if any(True for _ in line_sizes):  # a row has several lines
        reader, line_sizes = csv.reader(_lines(texts), delimiter=delimiter), map(len, _lines(texts))
        ends = [0, *[reader.line_num for _ in reader]]
        sizes = [sum(islice(line_sizes, last - first)) for first, last in pairwise(ends)]
    if not all(map(str.isascii, texts)) and any(map(_PASSED.search, texts)):
        rows = [*map(_put_back, rows)]
    return rows, sizes


def _rows(texts: Iterable[str | LongLine], delimiter: str) -> Iterator[Piece]:
    """Yield the rows of texts of whole lines, the last of which is empty."""
    # Of a row whose quote is open: its characters, how many were looked at, and how many were not kept.
    rest, seen, lost = list[str](), 0, 0
    for text in texts:
        if not isinstance(text, LongLine):
            rest.append(text)
            if text and sum(map(len, rest)) < min(2 * seen, MAX_ROW_BYTES):
                continue  # a long row is not read again with each text
        rows, sizes = _split(rest, delimiter)
        fields, seen = rows.pop(), sizes.pop()
        while sum(map(len, rest)) > seen:
            rest[:1] = [rest[0][sum(map(len, rest)) - seen :]] if sum(map(len, rest[1:])) < seen else []
        if seen and not text:
            fields[-1] = fields[-1].removesuffix("\n").removesuffix("\r")  # the end of the last line
            rows.append(Broken("a quote opens in this row and never closes", fields))
            sizes.append(seen)
        if sizes:
            sizes[0], lost = sizes[0] + lost, 0
        if max(sizes, default=0) > MAX_ROW_BYTES:
            rows = [too_long(size) if size > MAX_ROW_BYTES else row for row, size in zip(rows, sizes)]
            sizes = [size if size <= MAX_ROW_BYTES else 0 for size in sizes]
        yield rows, sizes
        if seen > MAX_ROW_BYTES:
            rest, seen, lost = ['"'], 1, lost + seen - 1
        if isinstance(text, LongLine):
            line = '"' * (text.quotes % 2) + "\n"
            rest, lost = [*rest, line], lost + text.size - len(line)


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
        lines = _lines([_decoded(body)])
        columns = tuple(_put_back(next(csv.reader(lines, delimiter=dialect.delimiter))) or [""])
        if next(lines, None) is None and len(head) >= HEAD_BYTES:
            raise DataError(f"{source.name}: the header has a quote that does not close in 1 MiB; check it")
        if any(map(utf8_error, columns)):
            raise DataError(
                f"{source.name}: its header is not UTF-8; "
                f"convert it with: iconv -f WINDOWS-1252 -t UTF-8 {source.path}"
            )
        dialect = replace(dialect, bom=head.startswith(BOM))
        return Schema(self.name, columns, options.find_text(columns, source), dialect=dialect)

    def pieces(self, source: Source, stream: Any, digest: _Hash, schema: Schema) -> Iterator[Piece]:
        assert schema.dialect is not None
        pieces, is_header = chain(filter(None, stream.pieces(digest)), [b""]), True
        texts = (piece if isinstance(piece, LongLine) else _decoded(piece) for piece in pieces)
        for rows, sizes in _rows(texts, schema.dialect.delimiter):
            if is_header and any(sizes[:1]):  # a row that is too long has no size
                rows, sizes, is_header = rows[1:], sizes[1:], False
            if not all(rows):  # a blank line is no row, but in a file of one column
                if len(schema.columns) == 1:
                    rows = [row or [""] for row in rows]
                sizes, rows = [*compress(sizes, rows)], [*filter(None, rows)]
            yield rows, sizes

    def header(self, columns: OutputColumns) -> bytes:
        dialect = self._dialect(columns)
        names = _written([[name] for name in (*columns.columns, *columns.added)], dialect)
        return (BOM if dialect.bom else b"") + names.encode("utf-8", "replace")

    def write(self, rows: Rows, added: Added, columns: OutputColumns) -> bytes:
        """Values are quoted only where they must be; an input of the same format keeps its dialect."""
        own = columns.pick(rows.columns)
        if rows.objects is not None or rows.table is not None:  # else strings, or None where a row is short
            own = [[*map(cell_text, values)] for values in own]
        # A JSON string may hold half a character; a surrogate of other formats is a byte.
        errors = "replace" if columns.schema.is_unicode else "surrogateescape"
        text = _written([*own, *columns.texts(added)], self._dialect(columns))
        return text.encode("utf-8", errors)

    def _dialect(self, columns: OutputColumns) -> Dialect:
        dialect = columns.schema.dialect if columns.schema.format == self.name else None
        return dialect or Dialect(self._delimiter or ",")


def _written(columns: Sequence[Sequence[str | None]], dialect: Dialect) -> str:
    """Return columns as lines."""
    lines = map(dialect.delimiter.join, zip(*[_cells(values, dialect.delimiter) for values in columns]))
    return dialect.newline.join([*lines, ""])


def _cells(values: Sequence[Any], delimiter: str) -> Sequence[str]:
    """Return strings as ``csv.writer`` writes them in lines that end with CR LF, None as an empty one."""
    if None in values:
        values = [value or "" for value in values]
    text = "".join(values)
    if not any(special in text for special in (delimiter, '"', "\n", "\r")):
        return values
    is_special = re.compile(f'["\r\n{re.escape(delimiter)}]').search
    return ['"' + value.replace('"', '""') + '"' if is_special(value) else value for value in values]


def sniff(head: bytes, delimiter: str | None = None) -> Dialect:
    """Return the dialect of a file that begins with ``head`` (without a byte order mark): the delimiter with
    which most of the first records have as many fields as the header, unless it is given.
    """
    lines = head.split(b"\n")[:-1] or [head]
    newline = "\r\n" if lines[0].endswith(b"\r") else "\n"
    first = _decoded(b"\n".join([*lines[:_SNIFFED_LINES], b""]))

    def fit(candidate: str) -> tuple[float, int]:
        rows, _ = _split([first], candidate)
        counts = [len(fields) for fields in rows[:-1] if fields][:_SNIFFED_ROWS]
        return (counts.count(counts[0]) / len(counts), counts[0]) if counts and counts[0] > 1 else (0.0, 0)

    # The first of equals: the comma.
    return Dialect(delimiter or max(DELIMITERS, key=fit), newline)


CSV = CsvFormat("csv", (".csv",), None)
TSV = CsvFormat("tsv", (".tsv", ".tab"), "\t")
