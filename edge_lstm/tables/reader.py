"""Paths, globs, folders and ``-`` as inputs, and their rows, in chunks or one by one."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from edge_lstm.checked import instance
from edge_lstm.errors import DataError, did_you_mean, read_error
from edge_lstm.system.atomic import is_leftover
from edge_lstm.tables import csv, folder, lines, parquet
from edge_lstm.tables.compression import compression_of, without_suffix
from edge_lstm.tables.format import Block, Format, Row, Rows
from edge_lstm.tables.schema import STDIN, WHOLE_ROW, Checksum, ReadOptions, Schema, Source
from edge_lstm.tables.stream import Stream
from edge_lstm.tables.values import replaced

# A new format is a module of its own, and a name in this list.
FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        lines.TEXT,
        csv.CSV,
        csv.TSV,
        lines.JSONL,
        parquet.PARQUET,
        folder.FOLDER,
    )
}
_BY_SUFFIX = {suffix: each.name for each in FORMATS.values() for suffix in each.suffixes}
# Suffixes of archives, which only the workstation reads.
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
DEFAULT_OPTIONS = ReadOptions()
LIMITS = (8192, 2**19)  # rows and bytes of a chunk


def named(name: str) -> Format:
    """Return the format with a name.

    Raises DataError if no format has it.
    """
    if name not in FORMATS:
        raise DataError(
            f"no format {name!r}; give one of {', '.join(FORMATS)}{did_you_mean(name, [*FORMATS])}"
        )
    return FORMATS[name]


def format_of(path: str) -> str | None:
    """Return the name of the format that a path's suffix says, compressed or not; else None."""
    return _BY_SUFFIX.get(PurePath(without_suffix(path)).suffix.lower())


@dataclass(frozen=True)
class Chunk:
    """Some rows that follow each other in one input.

    source: the name of the input.
    first: the number of rows before these.
    block: these rows.
    checksum: of all bytes of the inputs that were read so far.
    fraction: the part of the inputs that was read, 0 to 1; None if their size is not known.
    """

    source: str
    first: int
    block: Block
    checksum: str
    fraction: float | None


@dataclass(frozen=True)
class Inputs:
    """Checked inputs of one format with the same columns.

    :func:`open_inputs` makes one.

    streams: by the index of their source; only of pipes and the like, which cannot be opened twice.
    """

    sources: tuple[Source, ...]
    schemas: Sequence[Schema]
    streams: Mapping[int, Stream]

    @property
    def schema(self) -> Schema:
        """The columns of the first input, which the others have too."""
        return self.schemas[0]

    @property
    def format(self) -> Format:
        """The format of the inputs."""
        return FORMATS[self.schema.format]

    @property
    def once(self) -> bool:
        """Whether an input can be read only once."""
        return bool(self.streams)

    def chunks(self, limits: tuple[int, int] = LIMITS) -> Iterator[Chunk]:
        """Yield all rows in chunks.

        limits: rows and bytes of a chunk; see Format.blocks.
        Raises DataError if an input cannot be read on.
        """
        checksum = Checksum()
        for index, (source, schema) in enumerate(zip(self.sources, self.schemas)):
            stream = self.streams.get(index)
            if stream is None and self.format.is_stream:
                stream = Stream(source)
            row = 0
            try:
                for block in self.format.blocks(source, stream, schema, checksum, limits):
                    end = row + block.count
                    part = stream.fraction if stream else end / max(1, schema.rows or 0)
                    done = None if part is None else (index + part) / len(self.sources)
                    yield Chunk(source.name, row, block, str(checksum), done)
                    row = end
            finally:
                if stream is not None:
                    stream.close()

    def parse(self, chunk: Chunk) -> Rows:
        """Return the rows of a chunk."""
        return self.format.parse(chunk.block, self.schema)

    def rows(self) -> Iterator[Row]:
        """Yield all rows, in order.

        Raises DataError if an input cannot be read on.
        """
        names = self.schema.columns
        for chunk in self.chunks():
            parsed = self.parse(chunk)
            rows = zip(parsed.texts, parsed.reasons, *parsed.columns)
            for i, (text, error, *values) in enumerate(rows, chunk.first + 1):
                if not self.schema.is_unicode:
                    values = [
                        replaced(value) if isinstance(value, str) else value for value in values
                    ]
                yield Row(chunk.source, i, dict(zip(names, values)), text, error)


