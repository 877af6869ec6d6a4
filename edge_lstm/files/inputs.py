"""Inputs → blocks of records in order, from any position on; and rows, for whoever wants just those."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_lstm.errors import DataError
from edge_lstm.files import parquet
from edge_lstm.files.dialect import check_character, strip_newline
from edge_lstm.files.layout import BOM, Layout, Options, find_layout, same_layout
from edge_lstm.files.rows import FileRecord, RowError, TooLong, text_reader, values_reader
from edge_lstm.files.sources import Format, Source, find_sources
from edge_lstm.files.stream import MAX_ROW_BYTES, Line, Stream

DEFAULT_OPTIONS = Options()
BLOCK_ROWS = 4096
BLOCK_BYTES = 2**20


@dataclass(frozen=True)
class Position:
    """A border between two rows.

    source: index of the input. offset: bytes (decompressed) into it, of a folder files, of Parquet rows.
    row: rows of this input before the border.
    """

    source: int = 0
    offset: int = 0
    row: int = 0


START = Position()


@dataclass(frozen=True)
class Block:
    """Some rows that follow each other in one input.

    records: one for each row (see rows.py); of Parquet empty, and ``table`` holds an Arrow IPC stream.
    start, end: where it lies. size: its bytes, roughly, as they lie in memory.
    pause: the input has nothing more for now (it may be that this block has no rows, then).
    """

    start: Position
    end: Position
    records: tuple[bytes | FileRecord | TooLong, ...]
    table: bytes | None
    size: int
    pause: bool = False

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.end.row - self.start.row


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

    def __init__(self, sources: tuple[Source, ...], layout: Layout, streams: dict[int, Stream]) -> None:
        self.sources = sources
        self.layout = layout
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
        """The blocks from ``start`` on, each of at most ``rows`` rows and about ``size`` bytes.

        Where blocks end depends on the input alone (and on ``rows`` and ``size``) when ``start`` is the
        end of such a block; a live input also ends one whenever it pauses. Raises DataError.
        """
        for index in range(start.source, len(self.sources)):
            source = self.sources[index]
            position = start if index == start.source else Position(index)
            if source.format == "parquet":
                yield from _parquet_blocks(source, position, rows)
            elif source.format == "folder":
                yield from _folder_blocks(source, position, rows, size)
            else:
                stream = self._streams.get(index) or Stream(
                    source.path, source.compression, offset=position.offset
                )
                try:
                    yield from self._line_blocks(stream, position, rows, size)
                finally:
                    stream.close()

    def rows(self) -> Iterator[Row]:
        """Every row, in order. Raises DataError where an input cannot be read on."""
        text_of = None if self.layout.format == "parquet" else text_reader(self.layout)
        values_of = None if self.layout.format == "parquet" else values_reader(self.layout)
        for block in self.blocks():
            name = self.sources[block.start.source].name
            number = block.start.row
            if block.table is not None:
                table = parquet.from_bytes(block.table)
                read = parquet.texts(table.column(self.layout.text))
                columns = [table.column(i).to_pylist() for i in range(table.num_columns)]
                for (text, error), *row in zip(read, *columns):
                    number += 1
                    yield Row(name, number, dict(zip(self.layout.columns, row)), text, error)
                continue
            assert text_of is not None and values_of is not None
            for record in block.records:
                number += 1
                values = dict(zip(self.layout.columns, map(_as_text, values_of(record))))
                try:
                    yield Row(name, number, values, text_of(record), None)
                except RowError as error:
                    yield Row(name, number, values, None, str(error))

    def _line_blocks(self, stream: Stream, start: Position, rows: int, size: int) -> Iterator[Block]:
        records: list[bytes | FileRecord | TooLong] = []
        held = 0
        end = start
        skip_header = start.offset == 0 and self.layout.header is not None
        for record, bytes_read in self._records(stream, at_start=start.offset == 0):
            if record is not None and skip_header:
                skip_header = False
                end = start = Position(start.source, end.offset + bytes_read, 0)
                continue
            end = Position(end.source, end.offset + bytes_read, end.row + (record is not None))
            if record is not None:
                records.append(record)
                held += bytes_read
            pause = bytes_read == 0
            if pause or len(records) >= rows or held >= size:
                yield Block(start, end, tuple(records), None, held, pause)
                records, held, start = [], 0, end
        if records:
            yield Block(start, end, tuple(records), None, held)

    def _records(self, stream: Stream, *, at_start: bool) -> Iterator[tuple[bytes | TooLong | None, int]]:
        """(a record or None where there is none, bytes read for it); (None, 0) where the input pauses."""
        layout = self.layout
        lines = stream.lines(layout.dialect.quote_byte if layout.dialect else b"")
        if at_start:
            lines = _without_bom(lines)
        if layout.dialect is not None:
            yield from _csv_records(lines, layout)
            return
        blank_is_row = layout.format == "text"
        for line in lines:
            if line is None:
                yield None, 0
            elif line.size > MAX_ROW_BYTES:
                yield TooLong(line.size), line.size
            else:
                record = strip_newline(line.data)
                yield (record if blank_is_row or record.strip() else None), line.size


def open_inputs(
    paths: Sequence[str | Path],
    *,
    format: Format | None = None,  # noqa: A002 - the name of the option
    options: Options = DEFAULT_OPTIONS,
) -> Inputs:
    """Paths, globs, folders or ``-`` → inputs, their columns found and compared.

    Raises DataError, or MissingPackageError for Parquet and zstd files without their package.
    """
    try:
        check_character("delimiter", options.delimiter)
        check_character("quote", options.quote)
    except ValueError as error:
        raise DataError(f"{error}; give one character") from None
    sources = find_sources(paths, format)
    streams = {}
    first: Layout | None = None
    for index, source in enumerate(sources):
        if source.format in ("parquet", "folder"):
            layout = find_layout(source, None, options)
        else:
            stream = Stream(source.path, source.compression)
            try:
                layout = find_layout(source, stream, options)
            finally:
                if stream.once:
                    streams[index] = stream
                else:
                    stream.close()
        if first is None:
            first = layout
        else:
            same_layout(first, layout, sources[0].name, source.name)
    assert first is not None
    return Inputs(sources, first, streams)


def read_rows(
    paths: Sequence[str | Path],
    *,
    format: Format | None = None,  # noqa: A002
    text_column: str | None = None,
) -> Iterator[Row]:
    """Every row of the inputs, in order; a row without a text says why. Raises as :func:`open_inputs`."""
    return open_inputs(paths, format=format, options=Options(text_column=text_column)).rows()


def _as_text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


def _without_bom(lines: Iterable[Line | None]) -> Iterator[Line | None]:
    first = True
    for line in lines:
        if first and line is not None:
            first = False
            line = replace(line, data=line.data.removeprefix(BOM))
        yield line


def _csv_records(
    lines: Iterable[Line | None], layout: Layout
) -> Iterator[tuple[bytes | TooLong | None, int]]:
    dialect = layout.dialect
    assert dialect is not None
    many = len(layout.columns) > 1
    parts: list[bytes] = []
    size = 0
    was_open = too_long = False
    for line in lines:
        if line is None:
            yield None, 0
            continue
        size += line.size
        if size > MAX_ROW_BYTES:
            too_long, parts = True, []
        if line.data:
            was_open = dialect.is_open(line.data, was_open)
        elif line.quotes % 2:  # of a line that was let go only its quotes are known
            was_open = not was_open
        if not too_long:
            if was_open:
                parts.append(line.data)
                continue
            record = strip_newline(b"".join(parts) + line.data if parts else line.data)
            # A blank line is no row, as for csv.DictReader; where there is one column it may be one.
            yield (record if record or not many else None), size
        elif was_open:
            continue
        else:
            yield TooLong(size), size
        parts, size, was_open, too_long = [], 0, False, False
    if size:
        # The input ends inside a quoted field.
        yield (TooLong(size) if too_long else strip_newline(b"".join(parts))), size


def _folder_blocks(source: Source, start: Position, rows: int, size: int) -> Iterator[Block]:
    top = Path(source.path)
    records: list[bytes | FileRecord | TooLong] = []
    held = 0
    for number in range(start.offset, len(source.files)):
        record = _read_file(top, source.files[number])
        records.append(record)
        held += len(record.data) + len(record.path)
        if len(records) >= rows or held >= size or number + 1 == len(source.files):
            end = Position(start.source, number + 1, number + 1)
            yield Block(start, end, tuple(records), None, held)
            records, held, start = [], 0, end


def _read_file(top: Path, name: str) -> FileRecord:
    try:
        with (top / name).open("rb") as file:
            data = file.read(MAX_ROW_BYTES + 1)
    except OSError as error:
        return FileRecord(name, b"", f"the file cannot be read: {error.strerror}")
    if len(data) > MAX_ROW_BYTES:
        return FileRecord(name, b"", f"the file is longer than {MAX_ROW_BYTES // 2**20} MiB")
    return FileRecord(name, data.removeprefix(BOM))


def _parquet_blocks(source: Source, start: Position, rows: int) -> Iterator[Block]:
    for batch in parquet.batches(source.path, start.offset, rows):
        number = start.row + batch.num_rows
        end = Position(start.source, number, number)
        yield Block(start, end, (), parquet.to_bytes(batch), batch.nbytes)
        start = end


def _size(source: Source) -> int:
    """The size of an input in the units of its positions."""
    if source.format == "folder":
        return len(source.files)
    return parquet.rows(source.path) if source.format == "parquet" else Path(source.path).stat().st_size
