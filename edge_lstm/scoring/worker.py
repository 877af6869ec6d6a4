"""A block → the bytes of its rows: what each worker does, in a process of its own or in the caller's.

Nothing here imports ONNX Runtime until a worker is made: the parent only reads and writes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_lstm.errors import EdgeLSTMError
from edge_lstm.scoring.answers import Counts
from edge_lstm.scoring.columns import Plan
from edge_lstm.tables.blocks import Block
from edge_lstm.tables.compression import Compression, compress
from edge_lstm.tables.formats import FORMATS

if TYPE_CHECKING:
    from edge_lstm.classifier import Classifier
    from edge_lstm.modelfile import ModelFile


@dataclass(frozen=True, kw_only=True)
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

    def load(self, model: ModelFile) -> Classifier:
        """The classifier of an opened model file. Raises ModelFileError or ProviderError."""
        from edge_lstm.classifier import Classifier

        return Classifier.from_model(model, provider=self.provider, arena=self.arena)


@dataclass(frozen=True)
class Scored:
    """A block, done. data: the bytes to write, compressed by themselves where the output is compressed."""

    data: bytes
    counts: Counts


@dataclass(frozen=True)
class Failure:
    """Why a worker's process could not go on. trace: where, for a person who looks for a fault of ours."""

    error: BaseException
    trace: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """What is being handled, in a form that another process can read."""
        if type(error).__module__ not in ("builtins", EdgeLSTMError.__module__):
            error = RuntimeError(f"{type(error).__name__}: {error}")
        import traceback

        return cls(error, traceback.format_exc())

    def to_raise(self) -> BaseException:
        """The error for the parent."""
        if not isinstance(self.error, EdgeLSTMError):
            self.error.__cause__ = RuntimeError(f"in a worker process:\n{self.trace}")
        return self.error


class Worker:
    """A loaded classifier and the plan."""

    def __init__(self, job: Job, classifier: Classifier) -> None:
        from edge_lstm.scoring.answers import Answerer

        plan = job.plan
        self._compression = job.compression
        self._answerer = Answerer(classifier, plan.options, job.batch_size)
        writing, columns = FORMATS[plan.format], plan.schema.columns
        self._read = FORMATS[plan.schema.format].reader(
            plan.schema,
            forbidden=frozenset(plan.added),
            # Where columns are fixed, a row with another key would lose it.
            known=frozenset(columns) if writing.has_fixed_columns and plan.output.kept is None else None,
        )
        self._writer = writing.writer(plan.output)

    def score(self, block: Block) -> Scored:
        """Classifies the rows of a block and encodes them."""
        from edge_lstm.scoring.answers import Answer

        answerer = self._answerer
        rows = self._read(block.content)
        answers = answerer.answers(rows.texts)

        def refuse(index: int, reason: str) -> Sequence[Any] | None:
            answers[index] = Answer(None, None, None, "error", reason)
            return answerer.added(answers[index])

        data = self._writer.write(rows, list(map(answerer.added, answers)), refuse)
        written = sum(map(answerer.is_written, answers))
        return Scored(compress(data, self._compression) if data else b"", answerer.count(answers, written))


def serve(socket: int) -> None:
    """The life of a worker's process: a Job comes over the socket, then blocks; a Scored goes back for each.

    It first says how many blocks it takes at once. With a thread that receives they are two, so that it never
    waits for the parent; and that thread notices at once when the parent is gone. Where no thread can be had
    it is one: were there two, both ends could wait for the other to read.
    """
    import threading
    from multiprocessing.connection import Connection
    from queue import SimpleQueue

    parent = Connection(socket)
    inbox: SimpleQueue[Any] = SimpleQueue()
    take: Callable[[], Any] = inbox.get

    def receive() -> None:
        while True:
            try:
                inbox.put(parent.recv())
            except (EOFError, OSError):
                os._exit(1)
            except BaseException as error:
                inbox.put(error)

    try:
        room = 2
        try:
            threading.Thread(target=receive, daemon=True).start()
        except RuntimeError:
            room, take = 1, parent.recv
        parent.send(room)
        job: Job = _checked(take())
        from edge_lstm.modelfile import parse_model

        worker = Worker(job, job.load(parse_model(job.model, job.path)))
        while True:
            parent.send(worker.score(_checked(take())))
    except BaseException as error:
        # Whatever it is, the parent tells it; were it printed here, it would be told once for each worker.
        try:
            parent.send(Failure.of(error))
        except BaseException:
            pass
        os._exit(1)


def _checked(message: Any) -> Any:
    if isinstance(message, BaseException):
        raise message
    return message
