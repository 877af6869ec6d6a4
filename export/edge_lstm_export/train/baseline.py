"""The linear model that a network is compared with, on the same held-out rows.

It is a linear SVM on TF-IDF of words, pairs of words and characters: a few lines of scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_lstm.metrics import SetScores, set_scores
from edge_lstm.text import FIRST_WORD_ID, Tokenizer
from edge_lstm_export.options import LinearOptions
from edge_lstm_export.train.data import Bools, Dataset, Floats, Ints, Split
from edge_lstm_export.train.linear import svm_weights
from edge_lstm_export.train.logits import two_columns
from edge_lstm_export.train.ngrams import Features
from edge_lstm_export.train.plan import Plan
from edge_lstm_export.train.rows import LabelledRows

TOKEN = r"\w+|[^\w\s]"  # every text has one, unless it is blank
# A fit of more labels, or of more characters of all texts times the SVMs and 12 for counting,
# takes more than a few per cent of a training, or a gigabyte.
MOST_LABELS = 100  # tolerance: whether there is a line to read
MOST_WORK = 100_000_000  # tolerance: the same
COUNTING = 12  # tolerance: an estimate
PASSES = 5  # tolerance: of liblinear; more change no more labels than another order of the rows
FLOAT32_BYTES = 4  # tolerance: a fact


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


def is_linear_model(plan: Plan, features: Features | None) -> bool:
    """Return whether the n-gram part is such a model itself: SVMs of the rows' labels alone."""
    fit = plan.sparse
    learns_labels = fit.fit == "svm" and not fit.bayes and not plan.teachers
    return learns_labels and features is not None and features.embeddings is None


def ngram_baseline(
    dataset: Dataset, targets: Floats, logits: Floats, features: Features, tokenizer: Tokenizer
) -> Baseline:
    """Return the n-gram part, which is a linear model, by itself.

    targets: float32 [n, L], the labels of the rows that judge.
    logits: float32 [n, outputs], its answers to them.
    """
    entries = (*tokenizer.words, *tokenizer.pieces)
    lengths = np.zeros(int(features.ids.max(initial=0)) + FIRST_WORD_ID + len(entries), np.int64)
    known = [len(entry.encode()) + 1 for entry in entries]
    lengths[FIRST_WORD_ID : FIRST_WORD_ID + len(entries)] = known
    vocabulary = int(lengths[features.ids].sum())
    if dataset.multi_label:
        answers = np.asarray(logits > 0)
    else:
        answers = _one_hot(two_columns(logits).argmax(axis=1), dataset)
    scores = set_scores(targets > 0.5, answers, dataset.labels)
    size = vocabulary + FLOAT32_BYTES * logits.shape[1] * len(features)
    return Baseline("linear SVM on the n-grams alone", scores, size)


def fit_baseline(dataset: Dataset, rows: LabelledRows, options: LinearOptions) -> Baseline | None:
    """Fit the linear model on what the network learns from, for each fold if these judge.

    None if that would take long, or there is nothing to tell labels apart by.
    """
    rounds = _rounds(dataset, rows)
    labels = len(dataset.labels)
    characters = sum(len(text) for learnt, _ in rounds for text in learnt.texts)
    if labels > MOST_LABELS or characters * (COUNTING + labels) > MOST_WORK:
        return None
    answers: list[Bools] = []
    size = 0
    for learnt, judged in rounds:
        try:
            given, size = _answers(learnt, judged, dataset, options)
        except ValueError:  # scikit-learn's, of blank texts or a single label
            return None
        answers.append(given)
    truth = np.concatenate([judged.labels for _, judged in rounds])
    scores = set_scores(truth, np.concatenate(answers), dataset.labels)
    return Baseline("linear SVM on TF-IDF", scores, size)


def _rounds(dataset: Dataset, rows: LabelledRows) -> list[tuple[Split, Split]]:
    """Return what is learnt from and what judges it: once, or for each fold."""
    if dataset.test is not None:
        return [(dataset.train, dataset.test)]
    if len(rows.validation):
        return [(rows.learnt, rows.validation)]
    folds = [rows.fold == k for k in range(rows.folds)]
    subset = rows.learnt.subset
    return [(subset(np.flatnonzero(~fold)), subset(np.flatnonzero(fold))) for fold in folds]


def _answers(
    learnt: Split, judged: Split, dataset: Dataset, options: LinearOptions
) -> tuple[Bools, int]:
    """Return the labels that it gives, bool [judged, L], and its bytes.

    Raise ValueError if the texts hold nothing, or one label.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union
    from sklearn.svm import LinearSVC

    plain = {"sublinear_tf": True, "dtype": np.float32}
    counters = [TfidfVectorizer(token_pattern=TOKEN, ngram_range=(1, 2), **plain)]
    if options.characters:
        sizes = options.shortest, options.longest
        counters.append(TfidfVectorizer(analyzer="char_wb", ngram_range=sizes, **plain))
    union = make_union(*counters)
    x = union.fit_transform(learnt.texts)
    asked = union.transform(judged.texts)
    if dataset.multi_label:
        weights, bias = svm_weights(x, learnt.labels, True, options.regularization)
        given = np.asarray(asked @ weights + bias > 0)
        numbers = weights.size + bias.size
    else:
        model = LinearSVC(C=options.regularization, random_state=0, max_iter=PASSES)
        model.fit(x, learnt.labels.argmax(axis=1))
        given = _one_hot(model.predict(asked), dataset)
        numbers = model.coef_.size + model.intercept_.size
    vocabulary = sum(len(entry.encode()) + 1 for each in counters for entry in each.vocabulary_)
    return given, vocabulary + FLOAT32_BYTES * numbers


def _one_hot(best: Ints, dataset: Dataset) -> Bools:
    """int64 [n], a label each → bool [n, L]."""
    return np.asarray(best[:, None] == np.arange(len(dataset.labels)))
