"""Opening and locking files on Linux, macOS and Windows: what one of them lacks is left out."""

from __future__ import annotations

import errno
import os

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Windows follows links when it opens a file, and only here are line ends a matter of opening it.
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # not even for the writer of a pipe
_LOCKED_BYTE = 2**43  # Windows lets nobody else read what is locked: behind all that is written


def lock(handle: int) -> None:
    """Locks an open file for as long as it is open. BlockingIOError where another process holds it;
    OSError where the file system knows no locks."""
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except PermissionError as error:  # what some network file systems say
            raise _held() from error
        return
    try:
        import msvcrt
    except ImportError:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP)) from None
    position = os.lseek(handle, 0, os.SEEK_CUR)
    try:
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    except PermissionError as error:
        raise _held() from error
    finally:
        os.lseek(handle, position, os.SEEK_SET)


def _held() -> BlockingIOError:
    return BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK))
