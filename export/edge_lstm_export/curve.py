"""Would more rows help: the accuracy over the number of rows, cross-validated; see more_rows.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from edge_lstm.errors import DataError
from edge_lstm_export.cross_validation import FOLDS, cross_validate
from edge_lstm_export.datasets import Dataset
from edge_lstm_export.distillation import Distillation
from edge_lstm_export.fit import new_network
from edge_lstm_export.job import NGRAMS, TrainingJob, shape_of, sized_options, vocabulary_options
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
from edge_lstm_export.ngram_part import answers_of
from edge_lstm_export.ngram_svm import FEW_TEXTS, two_columns
from edge_lstm_export.presets import NO_TEACHER
from edge_lstm_export.reading import (
    ReadAlone,
    best_reading,
    prepare_texts,
    reading_beside,
    sized_preset,
    suits_many_words,
)
from edge_lstm_export.short_teaching import MOST_IN_FOLD
from edge_lstm_export.who_teaches import load_teacher, teachers_of


def measure_curve(
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
            encoder = None if of_short is None else load_teacher(one, dataset, None)
            taught_so = sentiment and one is taught
            prepared = prepare_texts(
                one, dataset, vocabulary_options(one, base), log, encoder, sentiment=taught_so
            )
            few, beside = len(dataset.train) < FEW_TEXTS, None
            if of_short is None:
                reading = best_reading(one, base, dataset, prepared, few, lambda _: None)
                one, prepared = reading.job, reading.prepared
            elif few and encoder is None:
                beside = reading_beside(one, dataset, ReadAlone(), lambda _: None)
            sized = partial(sized_options, one, base)
            seed = sized(1).seed
            network = new_network(prepared, shape_of(one, sized_preset(one, base, prepared)), seed)
            lesson = None
            if of_short is not None:
                teachers = teachers_of(
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


def check_curve(job: TrainingJob, dataset: Dataset) -> None:
    """DataError where a curve is asked for of texts that it is not for."""
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
