"""What a format of tables does: one class, and one module for each that has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_lstm.errors import DataError
from edge_lstm.printable import counted
from edge_lstm.tables.encoding import WESTERN
from edge_lstm.tables.schema import MAX_ROW_BYTES, Digest, ReadOptions, Schema, Source
from edge_lstm.tables.values import NOT_UTF8, float32_texts, refuse_bytes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Broken(NamedTuple):
    """Stands for a row that has no text, whatever its fields: why, and what could be read of it."""

    reason: str
    fields: list[str]


# Rows that follow each other: bytes of whole rows, which ``Format.split`` makes rows of, or a list;
# and where each ends, in bytes (between two, some may be left out).
Piece = tuple[bytes | Sequence[Any], "Sequence[int] | npt.NDArray[np.int64]"]


def too_long(size: int) -> Broken:
    """Return what stands for a row of so many bytes, of which nothing was kept."""
    return Broken(f"the row has {size:,} bytes, more than {MAX_ROW_BYTES // 2**20} MiB", [])


@dataclass(frozen=True)
class Row:
    """One row, for whoever wants just rows.

    source: what messages call its file; number: from 1, the header not counted.
    values: its columns by name, as text where the format has only text.
    text: the text to classify, or None, and then ``error`` says why.
    """

    source: str
    number: int
    values: dict[str, Any]
    text: str | None
    error: str | None

    def required_text(self) -> str:
        """Return the text. Raises DataError with file and row where there is none."""
        if self.text is None:
            remedy = "correct or remove the row"
            if NOT_UTF8 in str(self.error):
                remedy = (
                    f"{remedy}, or convert the file if it is {WESTERN}: iconv -f {WESTERN} -t UTF-8"
                )
            raise DataError(f"{self.source} row {self.number}: {self.error}; {remedy}")
        return self.text


@dataclass
class Rows:
    """The rows of a chunk, parsed.

    texts, reasons: the text of each and None, or None and why it has no text. load: makes
        ``columns``.
    lines: each row as it stands in the file (of JSONL without its braces), where all are
        as they would be written. objects: of other JSONL, all that each row holds, by its own keys.
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
        """The values of each of the schema's columns: text, or what JSON has; None where a row has
        none."""
        return self.load()

    def only(self, chosen: Sequence[int]) -> Rows:
        """Return some of the rows, by their indexes, at least one."""

        def of(values: Any) -> Any:
            return values and [values[i] for i in chosen]

        table = None if self.table is None else self.table.take([*chosen])
        texts, reasons, lines, objects = map(
            of, (self.texts, self.reasons, self.lines, self.objects)
        )
        return Rows(texts, reasons, lambda: [*map(of, self.columns)], lines, objects, table)


@dataclass(frozen=True, kw_only=True)
class OutputColumns:
    """The columns of an output. Small: it travels to each worker.

    schema: of the input. format: the name of the output's. kept: indexes of its columns to write;
        None: all.
    columns: their names in the output. added: the names of the columns behind them, and whether
        each holds float32 values; the others hold text.
    """

    schema: Schema
    format: str
    kept: tuple[int, ...] | None
    columns: tuple[str, ...]
    added: dict[str, bool]

    def pick(self, columns: Sequence[Any]) -> Sequence[Any]:
        """Return those of the input's columns that are written."""
        return columns if self.kept is None else [columns[i] for i in self.kept]

    def texts(self, added: Added) -> list[Sequence[Any]]:
        """Return the added columns as text; a number that is None is empty."""
        numbers = self.added.values()
        return [float32_texts(v) if is_number else v for v, is_number in zip(added, numbers)]


# Columns behind those of a chunk's rows: a value for each row, str, a float that is a float32, or
# None.
Added = Sequence[Sequence[Any]]


