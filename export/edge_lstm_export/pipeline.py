"""One training from a source to files: data, network, training, checkpoint, history, learning curve."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from edge_lstm.answering import check_abstain
from edge_lstm.atomic import check_distinct, check_writable, remove_leftovers
from edge_lstm.errors import DataError
from edge_lstm.modelfile import open_model
from edge_lstm.printable import listed, shorten
from edge_lstm.text import spaceless, split_marks
from edge_lstm_export.budget import AUTO, BY_ACCURACY, Budget, Candidate, Choice, choose, kept_choice
from edge_lstm_export.checkpoint import save_checkpoint
from edge_lstm_export.cross_validation import FOLDS, cross_validate, folds_of, in_both_readings
from edge_lstm_export.datasets import DataOptions, Dataset, read_dataset
from edge_lstm_export.datasets.dataset import file_digest
from edge_lstm_export.distillation import (
    EMBEDDED,
    KEPT,
    NB_SVM,
    SPANS,
    ByTeacher,
    Distillation,
    Taught,
    can_teach,
    teach,
    unlabelled_texts,
)
from edge_lstm_export.examples import Examples
from edge_lstm_export.fit import (
    VALIDATION_SHARE,
    Fitted,
    Prepared,
    VocabularyOptions,
    check_validation_share,
    fit,
    initialise,
    load_progress,
    new_network,
    prepare,
    save_progress,
)
from edge_lstm_export.further_texts import NOTHING_FURTHER, choose_further
from edge_lstm_export.going_on import (
    OLD_COUNTS,
    Beginning,
    begin,
    carry_over,
    carry_over_ngrams,
    check_unchanged,
    compare_on_old,
    describe,
    fewer_passes,
    prepare_from,
    read_texts,
    taught_by_checkpoint,
)
from edge_lstm_export.history import draw_history, write_history
from edge_lstm_export.label_issues import find_label_issues, write_label_issues
from edge_lstm_export.lock import only_run
from edge_lstm_export.made_texts import (
    WANTED,
    WANTED_OF_MANY,
    make_texts,
    near_variants_of,
    variants_of,
    with_near_words,
)
from edge_lstm_export.memory import keep_freed_memory
from edge_lstm_export.more_rows import (
    ALONE,
    FEWEST_ROWS_IN_ALL,
    TAUGHT,
    Curve,
    CurveInterrupted,
    draw_curve,
    rows_of,
    write_curve,
)
from edge_lstm_export.network import Network, NetworkConfig
from edge_lstm_export.ngram_features import choose_ngrams, learn_features
from edge_lstm_export.ngram_part import PartLogits, answers_of, truth_of
from edge_lstm_export.ngram_svm import (
    FEW_TEXTS,
    CrossFitted,
    Recipe,
    Vectors,
    cross_fit,
    cross_fit_meanings,
    exact,
    two_columns,
)
from edge_lstm_export.presets import (
    NO_TEACHER,
    WORD_BYTES,
    Preset,
    TrainingOptions,
    fitted_to_size,
    preset,
    short_form,
)
from edge_lstm_export.short_teaching import (
    MOST_IN_FOLD,
    MOST_TO_MAKE_OF,
    OWN_LABELS,
    PASSES_WITH_MADE,
    ShortTeachers,
    made_examples,
)
from edge_lstm_export.teacher import (
    adds,
    blend_weights,
    blended,
    check_kept,
    kept_split_seed,
)
from edge_lstm_export.thresholds import check_precision
from edge_lstm_export.training import Callbacks, Progress
from edge_lstm_export.vocabulary import SPACELESS_SHARE, line_bytes

if TYPE_CHECKING:
    from edge_lstm_export.pretrained import PretrainedWords
    from edge_lstm_export.teacher.transformer import Encoder

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


PAIRS, NGRAMS = "pairs", "ngrams"
FEATURES = (AUTO, PAIRS, NGRAMS)
MOST_WORDS_OF_SHORT = 60  # IMDB's reviews have 230, sentences and questions 5 to 30
FEWEST_TEXTS_TO_CROSS_FIT = 10
MOST_ASKED = 1_999  # texts that show whether the embedded model knows their labels, so few for its time
MOST_FOR_RARE = 500  # texts: it is tried with 200 and 300 that words which occur once may be known


class Watcher(Protocol):
    """Who is told how a job goes, and may end it."""

    def started(self, prepared: Prepared, network: Network, options: TrainingOptions) -> None:
        """The data are read and the network is made."""

    def say(self, line: str) -> None:
        """A stage before the training has got so far."""

    def callbacks(self, keep: Callable[[Progress], None]) -> Callbacks:
        """What the training loop calls; ``keep`` is to be called with the progress of each epoch."""


def run_job(job: TrainingJob, watcher: Watcher) -> Fitted:
    """Trains and writes the checkpoint, its history and its learning curve.

    Before the first epoch, after every one and where the watcher ends it, the state is kept in
    ``job.partial``; ``resume`` goes on from it. The file is removed when the training is complete. An earlier
    checkpoint under the same name stays until there is a new one. Raises DataError and OutputError.
    """
    _check(job)
    job.output.parent.mkdir(parents=True, exist_ok=True)
    with only_run(job.output):
        _check_beginning(job)
        for path in _own_files(job):
            remove_leftovers(path)
        return _run(job, watcher)


def _run(job: TrainingJob, watcher: Watcher) -> Fitted:
    torch.set_num_threads(job.threads)
    keep_freed_memory()
    if job.begin is not None:
        return _go_on(job, begin(job.begin, job.replay), watcher)
    if job.teacher == KEPT:
        # Kept labels are of one split; the seed that was asked for decides the rest.
        job = replace(job, data=replace(job.data, seed=kept_split_seed(job.kept_labels)))
    # No preset's teacher labels a source that has no labels.
    asked = (
        replace(job, preset=BY_ACCURACY[0]).distillation if job.teacher not in (None, NO_TEACHER) else None
    )
    labeller = ByTeacher(asked, watcher.say) if asked and asked.is_transformer else None
    dataset = read_dataset(job.source, job.data, labeller)
    if dataset.several:
        job = _for_several(job, dataset)
    elif job.precision is not None:
        raise DataError(f"each text of {job.source} has one label: precision is for several; leave it out")
    job = replace(_with_features(job, dataset, watcher.say), labels=len(dataset.labels))
    _check_pretrained(job, dataset)
    few = _is_few(job, dataset, labeller)
    if few:
        job = replace(job, validation_share=0.0)
        if job.data.test_share is None and job.data.test is None:
            dataset = read_dataset(job.source, replace(job.data, test_share=0.0))
    if job.features == NGRAMS:
        wordy = job.unlabelled is None and suits_many_words(dataset)
        job = replace(job, wordy=wordy, word_bytes=_word_bytes(dataset))
    _check_curve(job, dataset)
    if not dataset.several:
        dataset = _with_label_issues(job, dataset, watcher.say)
    choice = None
    if job.preset == AUTO:
        choice = kept_choice(job.partial) if job.resume else _choice(job, dataset, watcher.say)
        job = replace(job, preset=choice.preset, teacher=choice.teacher)
    # No preset was compared with the embedded model among its teachers.
    sentiment = job.teacher == EMBEDDED or (None if choice is None else False)
    return _train(job, dataset, labeller, choice, watcher, few=few, sentiment=sentiment)


def _train(
    job: TrainingJob,
    dataset: Dataset,
    labeller: ByTeacher | None,
    choice: Choice | None,
    watcher: Watcher,
    *,
    few: bool,
    sentiment: bool | None,
) -> Fitted:
    """What remains when the data are read and their kind is known. few: the training is cross-validated.
    sentiment: the embedded model is one of the teachers; None: where it helps."""
    encoder = _encoder(job, dataset, labeller)
    if sentiment is None:
        sentiment = _sentiment_helps(job, dataset, labeller, encoder, watcher.say)
    if sentiment:
        # It has words for many places, whether there is a log or not (see _prepared).
        wordy = job.features == NGRAMS and suits_many_words(dataset)
        job = replace(job, teacher=EMBEDDED if job.teacher is None else job.teacher, wordy=wordy)
    base = job.base
    vocabulary = _vocabulary_options(job, base)
    of_short = job.distillation if _teaches_short(job, labeller) else None
    if job.teacher == EMBEDDED and of_short is None:
        way = "leave out --set teacher-model" if job.teacher_models else "add --set features=ngrams"
        raise DataError(f"the embedded model teaches short texts, beside a linear model alone; {way}")
    if of_short is not None:
        asked_for = [name.replace("_", "-") for name in _OF_LONG_TEXTS if getattr(job, name)]
        if asked_for:
            raise DataError(
                f"{', '.join(asked_for)}: for long texts, of which a teacher labels spans; leave it out"
            )
    further: tuple[str, ...] = ()
    chosen = NOTHING_FURTHER
    if job.unlabelled is not None:
        texts = unlabelled_texts(job.unlabelled, job.data)
        if of_short is not None:
            test = dataset.test.texts if dataset.test else ()
            chosen = choose_further(texts, dataset.train.texts, test, job.data.seed)
            for remark in chosen.remarks(job.unlabelled):
                watcher.say(remark)
        else:
            further = tuple(texts)
    prepared = _prepared(job, dataset, vocabulary, chosen.texts, encoder, sentiment=sentiment)
    found = None
    if job.distillation is None and choice is None:  # no preset was compared with a vocabulary filled up
        reading = _best_reading(job, base, dataset, prepared, few, watcher.say)
        job, prepared, found = reading.job, reading.prepared, reading.found
        vocabulary = _vocabulary_options(job, base)
    if job.teacher is None and job.distillation and not _needs_teacher(job) and not can_teach(prepared):
        watcher.say("note: too few texts for the preset's teacher; training without one")
        job = replace(job, teacher=NO_TEACHER)
    taught, lesson, crossed = None, None, None
    if job.distillation is not None and of_short is None:
        known = labeller.probabilities if labeller else None
        taught = teach(prepared, further, job.distillation, watcher.say, known)
    seed = replace(base.options, **job.options).seed
    network = new_network(prepared, _shape(job, _sized(job, base, prepared)), seed)
    if of_short is not None:
        beside = None
        if encoder is None and (few or vocabulary.pretrained_vectors is not None):
            beside = _reading_beside(job, dataset, watcher.say)
        teachers = _teachers(job, prepared, network, of_short, encoder, seed, watcher.say, sentiment, beside)
        alone = _linear_alone(job, dataset) if few and encoder is not None else None
        if encoder is not None and not teachers.encoder_adds(alone, watcher.say):
            del teachers, encoder
            without = replace(job, teacher=EMBEDDED if sentiment else None)
            try:
                fitted = _train(without, dataset, None, choice, watcher, few=few, sentiment=sentiment)
            except CurveInterrupted:  # the training was complete
                _forget(of_short)
                raise
            if fitted.result.progress is None:
                _forget(of_short)
            return fitted
        made = bool(prepared.made.texts)
        if few:
            crossed, made = _with_made(job, base, prepared, network, teachers, watcher.say)
        taught = teachers.taught(watcher.say, made=made)
        lesson = taught.lesson
        del teachers, encoder  # which may be large
    examples = prepared.train_examples if taught is None else taught.examples
    many_made = of_short is not None and len(prepared.made.texts) > 0 and len(prepared.train) >= FEW_TEXTS
    options = _sized_options(job, _with_made_passes(base) if many_made else base, len(examples))
    recipe, svm, linear = None, None, lesson.linear if lesson else None
    if taught is None and network.ngrams is not None and exact(len(dataset.labels)):
        watcher.say(f"n-grams: {network.config.ngrams:,} of the training texts")
        own = base.own_labels if job.own_labels is None else job.own_labels
        examples, recipe, svm = _learning_from_ngrams(
            prepared, network, own, options.seed, watcher.say, found
        )
        if prepared.rare:
            linear, examples = examples, in_both_readings(prepared, examples)
            options = _sized_options(job, base, len(examples))
        elif recipe and not dataset.several and FEW_TEXTS <= len(prepared.train) <= MOST_TO_MAKE_OF:
            made_of_them = made_examples(prepared, network, recipe, options.seed)
            watcher.say(f"n-grams: label {len(made_of_them):,} texts made from the training texts too")
            linear, examples = examples, examples.joined(made_of_them)
            options = _sized_options(job, _with_made_passes(base), len(examples))
            assert svm is not None
            svm["made_texts"] = len(made_of_them)
    if few and taught is None:
        crossed = cross_validate(prepared, network, options, recipe, watcher.say)
    settings = _settings(job, vocabulary, prepared, network, options, choice, taught)
    described = {
        "preset": job.preset,
        **({"budget": {**asdict(job.budget), **choice.to_dict()}} if choice else {}),
        "vocabulary": _vocabulary(vocabulary),
        "seed": options.seed,
        "distillation": taught.provenance if taught else svm,
    }

    def first_weights() -> None:
        if network.config.pair_buckets or options.word_vectors:
            watcher.say("word vectors and word pairs")
        initialise(network, examples if taught is None else replace(examples, targets=taught.soft), options)

    fitted = _fit(
        job,
        prepared,
        network,
        options,
        examples,
        watcher,
        settings=settings,
        first_weights=first_weights,
        described=described,
        recipe=lesson.recipe if lesson else recipe,
        linear=linear,
        vectors=lesson.vectors if lesson else None,
        svm=lesson.svm if lesson else None,
        labelled=lesson.labelled if lesson else None,
        judged=taught.judged if taught else None,
        crossed=crossed,
    )
    _write(job, fitted, prepared)
    if job.curve and fitted.result.outcome != "interrupted":
        fitted = replace(fitted, curve=_curve(job, dataset, of_short, chosen.texts, watcher.say, sentiment))
    return fitted


def _go_on(job: TrainingJob, beginning: Beginning, watcher: Watcher) -> Fitted:
    """A training that begins with a checkpoint's weights, vocabulary and rows."""
    asked = {"vocabulary": [*job.vocabulary], "network": [*job.network]}
    asked["features"] = [] if job.features == AUTO else ["features"]
    asked["teacher"] = [] if job.teacher in (None, NO_TEACHER) else ["--teacher"]
    check_unchanged(beginning, job.preset, asked)
    for name, is_asked in (("--unlabelled", job.unlabelled), ("--suspects", job.suspects)):
        if is_asked is not None:
            raise DataError(f"{name} is for a training from nothing, not for --from; leave it out")
    config = beginning.checkpoint.network.config
    if config.several:
        _check_for_several(job, str(beginning.path))
    elif job.precision is not None:
        raise DataError(f"{beginning.path} gives one label a text: precision is for several; leave it out")
    if config.pair_buckets:
        raise DataError(
            f"{beginning.path} has a table of word pairs, fitted to a teacher, which cannot go on; train "
            "anew, or first with --set features=ngrams"
        )
    prepared = prepare_from(
        beginning,
        job.source,
        job.data,
        VALIDATION_SHARE if job.validation_share is None else job.validation_share,
    )
    labels = len(prepared.dataset.labels)
    if labels > config.labels:  # a misspelt one is new too
        counts = prepared.train.counts(labels)[config.labels :]
        named = zip(prepared.dataset.labels[config.labels :], counts)
        watcher.say("new labels: " + listed([f"{shorten(name)} {count:,}" for name, count in named]))
    features = NGRAMS if config.ngrams else PAIRS
    job = replace(job, preset=beginning.preset, labels=labels, several=config.several, features=features)
    base, shape = job.base, replace(config, labels=labels)
    if config.ngrams:
        sized = _sized(job, base, prepared, config).network
        shape = replace(shape, ngrams=sized.ngrams, ngram_dim=sized.ngram_dim)
    earlier = beginning.checkpoint.training.get("vocabulary")
    if isinstance(earlier, dict) and earlier.get("pretrained_vectors_sha256") is not None:
        watcher.say("note: what the first training learnt from its pretrained-vectors is not learnt again")
    examples = prepared.train_examples
    options = replace(fewer_passes(fitted_to_size(base.options, len(examples))), **job.options)
    network = new_network(prepared, shape, options.seed)
    read = read_texts(beginning, examples)
    recipe, svm = None, None
    if network.ngrams is not None and exact(labels):
        own = base.own_labels if job.own_labels is None else job.own_labels
        examples, recipe, svm = _learning_from_ngrams(prepared, network, own, options.seed, watcher.say)
    elif not config.several:
        examples = taught_by_checkpoint(beginning, prepared, read)
    vocabulary = VocabularyOptions(length=prepared.tokenizer.length)
    settings = _settings(job, vocabulary, prepared, network, options, None, None)
    fitted = _fit(
        job,
        prepared,
        network,
        options,
        examples,
        watcher,
        settings={**settings, "checkpoint to go on from": file_digest(beginning.path)},
        first_weights=lambda: carry_over(network, beginning, examples, options.seed, read),
        described={
            "preset": job.preset,
            "vocabulary": beginning.checkpoint.training.get("vocabulary"),
            "seed": options.seed,
            "distillation": svm,
        },
        recipe=recipe,
        linear=prepared.train_examples,
        ngrams_from=carry_over_ngrams(network, beginning),
        favoured=(config.labels, OLD_COUNTS),
    )
    if fitted.result.outcome != "interrupted":
        old_test = compare_on_old(beginning, fitted.checkpoint, prepared) if job.read_test else None
        training = {**fitted.checkpoint.training, "going_on": describe(beginning, prepared, old_test)}
        checkpoint = replace(fitted.checkpoint, training=training)
        fitted = replace(fitted, checkpoint=checkpoint, old_test=old_test)
    _write(job, fitted, prepared)
    return fitted


