"""Chunks in → scored chunks out, in order, on as many processes as the work can use.

The parent cuts the input between rows and writes the output. Workers do everything in between:
they parse, tokenize, classify and format. The number of chunks under way is bounded, so memory
does not grow with the input.

Each worker has a pipe of its own. A thread of the worker takes chunks from it at any time, so that
the parent never waits for a busy worker, and the two never wait for each other.

On Linux a worker is a fork of this process, whose model is there at once. Chunks and results go
through memory that both share, since a pipe holds 64 KiB and a worker that waits for it does
nothing else.

A worker hears none of the signals that end the parent. The parent ends it with SIGKILL, so that a
stopped worker keeps nobody waiting. A worker whose parent is gone reads the end of its pipe, and
ends itself.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, islice
from mmap import mmap
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from edge_lstm.errors import EdgeLSTMError
from edge_lstm.scoring.worker import Scored, Worker
from edge_lstm.system import signals
from edge_lstm.system.ending import LATE_SECONDS
from edge_lstm.system.machine import available_cores, memory_to_use, read_text, sizes
from edge_lstm.tables.reader import LIMITS, Chunk

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

# Fewer chunks for each process are not worth its start. A large document is as much work as the
# chunks that it could fill.
_CHUNKS_A_PROCESS = 2
# Chunks under way for each process.
_AHEAD = 4
# Bytes of shared memory for each chunk under way. A larger chunk or result goes through the pipe.
SLOT_BYTES = 2**22
# Workers can be started here, and the package's commands are tested with them.
CAN_START = hasattr(os, "fork")
# A worker is a fork of this process. Elsewhere it is spawned: a new Python.
IS_FORK = sys.platform == "linux"

# Processes are started by one thread at a time. Otherwise a fork could hold open another pool's
# pipe, and its parent would not see when its worker is gone.
_starting = threading.Lock()


def most_processes(workers: int | None) -> int:
    """Return the most processes that may score.

    workers: the number asked for; None for as many as there are cores for this process.
    """
    if not CAN_START:
        return 1
    # The first chunks of all processes are read before any is started.
    return min(1024, available_cores() if workers is None else workers)


class _Failure(NamedTuple):
    """An error in a worker, with its traceback there."""

    error: Exception
    traceback: str


@dataclass
class _Task:
    """A chunk under way.

    slot: its place in the shared memory, and its result's.
    answer: None until a worker has answered; then a _Failure, or a Scored whose bytes may be a
        place in the shared memory.
    """

    chunk: Chunk
    slot: int
    answer: Any = None


class WorkerPool:
    """Processes that score chunks, as a context.

    This process scores alone if that is as soon done, or if no other can be started. The processes
    end with the context.

    used: the number of processes that score.
    private_files: descriptors that a worker must not hold.
    """

    def __init__(self, worker: Worker, workers: int | None) -> None:
        """Start nothing yet.

        workers: the most processes; None for as many as there are cores for this one.
        """
        self.used = 1
        self.private_files: list[int] = []
        self._worker = worker
        self._most = most_processes(workers)
        self._processes: list[BaseProcess] = []
        self._waiting: deque[_Task] = deque()
        # What each process has to answer, in order, by the parent's end of its pipe.
        self._tasks: dict[Connection, deque[_Task]] = {}
        self._memory: mmap | None = None
        self._pid = os.getpid()
        self._is_late = False

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes at once, with the chunks that they have under way."""
        self._end()
        atexit.unregister(self._end_with_interpreter)
        if self._is_late:
            # This is a daemon thread, which ends with the process while it waits. If the program
            # waits for this thread instead, it hears the error.
            time.sleep(LATE_SECONDS)

    def run(self, chunks: Iterator[Chunk]) -> Iterator[tuple[Chunk, Scored]]:
        """Yield each chunk with its result, in order.

        Raises what reading or a worker raises, and EdgeLSTMError if a worker is gone.
        """
        first: list[Chunk] = []
        if self._most > 1:
            for chunk in islice(chunks, _CHUNKS_A_PROCESS * self._most):
                first.append(chunk)
                if chunk.block.is_pause:
                    break
            work = sum(map(_chunks_worth, first))
            count = min(self._most, len(first), work // _CHUNKS_A_PROCESS)
            if count > 1 and not first[-1].block.is_pause:
                self._start(count)
        every = chain(first, chunks)
        if self._processes:
            yield from self._run(every)
        else:
            for chunk in every:
                yield chunk, self._worker.score(chunk)

    def _run(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Scored]]:
        pending: deque[_Task] = deque()
        most = _AHEAD * self.used
        for number, chunk in enumerate(chunks):
            task = _Task(chunk, slot=number % (most + 1))
            pending.append(task)
            self._waiting.append(task)
            self._exchange(0)
            # A live input that pauses gets all its answers before it is read again.
            kept = 0 if chunk.block.is_pause else most
            while pending and (pending[0].answer is not None or len(pending) > kept):
                yield self._result(pending.popleft())
        while pending:
            yield self._result(pending.popleft())

    def _exchange(self, seconds: float | None) -> None:
        """Give chunks to the processes that have room, and take their answers.

        seconds: how long to wait for an answer; None for as long as it takes.
        """
        from multiprocessing.connection import wait

        try:
            while self._waiting:
                connection, tasks = min(self._tasks.items(), key=lambda item: len(item[1]))
                # A process has the chunk that it scores, and the next. The others wait for the
                # first process that has room, since one may be slower than another.
                if len(tasks) == 2:
                    break
                task = self._waiting.popleft()
                tasks.append(task)
                rows = _put(self._memory, task.slot, task.chunk.block.rows)
                connection.send((_with_rows(task.chunk, rows), task.slot))
            for connection in cast("list[Connection]", wait(self._tasks, seconds)):
                self._tasks[connection].popleft().answer = connection.recv()
        except (EOFError, OSError):
            raise self._gone() from None

    def _result(self, task: _Task) -> tuple[Chunk, Scored]:
        """Wait for a task's answer. Return it with its chunk, or raise what the worker raised."""
        while task.answer is None:
            self._exchange(None)
        if isinstance(task.answer, _Failure):
            error = task.answer.error
            if isinstance(error, MemoryError):
                raise EdgeLSTMError(
                    "a worker process needs more than its share of the memory; "
                    "use fewer --workers, or --engine native"
                )
            raise error from RuntimeError(f"in a worker process:\n{task.answer.traceback}")
        data, summary = task.answer
        return task.chunk, (_taken(self._memory, data), summary)

    def _gone(self) -> EdgeLSTMError:
        """Return the error for a process that has ended."""
        if self._is_late:
            return EdgeLSTMError("the interpreter is ending; join the threads that score before")
        return EdgeLSTMError(
            "a worker process was killed, perhaps out of memory; "
            "continue with --resume and fewer --workers, or start again with --engine native"
        )

    def _start(self, count: int) -> None:
        """Start processes: ``count``, or fewer if the system has no room for them, or none."""
        # Until the processes are known here, no signal may come: nothing would end them.
        with signals.held(), _starting:
            import multiprocessing

            if multiprocessing.current_process().daemon:
                return  # multiprocessing allows it no children
            while count > 1:
                try:
                    self._start_all(count)
                except (OSError, RuntimeError):
                    self._end()
                    count //= 2
                else:
                    self.used = count
                    # Multiprocessing waits for them when the interpreter ends. It has registered
                    # itself by now, so this comes before it.
                    atexit.register(self._end_with_interpreter)
                    return

    def _start_all(self, count: int) -> None:
        """Start ``count`` processes. Raises OSError or RuntimeError if one cannot be started."""
        import multiprocessing

        context: Any = multiprocessing.get_context("fork" if IS_FORK else "spawn")
        self._memory = _shared_memory(_AHEAD * count + 1)
        for _ in range(count):
            ours, theirs = context.Pipe()
            self._tasks[ours] = deque()
            inherited: list[int] = []
            if IS_FORK:
                inherited = [*self.private_files, *(pipe.fileno() for pipe in self._tasks)]
            process = context.Process(
                target=_serve, args=(theirs, inherited, self._worker, self._memory, count)
            )
            with theirs:
                process.start()
            self._processes.append(process)

    def _kill(self) -> None:
        """Kill the processes, unless they are another's: a fork of this process has them too."""
        if os.getpid() == self._pid:
            for process in self._processes:
                process.kill()

    def _end_with_interpreter(self) -> None:
        self._is_late = True
        self._kill()

    def _end(self) -> None:
        """Kill the processes and forget them."""
        with signals.held():
            self._kill()
            for process in self._processes:
                process.join()
            for connection in self._tasks:
                connection.close()
            self._processes.clear()
            self._tasks.clear()
            self._memory = None


