"""Statistics of a data set: the facts that a plan is decided from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from edge_lstm.text import Tokenizer, front_coded, spaceless, split_marks
from edge_lstm_export.options import EnsembleOptions, LinearOptions, SourceFile, VocabularyOptions
from edge_lstm_export.train import defaults
from edge_lstm_export.train.data import Dataset, Floats, folds_of
from edge_lstm_export.train.pretrained import english
from edge_lstm_export.train.teachers import base
from edge_lstm_export.train.teachers.linear import LinearTeacher
from edge_lstm_export.train.teachers.model import model_teacher
from edge_lstm_export.train.vocabulary import in_groups


@dataclass(frozen=True)
class TeacherTrial:
    """How a model file did as a teacher, cross-fitted on rows of the data. Accuracies, 0 to 1.

    alone: of the model. without: of the linear teacher. with_it: of the two together.
    helps: whether the two are surely better than each by itself and the most frequent label.
    """

    source: str
    with_it: float
    without: float
    alone: float
    helps: bool = True


@dataclass(frozen=True)
class DatasetStats:
    """Statistics of a data set.

    rows, labels: counts. multi_label: a text may have several labels.
    mean_length: words per text, the mean (characters in an unsegmented script).
    unsegmented: many texts are in a script without spaces between words.
    word_bytes: mean size in a model file of a word that occurs more than once and can be in a
        vocabulary.
    label_bytes: mean size in UTF-8 of a label's name.
    english: share of words that the table of English words has, 0 to 1.
    unlabelled: texts without a label.
    trial: of a model file as a teacher; None if none was tried.
    """

    rows: int
    labels: int
    multi_label: bool = False
    mean_length: float = 10.0  # tolerance: counted from the texts
    unsegmented: bool = False
    word_bytes: float = 4.5  # tolerance: counted from the texts
    label_bytes: float = 10.0  # tolerance: counted from the labels
    english: float = 0.0
    unlabelled: int = 0
    trial: TeacherTrial | None = None

    @property
    def kind(self) -> defaults.Kind:
        """The row of the tables of defaults."""
        if self.mean_length > defaults.LONG_TEXTS and not self.unsegmented:
            return "topics" if self.labels > defaults.MOST_REVIEW_LABELS else "long"
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
    """Count. unlabelled: texts without a label.

    No model is asked: ``english`` is 0 and ``trial`` None, see :func:`knowledge`.
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
    longest = VocabularyOptions.longest_word
    short = [word for word in repeated if len(word) <= longest]
    kept = tuple(short or dict.fromkeys(word[:longest] for word in repeated))
    stored = front_coded(in_groups(Tokenizer(kept, pieces=())).words).encode()
    return DatasetStats(
        rows=len(texts),
        labels=len(dataset.labels),
        multi_label=dataset.multi_label,
        mean_length=length / max(1, len(texts)),
        unsegmented=unsegmented,
        word_bytes=len(stored) / len(kept) if kept else DatasetStats.word_bytes,
        label_bytes=float(np.mean([len(name.encode()) for name in dataset.labels])),
        unlabelled=unlabelled,
    )


def english_share(dataset: Dataset) -> float:
    """Return the share of the words that the table of English words has, 0 to 1."""
    return english().share_of(dataset.train.texts)


def try_teacher(
    dataset: Dataset, file: SourceFile, seed: int, *, is_english: bool
) -> TeacherTrial | None:
    """Cross-fit a model file as a teacher on some rows, together with a linear one.

    Return None if the rows are too few to tell, too many, or have too many labels.
    """
    rows = len(dataset.train)
    has_many = dataset.multi_label or len(dataset.labels) > defaults.MOST_EXACT_LABELS
    most = defaults.MOST_WITH_EMBEDDINGS
    fewest = defaults.FEWEST_TO_CROSS_VALIDATE
    if has_many or not fewest <= rows <= most:
        return None
    order = np.random.default_rng([seed, 0x5E]).permutation(rows)
    train = dataset.train.subset(np.sort(order[: defaults.TRIAL_ROWS]))
    labels = train.labels
    if (labels.sum(axis=0) > 1).sum() < 2:
        return None
    fold = folds_of(train, defaults.TRIAL_FOLDS, seed)
    options = EnsembleOptions()

    def predict(teacher: base.Teacher) -> Floats:
        teacher.read(train.texts)
        queries = base.Queries.none(defaults.TRIAL_FOLDS)
        return base.cross_fit(teacher, labels, fold, queries, options).labelled

    def surely_better(with_it: Floats, without: Floats) -> bool:
        if base.accuracy_gain(with_it, without, labels, False) < defaults.TRIAL_ACCURACY_GAIN:
            return False
        return base.log_loss_gain(with_it, without, labels, False) >= defaults.TRIAL_LOG_LOSS_GAIN

    alone = predict(model_teacher(file, False, options))
    shares = labels.mean(axis=0).clip(defaults.TRIAL_UNSEEN)
    frequent = np.broadcast_to(np.log(shares), alone.shape).astype(np.float32)
    accuracy = base.accuracy(alone, labels, False)
    if not surely_better(alone, frequent):  # asked first: it takes no time
        return None
    words = english() if is_english else None
    linear = predict(LinearTeacher(False, LinearOptions(), words))
    without = base.stacked([linear], labels, False, options.prior)
    with_it = base.stacked([without, alone], labels, False, options.prior)
    return TeacherTrial(
        source=file.source,
        with_it=base.accuracy(with_it, labels, False),
        without=base.accuracy(without, labels, False),
        alone=accuracy,
        helps=surely_better(with_it, without),
    )