def _fit(
    job: TrainingJob,
    prepared: Prepared,
    network: Network,
    options: TrainingOptions,
    examples: Examples,
    watcher: Watcher,
    *,
    settings: Mapping[str, Any],
    first_weights: Callable[[], None],
    described: Mapping[str, Any],
    recipe: Recipe | None,
    linear: Examples | None = None,
    judged: Examples | None = None,
    crossed: PartLogits | None = None,
    ngrams_from: Vectors | None = None,
    favoured: tuple[int, float] | None = None,
    vectors: Vectors | None = None,
    svm: Vectors | None = None,
    labelled: Examples | None = None,
) -> Fitted:
    """The loop, from its beginning or from where it was interrupted; its state is kept as it goes."""
    progress = load_progress(job.partial, settings) if job.resume else None
    watcher.started(prepared, network, options)
    if progress is None:
        first_weights()

    def keep(state: Progress) -> None:
        save_progress(job.partial, prepared, network, state, settings)

    fitted = fit(
        prepared,
        network,
        options,
        examples=examples,
        linear=linear,
        judged=judged,
        callbacks=watcher.callbacks(keep),
        resume=progress,
        device=job.device,
        read_test=job.read_test,
        described=described,
        recipe=recipe,
        keep_rows=job.begin is not None and job.replay is None if job.keep_rows is None else job.keep_rows,
        precision=job.precision,
        crossed=crossed,
        abstain=job.abstain,
        ngrams_from=ngrams_from,
        favoured=favoured,
        vectors=vectors,
        svm=svm,
        labelled=labelled,
    )
    if fitted.result.progress is not None:
        keep(fitted.result.progress)
    return fitted


