"""What the person named (paths, globs, folders, ``-``) → a checked list of files of one format."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from edge_lstm.atomic import is_leftover
from edge_lstm.errors import DataError
from edge_lstm.tables.compression import split_suffix
from edge_lstm.tables.folder import FOLDER, folder_source
from edge_lstm.tables.formats import FORMATS, format_of, named
from edge_lstm.tables.lines import TEXT
from edge_lstm.tables.schema import STDIN, Source


def find_sources(
    paths: Sequence[str | Path],
    format: str | None = None,  # noqa: A002
    *,
    follow_links: bool = False,
) -> tuple[Source, ...]:
    """Return paths, globs, folders or ``-`` as sources, all of one format. Raises DataError."""
    if not paths:
        raise DataError("no input; name files, folders, globs or - for standard input")
    if format is not None:
        named(format)
    expanded = [name for path in paths for name in _expand(os.fspath(path))]
    if STDIN in expanded and len(expanded) > 1:
        raise DataError("standard input (-) cannot be read together with files; give one or the other")
    sources = tuple(_source(name, format, follow_links) for name in expanded)
    formats = {source.format: source.path for source in sources}
    if len(formats) > 1:
        names = ", ".join(f"{path}: {name}" for name, path in formats.items())
        raise DataError(f"the inputs are of different formats ({names}); use one format in a run")
    return sources


def _expand(path: str) -> list[str]:
    """Return the paths that a glob matches, sorted, without what unfinished runs left; else the path."""
    if path == STDIN or os.path.lexists(path) or not glob.has_magic(path):
        return [path]
    matches = glob.glob(path, recursive=True)  # noqa: PTH207 - the pattern may be absolute
    paths = sorted(name for name in matches if not is_leftover(name))
    if not paths:
        raise DataError(f"no file matches {path!r}; check the pattern")
    # 'data/**' also names the folders on the way: their files are matched by themselves.
    return [name for name in paths if not Path(name).is_dir()] or paths


def _source(path: str, format: str | None, follow_links: bool) -> Source:  # noqa: A002
    if path == STDIN:
        if format is not None and not FORMATS[format].is_stream:
            raise DataError(f"standard input cannot be read as {format}; give the path of a file")
        return Source(path, format or TEXT.name)
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        raise DataError(f"no such file: {path}; check the path") from None
    except OSError as error:  # a loop of symbolic links, a folder that may not be searched
        raise DataError(f"cannot read {path}: {error.strerror}; check the path and its permissions") from None
    if stat.S_ISDIR(mode):
        if format not in (None, FOLDER.name):
            hint = f"name its files, as in '{path}/*.{format}'"
            raise DataError(f"{path} is a folder, not a {format} file; {hint}")
        return folder_source(path, follow_links=follow_links)
    if format == FOLDER.name:
        raise DataError(f"{path} is a file, not a folder; leave the format out or name a folder")
    name = format or format_of(path)
    if name is None:
        raise DataError(
            f"{path}: the suffix does not say what it holds; "
            f"name the format ({', '.join(FORMATS)}) with --input-format"
        )
    if not os.access(path, os.R_OK):
        raise DataError(f"cannot read {path}: permission denied; check its permissions")
    return Source(path, name, split_suffix(path)[1] if FORMATS[name].is_stream else None)
