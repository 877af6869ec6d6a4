"""Linear models on sparse columns, as the n-gram part and the linear teacher fit them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edge_lstm.core.decide import apply_thresholds
from edge_lstm_export.arrays import Bools, Floats, Matrix
from edge_lstm_export.network.logits import two_columns
from edge_lstm_export.options import LONGEST_CHARACTERS

# C of SVMs on TF-IDF of words, word pairs and characters.
SVM_C = 0.5
SVM_PASSES = 500  # passes of liblinear, at most


def counters(
    vectorizer: Callable[..., Any], token: str, *, characters: bool, **settings: Any
) -> list[Any]:
    """Return scikit-learn's vectorizers of words and word pairs, and of characters if they count.

    vectorizer: their class.
    token: regular expression of a word.
    characters: whether character n-grams within words count. In long texts they take minutes and
        gigabytes.
    """
    settings["dtype"] = np.float32
    made = [vectorizer(token_pattern=token, ngram_range=(1, 2), **settings)]
    if characters:
        sizes = 2, LONGEST_CHARACTERS
        made.append(vectorizer(analyzer="char_wb", ngram_range=sizes, **settings))
    return made


def svm_weights(
    x: Matrix, labels: Bools, multi_label: bool, c: float, passes: int = SVM_PASSES
) -> tuple[Floats, Floats]:
    """Fit a linear SVM for each label against the rest.

    For two labels of which a text has one, there is a single one.

    x: float32 [texts, columns].
    labels: bool [texts, L].
    c: inverse regularization.
    passes: of liblinear, at most.

    Return weights, float32 [columns, outputs], and bias, float32 [outputs]. A label that all texts
    have, or that no text has, gets a constant score.
    """
    from sklearn.svm import LinearSVC

    targets = labels[:, 1:] if labels.shape[1] == 2 and not multi_label else labels
    x = x.astype(np.float64)
    x.sum_duplicates()  # as liblinear wants it: else each label does both again
    weights = np.zeros((x.shape[1], targets.shape[1]), np.float32)
    bias = np.where(targets.all(axis=0), 1, -1).astype(np.float32)
    for column in np.flatnonzero(targets.any(axis=0) & ~targets.all(axis=0)):
        # Labels do not change with a smaller tolerance.
        model = LinearSVC(C=c, tol=1e-2, random_state=0, max_iter=passes)
        model.fit(x, targets[:, column])
        weights[:, column] = model.coef_[0]
        bias[column] = model.intercept_[0]
    return weights, bias


def bayes_weights(x: Matrix, labels: Bools) -> Floats:
    """Return the weights of complement naive Bayes: float32 [columns, outputs].

    As Rennie et al. (2003) have it.

    x: float32 [texts, columns], none below 0.
    labels: bool [texts, L], one per text.
    """
    from sklearn.naive_bayes import ComplementNB

    model = ComplementNB(alpha=0.1)  # a rare label has few rows, so its counts are small
    model.partial_fit(x, labels.argmax(axis=1), np.arange(labels.shape[1]))
    weights = model.feature_log_prob_.T.astype(np.float32)  # columns, L
    weights -= weights.mean(axis=1, keepdims=True)
    return np.asarray(weights[:, 1:] if weights.shape[1] == 2 else weights)


TOKEN = r"\w+|[^\w\s]"  # every text has one, unless it is blank


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
    return given(logits, multi_label), size


def given(logits: Floats, multi_label: bool) -> Bools:
    """Return the labels of logits, bool [n, L]."""
    if multi_label:
        return np.asarray(logits > 0)
    return apply_thresholds(two_columns(logits))


FLOAT32_BYTES = 4
