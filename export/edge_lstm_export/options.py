"""What a training can be told: plain values, their ranges and nothing that acts on them.

Every dataclass here is frozen and made of plain values, so that a plan can be printed, edited, kept
in a checkpoint and compared. A value of another type or out of range is a DataError that names the
field.
"""

from __future__ import annotations

from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

from edge_lstm.errors import DataError
from edge_lstm.layers import (
    MAX_IDS,
    MAX_LABELS,
    MAX_NGRAMS,
    Lstm,
    NetworkConfig,
    NGramCounts,
)
from edge_lstm.model_checks import MAX_LENGTH
from edge_lstm.printable import CONTROL_CHARACTER
from edge_lstm.question import QuestionType
from edge_lstm.ranges import Range, check_ranges
from edge_lstm.tables.labelled import LabelOptions
from edge_lstm.text import DEFAULT_LENGTH

Rule = Literal["subwords", "keras"]
Pooling = Literal["last", "mean+max"]
SparseFit = Literal["svm", "logistic", "low-rank", "low-rank+svm", "residual"]
TeacherKind = Literal["linear", "model", "probe", "fine-tuned", "classifier"]

UNTUNED = 0.5  # the threshold of a label that no validation text has
T = TypeVar("T")

NO_TEACHER = "none"
# Model files of the package, by the names that a plan has for them.
SENTIMENT = "sentiment"
SMALL_SENTIMENT = "sentiment-small"


def is_transformer(source: str | None) -> bool:
    """Return whether the teacher that is asked for is a transformer: a folder, or a hub name."""
    return source is not None and source != NO_TEACHER and not is_model_file(source)


def is_model_file(source: str) -> bool:
    """Return whether the name names a model file or a checkpoint, not a transformer."""
    is_file = source.lower().endswith((".onnx", ".safetensors"))
    return is_file or source in (SENTIMENT, SMALL_SENTIMENT)


Share = Annotated[float, Range(0, 1)]
ShareBelowOne = Annotated[float, Range(0, 1, below=True)]
ShareAboveZero = Annotated[float, Range(0, 1, above=True)]
Positive = Annotated[float, Range(0, 1e6, above=True)]
NonNegative = Annotated[float, Range(0, 1e6)]
SmallCount = Annotated[int, Range(1, 1000)]
Count = Annotated[int, Range(1, 10**6)]
LargeCount = Annotated[int, Range(1, 10**12)]
MOST_WIDTH = 4096
Width = Annotated[int, Range(1, MOST_WIDTH)]
Seed = Annotated[int, Range(0, 2**63 - 1)]


class Options:
    """The base of frozen dataclasses whose values are of the declared types and ranges."""

    def __post_init__(self) -> None:
        """Raise DataError for a value of another type, or out of its range."""
        try:
            check_ranges(self)
        except ValueError as error:
            raise DataError(str(error)) from None


def from_plain(kind: type[T], values: object, where: str) -> T:
    """Make a frozen dataclass of plain values, and the ones within it, from a mapping.

    Raise DataError, which says ``where``, for an unknown name, a missing one, or a value out of
    range.
    """
    types = get_type_hints(kind)
    if not isinstance(values, dict):
        raise DataError(f"{where} must be a table of {', '.join(types)}")
    for name in values:
        if name not in types:
            raise DataError(f"{where} has no {name!r}; it has {', '.join(sorted(types))}")
    for name in sorted(types.keys() - values.keys()):
        raise DataError(f"{where} lacks {name!r}; write it with 'edge-lstm train --dry-run --json'")
    parts = {
        n: from_plain(types[n], v, f"[{n}]") for n, v in values.items() if is_dataclass(types[n])
    }
    parts |= {n: tuple(v) for n, v in values.items() if isinstance(v, list)}
    try:
        return kind(**{**values, **parts})
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


@dataclass(frozen=True)
class SourceFile(Options):
    """A model file to start from.

    source: its path, a name of the package's, or "" for none.
    sha256: digest of the file at that path, so that a plan always means the same file.
    """

    source: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if CONTROL_CHARACTER.search(self.source):
            raise DataError(f"source must be a path or a name, not {self.source!r:.40}")


