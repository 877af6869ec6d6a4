"""Blocks in → scored blocks out, in order, on as many processes as the work can use.

The parent splits the input and writes the output; workers do everything between (parse, tokenize,
classify, encode). What is under way is bounded in blocks and in bytes, so memory does not grow with the
input.

A worker is a fresh Python that talks over one socket: it needs no semaphore, no temporary file and no
process beside it, hears none of the signals that end the parent, and ends by itself when the other end of
its socket is gone, whatever became of the parent. The parent ends it with SIGKILL, so that a worker that is
stopped, or still starting, keeps nobody waiting.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from edge_lstm import signals
from edge_lstm.errors import EdgeLSTMError
from edge_lstm.scoring.worker import Failure, Job, Scored, Worker
from edge_lstm.tables.blocks import Block

if TYPE_CHECKING:
    from edge_lstm.classifier import Classifier

# To start a process costs the CPU as much as a block (0.3 s; a block 0.2 to 1 s): each is to have two.
_BLOCKS_A_PROCESS = 2
_AHEAD_BYTES, _AHEAD_BYTES_A_PROCESS = 32 * 2**20, 4 * 2**20

# Parsing and encoding take blocks that grow, and glibc has each that is larger than all before from the
# system, page by page; these limits spare that. NumPy's threads for linear algebra have nothing to do, and
# take as long to start as NumPy itself.
_WORKER_ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(128 * 2**20),
    "OPENBLAS_NUM_THREADS": "1",
}
# A socket is handed on to a worker as fork and exec do it.
CAN_START = hasattr(os, "fork")
# The package is found where the parent has it from.
_START = "import sys; sys.path[:] = {path!r}; from edge_lstm.scoring.worker import serve; serve({socket})"


@dataclass
class _Task:
    """A block under way; scored: None until it is done."""

    block: Block
    scored: Scored | None = None


class Pool:
    """Scores blocks with at most ``workers`` processes (None: as many as there are cores for this one), or in
    this one, with the classifier that ``load`` gives, where that is as soon done or none can be started. Use
    it as a context: its processes end with it.
    """

    def __init__(self, job: Job, workers: int | None, load: Callable[[], Classifier]) -> None:
        self._job = job
        self._workers = workers
        self._load = load
        self._local: Worker | None = None
        self._processes: list[_Process] = []
        self._tasks: deque[_Task] = deque()  # in the order of the input
        self._unsent: deque[_Task] = deque()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def _limit(self) -> int:
        """At most so many processes; fewer as soon as one could not be started."""
        if not sys.executable or not CAN_START:
            return 0
        if self._workers is None:
            from edge_lstm.machine import available_cores

            return available_cores()
        return self._workers

    @property
    def used(self) -> int:
        """How many processes score."""
        return max(1, len(self._processes))

    def run(self, blocks: Iterable[Block]) -> Iterator[tuple[Block, Scored]]:
        """Blocks → the same with what became of them, in order. Raises what reading or a worker raises."""
        held = 0
        for block in blocks:
            task = _Task(block)
            self._tasks.append(task)
            self._unsent.append(task)
            held += block.size
            # A live input that pauses gets all its answers before anything else is read.
            if block.pause or self._workers == 1:
                yield from self._finish()
                held = 0
                continue
            if not self._processes and len(self._tasks) <= _BLOCKS_A_PROCESS:
                continue  # perhaps that was all, and this process does it sooner than another one starts
            if not self._processes and self._limit <= 1:
                yield from self._finish()
                held = 0
                continue
            self._hear(0)
            while self._tasks and (self._tasks[0].scored or self._is_full(held)):
                if not self._processes:  # none could be started
                    yield from self._finish()
                    held = 0
                elif self._tasks[0].scored:
                    held -= self._tasks[0].block.size
                    yield self._next()
                else:
                    self._hear()
        yield from self._finish()
        if not self._processes:
            self._here()  # a model that cannot be loaded is an error, also where there was nothing to score

    def close(self) -> None:
        """Ends the processes at once; what they had under way is lost."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()

    def _finish(self) -> Iterator[tuple[Block, Scored]]:
        """Everything in hand."""
        if not self._processes:
            self._unsent.clear()
            while self._tasks:
                block = self._tasks.popleft().block
                yield block, self._here().score(block)
        while self._tasks:
            if self._tasks[0].scored:
                yield self._next()
            else:
                self._hear()

    def _here(self) -> Worker:
        """The worker of this process."""
        if self._local is None:
            with signals.held():
                import edge_lstm.classifier  # noqa: F401
            self._local = Worker(self._job, self._load())
        return self._local

    def _next(self) -> tuple[Block, Scored]:
        task = self._tasks.popleft()
        assert task.scored is not None
        return task.block, task.scored

    def _is_full(self, held: int) -> bool:
        return len(self._tasks) > _BLOCKS_A_PROCESS * self._limit or (
            held > max(_AHEAD_BYTES, _AHEAD_BYTES_A_PROCESS * self._limit) and len(self._tasks) > 1
        )

    def _hear(self, timeout: float | None = None) -> None:
        """Starts what processes the work needs, gives them blocks and hears what they have to say."""
        with signals.held():
            import subprocess  # noqa: F401 - and what it brings, for _Process
            from multiprocessing.connection import wait

        under_way = sum(task.scored is None for task in self._tasks)
        while len(self._processes) < self._limit and under_way > _BLOCKS_A_PROCESS * len(self._processes):
            try:
                self._processes.append(_Process())
            except OSError:  # no room for one more process: those that are there do it, or this one
                self._limit = len(self._processes)
        self._give()
        by_connection = {process.connection: process for process in self._processes}
        for connection in wait(by_connection, timeout) if by_connection else ():
            by_connection[connection].hear(self._job)  # type: ignore[index]
        self._give()

    def _give(self) -> None:
        while self._unsent:
            most_room = max(self._processes, key=lambda process: process.room, default=None)
            if most_room is None or most_room.room < 1:
                break
            most_room.give(self._unsent.popleft())


