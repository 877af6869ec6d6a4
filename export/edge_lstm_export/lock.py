"""One training an output: a second one that would write the same files is refused."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_lstm.atomic import write_error
from edge_lstm.errors import OutputError
from edge_lstm.os_file import NO_FOLLOW, lock


@contextmanager
def only_run(output: Path) -> Iterator[None]:
    """Holds ``.NAME.lock`` beside the output within the block. The kernel lets go of it when the process
    ends, however it ends: an empty file that is left behind locks nobody out.

    Raises OutputError where another process holds it, or it cannot be made. File systems that know no locks
    go without.
    """
    path = output.with_name(f".{output.name}.lock")
    try:
        handle = _locked(path, output)
    except OSError as error:
        raise write_error(path, error) from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _locked(path: Path, output: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | NO_FOLLOW, 0o666)
        try:
            lock(handle)
        except OSError as error:
            if isinstance(error, BlockingIOError):
                os.close(handle)
                raise OutputError(
                    f"another training is writing {output}; wait for it, or choose another -o"
                ) from None
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                os.close(handle)
                raise
        # The one who had it may have removed the name before the lock was ours: then it locks nothing.
        try:
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except FileNotFoundError:
            pass
        os.close(handle)
