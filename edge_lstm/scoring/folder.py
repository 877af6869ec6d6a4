"""A folder on whatever file system pyarrow opens: its files listed, fetched, and put there whole."""

from __future__ import annotations

import json
import tempfile
import uuid
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from edge_lstm.errors import DataError
from edge_lstm.tables.parquet import pyarrow

Kind = Literal["missing", "file", "folder"]


@dataclass(frozen=True)
class Stored:
    """One file of a folder: its name in it, bytes, and when it was last changed (nanoseconds, as text)."""

    name: str
    size: int
    modified: str


class Folder:
    """where: a path, or the URI of a file system that pyarrow reads (s3://, gs://, hdfs://, abfs://,
    file://). Names are relative to it, with slashes. DataError where the address cannot be opened.
    """

    def __init__(self, where: str) -> None:
        arrow = _arrow()
        self.where = where
        try:
            if "://" in where:
                fs, top = arrow.fs.FileSystem.from_uri(where)
            else:
                fs, top = arrow.fs.LocalFileSystem(), str(Path(where).absolute())
        except (arrow.ArrowException, OSError, ValueError) as error:
            reason = str(error).splitlines()[0][:200]
            raise DataError(f"cannot open {where}: {reason}; check the address") from None
        self._fs, self._top = fs, top.rstrip("/")

    def kind(self) -> Kind:
        """What there is under the folder's own name."""
        types = _arrow().fs.FileType
        found = self._fs.get_file_info(self._top).type
        return "missing" if found == types.NotFound else "file" if found == types.File else "folder"

    def is_empty(self) -> bool:
        """Whether a folder that is there holds nothing."""
        return not self._fs.get_file_info(_arrow().fs.FileSelector(self._top, recursive=False))

    def files(self) -> list[Stored]:
        """All files, those of folders in it too, by name."""
        arrow = _arrow()
        found = [
            Stored(entry.path.removeprefix(self._top).lstrip("/"), entry.size, str(entry.mtime_ns))
            for entry in self._fs.get_file_info(arrow.fs.FileSelector(self._top, recursive=True))
            if entry.type == arrow.fs.FileType.File
        ]
        return sorted(found, key=lambda stored: stored.name)

    def download(self, name: str, local: Path) -> None:
        """Copies a file to this machine; of a file that is here already, a link does."""
        if self._fs.type_name == "local":
            local.symlink_to(self._path(name))
            return
        with (
            self._fs.open_input_stream(self._path(name), compression=None) as source,
            local.open("wb") as target,
        ):
            while chunk := source.read(2**20):
                target.write(chunk)

    def upload(self, local: Path, name: str) -> None:
        """Copies a complete file to its name, which it has only when it is there as a whole."""
        path = self._path(name)
        parent = str(PurePosixPath(path).parent)
        self._fs.create_dir(parent, recursive=True)
        # Two nodes may do the same file, when one was thought lost: each has a name of its own until the end.
        passing = f"{parent}/.{PurePosixPath(path).name}.{uuid.uuid4().hex}"
        with local.open("rb") as source, self._fs.open_output_stream(passing, compression=None) as target:
            while chunk := source.read(2**20):
                target.write(chunk)
        self._fs.move(passing, path)

    def read_json(self, name: str) -> dict[str, Any] | None:
        """A file's JSON object; None where it is not there or is none."""
        if self._fs.get_file_info(self._path(name)).type != _arrow().fs.FileType.File:
            return None
        with self._fs.open_input_stream(self._path(name), compression=None) as file:
            try:
                return dict(json.loads(file.read()))
            except ValueError:
                return None

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        """Writes a file of JSON, as a whole."""
        self.write_bytes(name, json.dumps(value).encode())

    def write_bytes(self, name: str, content: bytes) -> None:
        """Writes a file, as a whole."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            self.upload(Path(file.name), name)

    def _path(self, name: str) -> str:
        return f"{self._top}/{name}"


def _arrow() -> Any:
    arrow = pyarrow()
    import_module("pyarrow.fs")  # an attribute of the package from here on
    return arrow
