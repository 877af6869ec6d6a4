"""The Large Movie Review Dataset (Maas et al., 2011): its tar, read without unpacking.

It holds ``train/LABEL/*.txt``, ``test/LABEL/*.txt``, and ``train/unsup/*.txt`` without a label.
"""

from __future__ import annotations

import lzma
import os
import re
import tarfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from edge_lstm.errors import DataError, read_error
from edge_lstm.printable import counted
from edge_lstm.tables.reader import TAR_SUFFIXES
from edge_lstm_export.digests import file_digest
from edge_lstm_export.train.sources.dataset import Dataset, label_names, make_split

IMDB = "imdb"
ARCHIVE = "aclImdb_v1.tar.gz"
URL = f"https://ai.stanford.edu/~amaas/data/sentiment/{ARCHIVE}"
DATA_VARIABLE = "EDGE_LSTM_DATA"
_UNLABELLED = "unsup"
_REVIEW = re.compile(r"(?:.*/)?(train|test)/([^/]+)/[^/]+\.txt", re.DOTALL)
_LARGEST_TEXT = 16 << 20  # bytes


def has_parts(source: str) -> bool:
    """Return whether a source has training and test texts, as IMDB or its tar."""
    return source == IMDB or source.lower().endswith(TAR_SUFFIXES)


def read_reviews(source: str, *, unlabelled: bool = False) -> Dataset:
    """Read a tar (plain, gzip, bzip2 or xz) from front to end; the digest is the file's.

    source: the tar, or ``imdb``: the one in the folder that EDGE_LSTM_DATA names.
    unlabelled: whether texts without a label are read too.

    Raise DataError if it is missing, not a tar, cut short, or holds other files than such an
    archive.
    """
    path = Path(os.environ.get(DATA_VARIABLE, ""), ARCHIVE) if source == IMDB else Path(source)
    if source == IMDB and not path.exists():
        raise DataError(
            f"no {path}; download it from {URL}, and name its folder in {DATA_VARIABLE}"
        )
    try:
        with tarfile.open(path, "r:*") as tar:
            files = dict(_reviews(tar, path, unlabelled))
            _check_end(tar, path)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise read_error(path, error) from None
        reason = str(error).partition("\n")[0].rstrip(":")
        raise DataError(
            f"{path} is not a complete tar archive ({reason}); download it again"
        ) from None
    rows: dict[str, list[tuple[str, str]]] = defaultdict(list)  # (text, label) by part
    # In order of the names: the tar's own order would decide what a seed means.
    for (split, label, _), content in sorted(files.items()):
        part = _UNLABELLED if label == _UNLABELLED else split
        rows[part].append((content.decode("utf-8-sig", "replace"), label))
    if not rows["train"]:
        raise DataError(
            f"{path} holds no texts in train/LABEL/*.txt and test/LABEL/*.txt, as aclImdb has"
        )
    labels = label_names([label for _, label in rows["train"]], str(path))
    train, test = (
        make_split(
            [text for text, _ in rows[part]],
            [(label,) for _, label in rows[part]],
            labels,
            str(path),
        )
        for part in ("train", "test")
    )
    more = tuple(text for text, _ in rows[_UNLABELLED])
    damaged = sum("\ufffd" in text for part in rows.values() for text, _ in part)
    not_utf8 = f"{counted(damaged, 'text')} with bytes that are not UTF-8: they became U+FFFD"
    warnings = (not_utf8,) if damaged else ()
    name = IMDB if source == IMDB else path.name
    digest = file_digest(path)
    return Dataset(name, labels, train, test if len(test) else None, digest, False, more, warnings)


def _reviews(
    tar: tarfile.TarFile, path: Path, unlabelled: bool
) -> Iterator[tuple[tuple[str, ...], bytes]]:
    """Yield (train or test, label, name) and content of each text of the tar.

    Nothing is written anywhere.
    """
    for member in tar:
        parts = member.name.split("/")
        if ".." in parts or member.name.startswith("/"):
            raise DataError(
                f"{path} holds the path {member.name!r}, which leads out of it; do not use it"
            )
        match = _REVIEW.fullmatch(member.name)
        if match is None or member.isdir() or (match[2] == _UNLABELLED and not unlabelled):
            continue
        where = f"{path}: {member.name!r} is"
        if not member.isfile():
            raise DataError(f"{where} a link or device, not a text; pack the files themselves")
        if member.size > _LARGEST_TEXT:
            raise DataError(
                f"{where} larger than {_LARGEST_TEXT >> 20} MiB, so not a text; remove it"
            )
        if (content := tar.extractfile(member)) is not None:
            yield tuple(parts[-3:]), content.read()


def _check_end(tar: tarfile.TarFile, path: Path) -> None:
    """Check that the tar is not cut between two members.

    tarfile takes that for its end. A tar ends in two blocks of zeros, of which tarfile has read
    one, and a compressed one in a checksum.
    Raises DataError if not.
    """
    stream = tar.fileobj
    assert stream is not None
    if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise DataError(f"{path} is cut short; download it again")
    while stream.read(1 << 20):
        pass
