"""Ctrl-C and SIGTERM: at once where nothing is lost by it, at the next good moment in the training loop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class StopRequest:
    """While it is open, the first SIGINT or SIGTERM raises KeyboardInterrupt; within :meth:`deferred` it is
    only noted, for who asks :meth:`requested`. A second one ends the program as usual."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._earlier: dict[int, Any] = {}
        self._deferred = False

    def requested(self) -> bool:
        """Whether a signal came."""
        return self.signal is not None

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Within the block a signal is noted and raises nothing."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    @property
    def exit_code(self) -> int:
        """What a shell expects of a program that a signal ended: 128 + its number; 0 without one."""
        return 0 if self.signal is None else 128 + self.signal

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():  # others may not set handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                self._earlier[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        earlier = self._earlier.get(number)
        self._restore()
        if not self._deferred:
            if callable(earlier):
                earlier(number, frame)
            raise KeyboardInterrupt(number)

    def _restore(self) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)
        self._earlier = {}
