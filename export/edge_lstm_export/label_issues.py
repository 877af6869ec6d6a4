"""Labels that look wrong: confident learning (Northcutt, Jiang & Chuang, 2021) on cross-fitted NB-SVM."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm.atomic import open_atomically
from edge_lstm.metrics import Interval, wilson_interval
from edge_lstm.printable import shorten
from edge_lstm_export.datasets import Split
from edge_lstm_export.datasets.warnings import contradictory
from edge_lstm_export.teacher import TeacherOptions, soft_labels

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Limits:
    """How much is judged together: characters of text, and texts times labels, since NB-SVM fits a model
    for each label and fold."""

    characters: int
    texts_times_labels: int


# IMDB's training split takes 45 s and 1.3 GB as one block; a sample of a quarter of it takes 10 s.
BLOCK = Limits(35_000_000, 500_000)
SAMPLE = Limits(10_000_000, 150_000)
# Below the first nothing is listed, below the second nothing is estimated: NB-SVM, having seen so little,
# is wrong too often itself.
FEWEST_TEXTS, FEWEST_FOR_ESTIMATE = 50, 500
# The estimate looks at the texts whose label is easiest to tell, where disagreement is mostly the label's
# fault. On 5,000 reviews it says 0 % as they are, and 22 % with 21 % of the labels flipped
# (benchmarks/label_noise.py); the confident joint of Northcutt et al. says 3 % and 24 %.
EASIEST, FEWEST_EASIEST = 0.05, 100
_HEADER = ("row", "label", "likely_label", "label_probability", "likely_probability", "why", "text")


@dataclass(frozen=True)
class LabelIssues:
    """rows: int64 [k], texts of the split whose label looks wrong, the most suspicious first.

    likely: int64 [k], the label they look like; probabilities: float32 [k, 2], of the label they have and
    of the likely one; torn: bool [k], a text of the same words has another label.
    judged: texts that were looked at, of the split's. wrong: the estimated share of wrong labels, from 0
    to 1, with its 95 % interval; None where too few texts were judged.
    """

    rows: Ints
    likely: Ints
    probabilities: Floats
    torn: npt.NDArray[np.bool_]
    judged: int
    wrong: float | None
    interval: Interval | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON: no texts."""
        return {
            "judged_texts": self.judged,
            "suspicious_texts": len(self.rows),
            "wrong_share": None if self.wrong is None else round(self.wrong, 4),
            "wrong_interval": self.interval and [round(self.interval.low, 4), round(self.interval.high, 4)],
        }

    def warning(self, split: Split, labels: Sequence[str], file: Path | None) -> str | None:
        """A line for a person, or None where the labels look right."""
        if self.wrong is None or self.interval is None or self.interval.low < 0.01 or not len(self.rows):
            return None
        pairs = Counter(zip(split.labels[self.rows].tolist(), self.likely.tolist()))
        (given, likely), _ = pairs.most_common(1)[0]
        return (
            f"about {self.wrong:.0%} of the labels look wrong, or overlap (95 %: {self.interval.low:.0%} to "
            f"{self.interval.high:.0%}; most often {shorten(labels[given])} that reads like "
            f"{shorten(labels[likely])}): correct the texts that "
            + (f"{file} lists" if file else "--suspects FILE lists")
        )


