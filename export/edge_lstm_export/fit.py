"""From a data set to a checkpoint: vocabulary, examples, training, calibration, measurement."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edge_lstm import __version__
from edge_lstm.answering import RiskCoverage
from edge_lstm.errors import DataError
from edge_lstm.metrics import McNemar, SetScores
from edge_lstm.model_checks import MAX_LENGTH
from edge_lstm.text import DEFAULT_LENGTH, FIRST_WORD_ID, OOV_ID, Tokenizer
from edge_lstm_export.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edge_lstm_export.datasets import Dataset, Split, hold_out
from edge_lstm_export.datasets.warnings import abstain_warning, result_warnings, set_warnings
from edge_lstm_export.evaluation import (
    Scores,
    divide_logits,
    favouring,
    fit_temperature,
    log_probabilities,
    predict_logits,
    score,
    score_sets,
)
from edge_lstm_export.examples import Examples
from edge_lstm_export.kept import Kept
from edge_lstm_export.linear_part import Finished, begin_linear_part, finish_linear_part, learn_from_all
from edge_lstm_export.made_texts import NOTHING_MADE, Made
from edge_lstm_export.more_rows import Curve
from edge_lstm_export.network import Network, NetworkConfig
from edge_lstm_export.ngram_features import Features, choose_ngrams, learn_features
from edge_lstm_export.ngram_part import Finished as FinishedNGrams
from edge_lstm_export.ngram_part import (
    Lesson,
    PartLogits,
    finish_ngram_part,
    learn_ngrams_from_all,
    part_logits,
    silence,
    vector_width,
)
from edge_lstm_export.ngram_svm import Vectors, exact
from edge_lstm_export.presets import TrainingOptions
from edge_lstm_export.pretrained import Meanings
from edge_lstm_export.thresholds import UNTUNED, choose_thresholds
from edge_lstm_export.training import Callbacks, Progress, TrainingResult, train_network
from edge_lstm_export.vocabulary import (
    SPACELESS_SHARE,
    adopted,
    count_words,
    informative_marks,
    letters_of,
    most_frequent,
    most_informative,
    rare_words,
    read_word_index,
    unknown_share,
    words_and_pieces,
)
from edge_lstm_export.weights import round_to_int8
from edge_lstm_export.word_vectors import SPREAD, word_vectors

VALIDATION_SHARE = 0.1
WORD_CHOICES = ("frequent", "telling")


@dataclass(frozen=True)
class VocabularyOptions:
    """num_words: ids below it are in use; skip_top: so many of the most frequent words are left out;
    drop_unknown: words outside the vocabulary are left out of a text (else they are id 2);
    length: ids of a text that are kept; word_index: Keras's index in place of the data's own words.
    choice: the words that are most ``frequent``, or those most ``telling`` of the labels.
    pieces: unknown words are read as pieces (the text rule pieces-1). rare: beside them a word
        that occurs once is known too, not read as pieces.
    pretrained: with pieces, what pretrained vectors say of words is learnt from too, where it helps: those of
        the file ``pretrained_vectors``, see pretrained.read_vectors, else of English words.
    misspelt: before that, as the known word that is one mistake away (pieces-2); with pieces, and not where
        most words are in a script without spaces.
    """

    num_words: int = 5000
    skip_top: int = 0
    drop_unknown: bool = False
    length: int = DEFAULT_LENGTH
    word_index: Path | None = None
    choice: str = "frequent"
    pieces: bool = False
    misspelt: bool = False
    rare: bool = False
    pretrained: bool = True
    pretrained_vectors: Path | None = None

    def __post_init__(self) -> None:
        if self.skip_top < 0:
            raise DataError(f"--skip-top must be at least 0, not {self.skip_top}")
        if self.choice not in WORD_CHOICES:
            raise DataError(f"--words must be one of {', '.join(WORD_CHOICES)}, not {self.choice!r}")
        if self.pieces and (self.choice == "telling" or self.word_index is not None):
            raise DataError(
                "pieces are chosen with the most frequent words; leave pieces=yes out, or words=telling "
                "and the word index"
            )
        if self.misspelt and not self.pieces:
            raise DataError("misspelt=yes is read beside pieces; add --set pieces=yes, or leave it out")
        if self.pretrained_vectors is not None and not self.pretrained:
            raise DataError("pretrained=no leaves the pretrained-vectors out; leave out one of the two")
        if not 1 <= self.length <= MAX_LENGTH:
            raise DataError(f"--length must be from 1 to {MAX_LENGTH:,}, not {self.length}")


@dataclass(frozen=True)
class Prepared:
    """A data set as the training takes it. validation may be empty where there are few texts.

    further: texts without a label, whose words and n-grams count too where pieces are read. made: texts made
    from the training texts, whose n-grams count too; later: texts made from the validation part, to be learnt
    from with it once it has judged; None where it is not.
    unknown_words: the share of words outside the vocabulary to expect of new texts, from 0 to 1.
    meanings: of each id, by pretrained word vectors.
    replayed: so many of the training texts, the first ones, are those of a checkpoint that is gone on from.
    spaceless: the share of words in a script without spaces, from 0 to 1, where pieces are read.
    rare: so many of the vocabulary's words, the last ones, occur once. alone: with the vocabulary that the
    labelled texts alone would have, where other words came into it.
    """

    dataset: Dataset
    tokenizer: Tokenizer
    train: Split
    validation: Split
    unknown_words: float
    spaceless: float = 0.0
    further: tuple[str, ...] = ()
    made: Made = NOTHING_MADE
    later: tuple[str, ...] | None = None
    meanings: Meanings | None = None
    replayed: int = 0
    rare: int = 0
    alone: Tokenizer | None = None

    @cached_property
    def train_examples(self) -> Examples:
        """The training texts as ids, with hard targets."""
        return self.examples(self.train)

    @cached_property
    def train_as_new(self) -> Examples:
        """The same, read as a network reads them that did not learn from them: words that occur once are
        read as pieces."""
        if not self.rare:
            return self.train_examples
        full = self.tokenizer
        often = full.words[: -self.rare]
        read = Examples.from_texts(
            replace(full, words=often),
            self.train.texts,
            self.train_examples.targets,
        )
        of_pieces = read.ids >= FIRST_WORD_ID + len(often)
        return replace(read, ids=read.ids + np.int32(self.rare) * of_pieces)

    @cached_property
    def _features(self) -> dict[bytes, Features]:
        return {}

    @property
    def taught(self) -> Tokenizer | None:
        """The vocabulary without words of which nothing is known but what they mean: neither texts of a log
        nor made ones hold them. None where there are no such words."""
        return None if self.further or self.made.texts or self.meanings is None else self.alone

    def features(self, network: Network) -> Features:
        """What the linear model of the network's n-gram part reads."""
        assert network.ngrams is not None
        ngrams = network.ngrams.ids.numpy()
        key = ngrams.tobytes()
        if key not in self._features:
            self._features.clear()  # a training asks for one network's, some times
            self._features[key] = learn_features(ngrams, self.tokenizer, self.meanings, self.taught)
        return self._features[key]

    def all_examples(self) -> Examples:
        """The training texts, the further and the made ones, with targets that say nothing."""
        more = [*self.further, *self.made.texts]
        labels = len(self.dataset.labels)
        beside = Examples.from_texts(self.tokenizer, more, np.zeros((len(more), labels), np.float32))
        every = self.train_examples.joined(beside)
        return replace(every, targets=np.full_like(every.targets, 1 / labels))

    def examples(self, split: Split) -> Examples:
        """The split's texts as ids, with hard targets."""
        return Examples.from_texts(self.tokenizer, split.texts, split.targets(len(self.dataset.labels)))


