"""What a training can be told: plain values, their ranges and nothing that acts on them.

Every dataclass here is frozen and made of plain values, so that a plan can be printed, edited, kept in a
checkpoint and compared. A value of another type or out of range is a DataError that names the field.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from edge_lstm.errors import DataError
from edge_lstm.model_checks import MAX_IDS, MAX_LABELS, MAX_LENGTH, MAX_NGRAMS
from edge_lstm.text import DEFAULT_LENGTH

Rule = Literal["subwords", "keras"]
Pooling = Literal["last", "mean+max"]
SparseFit = Literal["svm", "logistic", "low-rank", "low-rank+svm", "residual"]

# Up to so many labels an n-gram has a column for each logit, with more a vector of a lower rank.
MOST_EXACT_LABELS = 16
SENTIMENT, NO_TEACHER = "sentiment", "none"  # teachers that are no transformer
UNTUNED = 0.5  # the threshold of a label that no validation text has
T = TypeVar("T")


def between(default: Any, least: float, most: float, *, above: bool = False, below: bool = False) -> Any:
    """A field of :class:`Options` whose number lies from ``least`` to ``most``. above, below: that end itself
    is excluded."""
    return field(default=default, metadata={"range": (least, most, above, below)})


class Options:
    """The base of frozen dataclasses whose values are of the declared types and ranges."""

    def __post_init__(self) -> None:
        types = get_type_hints(type(self))
        for option in fields(self):  # type: ignore[arg-type] # every subclass is a dataclass
            if (value := getattr(self, option.name)) is not None or option.default is not None:
                _check(option.name, value, types[option.name], option.metadata.get("range"))


def _check(name: str, value: Any, kind: Any, limits: tuple[float, float, bool, bool] | None) -> None:
    if type(None) in get_args(kind):
        kind = next(each for each in get_args(kind) if each is not type(None))
    if kind is str:
        if not isinstance(value, str):
            raise DataError(f"{name} must be text, not {value!r:.40}")
    elif kind is bool:
        if type(value) is not bool:
            raise DataError(f"{name} must be true or false, not {value!r:.40}")
    elif get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise DataError(f"{name} must be one of {', '.join(get_args(kind))}, not {value!r:.40}")
    elif limits is not None:
        if type(value) is not int and (kind is int or type(value) is not float or not math.isfinite(value)):
            raise DataError(f"{name} must be a {'whole ' if kind is int else ''}number, not {value!r:.40}")
        least, most, above, below = limits
        if not least <= value <= most or (above and value == least) or (below and value == most):
            start, end = "above" if above else "from", "to below" if below else "to"
            raise DataError(f"{name} must be {start} {least:,} {end} {most:,}, not {value}")


def from_plain(kind: type[T], values: object, where: str) -> T:
    """A frozen dataclass of plain values, and of others like it, from a mapping that names each field.

    Raises DataError, which says ``where``, for an unknown name, a missing one, or a value out of range.
    """
    types = get_type_hints(kind)
    if not isinstance(values, dict):
        raise DataError(f"{where} must be a table of {', '.join(types)}")
    for name in values:
        if name not in types:
            raise DataError(f"{where} has no {name!r}; it has {', '.join(sorted(types))}")
    for name in sorted(types.keys() - values.keys()):
        raise DataError(f"{where} lacks {name!r}; write it with 'edge-lstm train --dry-run --json'")
    parts = {n: from_plain(types[n], v, f"[{n}]") for n, v in values.items() if is_dataclass(types[n])}
    try:
        return kind(**{**values, **parts})
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


@dataclass(frozen=True)
class DataOptions(Options):
    """How sources are read.

    test: a labelled file of test texts; test_share: without it and without a test split in the source, this
        share of each label's texts is held out, drawn by ``seed``; None: a tenth, of 2,000 texts or more.
    input_format, text_column, label_column: of labelled files that do not say them themselves.
    label_separator, label_columns: of texts with several labels, see tables.labelled.read_labelled.
    """

    test: Path | None = None
    test_share: float | None = between(None, 0, 1, below=True)
    seed: int = 0
    unlabelled: bool = False
    input_format: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    label_separator: str | None = None
    label_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class TextOptions(Options):
    """rule: how a text becomes words (edge_lstm.text): Keras's, or words with subwords for unknown ones.
    length: ids of a text that the model reads, its last ones."""

    rule: Rule = "subwords"
    length: int = between(DEFAULT_LENGTH, 1, MAX_LENGTH)


@dataclass(frozen=True)
class NetworkConfig(Options):
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

    num_words: int = between(5000, 5, MAX_IDS)
    embedding_dim: int = between(32, 1, 4096)
    hidden: int = between(100, 1, 4096)
    bidirectional: bool = False
    pooling: Pooling = "last"
    labels: int = between(2, 2, MAX_LABELS)
    dropout: float = between(0.0, 0, 1, below=True)
    ngrams: int = between(0, 0, MAX_NGRAMS)
    ngram_dim: int = between(0, 0, 4096)
    several: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ngrams and not self.ngram_dim:
            raise DataError("ngram_dim must be 1 or more where there are n-grams")

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
class SparseOptions(Options):
    """How the n-gram part is fitted: linear SVMs on the rows' labels (``svm``), a logistic
    regression on soft targets (``logistic``), or on what the trained LSTM leaves of them, with n-grams chosen
    for that (``residual``: for long texts with many soft labels), all one column a logit; or vectors of a
    lower rank by gradient steps (``low-rank``), merged with SVMs where rows are few (``low-rank+svm``).
    embeddings: how much the pretrained meaning of a text counts beside its n-grams in the fit; 0 leaves it
    out, as residual does. bayes: how much naive Bayes counts beside the SVMs of the fit ``svm``, where a text
    has one label. epochs: of low-rank vectors."""

    fit: SparseFit = "svm"
    embeddings: float = between(0.0, 0, 100)
    bayes: float = between(0.0, 0, 100)
    epochs: int = between(20, 1, 10_000)


@dataclass(frozen=True)
class Validation(Options):
    """What judges the network: a share of the training texts that is held out, or ``folds``: each text is
    judged by a network that did not learn from its fold, and the written one learns from all. Neither: the
    training loss."""

    share: float = between(0.1, 0, 1, below=True)
    folds: int = between(0, 0, 20)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.folds == 1:
            raise DataError("folds must be 0, or 2 or more, not 1")
        if self.folds and self.share:
            raise DataError("validation is by share or by folds; set one of them to 0")


@dataclass(frozen=True)
class LoopOptions(Options):
    """The training loop of the LSTM.

    epochs: at most so many passes; patience: stop after so many without a better validation loss.
    learning_rate: the peak; it rises over the first ``warmup`` share of the steps and falls to zero along a
        cosine. weight_decay: AdamW's, on matrices. clip: largest norm of the gradient.
    word_dropout: share of a text's ids that are read as unknown in a step. crops: share of a step's texts of
        which only a random part is read.
    word_vectors: start the embedding from the words' neighbours in all texts; embedding_rate: its learning
        rate, as a share of the others'.
    pretrained: start the LSTM and the embedding from the package's sentiment model of the same shape.
    bfloat16: run the LSTM in bfloat16 in training where the CPU has such products.
    """

    epochs: int = between(6, 1, 1_000_000)
    batch_size: int = between(32, 1, 1_000_000)
    learning_rate: float = between(2e-3, 0, 1e6, above=True)
    warmup: float = between(0.05, 0, 1, below=True)
    weight_decay: float = between(0.01, 0, 1e6)
    clip: float = between(1.0, 0, 1e6, above=True)
    patience: int = between(3, 1, 1_000_000)
    bfloat16: bool = True
    word_vectors: bool = False
    pretrained: bool = False
    embedding_rate: float = between(1.0, 0, 1e6, above=True)
    word_dropout: float = between(0.0, 0, 1, below=True)
    crops: float = between(0.0, 0, 1)
