"""What a library does to the handlers of Ctrl-C and SIGTERM does not last."""

from __future__ import annotations

import signal

from edge_lstm import signals


def test_handlers_that_a_library_sets_are_put_back() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with signals.kept():
        signal.signal(signal.SIGTERM, lambda number, frame: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert {number: signal.getsignal(number) for number in before} == before
