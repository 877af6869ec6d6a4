"""A training with its files: read the sources, plan, train, write the checkpoint and its history.

``edge-lstm train`` and :func:`edge_lstm_export.train` are both this module.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from edge_lstm.atomic import check_distinct, check_writable, remove_leftovers
from edge_lstm.errors import DataError
from edge_lstm_export.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edge_lstm_export.train.corpus import Corpus
from edge_lstm_export.train.data import Dataset
from edge_lstm_export.train.history import draw_history, write_history
from edge_lstm_export.train.label_issues import label_issues, write_label_issues
from edge_lstm_export.train.lock import only_run
from edge_lstm_export.train.loop import Progress
from edge_lstm_export.train.network import Network
from edge_lstm_export.train.options import DataOptions
from edge_lstm_export.train.plan import (
    CLASSIFIER,
    LEAST_ENGLISH,
    NO_TEACHER,
    SENTIMENT,
    Asked,
    Facts,
    Plan,
    facts_of,
    make_plan,
)
from edge_lstm_export.train.sources.read import read_dataset, read_texts
from edge_lstm_export.train.teachers.load import Teachers, sentiment_improves
from edge_lstm_export.train.train import SILENT, Listener, Result, fit
from edge_lstm_export.train.unlabelled import choose_unlabelled

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Job:
    """What to train from what, and where it goes.

    sources: one data set, or labelled files. output: the checkpoint. unlabelled: a source of texts for the
    teachers to label. plan: an edited plan in the place of the one that ``asked`` makes. teacher_labels: a
    classifier's label → the data's. suspects: where the texts whose label looks wrong are listed. resume:
    go on with an interrupted training.
    """

    sources: tuple[str, ...]
    output: Path
    data: DataOptions = field(default_factory=DataOptions)
    asked: Asked = field(default_factory=Asked)
    plan: Plan | None = None
    unlabelled: str | None = None
    teacher_labels: Mapping[str, str] = field(default_factory=dict)
    suspects: Path | None = None
    resume: bool = False

    def beside(self, ending: str) -> Path:
        """A file beside the checkpoint."""
        return self.output.with_name(f"{self.output.stem}.{ending}")

    @property
    def partial(self) -> Path:
        """Where an unfinished training is kept."""
        return self.output.with_name(f"{self.output.name}.partial")

    @property
    def files(self) -> tuple[Path, ...]:
        """All that is written."""
        suspects = () if self.suspects is None else (self.suspects,)
        history = (self.beside("history.json"), self.beside("history.png"))
        return (self.output, self.partial, *history, *suspects)


@dataclass(frozen=True)
class Inputs:
    """The data of a job, read, and its plan."""

    dataset: Dataset
    facts: Facts
    plan: Plan
    unlabelled: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What a resumed training must have in common with its beginning, by names that a person knows."""
        digest = hashlib.sha256()
        for text in (*self.dataset.train.texts, *self.unlabelled):
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        plain = {"data": self.dataset.digest, "texts": digest.hexdigest(), **self.plan.to_dict()}
        return json.loads(json.dumps(plain))  # type: ignore[no-any-return] # as it comes back from a file


@dataclass(frozen=True)
class Report:
    """A result and what it was made from."""

    result: Result
    inputs: Inputs


def plan_job(job: Job, say: Callable[[str], None] = lambda line: None) -> Inputs:
    """Read the data and make the plan; nothing is written but ``job.suspects``. Raises DataError,
    MissingPackageError."""
    asked = with_kind(job.asked)
    if job.plan is not None:
        of_plan = [name.partition(" ")[2] for name in job.plan.teachers if name.startswith(f"{CLASSIFIER} ")]
        asked = replace(asked, teacher=of_plan[0] if of_plan else None, classifier=bool(of_plan))
    if job.teacher_labels and not asked.classifier:
        raise DataError("--teacher-labels are those of a classifier; add --teacher FOLDER")
    dataset = _read(job, asked, say)
    if job.suspects is not None:  # the validation texts too, not the test split
        long = facts_of(dataset).kind == "long"
        split, several = dataset.train, dataset.several
        issues = label_issues(split, dataset.labels, several=several, long=long, seed=job.data.seed)
        write_label_issues(issues, job.suspects)
    unlabelled: tuple[str, ...] = ()
    remarks: list[str] = []
    if job.unlabelled is not None:
        left_out = {*dataset.train.texts, *(dataset.test.texts if dataset.test else ())}
        log = read_texts(job.unlabelled, job.data)
        unlabelled, remarks = choose_unlabelled(log, left_out, job.data.seed, job.unlabelled)
    facts = facts_of(dataset, len(unlabelled))
    if job.plan is None:
        facts = with_knowledge(facts, dataset, asked)
    else:
        check_fits(job.plan, dataset)
    return Inputs(dataset, facts, job.plan or make_plan(facts, asked), unlabelled, tuple(remarks))


