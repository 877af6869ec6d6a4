"""What every source becomes: texts with labels, split into training and test."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm.answering import LABEL_JOINT
from edge_lstm.errors import DataError
from edge_lstm.printable import CONTROL_CHARACTER, shorten
from edge_lstm.text import text_key

Labels = npt.NDArray[np.int64]
LabelSets = npt.NDArray[np.bool_]

# More labels than this are no labels but ids, or a column of numbers: every one is a row of the head and
# a column of the targets, and a network of this size cannot tell so many apart.
MOST_LABELS = 1000
# From so many different values on, a label column is looked at with suspicion.
_MANY_VALUES = 20


@dataclass(frozen=True)
class Split:
    """Texts and their labels: int64 [n], indices into the data set's label names.

    sets: bool [n, labels], where texts may have several labels or none; None where each has one. Then
    ``labels`` has for each text the rarest of its labels, or of a text without one the number of labels: what
    splits a split evenly.
    """

    texts: tuple[str, ...]
    labels: Labels
    sets: LabelSets | None = None

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def keys(self) -> npt.NDArray[np.uint64]:
        """uint64 [n], equal for duplicates: texts of the same words, see :func:`edge_lstm.text.text_key`."""
        return np.fromiter(map(text_key, self.texts), dtype=np.uint64, count=len(self))

    @cached_property
    def rows(self) -> npt.NDArray[np.int64]:
        """int64 [n], the number that each text had where it was read, from 1."""
        return np.arange(1, len(self) + 1, dtype=np.int64)

    def subset(self, rows: npt.NDArray[np.int64]) -> Split:
        """The given rows, in the given order, with their keys and numbers."""
        sets = None if self.sets is None else self.sets[rows]
        part = Split(tuple(self.texts[i] for i in rows), self.labels[rows], sets)
        vars(part).update(keys=self.keys[rows], rows=self.rows[rows])
        return part

    def counts(self, labels: int) -> list[int]:
        """Texts of each of ``labels`` labels."""
        if self.sets is not None:
            return self.sets.sum(axis=0).tolist()  # type: ignore[no-any-return]
        return np.bincount(self.labels, minlength=labels).tolist()  # type: ignore[no-any-return]

    def targets(self, labels: int) -> npt.NDArray[np.float32]:
        """float32 [n, labels], 1 for each label that a text has."""
        if self.sets is not None:
            return self.sets.astype(np.float32)
        return np.eye(labels, dtype=np.float32)[self.labels]


@dataclass(frozen=True)
class Dataset:
    """One source, read.

    name: for people, as ``imdb`` or a file's name; labels: names, in the order of their indices.
    test: None where the source has no test split.
    unlabelled: further texts without a label, empty where there are none or they were not asked for.
    digest: sha256 (hex) of what was read.
    warnings: what a person should know of the data, a line each.
    checks: the counts behind them, plain values (warnings.py).
    """

    name: str
    labels: tuple[str, ...]
    train: Split
    test: Split | None
    digest: str
    unlabelled: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    checks: Mapping[str, Any] = field(default_factory=dict)

    @property
    def several(self) -> bool:
        """Whether a text may have several labels, or none."""
        return self.train.sets is not None


def make_split(texts: Sequence[str], names: Sequence[str], labels: Sequence[str], where: str) -> Split:
    """Texts with label names → Split. DataError where a name is not among ``labels``."""
    index = {label: i for i, label in enumerate(labels)}
    unknown = sorted({name for name in names if name not in index})
    if unknown:
        raise DataError(
            f"{where} has the label {shorten(unknown[0])}, which the training texts have not; "
            f"use the same labels in both: {', '.join(map(shorten, labels))}"
        )
    return Split(tuple(texts), np.array([index[name] for name in names], dtype=np.int64))


def make_sets(
    texts: Sequence[str], names: Sequence[tuple[str, ...]], labels: Sequence[str], where: str
) -> Split:
    """Texts with the label names of each → Split. DataError where a name is not among ``labels``."""
    index = {label: i for i, label in enumerate(labels)}
    sets = np.zeros((len(texts), len(labels)), dtype=np.bool_)
    make_split((), sorted({name for row in names for name in row}), labels, where)  # knows them all
    for row, own in zip(sets, names):
        row[[index[name] for name in own]] = True
    return Split(tuple(texts), rarest(sets), sets)


def rarest(sets: LabelSets) -> Labels:
    """bool [n, labels] → int64 [n], of each text's labels the rarest, or the number of labels."""
    counts = np.where(sets, sets.sum(axis=0), len(sets) + 1)
    return np.asarray(np.where(sets.any(axis=1), counts.argmin(axis=1), sets.shape[1]), np.int64)


