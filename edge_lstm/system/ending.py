"""The end of the interpreter: no daemon thread may be inside ONNX Runtime then.

Such a thread would abort the process. For all other threads, Python itself waits before its end.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from edge_lstm.errors import EdgeLSTMError

# Seconds that a late thread waits in Python, where it ends with the process, mostly at once. The
# wait has an end, since the program's own clean-up may wait for the thread.
LATE_SECONDS = 5.0


class _Gate:
    """A gate for daemon threads."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Open the gate, with nobody inside: a forked process has none of the threads."""
        self._condition = threading.Condition()
        self._is_open = True
        self._inside = 0

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Keep the interpreter from ending within the block.

        Raise EdgeLSTMError if it has begun to end.
        """
        thread = threading.current_thread()
        if not thread.daemon or thread is threading.main_thread():
            yield
            return
        with self._condition:
            if not self._condition.wait_for(lambda: self._is_open, LATE_SECONDS):
                raise EdgeLSTMError(
                    "the interpreter is ending; join the threads that predict before it ends"
                )
            self._inside += 1
        try:
            yield
        finally:
            with self._condition:
                self._inside -= 1
                self._condition.notify_all()

    def close(self) -> None:
        """Let nobody in, and wait until nobody is inside; called by ``edge_lstm`` itself."""
        with self._condition:
            self._is_open = False
            self._condition.wait_for(lambda: self._inside == 0)


gate = _Gate()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=gate.reset)