def open_inputs(paths: Sequence[str | Path], *, options: ReadOptions = DEFAULT_OPTIONS) -> Inputs:
    """Open inputs, find their columns and check that they are the same.

    paths: files, globs, folders, or ``-`` for standard input.
    Raises DataError, TypeError, or MissingPackageError for Parquet without its package.
    """
    instance("reading", options, ReadOptions)
    options.check()
    sources = [
        replace(each, encoding=options.encoding or "")
        for each in _find_sources(paths, options.format)
    ]
    streams: dict[int, Stream] = {}
    schemas: list[Schema] = []
    for index, source in enumerate(sources):
        reading = FORMATS[source.format]
        stream = Stream(source) if reading.is_stream else None
        try:
            schema = reading.schema(source, stream, options)
            if schema.text == WHOLE_ROW:
                schema = schema.with_fields(
                    options.fields or (), source.name, may_lack=not reading.has_fixed_columns
                )
            schemas.append(schema)
        finally:
            if stream is not None and stream.once:
                streams[index] = stream
            elif stream is not None:
                stream.close()
        first = schemas[0]
        other = schemas[-1]
        # Objects may differ from row to row, so only their text must have the same key.
        is_same = first.text_column == other.text_column
        if reading.has_fixed_columns:
            is_same = first.columns == other.columns and first.text == other.text
        if not is_same:
            raise DataError(
                f"{source.name} and {sources[0].name} have different columns; score them separately"
            )
    return Inputs(tuple(sources), schemas, streams)


def read_rows(
    paths: Sequence[str | Path], *, options: ReadOptions = DEFAULT_OPTIONS
) -> Iterator[Row]:
    """Yield all rows of inputs, in order.

    Arguments and errors as of :func:`open_inputs`.
    """
    return open_inputs(paths, options=options).rows()


def _find_sources(
    paths: Sequence[str | Path],
    format: str | None,  # noqa: A002
) -> tuple[Source, ...]:
    """Return paths as sources, all of one format.

    Raises DataError.
    """
    if not paths:
        raise DataError("no input; name files, folders, globs or - for standard input")
    if format is not None:
        named(format)
    expanded: list[str] = []
    for path in paths:
        expanded += _expand(os.fspath(path))
    if STDIN in expanded and len(expanded) > 1:
        raise DataError(
            "standard input (-) cannot be read together with files; give one or the other"
        )
    sources = tuple(_source(name, format) for name in expanded)
    formats = {source.format: source.path for source in sources}
    if len(formats) > 1:
        names = ", ".join(f"{path}: {name}" for name, path in formats.items())
        raise DataError(f"the inputs are of different formats ({names}); use one format per run")
    return sources


def _expand(path: str) -> list[str]:
    """Return the paths that a glob matches, sorted; of another path, that one.

    Files that unfinished runs left are not among them.
    """
    if path == STDIN or os.path.lexists(path) or not glob.has_magic(path):
        return [path]
    matches = glob.glob(path, recursive=True)  # noqa: PTH207 - the pattern may be absolute
    paths = sorted(name for name in matches if not is_leftover(name))
    if not paths:
        raise DataError(f"no file matches {path!r}; check the pattern")
    # 'data/**' matches folders, too. The files in them are matched by themselves.
    files = [name for name in paths if not Path(name).is_dir()]
    return files or paths


def _source(path: str, format: str | None) -> Source:  # noqa: A002
    """Return one path as a source.

    Raises DataError.
    """
    if path == STDIN:
        if format is not None and not FORMATS[format].is_stream:
            raise DataError(f"standard input cannot be read as {format}; give the path of a file")
        return Source(path, format or lines.TEXT.name)
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        raise DataError(f"no such file: {path}; check the path, or where its link leads") from None
    except OSError as error:
        # A loop of symbolic links, for one, or a folder that may not be searched.
        raise read_error(path, error) from None
    if stat.S_ISDIR(mode):
        if format not in (None, folder.FOLDER.name):
            raise DataError(
                f"{path} is a folder, not a {format} file; name its files, as in "
                f"'{path}/*.{format}'"
            )
        return folder.folder_source(path)
    if format == folder.FOLDER.name:
        raise DataError(f"{path} is a file, not a folder; leave the format out or name a folder")
    told = format or format_of(path)
    if told is None and PurePath(path).suffix.lower() in {".xlsx", ".xlsm", ".xls", ".ods"}:
        raise DataError(f"{path} is a spreadsheet; in Excel, save it as CSV UTF-8")
    if told is None:
        raise DataError(
            f"{path}: the suffix does not say what it holds; "
            f"name the format ({', '.join(FORMATS)}) with --input-format"
        )
    compression = compression_of(path) if FORMATS[told].is_stream else ""
    return Source(path, told, compression)
