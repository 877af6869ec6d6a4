"""Compressed files by their suffix: streams to read, and pieces to write that can be put end to end.

A compressed file may be several complete ones (members, frames) in a row; every tool that reads one
reads such a file too. So pieces are compressed by themselves, and a file can be cut at any border.
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
# One zstd block of 4 bytes can hold 128 KiB of the same byte: small bites bound what comes out at once.
_ZSTD_BITE = 2048
_BITE = 2**16
_BUFFER = 2**18


def split_suffix(path: str) -> tuple[str, Compression | None]:
    """A path → (its suffix in lower case without the compression's, the compression)."""
    name = PurePath(path)
    compression = SUFFIXES.get(name.suffix.lower())
    suffix = PurePath(name.stem).suffix if compression else name.suffix
    return suffix.lower(), compression


def zstandard() -> Any:
    """The zstandard package; MissingPackageError where it is not installed."""
    with needs("zstd", "reading or writing a file that ends in .zst"):
        import zstandard as package
    return package


def decompressed(stream: IO[bytes], compression: Compression | None) -> IO[bytes]:
    """A stream of the bytes that ``stream`` holds; its errors are told by :func:`read_error`."""
    if compression == "gzip":
        return cast(IO[bytes], gzip.GzipFile(fileobj=stream, mode="rb"))
    if compression == "bzip2":
        return io.BufferedReader(_Members(stream, bz2.BZ2Decompressor), _BUFFER)
    if compression == "xz":
        return io.BufferedReader(_Members(stream, lzma.LZMADecompressor, padding=4), _BUFFER)
    if compression == "zstd":
        return io.BufferedReader(_ZstdReader(stream), _BUFFER)
    return stream


def compress(data: bytes, compression: Compression | None) -> bytes:
    """One complete member or frame that holds ``data``. The same bytes give the same bytes."""
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
    """What an exception while reading ``path`` means, or None where it is not a matter of the file."""
    if isinstance(error, EOFError):
        return DataError(f"{path} is cut short: its compressed data ends too early; copy it again")
    if (
        isinstance(error, (gzip.BadGzipFile, zlib.error, lzma.LZMAError))
        or type(error).__name__ == "ZstdError"
    ):
        return DataError(f"{path} is damaged or not of the kind its suffix says ({error}); copy it again")
    if isinstance(error, OSError):
        if error.errno is None:  # bz2 raises a bare OSError for bad data
            return DataError(f"{path} is damaged or not of the kind its suffix says ({error}); copy it again")
        return DataError(f"cannot read {path}: {error.strerror}; check the file and its permissions")
    return None


class _Members(io.RawIOBase):
    """The members of a bzip2 or xz file as one raw stream; EOFError where the last one is cut short.

    (Python's own readers take whatever stands behind a complete member for the end of the file: damage to
    the beginning of a later member then loses all its rows without a word.)

    padding: zeros may stand behind a member, a multiple of so many; 0: nothing may but another member.
    """

    def __init__(
        self,
        stream: IO[bytes],
        new_member: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor],
        *,
        padding: int = 0,
    ) -> None:
        self._stream = stream
        self._new_member = new_member
        self._padding = padding
        self._member = new_member()
        self._compressed = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            if self._member.eof:
                self._compressed = self._behind(self._member.unused_data)
                if not self._compressed:
                    return 0
                self._member = self._new_member()
            compressed, self._compressed = self._compressed, b""
            if not compressed and self._member.needs_input:
                compressed = self._stream.read(_BITE)
                if not compressed:
                    raise EOFError
            data = self._member.decompress(compressed, len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)

    def _behind(self, data: bytes) -> bytes:
        """The beginning of what stands behind a member, without padding; empty at the end of the file."""
        zeros = 0
        while True:
            data = data or self._stream.read(_BITE)
            rest = data.lstrip(b"\0") if self._padding else data
            zeros += len(data) - len(rest)
            if rest or not data:
                break
            data = b""
        if zeros and zeros % self._padding:
            raise lzma.LZMAError(f"{zeros} zeros behind a complete part, not a multiple of {self._padding}")
        return rest

    def close(self) -> None:
        self._stream.close()
        super().close()


class _ZstdReader(io.RawIOBase):
    """The frames of a .zst file as one raw stream; EOFError where the last one is cut short.

    (The package's own reader takes a cut file for a complete one.)
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._package = zstandard()
        self._frame: Any = None
        self._compressed = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            if not self._compressed:
                self._compressed = self._stream.read(_ZSTD_BITE)
                if not self._compressed:
                    if self._frame is not None:
                        raise EOFError
                    return 0
            if self._frame is None:
                self._frame = self._package.ZstdDecompressor().decompressobj()
            self._ready = memoryview(self._frame.decompress(self._compressed))
            self._compressed = b""
            if self._frame.eof:
                self._compressed, self._frame = self._frame.unused_data, None
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()
