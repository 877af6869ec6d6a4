"""One opened input → its bytes, with an eye on input that pauses."""

from __future__ import annotations

import io
import os
import select
import stat
from typing import IO, cast

from edge_lstm.errors import DataError
from edge_lstm.tables.compression import Compression, decompressed, read_error

MAX_ROW_BYTES = 16 * 2**20  # a longer row is no document: it becomes an error row and is never held whole
HEAD_BYTES = 2**20  # what is looked at to find columns and dialect
_CHUNK = 2**18


class Stream:
    """One opened input: a look at its beginning, then its bytes.

    once: the input cannot be opened a second time (standard input, a pipe).
    live: the input may pause (a pipe, a terminal). ended: all of it was read.
    size: its bytes; None where that is not known.
    """

    def __init__(self, path: str, compression: Compression | None, *, offset: int = 0) -> None:
        """Opens ``path`` (``-``: standard input) ``offset`` bytes in, counted when decompressed.

        Raises DataError.
        """
        self.path = path
        self.live = False
        self.ended = False
        self._head = b""
        try:
            # Standard input under a descriptor of its own: closing it here leaves the caller's open.
            raw = io.FileIO(os.dup(0) if path == "-" else path, "rb")
            self.once = path == "-" or not stat.S_ISREG(os.fstat(raw.fileno()).st_mode)
            self.live = compression is None and not stat.S_ISREG(os.fstat(raw.fileno()).st_mode)
            self.size = None if self.once or compression else os.fstat(raw.fileno()).st_size
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

    def read(self, count: int) -> bytes:
        """The next ``count`` bytes; fewer where the input ends (see ``ended``), and where a live input has
        no more for now. Waits for the first of them. Raises DataError.
        """
        pieces = list[bytes]()
        missing = count
        while missing and not self.ended and not (pieces and self._idle()):
            piece, self._head = self._head, b""
            piece = piece or self._read(missing)
            if not piece:
                self.ended = True
                break
            if len(piece) > missing:
                piece, self._head = piece[:missing], piece[missing:]
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def _idle(self) -> bool:
        """Whether reading on would wait for whoever writes the input."""
        if not self.live or self._head:
            return False
        try:
            return not select.select([self._raw], [], [], 0)[0]
        except OSError:  # Windows asks sockets only: what is there is answered before more is read
            return True

    def close(self) -> None:
        """Closes the input."""
        self._stream.close()
        self._raw.close()

    def _read(self, count: int = _CHUNK) -> bytes:
        try:
            # read1 of a buffered stream and read of a raw one give what is there.
            if isinstance(self._stream, io.BufferedReader):
                return self._stream.read1(count)
            return self._stream.read(count) or b""
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
