"""What the person named (paths, globs, folders, ``-``) → a checked list of files of one format."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from edge_lstm.errors import DataError
from edge_lstm.files.compression import Compression, split_suffix

Format = Literal["text", "csv", "tsv", "jsonl", "parquet", "folder"]
FORMATS: tuple[Format, ...] = get_args(Format)
STDIN = "-"

FORMAT_SUFFIXES: dict[str, Format] = {
    ".txt": "text",
    ".text": "text",
    ".ft": "text",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}


@dataclass(frozen=True)
class Source:
    """One input. path: a file, ``-`` for standard input, or the top of a folder of ``.txt`` files.

    files: of a folder, its ``.txt`` files, relative to it, in order.
    """

    path: str
    format: Format
    compression: Compression | None = None
    files: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What messages call it."""
        return "standard input" if self.path == STDIN else self.path


def find_sources(paths: Sequence[str | Path], format: Format | None = None) -> tuple[Source, ...]:  # noqa: A002
    """Paths, globs, folders or ``-`` → sources, all of one format. Raises DataError."""
    if not paths:
        raise DataError("no input; name files, folders, globs or - for standard input")
    expanded = [name for path in paths for name in _expand(os.fspath(path))]
    if STDIN in expanded and len(expanded) > 1:
        raise DataError("standard input (-) cannot be read together with files; give one or the other")
    sources = tuple(_source(name, format) for name in expanded)
    formats = {source.format: source.path for source in sources}
    if len(formats) > 1:
        (one, a), (other, b) = list(formats.items())[:2]
        raise DataError(
            f"the inputs are of different formats ({a}: {one}, {b}: {other}); use one format in a run"
        )
    return sources


def _expand(path: str) -> list[str]:
    """A glob that names no file itself → the paths it matches, sorted."""
    if path == STDIN or os.path.lexists(path) or not glob.has_magic(path):
        return [path]
    found = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - the pattern may be absolute
    if not found:
        raise DataError(f"no file matches {path!r}; check the pattern")
    # 'data/**' also names the folders on the way: their files are matched by themselves.
    return [name for name in found if not Path(name).is_dir()] or found


def _source(path: str, format: Format | None) -> Source:  # noqa: A002
    if path == STDIN:
        if format in ("parquet", "folder"):
            raise DataError(f"standard input cannot be read as {format}; give the path of a file")
        return Source(path, format or "text")
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        raise DataError(f"no such file: {path}; check the path") from None
    except OSError as error:  # a loop of symbolic links, a folder that may not be searched
        raise DataError(f"cannot read {path}: {error.strerror}; check the path and its permissions") from None
    suffix, compression = split_suffix(path)
    if stat.S_ISDIR(mode):
        return _folder(path, format)
    if format == "folder":
        raise DataError(f"{path} is a file, not a folder; leave the format out or name a folder")
    found = format or FORMAT_SUFFIXES.get(suffix)
    if found is None:
        raise DataError(
            f"{path}: the suffix does not say what it holds; "
            "name the format (text, csv, tsv, jsonl or parquet) with --input-format"
        )
    if not os.access(path, os.R_OK):
        raise DataError(f"cannot read {path}: permission denied; check its permissions")
    return Source(path, found, None if found == "parquet" else compression)


def _folder(path: str, format: Format | None) -> Source:  # noqa: A002
    """A folder: its ``.txt`` files at any depth. Links to folders are not followed: they may be loops."""
    if format not in (None, "folder"):
        raise DataError(f"{path} is a folder, not a {format} file; name its files, as in '{path}/*.{format}'")
    errors: list[OSError] = []
    found = []
    for top, folders, names in os.walk(path, onerror=errors.append):
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
    return Source(path, "folder", None, tuple(sorted(found, key=lambda name: Path(name).parts)))


def output_format(path: str) -> Format | None:
    """The format that an output's suffix asks for."""
    return FORMAT_SUFFIXES.get(split_suffix(path)[0])
