"""The layout of the Large Movie Review Dataset: ``train/LABEL/*.txt``, ``test/LABEL/*.txt``, and
``train/unsup/*.txt`` without a label. As a folder, or as its tar, of which nothing is unpacked."""

from __future__ import annotations

import hashlib
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from edge_lstm.errors import DataError
from edge_lstm_export.train.data import Dataset, Names, file_digest, label_names, make_split

_UNLABELLED = "unsup"
_REVIEW = re.compile(r"(?:.*/)?(train|test)/([^/]+)/[^/]+\.txt", re.DOTALL)
_LARGEST_TEXT = 16 << 20  # bytes
_TOO_LARGE = f"is larger than {_LARGEST_TEXT >> 20} MiB, no text; remove it"
_LAYOUT = "train/LABEL/*.txt and test/LABEL/*.txt, as aclImdb has"


def read_review_folder(folder: Path, name: str, *, unlabelled: bool = True) -> Dataset:
    """Read the unpacked folder. The digest is over paths and contents, in order of the paths.

    Raises DataError where it has another layout, or holds symbolic links.
    """
    digest = hashlib.sha256()
    files: dict[str, bytes] = {}
    for path in sorted(folder.glob("*/*/*.txt")):
        inside = path.relative_to(folder).as_posix()
        if not _is_review(inside, unlabelled) or not path.is_file():
            continue
        if any(p.is_symlink() for p in (path, path.parent, path.parent.parent)):
            raise DataError(f"{path} is behind a symbolic link; copy what it leads to")
        if path.stat().st_size > _LARGEST_TEXT:
            raise DataError(f"{path} {_TOO_LARGE}")
        files[inside] = path.read_bytes()
        digest.update(f"{inside}\0{len(files[inside])}\0".encode("utf-8", "surrogatepass"))
        digest.update(files[inside])
    return _dataset(files, name, str(folder), digest.hexdigest())


def read_review_tar(path: Path, name: str, *, unlabelled: bool = True) -> Dataset:
    """Read the tar (plain, gzip, bzip2 or xz) from front to end. The digest is that of the file.

    Raises DataError where it is no tar, is cut short, or holds what such an archive does not.
    """
    try:
        with tarfile.open(path, "r:*") as tar:
            files = dict(_reviews(tar, path, unlabelled))
            _check_end(tar, path)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error).partition("\n")[0].rstrip(":")
        raise DataError(f"{path} is not a complete tar archive ({reason}); download it again") from None
    return _dataset(files, name, str(path), file_digest(path))


def _is_review(name: str, unlabelled: bool) -> bool:
    match = _REVIEW.fullmatch(name)
    return match is not None and (unlabelled or match[2] != _UNLABELLED)


def _reviews(tar: tarfile.TarFile, path: Path, unlabelled: bool) -> Iterator[tuple[str, bytes]]:
    """Yield (train/LABEL/NAME.txt, content) of each text of the tar. Nothing is written anywhere."""
    for member in tar:
        parts = member.name.split("/")
        if ".." in parts or member.name.startswith("/"):
            raise DataError(f"{path} holds the path {member.name!r}, which leads out of it; do not use it")
        if not _is_review(member.name, unlabelled) or member.isdir():
            continue
        if not member.isfile():
            raise DataError(
                f"{path}: {member.name!r} is a link or device, no text; pack the files themselves"
            )
        if member.size > _LARGEST_TEXT:
            raise DataError(f"{path}: {member.name!r} {_TOO_LARGE}")
        if (content := tar.extractfile(member)) is not None:
            yield "/".join(parts[-3:]), content.read()


def _check_end(tar: tarfile.TarFile, path: Path) -> None:
    """Raise DataError where the tar is cut between two members, which tarfile takes for its end: a tar ends
    in two blocks of zeros, of which tarfile has read one, and a compressed one in a checksum."""
    stream = tar.fileobj
    assert stream is not None
    if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise DataError(f"{path} is cut short; download it again")
    while stream.read(1 << 20):
        pass


def _dataset(files: dict[str, bytes], name: str, where: str, digest: str) -> Dataset:
    texts: dict[str, list[str]] = {"train": [], "test": [], _UNLABELLED: []}
    names: dict[str, list[Names]] = {"train": [], "test": [], _UNLABELLED: []}
    damaged = 0
    # In order of the names: an archive's own order would decide what a seed means.
    for inside, content in sorted(files.items()):
        split, label, _ = inside.split("/")
        part = _UNLABELLED if label == _UNLABELLED else split
        texts[part].append(content.decode("utf-8-sig", "replace"))
        names[part].append((label,))
        damaged += "\ufffd" in texts[part][-1]
    if not names["train"]:
        raise DataError(f"{where} holds no texts in {_LAYOUT}")
    labels = label_names([label for (label,) in names["train"]], where)
    train = make_split(texts["train"], names["train"], labels, where)
    test = make_split(texts["test"], names["test"], labels, f"{where}, test") if names["test"] else None
    warnings = (f"{damaged} texts are not UTF-8: what could not be read became U+FFFD",) if damaged else ()
    return Dataset(name, labels, train, test, digest, False, tuple(texts[_UNLABELLED]), warnings)
