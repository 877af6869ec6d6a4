"""The linear model that a network is compared with, on the same held-out rows.

It is a linear SVM on TF-IDF of words, pairs of words and characters: a few lines of scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_lstm.answering import apply_thresholds
from edge_lstm.metrics import SetScores, set_scores
from edge_lstm.text import Tokenizer
from edge_lstm_export.train.data import Bools, Dataset, Floats, Split
from edge_lstm_export.train.linear import SVM_C, SVM_PASSES, counters, svm_weights
from edge_lstm_export.train.logits import two_columns
from edge_lstm_export.train.ngrams import SparsePart
from edge_lstm_export.train.plan import Plan
from edge_lstm_export.train.rows import LabelledRows

NAME = "linear SVM on TF-IDF"
TOKEN = r"\w+|[^\w\s]"  # every text has one, unless it is blank
# A fit of more labels, or of more characters of all texts times the SVMs and 12 for counting,
# takes more than a few per cent of a training, or a gigabyte.
MOST_LABELS = 100
MOST_WORK = 100_000_000
COUNTING = 12  # an estimate
PASSES = 5  # of liblinear; more change no more labels than another order of the rows
FLOAT32_BYTES = 4


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
    scores = set_scores(targets > 0.5, _given(logits, dataset.multi_label), dataset.labels)
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


def linear_svm(
    texts: Sequence[str],
    labels: Bools,
    asked: Sequence[str],
    multi_label: bool,
    *,
    characters: bool = True,
    passes: int = SVM_PASSES,
) -> tuple[Bools, int]:
    """Fit a linear SVM, and return its answers and its bytes, see Baseline.

    texts: n texts to learn from.
    labels: bool [n, L], theirs.
    asked: m texts to answer.
    multi_label: whether a text may have several labels.
    characters: see linear.counters.
    passes: of liblinear, at most.

    The answers are bool [m, L]. Raise ValueError if the texts are blank.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union

    made = counters(TfidfVectorizer, TOKEN, characters=characters, sublinear_tf=True)
    union = make_union(*made)
    x = union.fit_transform(texts)
    weights, bias = svm_weights(x, labels, multi_label, SVM_C, passes)
    vocabulary = sum(len(entry.encode()) + 1 for each in made for entry in each.vocabulary_)
    logits = np.asarray(union.transform(asked) @ weights + bias, np.float32)
    size = vocabulary + FLOAT32_BYTES * (weights.size + bias.size)
    return _given(logits, multi_label), size


def _given(logits: Floats, multi_label: bool) -> Bools:
    """Return the labels of logits, bool [n, L]."""
    if multi_label:
        return np.asarray(logits > 0)
    return apply_thresholds(two_columns(logits))
