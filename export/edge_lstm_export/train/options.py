"""What a training can be told: plain values, their ranges and nothing that acts on them.

Every dataclass here is frozen and made of plain values, so that a plan can be printed, edited, kept in a
checkpoint and compared. A value out of range is a DataError that names the field.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from edge_lstm.errors import DataError
from edge_lstm.model_checks import MAX_LENGTH
from edge_lstm.text import DEFAULT_LENGTH

Rule = Literal["subwords", "keras"]
Pooling = Literal["last", "mean+max"]
SparseFit = Literal["svm", "logistic", "low-rank", "low-rank+svm", "residual"]

# More labels than this are ids or a column of numbers: each one is a row of the head and a column of the
# targets.
MOST_LABELS = 1000
# Up to so many labels an n-gram has a column for each logit, with more a vector of a lower rank.
MOST_EXACT_LABELS = 16


@dataclass(frozen=True)
class DataOptions:
    """How sources are read.

    data_dir: the folder that holds ``imdb`` already.
    test: a labelled file of test texts; test_share: without it and without a test split in the source, this
        share of each label's texts is held out, drawn by ``seed``; None: a tenth, of 2,000 texts or more.
    input_format, text_column, label_column: of labelled files that do not say them themselves.
    label_separator, label_columns: of texts with several labels, see tables.labelled.read_labelled.
    follow_links: read what symbolic links inside a folder lead to.
    """

    data_dir: Path | None = None
    test: Path | None = None
    test_share: float | None = None
    seed: int = 0
    unlabelled: bool = False
    show_progress: bool = False
    input_format: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    label_separator: str | None = None
    label_columns: tuple[str, ...] = ()
    follow_links: bool = False

    def __post_init__(self) -> None:
        check_share("the test share", self.test_share or 0.0)


@dataclass(frozen=True)
class TextOptions:
    """rule: how a text becomes words (edge_lstm.text): Keras's, or words with subwords for unknown ones.
    num_words: ids below it are in use; length: ids of a text that the model reads, its last ones."""

    rule: Rule = "subwords"
    num_words: int = 5000
    length: int = DEFAULT_LENGTH

    def __post_init__(self) -> None:
        check_one_of("rule", self.rule, get_args(Rule))
        check_whole("num_words", self.num_words, 5, 10_000_000)
        check_whole("length", self.length, 1, MAX_LENGTH)


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that fixes the network's shape.

    num_words: ids below it are in use (``num_words`` of ``keras.datasets.imdb``); the embedding has one
        row more, as in Keras's example.
    pooling: what the head reads of the LSTM: the ``last`` state of each direction, or the mean and the
        maximum of its outputs over the text's own tokens.
    labels: 2 gives one logit with a sigmoid, more give a softmax.
    several: a text may have several labels, or none: one logit with a sigmoid for each label.
    dropout: probability, in training, on the embedding and on what the head reads of the LSTM.
    ngrams: words and word pairs that have a vector, ngram_dim wide; 0 leaves that part out.
    """

    num_words: int = 5000
    embedding_dim: int = 32
    hidden: int = 100
    bidirectional: bool = False
    pooling: Pooling = "last"
    labels: int = 2
    dropout: float = 0.0
    ngrams: int = 0
    ngram_dim: int = 0
    several: bool = False

    def __post_init__(self) -> None:
        # Far above what a low-power device runs: a larger value is a slip, or a file that asks for all
        # memory.
        check_whole("num_words", self.num_words, 5, 10_000_000)
        check_whole("embedding_dim", self.embedding_dim, 1, 4096)
        check_whole("hidden", self.hidden, 1, 4096)
        check_whole("labels", self.labels, 2, 100_000)
        check_whole("ngrams", self.ngrams, 0, 1_000_000)
        check_whole("ngram_dim", self.ngram_dim, 1 if self.ngrams else 0, 4096)
        check_flag("bidirectional", self.bidirectional)
        check_flag("several", self.several)
        check_one_of("pooling", self.pooling, get_args(Pooling))
        check_number("dropout", self.dropout, 0, 1, below=True)

    @property
    def directions(self) -> int:
        """1, or 2 where the LSTM also reads from the end."""
        return 2 if self.bidirectional else 1

    @property
    def pooled_dim(self) -> int:
        """Values that the head reads of the LSTM."""
        return self.hidden * self.directions * (2 if self.pooling == "mean+max" else 1)

    @property
    def logits(self) -> int:
        """Columns of the head: two labels, of which a text has one, need one."""
        return 1 if self.labels == 2 and not self.several else self.labels

    @property
    def head_inputs(self) -> int:
        """Values that the head reads: of the LSTM, then of the n-grams."""
        return self.pooled_dim + (self.ngram_dim if self.ngrams else 0)


@dataclass(frozen=True)
class LinearOptions:
    """The linear teacher: TF-IDF of words, word pairs and characters (``short``), or of word 1- to 3-grams
    weighted by naive-Bayes log ratios (long texts). c: inverse regularisation of the linear SVM; bayes: what
    naive Bayes counts beside it; embeddings: the length of a text's meaning beside its n-grams."""

    short: bool = True
    c: float = 0.5
    bayes: float = 0.0
    embeddings: float = 0.0

    def __post_init__(self) -> None:
        check_flag("short", self.short)
        check_number("c", self.c, 1e-6, 1e6)
        check_number("bayes", self.bayes, 0, 100)
        check_number("embeddings", self.embeddings, 0, 100)


