"""Whole outputs or none: a file appears under its name when it is complete and on the disk.

Every command that writes a file writes it here (but ``score``, whose output grows for hours and is resumed).
A regular file is written under another name and renamed; a device or a pipe is written to; ``/dev/stdout``
and its kin are the process's own descriptors, wherever they lead. Links are never followed: a link under
the output's name is replaced by the file, what it points to stays as it is.
"""

from __future__ import annotations

import errno
import glob
import io
import math
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from edge_lstm.errors import DataError, OutputError

# What stands beside an output until it is complete, under its name and one of these:
PARTIAL = ".partial"  # the rows so far
JOURNAL = ".resume.json"  # how far they are
JOURNAL_NEW = ".resume.json.new"  # the next one, until it is complete
ASSEMBLED = ".partial.parquet"  # of a Parquet output, until it is complete

_OWN_DESCRIPTOR = re.compile(rf"/(?:dev/fd|proc/(?:self|thread-self|{os.getpid()})/fd)/(\d+)")
_MOST_LINKS = 40  # as the Linux kernel follows


def write_atomically(data: bytes | str, path: Path, *, parents: bool = False) -> None:
    """Writes an output as a whole; text as UTF-8, U+003F for a lone surrogate. Raises OutputError.

    parents: make the folders above, where they are missing.
    """
    # A lone surrogate (from a broken text or a file name) has no UTF-8.
    encoded = data.encode("utf-8", "replace") if isinstance(data, str) else data
    with open_atomically(path, parents=parents) as file:
        file.write(encoded)


@contextmanager
def open_atomically(path: Path, *, parents: bool = False) -> Iterator[BinaryIO]:
    """A binary file to write to: the output, once the block ends without an error. Raises OutputError."""
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        if is_stream(path):
            # A raw stream may take a part of what it is given; the buffer goes on until it has taken all.
            with io.BufferedWriter(open_stream(path)) as stream:
                yield stream
            return
        # A name of its own, which exists for nobody else: two runs at once both write a whole file.
        partial = path.with_name(f".{path.name[:40]}.{os.urandom(4).hex()}.partial")
        try:
            with partial.open("xb") as file:  # not through a link; the umask decides who may read it
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            sync_folder(path.parent)
        finally:
            partial.unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise write_error(path, error) from None


def remove_leftovers(path: Path, before: float = math.inf) -> None:
    """Removes what runs that were killed outright have left of an output.

    before: what was written to since that time stays; without it, no other run may be writing the output.
    """
    for partial in path.parent.glob(glob.escape(f".{path.name[:40]}.") + "[0-9a-f]" * 8 + ".partial"):
        with suppress(OSError):  # somebody else's
            if partial.stat().st_mtime < before:
                partial.unlink()


def is_leftover(path: str) -> bool:
    """Whether a run that was ended left this file beside its output."""
    if path.endswith(ASSEMBLED):  # a person's own file may end so, but has no partial file beside it
        return os.path.lexists(path.removesuffix(ASSEMBLED) + PARTIAL)
    return path.endswith((PARTIAL, JOURNAL, JOURNAL_NEW))


def own_descriptor(path: str | Path) -> int | None:
    """The descriptor of this process that a name such as ``/dev/stdout`` or ``/dev/fd/3`` stands for."""
    try:
        current = Path(path).absolute()
    except OSError:  # the working folder was removed
        current = Path(path)
    for _ in range(_MOST_LINKS):
        match = _OWN_DESCRIPTOR.fullmatch(os.path.normpath(current))
        if match:
            return int(match[1])
        try:
            current = current.parent / current.readlink()
        except OSError:
            return None
    return None


def is_stream(path: str | Path) -> bool:
    """Whether the name stands for a descriptor, a device, a pipe or a socket: nothing that can be renamed."""
    if own_descriptor(path) is not None:
        return True
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def open_stream(path: str | Path) -> io.FileIO:
    """A stream (see :func:`is_stream`), opened for writing without a buffer. Raises OSError."""
    descriptor = own_descriptor(path)
    if descriptor is None:
        return io.FileIO(path, "w")
    if descriptor == 1 and sys.stdout is not None:
        sys.stdout.flush()  # what was printed before comes before
    return io.FileIO(os.dup(descriptor), "w")


def check_writable(path: Path, *, parents: bool = False) -> None:
    """Raises OutputError where an output could not be written: known before the work, not after it.

    parents: the folders above may be missing, as :func:`write_atomically` makes them.
    """
    if str(path) == "-":
        raise OutputError("this output cannot be '-'; give the name of a file, or /dev/stdout")
    if own_descriptor(path) is not None:
        return
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a file")
    if is_stream(path):
        if not os.access(path, os.W_OK):
            raise OutputError(f"cannot write {path}: no permission; choose another output")
        return
    folder = path.parent
    while parents and not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise OutputError(f"cannot write {path}: no folder {folder}; make it first")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"cannot write {path}: no permission in {folder}; choose another folder")


def check_distinct(written: Iterable[str | Path], inputs: Iterable[str | Path] = ()) -> None:
    """Raises DataError where an output is one of the inputs, or two outputs are one file.

    A name counts as another one's file also through links. Streams are nobody's file.
    """
    input_keys = {key for name in inputs for key in _file_keys(name)}
    outputs: set[str | tuple[int, int]] = set()
    for name in written:
        if is_stream(name):
            continue
        keys = _file_keys(name)
        if not input_keys.isdisjoint(keys):
            raise DataError(f"the output {name} is one of the inputs; choose another output")
        if not outputs.isdisjoint(keys):
            raise DataError(f"two outputs are one file, {name}; choose another name for one")
        outputs |= keys


def _file_keys(name: str | Path) -> set[str | tuple[int, int]]:
    """What two names of one file have in common: where they lead, or the file that is there."""
    keys: set[str | tuple[int, int]] = set()
    try:
        # os.path.realpath, since Path.resolve() raises where links form a loop.
        keys.add(os.path.realpath(name))
    except (OSError, ValueError):
        keys.add(os.path.normpath(name))  # the working folder was removed
    with suppress(OSError, ValueError):
        state = Path(name).stat()
        keys.add((state.st_dev, state.st_ino))
    return keys


def sync_folder(folder: Path) -> None:
    """Makes names in a folder last through a power cut, where the file system can do that."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_error(
    path: str | Path, error: OSError, room: str = "free some, or choose another output"
) -> OutputError:
    """An OSError of writing → what a person can do about it. room: where there is no space left."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return OutputError(f"no space left for {path}; {room}")
    reason = error.strerror or str(error)
    return OutputError(f"cannot write {path}: {reason}; check the folder, its permissions and the disk")
