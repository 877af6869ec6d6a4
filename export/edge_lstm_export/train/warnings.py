"""Warnings about the data and about the result of a training, each a line that says what to do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING
from unicodedata import normalize

import numpy as np

from edge_lstm.errors import DataError
from edge_lstm.metrics import LabelScores, SetScores
from edge_lstm.printable import listed, shorten
from edge_lstm_export.train.data import Bools, Dataset, Split

if TYPE_CHECKING:  # it brings torch, which reading data does not need
    from edge_lstm_export.train.calibrate import Scores

_FEW_TEXTS, _FEW_OF_A_LABEL = 1000, 20
_MANY_DUPLICATES = 0.01  # reviews and tickets always hold a few
_WIDE_INTERVAL = 5.0  # points of accuracy: wider on either side, it cannot tell two trainings apart
_SEPARATORS = "|;,/+"  # between the labels of a text
_MISSING = {"nan", "null", "none", "na", "n/a", "?"}


def checked(dataset: Dataset) -> Dataset:
    """Return the data set with its problems: ``warnings`` for a person, ``checks`` as counts.

    Duplicates are texts of equal keys (``Split.keys``). Raises DataError where all texts are duplicates.
    """
    train, test = dataset.train, dataset.test
    different = len(np.unique(train.keys))
    if len(train) > 1 and different == 1:
        raise DataError(
            f"all {len(train):,} training texts of {dataset.name} are the same but for capitals, punctuation "
            "and spaces; name the column that holds the texts (--text-column)"
        )
    repeated, conflicts = len(train) - different, int(conflicting(train).sum())
    shared = int(np.isin(test.keys, train.keys).sum()) if test is not None else 0
    warnings = [*dataset.warnings, *_few_texts(dataset), *_odd_labels(dataset)]
    if repeated > _MANY_DUPLICATES * len(train):
        share = f"{repeated:,} training texts ({repeated / len(train):.1%})"
        warnings.append(f"{share} repeat another but for capitals, punctuation and spaces: keep one of each")
    if conflicts:
        count = f"{conflicts:,} training texts repeat one with other labels"
        warnings.append(f"{count}: decide which are right (--suspects FILE lists them)")
    if shared:
        count = f"{shared:,} test texts are training texts too"
        warnings.append(f"{count}, so the test accuracy is too high: remove them from one of the two")
    checks = {"repeated_texts": repeated, "contradictory_texts": conflicts, "test_texts_in_training": shared}
    return replace(dataset, warnings=tuple(warnings), checks={**dataset.checks, **checks})


def conflicting(split: Split) -> Bools:
    """Return whether each text has a duplicate with other labels: bool [n]."""
    _, first, group = np.unique(split.keys, return_index=True, return_inverse=True)
    group = group.reshape(-1)
    differs = (split.labels != split.labels[first][group]).any(axis=1)
    return np.isin(group, group[differs])


def _few_texts(dataset: Dataset) -> Iterator[str]:
    train, names, counts = dataset.train, dataset.labels, dataset.train.counts()
    if len(train) < _FEW_TEXTS:
        yield f"only {len(train)} training texts: expect a weak classifier, collect more"
    if few := [f"{shorten(name)} ({count})" for name, count in zip(names, counts) if count < _FEW_OF_A_LABEL]:
        yield f"few training texts of {listed(few)}: collect more, or merge the label into another"
    if not dataset.several and max(counts) > 3 * min(counts):
        ranked = sorted(zip(counts, names), reverse=True)
        shares = [f"{shorten(name)} {count / len(train):.1%}" for count, name in (ranked[0], ranked[-1])]
        yield f"labels are out of balance ({' to '.join(shares)}): read each label's F1, not the accuracy"


def _odd_labels(dataset: Dataset) -> Iterator[str]:
    names = dataset.labels
    if missing := [repr(name) for name in names if name.lower() in _MISSING]:
        yield f"the label {listed(missing)} may stand for a missing one: remove such rows if it does"
    if not dataset.several and (joined := _joined_label(names)):
        name, mark = joined
        yield f"the label {shorten(name)} looks like several: if it is, add --label-separator '{mark}'"
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        alike[" ".join(normalize("NFC", name).lower().split())].append(ascii(name))
    if twins := [" and ".join(group) for group in alike.values() if len(group) > 1]:
        how = "differ in capitals, spaces or Unicode form (NFC) only"
        yield f"the labels {listed(twins)} {how}: write them the same way"


def _joined_label(names: Sequence[str]) -> tuple[str, str] | None:
    """Return (a label, the separator in it) where the parts of the label are labels too."""
    labels = {name.strip() for name in names}
    for mark, name in product(_SEPARATORS, names):
        parts = [part.strip() for part in name.split(mark)]
        if len(parts) > 1 and labels.issuperset(parts):
            return name, mark
    return None


def result_warnings(scores: Scores, *, cross_validated: bool = False) -> Iterator[str]:
    """Yield what to know of the validation result, where a text has one label."""
    where = "cross-validation" if cross_validated else "validation"
    points = (scores.interval.high - scores.interval.low) * 50
    if points > _WIDE_INTERVAL:
        accuracy = f"accuracy {scores.accuracy:.0%} ± {points:.0f} points"
        yield f"{accuracy} in {where} on {scores.texts} texts: collect more texts"
    frequent = max(scores.labels, key=lambda row: row.support)
    share = frequent.support / scores.texts
    if scores.interval.low <= share:
        yield (
            f"not shown to be better than always predicting {shorten(frequent.label)} "
            f"({scores.accuracy:.1%} against {share:.1%}): do not rely on it, collect more texts"
        )
    yield from _never_predicted(scores.labels, where)


def set_warnings(scores: SetScores) -> Iterator[str]:
    """Yield what to know of the validation result, where a text may have several labels."""
    yield from _never_predicted(scores.labels, "validation")
    if unseen := [shorten(row.label) for row in scores.labels if not row.support]:
        yield f"no validation text has {listed(unseen)}: its threshold is a guess; collect more such texts"


def _never_predicted(rows: Sequence[LabelScores], where: str) -> Iterator[str]:
    if never := [shorten(row.label) for row in rows if row.support and not row.predicted]:
        verb = "is" if len(never) == 1 else "are"
        yield f"{listed(never)} {verb} never predicted in {where}: collect more such texts"