def _write(job: TrainingJob, fitted: Fitted, prepared: Prepared) -> None:
    """The checkpoint, its history and its learning curve."""
    save_checkpoint(fitted.checkpoint, job.output)
    if fitted.result.history:
        write_history(fitted.result.history, job.history, training=fitted.checkpoint.training)
        if job.is_drawn:
            draw_history(fitted.result.history, job.picture, f"{job.output.name}: {prepared.dataset.name}")
        else:
            job.picture.unlink(missing_ok=True)  # of another training
    if fitted.result.progress is None:
        job.partial.unlink(missing_ok=True)
        if job.distillation is not None and job.distillation.is_transformer:
            _forget(job.distillation)


def _forget(distillation: Distillation) -> None:
    """A transformer's answers, once nothing goes on from them."""
    from edge_lstm_export.teacher.transformer import forget_answers

    forget_answers(distillation.weights)


def _for_several(job: TrainingJob, dataset: Dataset) -> TrainingJob:
    """The job for texts that may have several labels. DataError where it asks for what is for one."""
    _check_for_several(job, dataset.name)
    return replace(job, teacher=NO_TEACHER, several=True)


def _check_for_several(job: TrainingJob, name: str) -> None:
    asked = {
        "--teacher": job.teacher not in (None, NO_TEACHER),
        "--unlabelled": job.unlabelled is not None,
        "--suspects": job.suspects is not None,
        "pairs": bool(job.network.get("pair_buckets")),
    }
    for option, is_asked in asked.items():
        if is_asked:
            raise DataError(f"{name} has several labels a text, {option} is for one; leave it out")
    if job.abstain is not None:
        raise DataError(
            f"{name} has several labels a text, each with a threshold of its own; leave --abstain out, or "
            "say how many of a label's texts are to be right: --set precision=0.9"
        )


