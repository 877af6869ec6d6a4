"""One training from a source to files: data, network, training, checkpoint, history, learning curve."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, Protocol

import numpy as np
import torch

from edge_lstm.atomic import remove_leftovers
from edge_lstm.errors import DataError
from edge_lstm.printable import listed, shorten
from edge_lstm_export.budget import AUTO, BY_ACCURACY, Candidate, Choice, choose, kept_choice
from edge_lstm_export.checkpoint import save_checkpoint
from edge_lstm_export.cross_validation import (
    FEWEST_TEXTS_TO_CROSS_FIT,
    cross_validate,
    hold_out_validate,
    in_both_readings,
)
from edge_lstm_export.curve import check_curve, measure_curve
from edge_lstm_export.datasets import Dataset, read_dataset
from edge_lstm_export.datasets.dataset import file_digest
from edge_lstm_export.distillation import (
    EMBEDDED,
    KEPT,
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
    fit,
    initialise,
    load_progress,
    new_network,
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
from edge_lstm_export.job import (
    NGRAMS,
    OF_LONG_TEXTS,
    PAIRS,
    TrainingJob,
    check_beginning,
    check_for_several,
    check_job,
    for_several,
    needs_teacher,
    own_files,
    shape_of,
    sized_options,
    teaches_short,
    vocabulary_options,
)
from edge_lstm_export.label_issues import find_label_issues, write_label_issues
from edge_lstm_export.lock import only_run
from edge_lstm_export.memory import keep_freed_memory
from edge_lstm_export.more_rows import CurveInterrupted
from edge_lstm_export.network import Network
from edge_lstm_export.ngram_part import Lesson, PartLogits, truth_of
from edge_lstm_export.ngram_svm import FEW_TEXTS, CrossFitted, Recipe, Vectors, cross_fit, exact
from edge_lstm_export.presets import (
    MOST_EXACT_LABELS,
    NO_TEACHER,
    Preset,
    TrainingOptions,
    fitted_to_size,
)
from edge_lstm_export.reading import (
    ReadAlone,
    best_reading,
    check_pretrained,
    linear_alone,
    prepare_texts,
    reading_beside,
    sized_preset,
    suits_many_words,
    with_features,
    word_bytes,
)
from edge_lstm_export.short_teaching import MADE_OF_EACH, MOST_TO_MAKE_OF, PASSES_WITH_MADE, made_examples
from edge_lstm_export.teacher import kept_split_seed
from edge_lstm_export.training import Callbacks, Progress
from edge_lstm_export.who_teaches import is_few, load_teacher, sentiment_helps, teachers_of, with_made


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
    check_job(job)
    from sklearn.exceptions import ConvergenceWarning

    job.output.parent.mkdir(parents=True, exist_ok=True)
    with only_run(job.output), warnings.catch_warnings():
        # Linear models are ended where more steps label no better, which is nothing that a user could mend.
        warnings.simplefilter("ignore", ConvergenceWarning)
        check_beginning(job)
        if job.resume:
            load_progress(job.partial, {})  # a damaged one is refused before the work, not after it
        for path in own_files(job):
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
        job = for_several(job, dataset)
    elif job.precision is not None:
        raise DataError(f"each text of {job.source} has one label: precision is for several; leave it out")
    job = replace(with_features(job, dataset, watcher.say), labels=len(dataset.labels))
    check_pretrained(job, dataset)
    if job.made_texts is not None and job.features != NGRAMS:
        raise DataError("made-texts: for short texts, see --set features; leave it out")
    few = is_few(job, dataset, labeller)
    if few:
        job = replace(job, validation_share=0.0)
        if job.data.test_share is None and job.data.test is None:
            dataset = read_dataset(job.source, replace(job.data, test_share=0.0))
    if job.features == NGRAMS:
        wordy = job.unlabelled is None and suits_many_words(dataset)
        job = replace(job, wordy=wordy, word_bytes=word_bytes(dataset))
    check_curve(job, dataset)
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
    encoder = load_teacher(job, dataset, labeller)
    read_alone = ReadAlone()
    if sentiment is None:
        sentiment = sentiment_helps(job, dataset, labeller, encoder, read_alone, watcher.say)
    if sentiment:
        # It has words for many places, whether there is a log or not (see prepare_texts).
        wordy = job.features == NGRAMS and suits_many_words(dataset)
        job = replace(job, teacher=EMBEDDED if job.teacher is None else job.teacher, wordy=wordy)
    base = job.base
    vocabulary = vocabulary_options(job, base)
    of_short = job.distillation if teaches_short(job, labeller) else None
    if job.teacher == EMBEDDED and of_short is None:
        way = "leave out --set teacher-model" if job.teacher_models else "add --set features=ngrams"
        raise DataError(f"the embedded model teaches short texts, beside a linear model alone; {way}")
    if of_short is not None:
        asked_for = [name.replace("_", "-") for name in OF_LONG_TEXTS if getattr(job, name)]
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
    found = None
    by_rows_alone = job.distillation is None and choice is None  # no preset was compared with other words
    if by_rows_alone and few:
        reading = read_alone.read(job, dataset, watcher.say)
        job, prepared, found = (
            replace(job, vocabulary=reading.job.vocabulary),
            reading.prepared,
            reading.found,
        )
    else:
        prepared = prepare_texts(job, dataset, vocabulary, chosen.texts, encoder, sentiment=sentiment)
        if by_rows_alone:
            reading = best_reading(job, base, dataset, prepared, few, watcher.say)
            job, prepared, found = reading.job, reading.prepared, reading.found
    vocabulary = vocabulary_options(job, base)
    if job.teacher is None and job.distillation and not needs_teacher(job) and not can_teach(prepared):
        watcher.say("note: too few texts for the preset's teacher; training without one")
        job = replace(job, teacher=NO_TEACHER)
    taught, crossed = None, None
    if job.distillation is not None and of_short is None:
        known = labeller.probabilities if labeller else None
        taught = teach(prepared, further, job.distillation, watcher.say, known)
    seed = job.seed
    network = new_network(prepared, shape_of(job, sized_preset(job, base, prepared)), seed)
    if of_short is not None:
        beside = None
        if encoder is None and (few or vocabulary.pretrained_vectors is not None):
            beside = reading_beside(job, dataset, read_alone, watcher.say)
        teachers = teachers_of(
            job, prepared, network, of_short, encoder, seed, watcher.say, sentiment, beside
        )
        alone = linear_alone(job, dataset, read_alone) if few and encoder is not None else None
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
            crossed, made = with_made(job, base, prepared, network, teachers, watcher.say)
        taught = teachers.taught(watcher.say, made=made)
        del teachers, encoder  # which may be large
    many_made = of_short is not None and len(prepared.made.texts) > 0 and len(prepared.train) >= FEW_TEXTS
    lesson, by_ngrams = Lesson.of(prepared.train_examples, None), None
    if taught is not None:
        lesson = taught.lesson
    elif network.ngrams is not None and exact(len(dataset.labels)):
        watcher.say(f"n-grams: {network.config.ngrams:,} of the training texts")
        lesson, by_ngrams = _taught_by_ngrams(job, base, prepared, network, watcher.say, found)
        many_made = bool(by_ngrams and by_ngrams.get("made_texts"))
    if job.made_texts and not (prepared.made.texts or many_made):
        watcher.say(
            "note: no texts were made: they are for --teacher, or for "
            f"{FEW_TEXTS:,} to {MOST_TO_MAKE_OF:,} rows to learn from, of up to {MOST_EXACT_LABELS} labels"
        )
    if many_made:  # of which fewer passes are enough
        base = replace(base, options=replace(base.options, epochs=PASSES_WITH_MADE))
    options = sized_options(job, base, len(lesson.examples))
    if taught is not None and taught.first is not None:
        watcher.say("the validation part judges a network that has not learnt from it")
        crossed = hold_out_validate(prepared, network, options, taught.first)
    if few and taught is None:
        crossed = cross_validate(prepared, network, options, lesson.recipe, watcher.say)
    settings = _settings(job, vocabulary, prepared, network, options, choice, taught)
    described = {
        "preset": job.preset,
        **({"budget": {**asdict(job.budget), **choice.to_dict()}} if choice else {}),
        "vocabulary": _vocabulary(vocabulary),
        "seed": options.seed,
        "distillation": taught.provenance if taught else by_ngrams,
    }

    def first_weights() -> None:
        if network.config.pair_buckets or options.word_vectors:
            watcher.say("word vectors and word pairs")
        examples = lesson.examples
        initialise(network, examples if taught is None else replace(examples, targets=taught.soft), options)

    fitted = _fit(
        job,
        prepared,
        network,
        options,
        lesson,
        watcher,
        settings=settings,
        first_weights=first_weights,
        described=described,
        judged=taught.judged if taught else None,
        crossed=crossed,
    )
    _write(job, fitted, prepared)
    if job.curve and fitted.result.outcome != "interrupted":
        fitted = replace(
            fitted, curve=measure_curve(job, dataset, of_short, chosen.texts, watcher.say, sentiment)
        )
    return fitted


def _go_on(job: TrainingJob, beginning: Beginning, watcher: Watcher) -> Fitted:
    """A training that begins with a checkpoint's weights, vocabulary and rows."""
    asked = {"vocabulary": [*job.vocabulary], "network": [*job.network]}
    asked["features"] = [] if job.features == AUTO else ["features"]
    asked["teacher"] = [] if job.teacher in (None, NO_TEACHER) else ["--teacher"]
    check_unchanged(beginning, job.preset, asked)
    refused = {"--unlabelled": job.unlabelled, "--suspects": job.suspects, "made-texts": job.made_texts}
    for name, is_asked in refused.items():
        if is_asked is not None:
            raise DataError(f"{name} is for a training from nothing, not for --from; leave it out")
    config = beginning.checkpoint.network.config
    if config.several:
        check_for_several(job, str(beginning.path))
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
        sized = sized_preset(job, base, prepared, config).network
        shape = replace(shape, ngrams=sized.ngrams, ngram_dim=sized.ngram_dim)
    earlier = beginning.checkpoint.training.get("vocabulary")
    if isinstance(earlier, dict) and earlier.get("pretrained_vectors_sha256") is not None:
        watcher.say("note: what the first training learnt from its pretrained-vectors is not learnt again")
    examples = prepared.train_examples
    options = replace(fewer_passes(fitted_to_size(base.options, len(examples))), **job.options)
    network = new_network(prepared, shape, options.seed)
    read = read_texts(beginning, examples)
    recipe, by_ngrams = None, None
    if network.ngrams is not None and exact(labels):
        own = base.own_labels if job.own_labels is None else job.own_labels
        examples, recipe, by_ngrams = _learning_from_ngrams(prepared, network, own, options.seed, watcher.say)
    elif not config.several:
        examples = taught_by_checkpoint(beginning, prepared, read)
    vocabulary = VocabularyOptions(length=prepared.tokenizer.length)
    settings = _settings(job, vocabulary, prepared, network, options, None, None)
    fitted = _fit(
        job,
        prepared,
        network,
        options,
        Lesson(examples, prepared.train_examples, recipe),
        watcher,
        settings={**settings, "checkpoint to go on from": file_digest(beginning.path)},
        first_weights=lambda: carry_over(network, beginning, examples, options.seed, read),
        described={
            "preset": job.preset,
            "vocabulary": beginning.checkpoint.training.get("vocabulary"),
            "seed": options.seed,
            "distillation": by_ngrams,
        },
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
    lesson: Lesson,
    watcher: Watcher,
    *,
    settings: Mapping[str, Any],
    first_weights: Callable[[], None],
    described: Mapping[str, Any],
    judged: Examples | None = None,
    crossed: PartLogits | None = None,
    ngrams_from: Vectors | None = None,
    favoured: tuple[int, float] | None = None,
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
        lesson=lesson,
        judged=judged,
        callbacks=watcher.callbacks(keep),
        resume=progress,
        device=job.device,
        read_test=job.read_test,
        described=described,
        keep_rows=job.begin is not None and job.replay is None if job.keep_rows is None else job.keep_rows,
        precision=job.precision,
        crossed=crossed,
        abstain=job.abstain,
        ngrams_from=ngrams_from,
        favoured=favoured,
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
    from edge_lstm_export.teacher.answers import forget_answers

    forget_answers(distillation.weights)


def _taught_by_ngrams(
    job: TrainingJob,
    base: Preset,
    prepared: Prepared,
    network: Network,
    say: Callable[[str], None],
    found: CrossFitted | None,
) -> tuple[Lesson, dict[str, Any] | None]:
    """What is learnt where no teacher was asked for, and its provenance. found: see
    :func:`_learning_from_ngrams`."""
    own = base.own_labels if job.own_labels is None else job.own_labels
    rows, recipe, provenance = _learning_from_ngrams(prepared, network, own, job.seed, say, found)
    if prepared.rare:
        return Lesson(in_both_readings(prepared, rows), rows, recipe), provenance
    if not recipe or prepared.dataset.several or not FEW_TEXTS <= len(prepared.train) <= MOST_TO_MAKE_OF:
        return Lesson.of(rows, recipe), provenance
    each = MADE_OF_EACH if job.made_texts is None else job.made_texts
    made = made_examples(prepared, network, recipe, job.seed, each)
    if len(made):
        say(f"n-grams: label {len(made):,} texts made from the training texts too")
    examples = rows.joined(made) if len(made) else rows
    return Lesson(examples, rows, recipe), {**(provenance or {}), "made_texts": len(made)}


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


def _choice(job: TrainingJob, dataset: Dataset, say: Callable[[str], None]) -> Choice:
    """The preset that "auto" is here. Those whose teacher is not asked for by name do without one where
    there are too few texts for it."""
    candidates: dict[str, Candidate] = {}
    for name in BY_ACCURACY:
        one = replace(job, preset=name)
        base = one.base
        if needs_teacher(job) and one.distillation is None:
            continue
        prepared = prepare_texts(one, dataset, vocabulary_options(one, base))
        if job.teacher is None and not needs_teacher(job) and not can_teach(prepared):
            one = replace(one, teacher=NO_TEACHER)
        candidates[name] = Candidate(prepared, shape_of(one, sized_preset(one, base, prepared)), one.teacher)
    return choose(candidates, job.budget, say)


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
        "made texts": job.made_texts,
        "teacher's models": [file_digest(path) for path in job.teacher_models],
        "soft labels": hashlib.sha256(taught.soft.tobytes()).hexdigest() if taught else None,
    }
    return json.loads(json.dumps(settings))  # type: ignore[no-any-return] # as it comes back from a file
