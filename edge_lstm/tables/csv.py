"""CSV and TSV by Python's ``csv`` module: a doubled quote stands for one, a quote inside an
unquoted field is a plain character, a blank line is no row (but in a file of one column).
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

from edge_lstm.errors import DataError
from edge_lstm.tables.encoding import WESTERN, conversion
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
from edge_lstm.tables.schema import BOM, MAX_ROW_BYTES, Dialect, Digest, ReadOptions, Schema, Source
from edge_lstm.tables.stream import HEAD_BYTES, LongLine, table_head
from edge_lstm.tables.values import cell_text, utf8_error
from edge_lstm.text import well_formed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

DELIMITERS = (",", ";", "\t", "|")
_SNIFFED_ROWS, _SNIFFED_LINES = 50, 200
csv.field_size_limit(max(csv.field_size_limit(), 4 * MAX_ROW_BYTES))
# What the module refuses (a carriage return inside a line; before Python 3.11, NUL) passes through
# it as a surrogate that stands for no byte.
_REFUSED, _PASSED = re.compile("\0|\r(?!\n|\\Z)"), re.compile("[\udc00\udc0d]")


def _decoded(lines: bytes) -> str:
    text = lines.decode("utf-8", "surrogateescape")
    if "\0" in text or text.count("\r") > text.count("\r\n"):
        text = _REFUSED.sub(lambda match: chr(0xDC00 + ord(match[0])), text)
    return text


def _put_back(fields: list[str]) -> list[str]:
    """Return the fields of a row as they stand in the file."""
    if "".join(fields).isascii():
        return fields
    return [_PASSED.sub(lambda match: chr(ord(match[0]) - 0xDC00), field) for field in fields]


def _read(pieces: Iterator[bytes | LongLine], schema: Schema) -> Piece:
    """Return the rows of the first piece, and of those behind it in which its last row goes on."""
    assert schema.dialect is not None
    delimiter, blank = schema.dialect.delimiter, [""] if len(schema.columns) == 1 else None
    rows, sizes, waiting = list[Any](), list[int](), deque[bytes]()
    size = kept = 0  # bytes of the row under way; those of them in memory
    # the input ended in it; it is too long to be kept and goes on, in quotes
    is_over = is_cut = False

    def lines() -> Iterator[str]:
        nonlocal size, kept, is_over, is_cut
        while kept <= MAX_ROW_BYTES and not is_over:
            if waiting:
                line = waiting.popleft()
                size, kept = size + len(line), kept + len(line)
                yield _decoded(line)
                continue
            piece = next(pieces, b"")
            if isinstance(piece, LongLine):
                size += piece.size
                yield '"' * (piece.quotes % 2) + "\n"
            else:
                waiting.extend(io.BytesIO(piece))
                is_over = not piece
        is_cut = not is_over

    reader = csv.reader(lines(), delimiter=delimiter)
    while (waiting or size or not rows) and (row := next(reader, None)) is not None:
        if is_cut:
            kept, is_cut, reader = 0, False, csv.reader(chain(['"'], lines()), delimiter=delimiter)
            continue
        fields: Any = _put_back(row) or blank  # a blank line is a row of a single column, or none
        if is_over:
            # the end of the last line
            fields[-1] = fields[-1].removesuffix("\n").removesuffix("\r")
            fields = Broken("a quote opens in this row and never closes", fields)
        if fields := too_long(size) if size > MAX_ROW_BYTES else fields:
            rows.append(fields)
            sizes.append(size)
        size = kept = 0
    return rows, list(accumulate(sizes))


def _row_ends(data: bytes, schema: Schema) -> npt.NDArray[np.int64] | None:
    """Return where the rows of whole lines end, without one whose quote is open; None where they
    have to be
    read to know: quotes that are not those of ``csv.writer``, a blank line."""
    import numpy as np

    assert schema.dialect is not None
    characters = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(characters == ord("\n"))
    returns = np.count_nonzero(characters == ord("\r"))
    # (What is before the first byte is the last one.)
    if b"\0" in data or returns > np.count_nonzero(characters[ends - 1] == ord("\r")):
        return None
    if b'"' in data:
        quotes = np.flatnonzero(characters == ord('"'))
        # Every other quote opens: it begins a field, or is the second half of a doubled one. The
        # next one closes: it ends a field, or is the first half.
        beside = [ord(schema.dialect.delimiter), ord("\n"), ord('"')]
        before, behind = characters[quotes[::2] - 1], characters[quotes[1::2] + 1]
        if not (np.isin(before, beside).all() and np.isin(behind, [*beside, ord("\r")]).all()):
            return None
        ends = ends[np.searchsorted(quotes, ends) % 2 == 0]
    sizes = np.diff(ends, prepend=-1)
    return ends + 1 if len(ends) and sizes.min() > 2 and sizes.max() <= MAX_ROW_BYTES else None


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
        if b"\n" not in body and len(head) > MAX_ROW_BYTES:
            limit = f"{MAX_ROW_BYTES // 2**20} MiB"
            raise DataError(
                f"{source.name}: the header is longer than {limit}; check that it is a table"
            )
        dialect = sniff(body, options.delimiter or self._delimiter)
        columns, is_open = _header(body, dialect)
        if is_open and len(head) >= HEAD_BYTES:  # a quoted name goes on behind what was looked at
            columns, is_open = _header(stream.head(MAX_ROW_BYTES).removeprefix(BOM), dialect)
            if is_open:
                raise DataError(
                    f"{source.name}: the header has a quote that does not close; check it"
                )
        if any(map(utf8_error, columns)):
            how = conversion(source, WESTERN)
            raise DataError(f"{source.name}: its header is not UTF-8; convert it with: {how}")
        dialect = replace(dialect, bom=head.startswith(BOM))
        return Schema(self.name, columns, options.find_text(columns, source), dialect=dialect)

    def pieces(
        self, source: Source, stream: Any, digest: Digest, schema: Schema
    ) -> Iterator[Piece]:
        pieces, is_header, open_row = chain(filter(None, stream.pieces(digest)), [b""]), True, b""
        for piece in pieces:
            data = b"" if isinstance(piece, LongLine) else open_row + piece
            ends: Any = _row_ends(data, schema)
            if ends is not None:
                rows, open_row = data[: ends[-1]], data[ends[-1] :]
            else:
                rows, ends = _read(chain([open_row] if open_row else [], [piece], pieces), schema)
                open_row = b""
            if is_header and len(ends):
                rows, is_header = rows[ends[0] if isinstance(rows, bytes) else 1 :], False
                ends = [end - ends[0] for end in ends[1:]]
            yield rows, ends

    def split(self, data: bytes, schema: Schema) -> Iterable[Any]:
        assert schema.dialect is not None
        lines = io.StringIO(data.decode("utf-8", "surrogateescape"), newline="\n")
        return csv.reader(lines, delimiter=schema.dialect.delimiter)

    def parse(self, chunk: Any, schema: Schema, check_keys: Callable[[Any], None]) -> Rows:
        assert schema.dialect is not None
        delimiter, newline, count = (
            schema.dialect.delimiter,
            schema.dialect.newline,
            len(schema.columns),
        )
        if (
            isinstance(chunk, bytes)
            and b'"' not in chunk
            and (newline == "\r\n" or b"\r" not in chunk)
        ):
            field = f"[^{re.escape(delimiter)}]*"
            fields = [f"({field})" if i == schema.text else field for i in range(count)]
            line = re.compile(f"^{re.escape(delimiter).join(fields)}{newline}", re.MULTILINE)
            texts, lines = as_written(chunk, line, newline)
            if texts:
                rows = (line.split(delimiter) for line in lines)
                return Rows(texts, [None] * len(texts), lambda: [*zip(*rows)], lines)
        return super().parse(chunk, schema, check_keys)

    def header(self, columns: OutputColumns) -> bytes:
        dialect = self._dialect(columns)
        names = dialect.delimiter.join(
            _cells([*columns.columns, *columns.added], dialect.delimiter)
        )
        return (BOM if dialect.bom else b"") + well_formed(names + dialect.newline).encode()

    def write(self, rows: Rows, added: Added, columns: OutputColumns) -> bytes:
        """Values are quoted only where they must be; an input of the same format keeps its
        dialect."""
        dialect = self._dialect(columns)
        if rows.lines is not None and columns.kept is None and dialect is columns.schema.dialect:
            cells: list[Sequence[str]] = [rows.lines]
        else:
            own = columns.pick(rows.columns)
            # Strings, or None where a row is short, but of a format that has values.
            if columns.schema.is_unicode or rows.table is not None:
                own = [[*map(cell_text, values)] for values in own]
            cells = [_cells(values, dialect.delimiter) for values in own]
        cells += [_cells(values, dialect.delimiter) for values in columns.texts(added)]
        # A JSON string may hold half a character; a surrogate of other formats is a byte.
        text = dialect.newline.join([*map(dialect.delimiter.join, zip(*cells)), ""])
        return (well_formed(text) if columns.schema.is_unicode else text).encode(
            "utf-8", "surrogateescape"
        )

    def _dialect(self, columns: OutputColumns) -> Dialect:
        dialect = columns.schema.dialect if columns.schema.format == self.name else None
        return dialect or Dialect(self._delimiter or ",")


def _header(body: bytes, dialect: Dialect) -> tuple[tuple[str, ...], bool]:
    """Return the fields of the first row, and whether the text ends within a quoted one."""
    # The empty line is a part of a row whose quote is open.
    lines = chain(io.StringIO(_decoded(body), newline="\n"), [""])
    columns = tuple(_put_back(next(csv.reader(lines, delimiter=dialect.delimiter))) or [""])
    return columns, next(lines, None) is None


def _cells(values: Sequence[Any], delimiter: str) -> Sequence[str]:
    """Return strings as ``csv.writer`` writes them in lines that end with CR LF, None as an empty
    one."""
    if None in values:
        values = [value or "" for value in values]
    text = "".join(values)
    if not any(special in text for special in (delimiter, '"', "\n", "\r")):
        return values
    is_special = re.compile(f'["\r\n{re.escape(delimiter)}]').search
    return [
        '"' + value.replace('"', '""') + '"' if is_special(value) else value for value in values
    ]


def sniff(head: bytes, delimiter: str | None = None) -> Dialect:
    """Return the dialect of a file that begins with ``head`` (without a byte order mark): the
    delimiter with which most of the first records have as many fields as the header, unless it is
    given."""
    lines = head.split(b"\n")[:-1] or [head]
    newline = "\r\n" if lines[0].endswith(b"\r") else "\n"
    first = _decoded(b"\n".join([*lines[:_SNIFFED_LINES], b""]))

    def fit(candidate: str) -> tuple[float, int]:
        # The last row is empty, or its quote is open.
        *rows, _ = csv.reader(chain(io.StringIO(first, newline="\n"), [""]), delimiter=candidate)
        counts = [len(fields) for fields in rows if fields][:_SNIFFED_ROWS]
        return (
            (counts.count(counts[0]) / len(counts), counts[0])
            if counts and counts[0] > 1
            else (0.0, 0)
        )

    # The first of equals: the comma.
    return Dialect(delimiter or max(DELIMITERS, key=fit), newline)


CSV = CsvFormat("csv", (".csv",), None)
TSV = CsvFormat("tsv", (".tsv", ".tab"), "\t")
