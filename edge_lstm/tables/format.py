"""The interface of a format of tables, and the rows that it reads and writes.

Each format is a subclass of :class:`Format`, in a module of its own.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain, compress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from edge_lstm.errors import DataError
from edge_lstm.printable import counted
from edge_lstm.tables.schema import MAX_ROW, Checksum, ReadOptions, Schema, Source
from edge_lstm.tables.values import float32_texts, refuse_bytes


class RowWithoutText(NamedTuple):
    """A row that has no text, whatever its fields.

    reason: why. fields: the ones that could be read.
    """

    reason: str
    fields: list[str]


class LineEnds:
    """The end of each line, in bytes. They are found when one in the middle is asked for."""

    def __init__(self, lines: bytes) -> None:
        self._lines = lines
        self._count = lines.count(b"\n")

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> int:
        if place in (-1, self._count - 1):
            return len(self._lines)
        return self._without_newlines[place] + place + 1

    @cached_property
    def _without_newlines(self) -> list[int]:
        return [*accumulate(map(len, self._lines.split(b"\n")))]


# Rows that follow each other, and the end of each, in bytes. The rows are a list, or bytes that
# ``Format.split`` divides. Between two rows, bytes may be left out.
Piece = tuple[bytes | Sequence[Any], Sequence[int] | LineEnds]


class Coded(NamedTuple):
    """A column of texts.

    codes: for each row the place of its text in ``values``, int32 [n] as bytes.
    values: the texts; None for no text.
    """

    codes: bytes
    values: Sequence[str | None]

    @property
    def places(self) -> Sequence[int]:
        """The codes as numbers."""
        return memoryview(self.codes).cast("i")


# A column that an output adds to a chunk: texts, or numbers as the bytes of float32 [n], NaN for
# none. It is made without NumPy.
Column = Coded | bytes


def values_of(column: Column) -> list[Any]:
    """Return the values of a column; None for a missing one."""
    if isinstance(column, Coded):
        return [column.values[place] for place in column.places]
    return [None if math.isnan(value) else value for value in memoryview(column).cast("f")]


class Items(NamedTuple):
    """A part of a line: all items of the row as they stand in its file.

    separator: follows them.
    """

    separator: str


class Added(NamedTuple):
    """A part of a line: the value of an added column.

    text_of: writes a text, or None.
    """

    column: Column
    text_of: Callable[[str | None], str]

    def texts(self) -> list[str]:
        """Return the part of each line."""
        missing = self.text_of(None)
        if isinstance(self.column, Coded):
            texts = [*map(self.text_of, self.column.values)]
            return [texts[place] for place in self.column.places]
        return [text or missing for text in float32_texts(memoryview(self.column).cast("f"))]


# A part of each line of an output: a text; the index of a column of the input; or one of the
# classes above.
Part = str | int | Items | Added


def separated(parts: Sequence[Part], separator: str) -> list[Part]:
    """Return the parts with a separator between two of them."""
    return [each for part in parts for each in (separator, part)][1:]


def too_long(size: int) -> RowWithoutText:
    """Return a row of ``size`` bytes, which were not kept."""
    return RowWithoutText(f"the row has {size:,} bytes, more than {MAX_ROW}", [])


@dataclass(frozen=True)
class Row:
    """One row of an input.

    source: the name of its file in messages.
    number: from 1, the header not counted.
    values: its columns by name. They are text, unless the format has other types.
    text: the text to classify; None if the row has no text.
    error: why the row has no text; None if it has one.
    """

    source: str
    number: int
    values: dict[str, Any]
    text: str | None
    error: str | None

    def required_text(self) -> str:
        """Return the text.

        Raises DataError with file and row if the row has no text.
        """
        if self.text is not None:
            return self.text
        raise DataError(f"{self.source} row {self.number}: {self.error}; correct or remove the row")


@dataclass
class Rows:
    """The parsed rows of a chunk.

    texts: the text of each row, or None.
    reasons: why a row has no text, or None.
    load: makes ``columns``.
    lines: of JSONL, each row as it stands in the file, without its braces, if all rows are as this
        package writes them; else None.
    objects: of other JSONL, each row with all of its own keys.
    table: of Parquet, the Arrow table.
    """

    texts: list[str | None]
    reasons: list[str | None]
    load: Callable[[], list[Sequence[Any]]]
    lines: list[str] | None = None
    objects: list[dict[str, Any]] | None = None
    table: Any = None

    @cached_property
    def columns(self) -> list[Sequence[Any]]:
        """The values of each of the schema's columns, as text or JSON has them.

        A row without a value has None.
        """
        return self.load()


@dataclass(frozen=True, kw_only=True)
class OutputColumns:
    """The columns of an output.

    It is small, because each worker gets it.

    schema: of the input.
    format: the name of the output's format.
    kept: the indexes of the input's columns that are written; None for all.
    columns: their names in the output.
    added: the names of the columns after them, and whether a column holds float32 values; the other
        ones hold text.
    places: the places of these columns among all that a run can add; None if they are all of them.
    """

    schema: Schema
    format: str
    kept: tuple[int, ...] | None
    columns: tuple[str, ...]
    added: dict[str, bool]
    places: tuple[int, ...] | None = None

    def pick_added(self, columns: Sequence[Any]) -> Sequence[Any]:
        """Return the added columns that are written, of all of them."""
        return columns if self.places is None else [columns[i] for i in self.places]

    @property
    def own(self) -> Sequence[int]:
        """The indexes of the columns of the input that are written."""
        return range(len(self.schema.columns)) if self.kept is None else self.kept

    @property
    def reserved(self) -> Collection[str]:
        """The names that a later row may not use as a key: it would have them twice.

        If the columns of the input are named, no other key of a row is written.
        """
        return self.added if self.kept is None else ()

    def pick(self, columns: Sequence[Any]) -> Sequence[Any]:
        """Return the columns of the input that are written, of all of them."""
        return [columns[i] for i in self.own]


class Format:
    """A format of tables.

    Each has ``schema`` and ``pieces`` (or ``chunks``). A format that can be written has ``parts``
    (or ``write``).

    name: as options call it.
    suffixes: of its files, in lower case; a format without suffixes is only read.
    is_stream: whether it is read from a stream of bytes, which may be compressed or a pipe. The
        other formats open their files themselves, and get None as ``stream``. Their rows are
        written as JSONL to a stream.
    needs_utf8: whether bytes that are not UTF-8 cannot be written.
    may_repeat_names: whether two columns may have one name.
    has_fixed_columns: whether each row of an output has the same columns.
    is_assembled: whether an output is made at the end, from all that was written. It is then
        neither compressed nor written into a pipe.
    """

    name: str
    suffixes: tuple[str, ...] = ()
    needs_utf8 = False
    may_repeat_names = False
    is_assembled = False
    is_stream = True
    has_fixed_columns = True

    def schema(self, source: Source, stream: Any, options: ReadOptions) -> Schema:
        """Return the columns of an input, from its beginning.

        stream: the opened input.
        Raises DataError.
        """
        raise NotImplementedError

    def pieces(
        self, source: Source, stream: Any, checksum: Checksum, schema: Schema
    ) -> Iterator[Piece | None]:
        """Yield the rows, and None when a live input pauses.

        A row in a list is its fields, or RowWithoutText.

        checksum: is updated with the bytes that are read.
        Raises DataError.
        """
        raise NotImplementedError

    def chunks(
        self,
        source: Source,
        stream: Any,
        schema: Schema,
        checksum: Checksum,
        limits: tuple[int, int],
    ) -> Iterator[tuple[bytes | list[Any], int, bool]]:
        """Yield rows for ``parse``, their number, and whether a live input pauses after them.

        limits: rows and bytes of a chunk. It ends with the row that reaches one of them, so its end
            depends on the input alone.
        Raises DataError.
        """
        max_count, max_size = limits
        parts: list[Any] = []
        count = size = 0
        for piece in self.pieces(source, stream, checksum, schema):
            rows, ends = piece or ([], [])
            # Rows and bytes of the piece that are in chunks.
            start = done = 0
            while start < len(ends):
                full = len(ends)
                if ends[-1] - done >= max_size - size:
                    full = bisect_left(ends, done + max_size - size) + 1
                stop = min(full, start + max_count - count, len(ends))
                end = int(ends[stop - 1])
                parts.append(rows[done:end] if isinstance(rows, bytes) else rows[start:stop])
                count += stop - start
                size += end - done
                start = stop
                done = end
                if count >= max_count or size >= max_size:
                    yield self._joined(parts, schema), count, False
                    parts.clear()
                    count = size = 0
            if piece is None:
                yield self._joined(parts, schema), count, True
                parts.clear()
                count = size = 0
        if parts:
            yield self._joined(parts, schema), count, False

    def _joined(self, parts: list[Any], schema: Schema) -> bytes | list[Any]:
        if all(isinstance(part, bytes) for part in parts):
            return b"".join(parts)
        lists = (self.split(part, schema) if isinstance(part, bytes) else part for part in parts)
        return [*chain.from_iterable(lists)]

    def split(self, data: bytes, schema: Schema) -> Iterable[Any]:
        """Return the rows in the bytes of a piece, each its fields."""
        raise NotImplementedError

    def parse(
        self, chunk: Any, schema: Schema, check_keys: Callable[[Iterable[str]], None]
    ) -> Rows:
        """Return the rows of a chunk.

        If a row has too many fields, the last column has the rest.

        check_keys: takes the keys of a row of JSONL; raises RowError if one is not allowed.
        """
        rows = [*self.split(chunk, schema)] if isinstance(chunk, bytes) else chunk
        reasons: list[str | None] = [None] * len(rows)
        if RowWithoutText in map(type, rows) or {*map(len, rows)} - {len(schema.columns)}:
            fitted = [_fitted(row, schema) for row in rows]
            rows = [fields for fields, _ in fitted]
            reasons = [reason for _, reason in fitted]
        texts = [row[schema.text] if reason is None else None for row, reason in zip(rows, reasons)]
        refuse_bytes(texts, reasons)
        return Rows(texts, reasons, lambda: list(zip(*rows)))

    def header(self, columns: OutputColumns) -> bytes:
        """Return the bytes before the first row of an output.

        Raises MissingPackageError.
        """
        return b""

    def write(
        self, rows: Rows, added: Sequence[Column], columns: OutputColumns, chosen: bytes | None
    ) -> bytes:
        """Return the bytes of the rows of a chunk.

        chosen: a byte for each row, 0 if it is left out; None for all rows.
        """
        lines = self._lines(rows, added, columns)
        if chosen is not None:
            lines = compress(lines, chosen)
        return self._encoded("".join(lines), columns)

    def _lines(self, rows: Rows, added: Sequence[Column], columns: OutputColumns) -> Iterator[str]:
        """Return the lines of rows."""
        count = len(rows.texts)
        parts: list[Iterable[str]] = []
        for part in self.parts(added, columns):
            if isinstance(part, str):
                parts.append([part] * count)
            elif isinstance(part, Added):
                parts.append(part.texts())
            elif isinstance(part, Items):
                parts.append(self._items(rows, part.separator, columns))
            else:
                parts.append(self._cells(rows, part, columns))
        return map("".join, zip(*parts))

    def parts(self, added: Sequence[Column], columns: OutputColumns) -> list[Part]:
        """Return the parts of each line of an output."""
        raise NotImplementedError

    def _cells(self, rows: Rows, index: int, columns: OutputColumns) -> Iterable[str]:
        """Return the values of one of the input's columns as they are written."""
        raise NotImplementedError

    def _items(self, rows: Rows, separator: str, columns: OutputColumns) -> Iterable[str]:
        """Return all items of each row with the separator after each."""
        cells = [self._cells(rows, index, columns) for index in columns.own]
        return [separator.join([*row, ""]) for row in zip(*cells)]

    def _encoded(self, lines: str, columns: OutputColumns) -> bytes:
        """Return the bytes of lines. A surrogate is a byte of the input that is not UTF-8."""
        return lines.encode("utf-8", "surrogateescape")

    def assemble(self, partial: Path, output: BinaryIO) -> None:
        """Write the output, made of all that was written to ``partial``.

        Only a format that ``is_assembled`` has it.
        """
        raise NotImplementedError


def _fitted(row: list[str] | RowWithoutText, schema: Schema) -> tuple[list[str | None], str | None]:
    """Return a value for each column, and why the row has no text, or None."""
    count = len(schema.columns)
    if isinstance(row, RowWithoutText):
        reason, fields = row
    else:
        reason = None
        fields = row
        if len(fields) != count:
            reason = f"the row has {counted(len(fields), 'column')}, the header {count:,}"
    if len(fields) > count:
        last = schema.dialect.delimiter.join(fields[count - 1 :])
        fields = [*fields[: count - 1], last]
    return [*fields, *[None] * (count - len(fields))], reason
