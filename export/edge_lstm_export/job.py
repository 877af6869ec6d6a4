"""What to train from what, where it goes, and whether all of that goes together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from edge_lstm.answering import check_abstain
from edge_lstm.atomic import check_distinct, check_writable
from edge_lstm.errors import DataError
from edge_lstm.modelfile import open_model
from edge_lstm_export.budget import AUTO, BY_ACCURACY, Budget
from edge_lstm_export.datasets import DataOptions, Dataset
from edge_lstm_export.distillation import EMBEDDED, NB_SVM, SPANS, ByTeacher, Distillation
from edge_lstm_export.fit import VocabularyOptions, check_validation_share
from edge_lstm_export.network import NetworkConfig
from edge_lstm_export.presets import (
    NO_TEACHER,
    WORD_BYTES,
    Preset,
    TrainingOptions,
    fitted_to_size,
    preset,
    short_form,
)
from edge_lstm_export.teacher import check_kept
from edge_lstm_export.thresholds import check_precision

PAIRS, NGRAMS = "pairs", "ngrams"
FEATURES = (AUTO, PAIRS, NGRAMS)
MOST_MADE = 1000  # texts of each row
MOST_THREADS = 1024  # OpenMP ends the process where it cannot have as many as it is asked for


@dataclass(frozen=True)
class TrainingJob:
    """What to train from what, and where it goes.

    preset: one of presets.PRESETS, or "auto": the most accurate one within the budget, on this machine.
    network, vocabulary, options: what differs from the preset's, by the names of NetworkConfig,
        VocabularyOptions and TrainingOptions.
    Epochs, batch size and patience follow the size of the data unless they are given.
    teacher, unlabelled, soft_labels, own_labels, teacher_models, teacher_labels, spans, around,
        teacher_windows, teacher_steps, teacher_layers, teacher_span, earlier_labels, negate: see
        distillation.Distillation; around: with commas between the words. None is
        the preset's; without a teacher ("none") the network learns from the training texts' own labels.
    begin: a checkpoint to go on from, whose vocabulary and network are kept; replay: the file of the rows
        that it was trained on, where it keeps none. See going_on.py.
    keep_rows: the checkpoint keeps the training's texts, for a training that goes on from it (kept.py); None:
        where it goes on from one that does.
    curve: afterwards the accuracy over the number of rows is measured (more_rows.py).
    suspects: where the texts whose label looks wrong are listed; None lists none, but they are counted.
    precision: what each label's threshold is to reach, where a text may have several labels; None: the best
        F1 (thresholds.choose_thresholds).
    labels, several, wordy, word_bytes: what the texts decide, see presets.short_form.
    abstain: the share of wrong answers that the model keeps to by leaving out those it is unsure of; see fit.
    features: "pairs" (a table of words and pairs, a column a logit), "ngrams" (words, pieces of words and
        vectors of n-grams, presets.Short), or "auto": what suits the texts, see :func:`suits_ngrams`.
    threads: one, since two share too little work a time step: on a machine with other work, 20 steps of 64
        reviews took 2.6 s with one thread and 6.6 to 24 s with two that wait for each other.
    """

    source: str
    output: Path
    preset: str = "small"
    budget: Budget = field(default_factory=Budget)
    data: DataOptions = field(default_factory=DataOptions)
    vocabulary: Mapping[str, Any] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    teacher: str | None = None
    unlabelled: str | None = None
    soft_labels: Path | None = None
    own_labels: float | None = None
    made_texts: int | None = None
    teacher_models: tuple[Path, ...] = ()
    teacher_labels: Mapping[str, str] = field(default_factory=dict)
    spans: int | None = None
    around: str | None = None
    teacher_windows: int | None = None
    teacher_steps: int | None = None
    teacher_layers: int | None = None
    teacher_span: int | None = None
    earlier_labels: Path | None = None
    negate: bool = False
    validation_share: float | None = None
    read_test: bool = True
    begin: Path | None = None
    replay: Path | None = None
    keep_rows: bool | None = None
    curve: bool = False
    suspects: Path | None = None
    threads: int = 1
    device: str = "cpu"
    resume: bool = False
    features: str = "auto"
    precision: float | None = None
    abstain: float | None = None
    labels: int = 2
    several: bool = False
    wordy: bool = False
    word_bytes: float = WORD_BYTES

    @property
    def partial(self) -> Path:
        """Where an unfinished training is kept."""
        return self.output.with_name(f"{self.output.name}.partial")

    @property
    def base(self) -> Preset:
        """The preset, in its form for short texts where that was decided."""
        named = preset(self.preset)
        if self.features != NGRAMS or not named.short:
            return named
        return short_form(
            named, self.labels, several=self.several, wordy=self.wordy, word_bytes=self.word_bytes
        )

    @property
    def distillation(self) -> Distillation | None:
        """How the training texts get soft labels, or None."""
        base = self.base
        teacher = base.teacher if self.teacher is None else self.teacher
        if self.features == NGRAMS and self.teacher is None and self.unlabelled is not None:
            teacher = NB_SVM  # the n-grams' own model is for labelled texts
        if teacher == NO_TEACHER:
            return None
        own_labels = base.own_labels if self.own_labels is None else self.own_labels
        return Distillation(
            teacher,
            self.unlabelled,
            self.kept_labels,
            own_labels=own_labels,
            split_seed=self.data.seed,
            models=self.teacher_models,
            teacher_labels=self.teacher_labels,
            spans=SPANS if self.spans is None else self.spans,
            around=tuple(filter(None, (self.around or "").replace(" ", "").split(","))),
            windows=self.teacher_windows,
            steps=self.teacher_steps,
            layers=self.teacher_layers,
            longest=self.teacher_span,
            earlier=self.earlier_labels,
            negate=self.negate,
        )

    @property
    def seed(self) -> int:
        """Of all that is drawn at random but the parts of the data."""
        return replace(self.base.options, **self.options).seed

    @property
    def kept_labels(self) -> Path:
        """Where the teacher's labels are kept."""
        return self.soft_labels or self.output.with_name(f"{self.output.stem}.soft-labels.safetensors")

    @property
    def history(self) -> Path:
        """The epochs, as JSON."""
        return self.output.with_name(f"{self.output.stem}.history.json")

    @property
    def picture(self) -> Path:
        """The learning curve."""
        return self.output.with_name(f"{self.output.stem}.history.png")

    @property
    def is_drawn(self) -> bool:
        """Whether there is a learning curve: not of the few epochs of a training that goes on, of whose time
        drawing would take a tenth."""
        return self.begin is None

    @property
    def curve_data(self) -> Path:
        """The accuracy over the number of rows, as JSON."""
        return self.output.with_name(f"{self.output.stem}.curve.json")

    @property
    def curve_picture(self) -> Path:
        """The same, drawn."""
        return self.output.with_name(f"{self.output.stem}.curve.png")


