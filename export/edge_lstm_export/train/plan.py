"""The plan of a training: everything that it will do, decided from facts before it runs.

:func:`make_plan` is the one place that decides. What follows reads the plan and knows no other defaults, so a
plan can be printed (``train --dry-run``), edited and run again (``--plan FILE``), and is kept in the
checkpoint.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from edge_lstm.errors import DataError
from edge_lstm.text import spaceless, split_marks
from edge_lstm_export.train.data import Dataset
from edge_lstm_export.train.options import (
    MOST_EXACT_LABELS,
    Augmentation,
    LinearOptions,
    LoopOptions,
    NetworkConfig,
    SparseOptions,
    TextOptions,
    Validation,
    check_flag,
    check_number,
    check_one_of,
    check_whole,
    from_plain,
)
from edge_lstm_export.train.vocabulary import UNSEGMENTED_SHARE

Kind = Literal["long", "short", "many labels", "unsegmented"]
WordTable = Literal["none", "english", "sentiment", "encoder"]
LINEAR, SENTIMENT, NO_TEACHER = "linear", "sentiment", "none"
PROBE, FINE_TUNED, CLASSIFIER = "probe", "fine-tuned", "classifier"
PLAN_FORMAT = 1
EXAMPLES = 6  # training texts that the model file holds, for its own test and for people


# --- What a plan is made from -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """What the data are. rows, labels: counts; several: a text may have several labels; words: of a text, the
    mean (characters in an unsegmented script); unsegmented: most words are in a script without spaces;
    repeated_words: different words that occur more than once; word_bytes: the mean of such a word in UTF-8
    and the end of its line; english: the share of words that the table of English words knows, 0 to 1;
    unlabelled: texts without a label; sentiment: (accuracy with, without) the package's sentiment model as a
    teacher where it improves predictions, else None."""

    rows: int
    labels: int
    several: bool = False
    words: float = 10.0
    unsegmented: bool = False
    repeated_words: int = 2000
    word_bytes: float = 8.0
    english: float = 0.0
    unlabelled: int = 0
    sentiment: tuple[float, float] | None = None

    @property
    def kind(self) -> Kind:
        """Which row of the tables the data are."""
        if self.labels > MOST_EXACT_LABELS:
            return "many labels"
        if self.unsegmented:
            return "unsegmented"
        return "long" if self.words > LONG_TEXTS else "short"


def facts_of(dataset: Dataset, unlabelled: int = 0) -> Facts:
    """The facts of a data set, without those that ask a model (see train.ask_teachers)."""
    texts = dataset.train.texts
    counts: Counter[str] = Counter()
    words = characters = alone = 0
    for text in texts:
        parts = split_marks(text)
        counts.update(parts)
        unsegmented = spaceless(text)
        alone += unsegmented
        words += len(parts)
        characters += sum(map(len, parts))
    repeated = [word for word, count in counts.items() if count > 1]
    # Half a character (a lone surrogate of broken JSON) gets into no vocabulary, but may be in a text.
    bytes_of = [len(word.encode("utf-8", "surrogatepass")) + 1 for word in repeated]
    is_unsegmented = alone > UNSEGMENTED_SHARE * len(texts)
    return Facts(
        rows=len(texts),
        labels=len(dataset.labels),
        several=dataset.several,
        words=(characters if is_unsegmented else words) / max(1, len(texts)),
        unsegmented=is_unsegmented,
        repeated_words=len(repeated),
        word_bytes=float(np.mean(bytes_of)) if bytes_of else Facts.word_bytes,
        unlabelled=unlabelled,
    )


@dataclass(frozen=True)
class Asked:
    """What a person asked for; None where the plan decides. preset: one of PRESETS. teacher: "none",
    "sentiment", or a transformer's folder or hub name (``classifier``: whether it is a classifier). words,
    length, epochs: see TextOptions and LoopOptions. validation: share that is held out. balance: find rare
    labels at the price of accuracy."""

    preset: str = "small"
    teacher: str | None = None
    classifier: bool = False
    words: int | None = None
    length: int | None = None
    epochs: int | None = None
    validation: float | None = None
    balance: bool = False
    seed: int = 0


# --- The plan -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """What a training does. preset: what it was made from; kb: the largest int8 file, in 1,000 bytes.

    network.ngrams is the most n-grams that get a vector: as many as the texts have and ``kb`` leaves.
    teachers: in the order in which they are asked, the first always kept: "linear", "sentiment", and of a
    transformer "probe NAME", "fine-tuned NAME" or "classifier NAME". word_table: whose embeddings the n-gram
    part reads; related_words: its words near those of the texts come into the vocabulary too, since few rows
    hold few of the words to come. own_labels: how much a row's own label counts in its target beside what
    the teachers predict, 0 to 1. unlabelled: at most so many texts without a label are learnt from. balance:
    see calibrate.balance_offset. precision: what each label's threshold is to reach, where a text may have
    several labels; 0: the best F1. examples: training texts that the model file holds.
    """

    preset: str
    kb: int
    text: TextOptions
    network: NetworkConfig
    linear: LinearOptions
    sparse: SparseOptions
    validation: Validation
    loop: LoopOptions
    augmentation: Augmentation = field(default_factory=Augmentation)
    teachers: tuple[str, ...] = ()
    word_table: WordTable = "none"
    related_words: bool = False
    own_labels: float = 1.0
    unlabelled: int = 0
    balance: bool = False
    precision: float = 0.0
    examples: int = EXAMPLES
    seed: int = 0

    def __post_init__(self) -> None:
        check_plan(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"format": PLAN_FORMAT, **asdict(self), "teachers": list(self.teachers)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Plan:
        """From :meth:`to_dict`. Raises DataError for an unknown or missing name and a value out of range."""
        values = dict(values)
        if values.pop("format", None) != PLAN_FORMAT:
            raise DataError(
                f"the plan is not of format {PLAN_FORMAT}; write it with 'edge-lstm train --dry-run'"
            )
        for name, kind in _PARTS.items():
            if name in values:
                values[name] = from_plain(kind, values[name], f"[{name}]")
        teachers = values.get("teachers", ())
        if not isinstance(teachers, (list, tuple)) or not all(isinstance(one, str) for one in teachers):
            raise DataError(f"teachers must be a list of names, not {teachers!r:.40}")
        plan: Plan = from_plain(cls, {**values, "teachers": tuple(teachers)}, "the plan")
        return plan


_PARTS: Mapping[str, type[Any]] = {
    "text": TextOptions,
    "network": NetworkConfig,
    "linear": LinearOptions,
    "sparse": SparseOptions,
    "validation": Validation,
    "loop": LoopOptions,
    "augmentation": Augmentation,
}


def check_plan(plan: Plan) -> None:
    """DataError for a value of another type or out of range, and where the parts do not fit together."""
    _preset(plan.preset)
    for name, least, most in (
        ("kb", 1, 500_000),
        ("unlabelled", 0, 10**9),
        ("examples", 0, 8),
        ("seed", 0, 2**63 - 1),
    ):
        check_whole(name, getattr(plan, name), least, most)
    for name in ("own_labels", "precision"):
        check_number(name, getattr(plan, name), 0, 1)
    for name in ("balance", "related_words"):
        check_flag(name, getattr(plan, name))
    check_one_of("word_table", plan.word_table, get_args(WordTable))
    for name in plan.teachers:
        kind, _, source = name.partition(" ")
        if not (name in (LINEAR, SENTIMENT) or (kind in (PROBE, FINE_TUNED, CLASSIFIER) and source)):
            raise DataError(
                f"the plan names the teacher {name!r}; there are {LINEAR}, {SENTIMENT}, and of a transformer "
                f"'{PROBE} NAME', '{FINE_TUNED} NAME' and '{CLASSIFIER} NAME'"
            )
    encoders = [name for name in plan.teachers if name.startswith((f"{PROBE} ", f"{FINE_TUNED} "))]
    if plan.word_table == "encoder" and not encoders:
        raise DataError(
            "the plan's word_table is an encoder's, and no teacher is one; set word_table to none"
        )
    exact = plan.sparse.fit in ("svm", "logistic", "residual")
    if plan.network.ngrams and exact and plan.network.ngram_dim != plan.network.logits:
        raise DataError(
            f"sparse fit {plan.sparse.fit} needs ngram_dim = {plan.network.logits}, one per logit"
        )
    if plan.sparse.fit == "residual" and (plan.validation.folds or not plan.network.ngrams):
        raise DataError("sparse fit residual needs n-grams, and a validation without folds")


# --- The tables of defaults: benchmarks/decisions.md says what each row is worth ----------------------------

LONG_TEXTS = 60  # words of a text, the mean: reviews have hundreds, sentences and questions 5 to 30
FEW_ROWS = 2000  # below, every row is judged by cross-validation and none is held out
FEWEST_TO_CROSS_VALIDATE = 10
MOST_TO_AUGMENT = 20_000  # rows
MOST_UNLABELLED = 20_000  # texts that teachers label
LEAST_ENGLISH = 0.7  # of the words that the table of English words must know to be used unasked


@dataclass(frozen=True)
class Shape:
    """A network: ids of the vocabulary, embedding, LSTM units per direction, and the rank of n-gram vectors
    where labels are many. With the two sentinels of the int8 file, widths suit vector registers."""

    words: int
    embedding: int
    hidden: int
    rank: int = 0
    bidirectional: bool = True


@dataclass(frozen=True)
class Preset:
    """A size: the largest int8 file, and the network by kind of data. Short texts in segmented scripts take a
    large vocabulary before a small LSTM: ``short`` has what it is at least."""

    kb: int
    long: Shape
    short: Shape
    summary: str


PRESETS: Mapping[str, Preset] = {
    "tiny": Preset(100, Shape(2800, 14, 30, 16, False), Shape(1500, 14, 14, 16), "under 100 kB"),
    "small": Preset(300, Shape(8000, 14, 62, 32, False), Shape(3000, 30, 46, 32), "under 300 kB"),
    "medium": Preset(600, Shape(12000, 30, 94, 48, False), Shape(5000, 46, 62, 48), "under 600 kB"),
    "base": Preset(1000, Shape(16000, 30, 94, 64, True), Shape(8000, 62, 94, 64), "under 1 MB"),
    "seed": Preset(
        300, Shape(5000, 32, 100, 0, False), Shape(5000, 32, 100, 0, False), "Keras's IMDB example"
    ),
}
LARGE_VOCABULARY_SHARE, LARGE_VOCABULARY_SHAPE = 0.85, (14, 30)  # of the file's room; embedding, hidden

LOOPS: Mapping[Kind, LoopOptions] = {
    "long": LoopOptions(
        8, 32, 4e-3, patience=3, word_vectors=True, embedding_rate=0.25, word_dropout=0.1, crops=0.7
    ),
    "short": LoopOptions(14, 64, 5e-3, patience=14, word_dropout=0.1),
    "unsegmented": LoopOptions(14, 64, 5e-3, patience=14, word_dropout=0.1),
    "many labels": LoopOptions(14, 64, 5e-3, patience=14, word_dropout=0.1),
}
SEED_LOOP = LoopOptions(6, 64, 4e-3, bfloat16=False)
DROPOUT = 0.3
AUGMENTED_EPOCHS = 8  # of many rows, whose augmented texts say the same again
FEWEST_STEPS, MOST_EPOCHS = 500, 40  # a shorter training has not seen enough, whatever the passes

# Own labels' share in a row's target: beside the linear teacher alone, and beside one that knows more.
OWN_LABELS_LINEAR, OWN_LABELS = 0.8, 0.6
# Texts that are made in all (of few rows; of few rows of many labels; of many rows, for an encoder), and how
# many of one row: variants and synonyms.
AUGMENTED, AUGMENTED_MANY_LABELS, AUGMENTED_ENCODER = 4_000, 12_000, (24_000, 80_000)
MOST_VARIANTS, MOST_SYNONYMS = 40, 20
# What naive Bayes counts beside an SVM, and the meaning of a text beside its n-grams.
BAYES, EMBEDDINGS = 0.5, 1.5
MOST_SVM_LABELS = 300  # of more, SVMs beside low-rank vectors take minutes


# --- The decisions ------------------------------------------------------------------------------------------


def make_plan(facts: Facts, asked: Asked = Asked()) -> Plan:
    """Decide a training. Raises DataError for an unknown preset and for what does not go together."""
    preset = _preset(asked.preset)
    if asked.balance and facts.several:
        raise DataError(
            "--balance is for one label per text; leave it out: each label has a threshold of its own"
        )
    teachers = _teachers(facts, asked)
    knowing = [name for name in teachers if name != LINEAR]
    table = _word_table(facts, knowing)
    few = facts.rows < FEW_ROWS
    augmentation = _augmentation(facts, knowing)
    unlabelled = min(facts.unlabelled, MOST_UNLABELLED) if facts.kind != "long" else facts.unlabelled
    if asked.preset == "seed":
        return _seed_plan(facts, asked, preset)
    network, text = _network(facts, asked, preset, large=table != "encoder" or facts.unlabelled == 0)
    pool = facts.rows * (augmentation.variants + augmentation.synonyms) + unlabelled
    meaning = 0.0 if table == "none" else EMBEDDINGS
    return Plan(
        preset=asked.preset,
        kb=preset.kb,
        text=text,
        network=network,
        linear=LinearOptions(facts.kind != "long", 1.0 if few else 0.5, BAYES, meaning),
        sparse=_sparse(facts, pool > 0, meaning),
        validation=_validation(facts, asked),
        loop=_loop(facts, asked, pool),
        augmentation=augmentation,
        teachers=teachers,
        word_table=table,
        related_words=table == "sentiment" or (table != "none" and few and not facts.unlabelled),
        own_labels=1.0 if not teachers else OWN_LABELS if knowing else OWN_LABELS_LINEAR,
        unlabelled=unlabelled,
        balance=asked.balance,
        seed=asked.seed,
    )


def _preset(name: str) -> Preset:
    try:
        return PRESETS[name]
    except KeyError:
        raise DataError(f"no preset {name!r}; choose one of {', '.join(PRESETS)}") from None


def _seed_plan(facts: Facts, asked: Asked, preset: Preset) -> Plan:
    """Keras's example: its text rule, its network, no teacher and no n-grams."""
    if asked.teacher not in (None, NO_TEACHER) or facts.unlabelled:
        raise DataError("preset seed learns from labels alone; leave out --teacher and --unlabelled")
    shape = preset.long
    config = NetworkConfig(
        num_words=shape.words if asked.words is None else asked.words,
        embedding_dim=shape.embedding,
        hidden=shape.hidden,
        labels=facts.labels,
        several=facts.several,
        dropout=DROPOUT,
    )
    text = TextOptions(
        "keras", config.num_words, TextOptions.length if asked.length is None else asked.length
    )
    loop = sized(SEED_LOOP, facts.rows)
    loop = replace(loop, epochs=loop.epochs if asked.epochs is None else asked.epochs)
    validation = Validation(0.1 if asked.validation is None else asked.validation)
    return Plan(
        asked.preset, preset.kb, text, config, LinearOptions(), SparseOptions(), validation, loop,
        balance=asked.balance, seed=asked.seed,
    )  # fmt: skip