def run_job(
    job: Job, listener: Listener = SILENT, planned: Callable[[Inputs], None] = lambda _: None
) -> Report:
    """Train, and write the checkpoint, its history and what else is asked for.

    Before the first epoch, after every one and where it is stopped, the state is kept in ``job.partial``,
    from which ``resume`` goes on; the file is removed when the training is complete. An earlier checkpoint
    under the same name stays until there is a new one. planned: told the plan before it runs. Raises
    DataError, OutputError, MissingPackageError and KeyboardInterrupt.
    """
    check_job(job)
    job.output.parent.mkdir(parents=True, exist_ok=True)
    with only_run(job.output), quiet_thread():
        unfinished = _unfinished(job)
        for path in job.files:
            remove_leftovers(path)
        inputs = plan_job(job, listener.say)
        planned(inputs)
        dataset, plan = inputs.dataset, inputs.plan
        keeper = Keeper(job.partial, dataset.labels, plan, inputs.identity, listener)
        teachers = Teachers(plan, dataset.labels, listener.say, cache=job.output, names=job.teacher_labels)
        result = fit(
            dataset,
            plan,
            unlabelled=inputs.unlabelled,
            teachers=teachers,
            listener=keeper.listener,
            resume=keeper.progress(unfinished) if unfinished else None,
        )
        save_checkpoint(result.checkpoint, job.output)
        history, title = result.loop.history, f"{job.output.name}: {dataset.name}"
        write_history(history, job.beside("history.json"), training=result.checkpoint.training)
        draw_history(history, job.beside("history.png"), title)
        job.partial.unlink(missing_ok=True)
        teachers.forget()
    return Report(result, inputs)


class Keeper:
    """Keeps the state of an unfinished training in a file.

    identity: what a resumed training must have in common with its beginning, by names that a person knows;
    plain values, as they come back from JSON. listener: what keeps the state, and tells the given one.
    """

    def __init__(
        self, path: Path, labels: tuple[str, ...], plan: Plan, identity: Mapping[str, Any], listener: Listener
    ) -> None:
        self.path, self.labels, self.plan, self.identity = path, labels, plan, identity
        self._started = listener.started
        self.listener = Listener(listener.say, self._start, replace(listener.callbacks, keep=self._keep))

    def _start(self, corpus: Corpus, network: Network) -> None:
        self._tokenizer, self._network = corpus.vocabulary.tokenizer, network
        self._started(corpus, network)

    def _keep(self, progress: Progress) -> None:
        plain, plan = {"identity": self.identity, "progress": progress.plain}, self.plan.to_dict()
        state = Checkpoint(self._network, self._tokenizer, self.labels, plain, plan, state=progress.tensors)
        save_checkpoint(state, self.path)

    def progress(self, state: Checkpoint) -> Progress:
        """What was kept. Raises DataError where it is of another training."""
        earlier = state.training["identity"]
        for name, value in self.identity.items():
            if earlier.get(name) != value:
                raise DataError(
                    f"{self.path} was begun with another {name} ({earlier.get(name)!r:.60}, now "
                    f"{value!r:.60}); resume with the same options and data, or start without --resume"
                )
        return Progress(state.training["progress"], dict(state.state))


@contextmanager
def quiet_thread() -> Iterator[None]:
    """One thread: two share too little work per time step of a small LSTM, they wait for each other. And no
    warnings of linear models that are ended where more steps label no better."""
    from sklearn.exceptions import ConvergenceWarning

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            yield
    finally:
        torch.set_num_threads(before)