def check_validation_share(share: float) -> None:
    """DataError where it is none."""
    if not 0 <= share < 1:
        raise DataError(f"--validation must be from 0 to below 1, not {share}")


def prepare(
    dataset: Dataset,
    vocabulary: VocabularyOptions,
    *,
    validation_share: float = VALIDATION_SHARE,
    seed: int = 0,
    further: Sequence[str] = (),
    more_words: Callable[[Sequence[str], int], Sequence[str]] | None = None,
) -> Prepared:
    """Splits the validation part off the training split and fixes the vocabulary.

    Frequent words are counted over the whole training split, the validation part with it: that reads no
    label, and the ids are then those of Keras's index on the same data. Telling words are chosen without
    the validation part, whose labels must stay unread. The test split is not read.
    more_words: of these words and at most so many, which others are to be known where pieces are read and the
    texts leave room.
    """
    check_validation_share(validation_share)
    train, validation = hold_out(dataset.train, validation_share, seed)
    kinds = len(dataset.labels) + dataset.several  # a text with no label is one more
    if vocabulary.pieces:
        every = [*dataset.train.texts, *further]
        marks = informative_marks(train.texts, train.labels.tolist(), kinds)
        words, pieces, spaceless = words_and_pieces(
            every, vocabulary.num_words, vocabulary.skip_top, marks, rare=vocabulary.rare
        )
        rare = rare_words(every, words, marks) if vocabulary.rare else 0
        oov = None if vocabulary.drop_unknown else OOV_ID
        alone = None
        if further or more_words is not None:
            own, own_pieces, _ = words_and_pieces(
                dataset.train.texts, vocabulary.num_words, vocabulary.skip_top, marks
            )
            letters = letters_of(own) if vocabulary.misspelt and spaceless <= SPACELESS_SHARE else ""
            alone = Tokenizer(own, vocabulary.length, oov, own_pieces, letters)
        if more_words is not None:
            room = vocabulary.num_words - FIRST_WORD_ID - len(words) - len(pieces)
            words = (*words, *more_words(words, room))
        letters = letters_of(words) if vocabulary.misspelt and spaceless <= SPACELESS_SHARE else ""
        tokenizer = Tokenizer(words, vocabulary.length, oov, pieces, letters)
        often = tokenizer
        if rare:
            often = Tokenizer(words[: len(words) - rare], vocabulary.length, oov, pieces, letters)
        unknown = unknown_share(often, dataset.train.texts)
        return Prepared(
            dataset,
            tokenizer,
            train,
            validation,
            unknown,
            spaceless,
            tuple(further),
            rare=rare,
            alone=alone,
        )
    counts = count_words(dataset.train.texts)
    if vocabulary.word_index is not None:
        words = adopted(read_word_index(vocabulary.word_index), vocabulary.num_words, vocabulary.skip_top)
    elif vocabulary.choice == "telling":
        words = most_informative(
            train.texts,
            train.labels.tolist(),
            kinds,
            vocabulary.num_words,
            vocabulary.skip_top,
        )
    else:
        words = most_frequent(counts, vocabulary.num_words, vocabulary.skip_top)
    oov = None if vocabulary.drop_unknown else OOV_ID
    tokenizer = Tokenizer(words, vocabulary.length, oov)
    return Prepared(dataset, tokenizer, train, validation, _unknown_words(counts, words))