def _teachers(facts: Facts, asked: Asked) -> tuple[str, ...]:
    if asked.teacher == NO_TEACHER and not facts.unlabelled:
        asked_for: tuple[str, ...] = ()
    elif asked.teacher in (None, NO_TEACHER):
        asked_for = (SENTIMENT,) if facts.sentiment is not None and asked.teacher is None else ()
    elif asked.teacher == SENTIMENT:
        asked_for = (SENTIMENT,)
    else:
        kinds: tuple[str, ...] = (CLASSIFIER,) if asked.classifier else (PROBE, FINE_TUNED)
        if facts.rows >= FEW_ROWS and not asked.classifier:
            kinds = (FINE_TUNED,)  # knows what its vectors do, and reading every text once more takes minutes
        asked_for = tuple(f"{kind} {asked.teacher}" for kind in kinds)
        if facts.sentiment is not None:
            asked_for = (SENTIMENT, *asked_for)
    if facts.rows < FEWEST_TO_CROSS_VALIDATE:
        return ()
    # An SVM for each of many labels takes minutes and says what the n-gram part learns by itself.
    linear = facts.kind != "many labels" or asked_for or facts.unlabelled
    return (LINEAR, *asked_for) if linear else asked_for


def _word_table(facts: Facts, knowing: list[str]) -> WordTable:
    if facts.kind in ("long", "unsegmented") or facts.rows > MOST_TO_AUGMENT:
        return "none"
    if SENTIMENT in knowing:
        return "sentiment"
    if any(name.startswith(FINE_TUNED) for name in knowing):
        return "encoder" if not facts.unlabelled else "none"
    return "english" if facts.english >= LEAST_ENGLISH else "none"


