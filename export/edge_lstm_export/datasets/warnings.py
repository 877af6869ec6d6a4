"""What often spoils a training, found in the data before it begins, and what to know of its result before
relying on it: each a line that says what to do.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edge_lstm.answering import RiskCoverage
from edge_lstm.errors import DataError
from edge_lstm.metrics import SetScores
from edge_lstm.printable import listed, shorten
from edge_lstm_export.datasets.dataset import Dataset, Split

if TYPE_CHECKING:  # it brings torch, which reading data does not need
    from edge_lstm_export.evaluation import Scores

# Fewer training texts than this, or fewer of one label, and a person should know that it is few.
FEW_TEXTS = 1000
FEW_OF_A_LABEL = 20
# Repeated texts are worth a line from this share on: reviews and tickets always hold a few.
_MANY_REPEATED = 0.01
# Points of accuracy: an interval this wide on either side cannot tell two trainings apart.
WIDE_INTERVAL = 5.0
# A label is rare below this part of an even share. With fewer of its texts a threshold is a guess.
RARE, FEWEST_OF_RARE = 1 / 3, 10
_SEPARATORS = "|;,/+"  # between the labels of a text
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
        other, listing = (
            ("other labels", "") if dataset.several else ("another label", " (--suspects FILE lists them)")
        )
        warnings.append(
            f"{torn:,} training texts have the same words as one with {other}: decide which is right{listing}"
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
    labels = split.labels
    if split.sets is not None:
        labels = np.unique(split.sets, axis=0, return_inverse=True)[1].ravel()
    lowest = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(lowest, group, labels)
    highest = np.full(count, -1)
    np.maximum.at(highest, group, labels)
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
    if max(counts) > 3 * min(counts) and not dataset.several:
        ranked = sorted(zip(counts, names), reverse=True)
        shares = [f"{shorten(n)} {c / len(train):.1%}" for c, n in (ranked[0], ranked[-1])]
        yield f"labels are out of balance ({' to '.join(shares)}): read each label's F1, not the accuracy"
    missing = [repr(name) for name in names if name.lower() in _MISSING]
    if missing:
        yield f"the label {listed(missing)} may stand for a missing one: remove such rows if it does"
    if not dataset.several and (several := _looks_several(names)):
        name, mark = several
        yield f"the label {shorten(name)} looks like several: if it is, add --label-separator '{mark}'"
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        alike[" ".join(_composed(name).lower().split())].append(name)
    twins = [" and ".join(_told_apart(group)) for group in alike.values() if len(group) > 1]
    if twins:
        yield (
            f"the labels {listed(twins)} differ in capitals, spaces or Unicode's form (NFC, NFD) only: "
            "write them the same way"
        )


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _told_apart(names: Sequence[str]) -> Iterator[str]:
    """The names as they can stand in a line; with escapes where two of them look the same."""
    alike = len(set(map(_composed, names))) < len(names)
    return map(ascii if alike else shorten, names)


def _looks_several(names: Sequence[str]) -> tuple[str, str] | None:
    """(a label, the mark in it) where the parts of the label beside the mark are labels too."""
    known = {name.strip() for name in names}
    for mark in _SEPARATORS:
        for name in names:
            parts = [part.strip() for part in name.split(mark)]
            if len(parts) > 1 and known.issuperset(parts):
                return name, mark
    return None


def result_warnings(
    measured: Scores,
    probabilities: npt.NDArray[np.float32],
    truth: npt.NDArray[np.int64],
    *,
    cross_validated: bool = False,
) -> Iterator[str]:
    """What to know of the validation part's result, since that is what epochs and options are chosen by.

    probabilities: float32 [n, labels], calibrated; truth: int64 [n]. cross_validated: of the training texts.
    """
    points = (measured.interval.high - measured.interval.low) * 50
    if points > WIDE_INTERVAL and cross_validated:
        yield (
            f"accuracy {measured.accuracy:.0%} ± {points:.0f}, cross-validated on {measured.texts} texts: "
            "collect more to know it better"
        )
    elif points > WIDE_INTERVAL:
        yield (
            f"the validation part holds {measured.texts} texts: its accuracy is known to ±{points:.0f} "
            "points only; collect more texts, or hold out more with --validation"
        )
    frequent = max(measured.labels, key=lambda row: row.support)
    share = frequent.support / measured.texts
    if measured.interval.low <= share:
        yield (
            f"not shown to be better than always answering {shorten(frequent.label)} "
            f"({measured.accuracy:.1%} against {share:.1%}): do not rely on it, collect more texts"
        )
    never = [shorten(row.label) for row in measured.labels if row.support and not row.predicted]
    if never:
        where = "in cross-validation" if cross_validated else "on the validation part"
        verb = "is" if len(never) == 1 else "are"
        yield f"{listed(never)} {verb} never the answer {where}: collect more such texts"
    # Class weights in the loss were tried and left out. On 5,000 film reviews, 5 % of them positive, they
    # rank texts no better (AUC 0.837 and 0.860, without 0.844 and 0.860), cost log loss (0.171 and 0.177,
    # without 0.158 and 0.150), and their mean F1 (65 and 66 %) is that of a threshold (64 and 67 %).
    for label, row in enumerate(measured.labels):
        if FEWEST_OF_RARE <= row.support < RARE * measured.texts / len(measured.labels):
            threshold, f1 = best_threshold(truth == label, probabilities[:, label])
            if f1 > row.f1 + 0.02:
                yield (
                    f"{shorten(row.label)} is rare: answering it from a probability of {threshold:.2f} on "
                    f"gives it an F1 of {f1:.0%}, in place of {row.f1:.0%} (score --all-probabilities)"
                )


def set_warnings(measured: SetScores, thresholds: Sequence[float]) -> Iterator[str]:
    """As :func:`result_warnings`, of texts that may have several labels."""
    never = [shorten(row.label) for row in measured.labels if row.support and not row.predicted]
    if never:
        yield f"{listed(never)} is given to no text of the validation part: collect more such texts"
    unseen = [shorten(row.label) for row in measured.labels if not row.support]
    if unseen:
        yield (
            f"the validation part has no text of {listed(unseen)}: its threshold is a guess; "
            "collect more such texts"
        )


def abstain_warning(curve: RiskCoverage | None, wanted: float) -> str:
    """Why a model does not keep to the share of wrong answers that was wanted."""
    if curve is None:
        shown = "no text judged this training"
    else:
        shown = (
            f"{curve.texts:,} texts ({curve.data}) do not show from where on so few are wrong, "
            f"{curve.least:.2g} is the least that they show"
        )
    return (
        f"--abstain {wanted:g} is not kept: {shown}; collect more texts, or give export --data and --abstain"
    )


def best_threshold(
    is_label: npt.NDArray[np.bool_], probabilities: npt.NDArray[np.float32]
) -> tuple[float, float]:
    """(threshold, F1): from which probability on a label is best answered, on these texts.

    is_label: bool [n], at least one True; probabilities: float32 [n], the label's.
    """
    order = np.argsort(-probabilities, kind="stable")
    right = np.cumsum(is_label[order])
    f1 = 2 * right / (np.arange(1, len(order) + 1) + right[-1])
    # Texts of the same probability are answered alike: only the last of them can be a border.
    sorted_probabilities = probabilities[order]
    f1[:-1][sorted_probabilities[:-1] == sorted_probabilities[1:]] = 0
    best = int(f1.argmax())
    return float(sorted_probabilities[best]), float(f1[best])
