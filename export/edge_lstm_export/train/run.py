"""A training with its files: read the sources, plan, train, write the checkpoint and its history.

``edge-lstm train`` and :func:`edge_lstm_export.train_files` are both this module.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any

import torch

from edge_lstm import __version__
from edge_lstm.errors import DataError, OutputError
from edge_lstm.printable import listed
from edge_lstm.system.atomic import check_distinct, check_writable, write_error
from edge_lstm.system.os_file import NO_FOLLOW, leads_to, lock
from edge_lstm_export.checkpoint import Stages, load_stages, save_checkpoint
from edge_lstm_export.digests import labelled_digest
from edge_lstm_export.options import NO_TEACHER, Plan, TrainingRequest
from edge_lstm_export.train.fit import Fitted, fit, quiet_thread
from edge_lstm_export.train.job import NO_COLUMNS, Columns, Job, jobs_of
from edge_lstm_export.train.lstm import SILENT, Callbacks, write_history
from edge_lstm_export.train.plan import MOST_UNLABELLED, Decided, plan_training
from edge_lstm_export.train.sources import Dataset, read_dataset, scale_notes


@dataclass(frozen=True)
class Inputs:
    """The data of a job, read, and its plan.

    remarks: for a person, a line each.
    """

    dataset: Dataset
    decided: Decided
    remarks: tuple[str, ...] = ()

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.decided.plan

    @cached_property
    def identity(self) -> dict[str, Any]:
        """The common part of a resumed training and its beginning, by names that a person knows."""
        texts = (*self.dataset.train.texts, *self.dataset.unlabelled)
        plain = {
            "data": self.dataset.digest,
            "texts": labelled_digest(texts, repeat(())),
            "targets": hashlib.sha256(self.dataset.train.targets.tobytes()).hexdigest(),
            **self.plan.to_dict(),
            "version": __version__,
            "PyTorch": torch.__version__,
        }
        # As it comes back from a file.
        return json.loads(json.dumps(plain))  # type: ignore[no-any-return]


def plan_job(job: Job) -> Inputs:
    """Read the data and make the plan; nothing is written.

    Raise DataError, MissingPackageError.
    """
    most = MOST_UNLABELLED if job.plan is None else job.plan.unlabelled
    dataset = read_dataset(job.sources, job.data, most)
    decided = plan_training(dataset, job.request, job.plan)
    remarks = dataset.notes
    if job.plan is None and job.request.question is None:
        remarks += tuple(scale_notes(dataset))
    return Inputs(dataset, decided, remarks)


def run_job(
    job: Job, callbacks: Callbacks = SILENT, planned: Callable[[Inputs], None] = lambda _: None
) -> Fitted:
    """Train, and write the checkpoint, its history and what else is asked for.

    What is done is kept in ``job.partial``, from which ``resume`` goes on: the teachers'
    predictions, every fold of a cross-validation, and the state of the training loop before the
    first epoch, after every one and if it is stopped. The file is removed when the training is
    complete. An earlier checkpoint under the same name stays until there is a new one.

    planned: told the plan before it runs.

    Raise DataError, OutputError, MissingPackageError and KeyboardInterrupt.
    """
    check_job(job)
    job.output.parent.mkdir(parents=True, exist_ok=True)
    with only_run(job.output), quiet_thread():
        stages = _stages(job, callbacks.say)
        inputs = plan_job(job)
        stages.check(inputs.identity)
        planned(inputs)
        result = fit(inputs.dataset, inputs.plan, callbacks=callbacks, stages=stages)
        save_checkpoint(result.checkpoint, job.output)
        write_history(
            result.loop.history,
            job.beside("history.json"),
            training=result.checkpoint.training,
            linear_model=result.linear_model,
        )
        job.partial.unlink(missing_ok=True)
    return result


@contextmanager
def only_run(output: Path) -> Iterator[None]:
    """Lock ``.NAME.lock`` in the output's folder within the block.

    The kernel ends the lock with the process, so an empty file that is left behind locks nobody
    out.

    Raise OutputError if another process has the lock, or the file cannot be made. File systems
    without locks go without.
    """
    path = output.with_name(f".{output.name}.lock")
    try:
        while (handle := _lock(path)) is None:
            pass
    except BlockingIOError:
        raise OutputError(
            f"another training is writing {output}; wait for it, or choose another -o"
        ) from None
    except OSError as error:
        raise write_error(path, error) from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _lock(path: Path) -> int | None:
    """Return the locked file.

    None if the run that had the lock has removed its name meanwhile, so that it locks nothing.

    Raise BlockingIOError, OSError.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | NO_FOLLOW, 0o666)
    try:
        lock(handle)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            os.close(handle)
            raise
    if leads_to(path, handle):
        return handle
    os.close(handle)
    return None


