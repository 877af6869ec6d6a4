"""Ctrl-C and SIGTERM, from the first import on.

The first signal interrupts the work, the second ends the process at once.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_received = 0  # number of the first signal
_deferred = False


def handle_signals() -> None:
    """Let Ctrl-C and SIGTERM raise KeyboardInterrupt; ignored ones (nohup) stay ignored."""
    global _received
    _received = 0
    defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    for number, usual in defaults.items():
        if signal.getsignal(number) == usual:
            signal.signal(number, _interrupt)


def restore_signals() -> None:
    """Let signals end the process without a traceback; called when the work is over."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) == _interrupt:
            signal.signal(number, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Handle a signal: raise KeyboardInterrupt, or end the process at once.

    During an import the process ends at once: no work has begun, and an exception in the middle of
    an extension module's start would come out as another one, or not at all.
    """
    global _received
    while frame is not None and not _deferred:
        if frame.f_globals.get("__name__") == "importlib._bootstrap":
            os._exit(128 + number)
        frame = frame.f_back
    if _received:  # the second signal: the person does not want to wait for the clean-up
        if sys.__stderr__ is not None and sys.__stderr__.isatty():
            # A progress bar has hidden the cursor.
            os.write(sys.__stderr__.fileno(), b"\x1b[?25h")
        os._exit(128 + number)
    _received = number
    if not _deferred:
        raise KeyboardInterrupt(number)


@contextmanager
def deferred() -> Iterator[None]:
    """Keep the first signal from raising within the block, which asks :func:`received` instead."""
    global _deferred
    _deferred = True
    try:
        yield
    finally:
        _deferred = False


def received() -> bool:
    """Return whether a signal came."""
    return _received != 0


@contextmanager
def held() -> Iterator[None]:
    """Hold signals back until the end of the block.

    So an import in the block is complete. A process started in the block inherits the mask, and no
    signal reaches it.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows cannot hold signals
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def kept() -> Iterator[None]:
    """Restore the handlers of Ctrl-C and SIGTERM after the block, since Ray sets its own."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is not handler and handler is not None:
                signal.signal(number, handler)


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """Return the exit code that shells expect after a signal: 130 for Ctrl-C, 143 for SIGTERM."""
    number = interrupt.args[0] if interrupt.args else signal.SIGINT
    return 128 + int(number)


def received_exit_code() -> int:
    """Return the exit code for the received signal, for work that ended early with a result."""
    return 128 + int(_received or signal.SIGINT)
