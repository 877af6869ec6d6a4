"""The linear model that a network is compared with, on the same held-out rows.

It is a linear SVM on TF-IDF of words, pairs of words and characters: a few lines of scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_lstm.core.text import Tokenizer
from edge_lstm.metrics import SetScores, set_scores
from edge_lstm_export.arrays import Bools, Floats
from edge_lstm_export.options import Plan
from edge_lstm_export.train.data.rows import LabelledRows
from edge_lstm_export.train.sources.dataset import Dataset, Split
from edge_lstm_export.train.sparse.linear import (
    FLOAT32_BYTES,
    given,
    linear_svm,
)
from edge_lstm_export.train.sparse.ngrams import SparsePart

NAME = "linear SVM on TF-IDF"
# A fit of more labels, or of more characters of all texts times the SVMs and 12 for counting,
# takes more than a few per cent of a training, or a gigabyte.
MOST_LABELS = 100
MOST_WORK = 100_000_000
COUNTING = 12  # an estimate
PASSES = 5  # of liblinear; more change no more labels than another order of the rows


@dataclass(frozen=True)
class Baseline:
    """A linear model, judged by the rows that judge the network.

    name: for people.
    scores: of those rows.
    size: bytes of its weights as float32 and of its vocabulary, a byte between two entries.
    """

    name: str
    scores: SetScores
    size: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        figures = self.scores.to_dict()
        del figures["labels"]
        return {"name": self.name, "bytes": self.size, **figures}


def is_linear_model(plan: Plan, sparse: SparsePart) -> bool:
    """Return whether the n-gram part is such a model itself: it learns the rows' labels alone."""
    is_svm = plan.sparse.fit == "svm" and plan.kind == "topics"
    return is_svm and not plan.teachers and sparse.features.embeddings is None


def ngram_baseline(
    dataset: Dataset, targets: Floats, logits: Floats, sparse: SparsePart, tokenizer: Tokenizer
) -> Baseline:
    """Return the n-gram part by itself.

    targets: float32 [n, L], the labels of the rows that judge.
    logits: float32 [n, outputs], its answers to them.
    """
    entries = (*tokenizer.words, *tokenizer.pieces)
    vocabulary = sum(len(entry.encode()) + 1 for entry in entries)
    pairs = 8 * len(sparse.features.pairs)  # two ids each
    size = vocabulary + pairs + FLOAT32_BYTES * logits.shape[1] * len(sparse.features)
    scores = set_scores(targets > 0.5, given(logits, dataset.multi_label), dataset.labels)
    return Baseline("linear model on the n-grams alone", scores, size)


def fit_baseline(
    dataset: Dataset, rows: LabelledRows, *, characters: bool = True
) -> Baseline | None:
    """Fit the linear model on what the network learns from, for each fold if these judge.

    characters: see linear.counters. None if that would take long, or texts are blank.
    """
    rounds = _rounds(dataset, rows)
    labels = len(dataset.labels)
    size_of_texts = sum(len(text) for learnt, _ in rounds for text in learnt.texts)
    if labels > MOST_LABELS or size_of_texts * (COUNTING + labels) > MOST_WORK:
        return None
    answers: list[Bools] = []
    size = 0
    for learnt, judged in rounds:
        try:
            given, size = linear_svm(
                learnt.texts,
                learnt.labels,
                judged.texts,
                dataset.multi_label,
                characters=characters,
                passes=PASSES,
            )
        except ValueError:  # scikit-learn's, of blank texts
            return None
        answers.append(given)
    truth = np.concatenate([judged.labels for _, judged in rounds])
    scores = set_scores(truth, np.concatenate(answers), dataset.labels)
    return Baseline(NAME, scores, size)


def _rounds(dataset: Dataset, rows: LabelledRows) -> list[tuple[Split, Split]]:
    """Return (texts to learn from, texts that judge), once or for each fold."""
    if dataset.test is not None:
        return [(dataset.train, dataset.test)]
    if len(rows.validation):
        return [(rows.learnt, rows.validation)]
    folds = [rows.fold == k for k in range(rows.folds)]
    subset = rows.learnt.subset
    return [(subset(np.flatnonzero(~fold)), subset(np.flatnonzero(fold))) for fold in folds]
