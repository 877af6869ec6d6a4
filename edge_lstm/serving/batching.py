"""Requests that come at once are classified together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from edge_lstm.core.fields import RowText

T = TypeVar("T")

# A batch with more texts or characters is classified in a thread, so that the others are still
# served. For less, the way to a thread and back takes longer than the work.
_MOST_TEXTS = 64
_MOST_CHARACTERS = 50_000


@dataclass
class _Waiting(Generic[T]):
    text: RowText
    names: frozenset[str]
    future: asyncio.Future[T]


class Batcher(Generic[T]):
    """Collects the texts that arrive in one turn of the event loop, and answers them in the next.

    Nobody waits for a batch to fill.
    """

    def __init__(
        self, classify: Callable[[Sequence[RowText], Sequence[frozenset[str]]], Sequence[T]]
    ) -> None:
        """classify: texts, and the questions of each → the result of each text."""
        self._classify = classify
        self._waiting: list[_Waiting[T]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, text: RowText, names: frozenset[str]) -> T:
        """Return the result for a text. names: its questions. Raises what ``classify`` raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._flush)
        self._waiting.append(_Waiting(text, names, future))
        return await future

    def _flush(self) -> None:
        batch = self._waiting
        self._waiting = []
        characters = sum(len(each.text) for each in batch)
        if len(batch) <= _MOST_TEXTS and characters <= _MOST_CHARACTERS:
            _settle(batch, self._run(batch))
            return
        task = asyncio.get_running_loop().create_task(self._run_in_thread(batch))
        # The event loop keeps no reference of its own.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_in_thread(self, batch: list[_Waiting[T]]) -> None:
        outcome: Sequence[T] | Exception
        try:
            outcome = await asyncio.to_thread(self._run, batch)
        except RuntimeError as error:  # no thread can be started
            outcome = error
        _settle(batch, outcome)

    def _run(self, batch: list[_Waiting[T]]) -> Sequence[T] | Exception:
        """Return the result of each text, or the error that all of them get."""
        try:
            return self._classify([each.text for each in batch], [each.names for each in batch])
        except Exception as error:
            return error


def _settle(batch: list[_Waiting[T]], outcome: Sequence[T] | Exception) -> None:
    for place, each in enumerate(batch):
        if each.future.done():
            continue  # the client has gone away
        if isinstance(outcome, Exception):
            each.future.set_exception(outcome)
        else:
            each.future.set_result(outcome[place])
