"""The plan of a training: everything by which trainings differ.

It is decided from the data's statistics before the training runs.

:func:`make_plan` is the one place that decides; defaults.py has its tables. A plan can be printed
(``train --dry-run``), edited and run again (``--plan FILE``), and is kept in the checkpoint. A
value that all plans share stands where the training uses it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, ParamSpec

from edge_lstm.checked import types_of
from edge_lstm.core.question import CHOICE, SCORE, QuestionType
from edge_lstm.errors import DataError
from edge_lstm_export.onnx import source_file
from edge_lstm_export.options import (
    NO_TEACHER,
    SENTIMENT,
    SMALL_SENTIMENT,
    AugmentationOptions,
    Kind,
    LoopOptions,
    Plan,
    SourceFile,
    SparseOptions,
    TeacherOptions,
    TextOptions,
    TrainingRequest,
    Validation,
    VocabularyOptions,
    WordTable,
)
from edge_lstm_export.train.lstm import lstm_shape
from edge_lstm_export.train.plan import defaults
from edge_lstm_export.train.plan.defaults import PRESETS, Preset
from edge_lstm_export.train.plan.sizes import network_of, plan_network
from edge_lstm_export.train.plan.stats import DatasetStats
from edge_lstm_export.train.sources import few_groups

Values = ParamSpec("Values")
NOTHING_ASKED = TrainingRequest()
FREE = "free places of the vocabulary"
KERAS = "Keras's example"


# --- The decisions --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Decided:
    """A plan, and why.

    stats: the statistics that decided it.
    reasons: of each field, or of a part of the plan, by its path; an edited plan has none.
    """

    plan: Plan
    stats: DatasetStats
    reasons: Mapping[str, str] = field(default_factory=dict)


# The name of each part in a plan, whose own fields have none before them.
PARTS: dict[object, str] = {
    Plan: "",
    **{kind: name for name, kind in types_of(Plan).items() if is_dataclass(kind)},
}


class Choices:
    """The decided values of a plan's fields and their reasons, by path."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.reasons: dict[str, str] = {}

    def put(
        self,
        reason: str,
        part: Callable[Values, object],
        *unnamed: Values.args,
        **values: Values.kwargs,
    ) -> None:
        """Keep decided fields of a part, in place of earlier ones, with the reason of all.

        part: Plan, or the class of a part of it, whose fields mypy holds the values against.
        """
        assert not unnamed, "a decision names its field"
        for name, value in values.items():
            path = f"{PARTS[part]}.{name}".removeprefix(".")
            self.values[path] = value
            self.reasons[path] = reason

    def plan(self) -> Plan:
        """Return the plan of these values, and of defaults for the rest.

        A part as a whole comes before single fields of it.
        """
        usual = Plan()
        values: dict[str, Any] = {}
        for path, value in self.values.items():
            part, _, name = path.partition(".")
            if name:
                value = replace(values.get(part, getattr(usual, part)), **{name: value})
            values[part] = value
        return Plan(**values)


def make_plan(stats: DatasetStats, request: TrainingRequest = NOTHING_ASKED) -> Plan:
    """Decide a training.

    Raise DataError for requests that exclude each other.
    """
    return decide(stats, request).plan


def decide(stats: DatasetStats, request: TrainingRequest = NOTHING_ASKED) -> Decided:
    """Decide a training, and say why.

    Raise DataError as :func:`make_plan`.
    """
    preset = PRESETS[request.preset]
    if request.balance and stats.multi_label:
        raise DataError(
            "--balance is for one label per text; leave it out: each label has its own threshold"
        )
    made = Choices()
    given = stats
    question, why = _question(stats, request)
    made.put(why, Plan, question=question)
    stats = replace(stats, question=question)
    made.put("--preset", Plan, preset=request.preset)
    made.put(f"preset {request.preset}", Plan, max_kilobytes=preset.max_kilobytes)
    made.put(_why_kind(stats), Plan, kind=stats.kind)
    made.put("--balance", Plan, balance=request.balance)
    made.put("--seed", Plan, seed=request.seed)
    if request.preset == "seed":
        _decide_seed(stats, request, preset, made)
    else:
        _decide_all(stats, request, preset, made)
    by_groups = f"{stats.groups:,} groups" if stats.group_column else "no --group-column"
    made.put(by_groups, Validation, group_column=stats.group_column)
    return Decided(made.plan(), given, made.reasons)


