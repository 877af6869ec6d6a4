"""What a training can be told: plain values, their ranges and nothing that acts on them.

Every dataclass here is frozen and made of plain values, so that a plan can be printed, edited, kept
in a checkpoint and compared. A value of another type or out of range is a DataError that names the
field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from edge_lstm.checked import Range, check_fields, types_of
from edge_lstm.core.layers import MAX_IDS, MAX_LABELS, MAX_NGRAMS, Lstm, NetworkConfig, NGramCounts
from edge_lstm.core.model_checks import MAX_LENGTH
from edge_lstm.core.question import CHOICE, QuestionType
from edge_lstm.core.text import DEFAULT_LENGTH
from edge_lstm.errors import DataError
from edge_lstm.printable import CONTROL_CHARACTER
from edge_lstm.tables.labelled import LabelOptions

Rule = Literal["subwords", "keras"]
Pooling = Literal["last", "mean+max"]
SparseFit = Literal["svm", "logistic", "low-rank", "low-rank+svm"]
PresetName = Literal["tiny", "small", "medium", "base", "seed"]
Kind = Literal["long", "topics", "short", "many labels", "unsegmented"]
TeacherKind = Literal["linear", "model", "probe", "fine-tuned"]
ENCODERS = ("probe", "fine-tuned")  # kinds of teachers that are transformers

UNTUNED = 0.5  # the threshold of a label that no validation text has
T = TypeVar("T")

LONGEST_CHARACTERS = 5  # of a character n-gram

NO_TEACHER = "none"
# Model files of the package, by the names that a plan has for them.
SENTIMENT = "sentiment"
SMALL_SENTIMENT = "sentiment-small"
Share = Annotated[float, Range(0, 1)]
ShareBelowOne = Annotated[float, Range(0, 1, below=True)]
Positive = Annotated[float, Range(0, 1e6, above=True)]
NonNegative = Annotated[float, Range(0, 1e6)]
Count = Annotated[int, Range(1, 10**6)]
MOST_WIDTH = 4096
Seed = Annotated[int, Range(0, 2**63 - 1)]
WordTable = Literal["none", "english", "encoder"]
PLAN_FORMAT = 2


class Options:
    """The base of frozen dataclasses whose values are of the declared types and ranges."""

    def __post_init__(self) -> None:
        """Check the types and ranges of all values.

        Raises DataError if not.
        """
        check_fields(self, DataError)


def from_plain(kind: Callable[..., T], values: object, where: str) -> T:
    """Make a frozen dataclass of plain values, and the ones within it, from a mapping.

    Raise DataError, which says ``where``, for an unknown name, a missing one, or a value out of
    range.
    """
    types = types_of(kind)
    if not isinstance(values, dict):
        raise DataError(f"{where} must be a table of {', '.join(types)}")
    for name in values:
        if name not in types:
            raise DataError(f"{where} has no {name!r}; it has {', '.join(sorted(types))}")
    for name in sorted(types.keys() - values.keys()):
        raise DataError(f"{where} lacks {name!r}; write it with 'edge-lstm train --dry-run --json'")
    made = {name: _made(types[name], value, f"[{name}]") for name, value in values.items()}
    try:
        return kind(**made)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def _made(kind: Any, value: object, where: str) -> object:
    """Return a plain value as a field of this type has it."""
    if isinstance(kind, type) and is_dataclass(kind):
        return from_plain(kind, value, where)
    if isinstance(value, list):
        each = next(iter(get_args(kind)), None)
        return [_made(each, part, where) for part in value]
    return value


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

    kind: ``linear``; ``model``, a model file; ``probe`` or ``fine-tuned``, a transformer.
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
        }
        return names[self.kind]


@dataclass(frozen=True)
class DataOptions(LabelOptions, Options):
    """How sources are read: labelled files as LabelOptions say, and the rest.

    test: a labelled file of test texts.
    seed: draws the test texts without it and without a test split in the source: of 2,000 texts or
        more, a tenth of each label's.
    by_digest: hold out a fifth instead, the same texts whatever else the source holds.
    unlabelled: a source of texts for the teachers to label.
    wanted: names of fields that the model reads; empty for all.
    kinds: fields with a given kind, each as NAME:KIND; the kinds of others are found.
    left_out: columns that the model must not read, such as the labels of other questions.
    text_first: names of fields whose texts come first, and stand for a text without fields.
    """

    test: Path | None = None
    by_digest: bool = False
    seed: Seed = 0
    unlabelled: str | None = None
    wanted: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    text_first: tuple[str, ...] = ()


@dataclass(frozen=True)
class TextOptions(Options):
    """How a text becomes ids.

    rule: of words (edge_lstm.core.text): Keras's, or words with subwords for unknown ones.
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

    subword_share: subwords, as a share of the ids, if words fill the others.
    expansion: add words of the table of embeddings that are near the words of the texts.
    """

    subword_share: Share = 0.2
    expansion: bool = False


@dataclass(frozen=True)
class SparseOptions(Options):
    """The n-gram part: its columns, and how they are fitted.

    fit: ``svm``: linear SVMs on the rows' labels. ``logistic``: a logistic regression on soft
        targets. These have a column per logit. ``low-rank``: vectors of a lower rank by gradient
        steps. ``low-rank+svm``: the same, merged with SVMs.
    selection: which word pairs get a vector: the most ``frequent``, or the most ``telling``, by
        their log-count ratio of a label.
    characters: whether the fit reads the character n-grams of words.
    shortest: of those.
    embeddings: length of a text's word embeddings in the fit, in lengths of its n-grams; 0 leaves
        them out.
    regularization: C of the SVMs.
    """

    fit: SparseFit = "svm"
    selection: Literal["frequent", "telling"] = "frequent"
    characters: bool = True
    shortest: Annotated[int, Range(1, LONGEST_CHARACTERS)] = 2
    embeddings: NonNegative = 0.0
    regularization: Positive = 0.5

    @property
    def is_low_rank(self) -> bool:
        """Whether an n-gram has a vector of a lower rank, not a column per logit."""
        return self.fit in ("low-rank", "low-rank+svm")


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
    learning_rate: the peak.
    patience: epochs without a better validation loss before the training stops.
    embedding_rate: learning rate of the embedding, as a share of the others'.
    crops: share of a step's texts of which only a random part is read.
    """

    epochs: Count = 6
    batch_size: Count = 32
    learning_rate: Positive = 2e-3
    patience: Count = 3
    embedding_rate: Positive = 1.0
    crops: Share = 0.0