@dataclass(frozen=True)
class TeacherOptions(SourceFile):
    """A teacher.

    kind: ``linear``; ``model``, a model file; ``probe``, ``fine-tuned`` or ``classifier``, a
        transformer.
    source: its path or name, "" for the linear one.
    """

    kind: TeacherKind = "linear"

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.kind == "linear") == bool(self.source):
            raise DataError(
                f"teacher {self.kind!r} has the source {self.source!r}; linear alone has none"
            )

    @property
    def name(self) -> str:
        """The teacher's name, for people."""
        source = Path(self.source).name
        names = {
            "linear": "linear",
            "model": f"model {source}",
            "probe": f"{source}, linear probe",
            "fine-tuned": f"{source}, fine-tuned",
            "classifier": source,
        }
        return names[self.kind]


@dataclass(frozen=True)
class DataOptions(LabelOptions, Options):
    """How sources are read: labelled files as LabelOptions say, and the rest.

    test: a labelled file of test texts.
    test_share: without it and without a test split in the source, this share of each label's texts
        is held out, drawn by ``seed``; None: a tenth, of 2,000 texts or more.
    unlabelled: of IMDB, whether its texts without a label are read too.
    """

    test: Path | None = None
    test_share: Annotated[float | None, Range(0, 1, below=True)] = None
    seed: Seed = 0
    unlabelled: bool = False


@dataclass(frozen=True)
class TextOptions(Options):
    """How a text becomes ids.

    rule: of words (edge_lstm.text): Keras's, or words with subwords for unknown ones.
    length: ids of a text that the model reads, its last ones.
    """

    rule: Rule = "subwords"
    length: Annotated[int, Range(1, MAX_LENGTH)] = DEFAULT_LENGTH


def network_config(**values: Any) -> NetworkConfig:
    """Make a network's shape.

    Raises DataError for values that do not fit together.
    """
    try:
        return NetworkConfig(**values)
    except ValueError as error:
        raise DataError(f"{error}; give other sizes or layers") from None


@dataclass(frozen=True)
class NetworkOptions(Options):
    """The network of a training: one LSTM and n-grams, or n-grams alone.

    hidden: units of each direction of the LSTM; 0: no LSTM, and no embedding.
    pooling: what the head reads of the LSTM: the ``last`` state of each direction, or the mean and
        the maximum of its outputs over the text's own tokens.
    dropout: probability, in training, on the embedding and on what the head reads of the LSTM.

    The others are as in :class:`NetworkConfig`.
    """

    num_words: Annotated[int, Range(5, MAX_IDS)] = 5000
    embedding_dim: Annotated[int, Range(0, MOST_WIDTH)] = 32
    hidden: Annotated[int, Range(0, MOST_WIDTH)] = 100
    bidirectional: bool = False
    pooling: Pooling = "last"
    labels: Annotated[int, Range(2, MAX_LABELS)] = 2
    dropout: ShareBelowOne = 0.0
    ngram_words: Annotated[int, Range(0, MAX_IDS)] = 0
    ngram_slots: Annotated[int, Range(0, MAX_NGRAMS)] = 0
    ngram_dim: Annotated[int, Range(0, 4096)] = 0
    ngram_counts: NGramCounts = (1,)
    multi_label: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        # Refuses what does not fit together.
        _ = self.config

    @property
    def config(self) -> NetworkConfig:
        """The network's shape."""
        lstm = Lstm(self.hidden, self.bidirectional, self.pooling) if self.hidden else None
        return network_config(
            num_words=self.num_words,
            embedding_dim=self.embedding_dim,
            layers=(lstm,) if lstm else (),
            ngram_words=self.ngram_words,
            ngram_slots=self.ngram_slots,
            ngram_dim=self.ngram_dim,
            ngram_counts=self.ngram_counts,
            labels=self.labels,
            multi_label=self.multi_label,
        )

    @property
    def ngrams(self) -> int:
        """The n-gram vectors, of words and pairs."""
        return self.config.ngrams

    @property
    def logits(self) -> int:
        """Columns of the head."""
        return self.config.logits


@dataclass(frozen=True)
class VocabularyOptions(Options):
    """Words and subwords that get an id (the rule ``subwords``).

    longest_word: characters; a longer word is read as subwords.
    longest_subword: characters.
    fewest_words: different words that hold a subword, at least.
    fewest_uses: of a subword in a reading of the texts, at least, in an unsegmented script.
    subword_share: subwords, as a share of the ids, if words fill the others.
    most_subword_share: the same if words leave room. Shares are of the planned ids, of which few
        texts fill fewer.
    mark_log_odds: a punctuation mark is a word if its log odds ratio of a label is at least this
        ...
    mark_errors: ... and at least this number of its standard errors, more if labels are many.
    expansion: add words of the table of embeddings that are near the words of the texts.
    """

    longest_word: SmallCount = 60
    longest_subword: SmallCount = 6
    fewest_words: Count = 3
    fewest_uses: Count = 5
    subword_share: Share = 0.2
    most_subword_share: Share = 0.4
    mark_log_odds: NonNegative = 0.2
    mark_errors: NonNegative = 3.0
    expansion: bool = False