def _decide_all(
    stats: DatasetStats, request: TrainingRequest, preset: Preset, made: Choices
) -> None:
    put = made.put
    teachers, why = _teachers(stats, request)
    put(why, Plan, teachers=teachers)
    strong = [teacher for teacher in teachers if teacher.kind != "linear"]
    table, why = _word_table(stats, strong)
    put(why, Plan, word_table=table)
    source, why = _start(stats, request, preset, strong)
    start, model = source_file(source) if source else (SourceFile(), None)
    put(why, Plan, start=start)
    put("so that the plan means this file", SourceFile, sha256=start.sha256)
    unlabelled, why = _unlabelled(stats)
    put(why, Plan, unlabelled=unlabelled)
    uses_log = _uses_log(stats, strong)
    per_row, why = _texts_per_row(stats, strong, uses_log=uses_log)
    put(why, AugmentationOptions, texts_per_row=per_row)
    transfer = stats.rows * per_row + unlabelled
    typos, why = _typos(stats)
    put(why, AugmentationOptions, typos=typos)
    subword_share, why = _subword_share(stats)
    put(why, VocabularyOptions, subword_share=subword_share)
    expansion, why = _expansion(stats, preset, table, strong)
    put(why, VocabularyOptions, expansion=expansion)
    put("a word without an id is read as subwords", TextOptions, rule="subwords")
    length, why = _length(stats.kind)
    put(why, TextOptions, length=length)
    validation, why = _validation(stats, request)
    put(why, Plan, validation=validation)
    weight, why = _hard_label_weight(strong)
    put(why, Plan, hard_label_weight=weight)
    lstm = None if model is None else lstm_shape(model)
    sizes = plan_network(stats, request.preset, lstm, table)
    made.values["network"] = sizes.network
    made.reasons.update(sizes.reasons)
    _decide_sparse(stats, table, transfer, made, uses_log=uses_log)
    _decide_loop(stats, request, transfer, start, table, made)


def _decide_seed(
    stats: DatasetStats, request: TrainingRequest, preset: Preset, made: Choices
) -> None:
    """Plan Keras's example: its text rule and its network, learnt from labels alone."""
    if stats.unlabelled:
        raise DataError("preset seed learns from labels alone; leave out --unlabelled")
    loop = sized(defaults.LOOPS["seed"], stats.rows)
    if request.epochs is not None:
        loop = replace(loop, epochs=request.epochs)
    share = Validation.share if request.validation is None else request.validation
    made.put(
        KERAS,
        Plan,
        text=TextOptions("keras"),
        network=network_of(stats, preset.long),
        loop=loop,
        validation=Validation(share),
    )
    for each in fields(Plan):
        made.reasons.setdefault(each.name, KERAS)


def _why_kind(stats: DatasetStats) -> str:
    if stats.kind == "many labels":
        return f"{stats.labels} labels, more than {defaults.MOST_EXACT_LABELS}"
    if stats.kind == "unsegmented":
        return "texts are in a script without spaces"
    side = "at most" if stats.kind == "short" else "more than"
    words = f"{stats.mean_length:.1f} words per text, {side} {defaults.LONG_TEXTS:g}"
    return f"{words}, and {stats.labels} labels" if stats.kind == "topics" else words


def _question(stats: DatasetStats, request: TrainingRequest) -> tuple[QuestionType, str]:
    if request.question is None:
        return stats.question, "by its labels"
    if stats.multi_label and request.question != CHOICE:
        raise DataError(
            f"--question {request.question} is for one label per text; leave it out, or give each "
            "text one label"
        )
    return request.question, "asked for"


def _length(kind: Kind) -> tuple[int, str]:
    if kind == "topics":
        return defaults.TOPICS_LENGTH, "articles begin with their topic, and few are longer"
    return TextOptions.length, "the end of a long text says most"


