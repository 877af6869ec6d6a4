"""Whole outputs or none: a file appears under its name when it is complete and on the disk.

Every command that writes a file writes it here (but ``score``, whose output grows for hours and is
resumed). A regular file is written under another name and renamed, and keeps the permissions of the
file that it replaces; a device or a pipe is written to; ``/dev/stdout`` and its kin are the
process's own descriptors,
wherever they lead. Links are never followed: a link under the output's name is replaced by the
file, what it points to stays as it is.

A process that is killed leaves what it has written under the other name. It is locked while it is
written, so the next process that writes the output can tell, and removes it.
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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from edge_lstm.errors import DataError, OutputError
from edge_lstm.os_file import NO_FOLLOW, NO_WAIT, lock

# What stands beside an output until it is complete, under its name and one of these:
PARTIAL = ".partial"  # the rows so far
JOURNAL = ".resume.json"  # how far they are
JOURNAL_NEW = ".resume.json.new"  # the next one, until it is complete
ASSEMBLED = ".partial.parquet"  # of a Parquet output, until it is complete

_OWN_DESCRIPTOR = re.compile(rf"/(?:dev/fd|proc/(?:self|thread-self|{os.getpid()})/fd)/(\d+)")
_MOST_LINKS = 40  # as the Linux kernel follows
_TO_LOCK = os.O_RDWR | NO_FOLLOW | NO_WAIT
_LEFT_SECONDS = 3600  # a partial file this old was left, on a file system without locks


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
    """A binary file to write to: the output, once the block ends without an error. Raises
    OutputError."""
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        if is_stream(path):
            # A raw stream may take a part of what it is given; the buffer goes on until it has
            # taken all.
            with io.BufferedWriter(open_stream(path)) as stream:
                yield stream
            return
        remove_leftovers(path)
        partial, file = _new_partial(path)
        try:
            with file:
                # so that it can be removed if it is left
                keep_mode(path, file.fileno(), least=0o600)
                yield file
                keep_mode(path, file.fileno())
                file.flush()
                os.fsync(file.fileno())
                try:
                    partial.replace(path)  # while it is locked
                except PermissionError:  # Windows renames no file that is open
                    file.close()
                    partial.replace(path)
            sync_folder(path.parent)
        finally:
            partial.unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise write_error(path, error) from None


def _new_partial(path: Path) -> tuple[Path, BinaryIO]:
    """Return a new file beside the output, under a name of its own, locked and open for writing.

    The name exists for nobody else: two runs at once both write a whole file.
    """
    while True:
        partial = path.with_name(f".{path.name[:40]}.{os.urandom(4).hex()}.partial")
        file = partial.open("xb")  # not through a link; the umask decides who may read it
        try:
            lock(file.fileno())
        except BlockingIOError:  # another process takes it for one that was left, and removes it
            file.close()
            continue
        except OSError:  # a file system without locks
            return partial, file
        if _leads_to(partial, file.fileno()):
            return partial, file
        file.close()


def remove_leftovers(path: Path) -> None:
    """Remove what processes that were killed have left of an output: what nobody holds, of this
    user."""
    for partial in path.parent.glob(
        glob.escape(f".{path.name[:40]}.") + "[0-9a-f]" * 8 + ".partial"
    ):
        # OSError: it is somebody else's.
        with suppress(OSError), io.FileIO(os.open(partial, _TO_LOCK), "r+") as file:
            if not (_is_left(file.fileno()) and _leads_to(partial, file.fileno())):
                continue
            try:
                partial.unlink()
            except PermissionError:  # Windows removes no file that is open
                file.close()
                partial.unlink()


def _is_left(handle: int) -> bool:
    """Whether an open partial file is of this user and no process holds it."""
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
        return state.st_mtime < time.time() - _LEFT_SECONDS
    return True


def _leads_to(path: Path, handle: int) -> bool:
    """Whether the name leads to the open file."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(handle))
    except OSError:
        return False


def keep_mode(path: Path, handle: int, least: int = 0) -> None:
    """Give an open file, which will replace ``path``, the permissions of the regular file that is
    there.

    least: permissions that it gets in any case.
    """
    # no file is there; a file system or a system without permissions
    with suppress(OSError, AttributeError):
        state = path.lstat()
        if stat.S_ISREG(state.st_mode):
            os.fchmod(handle, state.st_mode & 0o777 | least)


def is_leftover(path: str) -> bool:
    """Whether a run that was ended left this file beside its output."""
    # a person's own file may end so, but has no partial file beside it
    if path.endswith(ASSEMBLED):
        return os.path.lexists(path.removesuffix(ASSEMBLED) + PARTIAL)
    return path.endswith((PARTIAL, JOURNAL, JOURNAL_NEW))


def own_descriptor(path: str | Path) -> int | None:
    """The descriptor of this process that a name such as ``/dev/stdout`` or ``/dev/fd/3`` stands
    for."""
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
    """Whether the name stands for a descriptor, a device, a pipe or a socket: nothing that can be
    renamed."""
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
    return OutputError(
        f"cannot write {path}: {reason}; check the folder, its permissions and the disk"
    )
