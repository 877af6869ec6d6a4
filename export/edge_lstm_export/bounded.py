"""A stranger's file is read in a child process with little memory and time.

A few bytes can ask for gigabytes or for hours in more ways than a reader can know. Whatever they
make of the child, the parent gets values and arrays, or one line.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt
from safetensors import numpy as safetensors

from edge_lstm.errors import DataError, EdgeLSTMError

# More than the process has already: this, and some times the file's size.
_BYTES = 384 * 2**20
_TIMES = 4
_PARENT_DEATH = 1  # prctl's operation that asks for a signal when the parent ends
_LENGTH = 8  # bytes of the length of the values, which stand before the arrays

# JSON values, and arrays by name.
Contents: TypeAlias = tuple[Any, Mapping[str, npt.NDArray[Any]]]


def bounded(path: Path, read: Callable[[], Contents], seconds: int = 3) -> Contents:
    """Return what a reader finds in a file.

    seconds: of CPU time that the reader may take.

    A system without such limits (macOS, Windows) runs the reader in this process, where its own
    checks of sizes remain.

    Raises DataError as the reader does, and if the file takes more than its size allows.
    """
    if sys.platform != "linux":
        return read()
    size = path.stat().st_size if path.exists() else 0
    ours, theirs = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if not child:
        _answer(read, theirs, size, seconds, parent)
    with ExitStack() as ends:
        ends.callback(os.waitpid, child, 0)
        # After an interruption, too, nothing is left running.
        ends.callback(os.kill, child, signal.SIGKILL)
        os.close(theirs)
        pipe = ends.enter_context(os.fdopen(ours, "rb"))
        answer = pipe.read()
    if not answer:
        raise DataError(f"{path} takes more memory or time than {size:,} bytes may; copy it again")
    end = _LENGTH + int.from_bytes(answer[:_LENGTH], "little")
    found = json.loads(answer[_LENGTH:end])
    if "error" in found:
        raise DataError(found["error"])
    return found["values"], safetensors.load(answer[end:])


def _answer(
    read: Callable[[], Contents], pipe: int, size: int, seconds: int, parent: int
) -> NoReturn:
    """Read the file in the child, answer through the pipe, and end.

    The answer is written whole, or not at all. A parent that was killed takes the child with it.
    """
    try:
        # How the parent ends is not how the child does.
        faulthandler.disable()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # A library may print why it aborts.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before that
            os._exit(0)
        _limit(size, seconds)
        arrays: Mapping[str, npt.NDArray[Any]] = {}
        try:
            values, arrays = read()
            found = {"values": values}
        except EdgeLSTMError as error:
            found = {"error": str(error)}
        described = json.dumps(found).encode()
        # safetensors writes an array's memory as it lies.
        data = safetensors.save({name: np.ascontiguousarray(a) for name, a in arrays.items()})
        with os.fdopen(pipe, "wb") as out:
            out.write(len(described).to_bytes(_LENGTH, "little") + described)
            out.write(data)
    finally:
        os._exit(0)


def _limit(size: int, seconds: int) -> None:
    """Limit this process's memory and CPU time. size: of the file, in bytes."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory = pages * resource.getpagesize() + _BYTES + _TIMES * size
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