@dataclass(frozen=True)
class SparseOptions:
    """How the n-gram part is fitted: linear SVMs and naive Bayes on the rows' labels (``svm``), a logistic
    regression on soft targets (``logistic``), or on what the trained LSTM leaves of them, with n-grams chosen
    for that (``residual``: for long texts with many soft labels), all one column a logit; or vectors of a
    lower rank by gradient steps (``low-rank``), merged with SVMs where rows are few (``low-rank+svm``).
    embeddings: how much the pretrained meaning of a text counts beside its n-grams in the fit; 0 leaves it
    out, as residual does. bayes: what naive Bayes counts beside an SVM; epochs: of low-rank vectors."""

    fit: SparseFit = "svm"
    embeddings: float = 0.0
    bayes: float = 0.0
    epochs: int = 20

    def __post_init__(self) -> None:
        check_one_of("fit", self.fit, get_args(SparseFit))
        check_number("embeddings", self.embeddings, 0, 100)
        check_number("bayes", self.bayes, 0, 100)
        check_whole("epochs", self.epochs, 1, 10_000)


@dataclass(frozen=True)
class Augmentation:
    """Texts made of each training text for teachers to label: pieces of it and mixtures with others, and
    copies with words replaced by near ones (where the teachers know words)."""

    variants: int = 0
    synonyms: int = 0

    def __post_init__(self) -> None:
        check_whole("variants", self.variants, 0, 1000)
        check_whole("synonyms", self.synonyms, 0, 1000)


@dataclass(frozen=True)
class Validation:
    """What judges the network: a share of the training texts that is held out, or ``folds``: each text is
    judged by a network that did not learn from its fold, and the written one learns from all. Neither: the
    training loss."""

    share: float = 0.1
    folds: int = 0

    def __post_init__(self) -> None:
        check_share("validation share", self.share)
        check_whole("folds", self.folds, 0, 20)
        if self.folds == 1:
            raise DataError("folds must be 0, or 2 or more, not 1")
        if self.folds and self.share:
            raise DataError("validation is by a share or by folds; set one of them to 0")


@dataclass(frozen=True)
class LoopOptions:
    """The training loop of the LSTM.

    epochs: at most so many passes; patience: stop after so many without a better validation loss.
    learning_rate: the peak; it rises over the first ``warmup`` share of the steps and falls to zero along a
        cosine. weight_decay: AdamW's, on matrices. clip: largest norm of the gradient.
    word_dropout: share of a text's ids that are read as unknown in a step. crops: share of a step's texts of
        which only a random part is read.
    word_vectors: start the embedding from the words' neighbours in all texts; embedding_rate: its learning
        rate, as a share of the others'.
    bfloat16: run the LSTM in bfloat16 in training where the CPU has such products.
    """

    epochs: int = 6
    batch_size: int = 32
    learning_rate: float = 2e-3
    warmup: float = 0.05
    weight_decay: float = 0.01
    clip: float = 1.0
    patience: int = 3
    bfloat16: bool = True
    word_vectors: bool = False
    embedding_rate: float = 1.0
    word_dropout: float = 0.0
    crops: float = 0.0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            check_whole(name, getattr(self, name), 1, 1_000_000)
        for name in ("learning_rate", "embedding_rate", "clip"):
            check_number(name, getattr(self, name), 0, 1e6, above=True)
        check_number("weight_decay", self.weight_decay, 0, 1e6)
        for name in ("warmup", "word_dropout"):
            check_number(name, getattr(self, name), 0, 1, below=True)
        check_number("crops", self.crops, 0, 1)
        for name in ("bfloat16", "word_vectors"):
            check_flag(name, getattr(self, name))


def check_share(name: str, share: float) -> None:
    """DataError where it is no share that can be held out."""
    check_number(name, share, 0, 1, below=True)


def from_plain(kind: type[Any], values: object, where: str) -> Any:
    """A frozen dataclass of plain values from a mapping that names each of its fields.

    Raises DataError, which says ``where``, for an unknown name, a missing one, or a value out of range.
    """
    if not isinstance(values, dict):
        raise DataError(f"{where} must be a table of {', '.join(f.name for f in fields(kind))}")
    known = {field.name for field in fields(kind)}
    for name in values:
        if name not in known:
            raise DataError(f"{where} has no {name!r}; it has {', '.join(sorted(known))}")
    for name in sorted(known - values.keys()):
        raise DataError(f"{where} lacks {name!r}; write it with 'edge-lstm train --dry-run --json'")
    try:
        return kind(**values)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def check_whole(name: str, value: object, least: int, most: int) -> None:
    if type(value) is not int:
        raise DataError(f"{name} must be a whole number, not {value!r:.40}")
    if not least <= value <= most:
        raise DataError(f"{name} must be from {least} to {most:,}, not {value}")


def check_number(
    name: str, value: object, least: float, most: float, *, above: bool = False, below: bool = False
) -> None:
    if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
        raise DataError(f"{name} must be a number, not {value!r:.40}")
    outside = not least <= value <= most or (above and value == least) or (below and value == most)  # type: ignore[operator]
    if outside:
        start, end = "above" if above else "from", "below" if below else ""
        raise DataError(
            f"{name} must be {start} {least:g} to {end + ' ' if end else ''}{most:g}, not {value}"
        )


def check_flag(name: str, value: object) -> None:
    if type(value) is not bool:
        raise DataError(f"{name} must be true or false, not {value!r:.40}")


def check_one_of(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise DataError(f"{name} must be one of {', '.join(choices)}, not {value!r:.40}")