# --- What can be known to fail is refused before the work -----------------------------------------


def check_job(job: Job) -> None:
    """DataError, OutputError, MissingPackageError."""
    if job.output.suffix != ".safetensors":
        raise DataError(f"{job.output} must end in .safetensors; give -o model.safetensors")
    if job.data.unlabelled is not None and job.request.teacher == NO_TEACHER:
        raise DataError("--teacher none labels no text; leave it out, or leave out --unlabelled")
    for path in job.files:
        check_writable(path, parents=True)
    inputs = (*job.sources, job.data.test, job.data.unlabelled)
    check_distinct(job.files, [path for path in inputs if path is not None])


def check_unfinished(job: Job) -> None:
    """Check an unfinished training of a job, if there is one.

    Raise DataError if it would be destroyed or its file is damaged, OutputError if it still runs.
    """
    if job.partial.exists():
        with only_run(job.output):
            _stages(job, lambda line: None)


def _stages(job: Job, say: Callable[[str], None]) -> Stages:
    """Return the stages that an unfinished training has left, if it is to be resumed.

    Called by the one run that holds the lock.

    Raise DataError if an unfinished training would be destroyed, or its file is damaged.
    """
    if job.partial.exists():
        if job.resume:
            return load_stages(job.partial)
        # The log of the next turn is another one. Nobody may be there to delete the file.
        if not job.data.by_digest:
            raise DataError(
                f"{job.output} has an unfinished training; continue with --resume, "
                f"or delete {job.partial} to start again"
            )
        say("an earlier turn was not finished, training from the start")
    elif job.resume:
        say("nothing to resume, training from the start")
    return Stages(job.partial)


def jobs_to_do(jobs: Sequence[Job], say: Callable[[str], None]) -> list[Job]:
    """Return the trainings of several questions that are not complete; to start again, all.

    say: told which checkpoints stay or are replaced.

    Raise the errors of :func:`check_job` and :func:`check_unfinished`, of all before the first
    begins.
    """
    for job in jobs:
        check_job(job)
        check_unfinished(job)
    complete = [job for job in jobs if job.output.exists() and not job.partial.exists()]
    if complete:
        names = listed([str(job.output) for job in complete])
        resume = jobs[0].resume
        say(f"{'keeps' if resume else 'replaces'} {names}, of an earlier run")
        if resume:
            return [job for job in jobs if job not in complete]
    return list(jobs)


def train_files(
    sources: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    columns: Columns = NO_COLUMNS,
    request: TrainingRequest | None = None,
    callback: Callable[[str], None] | None = None,
    **job: Any,
) -> Fitted:
    """Train from files to a checkpoint and its history, as ``edge-lstm train`` does.

    sources: one data set, or labelled files.
    output: FILE.safetensors.
    columns: to read of the files; one of labels.
    request: preset, teacher, epochs …
    callback: called with a line for each stage.
    job: more fields of :class:`Job`: data, plan, resume.

    Raise the errors of :func:`run_job`.
    """
    if columns.is_several:
        raise DataError("several label columns are several questions; use train_questions")
    asked = _asked(sources, output, request, job)
    if columns != NO_COLUMNS:
        (asked,) = jobs_of(asked, columns)
    return run_job(asked, _saying(callback))


def train_questions(
    sources: str | Path | Sequence[str | Path],
    folder: str | Path,
    columns: Columns,
    *,
    request: TrainingRequest | None = None,
    callback: Callable[[str], None] | None = None,
    **job: Any,
) -> dict[str, Fitted]:
    """Train a checkpoint for each of several label columns, as ``edge-lstm train`` does.

    A row without an answer is left out of that question.

    folder: of the checkpoints, NAME.safetensors.
    columns: its labels are the questions.

    The others are as in :func:`train_files`. With ``resume``, complete checkpoints stay.

    Return what was trained, by the question's name. Raise the errors of :func:`run_job`, of files
    and columns before the first training begins.
    """
    if not columns.is_several:
        raise DataError("one label column is one question; use train_files")
    jobs = jobs_of(_asked(sources, folder, request, job), columns)
    callbacks = _saying(callback)
    return {job.output.stem: run_job(job, callbacks) for job in jobs_to_do(jobs, callbacks.say)}


def _asked(
    sources: str | Path | Sequence[str | Path],
    output: str | Path,
    request: TrainingRequest | None,
    job: dict[str, Any],
) -> Job:
    paths = [sources] if isinstance(sources, (str, Path)) else sources
    return Job(tuple(map(str, paths)), Path(output), request=request or TrainingRequest(), **job)


def _saying(callback: Callable[[str], None] | None) -> Callbacks:
    return Callbacks(say=callback) if callback else SILENT
