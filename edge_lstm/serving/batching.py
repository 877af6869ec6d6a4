"""Requests that come at once are classified together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Result = TypeVar("Result")

# A batch with more texts or characters is classified in a thread, so that the others are still
# served. For less, the way to a thread and back takes longer than the work.
_MOST_TEXTS = 64
_MOST_CHARACTERS = 50_000


@dataclass
class _Waiting(Generic[Result]):
    text: str
    names: frozenset[str]
    future: asyncio.Future[Result]


class Batcher(Generic[Result]):
    """Collects the texts that arrive in one turn of the event loop, and answers them in the next.

    Nobody waits for a batch to fill.
    """

    def __init__(
        self, classify: Callable[[Sequence[str], Sequence[frozenset[str]]], Sequence[Result]]
    ) -> None:
        """classify: texts, and the questions of each → the result of each text."""
        self._classify = classify
        self._waiting: list[_Waiting[Result]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, text: str, names: frozenset[str]) -> Result:
        """Return the result for a text. names: its questions. Raises what ``classify`` raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._flush)
        self._waiting.append(_Waiting(text, names, future))
        return await future

    def _flush(self) -> None:
        batch = self._waiting
        self._waiting = []
        characters = sum(len(each.text) for each in batch)
        if len(batch) <= _MOST_TEXTS and characters <= _MOST_CHARACTERS:
            self._run(batch)
            return
        task = asyncio.get_running_loop().create_task(self._run_in_thread(batch))
        # The event loop keeps no reference of its own.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _run(self, batch: list[_Waiting[Result]]) -> None:
        try:
            results = self._classify(*_arguments(batch))
        except Exception as error:
            _fail(batch, error)
        else:
            _settle(batch, results)

    async def _run_in_thread(self, batch: list[_Waiting[Result]]) -> None:
        try:
            results = await asyncio.to_thread(self._classify, *_arguments(batch))
        except Exception as error:
            _fail(batch, error)
        else:
            _settle(batch, results)


def _arguments(batch: list[_Waiting[Result]]) -> tuple[list[str], list[frozenset[str]]]:
    return [each.text for each in batch], [each.names for each in batch]


def _settle(batch: list[_Waiting[Result]], results: Sequence[Result]) -> None:
    for each, result in zip(batch, results):
        # The client may have gone away.
        if not each.future.done():
            each.future.set_result(result)


def _fail(batch: list[_Waiting[Result]], error: Exception) -> None:
    for each in batch:
        if not each.future.done():
            each.future.set_exception(error)
