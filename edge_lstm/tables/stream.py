"""One opened input → its bytes in pieces of whole lines, with an eye on input that pauses."""

from __future__ import annotations

import io
import os
import select
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from edge_lstm.errors import DataError
from edge_lstm.tables.compression import decompressed, read_error
from edge_lstm.tables.schema import BOM, MAX_ROW_BYTES, STDIN, Source

if TYPE_CHECKING:
    from hashlib import _Hash

HEAD_BYTES = 2**20  # what is looked at to find columns and dialect
_PIECE = 2**17


class LongLine(NamedTuple):
    """A line that is too long to be kept. size: its bytes; quotes: how many of them are the quote."""

    size: int
    quotes: int


class Stream:
    """One opened input: a look at its beginning, then its lines.

    once: the input cannot be opened a second time (standard input, a pipe).
    live: the input may pause (a pipe, a terminal).
    """

    def __init__(self, source: Source) -> None:
        """Open the source. Raises DataError."""
        self._name = source.name
        self._head = b""
        try:
            # Standard input under a descriptor of its own: closing it here leaves the caller's open.
            self._raw = io.FileIO(os.dup(0) if source.path == STDIN else source.path, "rb")
            state = os.fstat(self._raw.fileno())
            is_regular = stat.S_ISREG(state.st_mode)
            self.once = source.path == STDIN or not is_regular
            self.live = source.compression is None and not is_regular
            self._size = 0 if self.once else state.st_size
            self._file = decompressed(io.BufferedReader(self._raw, _PIECE), source.compression)
        except OSError as error:
            raise read_error(self._name, error) or error from None

    @property
    def fraction(self) -> float | None:
        """The part of a file that was read, 0 to 1; None where its end is not known."""
        return min(1.0, self._raw.tell() / self._size) if self._size else None

    def head(self) -> bytes:
        """Return the first HEAD_BYTES; of a live input what is there once its first line is complete."""
        while len(self._head) < HEAD_BYTES and not (self.live and b"\n" in self._head):
            data = self._read()
            if not data:
                break
            self._head += data
        return self._head

    def pieces(self, digest: _Hash, quote: bytes = b'"') -> Iterator[bytes | LongLine | None]:
        """Yield the lines in pieces, without a byte order mark: whole lines, a line that is too long to be
        kept, or None where a live input has nothing more for now.

        digest: is updated with what was read. Raises DataError.
        """
        parts: list[bytes] = []  # of a line whose end was not read yet
        size, quotes, is_first = 0, 0, True
        while True:
            if self.live and not self._head and self._is_idle():
                yield None
            data, self._head = self._head or self._read(), b""
            if not data:
                break
            digest.update(data)
            if is_first:
                data, is_first = data.removeprefix(BOM), False
            if size > MAX_ROW_BYTES:
                line, end, data = data.partition(b"\n")
                size, quotes = size + len(line + end), quotes + line.count(quote)
                if not end:
                    continue
                yield LongLine(size, quotes)
                size = 0
            lines, end, rest = data.rpartition(b"\n")
            if end:
                yield b"".join([*parts, lines, end])
                parts, size = [], 0
            parts.append(rest)
            size += len(rest)
            if size > MAX_ROW_BYTES:
                quotes = sum(part.count(quote) for part in parts)
                parts.clear()
        if size > MAX_ROW_BYTES:
            yield LongLine(size, quotes)
        elif size:
            yield b"".join(parts)

    def close(self) -> None:
        """Close the input."""
        self._file.close()
        self._raw.close()

    def _is_idle(self) -> bool:
        """Whether reading on would wait for whoever writes the input."""
        try:
            return not select.select([self._raw], [], [], 0)[0]
        except OSError:  # Windows asks sockets only: what is there is answered before more is read
            return True

    def _read(self) -> bytes:
        try:
            # A file's pieces end where they did the last time; a pipe gives what is there.
            return (self._raw.read(_PIECE) or b"") if self.live else self._file.read(_PIECE)
        except Exception as error:
            raise read_error(self._name, error) or error from None


def check_text(source: Source, head: bytes) -> None:
    """Raise DataError where the beginning of an input is no text in UTF-8."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or head[:200:2].count(0) + head[1:200:2].count(0) > 40:
        hint = f"convert it with: iconv -f UTF-16 -t UTF-8 {source.path}"
        if source.compression:
            hint = "decompress it and look, or convert it with: iconv -f UTF-16 -t UTF-8"
        raise DataError(f"{source.name} is UTF-16 or binary, not UTF-8 text; {hint}")


def check_not_empty(source: Source, head: bytes) -> None:
    """Raise DataError where there is nothing in an input."""
    if not head.removeprefix(BOM).strip():
        raise DataError(f"{source.name} is empty; {source.format} needs at least its columns")