def _with_features(job: TrainingJob, dataset: Dataset, say: Callable[[str], None]) -> TrainingJob:
    """The job with its features decided, and said."""
    if job.features != AUTO:
        return job
    reason = None
    if job.preset == AUTO or preset(job.preset).short is not None:
        keras_only = {"word_index", "choice", "drop_unknown", "skip_top"}
        if not job.vocabulary.keys() & keras_only and not job.network.keys() & {
            "pair_buckets",
            "layers",
            "pooling",
        }:
            reason = suits_ngrams(dataset)
    if reason is not None:
        say(f"features: words, pieces of words and n-grams, since {reason}")
    return replace(job, features=PAIRS if reason is None else NGRAMS)


def _check_pretrained(job: TrainingJob, dataset: Dataset) -> None:
    """DataError where word vectors are given that nothing would read."""
    if job.vocabulary.get("pretrained_vectors") is None:
        return
    if dataset.several:
        raise DataError(
            f"{dataset.name} has several labels a text, pretrained-vectors are for one; leave them out"
        )
    if job.preset == AUTO:
        raise DataError("pretrained-vectors and --preset auto do not go together; name a preset")
    if job.vocabulary.get("pieces") is False:
        raise DataError("pretrained-vectors are read beside pieces; leave them out, or pieces=no")
    if job.features != NGRAMS:
        raise DataError("pretrained-vectors are for n-grams; add --set features=ngrams, or leave them out")
    if job.teacher not in (None, NO_TEACHER, EMBEDDED):
        raise DataError(
            f"pretrained-vectors do without a teacher; leave them out, or --teacher {job.teacher}"
        )


def _is_few(job: TrainingJob, dataset: Dataset, labeller: ByTeacher | None) -> bool:
    """Whether the training is judged by cross-validation, and no text is held out."""
    return (
        job.preset != AUTO  # the presets are compared by the validation part
        and job.features == NGRAMS
        and job.validation_share is None
        and not dataset.several
        and FEWEST_TEXTS_TO_CROSS_FIT <= len(dataset.train) < FEW_TEXTS
        and (job.distillation is None or _teaches_short(job, labeller))
    )


def _encoder(job: TrainingJob, dataset: Dataset, labeller: ByTeacher | None) -> Encoder | None:
    """The teacher of short texts, where it is an encoder: read once, since a large one takes its time."""
    if job.distillation is None or not job.distillation.is_transformer or not _teaches_short(job, labeller):
        return None
    from edge_lstm_export.teacher.transformer import load_encoder

    return load_encoder(job.distillation.teacher, len(dataset.labels))


def _teachers(
    job: TrainingJob,
    prepared: Prepared,
    network: Network,
    distillation: Distillation,
    encoder: Encoder | None,
    seed: int,
    say: Callable[[str], None],
    sentiment: bool,
    reading: Prepared | None = None,
) -> ShortTeachers:
    """reading: the labelled texts as the linear teacher reads them, where that is known."""
    own = OWN_LABELS if job.own_labels is None else job.own_labels
    return ShortTeachers(
        prepared, network, distillation, encoder, own, seed, say, sentiment=sentiment, reading=reading
    )


def _with_made(
    job: TrainingJob,
    base: Preset,
    prepared: Prepared,
    network: Network,
    teachers: ShortTeachers,
    say: Callable[[str], None],
) -> tuple[PartLogits | None, bool]:
    """What cross-validation answers the training texts, and whether the network is to learn from the made
    texts too: it is, unless it answers worse so, by more than chance does.

    Some hundred rows cannot tell which is better by a few points, and made texts nearly always are: of 200
    rows of trec6 cross-validation said 67.0 % without and 65.5 with them, of 1,500 other rows 62.9 and 73.1 %
    were right.
    """
    ways = (False, True) if prepared.made.texts and not prepared.further else (bool(prepared.made.texts),)
    answers: list[tuple[PartLogits, npt.NDArray[np.bool_]]] = []
    sized = partial(_sized_options, job, base)
    options = sized(len(prepared.train))
    for made in ways:
        lesson = partial(teachers.lesson, made=made, most=MOST_IN_FOLD)
        found = cross_validate(prepared, network, options, None, say, lesson=lesson, sized=sized)
        if found is None:
            return None, ways[0]
        texts = len(prepared.train) + len(prepared.further) + len(prepared.made.texts) * made
        right = two_columns(answers_of(found, texts)).argmax(axis=1) == prepared.train.labels
        if ways[1:]:
            said = f"{'with' if made else 'without'} texts made from the rows"
            say(f"{said}: {right.mean():.1%}, cross-validated")
        answers.append((found, right))
    if len(answers) == 1:
        return answers[0][0], ways[0]
    worse = _clearly_worse(answers[1][1], answers[0][1])
    say("the made texts are left out" if worse else "the made texts are learnt from too")
    return answers[0 if worse else 1][0], not worse


