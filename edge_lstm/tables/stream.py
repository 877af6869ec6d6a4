"""One opened input, which may be gzip's and may pause → its bytes in pieces of whole lines."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import select
import stat
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from edge_lstm.errors import DataError
from edge_lstm.tables.encoding import check_text
from edge_lstm.tables.schema import BOM, MAX_ROW_BYTES, STDIN, Digest, Source

# what is looked at to find columns and dialect; more if the first line is longer
HEAD_BYTES = 2**20
_PIECE = 2**17


class LongLine(NamedTuple):
    """A line that is too long to be kept. size: its bytes; quotes: how many of them are quotes."""

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
        self._digest: Digest = hashlib.sha256()
        self._lines = self._split()
        self._looked_at: list[bytes | LongLine] = []
        try:
            # Standard input under a descriptor of its own: closing it here leaves the caller's
            # open.
            self._raw = io.FileIO(os.dup(0) if source.path == STDIN else source.path, "rb")
            state = os.fstat(self._raw.fileno())
        except OSError as error:
            raise self._read_error(error) from None
        is_regular = stat.S_ISREG(state.st_mode)
        self.once = source.path == STDIN or not is_regular
        self.live = not source.is_gzip and not is_regular
        self._size = 0 if self.once else state.st_size
        self._file: io.FileIO | gzip.GzipFile = self._raw
        if source.is_gzip:
            self._file = gzip.GzipFile(fileobj=io.BufferedReader(self._raw, _PIECE), mode="rb")

    @property
    def fraction(self) -> float | None:
        """The part of a file that was read, 0 to 1; None where its end is not known."""
        return min(1.0, self._raw.tell() / self._size) if self._size else None

    def head(self, least: int = HEAD_BYTES) -> bytes:
        """Return the first ``least`` bytes, and more until the first line is complete or too long
        for a row; of a live input what is there once its first line is complete."""
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
        """Yield the first pieces, which ``pieces`` yields again. They are kept until then: stop in
        time."""
        for piece in self._lines:
            if piece is not None:
                self._looked_at.append(piece)
            yield piece

    def pieces(self, digest: Digest) -> Iterator[bytes | LongLine | None]:
        """Yield the lines in pieces, without a byte order mark: whole lines (the last gets an end,
        too), one that is too long to be kept, or None where a live input has nothing more for now.

        digest: is updated with what is read from now on. (Only of a live input or standard input,
        which no run resumes, something may have been looked at before.) Raises DataError.
        """
        self._digest = digest
        while self._looked_at:
            yield self._looked_at.pop(0)
        yield from self._lines

    def _split(self) -> Iterator[bytes | LongLine | None]:
        rest = b""  # of a line whose end was not read yet
        size, quotes, is_first = 0, 0, True  # size: of one that is too long; else 0
        while True:
            if self.live and not self._head and self._is_idle():
                yield None
            data, self._head = self._head or self._read(), b""
            if not data:
                break
            self._digest.update(data)
            if is_first:
                data, is_first = data.removeprefix(BOM), False
            if not size and len(rest) + data.find(b"\n") > MAX_ROW_BYTES:
                size, quotes, rest = len(rest), rest.count(b'"'), b""
            if size:
                line, end, data = data.partition(b"\n")
                size, quotes = size + len(line + end), quotes + line.count(b'"')
                if not end:
                    continue
                yield LongLine(size, quotes)
                size = 0
            lines, end, behind = data.rpartition(b"\n")
            if end:
                yield rest + lines + end
            rest = behind if end else rest + behind
            if len(rest) > MAX_ROW_BYTES:
                size, quotes, rest = len(rest), rest.count(b'"'), b""
        if size:
            yield LongLine(size, quotes)
        elif rest:
            yield rest + b"\n"

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
            return self._file.read(_PIECE) or b""
        except (OSError, EOFError, zlib.error) as error:
            raise self._read_error(error) from None

    def _read_error(self, error: Exception) -> DataError:
        if isinstance(error, EOFError):
            return DataError(
                f"{self._name} is cut short: its compressed data ends too early; copy it again"
            )
        if isinstance(error, (gzip.BadGzipFile, zlib.error)):
            return DataError(
                f"{self._name} is damaged or has a wrong suffix ({error}); copy it again"
            )
        reason = error.strerror if isinstance(error, OSError) else error
        return DataError(f"cannot read {self._name}: {reason}; check the file and its permissions")


def table_head(source: Source, stream: Stream) -> bytes:
    """Return the beginning of a table. Raises DataError where it is no text, or empty."""
    head = stream.head()
    check_text(source, head)
    if not head.removeprefix(BOM).strip():
        raise DataError(f"{source.name} is empty; {source.format} needs at least its columns")
    return head
