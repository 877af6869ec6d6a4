"""The limits that a command was started with (ulimit): checked before packages are loaded, named
when met.

Standard library only: imported by every command, also by those that import nothing else.
"""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack

from edge_lstm.errors import EdgeLSTMError

_OPEN_FILES = 4  # so many at once are opened while packages are loaded
# What the loaders of shared objects, ONNX Runtime and PyTorch say where there is no more memory.
# Only PyTorch's first one names no memory: oneDNN has none left for its code.
_REASONS = (
    "could not create a primitive",
    "failed to map segment",
    "allocate memory",
    "bad_alloc",
    "out of memory",
)


def check_limits(command: str, megabytes: int) -> None:
    """Check that a few more files can be opened, and that the address space has so many megabytes.

    Below that libraries print lines of their own, abort the process, or fail when the work is done.
    Raise OSError (EMFILE) or EdgeLSTMError.
    """
    with ExitStack() as opened:
        for _ in range(_OPEN_FILES):
            opened.enter_context(open(os.devnull, "rb"))  # noqa: PTH123
    limit = _address_space()
    if limit is not None and limit < megabytes:
        raise EdgeLSTMError(
            f"{command} needs {megabytes} MB of memory, the limit is {limit}; raise it (ulimit -v)"
        )


def limit_met(error: Exception) -> str | None:
    """The line about the limit that the error comes from; None where it comes from no limit."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EMFILE, errno.ENFILE):
        return "too many open files; raise the limit (ulimit -n), or close programs"
    told = isinstance(error, (ImportError, RuntimeError)) and any(
        r in str(error).lower() for r in _REASONS
    )
    if not (isinstance(error, MemoryError) or number == errno.ENOMEM or told):
        return None
    limit = _address_space()
    how = "; " if limit is None else f", the limit is {limit} MB; raise it (ulimit -v), or "
    return f"out of memory{how}use a smaller --batch-size or shorter inputs"


def _address_space() -> int | None:
    """The most that this process may map, in MB; None without a limit, and on Windows."""
    try:
        import resource
    except ImportError:
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit // 10**6
