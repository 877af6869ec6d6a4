"""Warnings about the data and about the result of a training, each a line that says what to do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from unicodedata import normalize

import numpy as np

from edge_lstm.core.question import number
from edge_lstm.errors import DataError
from edge_lstm.printable import counted, listed, shorten
from edge_lstm_export.train.sources.dataset import Dataset, Split

_FEWEST_LEVELS = 3  # of a scale


def checked(dataset: Dataset) -> Dataset:
    """Return the data set with its problems: ``warnings`` for a person, ``checks`` as counts.

    Duplicates are texts of equal keys (``Split.keys``).

    Raise DataError if all texts are duplicates, or if no group can judge another.
    """
    train = dataset.train
    test = dataset.test
    texts = len(dataset.train)
    different = len(np.unique(train.keys))
    but = "(ignoring case, punctuation and spaces)"
    if different == 1:
        raise DataError(
            f"all training texts of {dataset.name} are the same {but}; "
            "name the column that holds the texts (--text-column)"
        )
    repeated = texts - different
    conflicts = _conflicting(train)
    shared = int(np.isin(test.keys, train.keys).sum()) if test is not None else 0
    warnings = [*dataset.warnings, *_label_warnings(dataset), *_group_warnings(dataset)]
    # Reviews and tickets always hold a few.
    if repeated > 0.01 * texts:
        share = f"{counted(repeated, 'training text')} ({repeated / texts:.1%})"
        verb = "is a duplicate" if repeated == 1 else "are duplicates"
        warnings.append(f"{share} {verb} {but}: keep one of each")
    if conflicts:
        warnings.append(
            f"{conflicts:,} training texts have duplicates with different labels: correct these, "
            "or make one row of each, with the shares of its labels"
        )
    if shared:
        verb = "is also a training text" if shared == 1 else "are also training texts"
        warnings.append(
            f"{counted(shared, 'test text')} {verb}, which inflates the test accuracy: "
            "remove each from one of the two"
        )
    checks = {
        "repeated_texts": repeated,
        "contradictory_texts": conflicts,
        "test_texts_in_training": shared,
    }
    return replace(dataset, warnings=tuple(warnings), checks={**dataset.checks, **checks})


def _conflicting(split: Split) -> int:
    """Count the texts that have a duplicate with other labels."""
    _, first, group = np.unique(split.keys, return_index=True, return_inverse=True)
    group = group.reshape(-1)
    differs = (split.labels != split.labels[first][group]).any(axis=1)
    return int(np.isin(group, group[differs]).sum())


def _label_warnings(dataset: Dataset) -> Iterator[str]:
    names = dataset.labels
    counts = dataset.train.counts()
    if few := [f"{shorten(name)} ({count})" for name, count in zip(names, counts) if count < 20]:
        yield f"few training texts of {listed(few)}: collect more, or merge the label into another"
    words = [shorten(name) for name in names if number(name) is None]
    if words and len(names) - len(words) >= _FEWEST_LEVELS:
        verb = "is not a number" if len(words) == 1 else "are not numbers"
        yield (
            f"{listed(words)} {verb}, the other labels are: for a score with an interval, take "
            "these rows out, and give --question score"
        )
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        alike[" ".join(normalize("NFC", name).lower().split())].append(ascii(name))
    if twins := [" and ".join(group) for group in alike.values() if len(group) > 1]:
        yield (
            f"the labels {listed(twins)} differ in capitals, spaces or Unicode form (NFC) only: "
            "write them the same way"
        )


def scale_notes(dataset: Dataset) -> Iterator[str]:
    """Yield that labels are numbers, which may be a scale or the codes of classes."""
    names = dataset.labels
    numbers = {number(name) for name in names} - {None}
    if len(numbers) == len(names) >= _FEWEST_LEVELS and not dataset.multi_label:
        yield (
            f"the labels are numbers from {shorten(names[0])} to {shorten(names[-1])}, "
            "read as names of classes: if they are a scale, give --question score"
        )


def _group_warnings(dataset: Dataset) -> Iterator[str]:
    """Yield what the groups do not tell.

    Raise DataError if they tell nothing: there is one, or each label is of one alone.
    """
    groups = dataset.train.groups
    if groups is None:
        return
    column = dataset.group_column
    if dataset.groups < 2:
        raise DataError(
            f"all {len(groups):,} training texts have the same {column!r}; "
            "name a column that tells authors, documents or days apart, or leave it out"
        )
    of_label = [len(np.unique(groups[has])) for has in dataset.train.labels.T]
    if max(of_label) < 2:
        raise DataError(
            f"no label has texts of two values of {column!r}; "
            "name another --group-column, or leave it out"
        )
    names = [shorten(name) for name, count in zip(dataset.labels, of_label) if count == 1]
    if names:
        verb = "has" if len(names) == 1 else "have"
        yield (
            f"{listed(names)} {verb} texts of only one {column!r}, so no other can judge it: "
            "collect more of them"
        )
