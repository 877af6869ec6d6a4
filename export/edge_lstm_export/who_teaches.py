"""Who teaches a network of short texts beside their labels, as cross-validation decides."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_lstm_export.budget import AUTO
from edge_lstm_export.cross_validation import FEWEST_TEXTS_TO_CROSS_FIT, cross_validate
from edge_lstm_export.datasets import Dataset
from edge_lstm_export.distillation import ByTeacher, Distillation
from edge_lstm_export.fit import Prepared
from edge_lstm_export.job import NGRAMS, TrainingJob, sized_options, teaches_short
from edge_lstm_export.network import Network
from edge_lstm_export.ngram_part import PartLogits, answers_of
from edge_lstm_export.ngram_svm import FEW_TEXTS, exact, two_columns
from edge_lstm_export.presets import NO_TEACHER, Preset
from edge_lstm_export.reading import ReadAlone, linear_alone
from edge_lstm_export.short_teaching import MOST_IN_FOLD, MOST_TO_MAKE_OF, OWN_LABELS, ShortTeachers
from edge_lstm_export.teacher import adds, blend_weights, blended

if TYPE_CHECKING:
    from edge_lstm_export.teacher.transformer import Encoder


MOST_ASKED = 1_999  # texts that show whether the embedded model knows their labels, so few for its time


def is_few(job: TrainingJob, dataset: Dataset, labeller: ByTeacher | None) -> bool:
    """Whether the training is judged by cross-validation, and no text is held out."""
    return (
        job.preset != AUTO  # the presets are compared by the validation part
        and job.features == NGRAMS
        and job.validation_share is None
        and not dataset.several
        and FEWEST_TEXTS_TO_CROSS_FIT <= len(dataset.train) < FEW_TEXTS
        and (job.distillation is None or teaches_short(job, labeller))
    )


def load_teacher(job: TrainingJob, dataset: Dataset, labeller: ByTeacher | None) -> Encoder | None:
    """The teacher of short texts, where it is an encoder: read once, since a large one takes its time."""
    if job.distillation is None or not job.distillation.is_transformer or not teaches_short(job, labeller):
        return None
    from edge_lstm_export.teacher.hub import load_encoder

    return load_encoder(job.distillation.teacher, len(dataset.labels))


def teachers_of(
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
    """The teachers that the job asks for. sentiment: the embedded model is one of them. reading: the labelled
    texts as the linear teacher reads them, where that is known."""
    own = OWN_LABELS if job.own_labels is None else job.own_labels
    return ShortTeachers(
        prepared, network, distillation, encoder, own, seed, say, sentiment=sentiment, reading=reading
    )


def with_made(
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
    were right. Those that were asked for are not compared.
    """
    ask = bool(prepared.made.texts) and not prepared.further and job.made_texts is None
    ways = (False, True) if ask else (bool(prepared.made.texts),)
    answers: list[tuple[PartLogits, npt.NDArray[np.bool_]]] = []
    sized = partial(sized_options, job, base)
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


def sentiment_helps(
    job: TrainingJob,
    dataset: Dataset,
    labeller: ByTeacher | None,
    encoder: Encoder | None,
    alone: ReadAlone,
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
    if job.distillation is not None and not teaches_short(job, labeller):
        return False
    train, seed = dataset.train, job.seed
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
        apart = blended(opinions, blend_weights(opinions, labels)) if opinions[1:] else opinions[0]
        together = blended([*opinions, said], blend_weights([*opinions, said], labels))
        with_it, without = (one.argmax(axis=1) == labels for one in (together, apart))
        if not adds(together, apart, labels) or (many and not _clearly_worse(without, with_it)):
            return None
        return float(with_it.mean()), float(without.mean())

    opinions = [linear_alone(job, replace(dataset, train=train), alone)]
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
