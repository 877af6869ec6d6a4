"""One training an output: a second one that would write the same files is refused."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_lstm.atomic import write_error
from edge_lstm.errors import OutputError
from edge_lstm.os_file import NO_FOLLOW, lock


@contextmanager
def only_run(output: Path) -> Iterator[None]:
    """Lock ``.NAME.lock`` beside the output within the block. The kernel ends the lock with the process, so
    an empty file that is left behind locks nobody out.

    Raises OutputError where another process has the lock, or the file cannot be made. File systems without
    locks go without.
    """
    path = output.with_name(f".{output.name}.lock")
    try:
        while (handle := _lock(path)) is None:
            pass
    except BlockingIOError:
        other = f"another training is writing {output}"
        raise OutputError(f"{other}; wait for it, or choose another -o") from None
    except OSError as error:
        raise write_error(path, error) from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _lock(path: Path) -> int | None:
    """Return the locked file; None where the run that had the lock has removed its name meanwhile, so that
    it locks nothing. Raises BlockingIOError, OSError."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | NO_FOLLOW, 0o666)
    try:
        lock(handle)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            os.close(handle)
            raise
    with suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(handle), path.stat()):
            return handle
    os.close(handle)
    return None
