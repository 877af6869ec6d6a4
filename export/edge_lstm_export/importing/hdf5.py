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
from edge_lstm.printable import cut
from edge_lstm_export.importing.files import MOST_CONFIG_BYTES, name_in_folder, open_zip
from edge_lstm_export.importing.model import Array, check_size


class Store:
    """The arrays of one HDF5 file, read one at a time."""

    def __init__(self, file: Any, path: Path) -> None:
        self._file = file
        self._path = path
        self._numbers = 0

    def text(self, name: str) -> str | None:
        """Return an attribute of the file; None without one."""
        value = self._file.attrs.get(name)
        if value is not None and len(value) > MOST_CONFIG_BYTES:
            raise DataError(f"{self._path}: {name} is far too large; save the model again")
        return None if value is None else _text(value)

    def texts(self, name: str, at: str) -> list[str]:
        """Return the list that is an attribute of a group; an empty one without it."""
        group = self._item(at)
        attributes = {} if group is None else group.attrs
        # A long list is stored in pieces.
        pieces = [f"{name}{i}" for i in range(len(attributes))]
        found: list[str] = []
        for key in (name, *pieces):
            if key in attributes:
                found += map(_text, np.atleast_1d(attributes[key]).tolist())
        return found

    def names(self, at: str) -> list[str]:
        """Return the names in a group; an empty list without such a group."""
        import h5py

        group = self._item(at)
        of_windows = [name[len(at) + 1 :] for name in self._file if name.startswith(f"{at}\\")]
        return list(group) if isinstance(group, h5py.Group) else of_windows

    def array(self, at: str) -> Array:
        """Return an array as float32. Raises DataError if it is missing, or claims too much."""
        import h5py

        data = self._item(at)
        if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "fiu":
            raise self._refused(at, "is not an array of numbers; save the model again")
        if data.external is not None or data.is_virtual:
            raise self._refused(at, "lies in another file, which is not opened")
        self._numbers += int(np.prod(data.shape, dtype=object))
        check_size(self._numbers, f"{self._path}")
        values: Array = np.asarray(data[()], dtype=np.float32)
        return values

    def _item(self, at: str) -> Any:
        """Return a group or an array, step by step: a link to another file is not followed."""
        import h5py

        item = self._file
        for part in self._parts(at):
            if not isinstance(item, h5py.Group) or part not in item:
                return None
            # Behind a link within the file another one may lead out of it.
            if not isinstance(item.get(part, getlink=True), h5py.HardLink):
                raise self._refused(at, "is a link, maybe to another file; save it again")
            item = item[part]
        return item

    def _refused(self, at: str, reason: str) -> DataError:
        """Return the error that names a place in the file."""
        return DataError(f"{self._path}: {cut(at, 80)} {reason}")

    def _parts(self, at: str) -> list[str]:
        """Return the names of groups on the way to a place.

        On Windows, Keras has made one group of a path, whose name holds backslashes.
        """
        parts = at.strip("/").split("/")
        for end in range(len(parts), 1, -1):
            joined = "\\".join(parts[:end])
            if joined in self._file:
                return [joined, *parts[end:]]
        return [part for part in parts if part]


@contextmanager
def opened(path: Path, data: bytes | None = None) -> Iterator[Store]:
    """Open an HDF5 file. data: its bytes, if ``path`` contains it."""
    with needs("import", "a Keras model"):
        import h5py
    source = path if data is None else io.BytesIO(data)
    with h5py.File(source, "r") as file:
        yield Store(file, path)


@contextmanager
def opened_in_zip(path: Path) -> Iterator[tuple[Any, Store, list[str] | None]]:
    """Open a .keras archive → its configuration, its arrays, its vocabulary if it has one."""
    with open_zip(path) as archive:
        if archive.getinfo("config.json").file_size > MOST_CONFIG_BYTES:
            raise DataError(f"{path}: config.json is far too large; save the model again")
        config = json.loads(archive.read("config.json"))
        names = {name_in_folder(name): name for name in archive.namelist()}
        words = names.get("vocabulary.txt")
        vocabulary = None
        if words is not None:  # Keras, too, leaves empty lines at the end out
            text = archive.read(words).decode("utf-8", "replace")
            vocabulary = text.rstrip("\r\n").splitlines()
        (weights,) = (name for name in names.values() if name.endswith(".weights.h5"))
        data = archive.read(weights)
    with opened(path, data) as store:
        yield config, store, vocabulary


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
