"""What a format of tables does: one class, and one module for each that has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_lstm.errors import DataError
from edge_lstm.tables.schema import MAX_ROW_BYTES, ReadOptions, Schema, Source
from edge_lstm.tables.values import Text, text_or_reason

if TYPE_CHECKING:
    from hashlib import _Hash


class Broken(NamedTuple):
    """Stands for a row that has no text, whatever its fields: why, and what could be read of it."""

    reason: str
    fields: list[str]


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
            raise DataError(f"{self.source} row {self.number}: {self.error}; correct or remove the row")
        return self.text


@dataclass
class Rows:
    """The rows of a chunk, parsed.

    texts: the text of each, or why it has none. load: makes ``values``.
    objects: of JSONL, all that each row holds, by its own keys. table: of Parquet, the Arrow table.
    """

    texts: list[Text]
    load: Callable[[], list[Sequence[Any]]]
    objects: list[dict[str, Any]] | None = None
    table: Any = None

    @cached_property
    def values(self) -> list[Sequence[Any]]:
        """The values of each row in the order of the schema's columns: text, or what JSON has; None where the
        row has no such column.
        """
        return self.load()


@dataclass(frozen=True, kw_only=True)
class OutputColumns:
    """The columns of an output. Small: it travels to each worker.

    schema: of the input. format: the name of the output's. kept: indexes of its columns to write; None: all.
    columns: their names in the output. added: the names of the columns behind them, and whether each holds
        float32 values; the others hold text.
    """

    schema: Schema
    format: str
    kept: tuple[int, ...] | None
    columns: tuple[str, ...]
    added: dict[str, bool]

    def pick(self, values: Sequence[Any]) -> Sequence[Any]:
        """Return those values of the input's columns that are written."""
        return values if self.kept is None else [values[i] for i in self.kept]


# What was added to each row of a chunk (str, a float32, None); None where the row is not written.
Added = Sequence[Sequence[Any] | None]


class Format:
    """A format of tables. Each has ``schema`` and ``rows``; those that can be written, ``write``.

    name: as an option calls it. suffixes: of its files, in lower case; without one, it is read only.
    is_stream: it is read from a stream of bytes, which may be compressed, or a pipe. The others are opened by
        themselves, and their ``stream`` is None; what has no such form of its own is written as JSONL.
    needs_utf8: what is not UTF-8 cannot be written. may_repeat_names: two columns may have one name.
    has_fixed_columns: each row of an output has the same columns, so one with another cannot be written.
    is_assembled: an output is put together at the end from what was written, so that it cannot be
        compressed, nor go into a pipe.
    """

    name: str
    suffixes: tuple[str, ...] = ()
    needs_utf8 = may_repeat_names = is_assembled = False
    is_stream = has_fixed_columns = True

    def schema(self, source: Source, stream: Any, options: ReadOptions) -> Schema:
        """Return what the beginning of an input says. stream: the opened input. Raises DataError."""
        raise NotImplementedError

    def rows(self, source: Source, stream: Any, digest: _Hash, schema: Schema) -> Iterator[tuple[Any, int]]:
        """Yield each row, its fields or Broken, and its size; None for a row where a live input pauses.

        digest: is updated with what was read. Raises DataError.
        """
        raise NotImplementedError

    def chunks(
        self, source: Source, stream: Any, schema: Schema, digest: _Hash, limits: tuple[int, int]
    ) -> Iterator[tuple[Sequence[Any], int, bool]]:
        """Yield rows in chunks, how many they are, and whether a live input pauses behind them. A chunk ends
        with the row that reaches one of the limits, rows and size, so that where it ends depends on the input
        alone. Raises DataError.
        """
        chunk: list[Any] = []
        size = 0
        for row, length in self.rows(source, stream, digest, schema):
            if row is not None:
                chunk.append(row)
                size += length
            if row is None or len(chunk) >= limits[0] or size >= limits[1]:
                yield chunk, len(chunk), row is None
                chunk, size = [], 0
        if chunk:
            yield chunk, len(chunk), False

    def parse(self, rows: Any, schema: Schema, check_keys: Callable[[Any], None]) -> Rows:
        """Return what the rows of a chunk hold. What a row has too much stays with its last column.

        check_keys: raises RowError where a row of JSONL has keys that it may not have.
        """
        count, texts, values = len(schema.columns), list[Text](), list[Sequence[Any]]()
        delimiter = schema.dialect.delimiter if schema.dialect else ","
        for row in rows:
            fields = row.fields if isinstance(row, Broken) else row
            if isinstance(row, Broken):
                texts.append((None, row.reason))
            elif len(fields) != count:
                columns = f"{len(fields)} column{'s' * (len(fields) != 1)}"
                texts.append((None, f"the row has {columns}, the header {count}"))
            else:
                text = fields[schema.text]
                texts.append((text, None) if text.isascii() else text_or_reason(text))
            if len(fields) > count:
                fields = [*fields[: count - 1], delimiter.join(fields[count - 1 :])]
            values.append(fields if len(fields) == count else fields + [None] * (count - len(fields)))
        return Rows(texts, lambda: values)

    def header(self, columns: OutputColumns) -> bytes:
        """Return what stands before the first row of an output. Raises MissingPackageError."""
        return b""

    def write(self, rows: Rows, added: Added, columns: OutputColumns) -> bytes:
        """Return the bytes of the rows of a chunk, as far as they are written."""
        raise NotImplementedError

    def assemble(self, partial: str, path: str) -> None:
        """Put the file ``path`` together from all that was written to ``partial``; of ``is_assembled``."""
        raise NotImplementedError
