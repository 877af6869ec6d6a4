"""Chunks in → scored chunks out, in order, on as many processes as the work can use.

The parent cuts the input between rows and writes the output; workers do everything between (parse,
tokenize, classify, format). How many chunks are under way is bounded, so memory does not grow with
the input.

On Linux a worker is a fork of this process, whose model is there at once. Chunks go to and fro in
memory that both share, since a pipe holds 64 KiB and a worker that waits for it does nothing else.
A worker hears none of the signals that end the parent, and ends by itself when the parent is gone.
The parent ends it with SIGKILL, so that a worker that is stopped keeps nobody waiting.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice, takewhile
from mmap import mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_lstm import signals
from edge_lstm.errors import EdgeLSTMError
from edge_lstm.machine import available_cores, memory_to_use, read_text, sizes
from edge_lstm.scoring.summary import Summary
from edge_lstm.scoring.worker import Scored, Worker
from edge_lstm.tables.reader import Chunk

if TYPE_CHECKING:
    from concurrent.futures import Future

_CHUNKS_A_PROCESS = 2  # at least, or it is not worth its start
MAX_PROCESSES = 1024  # the first chunks of all of them are read before any is started
_AHEAD = 4  # chunks under way for each process
_LOOK_SECONDS = 0.1
# of shared memory, for each chunk under way; what is larger goes through the pipe
SLOT_BYTES = 2**22
# A process can be had, and the package's commands are tested with it.
CAN_START = hasattr(os, "fork")

_worker: Worker  # of a worker's process
_memory: mmap | None  # which it shares


def most_processes(workers: int | None) -> int:
    """Return how many processes may score at most. workers: as many; None: as the cores for this
    process."""
    if not CAN_START:
        return 1
    return min(MAX_PROCESSES, available_cores() if workers is None else workers)


class Pool:
    """Scores chunks with at most ``workers`` processes (None: as many as there are cores for this
    one), or in this one where that is as soon done or none can be started. A context: they end with
    it."""

    def __init__(self, worker: Worker, workers: int | None) -> None:
        self._worker = worker
        self._workers = most_processes(workers)
        self._executor: Any = None
        self.used = 1  # processes that score
        self._processes: list[Any] = []
        self._memory: mmap | None = None
        self.private_files: list[int] = []  # descriptors that a worker must not hold

    def __enter__(self) -> Pool:
        return self

    def run(self, chunks: Iterator[Chunk]) -> Iterator[tuple[Chunk, Scored]]:
        """Yield the chunks with what became of them, in order. Raises what reading or a worker
        raises."""
        first: list[Chunk] = []
        if self._workers > 1:
            for chunk in islice(chunks, _CHUNKS_A_PROCESS * self._workers):
                first.append(chunk)
                if chunk.is_pause:
                    break
            count = min(self._workers, len(first) // _CHUNKS_A_PROCESS)
            if count > 1 and not first[-1].is_pause:
                self._start(count)
        every = chain(first, chunks)
        if self._executor is None:
            for chunk in every:
                yield chunk, self._worker.score(chunk)
        else:
            yield from self._run(every)

    def __exit__(self, *_: object) -> None:
        """End the processes at once; what they had under way is lost."""
        if self._executor is None:
            return
        # A killed worker may leave half a message in a pipe. The executor would wait for its other
        # half as long as this process holds the pipe's other end. It closes one of them itself once
        # a worker is gone: closed at the same moment by two threads, its number could be another
        # file's by then.
        for end in (self._executor._result_queue._writer, self._executor._call_queue._reader):
            with suppress(OSError):
                end.close()
        for process in self._processes:
            process.kill()
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._executor = None

    def _run(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Scored]]:
        from concurrent.futures.process import BrokenProcessPool

        pending: deque[tuple[Chunk, Future[Any]]] = deque()
        most = _AHEAD * self.used
        try:
            for number, chunk in enumerate(chunks):
                with signals.held():  # see _result
                    slot = number % (most + 1)
                    sent = replace(chunk, rows=_put(self._memory, slot, chunk.rows))
                    pending.append((chunk, self._executor.submit(_score, sent, slot)))
                    done = len(list(takewhile(lambda each: each[1].done(), pending)))
                for _ in range(len(pending) if chunk.is_pause else max(done, len(pending) - most)):
                    first, future = pending.popleft()
                    yield first, _result(future, self._memory)
            for chunk, future in pending:
                yield chunk, _result(future, self._memory)
        except BrokenProcessPool:
            raise EdgeLSTMError(
                "a worker process was killed, perhaps out of memory; "
                "continue with --resume and fewer --workers, or --low-memory"
            ) from None
        except MemoryError:
            raise EdgeLSTMError(
                "a worker process needs more than its share of the memory; "
                "use fewer --workers, or --low-memory"
            ) from None

    def _start(self, count: int) -> None:
        """Start the processes; none where the system has no room for them."""
        with signals.held():
            import multiprocessing
            from concurrent.futures import ProcessPoolExecutor

            is_fork = sys.platform == "linux"
            context = multiprocessing.get_context("fork" if is_fork else "spawn")
            executor: Any = None
            try:
                if is_fork:
                    import resource

                    # Under a limit (ulimit -v) the room is left to threads and batches: pipes are
                    # enough.
                    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
                        self._memory = mmap(-1, (_AHEAD * count + 1) * SLOT_BYTES)
                arguments = (
                    self._worker,
                    tuple(self.private_files) if is_fork else (),
                    self._memory,
                    count,
                )
                executor = ProcessPoolExecutor(count, context, _begin, arguments)
                # Where processes are forked, all of them start with the first work.
                executor.submit(os.getpid)
            except (OSError, RuntimeError, NotImplementedError, ImportError):
                for process in (getattr(executor, "_processes", None) or {}).values():
                    process.kill()
                    process.join()
                return
            # While signals wait: whatever comes, the processes are ended.
            self._executor, self.used = executor, count
            self._processes = list(executor._processes.values())


def _result(future: Future[Any], memory: mmap | None) -> Scored:
    """Return what a worker made, or raise what it raised. Ctrl-C is heard between two looks at it:
    in the middle of one it could leave a lock of the executor locked, whose threads then wait for
    ever."""
    from concurrent.futures import wait

    while True:
        with signals.held():
            if wait([future], _LOOK_SECONDS).done:
                data, summary = future.result()
                return _taken(memory, data), summary


def _begin(
    worker: Worker, private_files: tuple[int, ...], memory: mmap | None, processes: int
) -> None:
    """Prepare a worker's process, one of so many."""
    global _worker, _memory
    import threading

    _worker, _memory = worker, memory
    for descriptor in private_files:
        os.close(descriptor)
    with suppress(RuntimeError):  # no room for a thread
        threading.Thread(target=_end_with_parent, daemon=True).start()
    if sys.platform == "linux":
        _bound_memory(processes)


