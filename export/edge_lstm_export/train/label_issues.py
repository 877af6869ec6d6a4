"""Labels that look wrong: confident learning (Northcutt et al., 2021) on a cross-fitted linear teacher."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_lstm.answering import LABEL_JOINT
from edge_lstm.atomic import write_atomically
from edge_lstm.metrics import Interval, wilson_interval
from edge_lstm.printable import shorten
from edge_lstm_export.train.data import Bools, Floats, Ints, Split, rarest, stratified_folds
from edge_lstm_export.train.options import LinearOptions
from edge_lstm_export.train.teachers.base import Say, cross_fit
from edge_lstm_export.train.teachers.linear import LinearTeacher
from edge_lstm_export.train.warnings import conflicting

_FOLDS = 5
# With fewer texts the model is wrong too often itself: nothing is listed below the first number, nothing is
# estimated below the second.
_FEWEST_TEXTS, _FEWEST_FOR_ESTIMATE = 50, 500
# A sample, so that the check takes seconds: characters of texts of each kind, and texts times labels.
_MOST_SHORT, _MOST_LONG, _MOST_TEXTS_TIMES_LABELS = 1_000_000, 10_000_000, 150_000
# The estimate looks at the texts whose label is easiest to predict, where disagreement is mostly the label's
# fault: this share of them, and at least so many.
_EASIEST, _FEWEST_EASIEST = 0.05, 100
_HEADER = ("row", "label", "likely_label", "label_probability", "likely_probability", "why", "text")


@dataclass(frozen=True)
class LabelIssues:
    """The rows of a split whose labels look wrong, int64 [k], the most suspicious first.

    likely: bool [k, L], the labels that they look like; chances: float32 [k, 2], the probability of the label
        that they have and of the likely one.
    judged: texts that were looked at. wrong: the estimated share of wrong labels, 0 to 1, and its 95 %
        interval; None where too few texts were judged, or a text may have several labels.
    """

    rows: Ints
    likely: Bools
    chances: Floats
    judged: int = 0
    wrong: float | None = None
    interval: Interval | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON: no texts."""
        return {
            "judged_texts": self.judged,
            "suspicious_texts": len(self.rows),
            "wrong_share": None if self.wrong is None else round(self.wrong, 4),
            "wrong_interval": self.interval and [round(self.interval.low, 4), round(self.interval.high, 4)],
        }

    def warning(self, split: Split, labels: Sequence[str], file: Path | None) -> str | None:
        """Return a line for a person, or None where the labels look right. file: where they are listed."""
        if self.wrong is None or self.interval is None or self.interval.low < 0.01 or not len(self.rows):
            return None
        pairs = Counter(zip(split.strata[self.rows].tolist(), self.likely.argmax(axis=1).tolist()))
        (given, likely), _ = pairs.most_common(1)[0]
        return (
            f"about {self.wrong:.0%} of the labels look wrong, or overlap (95 %: {self.interval.low:.0%} to "
            f"{self.interval.high:.0%}; most often {shorten(labels[given])} that reads like "
            f"{shorten(labels[likely])}): correct the texts that {file or '--suspects FILE'} lists"
        )


def find_label_issues(
    split: Split, options: LinearOptions, *, several: bool, seed: int, every_text: bool, say: Say
) -> LabelIssues:
    """Find labels that are not what the text says, see :func:`likely_labels`.

    Labels of too few texts to cross-fit are left out. Of many texts a random sample is judged, unless
    ``every_text`` is asked for.
    """
    rows = np.arange(len(split)) if every_text else _sample(split, options, seed)
    if len(rows) < len(split):
        say(f"labels: a sample of {len(rows):,} of {len(split):,} texts is checked")
    counts = split.labels[rows].sum(axis=0)
    columns = np.flatnonzero(np.minimum(counts, len(rows) - counts) >= _FOLDS)
    if not several:
        rows = rows[split.labels[rows][:, columns].any(axis=1)]
    if len(rows) < _FEWEST_TEXTS or len(columns) < 2:
        return LabelIssues(rows[:0], split.labels[:0], np.zeros((0, 2), np.float32))
    given = split.labels[rows][:, columns]
    p = _probabilities([split.texts[i] for i in rows], given, LinearTeacher(options, several), several, seed)
    likely = likely_labels(p, given, several)
    chances = np.stack([(p * given).sum(axis=1), (p * likely).sum(axis=1)], axis=1)
    if several:  # of the label that is the most suspicious
        contrary = (np.where(given, 1 - p, p) * (likely != given)).max(axis=1)
        chances = np.stack([1 - contrary, contrary], axis=1)
    suspicious = np.flatnonzero((likely != given).any(axis=1))
    suspicious = suspicious[np.argsort(chances[suspicious, 0] - chances[suspicious, 1], kind="stable")]
    labels = split.labels[rows[suspicious]]
    labels[:, columns] = likely[suspicious]
    issues = LabelIssues(rows[suspicious], labels, chances[suspicious], len(rows))
    if several or len(rows) < _FEWEST_FOR_ESTIMATE:
        return issues
    easy = _easiest(p)
    missed = int((~given[easy, p[easy].argmax(axis=1)]).sum())
    return replace(issues, wrong=missed / len(easy), interval=wilson_interval(missed, len(easy)))


