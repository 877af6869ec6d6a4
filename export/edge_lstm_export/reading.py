"""How the texts of a training are read: as n-grams or in pairs, with which words, and what these mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_lstm.errors import DataError
from edge_lstm.text import spaceless, split_marks
from edge_lstm_export.budget import AUTO
from edge_lstm_export.cross_validation import FOLDS, folds_of
from edge_lstm_export.datasets import Dataset, Split
from edge_lstm_export.distillation import EMBEDDED
from edge_lstm_export.fit import VALIDATION_SHARE, Prepared, VocabularyOptions, prepare
from edge_lstm_export.job import NGRAMS, PAIRS, TrainingJob, shape_of, vocabulary_options
from edge_lstm_export.made_texts import (
    NEAR_OF_ENCODER,
    WANTED,
    WANTED_OF_ENCODER,
    WANTED_OF_MANY,
    make_texts,
    near_variants_of,
    variants_of,
    with_near_words,
)
from edge_lstm_export.network import NetworkConfig
from edge_lstm_export.ngram_features import choose_ngrams, learn_features
from edge_lstm_export.ngram_svm import FEW_TEXTS, CrossFitted, cross_fit, cross_fit_meanings, exact
from edge_lstm_export.presets import NO_TEACHER, WORD_BYTES, Preset, preset, short_form
from edge_lstm_export.short_teaching import MOST_TO_MAKE_OF
from edge_lstm_export.vocabulary import SPACELESS_SHARE, line_bytes

if TYPE_CHECKING:
    from edge_lstm_export.pretrained import PretrainedWords
    from edge_lstm_export.teacher.transformer import Encoder


MOST_WORDS_OF_SHORT = 60  # IMDB's reviews have 230, sentences and questions 5 to 30
FEWEST_TO_TELL = 100  # texts: below, whether words that occur once are known is not asked of them
MOST_FOR_RARE = 500  # texts: it is tried with 200 and 300 that words which occur once may be known


def with_features(job: TrainingJob, dataset: Dataset, say: Callable[[str], None]) -> TrainingJob:
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


def check_pretrained(job: TrainingJob, dataset: Dataset) -> None:
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


def sized_preset(
    job: TrainingJob, base: Preset, prepared: Prepared, shape: NetworkConfig | None = None
) -> Preset:
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


def word_bytes(dataset: Dataset) -> float:
    """Mean bytes of a line in the vocabulary, of the words that occur more than once."""
    counts = Counter(word for text in dataset.train.texts for word in split_marks(text))
    return line_bytes([word for word, count in counts.items() if count > 1], WORD_BYTES)


def _spaceless_share(dataset: Dataset) -> float:
    """Of the training texts, those that hold words in a script without spaces, 0 to 1."""
    return sum(map(spaceless, dataset.train.texts)) / max(1, len(dataset.train))


@dataclass(frozen=True)
class Reading:
    """How texts are read that have no teacher: the job and its data, and what linear models that read so say
    of the training texts, each by one that did not see it; None where that was not asked."""

    job: TrainingJob
    prepared: Prepared
    found: CrossFitted | None = None


def best_reading(
    job: TrainingJob,
    base: Preset,
    dataset: Dataset,
    prepared: Prepared,
    few: bool,
    say: Callable[[str], None],
) -> Reading:
    """The job and its data as a linear model reads them best: as they are; of few texts, with words that
    occur once, where it is right more often so; or with what pretrained vectors say of words, where it is
    surer so.

    Words that occur once, alone, of 1,500 held-out rows of the training split, six draws of 200 (emotion
    300), without them, with them, and as is chosen: trec6 63.8, 65.5, 65.3 %; spam 97.0, 95.6, 97.0; SST-2
    60.9, 61.5, 60.9; emotion 59.0, 58.9, 58.8. Fewer than FEWEST_TO_TELL rows cannot choose, and most are
    better off with them: five draws of 50, as was chosen and with them, trec6 48.0 and 49.3 %, emotion 50.6
    and 51.3, SST-2 56.2 and 56.4, spam (four) 93.0 and 92.3.
    """
    best = Reading(job, prepared)
    count = len(dataset.labels)
    if job.features != NGRAMS or dataset.several:  # without n-grams there is no linear model to ask
        return best
    if sum(texts > 1 for texts in dataset.train.counts(count)) < 2:
        return best
    # Of many labels they are of use to few texts, and too many SVMs would show it: banking77, ten rows a
    # label, 73.4 % without and 74.6 with them (1,500 other rows of the training split, three draws).
    most = MOST_TO_MAKE_OF if exact(count) else FEW_TEXTS - 1
    if len(dataset.train) > most:
        if vocabulary_options(job, base).pretrained_vectors is not None:
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
    if rare is not None and len(dataset.train) < FEWEST_TO_TELL:
        say(f"words that occur once: {rare[1].rare:,}, known")
        best, rare = Reading(*rare), None
    if rare is None and known is None:
        return best
    best = replace(best, found=_cross_fitted(best.job, base, best.prepared))
    if rare is not None:
        best = _better(best, Reading(*rare), base, say)
    if known is not None:
        best = _surer(best, _knowing(job, base, dataset, known), base, say)
    return best


def _better(plain: Reading, rare: Reading, base: Preset, say: Callable[[str], None]) -> Reading:
    """With words that occur once, where that is right more often."""
    rare = replace(rare, found=_cross_fitted(rare.job, base, rare.prepared))
    assert plain.found is not None and rare.found is not None
    better = rare.found.accuracy > plain.found.accuracy
    say(
        f"words that occur once: {rare.prepared.rare:,}, {'known' if better else 'read as pieces'} "
        f"({rare.found.accuracy:.1%} with them, {plain.found.accuracy:.1%} without, cross-fitted)"
    )
    return rare if better else plain


def _surer(plain: Reading, knowing: Reading, base: Preset, say: Callable[[str], None]) -> Reading:
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

    vocabulary = vocabulary_options(job, base)
    if not vocabulary.pieces or not vocabulary.pretrained:
        return None
    if vocabulary.pretrained_vectors is not None:
        return read_vectors(vocabulary.pretrained_vectors)
    known = english()
    return known if known.share_of(texts) >= LEAST_ENGLISH else None


def _knowing(job: TrainingJob, base: Preset, dataset: Dataset, known: PretrainedWords) -> Reading:
    return Reading(job, prepare_texts(job, dataset, vocabulary_options(job, base), known=known))


def _knowing_rare_words(
    job: TrainingJob, base: Preset, dataset: Dataset
) -> tuple[TrainingJob, Prepared] | None:
    """The job and its data with words that occur once; None without any, or of more texts than it is for."""
    counts = dataset.train.counts(len(dataset.labels))
    if len(dataset.train) > MOST_FOR_RARE or sum(count > 1 for count in counts) < 2:
        return None
    if not vocabulary_options(job, base).pieces:
        return None
    other = replace(job, vocabulary={**job.vocabulary, "rare": True})
    known = prepare_texts(other, dataset, vocabulary_options(other, base))
    return (other, known) if known.rare else None


def _cross_fitted(
    job: TrainingJob, base: Preset, prepared: Prepared, plain: CrossFitted | None = None
) -> CrossFitted:
    """What linear models say of the training texts, each by one that did not see it. plain: without what
    words mean, beside which that is read."""
    most = shape_of(job, sized_preset(job, base, prepared)).ngrams
    ngrams = choose_ngrams(prepared.train_examples, most, prepared.tokenizer.num_ids)
    alone = prepared.alone if prepared.meanings is not None else None
    features = learn_features(ngrams, prepared.tokenizer, prepared.meanings, alone)
    labels, count = prepared.train.labels, len(prepared.dataset.labels)
    seed = job.seed
    examples, as_new = prepared.train_examples, prepared.train_as_new
    if plain is None or features.meanings is None:
        return cross_fit(examples, features, labels, count, seed, as_new=as_new)
    return cross_fit_meanings(plain, examples, features, labels, count, seed, as_new)


class ReadAlone:
    """How a training without a teacher or a log would read labelled texts. Who is to teach is asked of it,
    and what comes after learns so: it is cross-fitted once."""

    def __init__(self) -> None:
        self._known: list[tuple[TrainingJob, Split, Reading, list[str]]] = []

    def read(self, job: TrainingJob, dataset: Dataset, say: Callable[[str], None]) -> Reading:
        """Of the training texts, all of which are learnt from; what is said of it is said each time."""
        alone = replace(job, unlabelled=None, teacher=NO_TEACHER, validation_share=0.0)
        known = [one for one in self._known if one[0] == alone and one[1] is dataset.train]
        if not known:
            remarks: list[str] = []
            plain = prepare_texts(alone, dataset, vocabulary_options(alone, alone.base))
            few = len(dataset.train) < FEW_TEXTS
            reading = best_reading(alone, alone.base, dataset, plain, few, remarks.append)
            known = [(alone, dataset.train, reading, remarks)]
            self._known += known
        [(_, _, reading, remarks)] = known
        for remark in remarks:
            say(remark)
        return reading


def linear_alone(job: TrainingJob, dataset: Dataset, alone: ReadAlone) -> npt.NDArray[np.float32]:
    """What a linear model would say of few training texts in a training without a teacher or a log, each by
    one that did not see it: probabilities, float32 [n, labels]."""
    reading = alone.read(job, dataset, lambda _: None)
    found = reading.found or _cross_fitted(reading.job, reading.job.base, reading.prepared)
    return found.probabilities


def reading_beside(
    job: TrainingJob, dataset: Dataset, alone: ReadAlone, say: Callable[[str], None]
) -> Prepared | None:
    """What the linear teacher reads where no encoder is beside it and it learns from pretrained vectors: of
    few labels, since of many it is as many SVMs in each fold."""
    if not exact(len(dataset.labels)):
        if job.vocabulary.get("pretrained_vectors") is not None:
            say(f"note: teachers of {len(dataset.labels)} labels do without pretrained-vectors")
        return None
    reading = alone.read(job, dataset, say).prepared
    return reading if reading.meanings is not None else None


def prepare_texts(
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
        known = known_words(None if sentiment else encoder, dataset.train.texts)
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
    seed = job.seed
    fold = folds_of(prepared.train, FOLDS, seed)  # a text made of rows of two folds could teach neither
    texts = prepared.train.texts
    wanted = near = WANTED if few_labels or rows >= FEW_TEXTS or further else WANTED_OF_MANY
    if few_labels and rows >= FEW_TEXTS and encoder is not None and not further:
        wanted, near = WANTED_OF_ENCODER, NEAR_OF_ENCODER
    each, each_near = variants_of(len(texts), wanted), near_variants_of(len(texts), near)
    if job.made_texts is not None:
        each = each_near = job.made_texts
    made = make_texts(texts, fold, each, seed)
    if known is not None:
        made = with_near_words(made, texts, known.beside, each_near, seed)
    prepared = replace(prepared, made=made)
    if not few_labels or rows < FEW_TEXTS or not len(prepared.validation):
        return prepared
    # What the validation part has judged is learnt from too, once it has.
    held = prepared.validation.texts
    of_held = make_texts(held, np.zeros(len(held), np.int64), each, seed)
    if known is not None:
        of_held = with_near_words(of_held, held, known.beside, each_near, seed)
    return replace(prepared, later=of_held.texts)


def known_words(encoder: Encoder | None, texts: Sequence[str]) -> PretrainedWords | None:
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
