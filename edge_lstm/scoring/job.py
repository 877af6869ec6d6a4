"""What a worker is given and gives back, and the two functions that its process runs.

Nothing here imports ONNX Runtime until a worker starts: the parent only reads and writes.
"""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_lstm.scoring.counts import Counts
from edge_lstm.scoring.plan import Plan
from edge_lstm.tables.blocks import Block
from edge_lstm.tables.compression import Compression

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

    from edge_lstm.scoring.worker import Worker


@dataclass(frozen=True)
class Job:
    """All that a worker needs to begin. model: the bytes of the model file, so that every worker runs the
    same one even if the file changes meanwhile; path: what errors call it. arena: see Classifier.load.
    """

    model: bytes
    path: Path
    provider: str
    batch_size: int | None
    plan: Plan
    compression: Compression | None
    arena: bool = True


@dataclass(frozen=True)
class Scored:
    """A block, done. data: the bytes to write, compressed by themselves where the output is compressed."""

    data: bytes
    counts: Counts


_worker: Worker | None = None


def start(jobs: Queue[Job]) -> None:
    """Prepares this process to score blocks (the initializer of a pool). ``jobs`` holds one for each."""
    global _worker
    # Ctrl-C reaches every process of a terminal; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    from edge_lstm.scoring.worker import Worker

    _worker = Worker(jobs.get())


def be_ready() -> None:
    """A task that makes a pool start a process."""


def score_block(block: Block) -> Scored:
    """Scores one block in a process that :func:`start` prepared."""
    assert _worker is not None
    return _worker.score(block)


def _die_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    from multiprocessing import connection, parent_process

    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