# --- What can be known to fail is refused before the work ---------------------------------------------------


def check_job(job: Job) -> None:
    """DataError, OutputError, MissingPackageError."""
    if job.output.suffix != ".safetensors":
        raise DataError(f"{job.output} must end in .safetensors; give -o model.safetensors")
    if job.unlabelled is not None and job.asked.teacher == NO_TEACHER:
        raise DataError("--teacher none labels no text; leave it out, or leave out --unlabelled")
    for path in job.files:
        check_writable(path, parents=path != job.suspects)
    read: list[str | Path] = [*job.sources]
    read += [path for path in (job.data.test, job.unlabelled) if path is not None]
    check_distinct(job.files, read)
    if job.plan is None:
        make_plan(Facts(FEWEST_FACTS, 2), replace(job.asked, teacher=None))


FEWEST_FACTS = 100  # rows of facts that stand in for those that are not read yet


def _unfinished(job: Job) -> Checkpoint | None:
    """The state to go on from, if that is asked for. Called by the one run that holds the lock.

    Raises DataError where an unfinished training is in the way, is missing, or the file is damaged.
    """
    if job.partial.exists() and not job.resume:
        raise DataError(
            f"{job.partial} holds an unfinished training; add --resume to continue it, "
            "or delete that file to start anew"
        )
    if not job.resume:
        return None
    if not job.partial.exists():
        raise DataError(f"no unfinished training at {job.partial}; start without --resume")
    partial = load_checkpoint(job.partial)
    if not all(isinstance(partial.training.get(name), dict) for name in ("identity", "progress")):
        raise DataError(f"{job.partial} holds no unfinished training; start without --resume")
    return partial


# --- From options to facts ----------------------------------------------------------------------------------


def _read(job: Job, asked: Asked, say: Callable[[str], None]) -> Dataset:
    """The data set; a classifier labels sources that have no labels, and must know the labels of others."""
    if not asked.classifier:
        return read_dataset(job.sources, job.data, None)
    from edge_lstm_export.train.teachers.classifier import ClassifierTeacher, label_texts

    source = str(asked.teacher)

    def label(texts: Sequence[str]) -> tuple[tuple[str, ...], Bools]:
        labels, indices = label_texts(source, job.teacher_labels, say, texts)
        return labels, np.eye(len(labels), dtype=np.bool_)[indices]

    dataset = read_dataset(job.sources, job.data, label)
    if dataset.several:
        raise DataError(f"the teacher {source} knows one label per text; give an encoder")
    ClassifierTeacher(source, dataset.labels, job.teacher_labels, say=say)
    return dataset


def with_kind(asked: Asked) -> Asked:
    """What was asked, with whether its teacher is a classifier. Raises DataError where it is no teacher, and
    MissingPackageError."""
    if asked.teacher is None or asked.teacher in (NO_TEACHER, SENTIMENT):
        return asked
    from edge_lstm_export.train.teachers.transformer import check_source, classifier_labels

    check_source(asked.teacher)
    return replace(asked, classifier=classifier_labels(asked.teacher) is not None)


def with_knowledge(facts: Facts, dataset: Dataset, asked: Asked) -> Facts:
    """The facts with what pretrained models know of the texts."""
    if facts.kind in ("long", "unsegmented") or facts.several or asked.preset == "seed":
        return facts
    from edge_lstm_export.train.pretrained import english

    facts = replace(facts, english=english().share_of(dataset.train.texts))
    if asked.teacher == NO_TEACHER:
        return facts
    words = english() if facts.english >= LEAST_ENGLISH else None
    return replace(facts, sentiment=sentiment_improves(dataset, asked.seed, words))


def check_fits(plan: Plan, dataset: Dataset) -> None:
    """DataError where an edited plan is for other labels."""
    network = plan.network
    if network.labels != len(dataset.labels) or network.several != dataset.several:
        kind = "several labels" if dataset.several else "one label"
        raise DataError(
            f"the plan is for {network.labels} labels, the data have {len(dataset.labels)}, {kind} per text; "
            "make a plan for these data with --dry-run"
        )