def initialise(network: Network, examples: Examples, options: TrainingOptions) -> None:
    """What can be had from the texts before the first step: the linear part, fitted to the examples' targets,
    and word vectors for the embedding, where the options say so."""
    begin_linear_part(network, examples)
    if options.word_vectors:
        embedding = network.embedding.weight
        vectors = word_vectors(examples, network.config.num_words, network.config.embedding_dim, options.seed)
        if vectors is not None:
            with torch.no_grad():
                values = torch.from_numpy(vectors)
                embedding.copy_(torch.where(values.isnan(), embedding, values))


@dataclass(frozen=True)
class OldTest:
    """The old labels' test texts: how many, the accuracy of the old and of the new network, from 0 to 1 (of
    several labels a text, the share with exactly theirs), and McNemar's test of the two; ``first`` in it is
    the old one."""

    texts: int
    before: float
    after: float
    test: McNemar


@dataclass(frozen=True)
class Fitted:
    """A trained checkpoint and how it came about; test is None where it was not read.

    old_test: of a training that went on from a checkpoint, what became of the old labels.
    remarks: what a person should know of the result, a line each. cross_validated: ``validation`` is of
    models that were trained on the other folds of the training texts, not of a part that was held out.
    curve: accuracy over the number of rows, where it was asked for.
    """

    checkpoint: Checkpoint
    result: TrainingResult
    validation: Scores | SetScores | None
    test: Scores | SetScores | None
    remarks: tuple[str, ...] = ()
    old_test: OldTest | None = None
    cross_validated: bool = False
    curve: Curve | None = None


