"""Python imports this first where PYTHONPATH names its folder: what macOS lacks is gone in that
process.

Neither ``/proc`` nor ``/sys``; no affinity of processes to CPUs.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
from typing import Any

for _name in (
    "sched_getaffinity",
    "sched_setaffinity",
    "pidfd_open",
    "memfd_create",
    "posix_fadvise",
):
    if hasattr(os, _name):
        delattr(os, _name)


def _is_gone(path: Any) -> bool:
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    parts = os.fsdecode(path).split("/")
    return parts[0] == "" and parts[1:2] in (["proc"], ["sys"])


def _without(function: Any) -> Any:
    def call(path: Any = ".", *rest: Any, **named: Any) -> Any:
        if _is_gone(path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return function(path, *rest, **named)

    # No method where Python 3.10's pathlib makes it an attribute of a class.
    return staticmethod(call)


builtins.open = io.open = _without(builtins.open)
for _name in ("open", "stat", "lstat", "listdir", "scandir", "readlink", "access"):
    setattr(os, _name, _without(getattr(os, _name)))
