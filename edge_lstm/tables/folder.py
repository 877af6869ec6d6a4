"""Folders of ``.txt`` files at any depth: a file a row, columns ``path`` and ``text``."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edge_lstm.errors import DataError
from edge_lstm.os_file import NO_FOLLOW, NO_WAIT
from edge_lstm.tables.blocks import Block, Content, Position
from edge_lstm.tables.format import Format
from edge_lstm.tables.lines import decoded, text_or_reason
from edge_lstm.tables.records import FileRecord, Row, Rows, RowText, TooLong
from edge_lstm.tables.schema import BOM, ReadOptions, Schema, Source
from edge_lstm.tables.stream import MAX_ROW_BYTES, Stream

UNLABELLED = "unsup"  # the folder of texts without a label, of the reviews


class FolderFormat(Format):
    """The format of a folder as one input."""

    name = "folder"
    is_stream = False
    is_writable = False
    default_output = "jsonl"
    has_labels = True

    def schema(self, source: Source, stream: Stream | None, options: ReadOptions) -> Schema:
        return Schema(self.name, ("path", "text"), 1)

    def size(self, source: Source) -> int:
        return len(source.files)

    def blocks(
        self, source: Source, stream: Stream | None, schema: Schema, start: Position, rows: int, size: int
    ) -> Iterator[Block]:
        top = Path(source.path)
        files: list[FileRecord | TooLong] = []
        held = 0
        for number in range(start.offset, len(source.files)):
            record = _read_file(top, source.files[number], source.follow_links)
            files.append(record)
            held += len(record.data) + len(record.path)
            if len(files) >= rows or held >= size or number + 1 == len(source.files):
                end = Position(start.source, number + 1, number + 1)
                yield Block(start, end, tuple(files), held)
                files, held, start = [], 0, end

    def reader(
        self, schema: Schema, *, forbidden: frozenset[str] = frozenset(), known: frozenset[str] | None = None
    ) -> Callable[[Content], Rows]:
        def read(content: Content) -> Rows:
            files = [record for record in content if isinstance(record, FileRecord)]
            return Rows(files, [_text(file) for file in files], _values)

        return read

    def labels(self, row: Row) -> tuple[str, tuple[str, ...]] | None:
        """The label is the name of a file's first folder."""
        path = str(row.values["path"])
        label, _, inside = path.partition(os.sep)
        # Files beside the folders (aclImdb/test/urls_pos.txt) belong to no label.
        if not inside or label == UNLABELLED:
            return None
        if row.text is None:
            raise DataError(f"{Path(row.source, path)}: {row.error}; correct or remove the file")
        return row.text, (label,)


def folder_source(path: str, *, follow_links: bool) -> Source:
    """A folder as an input; what symbolic links lead to only where that is asked for, and each folder once,
    for links may be loops. Raises DataError.
    """
    errors: list[OSError] = []
    found = []
    seen = set[tuple[int, int]]()
    for top, folders, names in os.walk(path, onerror=errors.append, followlinks=follow_links):
        if follow_links:
            state = Path(top).stat()
            if (state.st_dev, state.st_ino) in seen:
                folders.clear()
                continue
            seen.add((state.st_dev, state.st_ino))
        folders.sort()
        found += [
            os.path.relpath(os.path.join(top, name), path)  # noqa: PTH118 - many names, Path is slow
            for name in names
            if name.lower().endswith(".txt")
        ]
    if errors:
        raise DataError(
            f"cannot read the folder {errors[0].filename}: {errors[0].strerror}; check its permissions"
        )
    if not found:
        raise DataError(f"{path} is a folder without .txt files; name the files in it, as in '{path}/*.csv'")
    files = tuple(sorted(found, key=lambda name: Path(name).parts))
    return Source(path, FolderFormat.name, None, files, follow_links)


def _read_file(top: Path, name: str, follow_links: bool) -> FileRecord:
    try:
        # Opened without waiting: a named pipe would wait for whoever writes into it.
        opened = os.open(top / name, os.O_RDONLY | NO_WAIT | (0 if follow_links else NO_FOLLOW))
        with open(opened, "rb") as file:  # noqa: PTH123 - a descriptor
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                return FileRecord(name, b"", "a pipe or device, no file")
            data = file.read(MAX_ROW_BYTES + 1)
    except OSError as error:
        if error.errno == errno.ELOOP and not follow_links:
            return FileRecord(name, b"", "a symbolic link; read what it leads to with --follow-links")
        return FileRecord(name, b"", f"the file cannot be read: {error.strerror}")
    if len(data) > MAX_ROW_BYTES:
        return FileRecord(name, b"", f"the file is longer than {MAX_ROW_BYTES // 2**20} MiB")
    return FileRecord(name, data.removeprefix(BOM))


def _text(file: FileRecord) -> RowText:
    return (None, file.error) if file.error else text_or_reason(decoded, file.data)


def _values(file: FileRecord) -> Sequence[bytes]:
    return file.path.encode("utf-8", "surrogateescape"), file.data


FOLDER = FolderFormat()