def likely_labels(chances: Floats, given: Bools, several: bool) -> Bools:
    """Return the labels of each text, bool [n, L], with others in place of suspicious ones: the off-diagonal
    of the confident joint, where a text may have several labels that of each.

    A label is suspicious where another one (of several: the contrary) is likelier, and at least as likely as
    it is, on average, for the texts that bear it. chances: float32 [n, L], out of fold; given: bool [n, L].
    """
    usual = (chances * given).sum(axis=0) / np.maximum(given.sum(axis=0), 1)
    if several:
        unusual = ((1 - chances) * ~given).sum(axis=0) / np.maximum((~given).sum(axis=0), 1)
        lacking = ~given & (chances >= usual) & (chances > 0.5)
        wrong = given & (1 - chances >= unusual) & (chances < 0.5)
        return np.asarray(given ^ (lacking | wrong), np.bool_)
    confident = np.where(chances >= usual, chances, -1.0)
    suspicious = confident.max(axis=1) > (chances * given).sum(axis=1)
    best = np.arange(given.shape[1]) == confident.argmax(axis=1)[:, None]
    return np.where(suspicious[:, None], best, given)


def write_label_issues(split: Split, labels: Sequence[str], issues: LabelIssues, path: Path) -> None:
    """Write a CSV: first the texts that repeat one with other labels, duplicates side by side, then the rest,
    the most suspicious first. ``row`` is the text's number where it was read. Raises OutputError."""
    conflict = conflicting(split)
    conflicts = np.flatnonzero(conflict)
    conflicts = conflicts[np.argsort(split.keys[conflicts], kind="stable")]
    likely = {
        int(row): [_joined(labels, names), f"{chances[0]:.4f}", f"{chances[1]:.4f}"]
        for row, names, chances in zip(issues.rows, issues.likely, issues.chances)
    }
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(_HEADER)
    for row in map(int, [*conflicts, *issues.rows[~conflict[issues.rows]]]):
        why = "contradiction" if conflict[row] else "prediction"
        given = _joined(labels, split.labels[row])
        writer.writerow([split.rows[row], given, *likely.get(row, [""] * 3), why, split.texts[row]])
    write_atomically(table.getvalue(), path)


def _joined(labels: Sequence[str], row: Bools) -> str:
    return LABEL_JOINT.join(label for label, has in zip(labels, row) if has)


def _sample(split: Split, options: LinearOptions, seed: int) -> Ints:
    """Return the rows of a random part that takes seconds."""
    columns, length = split.labels.shape[1], sum(map(len, split.texts)) / max(1, len(split))
    by_length = (_MOST_SHORT if options.short else _MOST_LONG) / max(1.0, length)
    most = int(min(_MOST_TEXTS_TIMES_LABELS / (1 if columns == 2 else columns), by_length))
    return np.sort(np.random.default_rng([seed, 0xC0]).permutation(len(split))[:most])


def _probabilities(
    texts: Sequence[str], given: Bools, teacher: LinearTeacher, several: bool, seed: int
) -> Floats:
    """Return out-of-fold probabilities, float32 [n, L], by a sigmoid a label (Platt, 1999)."""
    from sklearn.linear_model import LogisticRegression

    teacher.read(texts)
    fold = stratified_folds(rarest(given), _FOLDS, np.random.default_rng([seed, 0x5B5]))
    logits = cross_fit(teacher, given, fold, np.zeros((_FOLDS, 0), np.bool_)).labelled
    scores = logits if several else logits - logits.mean(axis=1, keepdims=True)
    pairs = [(x[:, None], y) for x, y in zip(scores.T, given.T)]
    columns = [LogisticRegression(C=100.0).fit(x, y).predict_proba(x)[:, 1] for x, y in pairs]
    p = np.stack(columns, axis=1).astype(np.float32)
    return p if several else p / p.sum(axis=1, keepdims=True)


def _easiest(chances: Floats) -> Ints:
    """Return the rows whose predictions are surest, the same share of each predicted label: where one label
    is wrong more often, all its texts are less sure."""
    share = max(_EASIEST, _FEWEST_EASIEST / len(chances))
    predicted, parts = chances.argmax(axis=1), []
    for label in np.unique(predicted):
        rows = np.flatnonzero(predicted == label)
        order = np.argsort(-chances[rows, label], kind="stable")
        parts.append(rows[order[: math.ceil(share * len(rows))]])
    return np.concatenate(parts)