@dataclass(frozen=True)
class SparseOptions(Options):
    """The n-gram part: its columns, and how they are fitted.

    fit: ``svm``: linear SVMs on the rows' labels. ``logistic``: a logistic regression on soft
        targets. ``residual``: the same on what the trained LSTM leaves of them, with n-grams chosen
        for that. These have a column per logit. ``low-rank``: vectors of a lower rank by gradient
        steps. ``low-rank+svm``: the same, merged with SVMs.
    selection: which word pairs get a vector: the most ``frequent``, or the most ``telling``, by
        their log-count ratio of a label.
    characters: whether the fit reads the character n-grams of words.
    shortest, longest: of those.
    fewest_texts: that hold a pair or a character n-gram, at least.
    embeddings: length of a text's word embeddings in the fit, in lengths of its n-grams; 0 leaves
        them out.
    regularization: C of the SVMs.
    bayes: spread of naive Bayes' scores, in spreads of the SVMs'; 0 leaves it out. Not with several
        labels.
    bayes_smoothing: added to each count of naive Bayes.
    bayes_by_label: each label's scores of naive Bayes get that spread, and the mean 0. Without it
        all labels have one factor.
    ridge: of the logistic regression.
    steps: of L-BFGS, at most.
    candidates: n-grams that ``residual`` tries for each one that gets a vector.
    epochs, batch_size, learning_rate (peak), warmup (share of the steps), dropout (share of a
        text's n-grams that a step leaves out), label_smoothing, first_spread (standard deviation of
        the first values): of the fit of a lower rank.
    """

    fit: SparseFit = "svm"
    selection: Literal["frequent", "telling"] = "frequent"
    characters: bool = True
    shortest: SmallCount = 2
    longest: SmallCount = 5
    fewest_texts: Count = 2
    embeddings: NonNegative = 0.0
    regularization: Positive = 0.5
    bayes: NonNegative = 0.0
    bayes_smoothing: Positive = 0.3
    bayes_by_label: bool = False
    ridge: NonNegative = 1e-4
    steps: Count = 50
    candidates: SmallCount = 4
    epochs: Count = 20
    batch_size: Count = 64
    learning_rate: Positive = 0.01
    warmup: Share = 0.1
    dropout: ShareBelowOne = 0.5
    label_smoothing: ShareBelowOne = 0.05
    first_spread: NonNegative = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shortest > self.longest:
            raise DataError("shortest must not be above longest")


@dataclass(frozen=True)
class Validation(Options):
    """How the network is judged.

    A share of the training texts is held out. Or, with ``folds``, each text is judged by a network
    that did not learn from its fold, and the written one learns from all.

    Neither: the training loss.

    group_column: of the data; rows with the same value stay on one side of every split and in one
        fold, the teachers' too. "": rows are drawn one by one.
    """

    share: ShareBelowOne = 0.1
    folds: Annotated[int, Range(0, 20)] = 0
    group_column: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.folds == 1:
            raise DataError("folds must be 0, or 2 or more, not 1")
        if self.folds and self.share:
            raise DataError("validation is by share or by folds; set one of them to 0")


@dataclass(frozen=True)
class LoopOptions(Options):
    """The training loop of the LSTM.

    epochs: passes over the texts, at most.
    batch_size: texts per step.
    learning_rate: the peak. It rises over the first ``warmup`` share of the steps, then falls to
        zero along a cosine.
    weight_decay: of AdamW, on matrices.
    clip: largest norm of the gradient.
    patience: epochs without a better validation loss before the training stops.
    word_vectors: start the embedding from the words' neighbours in all texts.
    embedding_range: other first values of the embedding lie within ± this.
    embedding_rate: learning rate of the embedding, as a share of the others'.
    word_dropout: share of a text's ids that a step reads as unknown.
    crops: share of a step's texts of which only a random part is read.
    smallest_crop, fewest_crop_tokens: that part's least share of the text, and least number of
        tokens.
    batches_per_chunk: batches whose texts are sorted by length together.
    """

    epochs: Count = 6
    batch_size: Count = 32
    learning_rate: Positive = 2e-3
    warmup: ShareBelowOne = 0.05
    weight_decay: NonNegative = 0.01
    clip: Positive = 1.0
    patience: Count = 3
    word_vectors: bool = False
    embedding_range: NonNegative = 0.05
    embedding_rate: Positive = 1.0
    word_dropout: ShareBelowOne = 0.0
    crops: Share = 0.0
    smallest_crop: Share = 0.4
    fewest_crop_tokens: Count = 30
    batches_per_chunk: Count = 50


