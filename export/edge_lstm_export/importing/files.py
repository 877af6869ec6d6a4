"""What kind a file is, by its first bytes: names of models are often wrong."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError

from edge_lstm.errors import DataError, first_line

FileKind = Literal["hdf5", "keras zip", "torch", "safetensors"]

MOST_BYTES = 2**30  # in a file, and in all that a zip archive unpacks to
MOST_CONFIG_BYTES = 2**24  # in a JSON configuration

_ZIP = b"PK\x03\x04"
# A pickled number with which PyTorch before 1.6 begins a file.
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"
_HEAD = 512  # bytes that are looked at
# What people have instead of a model, by how it begins, and what to do about it.
_OTHERS = {
    b"\x08": "an ONNX or TensorFlow file; give the .h5 or .keras that it was made from",
    b"\x80": "a pickle; save the weights alone: torch.save(model.state_dict(), …), or Keras's "
    "model.save(…), and give a tokenizer's pickle with --words",
    b'{"format"': "a TensorFlow.js model; give the .h5 or .keras that it was made from",
    b'{"modelTopology"': "a TensorFlow.js model; give the .h5 or .keras that it was made from",
    b"\x1f\x8b": "compressed with gzip; unpack it",
    b"\x93NUMPY": "a NumPy array; give the whole model",
    b"<!DOCTYPE": "a web page; download the file itself",
    b"<html": "a web page; download the file itself",
}
# The errors that readers of files raise for damaged ones.
_DAMAGE: tuple[type[Exception], ...] = (
    *(OSError, EOFError, zipfile.BadZipFile, zlib.error, SafetensorError, MemoryError),
    *(LookupError, ValueError, TypeError, AttributeError, ArithmeticError, AssertionError),
    *(RuntimeError, ImportError),
)
KINDS = "give a .h5, .keras, .pt, .pth or .safetensors file"


def file_kind(path: Path) -> FileKind:
    """Return the kind of a model's file. Raises DataError, with the reason, for all other files."""
    head = first_bytes(path)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if head.startswith(_ZIP):
        return _kind_of_zip(path)
    if head.startswith(_OLD_TORCH):
        return "torch"
    header = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and 2 <= header < path.stat().st_size:
        return "safetensors"
    raise DataError(f"{path} is {_described(head)}")


def first_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """Return the first bytes of a file.

    most: bytes that the file may have. Raises DataError for a larger one, one that cannot be read,
        and a Git LFS pointer.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # the bytes of a device or a pipe may have no end
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or a pipe"
            raise DataError(f"{path} is {what}; give one file")
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}; give an existing file") from None
    if not head:
        raise DataError(f"{path} is empty; copy it again")
    if status.st_size > most:
        raise DataError(f"{path} has {status.st_size:,} bytes; at most {most:,} are read")
    if head.startswith(b"version https://git-lfs"):
        raise DataError(
            f"{path} is a Git LFS pointer, not the file itself; fetch it with 'git lfs pull'"
        )
    return head


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn the errors that a damaged file raises within the block into DataError."""
    try:
        yield
    except _DAMAGE as error:
        reason = " ".join(first_line(error).split())[:120] or type(error).__name__
        raise DataError(f"{path} is cut short or damaged ({reason}); copy it again") from None


def _kind_of_zip(path: Path) -> FileKind:
    with open_zip(path) as archive:
        paths = archive.namelist()
    names = set(map(name_in_folder, paths))
    if "config.json" in paths and any(name.endswith(".weights.h5") for name in names):
        return "keras zip"
    if "data.pkl" not in names:
        raise DataError(f"{path} is a zip archive without a model; {KINDS}")
    if "constants.pkl" in names:
        raise DataError(
            f"{path} is a TorchScript program, which is not run; save its state_dict() instead"
        )
    return "torch"


def name_in_folder(path: str) -> str:
    """Return the last part of a path in an archive, which Windows may have made."""
    return path.replace("\\", "/").rpartition("/")[2]


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip archive. Raises DataError if it is damaged, or unpacks to too much."""
    with readable(path):
        archive = zipfile.ZipFile(path)
    size = sum(info.file_size for info in archive.infolist())
    if size > MOST_BYTES:
        archive.close()
        raise DataError(f"{path} unpacks to {size:,} bytes; at most {MOST_BYTES:,} are read")
    return archive


def _described(head: bytes) -> str:
    """Return what a file without a model is, and what to do."""
    for start, what in _OTHERS.items():
        if head.startswith(start):
            return what
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite file; give the .h5 or .keras that it was made from"
    text = head.decode("utf-8", "ignore").strip()
    if text and "".join(text.split()).isprintable():
        return f"a text ({text.splitlines()[0][:40]!r}), not a model; {KINDS}"
    return f"not a model that is known; {KINDS}"
