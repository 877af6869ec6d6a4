"""One input → blocks of whole records in order, from any position on, whatever its format."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_lstm.tables import parquet
from edge_lstm.tables.csv import NO_QUOTES
from edge_lstm.tables.records import cut, record_ends
from edge_lstm.tables.rows import FileRecord, TooLong
from edge_lstm.tables.schema import BOM, Schema
from edge_lstm.tables.sources import Source
from edge_lstm.tables.stream import MAX_ROW_BYTES, Stream

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
    source: Source, stream: Stream | None, schema: Schema, start: Position, rows: int, size: int
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
    return _line_blocks(stream, schema, start, rows, size)


def _line_blocks(stream: Stream, schema: Schema, start: Position, rows: int, size: int) -> Iterator[Block]:
    source, offset, row = start.source, start.offset, start.row
    at_start, has_header = offset == 0, offset == 0 and schema.header is not None
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
        records = cut(data, schema, whole=stream.ended)
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
            length, data = _pass_over(stream, schema, data)
            before, row = Position(source, offset, row), row + 1
            offset += length
            yield Block(before, Position(source, offset, row), (TooLong(length),), 0)


def _limit(size: int, total: int | None, offset: int) -> int:
    """The size of a block. The last ones are smaller, so that no worker waits long for another at the end."""
    return size if total is None else max(size // 4, min(size, (total - offset) // 4))


def _pass_over(stream: Stream, schema: Schema, data: bytes) -> tuple[int, bytes]:
    """The rest of a record that begins with ``data`` is read and let go → (its bytes, what was read behind
    it).
    """
    dialect = schema.dialect or NO_QUOTES
    length = 0  # of what was let go
    is_open = False  # whether a quoted field is, where the line begins in which ``data`` does
    quotes = -1  # of that line, where its beginning was let go; -1: ``data`` holds the whole of it
    while data or not stream.ended:
        if quotes >= 0:
            end = data.find(b"\n") + 1
            done = end or len(data)
            quotes += data.count(dialect.quote_byte, 0, done) if dialect.quote else 0
            if end:
                # Whoever writes a line of more than 16 MiB has its quotes in pairs.
                is_open ^= quotes % 2 == 1
                quotes = -1
                if not is_open:
                    return length + done, data[done:]
        elif done := len(data) if stream.ended else data.rfind(b"\n") + 1:
            # What lies inside of a quoted field is read as the rest of one that begins here.
            opened = dialect.quote_byte if is_open else b""
            ends, _ = record_ends(opened + data[:done], dialect, whole=stream.ended)
            if len(ends):
                end = int(ends[0]) - len(opened)
                return length + end, data[end:]
            is_open = True  # where the last of these lines ends, or it would end the record
        elif len(data) > MAX_ROW_BYTES:
            quotes = 0
            continue
        length, data = length + done, data[done:]
        if not stream.ended:
            data += stream.read(_BITE)
    return length, data


def _folder_blocks(source: Source, start: Position, rows: int, size: int) -> Iterator[Block]:
    top = Path(source.path)
    files: list[FileRecord | TooLong] = []
    held = 0
    for number in range(start.offset, len(source.files)):
        record = _read_file(top, source.files[number], source.follow_links)
        files.append(record)
        held += len(record.data) + len(record.path)
        if len(files) >= rows or held >= size or number + 1 == len(source.files):
            end = Position(start.source, number + 1, number + 1)
            yield Block(start, end, tuple(files), held)
            files, held, start = [], 0, end


def _read_file(top: Path, name: str, follow_links: bool) -> FileRecord:
    try:
        # Opened without waiting: a named pipe would wait for whoever writes into it.
        opened = os.open(top / name, os.O_RDONLY | os.O_NONBLOCK | (0 if follow_links else os.O_NOFOLLOW))
        with open(opened, "rb") as file:  # noqa: PTH123 - a descriptor
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                return FileRecord(name, b"", "a pipe or device, no file")
            data = file.read(MAX_ROW_BYTES + 1)
    except OSError as error:
        if error.errno == errno.ELOOP and not follow_links:
            return FileRecord(name, b"", "a symbolic link; read what it leads to with --follow-links")
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