@dataclass(frozen=True)
class WordVectorOptions(Options):
    """First values of the LSTM's embedding.

    window: neighbours on each side that count; one at distance d counts 1 / d.
    context_power: of the neighbours' frequencies (Levy, Goldberg and Dagan, 2015, 3.2).
    fewest_tokens: of all texts; with fewer, no vectors are made of their neighbours.
    spread: standard deviation of vectors that the texts' neighbours make.
    pretrained_spread: the same of pretrained ones.
    components: of pretrained embeddings, as the n-gram part reads them.
    smoothing: a of the smooth inverse frequency a / (a + p) (Arora, Liang and Ma, 2017).
    first_rank: added to a word's rank in Zipf's law, which gives its frequency p.
    """

    window: SmallCount = 5
    context_power: NonNegative = 0.75
    fewest_tokens: Annotated[int, Range(0, 10**9)] = 10_000
    spread: Positive = 0.2
    pretrained_spread: Positive = 1.0
    components: Width = 128
    smoothing: ShareAboveZero = 1e-4
    first_rank: Positive = 10.0


@dataclass(frozen=True)
class AugmentationOptions(Options):
    """Texts that are made of the rows, for the teachers to label (after Tang et al., 2019).

    texts_per_row: at most.
    deletion, crop, join: how often a text is made by leaving words out, by keeping a piece, and of
        the first half and the second half of another; the rest have words replaced by another
        text's.
    least_deleted, most_deleted: share of the words that are left out.
    least_kept, most_kept: share of the words in a piece.
    replaced: share of the words that are replaced.
    typos: share of wrong letters in a copy of each row, from which subwords learn; 0: no copies.
    """

    texts_per_row: Annotated[int, Range(0, 1000)] = 0
    deletion: Share = 0.35
    crop: Share = 0.25
    join: Share = 0.25
    least_deleted: Share = 0.1
    most_deleted: Share = 0.5
    least_kept: Share = 0.3
    most_kept: Share = 0.8
    replaced: Share = 1 / 3
    typos: Annotated[float, Range(0, 0.5)] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.deletion + self.crop + self.join > 1:
            raise DataError("deletion, crop and join must add up to 1 or less")
        if self.least_deleted > self.most_deleted or self.least_kept > self.most_kept:
            raise DataError("the least share of augmentation must not be above the largest")


@dataclass(frozen=True)
class EnsembleOptions(Options):
    """How teachers are fitted, and how they are weighed.

    folds: of the cross-fitting, unless the validation is by folds.
    prior: nats that hold the weights at equal shares.
    largest_logit: no teacher is more certain.
    tolerated_loss: a teacher is dropped if the log loss of all rises by more, in standard errors.
    regularization: C of a regression on a teacher's features.
    unseen: probability of a label that no row has.
    feature_scale: divides the log odds of a model file's labels, its features.
    smallest_probability: of a model file's label, at least.
    hard_label_weight: of a row's own label in its target, 0 to 1; the rest is what the teachers
        predict.
    """

    folds: Annotated[int, Range(2, 20)] = 5
    prior: NonNegative = 1.0
    largest_logit: Positive = 20.0
    tolerated_loss: NonNegative = 1.0
    regularization: Positive = 10.0
    unseen: ShareAboveZero = 1e-6
    feature_scale: Positive = 3.0
    smallest_probability: Annotated[float, Range(0, 0.5, above=True)] = 1e-4
    hard_label_weight: Share = 1.0


@dataclass(frozen=True)
class LinearOptions(Options):
    """The linear teacher, and the linear model to compare with: SVMs on TF-IDF.

    They read words, word pairs and character n-grams within words.

    regularization: C.
    characters: whether it reads character n-grams, which takes minutes and gigabytes if texts are
        long.
    shortest, longest: of those.
    embeddings: length of a text's word embeddings, in lengths of its n-grams.
    """

    regularization: Positive = 0.5
    characters: bool = True
    shortest: SmallCount = 2
    longest: SmallCount = 5
    embeddings: NonNegative = 1.5


