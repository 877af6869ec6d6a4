"""Statistics of a data set: the facts that a plan is decided from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from edge_lstm.core.question import CHOICE, SCORE, YES_NO, QuestionType, yes_label
from edge_lstm.core.text import Tokenizer, front_coded, spaceless, split_marks
from edge_lstm_export.onnx import in_groups, with_codes
from edge_lstm_export.options import Kind
from edge_lstm_export.train.data import LONGEST_WORD
from edge_lstm_export.train.plan import defaults
from edge_lstm_export.train.sources import Dataset


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
    word_bytes: float = 3.2  # counted from the texts
    label_bytes: float = 10.0  # counted from the labels
    english: float = 0.0
    unlabelled: int = 0
    groups: int = 0
    group_column: str = ""
    trial: TeacherTrial | None = None
    soft: bool = False
    question: QuestionType = CHOICE

    @property
    def kind(self) -> Kind:
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


def dataset_stats(dataset: Dataset) -> DatasetStats:
    """Count.

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
    vocabulary = in_groups(Tokenizer.of_subwords(kept)).words
    stored = with_codes(front_coded(vocabulary)).encode()
    is_yes_no = not dataset.multi_label and yes_label(dataset.labels) is not None
    return DatasetStats(
        rows=len(texts),
        labels=len(dataset.labels),
        multi_label=dataset.multi_label,
        mean_length=length / max(1, len(texts)),
        unsegmented=unsegmented,
        word_bytes=len(stored) / len(kept) if kept else DatasetStats.word_bytes,
        label_bytes=float(np.mean([len(name.encode()) for name in dataset.labels])),
        unlabelled=len(dataset.unlabelled),
        soft=dataset.train.shares is not None,
        question=YES_NO if is_yes_no else CHOICE,
        groups=dataset.groups,
        group_column=dataset.group_column,
    )
