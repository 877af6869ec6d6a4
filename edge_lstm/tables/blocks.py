"""A stream of lines → blocks of whole records in order, from any position on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate

from edge_lstm.tables.dialect import strip_newline
from edge_lstm.tables.records import FileRecord, TooLong
from edge_lstm.tables.schema import BOM
from edge_lstm.tables.stream import MAX_ROW_BYTES, Stream

BLOCK_ROWS = 4096
BLOCK_BYTES = 2**21
_BLOCKS_READ = 1  # at once: its records lie in memory twice
_BITE = 2**22  # bytes, where a long record is passed over

# Of lines whole lines; of Parquet an Arrow IPC stream; of a folder its files. A row that is too long to be
# held is a block of its own.
Content = bytes | tuple[FileRecord | TooLong, ...]


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

    start, end: where it lies. size: its bytes, roughly, as they lie in memory.
    pause: the input has nothing more for now (it may be that this block has no rows, then).
    """

    start: Position
    end: Position
    content: Content
    size: int
    pause: bool = False


@dataclass(frozen=True)
class Records:
    """The rows of a piece of a file.

    records: without their line ends; ends: where in the piece the line end of each is over.
    complete: how many bytes are lines that have ended, blank ones included.
    """

    records: list[bytes]
    ends: list[int]
    complete: int


class Lines:
    """Where a record is a line. is_row: whether a line is a row (a blank one may be none); None: each is."""

    quote = b""

    def __init__(self, is_row: Callable[[bytes], object] | None = None) -> None:
        self._is_row = is_row

    def cut(self, data: bytes, *, whole: bool = True) -> Records:
        """Cuts a piece that begins where a record does. whole: no more follows, so its last line is one."""
        lines = data.split(b"\n")
        rest = lines.pop()
        ends = list(accumulate([len(line) + 1 for line in lines]))
        if whole and rest:
            lines.append(rest)
            ends.append(len(data))
        if b"\r" in data:
            lines = [line[:-1] if line.endswith(b"\r") else line for line in lines]
        return self._rows(lines, ends)

    def _rows(self, records: list[bytes], ends: list[int]) -> Records:
        complete = ends[-1] if ends else 0
        if self._is_row is not None and not all(map(self._is_row, records)):
            kept = [i for i, record in enumerate(records) if self._is_row(record)]
            records, ends = [records[i] for i in kept], [ends[i] for i in kept]
        return Records(records, ends, complete)

    def is_open(self, line: bytes, was_open: bool) -> bool:
        """Whether the record goes on behind ``line``, the next line of it."""
        return False

    def next_line(self, data: bytes, begin: int) -> int:
        """Where the next line begins that may end a record of several lines."""
        return begin


def line_blocks(
    stream: Stream,
    lines: Lines,
    start: Position,
    rows: int,
    size: int,
    *,
    has_header: bool = False,
) -> Iterator[Block]:
    """The blocks of a stream that was opened at ``start`` (see Format.blocks). has_header: its first record
    holds names.
    """
    source, offset, row = start.source, start.offset, start.row
    at_start = offset == 0
    skip = 1 if at_start and has_header else 0  # records
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
        found = lines.cut(data, whole=stream.ended)
        ends, last = found.ends, len(found.ends)
        first = min(skip, last)
        skip -= first
        begin = ends[first - 1] if first else 0  # of the next block, in ``data``
        if pause and first == last:
            here = Position(source, offset + found.complete, row)
            yield Block(here, here, b"", 0, pause=True)
        while first < last:
            limit = _limit(size, stream.size, offset + begin)
            fitting = bisect_right(ends, begin + limit)
            until = min(first + rows, max(first + 1, fitting), last)
            is_full = until == first + rows or len(data) - begin >= limit
            if until == last and not (is_full or pause or stream.ended):
                break  # the next record may fit too
            end = ends[until - 1]
            is_too_long = until == first + 1 and end - begin > MAX_ROW_BYTES
            content = (TooLong(end - begin),) if is_too_long else data[begin:end]
            before, row = Position(source, offset + begin, row), row + until - first
            after = Position(source, offset + end, row)
            yield Block(before, after, content, end - begin, pause and until == last)
            first, begin = until, end
        done = begin if first < last else found.complete
        data, offset = data[done:], offset + done
        if first == last and len(data) >= wanted:
            record, length, data = _long_record(stream, lines, data)
            before, row = Position(source, offset, row), row + 1
            offset += length
            content = (TooLong(length),) if record is None else record
            yield Block(before, Position(source, offset, row), content, len(record or b""))


def _limit(size: int, total: int | None, offset: int) -> int:
    """The size of a block. The last ones are smaller, so that no worker waits long for another at the end."""
    return size if total is None else max(size // 4, min(size, (total - offset) // 4))


def _long_record(stream: Stream, lines: Lines, data: bytes) -> tuple[bytes | None, int, bytes]:
    """Reads the record that begins with ``data`` to its end, each line once → (the record, or None where it
    is too long to be held; its bytes; what was read behind it).
    """
    quote = lines.quote
    parts = list[bytes]()  # of the record, as long as it can be held
    length = begin = 0  # bytes that were read; where in ``data`` the next line begins
    is_open = False  # whether the record goes on behind the last line
    quotes = -1  # of this line, where its beginning was let go; -1: ``data`` holds the whole of it
    while True:
        if is_open and quotes < 0:
            begin = lines.next_line(data, begin)
        end = data.find(b"\n", begin) + 1 or (len(data) if stream.ended else 0)
        if end and quotes >= 0:
            # Whoever writes a line of more than 16 MiB has its quotes in pairs.
            is_open ^= (quotes + data.count(quote, begin, end)) % 2 == 1 if quote else False
            quotes = -1
        elif end:
            is_open = lines.is_open(data[begin:end], is_open)
        if end:
            begin = end
            if is_open and not (stream.ended and end == len(data)):
                continue
            length += end
            parts.append(data[:end])
            return (b"".join(parts) if length <= MAX_ROW_BYTES else None), length, data[end:]
        if quotes >= 0 or len(data) - begin > MAX_ROW_BYTES:
            quotes = max(quotes, 0) + (data.count(quote, begin) if quote else 0)
            begin = len(data)
        length += begin
        if length <= MAX_ROW_BYTES:
            parts.append(data[:begin])
        else:
            parts.clear()
        data, begin = data[begin:] + stream.read(_BITE), 0


def split_record(data: bytes, lines: Lines) -> tuple[bytes, bool]:
    """The first record of ``data``, without its line end, and whether it goes on behind the end of it."""
    begin, is_open = 0, False
    while begin < len(data):
        end = data.find(b"\n", begin) + 1 or len(data)
        is_open = lines.is_open(data[begin:end], is_open)
        begin = end
        if not is_open:
            break
    return strip_newline(data[:begin]), is_open
