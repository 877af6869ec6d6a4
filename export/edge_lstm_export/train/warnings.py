"""What often spoils a training, and what to know of its result: each a line that says what to do."""

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
from edge_lstm_export.train.data import Bools, Dataset, Floats, Split

if TYPE_CHECKING:  # it brings torch, which reading data does not need
    from edge_lstm_export.train.calibrate import Scores

_FEW_TEXTS, _FEW_OF_A_LABEL = 1000, 20
_MANY_DUPLICATES = 0.01  # reviews and tickets always hold a few
_WIDE_INTERVAL = 5.0  # points of accuracy: wider on either side, it cannot tell two trainings apart
# A label is rare below this part of an even share. With fewer of its texts a threshold is a guess.
_RARE, _FEWEST_OF_RARE = 1 / 3, 10
_SEPARATORS = "|;,/+"  # between the labels of a text
_MISSING = {"nan", "null", "none", "na", "n/a", "?"}


def checked(dataset: Dataset) -> Dataset:
    """Return the data set with what was found in it: ``warnings`` for a person, ``checks`` as counts.

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
        warnings.append(
            f"{repeated:,} training texts ({repeated / len(train):.1%}) repeat another but for capitals, "
            "punctuation and spaces: keep one of each, unless they come as often in use"
        )
    if conflicts:
        warnings.append(
            f"{conflicts:,} training texts repeat one with other labels: decide which are right "
            "(--suspects FILE lists them)"
        )
    if shared:
        warnings.append(
            f"{shared:,} test texts are training texts too: the test accuracy is too good by these, remove "
            "them from one of the two"
        )
    checks = {"repeated_texts": repeated, "contradictory_texts": conflicts, "test_texts_in_training": shared}
    return replace(dataset, warnings=tuple(warnings), checks={**dataset.checks, **checks})


def conflicting(split: Split) -> Bools:
    """bool [n]: whether the text has a duplicate with other labels."""
    _, first, group = np.unique(split.keys, return_index=True, return_inverse=True)
    group = group.reshape(-1)
    differs = (split.labels != split.labels[first][group]).any(axis=1)
    return np.isin(group, group[differs])


def _few_texts(dataset: Dataset) -> Iterator[str]:
    train, names, counts = dataset.train, dataset.labels, dataset.train.counts()
    if len(train) < _FEW_TEXTS:
        yield f"only {len(train)} training texts: expect a weak classifier, collect more"
    if few := [f"{shorten(name)} ({count})" for name, count in zip(names, counts) if count < _FEW_OF_A_LABEL]:
        yield (
            f"few training texts of {listed(few)}: predictions of them will be unreliable; "
            "collect more, or merge the label into another"
        )
    if dataset.several and train.labels.sum(axis=1).max(initial=0) < 2:
        yield "no text has several labels: if some should, look at --label-separator or --label-columns"
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
        alike[" ".join(normalize("NFC", name).lower().split())].append(name)
    if twins := [group for group in alike.values() if len(group) > 1]:
        # What looks the same is shown by its code points.
        alike_in_print = [len({normalize("NFC", name) for name in group}) == 1 for group in twins]
        shown = [map(ascii if same else shorten, group) for same, group in zip(alike_in_print, twins)]
        yield (
            f"the labels {listed([' and '.join(names) for names in shown])} differ in capitals, spaces or "
            "Unicode form (NFC) only: write them the same way"
        )


def _joined_label(names: Sequence[str]) -> tuple[str, str] | None:
    """(a label, the mark in it) where the parts of the label beside the mark are labels too."""
    labels = {name.strip() for name in names}
    for mark, name in product(_SEPARATORS, names):
        parts = [part.strip() for part in name.split(mark)]
        if len(parts) > 1 and labels.issuperset(parts):
            return name, mark
    return None


def result_warnings(
    scores: Scores, probabilities: Floats, truth: Bools, *, cross_validated: bool = False
) -> Iterator[str]:
    """Yield what to know of the validation result, where a text has one label.

    probabilities: float32 [n, L], calibrated; truth: bool [n, L]. cross_validated: of the training texts.
    """
    where = "cross-validation" if cross_validated else "validation"
    points = (scores.interval.high - scores.interval.low) * 50
    if points > _WIDE_INTERVAL:
        more = "" if cross_validated else ", or hold out more (share in the plan)"
        yield (
            f"accuracy {scores.accuracy:.0%} ± {points:.0f} points in {where} on {scores.texts} texts: "
            f"collect more texts{more}"
        )
    frequent = max(scores.labels, key=lambda row: row.support)
    share = frequent.support / scores.texts
    if scores.interval.low <= share:
        yield (
            f"not shown to be better than always predicting {shorten(frequent.label)} "
            f"({scores.accuracy:.1%} against {share:.1%}): do not rely on it, collect more texts"
        )
    yield from _never_predicted(scores.labels, where)
    for label, row in enumerate(scores.labels):
        if _FEWEST_OF_RARE <= row.support < _RARE * scores.texts / len(scores.labels):
            threshold, f1 = best_threshold(truth[:, label], probabilities[:, label])
            if f1 > row.f1 + 0.02:
                yield (
                    f"{shorten(row.label)} is rare: predicting it from a probability of {threshold:.2f} on "
                    f"gives it an F1 of {f1:.0%}, in place of {row.f1:.0%} (score --all-probabilities)"
                )


def set_warnings(scores: SetScores) -> Iterator[str]:
    """Yield what to know of the validation result, where a text may have several labels."""
    yield from _never_predicted(scores.labels, "validation")
    if unseen := [shorten(row.label) for row in scores.labels if not row.support]:
        yield f"no validation text has {listed(unseen)}: its threshold is a guess; collect more such texts"


def _never_predicted(rows: Sequence[LabelScores], where: str) -> Iterator[str]:
    if never := [shorten(row.label) for row in rows if row.support and not row.predicted]:
        verb = "is" if len(never) == 1 else "are"
        yield f"{listed(never)} {verb} never predicted in {where}: collect more such texts"


def best_threshold(is_label: Bools, probabilities: Floats) -> tuple[float, float]:
    """Return (threshold, F1): from which probability on a label is best predicted, on these texts.

    is_label: bool [n], at least one True; probabilities: float32 [n], the label's.
    """
    from sklearn.metrics import precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(is_label, probabilities)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(f1[:-1].argmax())
    return float(thresholds[best]), float(f1[best])