def set_names(names: Sequence[tuple[str, ...]], where: str) -> tuple[str, ...]:
    """As :func:`label_names`, of texts with several labels: none may hold what joins them in one column."""
    found = label_names([name for row in names for name in row], where)
    for name in found:
        if LABEL_JOINT in name:
            raise DataError(
                f"{where} has the label {shorten(name)}, which holds {LABEL_JOINT!r}, what joins labels; "
                f"rename it, or separate labels by it (--label-separator '{LABEL_JOINT}')"
            )
    return found


def label_names(names: Sequence[str], where: str) -> tuple[str, ...]:
    """The distinct label names, sorted, numbers by value.

    DataError unless there are two or more, and where they cannot be labels: nearly every text has its own,
    or they are numbers from a scale.
    """
    distinct = set(names)
    if len(distinct) < 2:
        found = f"one label, {shorten(next(iter(distinct)))}" if distinct else "no labelled text"
        raise DataError(f"{where} has {found}; a classifier needs texts of two labels or more")
    for name in sorted(distinct):
        if CONTROL_CHARACTER.search(name):
            raise DataError(
                f"{where} has the label {shorten(name)}, which holds a control character; rename it"
            )
        try:
            name.encode()
        except UnicodeEncodeError:
            raise DataError(
                f"{where} has the label {shorten(name)}, which is no text; write it as UTF-8"
            ) from None
    values = {name: _number(name) for name in distinct}
    numeric = None not in values.values()
    if len(distinct) > _MANY_VALUES:
        found = f"{where} has {len(distinct):,} different labels for {len(names):,} texts"
        if len(distinct) > MOST_LABELS or len(names) < 2 * len(distinct):
            raise DataError(
                f"{found}, as ids or free text have; name the column that holds the labels "
                f"(--label-column; at most {MOST_LABELS:,} labels, several texts of each)"
            )
        if numeric and not all(float(value or 0).is_integer() for value in values.values()):
            raise DataError(
                f"{found}, all of them numbers; turn them into a few ranges (such as low, middle, high), "
                "or name another --label-column"
            )
    if numeric:
        return tuple(sorted(distinct, key=lambda name: (values[name], name)))
    return tuple(sorted(distinct))


def _number(name: str) -> float | None:
    try:
        value = float(name)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def file_digest(path: Path) -> str:
    """sha256 (hex) of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def hold_out(split: Split, share: float, seed: int) -> tuple[Split, Split]:
    """(rest, held out): about ``share`` of the texts of each label, at least one of each label that has
    two or more, drawn by ``seed``. Duplicates (``Split.keys``) go the same way. Order is kept.
    """
    rng = np.random.default_rng([seed, 0x5F1D])
    unique = np.sort(np.unique(split.keys, return_index=True)[1])
    chosen: list[npt.NDArray[np.int64]] = []
    for label in np.unique(split.labels):
        rows = unique[split.labels[unique] == label]
        if len(rows) > 1 and share > 0:
            count = min(len(rows) - 1, max(1, round(share * len(rows))))
            chosen.append(rng.permutation(rows)[:count])
    held = split.keys[np.concatenate(chosen)] if chosen else split.keys[:0]
    mask = np.isin(split.keys, held)
    return split.subset(np.flatnonzero(~mask)), split.subset(np.flatnonzero(mask))
