"""What a format of tables is: one protocol, and one module for each that has it (see formats.py)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_lstm.tables.blocks import Block, Content, Position
from edge_lstm.tables.records import Row, Rows
from edge_lstm.tables.schema import ReadOptions, Schema, Source
from edge_lstm.tables.stream import Stream
from edge_lstm.tables.values import RowError

# Called with the number of a row and why it cannot be written → the added values it gets instead, or None
# where it is not written then.
Refuse = Callable[[int, str], "Sequence[Any] | None"]


@dataclass(frozen=True, kw_only=True)
class OutputColumns:
    """The columns of an output. Small: it travels to each worker.

    schema: of the input. kept: indexes of its columns to write; None: all, as they came.
    columns: their names in the output. added: the names of the columns behind them.
    numbers: of each added column, whether it holds float32 values; the others hold text.
    """

    schema: Schema
    kept: tuple[int, ...] | None
    columns: tuple[str, ...]
    added: tuple[str, ...]
    numbers: tuple[bool, ...]

    def pick(self, values: Sequence[Any]) -> Sequence[Any]:
        """Values of the input's columns → those that are written."""
        return values if self.kept is None else [values[i] for i in self.kept]


_MOST_KEPT = 256


class Format(ABC):
    """A format of tables: how one is read, and how rows are written.

    name: as an option calls it. suffixes: of its files, in lower case.
    is_stream: it is read from a stream of bytes, which may be compressed, or a pipe.
    keeps_bytes: the content of blocks is what stands in the input, byte for byte.
    is_writable: rows can be written in it.
    has_fixed_columns: each row of an output has the same columns, so one with another cannot be written.
    is_assembled: an output is put together at the end from what was written, so that it cannot be
        compressed, nor go into a pipe.
    has_labels: rows of labelled data have their labels in a place of their own (see labels); elsewhere they
        are in columns. lacking_label: what to say of a row without one.
    default_output: the format of the output where none is asked for; None: the same.
    """

    name: str
    suffixes: tuple[str, ...] = ()
    is_stream = True
    keeps_bytes = True
    is_writable = True
    has_fixed_columns = True
    is_assembled = False
    has_labels = False
    lacking_label = ""
    default_output: str | None = None

    @abstractmethod
    def schema(self, source: Source, stream: Stream | None, options: ReadOptions) -> Schema:
        """What the beginning of an input says. ``stream``: the opened input, where it is one. DataError."""

    @abstractmethod
    def blocks(
        self, source: Source, stream: Stream | None, schema: Schema, start: Position, rows: int, size: int
    ) -> Iterator[Block]:
        """The blocks of an input from ``start`` on, each of at most ``rows`` rows and ``size`` bytes, but at
        least one row. ``stream``: the input, opened at ``start``.

        A block holds as many rows as it may, so that where it ends depends on where it starts and on the
        input alone; a live input also ends one whenever it pauses. Raises DataError.
        """

    @abstractmethod
    def reader(
        self, schema: Schema, *, forbidden: frozenset[str] = frozenset(), known: frozenset[str] | None = None
    ) -> Callable[[Content], Rows]:
        """The function that reads the content of a block.

        forbidden: columns that a row of its own making must not have; known: the only ones it may have
        (None: any).
        """

    def size(self, source: Source) -> int:
        """The size of an input in the units of its positions' offsets."""
        return Path(source.path).stat().st_size

    def is_same(self, first: Schema, other: Schema) -> bool:
        """Whether a further input can be read with the first one."""
        return replace(first, header=None) == replace(other, header=None)

    def labels(self, row: Row) -> tuple[str, tuple[str, ...]] | None:
        """Text and labels of a row of labelled data, where ``has_labels``; None for a row that is none of the
        data. Raises DataError where a row has no text.
        """
        raise NotImplementedError(f"{self.name} has labels in a column")

    def check(self) -> None:  # noqa: B027 - most need none
        """Raises MissingPackageError where a package is needed and not installed."""

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Names of an input's columns as an output has them: UTF-8, each another."""
        return distinct(name.encode("utf-8", "replace").decode() for name in columns)

    def taken(self, schema: Schema, columns: Sequence[str]) -> Sequence[str]:
        """Of the names of an output's columns those that an added column must not have."""
        return columns

    def writer(self, columns: OutputColumns) -> Writer:
        """What writes rows with these columns."""
        raise NotImplementedError(f"{self.name} cannot be written")

    def assemble(self, partial: str, path: str) -> None:
        """Everything that was written to ``partial`` → the file ``path``, of formats that need that."""
        raise NotImplementedError


class Writer(ABC):
    """Rows and what was added to each → bytes of an output. header: what stands before the first row."""

    header: bytes = b""

    @abstractmethod
    def write(self, rows: Rows, added: Sequence[Sequence[Any] | None], refuse: Refuse) -> bytes:
        """The bytes of the rows of a block. added: for each the values of the added columns (str, a float32,
        None), or None where the row is not written.

        A row that has no form in the output (not UTF-8, for one) is written with what ``refuse`` answers.
        """


class RowWriter(Writer):
    """Writes row by row."""

    @abstractmethod
    def row(self, rows: Rows, index: int, added: Sequence[Any], errors: str) -> bytes:
        """The bytes of a row. Raises RowError where it cannot be written, unless ``errors`` is replace."""

    def write(self, rows: Rows, added: Sequence[Sequence[Any] | None], refuse: Refuse) -> bytes:
        """See Writer."""
        written = list[bytes]()
        for i, (values, (text, _)) in enumerate(zip(added, rows.texts)):
            if values is None:
                continue
            try:
                written.append(self.row(rows, i, values, "replace" if text is None else "strict"))
            except RowError as error:
                instead = refuse(i, str(error))
                if instead is not None:
                    written.append(self.row(rows, i, instead, "replace"))
        return b"".join(written)


class Encoded(dict[Any, Any]):
    """Added values → how an output has them. Those that recur, labels and statuses, are encoded once."""

    def __init__(self, encode: Callable[[Any], Any]) -> None:
        self._encode = encode

    def __missing__(self, value: Any) -> Any:
        encoded = self._encode(value)
        if (value is None or isinstance(value, str)) and len(self) < _MOST_KEPT:
            self[value] = encoded
        return encoded


def distinct(columns: Iterator[str] | Sequence[str]) -> tuple[str, ...]:
    """Column names with repeated ones numbered."""
    names = dict[str, None]()
    for column in columns:
        name, number = column, 1
        while name in names:
            number += 1
            name = f"{column}_{number}"
        names[name] = None
    return tuple(names)
