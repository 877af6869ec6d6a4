"""Compressed files: gzip, and zstd by the package ``zstandard``."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import PurePath
from typing import Any

from edge_lstm.extras import needs

# The suffix of a compressed file → its compression.
SUFFIXES = {".gz": "gzip", ".zst": "zstd"}
# The first bytes of a compressed file → its compression.
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
# The command that decompresses a file to standard output.
COMMANDS = {"gzip": "gzip -dc", "zstd": "zstd -dc"}
# Errors that reading damaged data raises; EOFError: it ends too early.
DAMAGE = (gzip.BadGzipFile, zlib.error, EOFError)

_INPUT_BYTES = 2**17


def compression_of(path: str) -> str:
    """Return the compression that a path's suffix says: ``gzip``, ``zstd``, or nothing."""
    return SUFFIXES.get(PurePath(path).suffix.lower(), "")


def without_suffix(path: str) -> str:
    """Return a path without the suffix of its compression."""
    return path.removesuffix(PurePath(path).suffix) if compression_of(path) else path


def compressed(data: bytes, compression: str) -> bytes:
    """Return ``data``, or a compressed file of it.

    The same data give the same file. Such files, put end to end, are one.

    Raises MissingPackageError without a package for zstd.
    """
    if compression == "gzip":
        return gzip.compress(data, 6, mtime=0)
    if compression == "zstd":
        frame: bytes = _zstd().ZstdCompressor(level=3, write_checksum=True).compress(data)
        return frame
    return data


def open_compressed(raw: io.FileIO, compression: str) -> gzip.GzipFile | ZstdReader:
    """Return a reader of a compressed file, which raises DAMAGE and OSError.

    Raises MissingPackageError without a package for zstd.
    """
    if compression == "zstd":
        return ZstdReader(raw)
    return gzip.GzipFile(fileobj=io.BufferedReader(raw, _INPUT_BYTES), mode="rb")


class ZstdReader:
    """A reader of zstd: frames, one after the other."""

    def __init__(self, raw: io.FileIO) -> None:
        """Read from ``raw``, which stays open. Raises MissingPackageError."""
        self._zstd = _zstd()
        self._raw = raw
        self._frame: Any = None  # None between two frames
        # Bytes of the file, and how many of them are decompressed.
        self._left = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        """Return at least ``size`` bytes, fewer only at the end.

        Raises zlib.error if the data are damaged, EOFError if they end within a frame.
        """
        parts: list[bytes] = []
        while size > 0:
            if not self._left:
                self._left = self._raw.read(_INPUT_BYTES) or b""
                self._at = 0
            if not self._left:
                if self._frame is not None:
                    raise EOFError
                break
            parts.append(self._decompressed())
            size -= len(parts[-1])
        return b"".join(parts)

    def _decompressed(self) -> bytes:
        """Return what the next bytes of the file become, perhaps nothing yet."""
        if self._frame is None:
            self._frame = self._zstd.ZstdDecompressor().decompressobj()
        # These bytes become 16 MiB at most, however they were made.
        part = self._left[self._at : self._at + 2**9]
        self._at += len(part)
        try:
            data: bytes = self._frame.decompress(part)
        except self._zstd.ZstdError as error:
            raise zlib.error(str(error)) from None
        if self._frame.eof:
            self._at -= len(self._frame.unused_data)
            self._frame = None
        if self._at >= len(self._left):
            self._left = b""
        return data

    def close(self) -> None:
        """Forget what was read."""
        self._left = b""


def _zstd() -> Any:
    """Return the module for zstd. Raises MissingPackageError."""
    with needs("zstd", "zstd"):
        import zstandard
    return zstandard