def _is_few(stats: DatasetStats) -> bool:
    return stats.rows < defaults.FEW_ROWS


def _teachers(
    stats: DatasetStats, request: TrainingRequest
) -> tuple[tuple[TeacherOptions, ...], str]:
    if stats.rows < defaults.FEWEST_TO_CROSS_VALIDATE:
        return (), f"{stats.rows} rows are too few to cross-validate"
    strong: list[TeacherOptions] = []
    reasons: list[str] = []
    asked = request.teacher
    if asked == NO_TEACHER:
        reasons.append("no other teacher asked for")
    elif asked is not None and request.transformer is None:
        file, _ = source_file(asked)
        strong.append(TeacherOptions(file.source, file.sha256, kind="model"))
        reasons.append(f"{Path(asked).name} asked for")
    elif stats.trial is not None:
        reasons.append(f"{stats.trial.source} {stats.trial.finding}")
        if stats.trial.helps:
            strong.append(TeacherOptions(stats.trial.source, kind="model"))
    if request.transformer is not None:
        strong += _transformers(stats, request.transformer)
        reasons.append(f"{Path(request.transformer).name} asked for")
    # The linear teacher knows of the rows what the n-gram part learns by itself.
    if not strong and not stats.unlabelled:
        return (), "; ".join([*reasons, "the rows' labels teach"])
    reasons.append("a linear one too" if strong else "a linear one labels the texts without labels")
    return (TeacherOptions(), *strong), "; ".join(reasons)


def _transformers(stats: DatasetStats, source: str) -> list[TeacherOptions]:
    fine_tuned = TeacherOptions(source, kind="fine-tuned")
    # With many rows a fine-tuned encoder knows what the probe does, and each reading of them takes
    # minutes.
    if _is_few(stats):
        return [TeacherOptions(source, kind="probe"), fine_tuned]
    return [fine_tuned]


def _hard_label_weight(strong: list[TeacherOptions]) -> tuple[float, str]:
    if strong:
        return defaults.HARD_LABEL_WEIGHT, "the teachers have the rest"
    return 1.0, "no teacher knows more than the rows"


def _has(strong: list[TeacherOptions], kind: str) -> bool:
    return any(teacher.kind == kind for teacher in strong)


def _knows_english(strong: list[TeacherOptions]) -> bool:
    return any(teacher.source == SENTIMENT for teacher in strong)


def _word_table(stats: DatasetStats, strong: list[TeacherOptions]) -> tuple[WordTable, str]:
    if stats.is_long or stats.kind == "unsegmented":
        return "none", "long texts" if stats.is_long else "unsegmented texts"
    if stats.rows > defaults.MOST_WITH_EMBEDDINGS:
        return "none", f"more than {defaults.MOST_WITH_EMBEDDINGS:,} rows"
    if _has(strong, "fine-tuned") and not _has(strong, "model"):
        if not stats.unlabelled:
            return "encoder", "the encoder's"
        if stats.kind == "many labels":
            return "none", "the encoder labels a log of many labels"
    if _knows_english(strong):
        return "english", f"{SENTIMENT} teaches, which reads English"
    if stats.multi_label:
        return "none", "several labels per text"
    share = f"the table knows {stats.english:.0%} of the words"
    if stats.english >= defaults.LEAST_ENGLISH:
        return "english", share
    return "none", f"{share}, less than {defaults.LEAST_ENGLISH:.0%}"


def _start(
    stats: DatasetStats, request: TrainingRequest, preset: Preset, strong: list[TeacherOptions]
) -> tuple[str, str]:
    """Decide the model file to start from; "" for none."""
    if request.start is not None:
        return request.start, "asked for"
    if _knows_english(strong) and stats.kind == "short":
        name = SENTIMENT if preset.is_large else SMALL_SENTIMENT
        return name, f"{SENTIMENT} teaches short texts"
    return "", "no --start, and no sentiment model that teaches short texts"


