"""The end of the interpreter: no daemon thread is inside ONNX Runtime then, which would abort the
process.

Python itself waits for all other threads before.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from edge_lstm.errors import EdgeLSTMError

# A thread that comes too late waits in Python, where it ends with the process, mostly at once. If
# the program has more to do at its end, and that waits for this thread, the thread must not wait
# for ever.
LATE_SECONDS = 5.0


class _Gate:
    """What daemon threads go through, until it is closed."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Open it, with nobody inside: a forked process has none of the threads."""
        self._condition = threading.Condition()
        self._is_open = True
        self._inside = 0

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Within the block, the interpreter does not end. Raises EdgeLSTMError if it has begun
        to."""
        thread = threading.current_thread()
        if not thread.daemon or thread is threading.main_thread():
            yield
            return
        with self._condition:
            if not self._condition.wait_for(lambda: self._is_open, LATE_SECONDS):
                raise EdgeLSTMError(
                    "the interpreter is ending; join the threads that predict before"
                )
            self._inside += 1
        try:
            yield
        finally:
            with self._condition:
                self._inside -= 1
                self._condition.notify_all()

    def close(self) -> None:
        """Let nobody in, and wait until nobody is inside. (Called by ``edge_lstm`` itself.)"""
        with self._condition:
            self._is_open = False
            self._condition.wait_for(lambda: self._inside == 0)


gate = _Gate()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=gate.reset)
