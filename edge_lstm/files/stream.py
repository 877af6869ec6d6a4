"""Bytes in → lines out, with a bound on what one line may hold and an eye on input that pauses."""

from __future__ import annotations

import io
import os
import select
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, cast

from edge_lstm.errors import DataError
from edge_lstm.files.compression import Compression, decompressed, read_error

MAX_ROW_BYTES = 16 * 2**20  # a longer row is no document: it becomes an error row and is never held whole
HEAD_BYTES = 2**20  # what is looked at to find columns and dialect
_CHUNK = 2**18


@dataclass(frozen=True)
class Line:
    """A line with its end; ``data`` is empty where it is longer than MAX_ROW_BYTES.

    size: its bytes; quotes: how many of them are quotes, counted only where ``data`` was let go.
    """

    data: bytes
    size: int
    quotes: int = 0


class Stream:
    """One opened input: a look at its beginning, then its lines.

    once: the input cannot be opened a second time (standard input, a pipe).
    live: the input may pause (a pipe, a terminal), so that :attr:`idle` has something to say.
    """

    def __init__(self, path: str, compression: Compression | None, *, offset: int = 0) -> None:
        """Opens ``path`` (``-``: standard input) ``offset`` bytes in, counted when decompressed.

        Raises DataError.
        """
        self.path = path
        self.live = False
        self._head = b""
        try:
            # Standard input under a descriptor of its own: closing it here leaves the caller's open.
            raw = io.FileIO(os.dup(0) if path == "-" else path, "rb")
            self.once = path == "-" or not stat.S_ISREG(os.fstat(raw.fileno()).st_mode)
            self.live = compression is None and not stat.S_ISREG(os.fstat(raw.fileno()).st_mode)
            self._raw = raw
            self._stream: IO[bytes] = raw
            if compression is not None:
                plain = decompressed(io.BufferedReader(raw, _CHUNK), compression)
                self._stream = io.BufferedReader(cast(io.RawIOBase, plain), _CHUNK)
            if offset:
                self._skip(offset, seekable=compression is None)
        except OSError as error:
            raise self._error(error) from None

    def head(self) -> bytes:
        """The first HEAD_BYTES; of a live input what is there once its first line is complete."""
        while len(self._head) < HEAD_BYTES:
            if self.live and b"\n" in self._head:
                break
            chunk = self._read()
            if not chunk:
                break
            self._head += chunk
        return self._head

    def idle(self) -> bool:
        """Whether reading on would wait for whoever writes the input."""
        return self.live and not select.select([self._raw], [], [], 0)[0]

    def lines(self, quote: bytes = b"") -> Iterator[Line | None]:
        """The lines; None where a live input has nothing more for now. Raises DataError."""
        kept = bytearray()  # a line whose end has not come
        size = quotes = 0

        def line(last: bytes) -> Line:
            whole = size + len(last)
            if whole <= MAX_ROW_BYTES:
                return Line(bytes(kept) + last if kept else last, whole)
            return Line(b"", whole, quotes + (kept.count(quote) + last.count(quote) if quote else 0))

        while True:
            chunk, self._head = self._head, b""
            if not chunk:
                if self.live and self.idle():
                    yield None
                chunk = self._read()
                if not chunk:
                    break
            *complete, rest = chunk.split(b"\n")
            for piece in complete:
                yield line(piece + b"\n")
                if size:
                    kept.clear()
                    size = quotes = 0
            kept += rest
            size += len(rest)
            if size > MAX_ROW_BYTES:
                quotes += kept.count(quote) if quote else 0
                kept.clear()
        if size:
            yield line(b"")

    def close(self) -> None:
        """Closes the input."""
        self._stream.close()
        self._raw.close()

    def _read(self) -> bytes:
        try:
            # read1 of a buffered stream and read of a raw one give what is there.
            if isinstance(self._stream, io.BufferedReader):
                return self._stream.read1(_CHUNK)
            return self._stream.read(_CHUNK) or b""
        except Exception as error:
            raise self._error(error) from None

    def _skip(self, count: int, *, seekable: bool) -> None:
        if seekable:
            self._stream.seek(count)
            return
        while count:
            chunk = self._stream.read(min(count, _CHUNK))
            if not chunk:
                raise DataError(f"{self.path} is shorter than it was; start again without --resume")
            count -= len(chunk)

    def _error(self, error: Exception) -> Exception:
        return read_error("standard input" if self.path == "-" else self.path, error) or error