def _bound_memory(processes: int) -> None:
    """Let this process take no more than what it has now and its share of the machine's memory.

    A fork of a process with a loaded model has its arena, bounded for a single process. Three
    quarters of the
    memory: the half that arenas may take at most, and what Python needs beside them.
    """
    import resource

    limit = memory_to_use()
    taken = sizes(read_text(Path("/proc/self/status"))).get("VmData")
    if limit is None or taken is None:
        return
    bound = taken + limit * 3 // 4 // processes
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if soft == resource.RLIM_INFINITY or bound < soft:
        with suppress(ValueError, OSError):  # the system has no such limit
            resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))


def _end_with_parent() -> None:
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _score(chunk: Chunk, slot: int) -> tuple[Any, Summary]:
    data, summary = _worker.score(replace(chunk, rows=_taken(_memory, chunk.rows)))
    return _put(_memory, slot, data), summary


def _put(memory: mmap | None, slot: int, data: Any) -> Any:
    """Return what goes through a pipe for ``data``: its place in the shared memory, where it fits
    there."""
    if memory is None or not isinstance(data, bytes) or len(data) > SLOT_BYTES:
        return data
    place = slice(slot * SLOT_BYTES, slot * SLOT_BYTES + len(data))
    memory[place] = data
    return place


def _taken(memory: mmap | None, data: Any) -> Any:
    """Return what was put."""
    return data if memory is None or not isinstance(data, slice) else memory[data]
