"""Statistics of a data set: the facts that a plan is decided from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from edge_lstm.question import CHOICE, SCORE, YES_NO, QuestionType, yes_label
from edge_lstm.text import Tokenizer, front_coded, spaceless, split_marks
from edge_lstm_export.options import SourceFile
from edge_lstm_export.train import defaults
from edge_lstm_export.train.data import Bools, Dataset, Floats, folds_of
from edge_lstm_export.train.pretrained import english
from edge_lstm_export.train.teachers import base
from edge_lstm_export.train.teachers.linear import LinearTeacher
from edge_lstm_export.train.teachers.model import model_teacher
from edge_lstm_export.train.vocabulary import LONGEST_WORD, in_groups


@dataclass(frozen=True)
class TeacherTrial:
    """How a model file did as a teacher, cross-fitted on rows of the data.

    helps: whether it is surely better than the most frequent label, and improves a linear teacher.
    finding: for a person: the accuracies that decided, or why it was not tried.
    """

    source: str
    helps: bool
    finding: str


@dataclass(frozen=True)
class DatasetStats:
    """Statistics of a data set.

    rows, labels: counts.
    multi_label: a text may have several labels.
    mean_length: mean number of words per text (characters in an unsegmented script).
    unsegmented: many texts are in a script without spaces between words.
    word_bytes: mean size in a model file of a word that occurs more than once and can be in a
        vocabulary.
    label_bytes: mean size in UTF-8 of a label's name.
    english: share of words that the table of English words has, 0 to 1.
    unlabelled: texts without a label.
    groups: number of groups of rows, such as authors, that no split divides; 0 without groups.
    group_column: the column of the groups.
    trial: trial of a model file as a teacher; None if another teacher was requested.
    soft: some labels are not certain.
    question: what the labels are by themselves. Numbers are a choice unless a score is asked for.
    """

    rows: int
    labels: int
    multi_label: bool = False
    mean_length: float = 10.0  # counted from the texts
    unsegmented: bool = False
    word_bytes: float = 4.5  # counted from the texts
    label_bytes: float = 10.0  # counted from the labels
    english: float = 0.0
    unlabelled: int = 0
    groups: int = 0
    group_column: str = ""
    trial: TeacherTrial | None = None
    soft: bool = False
    question: QuestionType = CHOICE

    @property
    def kind(self) -> defaults.Kind:
        """The row of the tables of defaults."""
        if self.mean_length > defaults.LONG_TEXTS and not self.unsegmented:
            has_topics = self.labels > defaults.MOST_REVIEW_LABELS and self.question != SCORE
            return "topics" if has_topics else "long"
        if self.labels > defaults.MOST_EXACT_LABELS:
            return "many labels"
        return "unsegmented" if self.unsegmented else "short"

    @property
    def most_columns(self) -> int:
        """Labels up to which an n-gram has a column for each."""
        if self.kind == "topics":
            return defaults.MOST_EXACT_TOPICS
        return defaults.MOST_EXACT_LABELS

    @property
    def is_long(self) -> bool:
        """Whether the texts are long, with words between spaces."""
        return self.kind in ("long", "topics")


def dataset_stats(dataset: Dataset, unlabelled: int = 0) -> DatasetStats:
    """Count.

    unlabelled: texts without a label.

    No model is asked: ``english`` is 0 and ``trial`` None, see planning.known_stats.
    """
    texts = dataset.train.texts
    words = [split_marks(text) for text in texts]
    unsegmented = sum(map(spaceless, texts)) > defaults.UNSEGMENTED_SHARE * len(texts)
    if unsegmented:
        length = sum(len(word) for text_words in words for word in text_words)
    else:
        length = sum(map(len, words))
    counts = Counter(word for text_words in words for word in text_words)
    repeated = [word for word, n in counts.most_common() if n > 1]
    # As the vocabulary takes them: longer words only for lack of others, and then cut.
    short = [word for word in repeated if len(word) <= LONGEST_WORD]
    kept = tuple(short or dict.fromkeys(word[:LONGEST_WORD] for word in repeated))
    stored = front_coded(in_groups(Tokenizer.of_subwords(kept)).words).encode()
    is_yes_no = not dataset.multi_label and yes_label(dataset.labels) is not None
    return DatasetStats(
        rows=len(texts),
        labels=len(dataset.labels),
        multi_label=dataset.multi_label,
        mean_length=length / max(1, len(texts)),
        unsegmented=unsegmented,
        word_bytes=len(stored) / len(kept) if kept else DatasetStats.word_bytes,
        label_bytes=float(np.mean([len(name.encode()) for name in dataset.labels])),
        unlabelled=unlabelled,
        soft=dataset.train.shares is not None,
        question=YES_NO if is_yes_no else CHOICE,
        groups=dataset.groups,
        group_column=dataset.group_column,
    )


def try_teacher(dataset: Dataset, stats: DatasetStats, file: SourceFile, seed: int) -> TeacherTrial:
    """Cross-fit a model file as a teacher on some rows, together with a linear one."""
    order = np.random.default_rng([seed, 0x5E]).permutation(stats.rows)
    train = dataset.train.subset(np.sort(order[: defaults.TRIAL_ROWS]))
    labels = train.labels
    reason = _why_untried(stats, labels)
    if reason:
        return TeacherTrial(file.source, False, f"not tried: {reason}")
    fold = folds_of(train, defaults.TRIAL_FOLDS, seed)

    def predict(teacher: base.Teacher) -> Floats:
        teacher.read(train.texts)
        nothing = np.zeros((defaults.TRIAL_FOLDS + 1, 0), np.bool_)
        return base.cross_fit(teacher, labels, fold, nothing).labelled

    def surely_better(with_it: Floats, without: Floats) -> bool:
        if base.accuracy_gain(with_it, without, labels, False) < defaults.TRIAL_ACCURACY_GAIN:
            return False
        return base.log_loss_gain(with_it, without, labels, False) >= defaults.TRIAL_LOG_LOSS_GAIN

    def rate(logits: Floats) -> str:
        return f"{base.accuracy(logits, labels, False):.1%}"

    alone = predict(model_teacher(file, False))
    shares = labels.mean(axis=0).clip(defaults.TRIAL_UNSEEN)
    frequent = np.broadcast_to(np.log(shares), alone.shape).astype(np.float32)
    if not surely_better(alone, frequent):  # asked first: it takes no time
        rates = f"accuracy {rate(alone)} alone, {rate(frequent)} by the most frequent label"
        return TeacherTrial(file.source, False, f"tried: {rates}, no sure gain")
    words = english() if stats.english >= defaults.LEAST_ENGLISH else None
    linear = predict(LinearTeacher(False, words=words))
    without = base.stacked([linear], labels, False)
    with_it = base.stacked([without, alone], labels, False)
    rates = f"cross-validated accuracy {rate(with_it)} with it, {rate(without)} without"
    if surely_better(with_it, without):
        return TeacherTrial(file.source, True, f"tried: {rates}")
    return TeacherTrial(file.source, False, f"tried: {rates}, no sure gain")


def _why_untried(stats: DatasetStats, labels: Bools) -> str:
    """Return why a model file is not tried as a teacher of these rows; "" if it is."""
    if stats.kind != "short":
        return stats.kind if stats.kind in ("many labels", "topics") else f"{stats.kind} texts"
    if stats.multi_label:
        return "several labels per text"
    if stats.rows < defaults.FEWEST_TO_CROSS_VALIDATE:
        return f"{stats.rows} rows are too few"
    if stats.rows > defaults.MOST_WITH_EMBEDDINGS:
        return f"more than {defaults.MOST_WITH_EMBEDDINGS:,} rows"
    if (labels.sum(axis=0) > 1).sum() < 2:
        return "fewer than two labels have two rows"
    return ""
