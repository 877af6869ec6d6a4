"""The limits of the process (ulimit): checked before packages are loaded, named in errors.

Standard library only, since every command imports this module.
"""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack

from edge_lstm.errors import EdgeLSTMError

# Messages of the loader of shared objects, of ONNX Runtime and of PyTorch if memory is exhausted.
# The first two, by PyTorch, do not mention memory: oneDNN has none left.
_REASONS = (
    "could not create a primitive",
    "could not execute a primitive",
    "failed to map segment",
    "allocate memory",
    "bad_alloc",
    "out of memory",
)


def check_limits(command: str, megabytes: int) -> None:
    """Check that a few more files can be opened, and that the address space is large enough.

    command: its name, for the error.
    megabytes: the least address space. With less, libraries print lines of their own, abort the
        process, or fail after the work.

    Raise OSError (EMFILE) or EdgeLSTMError.
    """
    with ExitStack() as opened:
        # The most that are open at once while packages are loaded.
        for _ in range(4):
            opened.enter_context(open(os.devnull, "rb"))  # noqa: PTH123
    limit = _address_space()
    if limit is not None and limit < megabytes:
        raise EdgeLSTMError(
            f"{command} needs {megabytes} MB of memory, the limit is {limit}; raise it (ulimit -v)"
        )


def limit_met(error: Exception) -> str | None:
    """Return a line about the limit that caused an error; None for other errors."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EMFILE, errno.ENFILE):
        return "too many open files; raise the limit (ulimit -n), or close programs"
    is_memory = isinstance(error, MemoryError) or number == errno.ENOMEM
    if isinstance(error, (ImportError, RuntimeError)):
        message = str(error).lower()
        is_memory = any(reason in message for reason in _REASONS)
    if not is_memory:
        return None
    limit = _address_space()
    how = "; " if limit is None else f", the limit is {limit} MB; raise it (ulimit -v), or "
    return f"out of memory{how}use fewer or shorter texts at a time"


def _address_space() -> int | None:
    """Return the limit of the address space in MB; None without a limit, and on Windows."""
    try:
        import resource
    except ImportError:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit // 10**6