def _chunks_worth(chunk: Chunk) -> int:
    return max(1, len(chunk.block.rows) // LIMITS[1])


def _with_rows(chunk: Chunk, rows: Any) -> Chunk:
    return replace(chunk, block=replace(chunk.block, rows=rows))


def _serve(
    connection: Connection,
    inherited: Iterable[int],
    worker: Worker,
    memory: mmap | None,
    processes: int,
) -> None:
    """Score the chunks that come through the pipe until the parent is gone.

    inherited: descriptors that this process holds and must not.
    processes: the number of workers, which share the machine's memory.
    """
    try:
        for descriptor in inherited:
            os.close(descriptor)
        chunks: SimpleQueue[tuple[Chunk, int]] = SimpleQueue()
        threading.Thread(target=_take_chunks, args=(connection, chunks), daemon=True).start()
        if IS_FORK:
            _bound_memory(processes)
        while True:
            chunk, slot = chunks.get()
            connection.send(_answer(worker, memory, chunk, slot))
    finally:
        # The parent is gone. Or a thread or an answer found no room, and the parent sees this end.
        os._exit(1)


def _take_chunks(connection: Connection, chunks: SimpleQueue[tuple[Chunk, int]]) -> None:
    """Take chunks from the pipe as soon as they come, and end this process with the parent."""
    try:
        while True:
            chunks.put(connection.recv())
    finally:
        os._exit(1)


def _answer(worker: Worker, memory: mmap | None, chunk: Chunk, slot: int) -> Any:
    """Return what goes through the pipe for a chunk: see _Task.answer."""
    try:
        data, summary = worker.score(_with_rows(chunk, _taken(memory, chunk.block.rows)))
        return _put(memory, slot, data), summary
    except Exception as error:
        return _Failure(error, traceback.format_exc())


def _bound_memory(processes: int) -> None:
    """Let this process take no more than it has now and its share of the machine's memory.

    A fork of a process with a loaded model has its arena, bounded for a single process. The share
    is of three quarters of the memory: the half that arenas may take at most, and what Python
    needs besides.
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


def _shared_memory(slots: int) -> mmap | None:
    """Return memory that forks share, or None if pipes have to do."""
    if not IS_FORK:
        return None
    import resource

    # Under a limit (ulimit -v) the room is left to threads and batches.
    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        return None
    return mmap(-1, slots * SLOT_BYTES)


def _put(memory: mmap | None, slot: int, data: Any) -> Any:
    """Return what goes through a pipe for ``data``.

    That is its place in the shared memory if it fits there, else ``data``.
    """
    if memory is None or not isinstance(data, bytes) or len(data) > SLOT_BYTES:
        return data
    place = slice(slot * SLOT_BYTES, slot * SLOT_BYTES + len(data))
    memory[place] = data
    return place


def _taken(memory: mmap | None, data: Any) -> Any:
    """Return what was put."""
    if memory is None or not isinstance(data, slice):
        return data
    return memory[data]