@dataclass(frozen=True)
class AugmentationOptions(Options):
    """Texts that are made of the rows.

    texts_per_row: at most, for the teachers to label.
    typos: share of wrong letters in a copy of each row, from which subwords learn; 0: no copies.
    """

    texts_per_row: Annotated[int, Range(0, 1000)] = 0
    typos: Annotated[float, Range(0, 0.5)] = 0.0


@dataclass(frozen=True)
class TrainingRequest(Options):
    """The wishes for a training; None if the plan decides.

    preset: a size, see defaults.PRESETS.
    teacher: "none", "sentiment", a model file, or a transformer's folder or hub name.
    start: a model file whose LSTM the network starts from.
    epochs: largest number of epochs.
    validation: share of the texts that is held out.
    balance: raise recall on rare labels, at a cost in accuracy.
    question: what the labels are.
    """

    preset: PresetName = "small"
    teacher: str | None = None
    start: str | None = None
    epochs: Annotated[int | None, Range(1, 1_000_000)] = None
    validation: Annotated[float | None, Range(0, 1, below=True)] = None
    balance: bool = False
    question: QuestionType | None = None
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.preset == "seed" and (self.teacher not in (None, NO_TEACHER) or self.start):
            raise DataError("preset seed learns from labels alone; leave out --teacher and --start")

    @property
    def transformer(self) -> str | None:
        """The transformer that is asked for, a folder or a hub name; None without one."""
        if self.teacher in (None, NO_TEACHER, SENTIMENT, SMALL_SENTIMENT):
            return None
        is_model = self.teacher.lower().endswith((".onnx", ".safetensors"))
        return None if is_model else self.teacher


