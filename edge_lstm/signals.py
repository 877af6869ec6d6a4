"""Ctrl-C and SIGTERM, from the first import on: the first one interrupts, the second ends at
once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SHOW_CURSOR = b"\x1b[?25h"  # a progress bar hides it
_received, _deferred = 0, False


def handle_signals() -> None:
    """Ctrl-C and SIGTERM raise KeyboardInterrupt. Where they are ignored (nohup), they stay so."""
    global _received
    _received = 0
    for number, usual in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGTERM, signal.SIG_DFL),
    ):
        if signal.getsignal(number) == usual:
            signal.signal(number, _interrupt)


def restore_signals() -> None:
    """The work is over: a signal that comes now ends the process, without a traceback of its last
    steps."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) == _interrupt:
            signal.signal(number, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Ends the process at once while modules are imported: nothing has begun then, and an exception
    in the middle of an extension module's start comes out as another one, or not at all."""
    global _received
    while frame is not None and not _deferred:
        if frame.f_globals.get("__name__") == "importlib._bootstrap":
            os._exit(128 + number)
        frame = frame.f_back
    if _received:  # once more: whoever asks twice does not want to wait for tidying up
        if sys.__stderr__ is not None and sys.__stderr__.isatty():
            os.write(sys.__stderr__.fileno(), _SHOW_CURSOR)
        os._exit(128 + number)
    _received = number
    if not _deferred:
        raise KeyboardInterrupt(number)


@contextmanager
def deferred() -> Iterator[None]:
    """Within the block the first signal raises nothing: who runs it asks :func:`received` at good
    moments."""
    global _deferred
    _deferred = True
    try:
        yield
    finally:
        _deferred = False


def received() -> bool:
    """Whether a signal came."""
    return _received != 0


@contextmanager
def held() -> Iterator[None]:
    """Signals wait until the block is done: what is imported in it is whole, and nothing that has
    begun is cut off for it. A process that is started in it never hears them at all."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows: no signal can be held there
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def kept() -> Iterator[None]:
    """The handlers of Ctrl-C and SIGTERM are afterwards what they were: Ray sets its own."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is not handler and handler is not None:
                signal.signal(number, handler)


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """What a shell expects of a program that a signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
    number = interrupt.args[0] if interrupt.args else signal.SIGINT
    return 128 + int(number)


def received_exit_code() -> int:
    """The same of the signal that was heard, where the work was ended in good order and has a
    result."""
    return 128 + int(_received or signal.SIGINT)
