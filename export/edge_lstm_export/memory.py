"""Memory that the training gives back and takes again at every step."""

from __future__ import annotations

import ctypes
import sys

# mallopt's parameters, from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> None:
    """Asks glibc to keep freed memory for the next step; elsewhere nothing is done.

    A step over long texts allocates tensors of more than 32 MiB, which glibc maps anew every time, and
    the kernel fills them with zeros: 0.9 of 2.5 seconds in 20 steps of 64 reviews, 0.04 with this.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has no mallopt
        return
    mallopt(_M_MMAP_THRESHOLD, 1 << 30)
    mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
