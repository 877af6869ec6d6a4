"""Digests of files and of labelled texts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from edge_lstm.errors import read_error
from edge_lstm.printable import LABEL_JOINT
from edge_lstm_export.arrays import Names


def file_digest(path: Path) -> str:
    """Return the sha256 (hex) of a file. Raise DataError."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise read_error(path, error) from None


def labelled_digest(texts: Iterable[str], names: Iterable[Names]) -> str:
    """sha256 (hex) of texts and the label names of each."""
    digest = hashlib.sha256()
    for text, row in zip(texts, names):
        digest.update(f"{LABEL_JOINT.join(row)}\0{text}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
