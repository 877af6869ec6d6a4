"""Opening and locking files on Linux, macOS and Windows."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# A system without a flag gets 0: Windows follows links when it opens a file, and only Windows has a
# flag against the translation of line ends.
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # does not wait for the writer of a pipe


def open_regular(path: Path) -> io.BufferedReader:
    """Open a regular file to read.

    Raise OSError, also for a folder, a pipe (which waits for its writer), a device or a socket.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe, a device or a socket"
        raise OSError(errno.EINVAL, f"it is {what}")
    return path.open("rb")


def lock(handle: int) -> None:
    """Lock an open file until it is closed.

    handle: its descriptor.

    Raise BlockingIOError if another process holds the lock, OSError on a file system without locks.
    """
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except PermissionError as error:  # some network file systems raise this one
            raise _held() from error
        return
    try:
        import msvcrt
    except ImportError:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP)) from None
    position = os.lseek(handle, 0, os.SEEK_CUR)
    try:
        # No other process can read locked bytes, so the locked byte is behind all data.
        os.lseek(handle, 2**43, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    except PermissionError as error:
        raise _held() from error
    finally:
        os.lseek(handle, position, os.SEEK_SET)


def leads_to(path: Path, handle: int) -> bool:
    """Return whether a name leads to an open file.

    handle: descriptor of the file.
    """
    try:
        return os.path.samestat(path.lstat(), os.fstat(handle))
    except OSError:
        return False


def _held() -> BlockingIOError:
    """Return the error for a lock that another process holds."""
    return BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK))
