"""Blocks in → scored blocks out, in order, on as many processes as asked for.

The parent splits the input and writes the output; workers do everything between (parse, tokenize,
classify, encode). What is under way is bounded in blocks and in bytes, so memory does not grow with the
input.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from edge_lstm.errors import EdgeLSTMError
from edge_lstm.scoring import job as process
from edge_lstm.scoring.job import Job, Scored
from edge_lstm.tables.blocks import Block

if TYPE_CHECKING:
    from edge_lstm.classifier import Classifier

_AHEAD_BYTES = 32 * 2**20


# Parsing and encoding take blocks that grow, and glibc has each that is larger than all before from the
# system, page by page; these limits spare that. NumPy's threads for linear algebra have nothing to do, and
# take as long to start as NumPy itself.
_WORKER_ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(128 * 2**20),
    "OPENBLAS_NUM_THREADS": "1",
}


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Variables that processes started meanwhile get, where they are not set already."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def available_workers() -> int:
    """Cores this process may use: its affinity, and the CPU quota of its control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_quota()
    return max(1, min(cores, int(quota))) if quota is not None else cores


def _cgroup_quota(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float | None:
    """CPUs that the control groups of this process grant it, None for no limit (versions 2 and 1)."""
    limits = []
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, files = root, ["cpu.max"]
        elif "cpu" in controllers.split(","):
            top, files = root / "cpu", ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        folder = top / path.lstrip("/")
        # A limit of any group above holds too; inside a container the path may not exist: then the top.
        for level in [folder, *folder.parents]:
            if not level.is_relative_to(top):
                break
            try:
                words = " ".join((level / name).read_text().strip() for name in files).split()
                quota, period = float(words[0]), float(words[1])
            except (OSError, ValueError, IndexError):
                continue
            if quota > 0 and period > 0:
                limits.append(quota / period)
    return min(limits, default=None)


class Runner:
    """Scores blocks with ``workers`` processes (1: in this one, with ``classifier`` if one is loaded).

    The processes begin to load the model at once, while the caller has other things to prepare.
    """

    def __init__(self, job: Job, workers: int, classifier: Classifier | None = None) -> None:
        self._job = job
        self._workers = workers
        self._classifier = classifier
        self._pool: ProcessPoolExecutor | None = None
        if workers > 1:
            # Fresh processes ("spawn"): a fork of a process with threads may hang.
            context = get_context("spawn")
            # The job holds the model. As an argument it would fill the pipe to a new process, and the next
            # one be started only when that reads: the queue has a thread for it.
            self._jobs = context.Queue()
            self._pool = ProcessPoolExecutor(workers, context, process.start, (self._jobs,))
            with _environment(_WORKER_ENVIRONMENT):
                for _ in range(workers):
                    self._pool.submit(process.be_ready)  # the pool starts a process with each task
                    self._jobs.put(job)

    def run(self, blocks: Iterable[Block]) -> Iterator[tuple[Block, Scored]]:
        """Blocks → the same with what became of them, in order. Raises what reading or a worker raises."""
        if self._pool is None:
            from edge_lstm.scoring.worker import Worker

            one = Worker(self._job, self._classifier)
            for block in blocks:
                yield block, one.score(block)
            return
        pending: deque[tuple[Block, Future[Scored]]] = deque()
        held = 0
        try:
            for block in blocks:
                pending.append((block, self._pool.submit(process.score_block, block)))
                held += block.size
                # A live input that pauses gets all its answers before anything else is read.
                while pending and (
                    block.pause
                    or len(pending) > 2 * self._workers
                    or (held > _AHEAD_BYTES and len(pending) > 1)
                    or pending[0][1].done()
                ):
                    done, future = pending.popleft()
                    held -= done.size
                    yield done, future.result()
            while pending:
                done, future = pending.popleft()
                yield done, future.result()
        except BrokenProcessPool:
            raise EdgeLSTMError(
                "a worker process was killed, perhaps for want of memory; "
                "go on with --resume and fewer --workers, or --low-memory"
            ) from None

    def close(self) -> None:
        """Ends the processes; what was not begun is not done."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._jobs.close()
            self._jobs.cancel_join_thread()  # a process that was killed never takes its own
