"""Arrays of Keras's HDF5 files, read with h5py alone: nothing of a file is run."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edge_lstm.errors import DataError
from edge_lstm.extras import needs
from edge_lstm_export.importing.files import MOST_BYTES, MOST_CONFIG_BYTES, open_zip, readable
from edge_lstm_export.importing.model import Array, check_size

MOST_NAMES = 10_000  # of arrays in a file


class Store:
    """The arrays of one HDF5 file, read one at a time."""

    def __init__(self, file: Any, path: Path) -> None:
        self._file = file
        self._path = path
        self._numbers = 0

    def attribute(self, name: str, at: str = "/") -> Any:
        """Return an attribute of a group: a text, a list of texts, or None without one."""
        value = self._file[at].attrs.get(name)
        if value is None and f"{name}0" in self._file[at].attrs:  # a long list, in pieces
            parts: list[Array] = []
            while f"{name}{len(parts)}" in self._file[at].attrs:
                parts.append(np.atleast_1d(self._file[at].attrs[f"{name}{len(parts)}"]))
            value = np.concatenate(parts)
        if isinstance(value, np.ndarray):
            return [_text(item) for item in value.tolist()]
        return None if value is None else _text(value)

    def names(self, at: str) -> list[str]:
        """Return the names in a group; an empty list without such a group."""
        import h5py

        group = self._item(at)
        return list(group)[:MOST_NAMES] if isinstance(group, h5py.Group) else []

    def array(self, at: str) -> Array:
        """Return an array as float32. Raises DataError if it is missing, or claims too much."""
        import h5py

        data = self._item(at)
        if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "fiu":
            raise DataError(f"{self._path}: {at} is not an array of numbers; save the model again")
        if data.external is not None or data.is_virtual:
            raise DataError(f"{self._path}: {at} lies in another file, which is not opened")
        self._numbers += int(np.prod(data.shape, dtype=object))
        check_size(self._numbers, f"{self._path}")
        values: Array = np.asarray(data[()], dtype=np.float32)
        return values

    def has(self, at: str) -> bool:
        """Whether there is a group or an array."""
        return self._item(at) is not None

    def _item(self, at: str) -> Any:
        """Return a group or an array, step by step: a link to another file is not followed."""
        import h5py

        item = self._file
        for part in at.strip("/").split("/"):
            if not part:
                continue
            if not isinstance(item, h5py.Group) or part not in item:
                return None
            if isinstance(item.get(part, getlink=True), h5py.ExternalLink):
                raise DataError(f"{self._path}: {at} is a link to another file; save it again")
            item = item[part]
        return item


@contextmanager
def opened(path: Path) -> Iterator[Store]:
    """Open an HDF5 file. Raises DataError if it is damaged."""
    with needs("import", "a Keras model"):
        import h5py
    with readable(path), h5py.File(path, "r") as file:
        yield Store(file, path)


@contextmanager
def opened_in_zip(path: Path) -> Iterator[tuple[Any, Store, list[str] | None]]:
    """Open a .keras archive → its configuration, its arrays, its vocabulary if it has one."""
    with needs("import", "a Keras model"):
        import h5py
    with open_zip(path) as archive, readable(path):
        members = archive.namelist()
        config = json.loads(_member(archive, "config.json", MOST_CONFIG_BYTES))
        weights = next(name for name in members if name.endswith(".weights.h5"))
        data = _member(archive, weights, MOST_BYTES)
        words = next((name for name in members if name.endswith("vocabulary.txt")), None)
        vocabulary = None
        if words is not None:
            text = _member(archive, words, MOST_BYTES).decode("utf-8", "replace")
            vocabulary = text.split("\n")
        with h5py.File(io.BytesIO(data), "r") as file:
            yield config, Store(file, path), vocabulary


def _member(archive: Any, name: str, most: int) -> bytes:
    """Return a member's bytes; DataError if there are more than ``most``."""
    with archive.open(name) as member:
        data: bytes = member.read(most + 1)
    if len(data) > most:
        raise DataError(f"{archive.filename}: {name} is far too large; save the model again")
    return data


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
