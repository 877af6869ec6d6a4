"""Keras's ``imdb.npz``: word ranks instead of text, turned back into words by the word index.

The file holds ``x_train`` and ``x_test`` (object arrays of lists of ranks; the special ids of
``load_data`` are not in it) and ``y_train`` and ``y_test`` (0 or 1).
"""

from __future__ import annotations

import ast
import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from edge_lstm.errors import DataError
from edge_lstm_export.datasets.dataset import Dataset, Labels, Split, file_digest
from edge_lstm_export.datasets.int_lists import IntLists, UnexpectedPickleError, read_int_lists
from edge_lstm_export.vocabulary import read_word_index

WORD_INDEX = "imdb_word_index.json"
LABELS = ("neg", "pos")  # as the folders of the reviews are called
_LARGEST_MEMBER = 1 << 30  # bytes


def read_keras_npz(path: Path, word_index: Path | None = None) -> Dataset:
    """Ranks → texts of words, joined by spaces. The word index is the file given, or
    ``imdb_word_index.json`` beside the data. DataError where it is not there or the data are not
    Keras's; pickled code is not run.
    """
    index_path = word_index or path.with_name(WORD_INDEX)
    if not index_path.is_file():
        raise DataError(
            f"{path} holds word numbers, no words; give Keras's word index with --word-index, "
            f"or put it beside the data as {WORD_INDEX}"
        )
    words = read_word_index(index_path)
    try:
        with zipfile.ZipFile(path) as archive:
            train, test = (_split(archive, part, words, path) for part in ("train", "test"))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path} is no complete .npz file ({error}); download it again") from None
    return Dataset(path.name, LABELS, train, test, file_digest(path))


def _split(archive: zipfile.ZipFile, part: str, words: tuple[str, ...], path: Path) -> Split:
    rows, labels = _lists(archive, f"x_{part}", path), _labels(archive, f"y_{part}", path)
    if len(rows) != len(labels):
        raise DataError(f"{path}: {len(rows)} texts but {len(labels)} labels in {part}; download it again")
    texts = []
    for row in rows:
        if row and not 1 <= min(row) <= max(row) <= len(words):
            raise DataError(
                f"{path}: x_{part} has word numbers outside 1 to {len(words)}; "
                "give the word index that belongs to it"
            )
        texts.append(" ".join([words[rank - 1] for rank in row]))
    return Split(tuple(texts), labels)


def _lists(archive: zipfile.ZipFile, name: str, path: Path) -> IntLists:
    header, data = _array(archive, name, path)
    if header["descr"] != "|O":
        raise DataError(f"{path}: {name} holds {header['descr']}, not lists of word numbers")
    try:
        return read_int_lists(data)
    except UnexpectedPickleError as error:
        raise DataError(
            f"{path}: {name} holds no lists of integers ({error}); do not use this file"
        ) from None


def _labels(archive: zipfile.ZipFile, name: str, path: Path) -> Labels:
    _, data = _array(archive, name, path, whole=True)
    try:
        labels = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path}: {name} cannot be read ({error})") from None
    if labels.ndim != 1 or labels.dtype.kind not in "iub" or not np.isin(labels, (0, 1)).all():
        raise DataError(f"{path}: {name} must hold the labels 0 and 1")
    if len(np.unique(labels)) < 2:
        raise DataError(f"{path}: {name} has one label only; a classifier needs texts of two labels")
    return np.asarray(labels, dtype=np.int64)


def _array(
    archive: zipfile.ZipFile, name: str, path: Path, *, whole: bool = False
) -> tuple[dict[str, Any], bytes]:
    """One .npy of the archive: its header, and the bytes after it (or all of them)."""
    try:
        member = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise DataError(f"{path} has no {name}; it is not Keras's imdb.npz") from None
    if member.file_size > _LARGEST_MEMBER:
        raise DataError(
            f"{path}: {name} is larger than {_LARGEST_MEMBER >> 20} MiB; it is not Keras's imdb.npz"
        )
    data = archive.read(member)
    # Magic, version, length of the header, header: a dictionary as Python source, padded.
    size_bytes = 2 if data[6:7] == b"\x01" else 4
    start = 8 + size_bytes
    end = start + int.from_bytes(data[8:start], "little")
    try:
        if not data.startswith(b"\x93NUMPY") or end > len(data) or end - start > 10_000:
            raise ValueError
        header = ast.literal_eval(data[start:end].decode("latin-1"))
        header["descr"].upper()
    except (KeyError, TypeError, AttributeError, ValueError, SyntaxError, MemoryError, RecursionError):
        raise DataError(f"{path}: {name} is no NumPy array; download the file again") from None
    return header, data if whole else data[end:]
