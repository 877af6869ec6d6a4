"""The limits of the process (ulimit), named in errors.

Standard library only, since every command imports this module.
"""

from __future__ import annotations

import errno

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
    return "out of memory; raise the limit (ulimit -v), or use fewer or shorter texts at a time"
