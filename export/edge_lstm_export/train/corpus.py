"""The texts of a training: rows, validation texts and the pool that teachers label, with their vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from edge_lstm.text import split_marks
from edge_lstm_export.train.augment import augment
from edge_lstm_export.train.data import Dataset, Ints, Split, folds_of, hold_out
from edge_lstm_export.train.plan import Plan
from edge_lstm_export.train.pretrained import PretrainedWords
from edge_lstm_export.train.vocabulary import Vocabulary, build_vocabulary, informative_marks

TEACHER_FOLDS = 5  # of the cross-fitting, where rows are held out and no folds are planned


@dataclass(frozen=True)
class Corpus:
    """The texts of a training. rows: labelled texts that are learnt from; validation: those that judge;
    pool: texts without a label, which teachers label: first those of a log, then the augmented ones;
    pool_fold: int64 [pool], the fold of the rows that a text was made of, -1 for none; fold: int64 [rows]."""

    dataset: Dataset
    rows: Split
    validation: Split
    fold: Ints
    pool: tuple[str, ...]
    pool_fold: Ints
    vocabulary: Vocabulary

    @property
    def folds(self) -> int:
        """How many there are."""
        return int(self.fold.max(initial=0)) + 1


def prepare(dataset: Dataset, plan: Plan, unlabelled: Sequence[str], words: PretrainedWords | None) -> Corpus:
    """Hold out the validation texts, make the augmented ones and build the vocabulary.

    Words are counted over the whole training split, the validation part with it: that reads no label, and by
    Keras's rule the ids are then those of Keras's index on the same data. The test split is not read.
    """
    rows, validation = hold_out(dataset.train, plan.validation.share, plan.seed)
    folds = plan.validation.folds or (TEACHER_FOLDS if plan.teachers else 1)
    fold = folds_of(rows, folds, plan.seed)
    log = tuple(unlabelled)
    augmented = augment(rows.texts, fold, plan.augmentation, plan.seed)
    marks = informative_marks(rows.texts, rows.labels)
    related = None
    if words is not None and plan.related_words:
        in_texts = sorted({word for text in dataset.train.texts for word in split_marks(text)})
        related = partial(words.related, in_texts)

    vocabulary = build_vocabulary(dataset.train.texts, log, plan.text, marks, related)
    pool_fold = np.concatenate([np.full(len(log), -1, np.int64), augmented.fold])
    return Corpus(dataset, rows, validation, fold, (*log, *augmented.texts), pool_fold, vocabulary)


def example_texts(rows: Split, count: int, seed: int) -> list[str]:
    """Short training texts of different labels, for the model file's own test and for people."""
    rng = np.random.default_rng([seed, 0xE1])
    order = rng.permutation(len(rows))
    short = [int(i) for i in order if rows.texts[i].split() and len(rows.texts[i]) <= 200]
    _, first = np.unique(rows.strata[short], return_index=True)  # one of each label comes first
    chosen = dict.fromkeys([short[i] for i in np.sort(first)] + short)
    return [rows.texts[i] for i in chosen][:count]