def _sentiment_helps(
    job: TrainingJob,
    dataset: Dataset,
    labeller: ByTeacher | None,
    encoder: Encoder | None,
    say: Callable[[str], None],
) -> bool:
    """Whether the embedded model is to be one of the teachers: of rows that they have not learnt from, a
    linear model (and the encoder, frozen) is right more often with it than without, and surer of their labels
    by two standard errors; of many rows, which teach more themselves, right more often by two as well.

    Of other kinds of labels it says next to nothing, and nothing is changed then. What it is worth:
    benchmarks/few_rows.md and results/anyones_labels.md, beside "own labels alone" and ``--teacher none``.
    """
    count = len(dataset.labels)
    if job.features != NGRAMS or dataset.several or not exact(count):
        return False
    if job.teacher == NO_TEACHER or len(dataset.train) > MOST_TO_MAKE_OF:
        return False
    if job.distillation is not None and not _teaches_short(job, labeller):
        return False
    train, seed = dataset.train, replace(job.base.options, **job.options).seed
    if len(train) > MOST_ASKED:
        order = np.random.default_rng([seed, 0x5E]).permutation(len(train))
        train = train.subset(np.sort(order[:MOST_ASKED]))
    labels = train.labels
    if (np.bincount(labels) > 1).sum() < 2:
        return False
    from edge_lstm_export.teacher.embedded import sentiments
    from edge_lstm_export.teacher.frozen import fit_frozen

    said = fit_frozen(sentiments(train.texts), labels, count, seed).labelled
    if not _clearly_worse(labels == np.bincount(labels).argmax(), said.argmax(axis=1) == labels):
        return False
    many = len(dataset.train) >= FEW_TEXTS

    def beside(opinions: list[npt.NDArray[np.float32]]) -> tuple[float, float] | None:
        """The share of rows that are right with it and without, where it helps."""
        alone = blended(opinions, blend_weights(opinions, labels)) if opinions[1:] else opinions[0]
        together = blended([*opinions, said], blend_weights([*opinions, said], labels))
        with_it, without = (one.argmax(axis=1) == labels for one in (together, alone))
        if not adds(together, alone, labels) or (many and not _clearly_worse(without, with_it)):
            return None
        return float(with_it.mean()), float(without.mean())

    opinions = [_linear_alone(job, replace(dataset, train=train))]
    helps = beside(opinions)
    if helps and encoder is not None and job.distillation is not None:
        from edge_lstm_export.teacher.transformer import vectors_of

        vectors = vectors_of(encoder, train.texts, job.distillation.transformer)
        helps = beside([*opinions, fit_frozen(vectors, labels, count, seed).labelled])
    if helps is None:
        return False
    say(
        f"teacher: the embedded model knows these labels: {helps[0]:.1%} of the rows right with it, "
        f"{helps[1]:.1%} without, cross-fitted; it teaches (--teacher none: it does not)"
    )
    return True


