"""What is asked of a training with its files, held against these before PyTorch is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge_lstm.core.questions import QUESTION_NAME
from edge_lstm.errors import DataError
from edge_lstm.system.atomic import check_distinct, check_writable
from edge_lstm_export.options import DataOptions, Plan, TrainingRequest
from edge_lstm_export.train.sources import check_sources, field_options


@dataclass(frozen=True)
class Job:
    """A training with its files.

    sources: one data set, or labelled files.
    output: the checkpoint.
    plan: an edited plan, instead of the one that ``request`` makes.
    resume: go on with an interrupted training; if none was interrupted, start.
    """

    sources: tuple[str, ...]
    output: Path
    data: DataOptions = field(default_factory=DataOptions)
    request: TrainingRequest = field(default_factory=TrainingRequest)
    plan: Plan | None = None
    resume: bool = False

    def beside(self, ending: str) -> Path:
        """Return a file in the checkpoint's folder."""
        return self.output.with_name(f"{self.output.stem}.{ending}")

    @property
    def partial(self) -> Path:
        """Where an unfinished training is kept."""
        return self.output.with_name(f"{self.output.name}.partial")

    @property
    def files(self) -> tuple[Path, ...]:
        """All that is written."""
        return self.output, self.partial, self.beside("history.json")


@dataclass(frozen=True)
class Columns:
    """The columns of labelled files that a training reads, by name; none: they are found.

    labels: each is a question, with a checkpoint of its own.
    confidences: of the labels, in their order.
    texts: columns of text; of several, each is a field.
    fields: further columns, each as NAME or NAME:KIND.
    every_field: all columns but those of labels and groups are fields.
    """

    labels: tuple[str, ...] = ()
    confidences: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    every_field: bool = False

    @property
    def is_several(self) -> bool:
        """Whether there are several questions."""
        return len(self.labels) > 1


NO_COLUMNS = Columns()


def jobs_of(
    asked: Job, columns: Columns = NO_COLUMNS, in_use: Path | None = None, *, is_dry: bool = False
) -> list[Job]:
    """Return the training of each question, once its files can be read and written.

    asked: of several questions, its output is the folder of their checkpoints.
    in_use: a model file whose place the new one may take, see turn.run_turn.
    is_dry: nothing will be written.

    Raise DataError, OutputError, MissingPackageError.
    """
    labels: Sequence[str | None] = columns.labels or [None]
    confidences: Sequence[str | None] = columns.confidences or [None] * len(labels)
    if len(confidences) != len(labels):
        raise DataError(
            f"{len(labels)} label columns need as many confidence columns, not "
            f"{len(confidences)}; give --confidence-column once for each, in their order"
        )
    data = asked.data
    by_hand = data.test is not None or data.group_column is not None
    if in_use is not None and (columns.is_several or by_hand):
        raise DataError(
            "--replace is for one question, and holds out test texts by their digests; leave "
            "--test and --group-column out, and name one --label-column"
        )
    outputs = [asked.output]
    if columns.is_several:
        if asked.plan is not None or data.indicator_columns:
            raise DataError("--plan and --indicator-columns are for one question; name one column")
        outputs = question_files(asked.output, columns.labels)
    reading = replace(
        data,
        seed=asked.request.seed if asked.plan is None else asked.plan.seed,
        label_column=labels[0],
        confidence_column=confidences[0],
        left_out=(*columns.labels, *columns.confidences),
        skip_unlabelled=columns.is_several or in_use is not None,
        by_digest=in_use is not None,
    )
    reading = field_options(
        asked.sources[0], reading, columns.texts, columns.fields, every=columns.every_field
    )
    readings = [
        replace(reading, label_column=label, confidence_column=confidence)
        for label, confidence in zip(labels, confidences)
    ]
    request = asked.request
    read = [*asked.sources, data.test, data.unlabelled, request.teacher, request.start]
    written = [path for path in (*([] if is_dry else outputs), in_use) if path is not None]
    for path in written:
        check_writable(path, parents=True)
    check_distinct(written, [name for name in read if name is not None])
    for each in readings:
        check_sources(asked.sources, each)
    return [replace(asked, output=output, data=each) for output, each in zip(outputs, readings)]


def question_files(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return the checkpoint of each question in a folder.

    Raises DataError if a name cannot be one of a question, or is given twice.
    """
    for name in names:
        if QUESTION_NAME.fullmatch(name) is None:
            raise DataError(f"the column {name!r} cannot name a question; train it by itself")
        if names.count(name) > 1:
            raise DataError(f"the column {name} is named twice; name each once")
    return [folder / f"{name}.safetensors" for name in names]
