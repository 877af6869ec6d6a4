"""Labels that look wrong: those that a linear model of the other texts finds improbable."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_lstm.answering import LABEL_JOINT
from edge_lstm.atomic import write_atomically
from edge_lstm_export.train.data import Bools, Floats, Split, rarest, stratified_folds
from edge_lstm_export.train.warnings import conflicting

_FOLDS = 5
_FEWEST_TEXTS = 50  # with fewer the model itself is wrong too often
_ODDS = 2  # a label is suspicious where another one is so many times as likely
HEADER = ("row", "label", "likely_label", "label_probability", "likely_probability", "why", "text")


def label_issues(
    split: Split, labels: Sequence[str], *, several: bool, long: bool, seed: int
) -> list[tuple[str | int, ...]]:
    """Return a row for each text whose labels look wrong, under HEADER: first the texts that repeat one with
    other labels, duplicates side by side, then the most suspicious. ``row`` is the text's number where it was
    read.

    Labels of too few texts to cross-validate are left out. long: the texts are read as words alone.
    """
    conflict = conflicting(split)
    conflicts = np.flatnonzero(conflict)
    conflicts = conflicts[np.argsort(split.keys[conflicts], kind="stable")]
    issues = _improbable(split, several=several, long=long, seed=seed)
    rows: list[tuple[str | int, ...]] = []
    for row in [*conflicts.tolist(), *(row for row in issues if not conflict[row])]:
        likely: tuple[str, ...] = ("", "", "")
        if row in issues:
            names, given_p, likely_p = issues[row]
            likely = _joined(labels, names), f"{given_p:.4f}", f"{likely_p:.4f}"
        given, why = _joined(labels, split.labels[row]), "contradiction" if conflict[row] else "prediction"
        rows.append((int(split.rows[row]), given, *likely, why, split.texts[row]))
    return rows


def write_label_issues(rows: Sequence[tuple[str | int, ...]], path: Path) -> None:
    """Write the rows as CSV. Raises OutputError."""
    table = io.StringIO(newline="")
    csv.writer(table).writerows([HEADER, *rows])
    write_atomically(table.getvalue(), path)


def _improbable(
    split: Split, *, several: bool, long: bool, seed: int
) -> dict[int, tuple[Bools, float, float]]:
    """Return, for the place of each suspicious text, the most suspicious first: the labels that it looks like
    (bool [L]), and how probable its own label and the likely one are; where it has several, of the label that
    is the most suspicious."""
    counts = split.labels.sum(axis=0)
    columns = np.flatnonzero(np.minimum(counts, len(split) - counts) >= _FOLDS)
    rows = np.flatnonzero(split.labels[:, columns].any(axis=1) | several)
    if len(rows) < _FEWEST_TEXTS or len(columns) < 2:
        return {}
    given = split.labels[rows][:, columns]
    p = _probabilities([split.texts[i] for i in rows], given, long, seed)
    if several:
        contrary = np.where(given, 1 - p, p)
        likely = given ^ (contrary >= _ODDS * (1 - contrary))
        likely_p = contrary.max(axis=1)
        given_p = 1 - likely_p
    else:
        p = p / p.sum(axis=1, keepdims=True)
        likely = np.arange(len(columns)) == p.argmax(axis=1)[:, None]
        likely_p, given_p = p.max(axis=1), (p * given).sum(axis=1)
    labels = split.labels[rows]
    labels[:, columns] = likely
    suspicious = np.flatnonzero(likely_p >= _ODDS * given_p)
    suspicious = suspicious[np.argsort(given_p[suspicious] - likely_p[suspicious], kind="stable")]
    return {int(rows[i]): (labels[i], float(given_p[i]), float(likely_p[i])) for i in suspicious}


def _joined(labels: Sequence[str], row: Bools) -> str:
    return LABEL_JOINT.join(label for label, has in zip(labels, row) if has)


def _probabilities(texts: Sequence[str], given: Bools, long: bool, seed: int) -> Floats:
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
    fold = stratified_folds(rarest(given), _FOLDS, np.random.default_rng([seed, 0x5B5]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a label that is in one fold alone
        p = cross_val_predict(
            model, texts, given.astype(int), cv=PredefinedSplit(fold), method="predict_proba"
        )
    return np.asarray(np.clip(p, 1e-6, 1 - 1e-6), np.float32)