def for_several(job: TrainingJob, dataset: Dataset) -> TrainingJob:
    """The job for texts that may have several labels. DataError where it asks for what is for one."""
    check_for_several(job, dataset.name)
    return replace(job, teacher=NO_TEACHER, several=True)


def check_for_several(job: TrainingJob, name: str) -> None:
    """DataError where the job asks for what is for texts of one label. name: of the data."""
    asked = {
        "--teacher": job.teacher not in (None, NO_TEACHER),
        "--unlabelled": job.unlabelled is not None,
        "--suspects": job.suspects is not None,
        "pairs": bool(job.network.get("pair_buckets")),
        "made-texts": job.made_texts is not None,
    }
    for option, is_asked in asked.items():
        if is_asked:
            raise DataError(f"{name} has several labels a text, {option} is for one; leave it out")
    if job.abstain is not None:
        raise DataError(
            f"{name} has several labels a text, each with a threshold of its own; leave --abstain out, or "
            "say how many of a label's texts are to be right: --set precision=0.9"
        )


def sized_options(job: TrainingJob, base: Preset, texts: int) -> TrainingOptions:
    """The preset's options for so many texts to learn from, and what was asked for.

    Of many passes the first ones have so high a rate that the validation loss hardly falls: whoever asks
    for them has the patience for half of them. Of 16 passes of tiny (IMDB, kept labels) the fifth was the
    best until the tenth: ended there 91.6 % of the test texts were right, of 8 passes 91.9, of all 16 92.3.
    """
    options = replace(fitted_to_size(base.options, texts), **job.options)
    if "epochs" not in job.options or "patience" in job.options:
        return options
    return replace(options, patience=max(options.patience, options.epochs // 2))


def check_job(job: TrainingJob) -> None:
    """What can be known to fail is refused before an hour of training: DataError, OutputError."""
    if job.features not in FEATURES:
        raise DataError(f"features must be one of {', '.join(FEATURES)}, not {job.features!r}")
    named = replace(job, preset=BY_ACCURACY[0]) if job.preset == AUTO else job
    if job.features == NGRAMS and preset(named.preset).short is None:
        raise DataError(
            f"preset {named.preset} knows no n-grams; use another --preset, or --set features=pairs"
        )
    if job.curve and (job.begin is not None or job.preset == AUTO):
        other = "--from" if job.begin is not None else "--preset auto"
        raise DataError(f"--curve and {other} do not go together; leave one of them out")
    check_validation_share(job.validation_share or 0.0)
    if job.made_texts is not None and not 0 <= job.made_texts <= MOST_MADE:
        raise DataError(f"made-texts must be from 0 to {MOST_MADE:,}, not {job.made_texts}")
    check_precision(job.precision)
    if job.abstain is not None:
        check_abstain(job.abstain)
    _check_teacher(named)
    shape_of(named, preset(named.preset))
    replace(preset(named.preset).options, **job.options)
    if not 1 <= job.threads <= MOST_THREADS:
        raise DataError(f"threads must be from 1 to {MOST_THREADS}, not {job.threads}")
    if job.output.suffix != ".safetensors":
        raise DataError(f"{job.output} must end in .safetensors; give -o model.safetensors")
    _check_files(named)
    if job.device != "cpu":
        try:
            torch.zeros(1, device=job.device).item()
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0][:120]
            raise DataError(f"no device {job.device} for PyTorch ({reason}); use --device cpu") from None


def _check_files(job: TrainingJob) -> None:
    """Every file can be written, and none is another one or one that is read."""
    for path in (*own_files(job), job.kept_labels):
        check_writable(path, parents=True)
    if job.suspects is not None:
        check_writable(job.suspects)
    vectors = job.vocabulary.get("pretrained_vectors")
    if vectors is not None and not vectors.is_file():
        raise DataError(f"no word vectors at {vectors}; check the path")
    read = [Path(job.source), job.data.test, job.unlabelled, job.vocabulary.get("word_index")]
    read += [job.begin, job.replay, job.earlier_labels, vectors]
    if job.distillation is not None:
        check_kept(job.kept_labels)
    check_distinct(
        [*own_files(job), job.kept_labels, *([job.suspects] if job.suspects else [])],
        [*filter(None, read), *job.teacher_models],
    )


def own_files(job: TrainingJob) -> tuple[Path, ...]:
    """The files that no other training writes."""
    of_curve = (job.curve_data, job.curve_picture) if job.curve else ()
    return job.output, job.partial, job.history, job.picture, *of_curve


def check_beginning(job: TrainingJob) -> None:
    """DataError where an unfinished training is in the way, or is asked for and missing. Asked by the one run
    that holds the lock."""
    if job.partial.exists() and not job.resume:
        raise DataError(
            f"{job.partial} holds an unfinished training; add --resume to continue it, "
            "or delete that file to start anew"
        )
    if job.resume and not job.partial.exists():
        raise DataError(f"no unfinished training at {job.partial}; start without --resume")


OF_LONG_TEXTS = (
    "around",
    "negate",
    "teacher_steps",
    "teacher_layers",
    "teacher_span",
    "earlier_labels",
)
_OF_TRANSFORMERS = (
    "teacher_windows",
    "teacher_steps",
    "teacher_layers",
    "teacher_span",
    "spans",
    "around",
    "earlier_labels",
)


def _check_teacher(job: TrainingJob) -> None:
    if job.distillation is not None and job.distillation.is_transformer:
        from edge_lstm_export.teacher.hub import check_source, classifier_labels

        check_source(job.distillation.teacher)
        tuned = job.teacher_steps or job.teacher_layers
        if tuned and classifier_labels(job.distillation.teacher) is not None:
            raise DataError(
                f"teacher-steps and teacher-layers fine-tune an encoder, and {job.teacher} is a classifier, "
                "which labels as it is; leave them out"
            )
    elif job.teacher_labels or any(getattr(job, name) is not None for name in _OF_TRANSFORMERS):
        raise DataError(
            "--teacher-labels, teacher-…, spans, around and earlier-labels are a transformer's; "
            "add --teacher FOLDER"
        )
    if job.earlier_labels is not None:
        if any(x is not None for x in (job.spans, job.around)):
            raise DataError("spans and around are those of earlier-labels; leave them out")
        if not job.earlier_labels.is_file():
            raise DataError(f"no soft labels in {job.earlier_labels}; give another earlier-labels")
    of_spans = job.distillation is not None and job.distillation.teacher != NB_SVM
    if job.negate and not of_spans:
        raise DataError("negate=yes is of clauses that a transformer labelled; add --teacher FOLDER")
    if job.unlabelled is not None and job.distillation is None:
        if job.teacher == NO_TEACHER:
            raise DataError("--teacher none labels no text; leave it out, or leave out --unlabelled")
        raise DataError("--unlabelled needs a teacher that labels the texts; add --teacher nb-svm")
    if job.teacher_models:
        if job.unlabelled is None or job.distillation is None:
            raise DataError("--teacher-model labels unlabelled texts; add --unlabelled, and --teacher nb-svm")
        for path in job.teacher_models:
            open_model(path)
    if job.network.get("pair_buckets") and job.distillation is None:
        raise DataError("--pairs needs a teacher that they are fitted to; add --teacher nb-svm")


def vocabulary_options(job: TrainingJob, base: Preset) -> VocabularyOptions:
    """The preset's, and what was asked for."""
    return VocabularyOptions(**{"num_words": base.network.num_words, **base.vocabulary, **job.vocabulary})


def teaches_short(job: TrainingJob, labeller: ByTeacher | None) -> bool:
    """Whether the teachers are those of short texts: the n-grams' own linear model, and a frozen encoder."""
    if job.features != NGRAMS or job.distillation is None or job.teacher_models:
        return False
    if labeller and labeller.probabilities:
        return False
    if job.teacher == EMBEDDED:
        return True
    if job.distillation.is_transformer:
        from edge_lstm_export.teacher.hub import classifier_labels

        return classifier_labels(job.distillation.teacher) is None
    return job.teacher is None


def needs_teacher(job: TrainingJob) -> bool:
    """Whether something was asked for that no network learns without a teacher."""
    return job.unlabelled is not None or bool(job.network.get("pair_buckets"))


def shape_of(job: TrainingJob, base: Preset) -> NetworkConfig:
    """The network that is asked for. Its table is fitted to a teacher: without one it has none."""
    shape = replace(base.network, **job.network)
    return shape if job.distillation is not None else replace(shape, pair_buckets=0)