def find_label_issues(
    split: Split, count: int, *, seed: int = 0, every_text: bool = False, say: Callable[[str], None]
) -> LabelIssues:
    """Looks for labels that are not what the text says.

    A text is judged by models that did not see it: its label is suspicious where another label is likelier,
    and at least as likely as it is, on average, for the texts that bear it. Texts of labels with too few
    examples to cross-fit are left out. Beyond what a minute takes a random sample is judged, unless
    ``every_text`` is asked for: then block by block, in the memory of one.
    """
    options = TeacherOptions(seed=seed)
    counts = np.array(split.counts(count))
    able = np.flatnonzero(counts[split.labels] >= options.folds)
    kept = np.unique(split.labels[able])
    torn = contradictory(split)
    found: list[tuple[Ints, Ints, Floats]] = []
    judged = missed = easiest = 0
    if len(able) >= FEWEST_TEXTS and len(kept) >= 2:
        parts = _parts(split, able, len(kept), seed, BLOCK if every_text else SAMPLE)
        if not every_text and len(parts) > 1:
            say(f"labels: a sample of {len(parts[0]):,} of {len(split):,} texts is checked")
            parts = parts[:1]
        for number, rows in enumerate(parts, 1):
            if len(parts) > 1:
                say(f"labels: checking part {number} of {len(parts)}")
            names = np.unique(split.labels[rows])
            given = np.searchsorted(names, split.labels[rows])
            if len(names) < 2 or np.bincount(given).min() < options.folds:
                continue
            answers = soft_labels([split.texts[i] for i in rows], given, [], len(names), options).labelled
            here, likely = confident_disagreement(answers, given)
            pair = np.stack([answers[here, given[here]], answers[here, likely]], axis=1)
            found.append((rows[here], names[likely], pair))
            easy = _easiest(answers)
            missed += int((answers[easy].argmax(axis=1) != given[easy]).sum())
            easiest += len(easy)
            judged += len(rows)
    listed = np.concatenate([rows for rows, _, _ in found]) if found else np.zeros(0, np.int64)
    likely = np.concatenate([label for _, label, _ in found]) if found else np.zeros(0, np.int64)
    pairs = np.concatenate([pair for _, _, pair in found]) if found else np.zeros((0, 2), np.float32)
    order = np.argsort(pairs[:, 0] - pairs[:, 1], kind="stable")
    return LabelIssues(
        listed[order],
        likely[order],
        pairs[order],
        torn[listed[order]],
        judged,
        missed / easiest if judged >= FEWEST_FOR_ESTIMATE else None,
        wilson_interval(missed, easiest) if judged >= FEWEST_FOR_ESTIMATE else None,
    )


def confident_disagreement(answers: Floats, given: Ints) -> tuple[Ints, Ints]:
    """(rows, their likely labels): the off-diagonal of the confident joint.

    answers: float32 [n, labels], of models that did not see the row; given: int64 [n], each label occurs.
    A label's threshold is its mean probability over the texts that bear it, so that a label of which the
    models are never sure is not suspected as a whole.
    """
    labels = answers.shape[1]
    thresholds = np.array([answers[given == label, label].mean() for label in range(labels)])
    confident = np.where(answers >= thresholds, answers, -1.0)
    likely = confident.argmax(axis=1)
    rows = np.flatnonzero((confident.max(axis=1) > 0) & (likely != given))
    # Of two likely labels the given one may be the less confident and yet the more probable.
    rows = rows[answers[rows, likely[rows]] > answers[rows, given[rows]]]
    return rows, likely[rows]


def _easiest(answers: Floats) -> Ints:
    """The rows whose answers are surest, the same share of the rows of each answer: where one label is
    wrong more often than the other, its texts are less sure as a whole and would all be left out."""
    share = max(EASIEST, FEWEST_EASIEST / len(answers))
    predicted = answers.argmax(axis=1)
    parts = []
    for label in np.unique(predicted):
        rows = np.flatnonzero(predicted == label)
        order = np.argsort(-answers[rows, label], kind="stable")
        parts.append(rows[order[: math.ceil(share * len(rows))]])
    return np.concatenate(parts)


def write_label_issues(split: Split, labels: tuple[str, ...], suspects: LabelIssues, path: Path) -> None:
    """CSV: first the texts with the words of one that has another label, then the rest, each from the most
    suspicious on. ``row`` is the text's number where it was read. OutputError where it cannot be written.
    """
    rank = {int(row): i for i, row in enumerate(suspects.rows)}
    contradicted = np.flatnonzero(contradictory(split))
    # Texts of the same words side by side.
    contradicted = contradicted[np.lexsort((contradicted, split.keys[contradicted]))]
    others = suspects.rows[~suspects.torn]
    with open_atomically(path) as file:
        text_file = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(text_file)
        writer.writerow(_HEADER)
        for why, rows in (("contradiction", contradicted), ("prediction", others)):
            for row in map(int, rows):
                place = rank.get(row)
                likely: tuple[str, ...] = ("", "", "")
                if place is not None:
                    own, other = suspects.probabilities[place]
                    likely = (labels[suspects.likely[place]], f"{own:.4f}", f"{other:.4f}")
                text = split.texts[row].encode("utf-8", "replace").decode()
                writer.writerow([split.rows[row], labels[split.labels[row]], *likely, why, text])
        text_file.detach()


def _parts(split: Split, able: Ints, labels: int, seed: int, limits: Limits) -> list[Ints]:
    """The rows ``able`` in random parts of about equal size, each within the limits."""
    characters = sum(len(split.texts[i]) for i in able)
    work = len(able) * (1 if labels == 2 else labels)
    parts = max(1, -(-characters // limits.characters), -(-work // limits.texts_times_labels))
    order = np.random.default_rng([seed, 0x5B5]).permutation(able)
    return [np.sort(part) for part in np.array_split(order, parts)]
