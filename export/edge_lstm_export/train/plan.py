"""The plan of a training: everything that it will do, decided from facts before it runs.

:func:`make_plan` is the one place that decides. What follows reads the plan and knows no other defaults, so a
plan can be printed (``train --dry-run``), edited and run again (``--plan FILE``), and is kept in the
checkpoint.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from edge_lstm.errors import DataError
from edge_lstm.text import FIRST_WORD_ID, Tokenizer, spaceless, split_marks
from edge_lstm_export.onnx.size import file_parts
from edge_lstm_export.onnx.weights import SENTINELS
from edge_lstm_export.train.data import UNSEGMENTED_SHARE, Dataset
from edge_lstm_export.train.options import (
    MOST_EXACT_LABELS,
    NO_TEACHER,
    SENTIMENT,
    LoopOptions,
    NetworkConfig,
    Options,
    SparseOptions,
    TextOptions,
    Validation,
    between,
    from_plain,
)
from edge_lstm_export.train.provenance import LONGEST_THRESHOLD, longest_curve

Kind = Literal["long", "short", "many labels", "unsegmented"]
WordTable = Literal["none", "english", "encoder"]
LINEAR = "linear"
PROBE, FINE_TUNED, CLASSIFIER = "probe", "fine-tuned", "classifier"
PLAN_FORMAT = 1


# --- What a plan is made from -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """What the data are. rows, labels: counts; several: a text may have several labels; words: of a text, the
    mean (characters in an unsegmented script); unsegmented: most words are in a script without spaces;
    word_bytes: the mean of a word that occurs more than once, in UTF-8, and the end of its line; label_bytes:
    the mean of a label's name in UTF-8; english: the share of words that the table of English words knows, 0
    to 1; unlabelled: texts without a label; sentiment: (accuracy with, without) the package's sentiment model
    as a teacher where it improves predictions, and its own; else None."""

    rows: int
    labels: int
    several: bool = False
    words: float = 10.0
    unsegmented: bool = False
    word_bytes: float = 8.0
    label_bytes: float = 10.0
    english: float = 0.0
    unlabelled: int = 0
    sentiment: tuple[float, float, float] | None = None

    @property
    def kind(self) -> Kind:
        """Which row of the tables the data are."""
        if self.labels > MOST_EXACT_LABELS:
            return "many labels"
        if self.unsegmented:
            return "unsegmented"
        return "long" if self.words > LONG_TEXTS else "short"


def facts_of(dataset: Dataset, unlabelled: int = 0) -> Facts:
    """The facts of a data set, without those that ask a model (see train.with_knowledge)."""
    texts = dataset.train.texts
    words = [split_marks(text) for text in texts]
    unsegmented = sum(map(spaceless, texts)) > UNSEGMENTED_SHARE * len(texts)
    units = sum(sum(map(len, of_text)) if unsegmented else len(of_text) for of_text in words)
    counts = Counter(word for of_text in words for word in of_text)
    repeated = [len(word.encode()) + 1 for word, n in counts.items() if n > 1]
    return Facts(
        rows=len(texts),
        labels=len(dataset.labels),
        several=dataset.several,
        words=units / max(1, len(texts)),
        unsegmented=unsegmented,
        word_bytes=float(np.mean(repeated)) if repeated else Facts.word_bytes,
        label_bytes=float(np.mean([len(name.encode()) for name in dataset.labels])),
        unlabelled=unlabelled,
    )


@dataclass(frozen=True)
class Asked(Options):
    """What a person asked for; None where the plan decides. preset: one of PRESETS. teacher: "none",
    "sentiment", or a transformer's folder or hub name (``classifier``: whether it is a classifier). words:
    ids of the vocabulary; epochs: see LoopOptions. validation: share that is held out. balance: find rare
    labels at the price of accuracy. Raises DataError for a value of another type or out of range."""

    preset: str = "small"
    teacher: str | None = None
    classifier: bool = False
    words: int | None = between(None, 5, 10_000_000)
    epochs: int | None = between(None, 1, 1_000_000)
    validation: float | None = between(None, 0, 1, below=True)
    balance: bool = False
    seed: int = between(0, 0, 2**63 - 1)


# --- The plan -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan(Options):
    """What a training does. preset: what it was made from; kb: the largest int8 file, in 1,000 bytes.

    network.num_words is the most ids of the vocabulary and network.ngrams the most n-grams that get a vector:
    of both as many as the texts have and ``kb`` holds.
    teachers: in the order in which they are asked, the first always kept: "linear", "sentiment", and of a
    transformer "probe NAME", "fine-tuned NAME" or "classifier NAME". word_table: whose embeddings the n-gram
    part reads, and the LSTM, unless it is pretrained. related_words: words of the table near those of the
    texts come into the vocabulary too, since few rows hold few of the words to come. augmentation: texts made
    of each row, at most. misspelt: the share of wrong letters in a copy of each row, from which subwords
    learn; 0: no copies. own_labels: how much a row's own label counts in its target beside what the teachers
    predict, 0 to 1. unlabelled: at most so many texts without a label are learnt from. balance: see
    calibrate.balance_offset.
    """

    preset: str = "small"
    kb: int = between(300, 1, 500_000)
    text: TextOptions = field(default_factory=TextOptions)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    sparse: SparseOptions = field(default_factory=SparseOptions)
    validation: Validation = field(default_factory=Validation)
    loop: LoopOptions = field(default_factory=LoopOptions)
    augmentation: int = between(0, 0, 1000)
    misspelt: float = between(0.0, 0, 0.5)
    teachers: tuple[str, ...] = ()
    word_table: WordTable = "none"
    related_words: bool = False
    own_labels: float = between(1.0, 0, 1)
    unlabelled: int = between(0, 0, 10**9)
    balance: bool = False
    seed: int = between(0, 0, 2**63 - 1)

    def __post_init__(self) -> None:
        """Raise DataError for a value out of range, and where the parts do not fit together."""
        super().__post_init__()
        _preset(self.preset)
        for name in self.teachers:
            if not re.fullmatch(f"{LINEAR}|{SENTIMENT}|({PROBE}|{FINE_TUNED}|{CLASSIFIER}) .+", name):
                raise DataError(
                    f"the plan has an unknown teacher {name!r}; use {LINEAR}, {SENTIMENT}, or for a "
                    f"transformer '{PROBE} NAME', '{FINE_TUNED} NAME' or '{CLASSIFIER} NAME'"
                )
        if len(set(self.teachers)) < len(self.teachers):
            raise DataError("the plan names a teacher twice; name each once")
        if self.augmentation and not self.teachers:
            raise DataError("augmented texts need a teacher; set augmentation to 0")
        if self.word_table == "encoder" and not any(n.startswith((PROBE, FINE_TUNED)) for n in self.teachers):
            raise DataError("word_table encoder needs an encoder among the teachers; set word_table to none")
        fit, network = self.sparse.fit, self.network
        if network.ngrams and not fit.startswith("low-rank") and network.ngram_dim != network.logits:
            raise DataError(f"sparse fit {fit} needs ngram_dim = {network.logits}, one per logit")
        if network.ngrams and fit.startswith("low-rank") and network.logits == 1:
            raise DataError(f"sparse fit {fit} needs three labels or more; use svm or logistic")
        shape = network.embedding_dim, network.hidden
        if self.loop.pretrained and not (network.bidirectional and shape in SENTIMENT_SHAPES):
            sizes = " or ".join(
                f"{units} units on embeddings of {width}" for width, units in SENTIMENT_SHAPES
            )
            raise DataError(f"a pretrained LSTM has {sizes}, in both directions; set pretrained to false")
        if fit == "residual" and (self.validation.folds or not network.ngrams):
            raise DataError("sparse fit residual needs n-grams, and a validation without folds")

    def check_fits(self, dataset: Dataset) -> None:
        """Raise DataError where the plan is for other labels."""
        labels, several = len(dataset.labels), dataset.several
        if (self.network.labels, self.network.several) != (labels, several):
            kind = "several labels" if several else "one label"
            raise DataError(
                f"the plan is for {self.network.labels} labels, the data have {labels}, {kind} per text; "
                "make a plan for these data with --dry-run"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"format": PLAN_FORMAT, **asdict(self), "teachers": list(self.teachers)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Plan:
        """From :meth:`to_dict`. Raises DataError for an unknown or missing name and a value out of range."""
        values = dict(values) if isinstance(values, Mapping) else {}
        form = values.pop("format", None)
        if type(form) is not int or form != PLAN_FORMAT:
            how = "write it with 'edge-lstm train --dry-run --json'"
            raise DataError(f"the plan does not have format {PLAN_FORMAT}; {how}")
        if "teachers" in values:
            teachers = values["teachers"]
            if not isinstance(teachers, (list, tuple)) or not all(isinstance(name, str) for name in teachers):
                raise DataError(f"teachers must be a list of names, not {teachers!r:.40}")
            values["teachers"] = tuple(teachers)
        return from_plain(cls, values, "the plan")


# --- The tables of defaults: benchmarks/decisions.md says what each row is worth ----------------------------

LONG_TEXTS = 60  # words of a text, the mean: reviews have hundreds, sentences and questions 5 to 30
FEW_ROWS = 2000  # below, every row is judged by cross-validation and none is held out
FEWEST_TO_CROSS_VALIDATE = 10
MOST_TO_AUGMENT = 20_000  # rows
MOST_WITH_WORDS = 100_000  # rows: what words mean is a dense matrix in the n-gram fit
MOST_UNLABELLED = 20_000  # different texts of a log that teachers label: of more, a random part
LEAST_ENGLISH = 0.7  # of the words that the table of English words must know to be used unasked


class Shape(NamedTuple):
    """A network: ids of the vocabulary, embedding, LSTM units per direction, and the rank of n-gram vectors
    where labels are many. With the two sentinels of the int8 file, widths suit vector registers."""

    words: int
    embedding: int
    hidden: int
    rank: int = 0
    bidirectional: bool = True


class Preset(NamedTuple):
    """A size: the largest int8 file in 1,000 bytes, and the network by kind of data. Short texts in segmented
    scripts take a large vocabulary before a small LSTM: ``short`` has what it is at least."""

    kb: int
    long: Shape
    short: Shape


PRESETS: Mapping[str, Preset] = {
    "tiny": Preset(100, Shape(2800, 14, 30, 16, False), Shape(1500, 14, 14, 16)),
    "small": Preset(300, Shape(8000, 14, 62, 32, False), Shape(3000, 30, 46, 32)),
    "medium": Preset(600, Shape(12000, 30, 94, 48, False), Shape(5000, 46, 62, 48)),
    "base": Preset(1000, Shape(16000, 30, 94, 64), Shape(8000, 62, 94, 64)),
    "seed": Preset(300, Shape(5000, 32, 100, 0, False), Shape(5000, 32, 100, 0, False)),
}
FEWEST_WORDS = 500  # ids of a vocabulary, whatever the room
LARGE_VOCABULARY_SHARE, LARGE_VOCABULARY_SHAPE = 0.85, (14, 30)  # of the file's room; embedding, hidden
# The same of words from the English table, which are worth more width: of few rows, and above small.
FEW_ROWS_SHAPE, ENGLISH_SHAPE = (30, 30), (46, 62)
SENTIMENT_SHAPES = ((14, 30), (30, 94))  # of the package's sentiment models, the small and the embedded one
PRETRAINED_RATE, WORDS_RATE = 1e-3, 0.1  # of a pretrained LSTM; of the table's words, as a share
LEAST_ALONE = 0.85  # of the accuracy without it: below, labels say more than what the sentiment model knows

LONG_LOOP = LoopOptions(8, 32, 4e-3, patience=3, embedding_rate=0.25, word_dropout=0.1, crops=0.7)
SHORT_LOOP = LoopOptions(14, 64, 5e-3, patience=14, word_dropout=0.1)
SEED_LOOP = LoopOptions(6, 64, 4e-3, bfloat16=False)
DROPOUT = 0.3
AUGMENTED_EPOCHS = 8  # of many rows, whose augmented texts say the same again
FEWEST_STEPS, MOST_EPOCHS = 500, 40  # a shorter training has not seen enough, whatever the passes

# Own labels' share in a row's target: beside the linear teacher alone, and beside one that knows more.
OWN_LABELS_LINEAR, OWN_LABELS = 0.8, 0.6
# Texts that are made in all (of few rows; of few rows of many labels; of many rows, for an encoder), and the
# most of one row.
AUGMENTED, AUGMENTED_MANY_LABELS, AUGMENTED_ENCODER, MOST_OF_A_ROW = 4_000, 12_000, 100_000, 40
MISSPELT = 0.05  # of the letters in a copy of each row
ENOUGH_UNLABELLED = 1_000  # texts of a log: labelled by an encoder they say more than made ones do
BAYES, EMBEDDINGS = 0.5, 1.5  # what naive Bayes and the meaning of a text count beside the n-grams' SVMs
MOST_SVM_LABELS = 300  # of more, SVMs beside low-rank vectors take minutes


# --- The decisions ------------------------------------------------------------------------------------------


def make_plan(facts: Facts, asked: Asked = Asked()) -> Plan:
    """Decide a training. Raises DataError for an unknown preset and for what does not go together."""
    preset, seed = _preset(asked.preset), asked.preset == "seed"
    if asked.balance and facts.several:
        raise DataError("--balance is for one label per text; leave it out, each label has its own threshold")
    if seed and (asked.teacher not in (None, NO_TEACHER) or facts.unlabelled):
        raise DataError("preset seed learns from labels alone; leave out --teacher and --unlabelled")
    teachers = () if seed else _teachers(facts, asked)
    experts = [name for name in teachers if name != LINEAR]
    table = "none" if seed else _word_table(facts, experts)
    few, encoder = facts.rows < FEW_ROWS, bool(experts) and experts[-1] != SENTIMENT
    log = few and encoder and facts.unlabelled >= ENOUGH_UNLABELLED
    pretrained = SENTIMENT in experts and facts.kind == "short"
    short = not seed and facts.kind in ("short", "many labels")
    augmentation = 0 if log else _augmentation(facts, experts)
    unlabelled = min(facts.unlabelled, MOST_UNLABELLED) if facts.kind != "long" else facts.unlabelled
    pool = facts.rows * augmentation + unlabelled
    free = few or (preset.kb > PRESETS["small"].kb and facts.kind == "short")  # places in the vocabulary
    return Plan(
        preset=asked.preset,
        kb=preset.kb,
        text=TextOptions("keras" if seed else "subwords"),
        network=_network(facts, asked, preset, pretrained, table),
        sparse=SparseOptions() if seed else _sparse(facts, pool > 0, EMBEDDINGS * (table != "none"), log),
        validation=_validation(facts, asked),
        loop=_loop(facts, asked, pool, pretrained, table),
        augmentation=augmentation,
        misspelt=MISSPELT if short and not few and facts.rows <= MOST_TO_AUGMENT else 0.0,
        teachers=teachers,
        word_table=table,
        related_words=table != "none" and (SENTIMENT in experts or (free and not facts.unlabelled)),
        own_labels=1.0 if not teachers else OWN_LABELS if experts else OWN_LABELS_LINEAR,
        unlabelled=unlabelled,
        balance=asked.balance,
        seed=asked.seed,
    )


def _preset(name: str) -> Preset:
    if name not in PRESETS:
        raise DataError(f"no preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def _teachers(facts: Facts, asked: Asked) -> tuple[str, ...]:
    if facts.rows < FEWEST_TO_CROSS_VALIDATE:
        return ()
    experts: list[str] = []
    _, without, alone = facts.sentiment or (0, 1, 0)
    if asked.teacher == SENTIMENT or (alone >= LEAST_ALONE * without and asked.teacher != NO_TEACHER):
        experts.append(SENTIMENT)
    if asked.teacher not in (None, NO_TEACHER, SENTIMENT):
        # Of many rows a fine-tuned encoder knows what the probe does, and each reading of them takes minutes.
        encoder = (PROBE, FINE_TUNED) if facts.rows < FEW_ROWS else (FINE_TUNED,)
        experts += [f"{kind} {asked.teacher}" for kind in ((CLASSIFIER,) if asked.classifier else encoder)]
    # An SVM for each of many labels takes minutes and says what the n-gram part learns by itself.
    linear = facts.kind != "many labels" or experts or facts.unlabelled
    return (LINEAR, *experts) if linear else ()


def _word_table(facts: Facts, experts: list[str]) -> WordTable:
    if facts.kind in ("long", "unsegmented") or facts.rows > MOST_WITH_WORDS:
        return "none"
    fine_tuned = any(name.startswith(FINE_TUNED) for name in experts)
    if SENTIMENT not in experts and fine_tuned and (not facts.unlabelled or facts.kind == "many labels"):
        return "none" if facts.unlabelled else "encoder"
    return "english" if SENTIMENT in experts or facts.english >= LEAST_ENGLISH else "none"


def _augmentation(facts: Facts, experts: list[str]) -> int:
    """Texts are made where a teacher knows more than the rows do; an encoder labels real ones, if any."""
    if not experts or facts.rows > MOST_TO_AUGMENT or facts.kind == "long":
        return 0
    few, many_labels = facts.rows < FEW_ROWS, facts.kind == "many labels"
    texts = AUGMENTED_MANY_LABELS if many_labels and few else AUGMENTED
    if experts[-1] != SENTIMENT and not few and not many_labels and not facts.unlabelled:
        texts = AUGMENTED_ENCODER
    fewest = int(np.clip(MOST_TO_AUGMENT // max(1, facts.rows), 1, 3))
    return int(np.clip(texts // max(1, facts.rows), fewest, MOST_OF_A_ROW))


def _sparse(facts: Facts, soft: bool, embeddings: float, log: bool) -> SparseOptions:
    if facts.kind == "many labels":
        with_svms = facts.rows < FEW_ROWS and facts.labels <= MOST_SVM_LABELS and not (facts.several or log)
        return SparseOptions("low-rank+svm" if with_svms else "low-rank", embeddings)
    # An SVM takes a text wholly for its likeliest label; augmented texts are often of none in particular.
    soft = (soft and (facts.several or not log)) or facts.kind == "long"
    return SparseOptions("logistic", embeddings) if soft else SparseOptions("svm", embeddings, BAYES)


def _validation(facts: Facts, asked: Asked) -> Validation:
    if asked.validation is not None:
        return from_plain(Validation, {"share": asked.validation, "folds": 0}, "validation")
    if asked.preset != "seed" and FEWEST_TO_CROSS_VALIDATE <= facts.rows < FEW_ROWS:
        return Validation(0.0, folds=3)
    return Validation(0.1 if asked.preset == "seed" or facts.rows >= FEW_ROWS else 0.0)


def _loop(facts: Facts, asked: Asked, pool: int, pretrained: bool, table: WordTable) -> LoopOptions:
    if asked.preset == "seed":
        loop = sized(SEED_LOOP, facts.rows)
        return loop if asked.epochs is None else replace(loop, epochs=asked.epochs)
    loop = replace(LONG_LOOP if facts.kind == "long" else SHORT_LOOP, word_vectors=table == "none")
    if pool and facts.rows >= FEW_ROWS and facts.kind != "long":
        loop = replace(loop, epochs=AUGMENTED_EPOCHS)
    if pretrained:
        loop = replace(loop, pretrained=True, learning_rate=PRETRAINED_RATE)
    elif table == "english":
        loop = replace(loop, embedding_rate=WORDS_RATE)
    loop = sized(loop, facts.rows + pool)
    if asked.epochs is not None:
        # Early passes have so high a rate that the loss hardly falls: whoever asks for many waits for half.
        loop = replace(loop, epochs=asked.epochs, patience=max(loop.patience, asked.epochs // 2))
    return loop


def sized(loop: LoopOptions, texts: int) -> LoopOptions:
    """The options for so many texts: with few, smaller batches (20 or more per epoch, each of at least 8
    texts), more passes, and more patience, since their validation loss is noisy."""
    batch_size = loop.batch_size
    while batch_size > 8 and texts < 20 * batch_size:
        batch_size //= 2
    steps = math.ceil(texts / batch_size)
    fewest = math.ceil(FEWEST_STEPS / max(1, steps))
    epochs = min(max(loop.epochs, fewest), max(loop.epochs, MOST_EPOCHS))
    return replace(loop, batch_size=batch_size, epochs=epochs, patience=max(loop.patience, epochs // 4))


# --- Sizes: what the network takes in the int8 file ---------------------------------------------------------

# Bytes that stand for what the facts do not say, in numbers: figures of a training, and of each label in
# them. parts.py counts exactly, once the vocabulary is chosen.
_FIGURES, _LABEL_FIGURES = 1_600, 60
_ID_BYTES = 2  # of an n-gram's id or number in the file, from 128 to 16,383


def _network(facts: Facts, asked: Asked, preset: Preset, pretrained: bool, table: WordTable) -> NetworkConfig:
    seed, above = asked.preset == "seed", preset.kb > PRESETS["small"].kb
    # Short texts get a large vocabulary before a small LSTM, unless an encoder labels a log.
    large = facts.kind == "short" and not seed and (table != "encoder" or facts.unlabelled == 0)
    shape = preset.long if seed or facts.kind == "long" else preset.short
    if large:
        english = ENGLISH_SHAPE if above else FEW_ROWS_SHAPE if facts.rows < FEW_ROWS else None
        most = english if english and table == "english" else LARGE_VOCABULARY_SHAPE
        embedding, hidden = SENTIMENT_SHAPES[above] if pretrained else map(min, shape[1:3], most)
        shape = shape._replace(embedding=embedding, hidden=hidden)
    config = NetworkConfig(
        *(shape.words, shape.embedding, shape.hidden, shape.bidirectional),
        pooling="last" if seed else "mean+max",
        labels=facts.labels,
        several=facts.several,
        dropout=DROPOUT,
    )
    if not seed:
        width = config.logits if facts.labels <= MOST_EXACT_LABELS else shape.rank
        config = replace(config, ngrams=1, ngram_dim=width)
    words_first = pretrained and not above
    line = facts.word_bytes
    if words_first:  # related words fill it, which are longer than the few that repeat in few texts
        line = max(line, Facts.word_bytes - 2)
    room = preset.kb * 1000 - sum(_fixed_parts(config, facts).values())
    fitting = int(room / _word_bytes(config, line))
    if fitting < FEWEST_WORDS:
        raise DataError(_too_many_labels(facts, asked.preset))
    words = shape.words
    if large:
        # A small LSTM that knows words gains more from those that word pairs would displace.
        words = max(words, int((1.0 if words_first else LARGE_VOCABULARY_SHARE) * fitting))
    config = replace(config, num_words=min(words, fitting) if asked.words is None else asked.words)
    if not seed:  # as many as fit, which no vocabulary would leave more room for
        config = replace(config, ngrams=room // _ngram_bytes(config))
    return config


def _fixed_parts(config: NetworkConfig, facts: Facts) -> dict[str, int]:
    """Bytes of the file by part, without words and n-grams."""
    label = "x" * max(1, round(facts.label_bytes))
    figures = "x" * (_FIGURES + _LABEL_FIGURES * facts.labels)
    return file_parts(
        Tokenizer(("x",), pieces=()),
        [label] * facts.labels,
        replace(config, num_words=FIRST_WORD_ID + 1),
        {"figures": figures},
        thresholds=(LONGEST_THRESHOLD,) * facts.labels if facts.several else None,
        curve=None if facts.several else longest_curve(),
    )


def expected_parts(plan: Plan, facts: Facts) -> dict[str, int]:
    """Bytes of the int8 file by part, the most first, where the texts have as many words and word pairs as it
    holds."""
    network = plan.network
    parts, words = _fixed_parts(network, facts), network.num_words
    parts["embedding"] += words * (network.embedding_dim + SENTINELS)
    parts["vocabulary"] += round(words * facts.word_bytes)
    if network.ngrams:
        parts["n-grams"] += max(words * _ngram_bytes(network), plan.kb * 1000 - sum(parts.values()))
    return dict(sorted(parts.items(), key=lambda part: -part[1]))


def _ngram_bytes(config: NetworkConfig) -> int:
    """Bytes of a word's vector, id and number."""
    return config.ngram_dim + 2 * _ID_BYTES if config.ngrams else 0


