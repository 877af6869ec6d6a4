"""Folders of ``.txt`` files at any depth: a file a row, columns ``path`` and ``text``."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_lstm.errors import DataError
from edge_lstm.os_file import NO_FOLLOW, NO_WAIT
from edge_lstm.tables.format import Broken, Format, Row, Rows, Text
from edge_lstm.tables.schema import BOM, MAX_ROW_BYTES, ReadOptions, Schema, Source
from edge_lstm.tables.stream import Stream
from edge_lstm.tables.values import utf8_error

if TYPE_CHECKING:
    from hashlib import _Hash

UNLABELLED = "unsup"  # the folder of texts without a label, of the reviews


class FolderFormat(Format):
    """The format of a folder as one input."""

    name = "folder"
    default_output = "jsonl"
    is_stream = False
    is_writable = False
    has_labels = True

    def schema(self, source: Source, stream: Stream | None, options: ReadOptions) -> Schema:
        return Schema(self.name, ("path", "text"), 1)

    def rows(
        self, source: Source, stream: Stream | None, schema: Schema, digest: _Hash
    ) -> Iterator[tuple[Any, int]]:
        """A row is path and content, or Broken with the path."""
        for name in source.files:
            content, reason = _read_file(Path(source.path, name), source.follow_links)
            digest.update(os.fsencode(name) + b"\0" + content)
            yield ((name, content) if reason is None else Broken(reason, [name])), len(content)

    def parse(self, rows: Sequence[Any], schema: Schema, **_: Any) -> Rows:
        texts: list[Text] = []
        values: list[Sequence[Any]] = []
        for row in rows:
            if isinstance(row, Broken):
                texts.append((None, row.reason))
                values.append((row.fields[0], ""))
                continue
            text = row[1].decode("utf-8", "surrogateescape")
            where = utf8_error(text)
            texts.append((text, None) if where is None else (None, f"the text is not UTF-8 {where}"))
            values.append((row[0], text))
        return Rows(texts, lambda: values)

    def labels(self, row: Row) -> tuple[str, tuple[str, ...]] | None:
        """The label is the first folder of the path. Files beside the folders belong to no label."""
        path = Path(row.values["path"])
        if len(path.parts) == 1 or path.parts[0] == UNLABELLED:
            return None
        if row.text is None:
            raise DataError(f"{Path(row.source, path)}: {row.error}; correct or remove the file")
        return row.text, path.parts[:1]

    def fraction(self, source: Source, stream: Stream | None, row: int) -> float | None:
        return row / len(source.files)


def folder_source(path: str, *, follow_links: bool) -> Source:
    """Return the ``.txt`` files of a folder at any depth, in order. Raises DataError where there are none."""
    names: list[str] = []
    errors: list[OSError] = []
    seen: set[tuple[int, int]] = set()
    for top, folders, files in os.walk(path, onerror=errors.append, followlinks=follow_links):
        if follow_links:  # a loop of links has no end
            state = Path(top).stat()
            if (state.st_dev, state.st_ino) in seen:
                folders.clear()
                continue
            seen.add((state.st_dev, state.st_ino))
        folders.sort()
        names += [
            os.path.relpath(os.path.join(top, name), path)  # noqa: PTH118 - many names, Path is slow
            for name in files
            if name.lower().endswith(".txt")
        ]
    if errors:
        raise DataError(
            f"cannot read the folder {errors[0].filename}: {errors[0].strerror}; check its permissions"
        )
    if not names:
        raise DataError(f"{path} is a folder without .txt files; name the files in it, as in '{path}/*.csv'")
    names.sort(key=lambda name: Path(name).parts)
    return Source(path, FolderFormat.name, None, tuple(names), follow_links)


def _read_file(path: Path, follow_links: bool) -> tuple[bytes, str | None]:
    """Return the content of a file and None, or nothing and why."""
    try:
        # Opened without waiting: a named pipe would wait for whoever writes into it.
        opened = os.open(path, os.O_RDONLY | NO_WAIT | (0 if follow_links else NO_FOLLOW))
        with open(opened, "rb") as file:  # noqa: PTH123 - a descriptor
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                return b"", "a pipe or device, no file"
            data = file.read(MAX_ROW_BYTES + 1)
    except OSError as error:
        if error.errno == errno.ELOOP and not follow_links:
            return b"", "a symbolic link; read what it leads to with --follow-links"
        return b"", f"the file cannot be read: {error.strerror}"
    if len(data) > MAX_ROW_BYTES:
        return b"", f"the file is longer than {MAX_ROW_BYTES // 2**20} MiB"
    return data.removeprefix(BOM), None


FOLDER = FolderFormat()
