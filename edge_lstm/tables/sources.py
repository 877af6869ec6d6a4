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
from edge_lstm.tables.compression import Compression, split_suffix

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
    follow_links: whether symbolic links inside the folder are followed.
    """

    path: str
    format: Format
    compression: Compression | None = None
    files: tuple[str, ...] = ()
    follow_links: bool = False

    @property
    def name(self) -> str:
        """What messages call it."""
        return "standard input" if self.path == STDIN else self.path


def find_sources(
    paths: Sequence[str | Path],
    format: Format | None = None,  # noqa: A002
    *,
    follow_links: bool = False,
) -> tuple[Source, ...]:
    """Paths, globs, folders or ``-`` → sources, all of one format. Raises DataError."""
    if not paths:
        raise DataError("no input; name files, folders, globs or - for standard input")
    expanded = [name for path in paths for name in _expand(os.fspath(path))]
    if STDIN in expanded and len(expanded) > 1:
        raise DataError("standard input (-) cannot be read together with files; give one or the other")
    sources = tuple(_source(name, format, follow_links) for name in expanded)
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


def _source(path: str, format: Format | None, follow_links: bool) -> Source:  # noqa: A002
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
        return _folder(path, format, follow_links)
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


def _folder(path: str, format: Format | None, follow_links: bool) -> Source:  # noqa: A002
    """A folder: its ``.txt`` files at any depth; what symbolic links lead to only where that is asked for,
    and each folder once, for links may be loops.
    """
    if format not in (None, "folder"):
        raise DataError(f"{path} is a folder, not a {format} file; name its files, as in '{path}/*.{format}'")
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
    return Source(path, "folder", None, files, follow_links)


def output_format(path: str) -> Format | None:
    """The format that an output's suffix asks for."""
    return FORMAT_SUFFIXES.get(split_suffix(path)[0])