class _Process:
    """A worker's process. room: how many blocks it takes now, 0 while it starts."""

    def __init__(self) -> None:
        from multiprocessing.connection import Pipe

        self.connection, theirs = Pipe()
        self.room = 0
        self._tasks: deque[_Task] = deque()
        import subprocess

        code = _START.format(path=sys.path, socket=theirs.fileno())
        try:
            # It never hears what ends the parent: Ctrl-C reaches every process of a terminal, and whoever
            # stops a service asks all of its processes; the parent alone decides.
            with signals.held():
                self._popen = subprocess.Popen(
                    [sys.executable, "-c", code],
                    # What breaks in it is told over the socket; a terminal is the parent's.
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    env={**_WORKER_ENVIRONMENT, **os.environ},
                )
        except BaseException:
            self.connection.close()
            raise
        finally:
            theirs.close()

    def give(self, task: _Task) -> None:
        """Sends a block."""
        self._tasks.append(task)
        self.room -= 1
        self._send(task.block)

    def hear(self, job: Job) -> None:
        """Takes one message: how many blocks fit at once, when it is there; then a result after the other.

        Raises what went wrong in it.
        """
        try:
            message: Any = self.connection.recv()
        except (EOFError, OSError):
            raise self._killed() from None
        if isinstance(message, int):
            self._send(job)
            self.room = message
        elif isinstance(message, Failure):
            raise message.to_raise()
        else:
            self._tasks.popleft().scored = message
            self.room += 1

    def _send(self, message: object) -> None:
        try:
            self.connection.send(message)
        except OSError:
            raise self._last_words() from None

    def kill(self) -> None:
        """Ends the process, whatever it is doing; a stopped one too."""
        self.connection.close()
        self._popen.kill()

    def wait(self) -> None:
        """Returns when the process is gone."""
        self._popen.wait()

    def _last_words(self) -> BaseException:
        """Why a process that takes nothing more has ended."""
        try:
            while self.connection.poll():
                message = self.connection.recv()
                if isinstance(message, Failure):
                    return message.to_raise()
        except (EOFError, OSError):
            pass
        return self._killed()

    def _killed(self) -> EdgeLSTMError:
        self._popen.kill()
        from signal import Signals

        number = -self._popen.wait()
        how = f" ({Signals(number).name})" if number in set(Signals) else ""
        return EdgeLSTMError(
            f"a worker process was killed{how}, perhaps for want of memory; "
            "go on with --resume and fewer --workers, or --low-memory"
        )
