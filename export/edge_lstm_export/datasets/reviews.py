"""The layout of the Large Movie Review Dataset: ``train/LABEL/*.txt``, ``test/LABEL/*.txt``, and
``train/unsup/*.txt`` without a label. As a folder, or as its tar, of which nothing is unpacked.
"""

from __future__ import annotations

import hashlib
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from edge_lstm.errors import DataError
from edge_lstm_export.datasets.dataset import Dataset, file_digest, label_names, make_split

UNLABELLED = "unsup"
_REVIEW = re.compile(r"(?:.*/)?(train|test)/([^/]+)/[^/]+\.txt", re.DOTALL)
_LARGEST_TEXT = 16 << 20  # bytes; a review has at most 14 kB
_LAYOUT = "train/LABEL/*.txt and test/LABEL/*.txt, as aclImdb has"


def read_review_folder(
    folder: Path, name: str, *, unlabelled: bool = True, follow_links: bool = False
) -> Dataset:
    """Reads the unpacked folder. The digest is over paths and contents, in order of the paths.
    DataError where it has another layout, or holds symbolic links that are not to be followed.
    """
    digest = hashlib.sha256()
    files: dict[str, bytes] = {}
    for path in sorted(folder.glob("*/*/*.txt")):
        inside = path.relative_to(folder).as_posix()
        wanted = _REVIEW.fullmatch(inside)
        if wanted is None or (wanted[2] == UNLABELLED and not unlabelled) or not path.is_file():
            continue
        if not follow_links and any(p.is_symlink() for p in (path, path.parent, path.parent.parent)):
            raise DataError(f"{path} is behind a symbolic link; copy what it leads to, or add --follow-links")
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
    digest = file_digest(path)
    try:
        with tarfile.open(path, "r:*") as tar:
            files = dict(_texts(tar, path, unlabelled=unlabelled))
            _check_end(tar, path)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error).partition("\n")[0].rstrip(":")
        raise DataError(f"{path} is not a complete tar archive ({reason}); download it again") from None
    return _dataset(files, name, str(path), digest)


def _texts(tar: tarfile.TarFile, path: Path, *, unlabelled: bool) -> Iterator[tuple[str, bytes]]:
    """(train/LABEL/NAME.txt, content) for each text of the tar, in the tar's order. Names only choose
    the split; nothing is written anywhere.
    """
    for member in tar:
        parts = member.name.split("/")
        if ".." in parts or member.name.startswith("/"):
            raise DataError(f"{path} holds the path {member.name!r}, which leads out of it; do not use it")
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


def _check_end(tar: tarfile.TarFile, path: Path) -> None:
    """tarfile ends silently where a tar is cut between two of its members, and does not look at what stands
    behind the end: a tar ends in two blocks of zeros, of which it has read one, and a compressed one in a
    checksum.
    """
    stream = tar.fileobj
    assert stream is not None
    if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise DataError(f"{path} is cut short; download it again")
    while stream.read(1 << 20):
        pass


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
