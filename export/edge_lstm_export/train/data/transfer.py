"""The transfer set: texts for the teachers to label.

Some are of a log and some are made of the labelled ones.

A small network that sees a teacher's predictions for thousands of texts near the rows learns what
the teacher knows. A made text inherits no label: "not good" without "not" has another one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_lstm.core.text import spaceless
from edge_lstm_export.arrays import Floats, Ints
from edge_lstm_export.options import Plan
from edge_lstm_export.train.data.rows import LabelledRows

_TWO_LETTERS = re.compile(r"([^\W\d_])([^\W\d_])")


def augment(
    texts: Sequence[str], fold: Ints, texts_per_row: int, seed: int
) -> tuple[tuple[str, ...], Ints]:
    """Make texts of each of ``texts``; return them with their folds.

    A made text has the fold of the texts that it was made of (after Tang et al., 2019).

    texts_per_row: at most.
    fold: int64 [n]; only texts of one fold are mixed. The augmented texts differ from each other
        and from ``texts``.
    """
    rng = np.random.default_rng([seed, 0x3D])
    # Where words have no spaces between them, characters take their place.
    unsegmented = [spaceless(text) for text in texts]
    units = [list(text) if alone else text.split() for text, alone in zip(texts, unsegmented)]
    members = {k: np.flatnonzero(fold == k) for k in np.unique(fold)}
    sources: dict[str, int] = {}
    for i, words in enumerate(units):
        for draw in rng.random(texts_per_row if words else 0):
            other = units[int(rng.choice(members[fold[i]]))] or words
            variant = _variant(words, other, float(draw), rng)
            made = ("" if unsegmented[i] else " ").join(variant)
            if made.strip():
                sources.setdefault(made, i)
    for text in texts:
        sources.pop(text, None)
    return tuple(sources), fold[np.array([*sources.values()], np.int64)]


def misspell(texts: Sequence[str], share: float, seed: int) -> list[str]:
    """Return the texts with a share of their letters wrong.

    A letter is left out, doubled, or swapped with the next one.
    """
    rng = random.Random(seed)
    errors = (r"\2", r"\1\1\2", r"\2\1")

    def read(two: re.Match[str]) -> str:
        if rng.random() < 2 * share:
            return two.expand(rng.choice(errors))
        return two[0]

    return [_TWO_LETTERS.sub(read, text) for text in texts]


def _variant(
    words: list[str],
    other: list[str],
    draw: float,
    rng: np.random.Generator,
) -> list[str]:
    """Return the words of a made text.

    draw: from 0 to 1, decides how it is made.
    """
    if draw < 0.35:  # without some words
        stays = rng.random(len(words)) >= rng.uniform(0.1, 0.5)
        return [unit for unit, stay in zip(words, stays) if stay]
    draw -= 0.35
    if draw < 0.25:  # a piece
        size = max(1, round(len(words) * rng.uniform(0.3, 0.8)))
        start = int(rng.integers(0, len(words) - size + 1))
        return words[start : start + size]
    draw -= 0.25
    if draw < 0.25:  # halves of two texts
        first_half = words[: (len(words) + 1) // 2]
        second_half = other[len(other) // 2 :]
        return first_half + second_half
    exchanged = rng.random(len(words)) < 1 / 3  # words replaced by another text's
    drawn = rng.integers(0, len(other), len(words))
    return [other[j] if change else unit for unit, change, j in zip(words, exchanged, drawn)]


@dataclass(frozen=True)
class TransferSet:
    """Texts without a label, for the teachers to label: first a log's, then augmented ones.

    source_fold: int64 [texts], fold of the rows that a text was made of; -1 for a text of the log.
    soft_labels: float32 [texts, L], probabilities that replace the teachers'; None: the teachers
        are asked.
    """

    texts: tuple[str, ...]
    source_fold: Ints
    soft_labels: Floats | None = None

    @property
    def from_log(self) -> int:
        """The number of texts of the log."""
        return int((self.source_fold < 0).sum())


def make_transfer_set(
    rows: LabelledRows, log: Sequence[str], soft_labels: Floats | None, plan: Plan
) -> TransferSet:
    """Augment the rows, and put the texts of the log before the augmented ones."""
    augmented, fold = augment(
        rows.learnt.texts, rows.fold, plan.augmentation.texts_per_row, plan.seed
    )
    from_log = np.full(len(log), -1, np.int64)
    return TransferSet((*log, *augmented), np.concatenate([from_log, fold]), soft_labels)
