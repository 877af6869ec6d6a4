"""The type of a question by its labels, and whether numbers are a scale or just names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_lstm.question import CHOICE, SCORE, YES_NO, QuestionType, number, yes_label
from edge_lstm.text import split_marks
from edge_lstm_export.train import defaults
from edge_lstm_export.train.data import Dataset, Doubles, Floats, Ints, Split, folds_of

RIDGE_STEPS = 30  # tolerance: the regression's answers need few digits
RIDGE_TOLERANCE = 1e-2  # tolerance: as above


def find_question(dataset: Dataset) -> tuple[QuestionType, str]:
    """Return the type of a question, and the reason.

    Numbers may be a scale or the codes of classes. On a scale, texts of near labels are alike: a
    regression takes a text for a near number more often than for a far one.
    """
    labels = dataset.labels
    if dataset.multi_label:
        return CHOICE, "a text may have several labels"
    yes = yes_label(labels)
    if yes is not None:
        return YES_NO, f"its labels are {labels[0]} and {labels[1]}"
    values = [number(label) for label in labels]
    if None in values or len(set(values)) < len(values):
        return CHOICE, "its labels are names"
    if not defaults.FEWEST_LEVELS <= len(labels) <= defaults.MOST_LEVELS:
        return CHOICE, f"{len(labels)} numbers are no scale"
    scale = f"its labels are numbers from {labels[0]} to {labels[-1]}"
    if len(dataset.train) < defaults.FEWEST_TO_FIND_SCALE:
        return SCORE, scale
    if share_of_better_orders(dataset.train) > defaults.MOST_BETTER_ORDERS:
        return CHOICE, f"{scale}, but texts of near ones are not alike"
    return SCORE, f"{scale}, and texts of near ones are alike"


def smoothed(targets: Floats, levels: Sequence[float], share: float) -> Floats:
    """Return targets of which a share goes to the neighbouring numbers, float32 [n, L].

    targets: float32 [n, L].
    levels: the number of each label.
    """
    rank = np.argsort(np.argsort(levels))
    is_next = np.abs(rank[:, None] - rank) == 1
    neighbours = is_next / is_next.sum(axis=1, keepdims=True)
    kernel = (1 - share) * np.eye(len(rank)) + share * neighbours
    return np.asarray(targets @ kernel, np.float32)


def share_of_better_orders(train: Split) -> float:
    """Return the share of other orders of the labels that are at least as good.

    In a good order a regression takes texts for labels that are near to the true one.
    """
    taken = _taken_for(train)
    own = np.arange(len(taken))

    def distance(order: Ints) -> float:
        return float((taken * np.abs(order[:, None] - order)).sum())

    least = distance(own)
    rng = np.random.default_rng(0)
    others = [rng.permutation(own) for _ in range(defaults.TRIED_ORDERS)]
    # An order that is read from its end is the same.
    others = [order for order in others if order[0] < order[-1] and (order != own).any()]
    return float(np.mean([distance(order) <= least for order in others]))


def _taken_for(train: Split) -> Doubles:
    """Return how much more than by chance texts of a label look like ones of another label.

    It is float64 [labels, labels], row = true label, in standard errors, by a ridge regression on
    TF-IDF that is cross-fitted on some of the rows.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import PredefinedSplit, cross_val_predict

    order = np.random.default_rng(0).permutation(len(train))
    rows = train.subset(np.sort(order[: defaults.MOST_TO_FIND_SCALE]))
    vectorizer = TfidfVectorizer(analyzer=_words, sublinear_tf=True, dtype=np.float32)
    x = vectorizer.fit_transform(rows.texts)
    labels = rows.labels.astype(np.float64)
    model = Ridge(solver="sparse_cg", max_iter=RIDGE_STEPS, tol=RIDGE_TOLERANCE)
    predicted = cross_val_predict(model, x, labels, cv=PredefinedSplit(folds_of(rows, 2, 0)))
    counts = np.maximum(labels.sum(axis=0), 1)
    shares = counts / counts.sum()
    means = labels.T @ predicted / counts[:, None]
    taken = (means - shares) / np.sqrt(shares * (1 - shares)) * np.sqrt(counts)[:, None]
    np.fill_diagonal(taken, 0)
    return np.asarray(taken)


def _words(text: str) -> list[str]:
    return split_marks(text.lower()) or [""]
