"""Compressed files by their suffix: streams to read, and pieces to write that can be put end to end.

A compressed file may be several complete ones (members, frames) in a row; every tool that reads one
reads such a file too. So pieces are compressed by themselves.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import PurePath
from typing import IO, Any, Literal, cast

from edge_lstm.errors import DataError
from edge_lstm.extras import needs

Compression = Literal["gzip", "bzip2", "xz", "zstd"]

SUFFIXES: dict[str, Compression] = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}
# Of archives, which only the workstation reads.
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_BITE, _BUFFER = 2**16, 2**18
# One zstd block of 4 bytes can hold 128 KiB of the same byte: small bites bound what comes out at once.
_ZSTD_BITE = 2048


def split_suffix(path: str) -> tuple[str, Compression | None]:
    """Return a path's suffix in lower case without the compression's, and the compression."""
    name = PurePath(path)
    compression = SUFFIXES.get(name.suffix.lower())
    suffix = PurePath(name.stem).suffix if compression else name.suffix
    return suffix.lower(), compression


def zstandard() -> Any:
    """Return the zstandard package. Raises MissingPackageError where it is not installed."""
    with needs("zstd", "reading or writing a file that ends in .zst"):
        import zstandard as package
    return package


def decompressed(stream: IO[bytes], compression: Compression | None) -> IO[bytes]:
    """Return a stream of the bytes that ``stream`` holds; its errors are told by :func:`read_error`."""
    if compression == "gzip":
        return cast(IO[bytes], gzip.GzipFile(fileobj=stream, mode="rb"))
    if compression == "bzip2":
        return io.BufferedReader(_Members(stream, bz2.BZ2Decompressor), _BUFFER)
    if compression == "xz":
        return io.BufferedReader(_Members(stream, lzma.LZMADecompressor, padding=4), _BUFFER)
    if compression == "zstd":
        return io.BufferedReader(_Members(stream, _ZstdFrame, bite=_ZSTD_BITE), _BUFFER)
    return stream


def compress(data: bytes, compression: Compression | None) -> bytes:
    """Return one complete member or frame that holds ``data``. The same bytes give the same bytes."""
    if compression == "gzip":
        return gzip.compress(data, 6, mtime=0)
    if compression == "bzip2":
        return bz2.compress(data)
    if compression == "xz":
        return lzma.compress(data)
    if compression == "zstd":
        return cast(bytes, zstandard().ZstdCompressor().compress(data))
    return data


def read_error(path: str, error: Exception) -> DataError | None:
    """Return what an exception while reading ``path`` means, or None where it is not a matter of the file."""
    if isinstance(error, EOFError):
        return DataError(f"{path} is cut short: its compressed data ends too early; copy it again")
    is_bad = isinstance(error, (gzip.BadGzipFile, zlib.error, lzma.LZMAError))
    # bz2 raises a bare OSError for bad data.
    if is_bad or type(error).__name__ == "ZstdError" or (isinstance(error, OSError) and error.errno is None):
        return DataError(f"{path} is damaged or not of the kind its suffix says ({error}); copy it again")
    if isinstance(error, OSError):
        return DataError(f"cannot read {path}: {error.strerror}; check the file and its permissions")
    return None


class _ZstdFrame:
    """A frame with the methods of Python's decompressors. (The package's own reader takes a cut file for a
    complete one.)
    """

    needs_input = True

    def __init__(self) -> None:
        self._frame = zstandard().ZstdDecompressor().decompressobj()

    def decompress(self, data: bytes, _: int) -> bytes:
        return cast(bytes, self._frame.decompress(data))

    @property
    def eof(self) -> bool:
        return bool(self._frame.eof)

    @property
    def unused_data(self) -> bytes:
        return cast(bytes, self._frame.unused_data)


class _Members(io.RawIOBase):
    """The members of a compressed file as one raw stream; EOFError where the last one is cut short.

    (Python's own readers take whatever stands behind a complete member for the end of the file: damage to
    the beginning of a later member then loses all its rows without a word.)

    padding: zeros may stand behind a member, a multiple of so many; 0: nothing may but another member.
    """

    def __init__(
        self, stream: IO[bytes], new_member: Callable[[], Any], *, bite: int = _BITE, padding: int = 0
    ) -> None:
        self._stream, self._new_member, self._bite, self._padding = stream, new_member, bite, padding
        self._member = new_member()
        self._compressed = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            if self._member.eof:
                self._compressed = self._behind(self._member.unused_data)
                if not self._compressed:
                    return 0
                self._member = self._new_member()
            compressed, self._compressed = self._compressed, b""
            if not compressed and self._member.needs_input:
                compressed = self._stream.read(self._bite)
                if not compressed:
                    raise EOFError
            self._ready = memoryview(self._member.decompress(compressed, _BUFFER))
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count

    def _behind(self, data: bytes) -> bytes:
        """Return the beginning of what stands behind a member, without padding; empty at the end."""
        zeros = 0
        while data := data or self._stream.read(self._bite):
            rest = data.lstrip(b"\0") if self._padding else data
            zeros += len(data) - len(rest)
            data = b""
            if rest:
                data = rest
                break
        if zeros and zeros % self._padding:
            raise lzma.LZMAError(f"{zeros} zeros behind a complete part, not a multiple of {self._padding}")
        return data
