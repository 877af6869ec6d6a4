"""One input → blocks of whole records in order, from any position on, whatever its format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_lstm.files import parquet
from edge_lstm.files.dialect import NO_QUOTES
from edge_lstm.files.layout import BOM, Layout
from edge_lstm.files.records import cut
from edge_lstm.files.rows import FileRecord, TooLong
from edge_lstm.files.sources import Source
from edge_lstm.files.stream import MAX_ROW_BYTES, Stream

BLOCK_ROWS = 4096
BLOCK_BYTES = 2**21
_BLOCKS_READ = 2  # at once: what is left of the last one is searched again
_BITE = 2**22  # bytes, where a long record is passed over


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

    content: of the line formats whole lines (records.py cuts them), of Parquet an Arrow IPC stream, of a
        folder its files; a row that is too long to be held is a block of its own.
    start, end: where it lies. size: its bytes, roughly, as they lie in memory.
    pause: the input has nothing more for now (it may be that this block has no rows, then).
    """

    start: Position
    end: Position
    content: bytes | tuple[FileRecord | TooLong, ...]
    size: int
    pause: bool = False


def source_blocks(
    source: Source, stream: Stream | None, layout: Layout, start: Position, rows: int, size: int
) -> Iterator[Block]:
    """The blocks of an input from ``start`` on, each of at most ``rows`` rows and ``size`` bytes, but at
    least one row. ``stream``: the input, opened at ``start``; None for Parquet and folders.

    A block holds as many rows as it may, so that where it ends depends on where it starts and on the input
    alone; a live input also ends one whenever it pauses. Raises DataError.
    """
    if source.format == "parquet":
        return _parquet_blocks(source, start, rows)
    if source.format == "folder":
        return _folder_blocks(source, start, rows, size)
    assert stream is not None
    return _line_blocks(stream, layout, start, rows, size)


def _line_blocks(stream: Stream, layout: Layout, start: Position, rows: int, size: int) -> Iterator[Block]:
    source, offset, row = start.source, start.offset, start.row
    at_start, has_header = offset == 0, offset == 0 and layout.header is not None
    data = b""  # of the input from ``offset`` on: read, and not yet given on
    while data or not stream.ended:
        wanted = _BLOCKS_READ * size
        piece = stream.read(wanted)
        pause = len(piece) < wanted and not stream.ended
        data += piece
        if at_start:
            at_start = False
            if data.startswith(BOM):
                data, offset = data[len(BOM) :], offset + len(BOM)
        records = cut(data, layout, whole=stream.ended)
        starts, ends = records.starts, records.ends
        first, last = 0, len(records)
        if has_header and last:
            first, has_header = 1, False
        if pause and first == last:
            here = Position(source, offset + records.complete, row)
            yield Block(here, here, b"", 0, pause=True)
        while first < last:
            begin = int(starts[first])
            limit = _limit(size, stream.size, offset + begin)
            fitting = int(np.searchsorted(ends, begin + limit, side="right"))
            until = min(first + rows, max(first + 1, fitting), last)
            is_full = until == first + rows or len(data) - begin >= limit
            if until == last and not (is_full or pause or stream.ended):
                break  # the next record may fit too
            end = int(ends[until - 1])
            is_too_long = until == first + 1 and end - begin > MAX_ROW_BYTES
            content = (TooLong(end - begin),) if is_too_long else data[begin:end]
            before, row = Position(source, offset + begin, row), row + until - first
            after = Position(source, offset + end, row)
            yield Block(before, after, content, end - begin, pause and until == last)
            first = until
        done = int(starts[first]) if first < last else records.complete
        data, offset = data[done:], offset + done
        if first == last and len(data) > MAX_ROW_BYTES:
            length, data = _pass_over(stream, layout, data)
            before, row = Position(source, offset, row), row + 1
            offset += length
            yield Block(before, Position(source, offset, row), (TooLong(length),), 0)


def _limit(size: int, total: int | None, offset: int) -> int:
    """The size of a block. The last ones are smaller, so that no worker waits long for another at the end."""
    return size if total is None else max(size // 4, min(size, (total - offset) // 4))


def _pass_over(stream: Stream, layout: Layout, data: bytes) -> tuple[int, bytes]:
    """The rest of a record that begins with ``data`` is read and let go → (its bytes, what was read behind
    it).
    """
    dialect = layout.dialect or NO_QUOTES
    length = begin = lost_quotes = 0
    is_open = is_lost = False  # whether the beginning of this line was let go: then its quotes are counted
    while True:
        end = data.find(b"\n", begin) + 1
        if not end and not stream.ended:
            rest = data[begin:]
            length += begin
            is_lost = is_lost or len(rest) > MAX_ROW_BYTES
            if is_lost:
                lost_quotes += rest.count(dialect.quote_byte) if dialect.quote else 0
                length += len(rest)
                rest = b""
            data, begin = rest + stream.read(_BITE), 0
            continue
        line = data[begin : end or None]
        if is_lost:
            lost_quotes += line.count(dialect.quote_byte) if dialect.quote else 0
            is_open ^= lost_quotes % 2 == 1
            is_lost, lost_quotes = False, 0
        else:
            is_open = dialect.is_open(line, is_open)
        begin += len(line)
        if not is_open or not end:
            return length + begin, data[begin:]


def _folder_blocks(source: Source, start: Position, rows: int, size: int) -> Iterator[Block]:
    top = Path(source.path)
    files: list[FileRecord | TooLong] = []
    held = 0
    for number in range(start.offset, len(source.files)):
        record = _read_file(top, source.files[number])
        files.append(record)
        held += len(record.data) + len(record.path)
        if len(files) >= rows or held >= size or number + 1 == len(source.files):
            end = Position(start.source, number + 1, number + 1)
            yield Block(start, end, tuple(files), held)
            files, held, start = [], 0, end


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
        yield Block(start, end, parquet.to_bytes(batch), batch.nbytes)
        start = end