def _augmentation(facts: Facts, knowing: list[str]) -> Augmentation:
    """Texts are made where a teacher knows more than the rows do."""
    if not knowing or facts.rows > MOST_TO_AUGMENT or facts.kind == "long":
        return Augmentation()
    few, many_labels = facts.rows < FEW_ROWS, facts.kind == "many labels"
    variants = synonyms = AUGMENTED_MANY_LABELS if many_labels and few and not facts.unlabelled else AUGMENTED
    if not few and not many_labels and knowing[-1] != SENTIMENT and not facts.unlabelled:
        variants, synonyms = AUGMENTED_ENCODER
    fewest = int(np.clip(MOST_TO_AUGMENT // max(1, facts.rows), 1, 3))
    return Augmentation(
        int(np.clip(variants // max(1, facts.rows), fewest, MOST_VARIANTS)),
        int(np.clip(synonyms // max(1, facts.rows), 3, MOST_SYNONYMS)),
    )


def _sparse(facts: Facts, soft: bool, embeddings: float) -> SparseOptions:
    if facts.kind == "many labels":
        with_svms = facts.rows < FEW_ROWS and facts.labels <= MOST_SVM_LABELS and not facts.several
        return SparseOptions("low-rank+svm" if with_svms else "low-rank", embeddings)
    if soft or facts.kind == "long":
        return SparseOptions("logistic", embeddings)
    return SparseOptions("svm", embeddings, BAYES)


def _validation(facts: Facts, asked: Asked) -> Validation:
    if asked.validation is not None:
        return Validation(asked.validation)
    if FEWEST_TO_CROSS_VALIDATE <= facts.rows < FEW_ROWS:
        return Validation(0.0, folds=3)
    return Validation(0.1 if facts.rows >= FEW_ROWS else 0.0)


def _loop(facts: Facts, asked: Asked, pool: int) -> LoopOptions:
    loop = LOOPS[facts.kind]
    if pool and facts.rows >= FEW_ROWS and facts.kind != "long":
        loop = replace(loop, epochs=AUGMENTED_EPOCHS)
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

# Bytes of an n-gram beside its vector (the operator holds its ids and its number), of an id in it, which a
# word has one of less, of what the graph and the provenance take, and of a label in the provenance.
_NGRAM_BYTES, _ID_BYTES, _FIXED_BYTES, _LABEL_BYTES = 6, 2, 16_000, 350


def _network(facts: Facts, asked: Asked, preset: Preset, *, large: bool) -> tuple[NetworkConfig, TextOptions]:
    shape = preset.long if facts.kind == "long" else preset.short
    embedding, hidden, words = shape.embedding, shape.hidden, shape.words
    if facts.kind == "short" and large:
        embedding, hidden = (min(*pair) for pair in zip((embedding, hidden), LARGE_VOCABULARY_SHAPE))
    config = NetworkConfig(
        num_words=words,
        embedding_dim=embedding,
        hidden=hidden,
        bidirectional=shape.bidirectional,
        pooling="mean+max",
        labels=facts.labels,
        several=facts.several,
        dropout=DROPOUT,
    )
    width = config.logits if facts.labels <= MOST_EXACT_LABELS else shape.rank
    config = replace(config, ngrams=1, ngram_dim=width)
    if facts.kind == "short" and large:
        word_bytes = _word_bytes(config, facts.word_bytes)
        words = max(words, int(LARGE_VOCABULARY_SHARE * _room(preset.kb, config) / word_bytes))
    words = words if asked.words is None else asked.words
    config = replace(config, num_words=words)
    ngrams = fitting_ngrams(preset.kb, config, min(words, facts.repeated_words), facts.word_bytes)
    return replace(config, ngrams=ngrams), TextOptions(
        "subwords", words, TextOptions.length if asked.length is None else asked.length
    )


def fitting_ngrams(kb: int, config: NetworkConfig, ids: int, word_bytes: float) -> int:
    """How many n-grams fit into the file beside a vocabulary of so many ids: all of them, and word pairs."""
    left = _room(kb, config) - ids * (config.embedding_dim + 2 + word_bytes - _ID_BYTES)
    return max(ids, int(left / (config.ngram_dim + _NGRAM_BYTES)))


def _word_bytes(config: NetworkConfig, word_bytes: float) -> float:
    """Of a word in all: its line, its embedding, its n-gram."""
    return config.embedding_dim + 2 + word_bytes + config.ngram_dim + _NGRAM_BYTES


def _room(kb: int, config: NetworkConfig) -> int:
    """Bytes of the file that are left for words and n-grams."""
    units, inputs = config.hidden + 2, config.embedding_dim + 2
    lstm = config.directions * 4 * units * (units + inputs + 8)
    heads = config.logits * (config.pooled_dim + 8 + config.ngram_dim + 4)
    heads += 4 * (config.pooled_dim + config.ngram_dim)
    return kb * 1000 - lstm - heads - _FIXED_BYTES - config.labels * _LABEL_BYTES


# --- The plan in words --------------------------------------------------------------------------------------


def explain(plan: Plan, facts: Facts) -> list[tuple[str, str, str]]:
    """(what, value, why) of each decision, for a person."""
    network, loop = plan.network, plan.loop
    lines = [
        ("file", f"at most {plan.kb:,} kB in int8", f"preset {plan.preset}"),
        ("text rule", plan.text.rule, f"{plan.text.num_words:,} ids, the last {plan.text.length} of a text"),
        (
            "LSTM",
            f"{network.hidden} units{', both directions' if network.bidirectional else ''}",
            f"on embeddings of {network.embedding_dim}",
        ),
    ]
    if network.ngrams:
        width = (
            "one column per logit"
            if network.ngram_dim == network.logits
            else f"vectors of {network.ngram_dim}"
        )
        lines.append(("n-grams", f"up to {network.ngrams:,}, {width}", f"fitted by {plan.sparse.fit}"))
    lines.append(("teachers", ", ".join(plan.teachers) or "none", _why_teachers(plan, facts)))
    if plan.augmentation.variants or plan.augmentation.synonyms:
        each = plan.augmentation.variants + plan.augmentation.synonyms
        lines.append(("augmentation", f"{each} texts per row", "a teacher labels them"))
    if plan.word_table != "none":
        lines.append(("word embeddings", plan.word_table, "few rows hold few of the words to come"))
    if plan.validation.folds:
        judged = f"{plan.validation.folds}-fold cross-validation"
        lines.append(("validation", judged, f"{facts.rows:,} rows are too few to hold some out"))
    else:
        lines.append(("validation", f"{plan.validation.share:.0%} held out", "chooses the epoch, calibrates"))
    lines.append(("passes", f"at most {loop.epochs}", f"{loop.batch_size} texts per step"))
    return lines


def _why_teachers(plan: Plan, facts: Facts) -> str:
    if SENTIMENT in plan.teachers and facts.sentiment is not None:
        with_it, without = facts.sentiment
        return f"accuracy {with_it:.1%} with sentiment, {without:.1%} without it, cross-validated"
    if not plan.teachers:
        return "the labels alone" if facts.rows >= FEWEST_TO_CROSS_VALIDATE else "too few rows"
    return f"{plan.own_labels:.0%} of a target is the row's own label"
