"""Folders of ``.txt`` files, one row a file, with the columns ``path`` and ``text``."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_lstm.errors import DataError, read_error
from edge_lstm.system.os_file import NO_FOLLOW, NO_WAIT
from edge_lstm.tables.encoding import Utf8
from edge_lstm.tables.format import ANY_KEYS, Block, Format, Keys, Piece, Rows
from edge_lstm.tables.schema import (
    BOM,
    MAX_ROW,
    MAX_ROW_BYTES,
    Checksum,
    ReadOptions,
    Schema,
    Source,
)
from edge_lstm.tables.values import refuse_bytes


class FolderFormat(Format):
    """A folder as one input. Symbolic links in it are not followed."""

    name = "folder"
    is_stream = False

    def schema(self, source: Source, stream: Any, options: ReadOptions) -> Schema:
        """Return the columns, path and text."""
        return Schema(self.name, ("path", "text"), 1, rows=len(source.files))

    def pieces(
        self, source: Source, stream: Any, checksum: Checksum, schema: Schema
    ) -> Iterator[Piece]:
        """Yield each file as a row: a line of JSON with its path, its content and an error."""
        for name in source.files:
            data, reason = _read_file(Path(source.path, name))
            utf8 = Utf8(source)
            content = (utf8.convert(data) + utf8.convert(b"")).removeprefix(BOM)
            checksum.update(os.fsencode(name) + b"\0" + content)
            row = json.dumps([name, content.decode("utf-8", "surrogateescape"), reason])
            yield Piece(f"{row}\n".encode(), [len(row) + 1])

    def parse(self, block: Block, schema: Schema, keys: Keys = ANY_KEYS) -> Rows:
        """Return the rows of a block."""
        names, contents, reasons = map(list, zip(*map(json.loads, block.rows.splitlines())))
        texts = [None if reason else content for content, reason in zip(contents, reasons)]
        refuse_bytes(texts, reasons)
        return Rows(texts, reasons, lambda: [names, contents])


def folder_source(path: str) -> Source:
    """Return the ``.txt`` files of a folder at any depth, in order.

    Raises DataError if it has no such file.
    """
    names: list[str] = []
    errors: list[OSError] = []
    for top, _, files in os.walk(path, onerror=errors.append):
        texts = [name for name in files if name.lower().endswith(".txt")]
        # There may be many names, and Path is slow.
        names += [os.path.relpath(os.path.join(top, name), path) for name in texts]  # noqa: PTH118
    if errors:
        raise read_error(errors[0].filename, errors[0])
    if not names:
        raise DataError(
            f"{path} is a folder without .txt files; name the files in it, as in '{path}/*.csv'"
        )
    names.sort(key=lambda name: Path(name).parts)
    return Source(path, FolderFormat.name, files=tuple(names))


def _read_file(path: Path) -> tuple[bytes, str | None]:
    """Return the content of a file and None, or no bytes and why it cannot be read."""
    try:
        # Opening a named pipe would wait for a program that writes into it.
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
        return b"", f"the file is longer than {MAX_ROW}"
    return data, None


FOLDER = FolderFormat()