@dataclass(frozen=True)
class EncoderOptions(Options):
    """How a transformer reads texts, and how an encoder is fine-tuned.

    window: word pieces that are read at once.
    windows: of a longer text, spread over it evenly, at most.
    batch_size, learning_rate (peak, of the encoder), head_learning_rate, warmup (share of the
        steps), weight_decay, dropout, clip: of the fine-tuning.
    epochs: passes over the texts.
    fewest_steps: the least.
    most_pieces: word pieces that are learnt from, in all.
    crop: word pieces of a text that a step reads.
    """

    window: Count = 254
    windows: SmallCount = 3
    batch_size: Count = 32
    learning_rate: ShareAboveZero = 1e-4
    head_learning_rate: ShareAboveZero = 1e-3
    warmup: ShareBelowOne = 0.06
    weight_decay: NonNegative = 0.01
    dropout: ShareBelowOne = 0.1
    clip: Positive = 1.0
    epochs: SmallCount = 2
    fewest_steps: Count = 60
    most_pieces: LargeCount = 1_000_000
    crop: Count = 128


@dataclass(frozen=True)
class HeadroomOptions(Options):
    """How far the LSTM's units keep away from their largest output.

    The scales of an int8 file depend on it.

    margin: below the largest output; many times what the export asks for, since other texts drive
        units farther than the tried ones.
    gate_factor: of a unit's output gate, if it comes nearer; its square the second time, and so on.
    most_tokens: of the texts that are tried.
    """

    margin: Annotated[float, Range(0, 0.5, above=True)] = 1e-4
    gate_factor: Annotated[float, Range(0, 1, above=True, below=True)] = 0.9
    most_tokens: LargeCount = 300_000


@dataclass(frozen=True)
class RoundingOptions(Options):
    """How weights become the numbers of an int8 file.

    passes: over the columns of a table, each of which makes up for the errors of the others.
    book_passes: of k-means, which finds the book of codes.
    book_sample: groups of numbers that it learns from, at most.
    code_damping: the higher, the less the code of a row makes up for the errors of others; in mean
        squares of a row's inputs.
    """

    passes: SmallCount = 4
    book_passes: SmallCount = 12
    book_sample: Count = 40_000
    code_damping: NonNegative = 10.0


@dataclass(frozen=True)
class CalibrationOptions(Options):
    """How the two parts are weighed, and what makes their sum probabilities.

    lstm_share: the LSTM's expected weight, the n-grams' is the rest; scaled down in proportion
        below ``enough_texts`` texts.
    prior: nats that hold the weights there.
    temperature_factor: the temperature is commonly within this factor of 1.
    rarity: multiple of the logarithm of a label's rarity that is added to its logit.
    balance: take the multiple, 0 to 1, of the best macro F1 in place of ``rarity``.
    threshold_prior: texts of a label that count as much as its probabilities in the choice of its
        threshold.
    smallest_threshold: at least.
    """

    lstm_share: Share = 0.2
    enough_texts: LargeCount = 2000
    prior: NonNegative = 20.0
    temperature_factor: Annotated[float, Range(1, 1000, above=True)] = 1.6
    rarity: NonNegative = 0.15
    balance: bool = False
    threshold_prior: NonNegative = 10.0
    smallest_threshold: ShareAboveZero = 1e-4


@dataclass(frozen=True)
class TrainingRequest(Options):
    """The wishes for a training; None if the plan decides.

    preset: a size, see defaults.PRESETS.
    teacher: "none", "sentiment", a model file, or a transformer's folder or hub name.
    classifier: whether the teacher is a classifier.
    start: a model file whose LSTM the network starts from.
    num_words: number of ids in the vocabulary.
    epochs: largest number of epochs.
    validation: share of the texts that is held out.
    balance: raise recall on rare labels, at a cost in accuracy.
    question: what the labels are.
    """

    preset: str = "small"
    teacher: str | None = None
    classifier: bool = False
    start: str | None = None
    num_words: Annotated[int | None, Range(5, MAX_IDS)] = None
    epochs: Annotated[int | None, Range(1, 1_000_000)] = None
    validation: Annotated[float | None, Range(0, 1, below=True)] = None
    balance: bool = False
    question: QuestionType | None = None
    seed: Seed = 0