def _clearly_worse(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> bool:
    """Whether answers are right less often than others, by two standard errors of the difference (McNemar's
    test). one, other: bool [rows], which are right."""
    lost, won = int((other & ~one).sum()), int((one & ~other).sum())
    return lost - won > 2 * math.sqrt(lost + won)


def _curve(
    job: TrainingJob,
    dataset: Dataset,
    distillation: Distillation | None,
    further: Sequence[str],
    say: Callable[[str], None],
    sentiment: bool,
) -> Curve:
    """The accuracy over the number of rows; written beside the checkpoint."""
    learnt, right = rows_of(len(dataset.train), FOLDS), {}
    alone = replace(job, teacher=NO_TEACHER, unlabelled=None, validation_share=0.0)
    alone = replace(alone, wordy=suits_many_words(dataset))
    taught = replace(job, validation_share=0.0)
    try:
        for name, one in ((ALONE, alone), (TAUGHT, taught)):
            if one is taught and distillation is None:
                continue
            of_short, base = (distillation, one.base) if one is taught else (None, one.base)
            log = further if one is taught else ()
            encoder = None if of_short is None else _encoder(one, dataset, None)
            taught_so = sentiment and one is taught
            prepared = _prepared(
                one, dataset, _vocabulary_options(one, base), log, encoder, sentiment=taught_so
            )
            few, beside = len(dataset.train) < FEW_TEXTS, None
            if of_short is None:
                reading = _best_reading(one, base, dataset, prepared, few, lambda _: None)
                one, prepared = reading.job, reading.prepared
            elif few and encoder is None:
                beside = _reading_beside(one, dataset, lambda _: None)
            sized = partial(_sized_options, one, base)
            seed = sized(1).seed
            network = new_network(prepared, _shape(one, _sized(one, base, prepared)), seed)
            lesson = None
            if of_short is not None:
                teachers = _teachers(
                    one, prepared, network, of_short, encoder, seed, lambda _: None, sentiment, beside
                )
                lesson, encoder = partial(teachers.lesson, most=MOST_IN_FOLD), None
            points = []
            for rows in learnt:
                say(f"curve: {name}, {rows:,} of {len(dataset.train):,}")
                found = cross_validate(
                    prepared, network, sized(1), None, lambda _: None, lesson=lesson, most=rows, sized=sized
                )
                if found is None:
                    raise DataError("the texts are too much alike for a curve; leave out --curve")
                made = len(prepared.made.texts) * rows // len(prepared.train)
                logits = answers_of(found, rows + len(log) + made)
                points.append(two_columns(logits).argmax(axis=1) == prepared.train.labels)
            right[name] = np.stack(points)
    except KeyboardInterrupt as interrupt:
        raise CurveInterrupted(*interrupt.args) from None
    curve = Curve(learnt, len(dataset.train), right)
    write_curve(curve, job.curve_data)
    draw_curve(curve, job.curve_picture, f"{job.output.name}: {dataset.name}")
    return curve


def _check_curve(job: TrainingJob, dataset: Dataset) -> None:
    if not job.curve:
        return
    if job.features != NGRAMS or dataset.several:
        kind = "several labels a text" if dataset.several else "long texts of two labels"
        way = "leave it out" if dataset.several else "add --set features=ngrams, or leave it out"
        raise DataError(f"--curve is for n-grams and one label a text, {dataset.name} has {kind}; {way}")
    if len(dataset.train) < FEWEST_ROWS_IN_ALL:
        raise DataError(
            f"{len(dataset.train)} training texts are too few for a curve of them; "
            f"give {FEWEST_ROWS_IN_ALL}, or leave out --curve"
        )


def _sized_options(job: TrainingJob, base: Preset, texts: int) -> TrainingOptions:
    """The preset's options for so many texts to learn from, and what was asked for."""
    return replace(fitted_to_size(base.options, texts), **job.options)


def _with_made_passes(base: Preset) -> Preset:
    """The preset for many rows and what was made of them, of which fewer passes are enough."""
    return replace(base, options=replace(base.options, epochs=PASSES_WITH_MADE))


def _sized(job: TrainingJob, base: Preset, prepared: Prepared, shape: NetworkConfig | None = None) -> Preset:
    """The preset with as many n-grams as its budget leaves beside this vocabulary. shape: of the network that
    a training goes on with."""
    if job.features != NGRAMS or preset(job.preset).short is None:
        return base
    tokenizer = prepared.tokenizer
    return short_form(
        preset(job.preset),
        job.labels,
        tokenizer.num_ids,
        several=job.several,
        wordy=job.wordy,
        word_bytes=line_bytes((*tokenizer.words, *(tokenizer.pieces or ())), WORD_BYTES),
        shape=shape,
    )


def suits_ngrams(dataset: Dataset) -> str | None:
    """Why n-gram vectors suit the texts, or None where a table of word pairs does: long texts of two labels
    in a script with spaces."""
    texts = dataset.train.texts
    words = [len(split_marks(text)) for text in texts]
    if dataset.several:
        return "a text may have several labels"
    if len(dataset.labels) > 2:
        return f"there are {len(dataset.labels)} labels"
    mean = sum(words) / max(1, len(words))
    if mean <= MOST_WORDS_OF_SHORT:
        return f"a text has {mean:.0f} words on average"
    return "words have no spaces between them" if _spaceless_share(dataset) > SPACELESS_SHARE else None


def suits_many_words(dataset: Dataset) -> bool:
    """Whether the words that a network knows are worth more than the width of its vectors and its LSTM: few
    labels, and spaces between words (see presets.short_form)."""
    return exact(len(dataset.labels)) and _spaceless_share(dataset) <= SPACELESS_SHARE


def _word_bytes(dataset: Dataset) -> float:
    """Mean bytes of a line in the vocabulary, of the words that occur more than once."""
    counts = Counter(word for text in dataset.train.texts for word in split_marks(text))
    return line_bytes([word for word, count in counts.items() if count > 1], WORD_BYTES)


def _spaceless_share(dataset: Dataset) -> float:
    """Of the training texts, those that hold words in a script without spaces, 0 to 1."""
    return sum(map(spaceless, dataset.train.texts)) / max(1, len(dataset.train))


def _learning_from_ngrams(
    prepared: Prepared,
    network: Network,
    own_labels: float,
    seed: int,
    say: Callable[[str], None],
    found: CrossFitted | None = None,
) -> tuple[Examples, Recipe | None, dict[str, Any] | None]:
    """What the LSTM learns from: the texts with their own labels, mixed with what a linear model on n-grams
    says that did not see them; how that model is fitted; and its provenance. found: what it says, where that
    was asked."""
    examples = prepared.train_examples
    labels, counts = truth_of(network, examples), examples.targets.sum(axis=0)
    if network.ngrams is None or len(labels) < FEWEST_TEXTS_TO_CROSS_FIT or (counts > 1).sum() < 2:
        return examples, None, None
    if found is None:
        features, as_new = prepared.features(network), prepared.train_as_new
        found = cross_fit(examples, features, labels, network.config.labels, seed, as_new=as_new)
    say(f"n-grams: {found.accuracy:.2%}, cross-fitted; the LSTM learns from them and from the labels")
    targets = own_labels * examples.targets + (1 - own_labels) * found.probabilities
    provenance = {
        "teacher": "svm",
        "cross_fitted_accuracy": round(found.accuracy, 4),
        "own_labels": own_labels,
        "unlabelled_texts": 0,
    }
    return replace(examples, targets=targets.astype(np.float32)), found.recipe, provenance


@dataclass(frozen=True)
class _Reading:
    """How texts are read that have no teacher: the job and its data, and what linear models that read so say
    of the training texts, each by one that did not see it; None where that was not asked."""

    job: TrainingJob
    prepared: Prepared
    found: CrossFitted | None = None


def _best_reading(
    job: TrainingJob,
    base: Preset,
    dataset: Dataset,
    prepared: Prepared,
    few: bool,
    say: Callable[[str], None],
) -> _Reading:
    """The job and its data as a linear model reads them best: as they are; of few texts, with words that
    occur once, where it is right more often so; or with what pretrained vectors say of words, where it is
    surer so.

    Words that occur once, alone, of 1,500 held-out rows of the training split, six draws of 200 (emotion
    300), without them, with them, and as is chosen: trec6 63.8, 65.5, 65.3 %; spam 97.0, 95.6, 97.0; SST-2
    60.9, 61.5, 60.9; emotion 59.0, 58.9, 58.8.
    """
    best = _Reading(job, prepared)
    count = len(dataset.labels)
    if dataset.several or sum(texts > 1 for texts in dataset.train.counts(count)) < 2:
        return best
    # Of many labels they are of use to few texts, and too many SVMs would show it: banking77, ten rows a
    # label, 73.4 % without and 74.6 with them (1,500 other rows of the training split, three draws).
    most = MOST_TO_MAKE_OF if exact(count) else FEW_TEXTS - 1
    if len(dataset.train) > most:
        if _vocabulary_options(job, base).pretrained_vectors is not None:
            say(f"note: more than {most:,} rows of {count} labels learn without pretrained-vectors")
        return best
    known = _pretrained_words(job, base, dataset.train.texts)
    if not exact(count):
        knowing = best if known is None else _knowing(job, base, dataset, known)
        if known is not None:
            some = knowing.prepared.meanings is not None
            say(f"pretrained word vectors: {'learnt from too' if some else 'they know none of the words'}")
        return knowing
    rare = _knowing_rare_words(job, base, dataset) if few else None
    if rare is None and known is None:
        return best
    best = replace(best, found=_cross_fitted(job, base, prepared))
    if rare is not None:
        best = _better(best, _Reading(*rare), base, say)
    if known is not None:
        best = _surer(best, _knowing(job, base, dataset, known), base, say)
    return best


def _better(plain: _Reading, rare: _Reading, base: Preset, say: Callable[[str], None]) -> _Reading:
    """With words that occur once, where that is right more often."""
    rare = replace(rare, found=_cross_fitted(rare.job, base, rare.prepared))
    assert plain.found is not None and rare.found is not None
    better = rare.found.accuracy > plain.found.accuracy
    say(
        f"words that occur once: {rare.prepared.rare:,}, {'known' if better else 'read as pieces'} "
        f"({rare.found.accuracy:.1%} with them, {plain.found.accuracy:.1%} without, cross-fitted)"
    )
    return rare if better else plain


def _surer(plain: _Reading, knowing: _Reading, base: Preset, say: Callable[[str], None]) -> _Reading:
    """With what pretrained vectors say of words, where that is surer of the labels by a standard error."""
    assert plain.found is not None
    found = _cross_fitted(knowing.job, base, knowing.prepared, plain.found)
    surer = plain.found.or_surer(found, plain.prepared.train.labels) is found
    say(
        f"pretrained word vectors: {'learnt from too' if surer else 'left out, no surer of the labels'} "
        f"({found.accuracy:.1%} with them, {plain.found.accuracy:.1%} without, cross-fitted)"
    )
    return replace(knowing, found=found) if surer else plain


def _pretrained_words(job: TrainingJob, base: Preset, texts: Sequence[str]) -> PretrainedWords | None:
    """Those of the file that was given, else of the package, where the texts are in their language."""
    from edge_lstm_export.pretrained import LEAST_ENGLISH, english, read_vectors

    vocabulary = _vocabulary_options(job, base)
    if not vocabulary.pieces or not vocabulary.pretrained:
        return None
    if vocabulary.pretrained_vectors is not None:
        return read_vectors(vocabulary.pretrained_vectors)
    known = english()
    return known if known.share_of(texts) >= LEAST_ENGLISH else None


def _knowing(job: TrainingJob, base: Preset, dataset: Dataset, known: PretrainedWords) -> _Reading:
    return _Reading(job, _prepared(job, dataset, _vocabulary_options(job, base), known=known))


def _knowing_rare_words(
    job: TrainingJob, base: Preset, dataset: Dataset
) -> tuple[TrainingJob, Prepared] | None:
    """The job and its data with words that occur once; None without any, or of more texts than it is for."""
    counts = dataset.train.counts(len(dataset.labels))
    if len(dataset.train) > MOST_FOR_RARE or sum(count > 1 for count in counts) < 2:
        return None
    if not _vocabulary_options(job, base).pieces:
        return None
    other = replace(job, vocabulary={**job.vocabulary, "rare": True})
    known = _prepared(other, dataset, _vocabulary_options(other, base))
    return (other, known) if known.rare else None


def _cross_fitted(
    job: TrainingJob, base: Preset, prepared: Prepared, plain: CrossFitted | None = None
) -> CrossFitted:
    """What linear models say of the training texts, each by one that did not see it. plain: without what
    words mean, beside which that is read."""
    most = _shape(job, _sized(job, base, prepared)).ngrams
    ngrams = choose_ngrams(prepared.train_examples, most, prepared.tokenizer.num_ids)
    alone = prepared.alone if prepared.meanings is not None else None
    features = learn_features(ngrams, prepared.tokenizer, prepared.meanings, alone)
    labels, count = prepared.train.labels, len(prepared.dataset.labels)
    seed = replace(base.options, **job.options).seed
    examples, as_new = prepared.train_examples, prepared.train_as_new
    if plain is None or features.meanings is None:
        return cross_fit(examples, features, labels, count, seed, as_new=as_new)
    return cross_fit_meanings(plain, examples, features, labels, count, seed, as_new)


def _linear_alone(job: TrainingJob, dataset: Dataset) -> npt.NDArray[np.float32]:
    """What a linear model would say of few training texts in a training without a teacher or a log, each by
    one that did not see it: probabilities, float32 [n, labels]."""
    reading = _reading_alone(job, dataset, lambda _: None)
    if reading.found is None:
        reading = replace(reading, found=_cross_fitted(reading.job, reading.job.base, reading.prepared))
    assert reading.found is not None
    return reading.found.probabilities


def _reading_alone(job: TrainingJob, dataset: Dataset, say: Callable[[str], None]) -> _Reading:
    """How a training without a teacher or a log would read all training texts."""
    alone = replace(job, unlabelled=None, teacher=NO_TEACHER, validation_share=0.0)
    plain = _prepared(alone, dataset, _vocabulary_options(alone, alone.base))
    return _best_reading(alone, alone.base, dataset, plain, len(dataset.train) < FEW_TEXTS, say)


def _reading_beside(job: TrainingJob, dataset: Dataset, say: Callable[[str], None]) -> Prepared | None:
    """What the linear teacher reads where no encoder is beside it and it learns from pretrained vectors: of
    few labels, since of many it is as many SVMs in each fold."""
    if not exact(len(dataset.labels)):
        if job.vocabulary.get("pretrained_vectors") is not None:
            say(f"note: teachers of {len(dataset.labels)} labels do without pretrained-vectors")
        return None
    reading = _reading_alone(job, dataset, say).prepared
    return reading if reading.meanings is not None else None


def _check(job: TrainingJob) -> None:
    """What can be known to fail is refused before an hour of training."""
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
    check_precision(job.precision)
    if job.abstain is not None:
        check_abstain(job.abstain)
    _check_teacher(named)
    _shape(named, preset(named.preset))
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
    for path in (*_own_files(job), job.kept_labels):
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
        [*_own_files(job), job.kept_labels, *([job.suspects] if job.suspects else [])],
        [*filter(None, read), *job.teacher_models],
    )


