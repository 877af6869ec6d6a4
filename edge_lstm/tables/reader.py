"""Named inputs → checked ones, their blocks of records in order; and rows, for whoever wants just those."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_lstm.errors import DataError
from edge_lstm.tables import parquet
from edge_lstm.tables.blocks import BLOCK_BYTES, BLOCK_ROWS, START, Block, Position, source_blocks
from edge_lstm.tables.csv import check_character
from edge_lstm.tables.records import cut
from edge_lstm.tables.rows import text_reader, values_reader
from edge_lstm.tables.schema import ReadOptions, Schema, find_schema, same_schema
from edge_lstm.tables.sources import Format, Source, find_sources
from edge_lstm.tables.stream import Stream
from edge_lstm.tables.values import RowError

DEFAULT_OPTIONS = ReadOptions()


@dataclass(frozen=True)
class Row:
    """One row, read.

    source: what messages call its file; number: from 1, the header not counted.
    values: its columns by name, as text where the format has only text.
    text: the text to classify, or None, and then ``error`` says why.
    """

    source: str
    number: int
    values: dict[str, Any]
    text: str | None
    error: str | None


class Inputs:
    """Checked inputs of one format with the same columns. :func:`open_inputs` makes one."""

    def __init__(self, sources: tuple[Source, ...], schema: Schema, streams: dict[int, Stream]) -> None:
        self.sources = sources
        self.schema = schema
        self._sizes: list[int] | None = None
        self._streams = streams  # of pipes and the like, which cannot be opened twice

    @property
    def live(self) -> bool:
        """Whether an input is a pipe or terminal, whose writer may wait for answers."""
        return any(stream.live for stream in self._streams.values())

    @property
    def once(self) -> bool:
        """Whether an input can be read once only."""
        return bool(self._streams)

    def progress(self, position: Position) -> float | None:
        """The part of the inputs before ``position``, 0 to 1; None where that cannot be known."""
        if self.once or any(source.compression for source in self.sources):
            return None
        if self._sizes is None:
            self._sizes = [_size(source) for source in self.sources]
        done = sum(self._sizes[: position.source]) + position.offset
        return done / sum(self._sizes) if sum(self._sizes) else None

    def blocks(
        self, start: Position = START, *, rows: int = BLOCK_ROWS, size: int = BLOCK_BYTES
    ) -> Iterator[Block]:
        """The blocks from ``start`` on, each of at most ``rows`` rows and ``size`` bytes (see blocks.py).

        Where they end depends on the input alone (and on ``rows`` and ``size``) when ``start`` is the end of
        such a block; a live input also ends one whenever it pauses. Raises DataError.
        """
        for index in range(start.source, len(self.sources)):
            source = self.sources[index]
            position = start if index == start.source else Position(index)
            stream = self._streams.get(index)
            if stream is None and source.format not in ("parquet", "folder"):
                stream = Stream(source.path, source.compression, offset=position.offset)
            try:
                yield from source_blocks(source, stream, self.schema, position, rows, size)
            finally:
                if stream is not None:
                    stream.close()

    def rows(self) -> Iterator[Row]:
        """Every row, in order. Raises DataError where an input cannot be read on."""
        is_table = self.schema.format == "parquet"
        text_of = None if is_table else text_reader(self.schema)
        values_of = None if is_table else values_reader(self.schema)
        for block in self.blocks():
            name = self.sources[block.start.source].name
            number = block.start.row
            if text_of is None or values_of is None:
                assert isinstance(block.content, bytes)
                table = parquet.from_bytes(block.content)
                read = parquet.texts(table.column(self.schema.text))
                columns = [map(_as_text, parquet.plain_values(column)) for column in table.columns]
                for (text, error), *row in zip(read, *columns):
                    number += 1
                    yield Row(name, number, dict(zip(self.schema.columns, row)), text, error)
                continue
            content = block.content
            for record in cut(content, self.schema) if isinstance(content, bytes) else content:
                number += 1
                values = dict(zip(self.schema.columns, map(_as_text, values_of(record))))
                try:
                    yield Row(name, number, values, text_of(record), None)
                except RowError as error:
                    yield Row(name, number, values, None, str(error))


def open_inputs(
    paths: Sequence[str | Path],
    *,
    format: Format | None = None,  # noqa: A002 - the name of the option
    options: ReadOptions = DEFAULT_OPTIONS,
) -> Inputs:
    """Paths, globs, folders or ``-`` → inputs, their columns found and compared.

    Raises DataError, or MissingPackageError for Parquet and zstd files without their package.
    """
    try:
        check_character("delimiter", options.delimiter)
        check_character("quote", options.quote)
    except ValueError as error:
        raise DataError(f"{error}; give one character") from None
    sources = find_sources(paths, format, follow_links=options.follow_links)
    streams = {}
    first: Schema | None = None
    for index, source in enumerate(sources):
        if source.format in ("parquet", "folder"):
            schema = find_schema(source, None, options)
        else:
            stream = Stream(source.path, source.compression)
            try:
                schema = find_schema(source, stream, options)
            finally:
                if stream.once:
                    streams[index] = stream
                else:
                    stream.close()
        if first is None:
            first = schema
        else:
            same_schema(first, schema, sources[0].name, source.name)
    assert first is not None
    return Inputs(sources, first, streams)


def read_rows(
    paths: Sequence[str | Path],
    *,
    format: Format | None = None,  # noqa: A002
    text_column: str | None = None,
) -> Iterator[Row]:
    """Every row of the inputs, in order; a row without a text says why. Raises as :func:`open_inputs`."""
    return open_inputs(paths, format=format, options=ReadOptions(text_column=text_column)).rows()


def _as_text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


def _size(source: Source) -> int:
    """The size of an input in the units of its positions."""
    if source.format == "folder":
        return len(source.files)
    return parquet.rows(source.path) if source.format == "parquet" else Path(source.path).stat().st_size
