"""Whole outputs or none: a file appears under its name when it is complete and on the disk.

Every command writes its files here, except ``score``, whose output grows for hours and is resumed.

- A regular file is written under another name and renamed. It keeps the permissions of the file
  that it replaces.
- A device or a pipe is written to directly. ``/dev/stdout`` and similar names are the process's own
  descriptors, wherever they lead.
- Links are never followed: the file replaces a link under the output's name, and the link's target
  stays as it is.

A killed process leaves a partial file under the other name. A partial file is locked while it is
written, so the next process that writes the output can recognise one that was left, and removes it.
"""

from __future__ import annotations

import errno
import glob
import io
import os
import re
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from edge_lstm.errors import DataError, OutputError
from edge_lstm.system.os_file import NO_FOLLOW, NO_WAIT, leads_to, lock

# Suffixes of the files in the folder of an output until it is complete:
PARTIAL = ".partial"  # the rows so far
JOURNAL = ".resume.json"  # how far they are

_OWN_DESCRIPTOR = re.compile(rf"/(?:dev/fd|proc/(?:self|thread-self|{os.getpid()})/fd)/(\d+)")
_ROOM = "free some, or choose another output"  # the advice if no space is left


def write_atomically(
    data: bytes | str, path: Path, *, parents: bool = False, room: str = _ROOM
) -> None:
    """Write an output as a whole.

    data: bytes, or text to write as UTF-8; a lone surrogate becomes U+003F.
    path: of the output.
    parents: make missing folders above it.
    room: see :func:`write_error`.

    Raise OutputError.
    """
    # A lone surrogate (from a broken text or a file name) has no UTF-8.
    encoded = data.encode("utf-8", "replace") if isinstance(data, str) else data
    with open_atomically(path, parents=parents, room=room) as file:
        file.write(encoded)


@contextmanager
def open_atomically(path: Path, *, parents: bool = False, room: str = _ROOM) -> Iterator[BinaryIO]:
    """Open a binary file that becomes the output if the block ends without an error.

    path, parents, room: see :func:`write_atomically`.

    Raise OutputError.
    """
    with write_errors(path, room):
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        if is_stream(path):
            # A raw stream may take only a part of the data; the buffer goes on until it has taken
            # all.
            with io.BufferedWriter(open_stream(path)) as stream:
                yield stream
            return
        remove_leftovers(path)
        partial, file = _new_partial(path)
        try:
            with file:
                keep_mode(path, file.fileno())
                yield file
                file.flush()
                os.fsync(file.fileno())
                give_name(partial, file, path)  # while it is locked
            sync_folder(path.parent)
        finally:
            partial.unlink(missing_ok=True)


def _new_partial(path: Path) -> tuple[Path, BinaryIO]:
    """Return a new file in the output's folder, locked and open for writing.

    No other process has its name: two runs at once both write a whole file.
    """
    while True:
        partial = path.with_name(f".{path.name[:40]}.{os.urandom(4).hex()}.partial")
        file = partial.open("xb")  # not through a link; the umask decides who may read it
        try:
            lock(file.fileno())
        except BlockingIOError:  # another process took it for a left one, and is removing it
            file.close()
            continue
        except OSError:  # a file system without locks
            return partial, file
        if leads_to(partial, file.fileno()):
            return partial, file
        file.close()


def remove_leftovers(path: Path) -> None:
    """Remove this user's partial files of an output that killed processes have left."""
    pattern = glob.escape(f".{path.name[:40]}.") + "[0-9a-f]" * 8 + ".partial"
    for partial in path.parent.glob(pattern):
        # OSError: the file belongs to another user.
        with suppress(OSError):
            handle = os.open(partial, os.O_RDWR | NO_FOLLOW | NO_WAIT)
            with io.FileIO(handle, "r+") as file:
                if _is_left(handle) and leads_to(partial, handle):
                    rename_or_remove(file, partial.unlink)


def rename_or_remove(file: BinaryIO, act: Callable[[], object]) -> None:
    """Rename or remove an open file.

    act: does it. Windows does it only to a closed file: there the file is closed first.
    """
    try:
        act()
    except PermissionError:
        file.close()
        act()