def _word_bytes(config: NetworkConfig, line: float) -> float:
    """Bytes of a word in the file: its line, its embedding and its n-gram. line: in the vocabulary."""
    return config.embedding_dim + SENTINELS + line + _ngram_bytes(config)


def _too_many_labels(facts: Facts, preset: str) -> str:
    reason = f"{facts.labels:,} labels leave no room for words in preset {preset}"
    for larger in PRESETS:
        if larger != "seed" and PRESETS[larger].kb > PRESETS[preset].kb:
            with suppress(DataError):
                make_plan(facts, Asked(larger, NO_TEACHER))
                return f"{reason} ({PRESETS[preset].kb} kB); give --preset {larger}"
    return f"{reason}, nor in a larger one; merge rare labels"


# --- The plan in words --------------------------------------------------------------------------------------


def explain(plan: Plan, facts: Facts) -> list[tuple[str, str, str]]:
    """(what, value, why) of each decision, for a person."""
    network, text, loop, dim = plan.network, plan.text, plan.loop, plan.network.ngram_dim
    width = "one column per logit" if dim == network.logits else f"vectors of {dim}"
    both = ", both directions" * network.bidirectional + ", pretrained" * loop.pretrained
    why = f"targets: {plan.own_labels:.0%} label, {1 - plan.own_labels:.0%} teachers"
    if SENTIMENT in plan.teachers and facts.sentiment is not None:
        why = "cross-validated accuracy {:.1%} with sentiment, {:.1%} without".format(*facts.sentiment)
    elif not plan.teachers:
        why = "labels alone" if facts.rows >= FEWEST_TO_CROSS_VALIDATE else "too few rows"
    judged = f"{plan.validation.share:.0%} held out", "for early stopping and calibration"
    if folds := plan.validation.folds:
        judged = f"{folds}-fold cross-validation", f"{facts.rows:,} rows are too few to hold out some"
    largest = [f"{part} {size / 1000:,.0f}" for part, size in expected_parts(plan, facts).items()][:4]
    lines = [
        ("file", f"at most {plan.kb:,} kB in int8", f"preset {plan.preset}: {', '.join(largest)}"),
        ("tokenization", text.rule, f"{network.num_words:,} ids at most, the last {text.length} of a text"),
        ("LSTM", f"{network.hidden} units{both}", f"on embeddings of {network.embedding_dim}"),
        ("n-grams", f"as many as fit, {width}", f"fitted by {plan.sparse.fit}"),
        ("teachers", ", ".join(plan.teachers) or "none", why),
        ("augmentation", f"{plan.augmentation} texts per row", "labelled by the teachers"),
        ("misspelt", f"{plan.misspelt:.0%} of letters", "in copies of the rows"),
        ("word embeddings", plan.word_table, "for words that are not in the rows"),
        ("validation", *judged),
        ("epochs", f"at most {loop.epochs}", f"batches of {loop.batch_size} texts"),
    ]
    parts = {"n-grams": network.ngrams, "augmentation": plan.augmentation, "misspelt": plan.misspelt}
    parts["word embeddings"] = plan.word_table != "none"
    return [line for line in lines if parts.get(line[0], True)]
