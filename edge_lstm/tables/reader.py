"""Named inputs → checked ones, their rows in order, in chunks or one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_lstm.errors import DataError
from edge_lstm.tables.csv import check_characters
from edge_lstm.tables.format import Format, Row
from edge_lstm.tables.formats import FORMATS
from edge_lstm.tables.schema import ReadOptions, Schema, Source
from edge_lstm.tables.sources import find_sources
from edge_lstm.tables.stream import Stream
from edge_lstm.tables.values import replaced

DEFAULT_OPTIONS = ReadOptions()
LIMITS = (2048, 2**18)  # rows and characters of a chunk


@dataclass(frozen=True)
class Chunk:
    """Some rows that follow each other in one input.

    source: the index of the input. first: how many of its rows are before these. count: how many these are.
    rows: for Format.parse. is_pause: the input has nothing more for now (there may be no rows, then).
    digest: SHA-256 of all that was read of the inputs up to here, in hexadecimal.
    fraction: the part of the inputs that was read, 0 to 1; None where their end is not known.
    """

    source: int
    first: int
    count: int
    rows: Sequence[Any]
    is_pause: bool
    digest: str
    fraction: float | None


class Inputs:
    """Checked inputs of one format with the same columns. :func:`open_inputs` makes one."""

    def __init__(
        self, sources: tuple[Source, ...], schemas: list[Schema], streams: dict[int, Stream]
    ) -> None:
        self.sources = sources
        self.schema = schemas[0]
        self._schemas = schemas
        self._streams = streams  # of pipes and the like, which cannot be opened twice

    @property
    def format(self) -> Format:
        """Their format."""
        return FORMATS[self.schema.format]

    @property
    def once(self) -> bool:
        """Whether an input can be read once only."""
        return bool(self._streams)

    def chunks(self, limits: tuple[int, int] = LIMITS) -> Iterator[Chunk]:
        """Yield all rows in chunks (see Format.chunks). Raises DataError."""
        digest = hashlib.sha256()
        for index, (source, schema) in enumerate(zip(self.sources, self._schemas)):
            stream = self._streams.get(index)
            if stream is None and self.format.is_stream:
                stream = Stream(source)
            row = 0
            try:
                for rows, count, pause in self.format.chunks(source, stream, schema, digest, limits):
                    part = self.format.fraction(source, stream, row + count)
                    done = None if part is None else (index + part) / len(self.sources)
                    yield Chunk(index, row, count, rows, pause, digest.hexdigest(), done)
                    row += count
            finally:
                if stream is not None:
                    stream.close()

    def rows(self) -> Iterator[Row]:
        """Yield every row, in order. Raises DataError where an input cannot be read on."""
        for chunk in self.chunks():
            name = self.sources[chunk.source].name
            parsed = self.format.parse(chunk.rows, self.schema)
            for i, ((text, error), values) in enumerate(zip(parsed.texts, parsed.values), chunk.first + 1):
                yield Row(name, i, dict(zip(self.schema.columns, map(self._value, values))), text, error)

    def _value(self, value: Any) -> Any:
        is_bytes = isinstance(value, str) and not value.isascii() and not self.format.is_unicode
        return replaced(value) if is_bytes else value


def open_inputs(
    paths: Sequence[str | Path],
    *,
    format: str | None = None,  # noqa: A002 - the name of the option
    options: ReadOptions = DEFAULT_OPTIONS,
) -> Inputs:
    """Return paths, globs, folders or ``-`` as inputs, their columns found and compared.

    Raises DataError, or MissingPackageError for Parquet and zstd files without their package.
    """
    check_characters(options)
    sources = find_sources(paths, format or options.format, follow_links=options.follow_links)
    streams: dict[int, Stream] = {}
    schemas: list[Schema] = []
    for index, source in enumerate(sources):
        reading = FORMATS[source.format]
        stream = Stream(source) if reading.is_stream else None
        try:
            schemas.append(reading.schema(source, stream, options))
        finally:
            if stream is not None and stream.once:
                streams[index] = stream
            elif stream is not None:
                stream.close()
        first, other = schemas[0], schemas[-1]
        # Objects may differ from row to row, so only their text must have the same key.
        if first.text_column != other.text_column or (
            reading.has_fixed_columns and (first.columns, first.text) != (other.columns, other.text)
        ):
            raise DataError(
                f"{source.name} does not have the columns of {sources[0].name}; score them in separate runs"
            )
    return Inputs(sources, schemas, streams)


def read_rows(
    paths: Sequence[str | Path],
    *,
    format: str | None = None,  # noqa: A002
    text_column: str | None = None,
) -> Iterator[Row]:
    """Yield every row of the inputs, in order; one without a text says why. Raises as :func:`open_inputs`."""
    return open_inputs(paths, format=format, options=ReadOptions(text_column=text_column)).rows()
