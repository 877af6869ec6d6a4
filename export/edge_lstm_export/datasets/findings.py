"""What often spoils a training, found in the data before it begins: each a line that says what to do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from edge_lstm.errors import DataError
from edge_lstm_export.datasets.dataset import Dataset, Split, listed, shorten

# Fewer training texts than this, or fewer of one label, and a person should know that it is few.
FEW_TEXTS = 1000
FEW_OF_A_LABEL = 20
# Repeated texts are worth a line from this share on: reviews and tickets always hold a few.
_MANY_REPEATED = 0.01
_MISSING = {"nan", "null", "none", "na", "n/a", "?"}


def checked(dataset: Dataset) -> Dataset:
    """The data set with what was found in it: ``warnings`` for a person, ``checks`` as counts.

    Duplicates are texts of the same words (``Split.keys``). A million texts take seconds. Raises DataError
    where all texts are the same.
    """
    train, test = dataset.train, dataset.test
    if len(train) > 1 and len(np.unique(train.keys)) == 1:
        raise DataError(
            f"all {len(train):,} training texts of {dataset.name} hold the same words; "
            "name the column that holds the texts (--text-column)"
        )
    repeated = len(train) - len(np.unique(train.keys))
    torn = int(contradictory(train).sum())
    shared = int(np.isin(test.keys, train.keys).sum()) if test is not None else 0
    warnings = [*dataset.warnings, *_few_or_odd_labels(dataset)]
    if repeated > _MANY_REPEATED * len(train):
        warnings.append(
            f"{repeated:,} training texts ({repeated / len(train):.1%}) repeat the words of another: "
            "keep one of each, unless they come as often in use"
        )
    if torn:
        warnings.append(
            f"{torn:,} training texts have the same words as one with another label: "
            "decide which label is right (--suspects FILE lists them)"
        )
    if shared:
        warnings.append(
            f"{shared:,} test texts are training texts too, at least word for word: "
            "the test accuracy is too good by these, remove them from one of the two"
        )
    checks = {"repeated_texts": repeated, "contradictory_texts": torn, "test_texts_in_training": shared}
    return replace(dataset, warnings=tuple(warnings), checks={**dataset.checks, **checks})


def contradictory(split: Split) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """bool [n]: whether the text has a duplicate with another label."""
    _, group = np.unique(split.keys, return_inverse=True)
    count = int(group.max(initial=-1)) + 1
    lowest = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(lowest, group, split.labels)
    highest = np.full(count, -1)
    np.maximum.at(highest, group, split.labels)
    torn: np.ndarray[Any, np.dtype[np.bool_]] = (lowest != highest)[group]
    return torn


def _few_or_odd_labels(dataset: Dataset) -> Iterator[str]:
    train, names = dataset.train, dataset.labels
    counts = train.counts(len(names))
    if len(train) < FEW_TEXTS:
        yield f"only {len(train)} training texts: expect a weak classifier, collect more"
    rare = [f"{shorten(n)} ({c})" for n, c in zip(names, counts) if c < FEW_OF_A_LABEL]
    if rare:
        yield (
            f"few training texts of {listed(rare)}: answers for them will be unreliable; "
            "collect more, or merge the label into another"
        )
    if max(counts) > 3 * min(counts):
        ranked = sorted(zip(counts, names), reverse=True)
        shares = [f"{shorten(n)} {c / len(train):.1%}" for c, n in (ranked[0], ranked[-1])]
        yield f"labels are out of balance ({' to '.join(shares)}): read each label's F1, not the accuracy"
    missing = [repr(name) for name in names if name.lower() in _MISSING]
    if missing:
        yield f"the label {listed(missing)} may stand for a missing one: remove such rows if it does"
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        alike[" ".join(name.lower().split())].append(name)
    twins = [" and ".join(map(shorten, group)) for group in alike.values() if len(group) > 1]
    if twins:
        yield f"the labels {listed(twins)} differ in capitals or spaces only: write them the same way"
