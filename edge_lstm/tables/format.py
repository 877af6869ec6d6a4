"""What a format of tables is: one interface, and one module for each that has it (see formats.py)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_lstm.errors import DataError
from edge_lstm.tables.schema import MAX_ROW_BYTES, ReadOptions, Schema, Source
from edge_lstm.tables.stream import Stream
from edge_lstm.tables.values import utf8_error

if TYPE_CHECKING:
    from hashlib import _Hash

Text = tuple[str | None, str | None]  # the text of a row and None, or None and why there is none


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


class Rows:
    """The rows of a chunk, parsed.

    texts: the text of each, or why it has none.
    values: the values of each in the order of the schema's columns: text, or what JSON has; None where the
        row has no such column. objects: of JSONL, all that each row holds, by its own keys.
    table: of Parquet, the Arrow table.
    """

    def __init__(
        self,
        texts: list[Text],
        values: Callable[[], list[Sequence[Any]]],
        *,
        objects: list[dict[str, Any]] | None = None,
        table: Any = None,
    ) -> None:
        self.texts = texts
        self._load = values
        self.objects = objects
        self.table = table

    @cached_property
    def values(self) -> list[Sequence[Any]]:
        """See the class; made when they are first asked for."""
        return self._load()


@dataclass(frozen=True, kw_only=True)
class OutputColumns:
    """The columns of an output. Small: it travels to each worker.

    schema: of the input. kept: indexes of its columns to write; None: all.
    columns: their names in the output. added: the names of the columns behind them.
    numbers: of each added column, whether it holds float32 values; the others hold text.
    """

    schema: Schema
    kept: tuple[int, ...] | None
    columns: tuple[str, ...]
    added: tuple[str, ...]
    numbers: tuple[bool, ...]

    def pick(self, values: Sequence[Any]) -> Sequence[Any]:
        """Return those values of the input's columns that are written."""
        return values if self.kept is None else [values[i] for i in self.kept]


class Writer(ABC):
    """Rows and what was added to each → bytes of an output. header: what stands before the first row."""

    header: bytes = b""

    def check(self, rows: Rows) -> None:  # noqa: B027 - most write all
        """Put an error in place of the text of each row that cannot be written as it is."""

    @abstractmethod
    def write(self, rows: Rows, added: Sequence[Sequence[Any] | None]) -> bytes:
        """Return the bytes of the rows of a chunk. added: for each the values of the added columns (str, a
        float32, None), or None where the row is not written.
        """


class Format(ABC):
    """A format of tables.

    name: as an option calls it. suffixes: of its files, in lower case. default_output: the format of the
        output where none is asked for; None: the same.
    is_stream: it is read from a stream of bytes, which may be compressed, or a pipe.
    is_unicode: its strings are Unicode by themselves, not bytes that may be no UTF-8 (see values.py).
    has_fixed_columns: each row of an output has the same columns, so one with another cannot be written.
    is_assembled: an output is put together at the end from what was written, so that it cannot be
        compressed, nor go into a pipe.
    has_labels: rows of labelled data have their labels in a place of their own (see labels); elsewhere they
        are in columns. lacking_label: what to say of a row without one.
    """

    name: str
    suffixes: tuple[str, ...] = ()
    default_output: str | None = None
    is_stream = True
    is_unicode = False
    is_writable = True
    has_fixed_columns = True
    is_assembled = False
    has_labels = False
    lacking_label = ""

    @abstractmethod
    def schema(self, source: Source, stream: Stream | None, options: ReadOptions) -> Schema:
        """Return what the beginning of an input says. stream: the opened input, where it is one. Raises
        DataError.
        """

    @abstractmethod
    def rows(
        self, source: Source, stream: Stream | None, schema: Schema, digest: _Hash
    ) -> Iterator[tuple[Any, int]]:
        """Yield each row, as :meth:`parse` takes it, and its size; None for a row where a live input pauses.

        digest: is updated with what was read. Raises DataError.
        """

    def chunks(
        self, source: Source, stream: Stream | None, schema: Schema, digest: _Hash, limits: tuple[int, int]
    ) -> Iterator[tuple[Sequence[Any], int, bool]]:
        """Yield rows in chunks, how many they are, and whether a live input pauses behind them. A chunk ends
        with the row that reaches one of the limits, rows and size, so that where it ends depends on the input
        alone. Raises DataError.
        """
        chunk: list[Any] = []
        size = 0
        for row, length in self.rows(source, stream, schema, digest):
            if row is not None:
                chunk.append(row)
                size += length
            if row is None or len(chunk) >= limits[0] or size >= limits[1]:
                yield chunk, len(chunk), row is None
                chunk, size = [], 0
        if chunk:
            yield chunk, len(chunk), False

    @abstractmethod
    def parse(
        self,
        rows: Sequence[Any],
        schema: Schema,
        *,
        forbidden: frozenset[str] = frozenset(),
        allowed: frozenset[str] | None = None,
    ) -> Rows:
        """Return what the rows of a chunk hold.

        forbidden: keys that a row of JSONL must not have; allowed: the only ones it may have (None: any).
        """

    def labels(self, row: Row) -> tuple[str, tuple[str, ...]] | None:
        """Return text and labels of a row of labelled data, where ``has_labels``; None for a row that is none
        of the data. Raises DataError.
        """
        raise NotImplementedError(f"{self.name} has labels in a column")

    def fraction(self, source: Source, stream: Stream | None, row: int) -> float | None:
        """Return the part of an input that was read when so many rows were, 0 to 1; None if unknown."""
        return stream.fraction if stream is not None else None

    def check(self) -> None:  # noqa: B027 - most need none
        """Raise MissingPackageError where a package is needed and not installed."""

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the names of an input's columns as an output has them: UTF-8, each another."""
        return distinct([name.encode("utf-8", "replace").decode() for name in columns])

    def writer(self, columns: OutputColumns) -> Writer:
        """Return what writes rows with these columns."""
        raise NotImplementedError(f"{self.name} cannot be written")

    def assemble(self, partial: str, path: str) -> None:
        """Put the file ``path`` together from all that was written to ``partial``; of ``is_assembled``."""
        raise NotImplementedError


def distinct(columns: Sequence[str]) -> tuple[str, ...]:
    """Return column names with repeated ones numbered."""
    names = dict[str, None]()
    for column in columns:
        name, number = column, 1
        while name in names:
            number += 1
            name = f"{column}_{number}"
        names[name] = None
    return tuple(names)


def refuse_bytes(rows: Rows, output: OutputColumns) -> None:
    """Put an error in place of the text of each row with another column that is not UTF-8."""
    for i, (text, _) in enumerate(rows.texts):
        if text is None:
            continue
        for value, name in zip(output.pick(rows.values[i]), output.columns):
            if isinstance(value, str) and utf8_error(value):
                rows.texts[i] = None, f"column {name!r} is not UTF-8; leave it out with --keep"
                break