class Format:
    """A format of tables. Each has ``schema`` and ``pieces``; those that can be written, ``write``.

    name: as an option calls it. suffixes: of its files, in lower case; without one, it is read
        only.
    is_stream: it is read from a stream of bytes, which may be compressed, or a pipe. The others are
        opened by themselves, and their ``stream`` is None; what has no such form of its own is
        written as JSONL.
    needs_utf8: what is not UTF-8 cannot be written. may_repeat_names: two columns may have one
        name.
    has_fixed_columns: each row of an output has the same columns, so one with another cannot be
        written.
    is_assembled: an output is put together at the end from what was written, so that it cannot be
        compressed, nor go into a pipe.
    """

    name: str
    suffixes: tuple[str, ...] = ()
    needs_utf8 = may_repeat_names = is_assembled = False
    is_stream = has_fixed_columns = True

    def schema(self, source: Source, stream: Any, options: ReadOptions) -> Schema:
        """Return what the beginning of an input says. stream: the opened input. Raises
        DataError."""
        raise NotImplementedError

    def pieces(
        self, source: Source, stream: Any, digest: Digest, schema: Schema
    ) -> Iterator[Piece | None]:
        """Yield the rows, those of a list each its fields or Broken; None where a live input
        pauses.

        digest: is updated with what was read. Raises DataError.
        """
        raise NotImplementedError

    def chunks(
        self, source: Source, stream: Any, schema: Schema, digest: Digest, limits: tuple[int, int]
    ) -> Iterator[tuple[bytes | list[Any], int, bool]]:
        """Yield rows in chunks, for ``parse``; how many they are; whether a live input pauses
        behind them. A chunk ends with the row that reaches one of the limits, rows and bytes: where
        it ends depends on the input alone. Raises DataError."""
        import numpy as np

        parts, count, size = list[Any](), 0, 0
        for piece in self.pieces(source, stream, digest, schema):
            rows, ends = piece or ([], [])
            start = done = 0  # rows and bytes of the piece that are in chunks
            while start < len(ends):
                full = int(np.searchsorted(ends, done + limits[1] - size)) + 1
                stop = min(full, start + limits[0] - count, len(ends))
                end = int(ends[stop - 1])
                parts.append(rows[done:end] if isinstance(rows, bytes) else rows[start:stop])
                count, size = count + stop - start, size + end - done
                start, done = stop, end
                if count >= limits[0] or size >= limits[1]:
                    yield self._joined(parts, schema), count, False
                    parts, count, size = [], 0, 0
            if piece is None:
                yield self._joined(parts, schema), count, True
                parts, count, size = [], 0, 0
        if parts:
            yield self._joined(parts, schema), count, False

    def _joined(self, parts: list[Any], schema: Schema) -> bytes | list[Any]:
        if all(isinstance(part, bytes) for part in parts):
            return b"".join(parts)
        lists = (self.split(part, schema) if isinstance(part, bytes) else part for part in parts)
        return [*chain.from_iterable(lists)]

    def split(self, data: bytes, schema: Schema) -> Iterable[Any]:
        """Return the rows of a piece that is bytes."""
        raise NotImplementedError

    def parse(self, chunk: Any, schema: Schema, check_keys: Callable[[Any], None]) -> Rows:
        """Return what the rows of a chunk hold. What a row has too much stays with its last column.

        check_keys: raises RowError where a row of JSONL has keys that it may not have.
        """
        rows = [*self.split(chunk, schema)] if isinstance(chunk, bytes) else chunk
        count, reasons = len(schema.columns), list[str | None]([None]) * len(rows)
        if Broken in map(type, rows) or {*map(len, rows)} - {count}:
            rows, reasons = map(list, zip(*[_fitted(row, schema) for row in rows]))
        texts = [row[schema.text] if reason is None else None for row, reason in zip(rows, reasons)]
        refuse_bytes(texts, reasons)
        return Rows(texts, reasons, lambda: list(zip(*rows)))

    def header(self, columns: OutputColumns) -> bytes:
        """Return what stands before the first row of an output. Raises MissingPackageError."""
        return b""

    def write(self, rows: Rows, added: Added, columns: OutputColumns) -> bytes:
        """Return the bytes of the rows of a chunk, as far as they are written."""
        raise NotImplementedError

    def assemble(self, partial: str, path: str) -> None:
        """Put the file ``path`` together from all that was written to ``partial``; of
        ``is_assembled``."""
        raise NotImplementedError


def _fitted(row: list[str] | Broken, schema: Schema) -> tuple[list[str | None], str | None]:
    """Return the values of a row, as many as there are columns, and why it has no text, if it has
    none."""
    count, delimiter = len(schema.columns), schema.dialect.delimiter if schema.dialect else ","
    reason = row.reason if isinstance(row, Broken) else None
    fields = row.fields if isinstance(row, Broken) else row
    if reason is None and len(fields) != count:
        reason = f"the row has {counted(len(fields), 'column')}, the header {count:,}"
    if len(fields) > count:
        fields = [*fields[: count - 1], delimiter.join(fields[count - 1 :])]
    return [*fields, *[None] * (count - len(fields))], reason
