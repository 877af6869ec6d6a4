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
    noted for :meth:`requested`. A second one ends the program as usual."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._handlers: dict[int, Any] = {}
        self._deferred = False

    def requested(self) -> bool:
        """Return whether a signal came."""
        return self.signal is not None

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Note a signal within the block and raise nothing."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as a shell expects it; 0 without a signal."""
        return 0 if self.signal is None else 128 + self.signal

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():  # others may not set handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        handler = self._handlers.get(number)
        self.__exit__()
        if not self._deferred:
            if callable(handler):
                handler(number, frame)
            raise KeyboardInterrupt(number)