def _own_files(job: TrainingJob) -> tuple[Path, ...]:
    """The files that no other training writes."""
    of_curve = (job.curve_data, job.curve_picture) if job.curve else ()
    return job.output, job.partial, job.history, job.picture, *of_curve


def _check_beginning(job: TrainingJob) -> None:
    """Asked by the one run that holds the lock."""
    if job.partial.exists() and not job.resume:
        raise DataError(
            f"{job.partial} holds an unfinished training; add --resume to continue it, "
            "or delete that file to start anew"
        )
    if job.resume and not job.partial.exists():
        raise DataError(f"no unfinished training at {job.partial}; start without --resume")


_OF_LONG_TEXTS = (
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
        from edge_lstm_export.teacher.transformer import check_source, classifier_labels

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
        raise DataError("--unlabelled needs a teacher that labels the texts; add --teacher nb-svm")
    if job.teacher_models:
        if job.unlabelled is None or job.distillation is None:
            raise DataError("--teacher-model labels unlabelled texts; add --unlabelled, and --teacher nb-svm")
        for path in job.teacher_models:
            open_model(path)
    if job.network.get("pair_buckets") and job.distillation is None:
        raise DataError("--pairs needs a teacher that they are fitted to; add --teacher nb-svm")


def _choice(job: TrainingJob, dataset: Dataset, say: Callable[[str], None]) -> Choice:
    """The preset that "auto" is here. Those whose teacher is not asked for by name do without one where
    there are too few texts for it."""
    candidates: dict[str, Candidate] = {}
    for name in BY_ACCURACY:
        one = replace(job, preset=name)
        base = one.base
        if _needs_teacher(job) and one.distillation is None:
            continue
        prepared = _prepared(one, dataset, _vocabulary_options(one, base))
        if job.teacher is None and not _needs_teacher(job) and not can_teach(prepared):
            one = replace(one, teacher=NO_TEACHER)
        candidates[name] = Candidate(prepared, _shape(one, _sized(one, base, prepared)), one.teacher)
    return choose(candidates, job.budget, say)


def _vocabulary_options(job: TrainingJob, base: Preset) -> VocabularyOptions:
    return VocabularyOptions(**{"num_words": base.network.num_words, **base.vocabulary, **job.vocabulary})


def _prepared(
    job: TrainingJob,
    dataset: Dataset,
    vocabulary: VocabularyOptions,
    further: Sequence[str] = (),
    encoder: Encoder | None = None,
    *,
    sentiment: bool = False,
    known: PretrainedWords | None = None,
) -> Prepared:
    """further: texts without a label. encoder, sentiment: teachers of short texts, for which texts are made
    from the labelled ones. Where there is none further, the encoder's own words (or the embedded model's)
    stand in for those that a log would hold. known: words that do without a teacher."""
    share = VALIDATION_SHARE if job.validation_share is None else job.validation_share
    if encoder is None and not sentiment and known is None:
        return prepare(dataset, vocabulary, validation_share=share, seed=job.data.seed, further=further)
    more_words = None
    few_labels, rows = exact(len(dataset.labels)), len(dataset.train)
    # Of many rows of many labels the encoder's words are worth nothing: of banking77, three quarters of the
    # training split, the others answered, 91.2 % with them (and a text with near words in place of one of the
    # two that are made of each row), 91.5 without.
    # Beside a log the encoder's words were worth nothing; the embedded model's, and a larger vocabulary for
    # them, are: of 1,500 other rows of SST-2's training split, 200 rows with the rest as a log, two draws,
    # 81.2 and 79.9 % are right, without them 78.9 and 78.7.
    teaching = encoder is not None or sentiment
    with_words = rows <= MOST_TO_MAKE_OF if few_labels else rows < FEW_TEXTS
    if teaching and (job.unlabelled is None or sentiment) and with_words:
        # Where the embedded model knows the labels, its words are the better ones beside an encoder too: of
        # 1,500 other rows of the training splits 79.9 % of SST-2, 200 rows, where MiniLM's say 73.7; 67.5 of
        # TweetEval's emotions, 300 rows, where it is 66.8 (one draw each).
        known = _known_words(None if sentiment else encoder, dataset.train.texts)
    if known is not None and with_words:
        of_texts = sorted({word for text in dataset.train.texts for word in split_marks(text)})
        more_words = partial(known.near, of_texts)
    prepared = prepare(
        dataset,
        vocabulary,
        validation_share=share,
        seed=job.data.seed,
        further=further,
        more_words=more_words,
    )
    if known is not None:
        meanings = known.of_ids(prepared.tokenizer.words, prepared.tokenizer.num_ids)
        if meanings.vectors.any():
            prepared = replace(prepared, meanings=meanings)
    if not teaching:
        return prepared
    seed = replace(job.base.options, **job.options).seed
    fold = folds_of(prepared.train, FOLDS, seed)  # a text made of rows of two folds could teach neither
    texts = prepared.train.texts
    wanted = WANTED if few_labels or rows >= FEW_TEXTS or further else WANTED_OF_MANY
    made = make_texts(texts, fold, variants_of(len(texts), wanted), seed)
    if known is not None:
        made = with_near_words(made, texts, known.beside, near_variants_of(len(texts), wanted), seed)
    return replace(prepared, made=made)


def _known_words(encoder: Encoder | None, texts: Sequence[str]) -> PretrainedWords | None:
    """Of the encoder, or without one of the embedded model; None where it has none, or the texts are in a
    language that it does not know."""
    from edge_lstm_export.pretrained import LEAST_KNOWN
    from edge_lstm_export.teacher.encoder_words import words_of

    if encoder is None:
        from edge_lstm_export.teacher import embedded

        known: PretrainedWords | None = embedded.words()
    else:
        known = words_of(encoder)
    return known if known is not None and known.share_of(texts) >= LEAST_KNOWN else None


def _teaches_short(job: TrainingJob, labeller: ByTeacher | None) -> bool:
    """Whether the teachers are those of short texts: the n-grams' own linear model, and a frozen encoder."""
    if job.features != NGRAMS or job.distillation is None or job.teacher_models:
        return False
    if labeller and labeller.probabilities:
        return False
    if job.teacher == EMBEDDED:
        return True
    if job.distillation.is_transformer:
        from edge_lstm_export.teacher.transformer import classifier_labels

        return classifier_labels(job.distillation.teacher) is None
    return job.teacher is None


def _needs_teacher(job: TrainingJob) -> bool:
    """Whether something was asked for that no network learns without a teacher."""
    return job.unlabelled is not None or bool(job.network.get("pair_buckets"))


def _shape(job: TrainingJob, base: Preset) -> NetworkConfig:
    """The network that is asked for. Its table is fitted to a teacher: without one it has none."""
    shape = replace(base.network, **job.network)
    return shape if job.distillation is not None else replace(shape, pair_buckets=0)


def _with_label_issues(job: TrainingJob, dataset: Dataset, say: Callable[[str], None]) -> Dataset:
    """The data set with what its labels look like; lists the suspicious ones where that is asked for.

    The validation part is looked at too: a wrong label there misjudges the epochs. The test split is not.
    """
    train, every_text = dataset.train, job.suspects is not None
    found = find_label_issues(train, len(dataset.labels), seed=job.data.seed, every_text=every_text, say=say)
    if job.suspects is not None:
        write_label_issues(train, dataset.labels, found, job.suspects)
    warning = found.warning(train, dataset.labels, job.suspects)
    return replace(
        dataset,
        warnings=dataset.warnings + ((warning,) if warning else ()),
        checks={**dataset.checks, **found.to_dict()},
    )


def _vocabulary(options: VocabularyOptions) -> dict[str, Any]:
    described = asdict(options)
    for name in ("word_index", "pretrained_vectors"):
        path = described.pop(name)
        described[f"{name}_sha256"] = file_digest(path) if path else None
    return described


def _settings(
    job: TrainingJob,
    vocabulary: VocabularyOptions,
    prepared: Prepared,
    network: Network,
    options: TrainingOptions,
    choice: Choice | None,
    taught: Taught | None,
) -> dict[str, Any]:
    """What a resumed training must have in common with its beginning, by names that a person knows."""
    texts = hashlib.sha256()
    for text in (*prepared.train.texts, *prepared.validation.texts):
        texts.update(text.encode("utf-8", "surrogatepass") + b"\0")
    settings = {
        "budget": str(job.budget) or None,
        "preset": choice.to_dict() if choice else None,
        "data": prepared.dataset.digest,
        "training texts": texts.hexdigest(),
        **network.config.to_dict(),
        **options.to_dict(),
        **_vocabulary(vocabulary),
        "teacher": job.distillation.teacher if job.distillation else NO_TEACHER,
        "unlabelled": job.unlabelled,
        "precision": job.precision,
        "own labels": job.distillation.own_labels if job.distillation else 1.0,
        "teacher's models": [file_digest(path) for path in job.teacher_models],
        "soft labels": hashlib.sha256(taught.soft.tobytes()).hexdigest() if taught else None,
    }
    return json.loads(json.dumps(settings))  # type: ignore[no-any-return] # as it comes back from a file
