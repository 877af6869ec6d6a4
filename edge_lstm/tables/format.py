"""The interface of a format of tables, and the rows that it reads and writes.

Each format is a subclass of :class:`Format`, in a module of its own.
"""

from __future__ import annotations

import io
import math
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from edge_lstm.errors import DataError
from edge_lstm.printable import counted
from edge_lstm.tables.schema import MAX_ROW, Checksum, ReadOptions, Schema, Source
from edge_lstm.tables.stream import LongLine
from edge_lstm.tables.values import RowError, float32_texts


class Piece(NamedTuple):
    """Rows that follow each other.

    rows: their bytes. Between two rows, bytes may be left out.
    ends: the end of each row in ``rows``.
    """

    rows: bytes
    ends: Sequence[int]


def lines_of(data: bytes) -> Piece:
    """Return the rows of whole lines."""
    return Piece(data, [*accumulate(map(len, io.BytesIO(data)))])


@dataclass(frozen=True)
class Block:
    """The rows of a chunk, for ``Format.parse``.

    rows: the bytes of the kept rows.
    gaps: the place of each other row → why it has no text.
    count: the number of all rows; it may be 0 if the input pauses.
    is_pause: whether the input pauses after these rows.
    """

    rows: bytes
    gaps: Mapping[int, str]
    count: int
    is_pause: bool = False


class Keys(NamedTuple):
    """The keys that a row of JSONL may have.

    forbidden: keys of the output. allowed: keys of the first rows; None: any key.
    """

    forbidden: frozenset[str] = frozenset()
    allowed: frozenset[str] | None = None

    @property
    def fits(self) -> Callable[[Iterable[str]], bool]:
        """Whether a row has only such keys."""
        return self.forbidden.isdisjoint if self.allowed is None else self.allowed.issuperset

    def check(self, row: Mapping[str, Any]) -> None:
        """Check that the output has a place for each key of a row.

        Raises RowError if not.
        """
        for key in row:
            hint = "write JSONL"
            if key in self.forbidden:
                hint = "rename it"
            elif self.allowed is None or key in self.allowed:
                continue
            raise RowError(f"the row has a key {key!r}, which the first rows do not have; {hint}")


ANY_KEYS = Keys()


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


def cells_of(column: Column, text_of: Callable[[str | None], str]) -> list[str]:
    """Return the values of a column as they are written. text_of: writes a text, or None."""
    missing = text_of(None)
    if isinstance(column, Coded):
        texts = [*map(text_of, column.values)]
        return [texts[place] for place in column.places]
    return [text or missing for text in float32_texts(memoryview(column).cast("f"))]


def separated(
    cells: Sequence[Iterable[str]], separator: str, end: str, count: int
) -> list[Iterable[str]]:
    """Return the parts of lines, for Format._parts: cells, with a separator between two of them."""
    parts = [each for values in cells for each in ([separator] * count, values)]
    return [*parts[1:], [end] * count]


def too_long(size: int) -> str:
    """Return why a row of ``size`` bytes, which were not kept, has no text."""
    return f"the row has {size:,} bytes, more than {MAX_ROW}"


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
    own: of CSV and JSONL, each row as it stands in its file, up to where more values can follow:
        without the end of its line or the brace that closes it.
    table: of Parquet, the Arrow table.
    """

    texts: list[str | None]
    reasons: list[str | None]
    load: Callable[[], list[Sequence[Any]]]
    own: Sequence[str] = ()
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
    def is_appended(self) -> bool:
        """Whether each row is written as it stands in its file, with the added columns behind."""
        return self.kept is None and self.format == self.schema.format

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

    Each has ``schema``, ``pieces`` (or ``blocks``) and ``parse``. A format that can be written has
    ``_parts`` (or ``write``).

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
    ) -> Iterator[Piece | LongLine | None]:
        """Yield the rows. LongLine is a row that is not kept, None a pause of a live input.

        checksum: is updated with the bytes that are read.
        Raises DataError.
        """
        raise NotImplementedError

    def blocks(
        self,
        source: Source,
        stream: Any,
        schema: Schema,
        checksum: Checksum,
        limits: tuple[int, int],
    ) -> Iterator[Block]:
        """Yield the rows in blocks.

        limits: rows and bytes of a block. It ends with the row that reaches one of them, so its end
            depends on the input alone.
        Raises DataError.
        """
        max_count, max_size = limits
        parts: list[bytes] = []
        gaps: dict[int, str] = {}
        count = size = 0

        def block(*, is_pause: bool = False) -> Block:
            nonlocal parts, gaps, count, size
            whole = Block(b"".join(parts), gaps, count, is_pause)
            parts = []
            gaps = {}
            count = size = 0
            return whole

        for piece in self.pieces(source, stream, checksum, schema):
            if piece is None:
                yield block(is_pause=True)
                continue
            if isinstance(piece, LongLine):
                gaps[count] = too_long(piece.size)
                count += 1
                yield block()
                continue
            rows, ends = piece
            # Rows and bytes of the piece that are in blocks.
            start = done = 0
            while start < len(ends):
                full = bisect_left(ends, done + max_size - size) + 1
                stop = min(full, start + max_count - count, len(ends))
                end = ends[stop - 1]
                parts.append(rows[done:end])
                count += stop - start
                size += end - done
                start = stop
                done = end
                if count >= max_count or size >= max_size:
                    yield block()
        if count:
            yield block()

    def parse(self, block: Block, schema: Schema, keys: Keys = ANY_KEYS) -> Rows:
        """Return the rows of a block.

        keys: that a row of JSONL may have; a row with another one has no text.
        """
        raise NotImplementedError

    def header(self, columns: OutputColumns) -> bytes:
        """Return the bytes before the first row of an output.

        Raises MissingPackageError.
        """
        return b""

    def write(self, rows: Rows, added: Sequence[Column], columns: OutputColumns) -> bytes:
        """Return the bytes of the rows of a chunk."""
        lines = map("".join, zip(*self._parts(rows, added, columns)))
        return self._encoded("".join(lines), columns)

    def _parts(
        self, rows: Rows, added: Sequence[Column], columns: OutputColumns
    ) -> list[Iterable[str]]:
        """Return the parts of all lines: for each part, the one of each line."""
        raise NotImplementedError

    def _encoded(self, lines: str, columns: OutputColumns) -> bytes:
        """Return the bytes of lines. A surrogate is a byte of the input that is not UTF-8."""
        return lines.encode("utf-8", "surrogateescape")

    def assemble(self, partial: Path, output: BinaryIO) -> None:
        """Write the output, made of all that was written to ``partial``.

        Only a format that ``is_assembled`` has it.
        """
        raise NotImplementedError


def fitted_row(
    fields: list[str], schema: Schema, reason: str | None
) -> tuple[list[str | None], str | None]:
    """Return a value for each column, and why the row has no text, or None.

    If there are too many fields, the last column has the rest.
    """
    count = len(schema.columns)
    if reason is None and len(fields) != count:
        reason = f"the row has {counted(len(fields), 'column')}, the header {count:,}"
    if len(fields) > count:
        last = schema.dialect.delimiter.join(fields[count - 1 :])
        fields = [*fields[: count - 1], last]
    return [*fields, *[None] * (count - len(fields))], reason