@dataclass(frozen=True)
class Plan(Options):
    """Everything that a training does.

    preset: name of the preset that it was made from.
    max_kilobytes: the largest int8 file, in 1,000 bytes.
    kind: kind of the data, which decided the defaults.
    start: model file whose LSTM and embeddings the network starts from.
    network.ngram_words, network.ngram_slots: upper bounds; the vocabulary, the texts and the size
        of the file may leave fewer.
    teachers: in the order of their use.
    word_table: word embeddings that the n-gram part reads, and the LSTM unless it starts from a
        file.
    unlabelled: largest number of texts without a label that are learnt from.
    hard_label_weight: of a row's own label in its target; the rest is what the teachers predict.
    question: what the labels are: a choice, yes and no, or the numbers of a score.
    balance: rare labels are found as often as the macro F1 is best, at a cost in accuracy.
    """

    preset: PresetName = "small"
    max_kilobytes: Count = 300
    kind: Kind = "short"
    question: QuestionType = CHOICE
    text: TextOptions = field(default_factory=TextOptions)
    vocabulary: VocabularyOptions = field(default_factory=VocabularyOptions)
    network: NetworkOptions = field(default_factory=NetworkOptions)
    start: SourceFile = field(default_factory=SourceFile)
    word_table: WordTable = "none"
    teachers: tuple[TeacherOptions, ...] = ()
    hard_label_weight: Share = 1.0
    unlabelled: Annotated[int, Range(0, 10**9)] = 0
    augmentation: AugmentationOptions = field(default_factory=AugmentationOptions)
    validation: Validation = field(default_factory=Validation)
    loop: LoopOptions = field(default_factory=LoopOptions)
    sparse: SparseOptions = field(default_factory=SparseOptions)
    balance: bool = False
    seed: Seed = 0

    def __post_init__(self) -> None:
        """Check the range of each value, and that the parts fit together.

        Raises DataError if not.
        """
        super().__post_init__()
        if len(set(self.teachers)) < len(self.teachers):
            raise DataError("the plan names a teacher twice; name each once")
        if self.augmentation.texts_per_row and not self.teachers:
            raise DataError("augmented texts need a teacher; set texts_per_row to 0")
        kinds = {teacher.kind for teacher in self.teachers}
        if self.word_table == "encoder" and kinds.isdisjoint(ENCODERS):
            raise DataError(
                "word_table encoder needs an encoder among the teachers; set word_table to none"
            )
        fit = self.sparse.fit
        network = self.network
        low_rank = self.sparse.is_low_rank
        if network.ngrams and not low_rank and network.ngram_dim != network.logits:
            raise DataError(f"sparse fit {fit} needs ngram_dim = {network.logits}, one per logit")
        if network.ngrams and low_rank and network.logits == 1:
            raise DataError(f"sparse fit {fit} needs three labels or more; use svm or logistic")

    @property
    def is_long(self) -> bool:
        """Whether the texts are long, with words between spaces."""
        return self.kind in ("long", "topics")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {"format": PLAN_FORMAT, **asdict(self, dict_factory=_as_json)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Plan:
        """Read what :meth:`to_dict` returned.

        Raise DataError for an unknown or missing name, and for a value out of range.
        """
        values = dict(values) if isinstance(values, Mapping) else {}
        if values.pop("format", None) != PLAN_FORMAT:
            raise DataError(
                f"the plan does not have format {PLAN_FORMAT}; "
                "write it with 'edge-lstm train --dry-run --json'"
            )
        return from_plain(cls, values, "the plan")


def _as_json(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return fields by name, with lists for tuples, as JSON gives them back."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields}
