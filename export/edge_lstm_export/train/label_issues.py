"""Labels that look wrong: those that a linear model of the other texts finds improbable."""

from __future__ import annotations

import csv
import io
import warnings
from pathlib import Path

import numpy as np

from edge_lstm.answering import LABEL_JOINT
from edge_lstm.atomic import write_atomically
from edge_lstm_export.train.data import Bools, Dataset, Floats, Split, rarest, stratified_folds
from edge_lstm_export.train.warnings import conflicting

_FOLDS = 5
_FEWEST_TEXTS = 50  # with fewer the model itself is wrong too often
_ODDS = 2  # a label is suspicious where another one is so many times as likely
HEADER = ("row", "label", "likely_label", "label_probability", "likely_probability", "why", "text")
Issue = tuple[Bools, float, float]  # the likely labels, bool [L]; how probable the text's own and they are


def write_label_issues(dataset: Dataset, path: Path, *, long: bool, seed: int) -> None:
    """Write :func:`label_issues` as CSV. Raises OutputError."""
    table = io.StringIO(newline="")
    csv.writer(table).writerows([HEADER, *label_issues(dataset, long=long, seed=seed)])
    write_atomically(table.getvalue(), path)


def label_issues(dataset: Dataset, *, long: bool, seed: int) -> list[tuple[str | int, ...]]:
    """Return a row for each training text whose labels look wrong, under HEADER: first the texts that repeat
    one with other labels, duplicates side by side, then the most suspicious. ``row`` is the text's number
    where it was read.

    Labels of too few texts to cross-validate are left out. long: the texts are read as words alone.
    """
    split = dataset.train

    def joined(row: Bools) -> str:
        return LABEL_JOINT.join(label for label, has in zip(dataset.labels, row) if has)

    conflicts = np.flatnonzero(conflicting(split))
    conflicts = conflicts[np.argsort(split.keys[conflicts], kind="stable")].tolist()
    issues = _improbable(split, several=dataset.several, long=long, seed=seed)
    rows: list[tuple[str | int, ...]] = []
    for row in dict.fromkeys([*conflicts, *issues]):
        likely: tuple[str, ...] = ("", "", "")
        if row in issues:
            names, own_p, likely_p = issues[row]
            likely = joined(names), f"{own_p:.4f}", f"{likely_p:.4f}"
        why = "contradiction" if row in conflicts else "prediction"
        rows.append((int(split.rows[row]), joined(split.labels[row]), *likely, why, split.texts[row]))
    return rows


def _improbable(split: Split, *, several: bool, long: bool, seed: int) -> dict[int, Issue]:
    """Return the issue at the place of each suspicious text, the most suspicious first; the probabilities of
    a text with several labels are those of the most suspicious one."""
    counts = split.labels.sum(axis=0)
    columns = np.flatnonzero(np.minimum(counts, len(split) - counts) >= _FOLDS)
    rows = np.flatnonzero(split.labels[:, columns].any(axis=1) | several)
    if len(rows) < _FEWEST_TEXTS or len(columns) < 2:
        return {}
    labels = split.labels[rows]
    own = labels[:, columns]
    p = _probabilities([split.texts[i] for i in rows], own, long, seed)
    if several:
        contrary = np.where(own, 1 - p, p)
        likely = own ^ (contrary >= _ODDS * (1 - contrary))
        likely_p = contrary.max(axis=1)
        own_p = 1 - likely_p
    else:
        p = p / p.sum(axis=1, keepdims=True)
        likely = np.arange(len(columns)) == p.argmax(axis=1)[:, None]
        likely_p, own_p = p.max(axis=1), (p * own).sum(axis=1)
    labels[:, columns] = likely
    order = np.argsort(own_p - likely_p, kind="stable")
    suspicious = order[likely_p[order] >= _ODDS * own_p[order]]
    return {int(rows[i]): (labels[i], float(own_p[i]), float(likely_p[i])) for i in suspicious}


def _probabilities(texts: list[str], labels: Bools, long: bool, seed: int) -> Floats:
    """Return out-of-fold probabilities of each label by itself: float32 [n, L]."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import PredefinedSplit, cross_val_predict
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline, make_union

    words = TfidfVectorizer(token_pattern=r"[^\W_]+|[^\w\s]", ngram_range=(1, 2), sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    features = words if long else make_union(words, characters)
    model = make_pipeline(features, OneVsRestClassifier(LogisticRegression(C=10.0, solver="liblinear")))
    folds = PredefinedSplit(stratified_folds(rarest(labels), _FOLDS, np.random.default_rng([seed, 0x5B5])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a label that is in one fold alone
        p = cross_val_predict(model, texts, labels.astype(int), cv=folds, method="predict_proba")
    return np.asarray(np.clip(p, 1e-6, 1 - 1e-6), np.float32)
