"""Folders of ``.txt`` files at any depth: a file a row, columns ``path`` and ``text``."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_lstm.errors import DataError
from edge_lstm.os_file import NO_FOLLOW, NO_WAIT
from edge_lstm.tables.format import Broken, Format, Piece
from edge_lstm.tables.schema import BOM, MAX_ROW_BYTES, Digest, ReadOptions, Schema, Source


class FolderFormat(Format):
    """The format of a folder as one input. What symbolic links in it lead to is not read."""

    name = "folder"
    is_stream = False

    def schema(self, source: Source, stream: Any, options: ReadOptions) -> Schema:
        return Schema(self.name, ("path", "text"), 1, rows=len(source.files))

    def pieces(
        self, source: Source, stream: Any, digest: Digest, schema: Schema
    ) -> Iterator[Piece]:
        """A row is path and content."""
        for name in source.files:
            content, reason = _read_file(Path(source.path, name))
            digest.update(os.fsencode(name) + b"\0" + content)
            row = [name, content.decode("utf-8", "surrogateescape")]
            yield [row if reason is None else Broken(reason, row)], [len(content)]


def folder_source(path: str) -> Source:
    """Return the ``.txt`` files of a folder at any depth, in order. Raises DataError where there
    are none."""
    names: list[str] = []
    errors: list[OSError] = []
    for top, _, files in os.walk(path, onerror=errors.append):
        names += [
            os.path.relpath(os.path.join(top, name), path)  # noqa: PTH118 - many names, Path is slow
            for name in files
            if name.lower().endswith(".txt")
        ]
    if errors:
        raise DataError(
            f"cannot read {errors[0].filename}: {errors[0].strerror}; check its permissions"
        )
    if not names:
        raise DataError(
            f"{path} is a folder without .txt files; name the files in it, as in '{path}/*.csv'"
        )
    return Source(
        path, FolderFormat.name, files=tuple(sorted(names, key=lambda name: Path(name).parts))
    )


def _read_file(path: Path) -> tuple[bytes, str | None]:
    """Return the content of a file and None, or nothing and why."""
    try:
        # Opened without waiting: a named pipe would wait for whoever writes into it.
        opened = os.open(path, os.O_RDONLY | NO_WAIT | NO_FOLLOW)
        with open(opened, "rb") as file:  # noqa: PTH123 - a descriptor
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                return b"", "a pipe or device, not a file"
            data = file.read(MAX_ROW_BYTES + 1)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return b"", "a symbolic link, which is not followed"
        return b"", f"the file cannot be read: {error.strerror}"
    if len(data) > MAX_ROW_BYTES:
        return b"", f"the file is longer than {MAX_ROW_BYTES // 2**20} MiB"
    return data.removeprefix(BOM), None


FOLDER = FolderFormat()