def new_network(prepared: Prepared, shape: NetworkConfig, seed: int) -> Network:
    """A network of the given shape for these words and labels, its first weights drawn by ``seed``.

    ``shape.ngrams`` is the most n-grams that may have a vector: as many are chosen as the texts have.
    """
    labels = len(prepared.dataset.labels)
    several = prepared.dataset.several
    config = replace(shape, num_words=prepared.tokenizer.num_ids, labels=labels, several=several)
    ngrams = None
    if shape.ngrams:
        ngrams = choose_ngrams(prepared.all_examples(), shape.ngrams, prepared.tokenizer.num_ids)
        width = vector_width(config, shape.ngram_dim) if len(ngrams) else 0
        config = replace(config, ngrams=len(ngrams), ngram_dim=width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(config)
    if network.ngrams is not None and ngrams is not None:
        network.ngrams.choose(ngrams)
    begin_with_meanings(network, prepared.meanings)
    return network


def begin_with_meanings(network: Network, meanings: Meanings | None) -> None:
    """The embedding's first values, of the words that are known: the first components of what they mean."""
    if meanings is None:
        return
    vectors = meanings.vectors
    width = min(vectors.shape[1], network.config.embedding_dim)
    known, first = vectors.any(axis=1), vectors[:, :width]
    values = torch.from_numpy(first[known] * np.float32(SPREAD / max(1e-9, float(first[known].std()))))
    with torch.no_grad():
        network.embedding.weight[np.flatnonzero(known), :width] = values


def fit(
    prepared: Prepared,
    network: Network,
    options: TrainingOptions,
    *,
    lesson: Lesson | None = None,
    judged: Examples | None = None,
    callbacks: Callbacks | None = None,
    resume: Progress | None = None,
    device: str = "cpu",
    read_test: bool = True,
    described: Mapping[str, Any] | None = None,
    keep_rows: bool = False,
    precision: float | None = None,
    crossed: PartLogits | None = None,
    abstain: float | None = None,
    ngrams_from: Vectors | None = None,
    favoured: tuple[int, float] | None = None,
) -> Fitted:
    """Trains ``network``, calibrates it on the validation part and measures it.

    The test split is read once, at the end, where ``read_test`` says so. A training that is interrupted ends
    at once: the checkpoint is its best epoch as that was validated, not finished and not measured.
    lesson: takes the place of the training split with its own labels (distillation, made texts).
    judged: texts with a teacher's targets, which choose the epoch, weigh the parts and calibrate beside the
    validation part. They say nothing of how often the network is right.
    ``described`` is added to the checkpoint's provenance. keep_rows: the checkpoint keeps the texts, see
    kept.py. precision: that each label's threshold is to reach, where a text may have several labels; None:
    the best F1.
    crossed: what cross-validation answered the training texts, each of which has one label, in the place of
    the validation part (see cross_validation.py). abstain: the share of wrong answers that the model keeps to
    where nothing else is asked for; where the texts do not show a threshold for it, it has none and says so.
    ngrams_from: what the n-gram part begins with, see narrow_vectors.fit_narrow. favoured: the first labels,
    so many, and how much a validation text of theirs counts beside one of the others (evaluation.favouring).
    """
    validation = None
    if len(prepared.validation) and crossed is None:
        validation = prepared.examples(prepared.validation)
    if validation is not None and judged is not None:
        validation = validation.joined(judged)
    lesson = Lesson.of(prepared.train_examples, None) if lesson is None else lesson
    examples = lesson.examples
    cross_validated = crossed is not None and not len(prepared.validation)
    if network.ngrams is not None:
        silence(network)
    result = train_network(
        network,
        examples,
        options,
        validation,
        labelled=len(prepared.validation),
        callbacks=callbacks,
        resume=resume,
        device=device,
    )
    labels, temperature = prepared.dataset.labels, 1.0
    several, thresholds = network.config.several, None
    on_validation: Scores | SetScores | None = None
    on_test: Scores | SetScores | None = None
    finished: Finished | None = None
    ngrams: FinishedNGrams | None = None
    said: tuple[str, ...] = ()
    abstention = None
    if result.outcome == "interrupted":
        temperature = (result.best and result.best.temperature) or 1.0
        if crossed is not None:
            temperature = fit_temperature(torch.from_numpy(crossed.lstm), torch.from_numpy(crossed.targets))
        divide_logits(network, temperature)
    elif network.ngrams is not None:
        answers = crossed
        if validation is not None:
            features = prepared.features(network)
            answers = part_logits(network, lesson, validation, features, options.seed, ngrams_from)
        ngrams = finish_ngram_part(
            network, lesson, answers, prepared.features(network), options.seed, ngrams_from
        )
    if result.outcome != "interrupted" and (validation is not None or crossed is not None):
        if several:
            # Thresholds lie where many texts are, and each text has as many chances to cross one as labels:
            # of GoEmotions' 28, int8 gave 1.4 % of the texts other labels, and with this 0.2 %.
            round_to_int8(network)
        if crossed is not None and ngrams is not None:
            logits = torch.from_numpy(crossed.together(ngrams))
            targets, judges, judged_by = crossed.targets, prepared.validation, "validation part"
            if cross_validated:
                judges, judged_by = prepared.train, "training texts, cross-validated"
        else:
            assert validation is not None
            if network.pairs is not None:
                finished = finish_linear_part(network, examples, validation)
            logits, judges = predict_logits(network, validation), prepared.validation
            targets, judged_by = validation.targets, "validation part"
            if favoured is not None and not several and favoured[0] < len(labels):
                added = favouring(logits[: len(judges)], judges.labels, *favoured)
                logits[:, : favoured[0]] += added
                with torch.no_grad():
                    network.head.bias[: favoured[0]] += added
        temperature = fit_temperature(logits, torch.from_numpy(targets), several=several)
        divide_logits(network, temperature)
        logits = logits[: len(judges)]
        if judges.sets is not None:
            probabilities = torch.sigmoid(logits / temperature).numpy()
            thresholds = choose_thresholds(judges.sets, probabilities, precision)
            on_validation = score_sets(logits / temperature, judges.sets, labels, thresholds)
            said = tuple(set_warnings(on_validation, thresholds))
        else:
            on_validation = score(logits / temperature, judges.labels, labels)
            probabilities = log_probabilities(logits / temperature).exp().numpy()
            # Before the validation part is learnt from.
            abstention = RiskCoverage.of(probabilities, judges.labels, judged_by)
            kept_to = abstain if abstain is None or abstention.promised(abstain) else None
            abstention = replace(abstention, default=kept_to)
            said = tuple(
                result_warnings(on_validation, probabilities, judges.labels, cross_validated=cross_validated)
            )
        if finished is not None and validation is not None:
            learn_from_all(network, finished, examples.joined(validation), temperature)
        if ngrams is not None and validation is not None and lesson.vectors is None:
            learn_ngrams_from_all(
                network,
                ngrams,
                lesson.with_rows(validation),
                prepared.features(network),
                temperature,
                options.seed,
                ngrams_from,
            )
    if abstain is not None and (abstention is None or abstention.default is None):
        said = (*said, abstain_warning(abstention, abstain))
    if several and result.outcome != "interrupted":
        round_to_int8(network)  # what was learnt since, or without a validation part
    test = prepared.dataset.test
    if read_test and test is not None and result.outcome != "interrupted":
        logits = predict_logits(network, prepared.examples(test))
        if test.sets is not None:
            on_test = score_sets(logits, test.sets, labels, thresholds or (UNTUNED,) * len(labels))
        else:
            on_test = score(logits, test.labels, labels)
    provenance = {
        **_provenance(prepared, network, options, result),
        "parts": (finished and finished.to_dict()) or (ngrams and ngrams.to_dict()),
        "temperature": round(temperature, 6),
        "validation": on_validation.to_dict() if on_validation else None,
        "cross_validated": cross_validated,
        "test": on_test.to_dict() if on_test else None,
        "warnings": [*prepared.dataset.warnings, *said],
        **(described or {}),
    }
    kept = None
    if result.outcome != "interrupted":
        narrow = None if ngrams is None or exact(len(labels)) else ngrams.vectors
        kept = Kept.of(prepared.dataset, prepared.train, prepared.validation, rows=keep_rows, ngrams=narrow)
    checkpoint = Checkpoint(
        network,
        prepared.tokenizer,
        labels,
        provenance,
        abstention=abstention,
        kept=kept,
        thresholds=thresholds,
    )
    return Fitted(checkpoint, result, on_validation, on_test, said, cross_validated=cross_validated)


def _provenance(
    prepared: Prepared, network: Network, options: TrainingOptions, result: TrainingResult
) -> dict[str, Any]:
    """How the network came about, plain values, kept in the checkpoint and the model file.

    No clock's reading is among them: the same training makes the same bytes.
    """
    dataset = prepared.dataset
    counts = prepared.train.counts(len(dataset.labels))
    taught = {} if prepared.taught is None else {"taught_words": len(prepared.taught.words)}
    return {
        "data": {
            "name": dataset.name,
            "sha256": dataset.digest,
            "train_texts": dict(zip(dataset.labels, counts)),
            "validation_texts": len(prepared.validation),
            "test_texts": len(dataset.test) if dataset.test else 0,
            "unknown_words": round(prepared.unknown_words, 4),
            **taught,
            "checks": dict(dataset.checks),
        },
        "parameters": sum(count for _, _, count in network.parameter_table()),
        "options": options.to_dict(),
        "outcome": result.outcome,
        "epochs": len(result.history),
        "best_epoch": result.best.epoch if result.best else None,
        "versions": {
            "edge-lstm": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    }


def _unknown_words(counts: Counter[str], words: tuple[str, ...]) -> float:
    """The share of words outside the vocabulary to expect of new texts like these (Good & Turing: words
    that occur once stand for those that a next text brings). ``evaluate`` compares other texts with it.
    """
    known = sum(counts[word] for word in words if counts[word] > 1)
    return 1 - known / max(1, counts.total())


def save_progress(
    path: Path, prepared: Prepared, network: Network, progress: Progress, settings: Mapping[str, Any]
) -> None:
    """Keeps an unfinished training, with the settings that it must be resumed with."""
    plain = {"settings": dict(settings), "progress": progress.plain}
    save_checkpoint(
        Checkpoint(network, prepared.tokenizer, prepared.dataset.labels, plain, progress.tensors), path
    )


def load_progress(path: Path, settings: Mapping[str, Any]) -> Progress:
    """What :func:`save_progress` kept. DataError where it is damaged or belongs to other settings."""
    kept = load_checkpoint(path)
    earlier, progress = kept.training.get("settings"), kept.training.get("progress")
    if not isinstance(earlier, dict) or not isinstance(progress, dict):
        raise DataError(f"{path} holds no unfinished training; start without --resume")
    for name, value in settings.items():
        if name in earlier and earlier[name] != value:  # an earlier version may not have kept all of them
            raise DataError(
                f"{path} was begun with another {name} ({earlier[name]}, now {value}); "
                "resume with the same options and data, or start without --resume"
            )
    return Progress(progress, dict(kept.state))
