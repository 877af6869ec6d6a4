"""The interface of a format of tables, and the rows that it reads and writes.

Each format is a subclass of :class:`Format`, in a module of its own.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from edge_lstm.errors import DataError
from edge_lstm.printable import counted
from edge_lstm.tables.encoding import WESTERN
from edge_lstm.tables.schema import MAX_ROW, Checksum, ReadOptions, Schema, Source
from edge_lstm.tables.values import NOT_UTF8, float32_texts, refuse_bytes


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
# The columns that an output adds to a chunk: for each row a str, a float with the value of a
# float32, or None.
AddedColumns = Sequence[Sequence[Any]]


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
        remedy = "correct or remove the row"
        if NOT_UTF8 in str(self.error):
            how = f"iconv -f {WESTERN} -t UTF-8"
            remedy = f"{remedy}, or convert the file if it is {WESTERN}: {how}"
        raise DataError(f"{self.source} row {self.number}: {self.error}; {remedy}")


@dataclass
class Rows:
    """The parsed rows of a chunk.

    texts: the text of each row, or None.
    reasons: why a row has no text, or None.
    load: makes ``columns``.
    lines: each row as it stands in the file (of JSONL without its braces), if all rows are as this
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

    def only(self, chosen: Sequence[int]) -> Rows:
        """Return some of the rows.

        chosen: their indexes, at least one.
        """

        def of(values: Any) -> Any:
            return values and [values[i] for i in chosen]

        return Rows(
            of(self.texts),
            of(self.reasons),
            lambda: [*map(of, self.columns)],
            of(self.lines),
            of(self.objects),
            None if self.table is None else self.table.take([*chosen]),
        )


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

    def pick(self, columns: Sequence[Any]) -> Sequence[Any]:
        """Return the columns of the input that are written, of all of them."""
        return columns if self.kept is None else [columns[i] for i in self.kept]

    def texts(self, added: AddedColumns) -> list[Sequence[Any]]:
        """Return the added columns as text; a number that is None is empty."""
        columns = zip(self.added.values(), added)
        return [float32_texts(values) if is_number else values for is_number, values in columns]


class Format:
    """A format of tables.

    Each has ``schema`` and ``pieces`` (or ``chunks``). A format that can be written has ``write``.

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

    def parse(self, chunk: Any, schema: Schema, check_keys: Callable[[Any], None]) -> Rows:
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

    def write(self, rows: Rows, added: AddedColumns, columns: OutputColumns) -> bytes:
        """Return the bytes of the rows of a chunk, at least one."""
        raise NotImplementedError

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
