"""Named inputs → checked ones, their blocks of records in order; and rows, for whoever wants just those."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edge_lstm.errors import DataError
from edge_lstm.tables.blocks import BLOCK_BYTES, BLOCK_ROWS, START, Block, Position
from edge_lstm.tables.dialect import check_character
from edge_lstm.tables.format import Format
from edge_lstm.tables.formats import FORMATS
from edge_lstm.tables.records import Row
from edge_lstm.tables.schema import ReadOptions, Schema, Source
from edge_lstm.tables.sources import find_sources
from edge_lstm.tables.stream import Stream

DEFAULT_OPTIONS = ReadOptions()


class Inputs:
    """Checked inputs of one format with the same columns. :func:`open_inputs` makes one."""

    def __init__(self, sources: tuple[Source, ...], schema: Schema, streams: dict[int, Stream]) -> None:
        self.sources = sources
        self.schema = schema
        self._sizes: list[int] | None = None
        self._streams = streams  # of pipes and the like, which cannot be opened twice

    @property
    def format(self) -> Format:
        """Their format."""
        return FORMATS[self.schema.format]

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
            self._sizes = [self.format.size(source) for source in self.sources]
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
            if stream is None and self.format.is_stream:
                stream = Stream(source.path, source.compression, offset=position.offset)
            try:
                yield from self.format.blocks(source, stream, self.schema, position, rows, size)
            finally:
                if stream is not None:
                    stream.close()

    def rows(self) -> Iterator[Row]:
        """Every row, in order. Raises DataError where an input cannot be read on."""
        read = self.format.reader(self.schema)
        for block in self.blocks():
            name = self.sources[block.start.source].name
            rows = read(block.content)
            for i, (text, error) in enumerate(rows.texts):
                values = dict(zip(self.schema.columns, map(_as_text, rows.values(i))))
                yield Row(name, block.start.row + i + 1, values, text, error)


def open_inputs(
    paths: Sequence[str | Path],
    *,
    format: str | None = None,  # noqa: A002 - the name of the option
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
        reading = FORMATS[source.format]
        stream = Stream(source.path, source.compression) if reading.is_stream else None
        try:
            schema = reading.schema(source, stream, options)
        finally:
            if stream is not None and stream.once:
                streams[index] = stream
            elif stream is not None:
                stream.close()
        if first is None:
            first = schema
        elif not reading.is_same(first, schema):
            raise DataError(
                f"{source.name} does not have the columns of {sources[0].name}, or not its delimiter; "
                "score them in separate runs"
            )
    assert first is not None
    return Inputs(sources, first, streams)


def read_rows(
    paths: Sequence[str | Path],
    *,
    format: str | None = None,  # noqa: A002
    text_column: str | None = None,
) -> Iterator[Row]:
    """Every row of the inputs, in order; a row without a text says why. Raises as :func:`open_inputs`."""
    return open_inputs(paths, format=format, options=ReadOptions(text_column=text_column)).rows()


def _as_text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value
