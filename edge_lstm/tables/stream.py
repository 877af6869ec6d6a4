"""An opened input, which may be compressed and may pause, as pieces of whole lines in UTF-8."""

from __future__ import annotations

import io
import os
import select
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple

from edge_lstm.errors import DataError, read_error
from edge_lstm.tables.compression import DAMAGE, open_compressed
from edge_lstm.tables.encoding import Utf8, check_compression, check_text
from edge_lstm.tables.schema import BOM, MAX_ROW_BYTES, STDIN, Checksum, Source

# Columns and dialect are found in these bytes, or in more if the first line is longer.
HEAD_BYTES = 2**20


class LongLine(NamedTuple):
    """A line that is too long to keep.

    size: its bytes. quotes: the number of its quotes.
    """

    size: int
    quotes: int


class Stream:
    """An opened input: a look at its beginning, then its lines.

    once: whether the input can be opened only once (standard input, a pipe).
    live: whether the input may pause (a pipe, a terminal).
    """

    def __init__(self, source: Source) -> None:
        """Open the source.

        Raises DataError.
        """
        self._source = source
        self._utf8 = Utf8(source)
        self._is_checked = self._is_ended = False
        self._head = b""
        self._checksum = Checksum()
        self._lines = self._split()
        self._looked_at: list[bytes | LongLine] = []
        try:
            # Standard input gets a second descriptor: closing that one leaves the caller's open.
            self._raw = io.FileIO(os.dup(0) if source.path == STDIN else source.path, "rb")
            state = os.fstat(self._raw.fileno())
        except OSError as error:
            raise self._read_error(error) from None
        is_regular = stat.S_ISREG(state.st_mode)
        self.once = source.path == STDIN or not is_regular
        self.live = not source.compression and not is_regular
        self._size = 0 if self.once else state.st_size
        self._file: Any = self._raw
        if source.compression:
            self._file = open_compressed(self._raw, source.compression)

    @property
    def fraction(self) -> float | None:
        """The part of a file that was read, 0 to 1; None if its size is not known."""
        return min(1.0, self._raw.tell() / self._size) if self._size else None

    def head(self, least: int = HEAD_BYTES) -> bytes:
        """Return the beginning of the input, with its first line unless that is too long for a row.

        least: bytes. A live input gives fewer, because it may pause after its first line.
        Raises DataError.
        """
        while not self._is_looked_at(least):
            data = self._read()
            if not data:
                break
            self._head += data
        return self._head

    def _is_looked_at(self, least: int) -> bool:
        if b"\n" in self._head:
            return self.live or len(self._head) >= least
        return len(self._head) > MAX_ROW_BYTES

    def first_pieces(self) -> Iterator[bytes | LongLine | None]:
        """Yield the first pieces, which ``pieces`` yields again.

        They are kept in memory until then, so take only a few.
        Raises DataError.
        """
        for piece in self._lines:
            if piece is not None:
                self._looked_at.append(piece)
            yield piece

    def pieces(self, checksum: Checksum) -> Iterator[bytes | LongLine | None]:
        """Yield the lines in pieces, without a byte order mark.

        A piece is whole lines (the last line gets an end, if it has none), or a line that is too
        long to keep, or None when a live input pauses.

        checksum: is updated with the bytes that are read from now on. Only of an input that no run
            resumes (a pipe), some bytes may have been read before.
        Raises DataError.
        """
        self._checksum = checksum
        while self._looked_at:
            yield self._looked_at.pop(0)
        yield from self._lines

    def _split(self) -> Iterator[bytes | LongLine | None]:
        rest = b""  # the beginning of a line whose end was not read yet
        # The line that is too long, if there is one.
        size = quotes = 0
        is_first = True
        while True:
            if self.live and not self._head and self._is_idle():
                yield None
            data = self._head or self._read()
            self._head = b""
            if not data:
                break
            self._checksum.update(data)
            if is_first:
                data = data.removeprefix(BOM)
                is_first = False
            if not size and len(rest) + max(0, data.find(b"\n")) > MAX_ROW_BYTES:
                size = len(rest)
                quotes = rest.count(b'"')
                rest = b""
            if size:
                line, end, data = data.partition(b"\n")
                size += len(line) + len(end)
                quotes += line.count(b'"')
                if not end:
                    continue
                yield LongLine(size, quotes)
                size = quotes = 0
            whole = data.rfind(b"\n") + 1
            if whole:
                yield b"".join([rest, memoryview(data)[:whole]])
                rest = b""
            rest += data[whole:]
        if size or len(rest) > MAX_ROW_BYTES:
            yield LongLine(size + len(rest), quotes + rest.count(b'"'))
        elif rest:
            yield rest + b"\n"

    def close(self) -> None:
        """Close the input."""
        self._file.close()
        self._raw.close()

    def _is_idle(self) -> bool:
        """Return whether reading would wait for the program that writes the input."""
        try:
            return not select.select([self._raw], [], [], 0)[0]
        except OSError:
            # Windows can ask only sockets. Thus rows are answered before more of them are read.
            return True

    def _read(self) -> bytes:
        """Return the next bytes as UTF-8, none at the end."""
        text = b""
        while not text and not self._is_ended:
            try:
                data = self._file.read(2**17) or b""
            except (OSError, *DAMAGE) as error:
                raise self._read_error(error) from None
            if not self._is_checked:
                check_compression(self._source, data)
                self._is_checked = True
            self._is_ended = not data
            text = self._utf8.convert(data)
        return text

    def _read_error(self, error: Exception) -> DataError:
        name = self._source.name
        if isinstance(error, EOFError):
            return DataError(
                f"{name} is cut short: its compressed data ends too early; copy it again"
            )
        if isinstance(error, OSError) and not isinstance(error, DAMAGE):
            return read_error(name, error)
        return DataError(f"{name} is damaged or has a wrong suffix ({error}); copy it again")


def table_head(source: Source, stream: Stream) -> bytes:
    """Return the beginning of a table.

    Raises DataError if it is empty or not text.
    """
    head = stream.head()
    check_text(source, head)
    if not head.removeprefix(BOM).strip():
        raise DataError(f"{source.name} is empty; {source.format} needs at least its columns")
    return head
