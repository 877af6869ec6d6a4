"""Texts and labels of a Python program → Dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from edge_lstm.errors import DataError
from edge_lstm_export.train.data import Dataset, Names, Split, make_split, texts_digest
from edge_lstm_export.train.data import label_names as sorted_names

_COLLECTIONS = (set, frozenset, list, tuple, np.ndarray)


def dataset_from(
    texts: Iterable[str],
    labels: Any,
    name: str = "texts",
    *,
    label_names: Sequence[Any] = (),
    test: tuple[Iterable[str], Any] | None = None,
    unlabelled: Iterable[str] = (),
) -> Dataset:
    """Make a data set of texts and their labels.

    labels: a str, int or other scalar for each text, whose name is its str(); or a set, list or tuple of them
        for each, empty for a text without a label; or a 0/1 matrix [n, L] (NumPy, SciPy or pandas), all of
        whose columns are labels. A text may have several labels in the latter two.
    label_names: of a matrix's columns; else those of a DataFrame, or their numbers.
    test: (texts, labels) of the same form.

    Raises DataError where texts and labels do not fit together or cannot train a classifier.
    """
    names, all_labels = _named(labels, label_names, name)
    several = all_labels is not None or any(isinstance(label, _COLLECTIONS) for label in labels)
    flat = [label for row in names for label in row]
    if all_labels is None:
        all_labels = sorted_names(flat, name, several=several)
    else:
        sorted_names(all_labels * 2, name, several=True)  # as if each occurred: all columns stay
        if not flat:
            raise DataError(f"{name} has no labelled text; a classifier needs texts of two labels or more")
    train, digest = _split(texts, names, all_labels, name)
    held_out = None
    if test is not None:
        test_names, _ = _named(test[1], label_names, f"{name}, test")
        held_out, test_digest = _split(test[0], test_names, all_labels, f"{name}, test")
        digest = hashlib.sha256(f"{digest}{test_digest}".encode()).hexdigest()
        if not several and any(len(row) != 1 for row in test_names):
            raise DataError(f"{name} has one label a text, its test several; label both the same way")
    more = _checked_texts(unlabelled, f"{name}, unlabelled")
    return Dataset(name, all_labels, train, held_out, digest, several, more)


def _split(texts: Iterable[str], names: list[Names], labels: Names, where: str) -> tuple[Split, str]:
    read = _checked_texts(texts, where)
    if len(read) != len(names):
        counts = f"{len(read):,} texts but labels of {len(names):,}"
        raise DataError(f"{where}: {counts}; give one entry for each text")
    return make_split(read, names, labels, where), texts_digest(read, names)


def _checked_texts(texts: Iterable[str], where: str) -> tuple[str, ...]:
    if isinstance(texts, str):
        raise DataError(f"{where}: the texts are a single str; give a list of texts")
    read = []
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            kind = type(text).__name__
            raise DataError(f"{where}: text {i} is {kind}, not str; convert it, or remove it if missing")
        read.append(str(text))  # np.str_ too
    return tuple(read)


def _named(labels: Any, columns: Sequence[Any], where: str) -> tuple[list[Names], Names | None]:
    """Return the label names of each text, and of a matrix the names of all columns."""
    if isinstance(labels, (str, bytes)) or not hasattr(labels, "__len__"):
        raise DataError(f"{where}: the labels are {type(labels).__name__}; give a list with an entry a text")
    if getattr(labels, "ndim", 1) == 2:
        return _of_matrix(labels, columns, where)
    name_of: dict[Hashable, str] = {}
    names: list[Names] = []
    for i, label in enumerate(labels):
        row = list(label) if isinstance(label, _COLLECTIONS) else [label]
        for value in row:
            if _is_missing(value):
                raise DataError(f"{where}: label {i} is missing ({value!r}); label the text, or remove it")
            if not isinstance(value, Hashable) or isinstance(value, _COLLECTIONS):
                raise DataError(f"{where}: label {i} holds a {type(value).__name__}, which is no label")
            name_of.setdefault(value, str(value))
        names.append(tuple(name_of[value] for value in row))
        if len(set(names[-1])) < len(row):
            twice = "names a label twice; give a matrix of 0 and 1 as a NumPy array"
            raise DataError(f"{where}: label {i} {twice}")
    by_name: dict[str, Hashable] = {}
    for value, text in name_of.items():
        if (first := by_name.setdefault(text, value)) != value:
            raise DataError(f"{where}: {value!r} and {first!r} are two labels of the same name; use one type")
    return names, None


def _of_matrix(labels: Any, columns: Sequence[Any], where: str) -> tuple[list[Names], Names]:
    given = columns if len(columns) else getattr(labels, "columns", range(labels.shape[1]))
    all_labels = tuple(str(column) for column in given)
    matrix = np.asarray(labels.toarray() if hasattr(labels, "toarray") else labels)
    if len(all_labels) != matrix.shape[1] or len(set(all_labels)) < len(all_labels):
        raise DataError(f"{where}: {matrix.shape[1]} columns of labels need as many different names")
    if not np.isin(matrix, (0, 1)).all():
        raise DataError(f"{where}: the matrix of labels holds something other than 0 and 1")
    return [tuple(all_labels[j] for j in np.flatnonzero(row)) for row in matrix], all_labels


def _is_missing(value: Any) -> bool:
    """None, NaN, pandas.NaT and pandas.NA, which is not even unequal to itself."""
    if value is None or isinstance(value, _COLLECTIONS):
        return value is None
    try:
        return bool(value != value)
    except TypeError:
        return True
