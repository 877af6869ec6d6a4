"""NB-SVM: a linear model on n-grams scaled by their naive-Bayes log ratio (Wang & Manning, 2012).

From labelled and unlabelled texts to calibrated probabilities for them all. Labelled texts are cross-fitted:
none is labelled by a model that saw it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from edge_lstm.errors import DataError
from edge_lstm_export.teacher.labels import SoftLabels

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[Any]
Matrix = Any  # scipy.sparse.csr_matrix, float32
Say = Callable[[str], None]

# To be raised with every change that may give a text another soft label: kept ones are then made anew.
TEACHER_VERSION = 2
SMOOTHING = 1.0
ORDERS = 3  # 1-, 2- and 3-grams
# Words, and every punctuation mark by itself: "!" and "?" say something, and the teacher is not bound
# to the text rule of the model file.
TOKEN = r"[^\W_]+(?:'[^\W_]+)?|[^\w\s]"


@dataclass(frozen=True)
class TeacherOptions:
    """folds: of the cross-fitting. min_texts: an n-gram counts from so many texts on. svm_c: inverse
    regularisation."""

    folds: int = 5
    min_texts: int = 3
    svm_c: float = 0.1
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def can_learn(counts: Sequence[int], options: TeacherOptions) -> bool:
    """Whether a teacher learns from so many texts of each label."""
    return min(counts) >= 1 and sum(counts) >= 2 * options.folds


def soft_labels(
    texts: Sequence[str],
    labels: Ints,
    unlabelled: Sequence[str],
    count: int,
    options: TeacherOptions = TeacherOptions(),
    say: Say = lambda line: None,
) -> SoftLabels:
    """Learns from labelled and unlabelled texts and labels them all.

    labels: int64 [n], indices below ``count``. ``say`` is told what is being done. A label with fewer texts
    than there are folds is unknown to some of the models. Raises DataError where there are too few texts.
    """
    n = len(texts)
    if not can_learn(np.bincount(labels, minlength=count).tolist(), options):
        raise DataError(
            f"a teacher needs at least {2 * options.folds} training texts, and one of each label; "
            "train without --teacher, or collect more"
        )
    from sklearn.linear_model import LogisticRegression

    x = ngram_matrix([*texts, *unlabelled], min_texts=options.min_texts)
    say(f"teacher: {x.shape[1]:,} n-grams of {x.shape[0]:,} texts")
    fold = stratified_folds(labels, options.folds, np.random.default_rng(options.seed))
    own = x[:n]
    svm = cross_fitted_scores(lambda rows: fit_nbsvm(own[rows], labels[rows], count, options.svm_c), x, fold)
    # Scores → probabilities (Platt, 1999), fitted on scores that leak no label.
    scaling = LogisticRegression(C=100.0, max_iter=1000).fit(svm[:n], labels)
    answers = scaling.predict_proba(svm).astype(np.float32)
    accuracy = float((answers[:n].argmax(axis=1) == labels).mean())
    say(f"teacher: {accuracy:.2%}, cross-fitted")
    return SoftLabels(answers[:n], answers[n:], answers[:0], {"cross_fitted_accuracy": round(accuracy, 4)})


def log_ratios(x: Matrix, target: npt.NDArray[np.float32]) -> Floats:
    """[n-grams]: log of how much more often each occurs where the target is 1 than where it is 0."""
    there = x.T @ target + SMOOTHING
    elsewhere = x.T @ (1.0 - target) + SMOOTHING
    ratios: Floats = np.log(there / there.sum() * (elsewhere.sum() / elsewhere))
    return ratios


def fit_nbsvm(x: Matrix, labels: Ints, count: int, c: float) -> Linear:
    """One model for each binary problem, the log ratios folded into its weights."""
    from sklearn.linear_model import LogisticRegression

    weights, bias = [], []
    for target in one_against_rest(labels, count):
        if target.min() == target.max():  # a label that none of these texts bears, or all
            weights.append(np.zeros(x.shape[1], np.float32))
            bias.append(np.log((target.sum() + 0.5) / ((1 - target).sum() + 0.5)))
            continue
        ratios = log_ratios(x, target).astype(np.float32)
        scaled = x.copy()
        scaled.data = ratios[x.indices]
        # Its own optimum needs hundreds of steps more and labels no better.
        model = LogisticRegression(C=c, max_iter=60, tol=1e-3).fit(scaled, target)
        weights.append(model.coef_[0].astype(np.float32) * ratios)
        bias.append(model.intercept_[0])
    return Linear(np.stack(weights, axis=1), np.array(bias, np.float32))


@dataclass(frozen=True)
class Linear:
    """scores = x @ weights + bias. weights: float32 [features, outputs]; bias: float32 [outputs]."""

    weights: Floats
    bias: Floats

    def scores(self, x: Matrix | Floats) -> Floats:
        """float [rows, outputs]: one output for two labels, one for each label where there are more."""
        return np.asarray(x @ self.weights) + self.bias


def one_against_rest(labels: Ints, count: int) -> list[npt.NDArray[np.float32]]:
    """The 0/1 targets of the binary problems: one for two labels, one for each label otherwise."""
    return [(labels == label).astype(np.float32) for label in ([1] if count == 2 else range(count))]


def stratified_folds(labels: Ints, folds: int, rng: np.random.Generator) -> Ints:
    """A fold for each row, each label spread evenly: int64 [n]."""
    fold = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        fold[rows] = np.arange(len(rows)) % folds
    return fold


def cross_fitted_scores(fit: Callable[[Ints], Linear], x: Matrix | Floats, fold: Ints) -> Floats:
    """Scores of all rows of ``x``, whose first ``len(fold)`` rows are labelled.

    A labelled row is scored by the model that was fitted without its fold, the others by the mean of
    all models. ``fit`` takes the row numbers to learn from.
    """
    scores = [fit(np.flatnonzero(fold != k)).scores(x) for k in range(int(fold.max()) + 1)]
    mixed: Floats = np.mean(scores, axis=0)
    for k, own in enumerate(scores):
        rows = np.flatnonzero(fold == k)
        mixed[rows] = own[rows]
    return mixed


def ngram_matrix(texts: Sequence[str], *, min_texts: int) -> Matrix:
    """float32 [texts, n-grams] in CSR form, 1 where the text holds the n-gram.

    Kept are n-grams that occur in at least ``min_texts`` texts. They are told apart by a hash of 2^30 values:
    of IMDB's 563,000 three in a thousand more are kept, which are two rare ones in one place.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        preprocessor=_plain,
        token_pattern=TOKEN,
        ngram_range=(1, ORDERS),
        n_features=1 << 30,
        binary=True,  # presence, not count
        norm=None,
        alternate_sign=False,
        dtype=np.float32,
    )
    every = vectorizer.transform(texts)
    _, gram = np.unique(every.indices, return_inverse=True)
    keep = np.bincount(gram) >= min_texts
    inside = keep[gram]
    number = np.cumsum(keep) - 1
    ends = np.concatenate([[0], np.cumsum(inside)])[every.indptr]
    ones = np.ones(int(inside.sum()), np.float32)
    shape = (len(texts), int(keep.sum()))
    matrix = sparse.csr_matrix((ones, number[gram[inside]], ends), shape=shape)
    matrix.sort_indices()
    return matrix


def _plain(text: str) -> str:
    return text.lower().replace("<br />", " ")
