"""The layout of the Large Movie Review Dataset: ``train/LABEL/*.txt``, ``test/LABEL/*.txt``, and
``train/unsup/*.txt`` without a label. As a folder, or as its tar, read as a stream: nothing is unpacked.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from edge_lstm.errors import DataError
from edge_lstm_export.datasets.dataset import Dataset, label_names, make_split

UNLABELLED = "unsup"
_REVIEW = re.compile(r"(?:.*/)?(train|test)/([^/]+)/[^/]+\.txt", re.DOTALL)
_LARGEST_TEXT = 16 << 20  # bytes; a review has at most 14 kB
_LAYOUT = "train/LABEL/*.txt and test/LABEL/*.txt, as aclImdb has"


def read_review_folder(folder: Path, name: str, *, unlabelled: bool = True) -> Dataset:
    """Reads the unpacked folder. The digest is over paths and contents, in order of the paths.
    DataError where it has another layout.
    """
    digest = hashlib.sha256()
    files: dict[str, bytes] = {}
    for path in sorted(folder.glob("*/*/*.txt")):
        inside = path.relative_to(folder).as_posix()
        wanted = _REVIEW.fullmatch(inside)
        if wanted is None or (wanted[2] == UNLABELLED and not unlabelled) or not path.is_file():
            continue
        if path.stat().st_size > _LARGEST_TEXT:
            raise DataError(f"{path} is larger than {_LARGEST_TEXT >> 20} MiB, no text; remove it")
        files[inside] = path.read_bytes()
        digest.update(f"{inside}\0{len(files[inside])}\0".encode("utf-8", "surrogatepass"))
        digest.update(files[inside])
    return _dataset(files, name, str(folder), digest.hexdigest())


def read_review_tar(path: Path, name: str, *, unlabelled: bool = True) -> Dataset:
    """Reads the tar (plain, gzip, bzip2 or xz) from front to end. The digest is that of the file.
    DataError where it is no tar, is cut short, or holds what such an archive does not.
    """
    with path.open("rb") as file:
        hashing = _Hashing(file)
        try:
            with _decompressed(file.peek(6)[:6], hashing) as stream:
                tail = _Tail(stream)
                files = dict(_texts(tail, path, unlabelled=unlabelled))
                tail.drain()
        except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise DataError(f"{path} is no complete tar archive ({error}); download it again") from None
        # tarfile ends silently where a tar is cut between two of its members.
        if not tail.ended_in_zeros:
            raise DataError(f"{path} is cut short; download it again")
        hashing.drain()
    return _dataset(files, name, str(path), hashing.digest.hexdigest())


def _texts(stream: _Tail, path: Path, *, unlabelled: bool) -> Iterator[tuple[str, bytes]]:
    """(train/LABEL/NAME.txt, content) for each text of the tar, in the tar's order. Names only choose
    the split; nothing is written anywhere.
    """
    with tarfile.open(fileobj=cast("BinaryIO", stream), mode="r|") as tar:
        for member in tar:
            parts = member.name.split("/")
            if ".." in parts or member.name.startswith("/"):
                raise DataError(
                    f"{path} holds the path {member.name!r}, which leads out of it; do not use it"
                )
            wanted = _REVIEW.fullmatch(member.name)
            if wanted is None or member.isdir() or (wanted[2] == UNLABELLED and not unlabelled):
                continue
            if not member.isfile():
                raise DataError(
                    f"{path}: {member.name!r} is a link or device, no text; pack the files themselves"
                )
            if member.size > _LARGEST_TEXT:
                raise DataError(f"{path}: {member.name!r} is larger than {_LARGEST_TEXT >> 20} MiB, no text")
            content = tar.extractfile(member)
            if content is not None:
                yield "/".join(parts[-3:]), content.read()


def _dataset(files: dict[str, bytes], name: str, where: str, digest: str) -> Dataset:
    texts: dict[str, list[str]] = {"train": [], "test": [], UNLABELLED: []}
    names: dict[str, list[str]] = {"train": [], "test": []}
    damaged = 0
    # In order of the names: an archive's own order would decide what a seed means.
    for inside in sorted(files):
        content = files[inside]
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text, damaged = content.decode("utf-8-sig", "replace"), damaged + 1
        split, label, _ = inside.split("/")
        if label == UNLABELLED:
            texts[UNLABELLED].append(text)
        else:
            texts[split].append(text)
            names[split].append(label)
    if not names["train"]:
        raise DataError(f"{where} holds no texts in {_LAYOUT}")
    labels = label_names(names["train"], where)
    return Dataset(
        name=name,
        labels=labels,
        train=make_split(texts["train"], names["train"], labels, where),
        test=make_split(texts["test"], names["test"], labels, f"{where}, test") if names["test"] else None,
        unlabelled=tuple(texts[UNLABELLED]),
        digest=digest,
        warnings=(f"{damaged} texts are not UTF-8: what could not be read became U+FFFD",) if damaged else (),
    )


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Hashing:
    """A readable file that hashes what is read from it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data

    def drain(self) -> None:
        while self.read(1 << 20):
            pass


class _Tail:
    """A readable stream that remembers its last bytes."""

    _END = bytes(1024)  # a tar ends in two blocks of zeros

    def __init__(self, stream: _Readable) -> None:
        self._stream = stream
        self._last = b""

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._last = (self._last + data[-len(self._END) :])[-len(self._END) :]
        return data

    def drain(self) -> None:
        while self.read(1 << 20):
            pass

    @property
    def ended_in_zeros(self) -> bool:
        return self._last == self._END


def _decompressed(start: bytes, file: _Hashing) -> AbstractContextManager[_Readable]:
    """The stream inside, by the file's first bytes. Each of these raises EOFError where it is cut short."""
    source = cast("BinaryIO", file)
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=source, mode="rb")
    if start.startswith(b"BZh"):
        return bz2.BZ2File(source)
    if start.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(source)
    return nullcontext(file)