def _is_left(handle: int) -> bool:
    """Return whether an open partial file belongs to this user and no process holds it."""
    state = os.fstat(handle)
    if not stat.S_ISREG(state.st_mode) or state.st_nlink != 1:
        return False
    if hasattr(os, "geteuid") and state.st_uid != os.geteuid():
        return False
    try:
        lock(handle)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        # Without locks, a partial file that is an hour old counts as left.
        return state.st_mtime < time.time() - 3600
    return True


def give_name(partial: Path, file: BinaryIO, path: Path) -> None:
    """Give an open partial file the output's name, and the permissions of the file that had it."""
    mode = _mode(path)
    rename_or_remove(file, lambda: partial.replace(path))
    if mode is not None and not file.closed:
        _set_mode(file.fileno(), mode)


def keep_mode(path: Path, handle: int) -> None:
    """Give a partial file the permissions of the file that it will replace, and its owner's.

    Its owner can read and write it in any case: a later process takes it over, or removes it, if
    a killed one has left it.

    path: the file to replace.
    handle: descriptor of the partial file.
    """
    mode = _mode(path)
    if mode is not None:
        _set_mode(handle, mode | 0o600)


def _mode(path: Path) -> int | None:
    """Return the permissions of a regular file, or None if the path is not one."""
    try:
        state = path.lstat()
    except OSError:
        return None
    return state.st_mode & 0o777 if stat.S_ISREG(state.st_mode) else None


def _set_mode(handle: int, mode: int) -> None:
    """Set the permissions of an open file, on a system and a file system that have them."""
    with suppress(OSError, AttributeError):
        os.fchmod(handle, mode)


def is_leftover(path: str) -> bool:
    """Return whether an ended run left this file with its output."""
    return path.endswith((PARTIAL, JOURNAL))


def own_descriptor(path: str | Path) -> int | None:
    """Return the descriptor behind a name such as ``/dev/stdout`` or ``/dev/fd/3``, or None."""
    try:
        current = Path(path).absolute()
    except OSError:  # the working folder was removed
        current = Path(path)
    # As many links as the Linux kernel follows.
    for _ in range(40):
        match = _OWN_DESCRIPTOR.fullmatch(os.path.normpath(current))
        if match:
            return int(match[1])
        try:
            current = current.parent / current.readlink()
        except OSError:
            return None
    return None


def is_stream(path: str | Path) -> bool:
    """Return whether a name stands for a descriptor, a device, a pipe or a socket.

    These cannot be renamed.
    """
    if own_descriptor(path) is not None:
        return True
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def open_stream(path: str | Path) -> io.FileIO:
    """Open a stream (see :func:`is_stream`) for writing, without a buffer. Raise OSError."""
    descriptor = own_descriptor(path)
    if descriptor is None:
        return io.FileIO(path, "w")
    if descriptor == 1 and sys.stdout is not None:
        sys.stdout.flush()  # earlier prints come first
    return io.FileIO(os.dup(descriptor), "w")


def check_writable(path: Path, *, parents: bool = False) -> None:
    """Check before the work that an output can be written after it.

    parents: the folders above may be missing, as :func:`write_atomically` makes them.

    Raise OutputError.
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
    """Check that all outputs are different files, and none of them an input.

    Names count as the same file also through links. Streams do not count.

    Raise DataError.
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
    """Return keys that two names of one file share: their real path, or the file's numbers."""
    keys: set[str | tuple[int, int]] = set()
    try:
        # os.path.realpath, since Path.resolve() raises if links form a loop.
        keys.add(os.path.realpath(name))
    except (OSError, ValueError):
        keys.add(os.path.normpath(name))  # the working folder was removed
    with suppress(OSError, ValueError):
        state = Path(name).stat()
        keys.add((state.st_dev, state.st_ino))
    return keys


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last through a power cut, if the file system can do that."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def write_errors(path: str | Path, room: str = _ROOM) -> Iterator[None]:
    """Make an OSError of the block an OutputError, see :func:`write_error`.

    A BrokenPipeError stays one: if a reader goes away, nothing is wrong with the output.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise write_error(path, error, room) from None


def write_error(path: str | Path, error: OSError, room: str = _ROOM) -> OutputError:
    """Return the error for an OSError of writing, with advice.

    room: the advice if no space is left.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return OutputError(f"no space left for {path}; {room}")
    return OutputError(
        f"cannot write {path}: {error.strerror or error}; "
        "check the folder, its permissions and the disk"
    )