def _uses_log(stats: DatasetStats, strong: list[TeacherOptions]) -> bool:
    """Return whether a transformer labels a log instead of augmented texts."""
    transformer = bool(strong) and strong[-1].kind != "model"
    return _is_few(stats) and transformer and stats.unlabelled >= defaults.ENOUGH_UNLABELLED


def _unlabelled(stats: DatasetStats) -> tuple[int, str]:
    if stats.is_long:
        return stats.unlabelled, "all texts without a label"
    most = min(stats.unlabelled, defaults.MOST_UNLABELLED)
    return most, f"texts without a label, at most {defaults.MOST_UNLABELLED:,}"


def _texts_per_row(
    stats: DatasetStats, strong: list[TeacherOptions], *, uses_log: bool
) -> tuple[int, str]:
    """Decide augmented texts: a teacher that knows more than the rows do labels them."""
    if uses_log:
        return 0, "the teachers label a log"
    if not strong:
        return 0, "no teacher knows more than the rows"
    if stats.is_long:
        return 0, "long texts"
    if stats.rows > defaults.MOST_TO_AUGMENT:
        return 0, f"more than {defaults.MOST_TO_AUGMENT:,} rows"
    is_few = _is_few(stats)
    many_labels = stats.kind == "many labels"
    texts = defaults.AUGMENTED
    if many_labels and is_few:
        texts = defaults.AUGMENTED_MANY_LABELS
    elif strong[-1].kind != "model" and not is_few and not many_labels and not stats.unlabelled:
        texts = defaults.AUGMENTED_ENCODER
    rows = max(1, stats.rows)
    fewest = min(3, max(1, defaults.MOST_TO_AUGMENT // rows))
    each = min(defaults.MOST_PER_ROW, max(fewest, texts // rows))
    return (
        each,
        f"some {texts:,} texts in all, {fewest} to {defaults.MOST_PER_ROW} per row, each once",
    )


def _typos(stats: DatasetStats) -> tuple[float, str]:
    if stats.kind not in ("short", "many labels"):
        return 0.0, "long texts" if stats.is_long else "unsegmented texts"
    if _is_few(stats) or stats.rows > defaults.MOST_TO_AUGMENT:
        return 0.0, f"for {defaults.FEW_ROWS:,} to {defaults.MOST_TO_AUGMENT:,} rows"
    return defaults.TYPOS, "copies from which subwords learn"


def _subword_share(stats: DatasetStats) -> tuple[float, str]:
    if stats.unsegmented:
        return defaults.UNSEGMENTED_SUBWORD_SHARE, "an unsegmented script"
    return VocabularyOptions.subword_share, "words are separated by spaces"


def _expansion(
    stats: DatasetStats,
    preset: Preset,
    table: WordTable,
    strong: list[TeacherOptions],
) -> tuple[bool, str]:
    if table == "none":
        return False, "no word embeddings"
    if _knows_english(strong):
        return True, f"{FREE}, for words that {SENTIMENT} knows"
    if stats.unlabelled:
        return False, "the log's words fill the vocabulary"
    if _is_few(stats):
        return True, f"{FREE}, with few rows"
    if preset.is_large and stats.kind == "short":
        return True, f"{FREE}, in a large file"
    return False, "the rows' words fill the vocabulary"


def _decide_sparse(
    stats: DatasetStats, table: WordTable, transfer: int, made: Choices, *, uses_log: bool
) -> None:
    put = made.put
    put(f"kind {stats.kind}", Plan, sparse=SparseOptions())
    if stats.kind == "long":
        put("long texts hold many pairs", SparseOptions, selection="telling")
        put("long texts hold enough words", SparseOptions, characters=False)
    if table != "none":
        put(f"word embeddings: {table}", SparseOptions, embeddings=defaults.EMBEDDINGS)
    # An SVM takes a text wholly for its likeliest label; augmented texts are often of none in
    # particular.
    is_soft = stats.soft or stats.question == SCORE
    if stats.labels > stats.most_columns:
        with_svms = _is_few(stats) and stats.labels <= defaults.MOST_SVM_LABELS
        if with_svms and not (stats.multi_label or uses_log):
            put("many labels, few rows", SparseOptions, fit="low-rank+svm")
        else:
            put("many labels", SparseOptions, fit="low-rank")
    elif stats.kind == "topics":
        put(
            "topics of long texts",
            SparseOptions,
            fit="svm",
            regularization=defaults.TOPICS_REGULARIZATION,
            shortest=defaults.TOPICS_CHARACTERS,
        )
        characters, why = _topic_characters(stats)
        put(why, SparseOptions, characters=characters)
    elif stats.kind == "long":
        put("long texts", SparseOptions, fit="logistic")
    elif is_soft or (transfer and (stats.multi_label or not uses_log)):
        put("soft targets", SparseOptions, fit="logistic")
    else:
        put("the rows' labels", SparseOptions, fit="svm")


def _topic_characters(stats: DatasetStats) -> tuple[bool, str]:
    if stats.rows * stats.mean_length > defaults.MOST_WORDS_WITH_CHARACTERS:
        return False, f"more than {defaults.MOST_WORDS_WITH_CHARACTERS:,} words in all rows"
    return True, "they tell what rare words are about"


def _validation(stats: DatasetStats, request: TrainingRequest) -> tuple[Validation, str]:
    column = stats.group_column
    if request.validation is not None:
        return Validation(request.validation, group_column=column), "asked for"
    if stats.rows < defaults.FEWEST_TO_CROSS_VALIDATE:
        return Validation(0.0, group_column=column), f"{stats.rows} rows are too few to judge by"
    if few_groups(stats.groups):
        folds = min(defaults.FOLDS, stats.groups)
        reason = f"{stats.groups} groups are too few to hold out some"
        return Validation(0.0, folds, column), reason
    if _is_few(stats):
        reason = f"{stats.rows:,} rows are too few to hold out some"
        return Validation(0.0, defaults.FOLDS, column), reason
    reason = f"{stats.rows:,} rows; for early stopping and calibration"
    return Validation(0.1, group_column=column), reason


def _decide_loop(
    stats: DatasetStats,
    request: TrainingRequest,
    transfer: int,
    start: SourceFile,
    table: WordTable,
    made: Choices,
) -> None:
    put = made.put
    loop = defaults.LOOPS[stats.kind]
    if transfer and not _is_few(stats) and not stats.is_long:
        loop = replace(loop, epochs=defaults.TRANSFER_EPOCHS)
    texts = stats.rows + transfer
    most = "at most " if transfer else ""
    if stats.kind != "topics":  # whose LSTM learns little, however long
        loop = sized(loop, texts)
    put(f"kind {stats.kind}", Plan, loop=loop)
    if start.source:
        why = f"it starts from {start.source}"
        put(why, LoopOptions, learning_rate=defaults.START_RATE)
    elif table == "english":
        why = "the embedding starts pretrained"
        put(why, LoopOptions, embedding_rate=defaults.PRETRAINED_WORDS_RATE)
    why = f"for {most}{texts:,} texts"
    put(why, LoopOptions, epochs=loop.epochs, batch_size=loop.batch_size, patience=loop.patience)
    if request.epochs is not None:
        put("asked for", LoopOptions, epochs=request.epochs)
        # The rate of early epochs is so high that the loss hardly falls: many epochs wait for half
        # of them.
        put(why, LoopOptions, patience=max(loop.patience, request.epochs // 2))


def sized(loop: LoopOptions, texts: int) -> LoopOptions:
    """Return the options for this number of texts.

    With few, batches are smaller, epochs are more, and patience is longer, since the validation
    loss of few texts is noisy.
    """
    batch_size = loop.batch_size
    while batch_size > defaults.SMALLEST_BATCH and texts < defaults.FEWEST_BATCHES * batch_size:
        batch_size //= 2
    steps = max(1, math.ceil(texts / batch_size))
    fewest = math.ceil(defaults.FEWEST_STEPS / steps)
    epochs = min(max(loop.epochs, fewest), max(loop.epochs, defaults.MOST_EPOCHS))
    patience = max(loop.patience, epochs // 4)
    return replace(loop, batch_size=batch_size, epochs=epochs, patience=patience)
