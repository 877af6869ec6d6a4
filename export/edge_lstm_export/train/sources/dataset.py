"""What every source becomes: texts and their label matrix, split into training and test."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edge_lstm.core.fields import Fields
from edge_lstm.core.question import number
from edge_lstm.core.text import text_key
from edge_lstm.errors import DataError
from edge_lstm.printable import LABEL_JOINT, shorten, well_formed
from edge_lstm.tables.labelled import Columns, Shares
from edge_lstm_export.arrays import Bools, Doubles, Floats, Ints, Names

# The test texts: the source's own, of another file, or held out at random, by groups or by the
# digests of the texts.
TestRows = Literal["own", "file", "random", "groups", "digest"]

# More labels than this are ids or a column of numbers: each is a row of the head and a column of
# targets.
MOST_LABELS = 1000
# Groups of rows. With fewer, a single group has more than the tenth of the rows to hold out.
FEWEST_GROUPS_TO_HOLD_OUT = 10


@dataclass(frozen=True)
class Split:
    """Texts and their labels.

    labels: bool [n, L], True for each label of a text; one in each row if a text has one label.
    groups: int64 [n], equal for texts of one author, document or day; None without groups.
    shares: float32 [n, L], how probable each label of a text is; None if all labels are certain.
    weights: float32 [n], how many texts of the traffic each stands for; None: one each.
    """

    texts: tuple[str, ...]
    labels: Bools
    groups: Ints | None = None
    shares: Floats | None = None
    weights: Floats | None = None

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def targets(self) -> Floats:
        """float32 [n, L], the targets of the texts: the shares, or else the labels."""
        return self.labels.astype(np.float32) if self.shares is None else self.shares

    @cached_property
    def keys(self) -> npt.NDArray[np.uint64]:
        """uint64 [n], equal for duplicates, see :func:`edge_lstm.core.text.text_key`."""
        return np.fromiter(map(text_key, self.texts), dtype=np.uint64, count=len(self))

    @property
    def together(self) -> npt.NDArray[Any]:
        """Values [n], equal for rows that stay on one side of every split and in one fold.

        They are the rows of a group, or else duplicates.
        """
        return self.keys if self.groups is None else self.groups

    @cached_property
    def strata(self) -> Ints:
        """int64 [n], see :func:`rarest`: what splits texts evenly.

        It is counted in the split that was read.
        """
        return rarest(self.labels)

    def subset(self, rows: Ints) -> Split:
        """Return the given rows, in the given order, with their keys and strata."""

        def of(values: Any) -> Any:
            return None if values is None else values[rows]

        texts = tuple(self.texts[i] for i in rows)
        part = Split(texts, self.labels[rows], of(self.groups), of(self.shares), of(self.weights))
        vars(part).update(keys=self.keys[rows], strata=self.strata[rows])
        return part

    @cached_property
    def traffic(self) -> Ints:
        """int64 [m], rows that stand for one text of the traffic each, see :func:`as_traffic`."""
        return np.arange(len(self)) if self.weights is None else as_traffic(self.weights)

    def counts(self) -> list[int]:
        """Count the texts of each label."""
        return self.labels.sum(axis=0).tolist()  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Dataset:
    """One source, or several together, read.

    name: for people, as ``imdb`` or a file's name.
    labels: their names, in the order of the columns.
    test: None if the source has no test split.
    digest: sha256 (hex) of what was read.
    multi_label: whether a text may have several labels, or none.
    unlabelled: texts for the teachers to label.
    warnings: what a person should know of the data, a line each.
    notes: the same of the texts without a label, which no file holds.
    checks: the counts behind them.
    columns: read columns, of each file whose columns differ.
    group_column: the column of the groups, for people; "" without groups.
    test_rows: the origin of the test texts.
    fields: that the rows' texts were made of; None if a text is a column.
    reasons: of each field, its name, and its kind with the reason for it, for people.
    """

    name: str
    labels: Names
    train: Split
    test: Split | None
    digest: str
    multi_label: bool
    unlabelled: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    checks: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[Columns, ...] = ()
    group_column: str = ""
    test_rows: TestRows = "own"
    fields: Fields | None = None
    reasons: tuple[tuple[str, str], ...] = ()

    @property
    def groups(self) -> int:
        """The number of groups of the training texts; 0 without groups."""
        return 0 if self.train.groups is None else len(np.unique(self.train.groups))


def make_split(
    texts: Iterable[str],
    names: Sequence[Names],
    labels: Names,
    where: str,
    groups: Sequence[str] | None = None,
    shares: Sequence[Shares | None] = (),
) -> Split:
    """Make a split of texts and the label names of each.

    groups: the group of each text; None without groups.
    shares: see LabelledTexts.

    Raise DataError for a name not in ``labels``.
    """
    index = {label: i for i, label in enumerate(labels)}
    if unknown := sorted(set(all_names(names, shares)) - index.keys()):
        raise DataError(
            f"{where} has the label {shorten(unknown[0])}, which the training texts lack; "
            f"use the same labels in both: {', '.join(map(shorten, labels))}"
        )
    matrix = np.zeros((len(names), len(labels)), np.bool_)
    for row, text_labels in zip(matrix, names):
        row[[index[name] for name in text_labels]] = True
    numbers = None
    if groups is not None:
        numbers = np.unique(np.array(groups, np.str_), return_inverse=True)[1].reshape(-1)
    soft = None
    if any(shares):
        soft = matrix.astype(np.float32)
        for i, of_text in enumerate(shares):
            if of_text is not None:
                soft[i] = _spread(of_text, index)
    return Split(tuple(map(well_formed, texts)), matrix, numbers, soft)


def as_traffic(weights: Floats) -> Ints:
    """Return rows, int64 [m], among which each is found in proportion to its weight.

    A heavy row is repeated, and most light ones are left out. m is the effective number of the rows
    (Kish, 1965), so that intervals of m texts are wide enough.

    weights: float32 [n], above 0.
    """
    exact = weights.astype(np.float64)
    ends = np.floor(np.cumsum(exact) * exact.sum() / np.square(exact).sum() + 0.5).astype(np.int64)
    return np.repeat(np.arange(len(exact)), np.diff(ends, prepend=0))


def _spread(shares: Shares, index: Mapping[str, int]) -> Doubles:
    """Return the probability of each label, float64 [L]; the unnamed ones share the rest."""
    rest = max(0.0, 1 - math.fsum(shares.values()))
    row = np.full(len(index), rest / max(1, len(index) - len(shares)))
    for name, share in shares.items():
        row[index[name]] = share
    return row


def all_names(names: Iterable[Names], shares: Iterable[Shares | None]) -> Iterator[str]:
    """Yield the label names of all texts: their labels', and the other ones of their shares."""
    for row in names:
        yield from row
    for of_text in shares:
        yield from of_text or ()


def rarest(labels: Bools) -> Ints:
    """bool [n, L] → int64 [n]: the rarest label of each text, L for a text without one."""
    order = np.argsort(labels.sum(axis=0), kind="stable")
    first = order[labels[:, order].argmax(axis=1)]
    return np.asarray(np.where(labels.any(axis=1), first, labels.shape[1]), np.int64)


def label_names(names: Sequence[str], where: str, *, multi_label: bool = False) -> Names:
    """Return the distinct names of all texts' labels, sorted, numbers by value.

    Raise DataError unless there are two or more, and if they cannot be labels: nearly every text
    has its own, they are numbers from a scale, or no file or terminal can show them.
    """
    distinct = sorted(set(names))
    if len(distinct) < 2:
        there = f"one label, {shorten(distinct[0])}" if distinct else "no labelled text"
        raise DataError(f"{where} has {there}; a classifier needs texts of two labels or more")
    for name in distinct:
        if reason := _fault(name, multi_label):
            raise DataError(f"{where} has the label {shorten(name)}, {reason}")
    values = [value for value in map(number, distinct) if value is not None]
    numbers = values if len(values) == len(distinct) else []
    there = f"{len(distinct):,} different labels for {len(names):,} texts"
    # Then a label column may be one of ids or of numbers.
    is_many = len(distinct) > 20
    if len(distinct) > MOST_LABELS or (is_many and len(names) < 2 * len(distinct)):
        advice = (
            f"name another --label-column (at most {MOST_LABELS:,} labels, several texts of each)"
        )
        raise DataError(f"{where} has {there}, which looks like ids or free text; {advice}")
    if is_many and not all(map(float.is_integer, numbers)):
        advice = "turn them into a few ranges (low, middle, high), or name another --label-column"
        raise DataError(f"{where} has {there}, all of them numbers; {advice}")
    if numbers:
        distinct = [name for _, name in sorted(zip(numbers, distinct))]
    return tuple(distinct)


def _fault(name: str, multi_label: bool) -> str | None:
    """Return why this can be no label; None if it can."""
    categories = {unicodedata.category(c) for c in name}
    if not name:
        return "which is empty"
    if "Cs" in categories:
        return "which is not UTF-8; convert it"
    # Control characters, line and paragraph separators.
    if categories & {"Cc", "Zl", "Zp"}:
        return "which holds a control character or a line break; rename it"
    if multi_label and LABEL_JOINT in name:
        return f"which holds {LABEL_JOINT!r}; rename it, or give --label-separator '{LABEL_JOINT}'"
    return None


def _units(split: Split) -> tuple[Ints, Ints, Ints]:
    """Return the rows that stay together, see :attr:`Split.together`.

    They are the first row of each unit, int64 [units]; the unit of each row, int64 [n]; and the
    number of different texts that a unit has of each stratum, int64 [units, strata].
    """
    _, first, of_row = np.unique(split.together, return_index=True, return_inverse=True)
    of_row = of_row.reshape(-1)
    pairs = np.stack([of_row.astype(np.uint64), split.keys], axis=1)
    different = np.unique(pairs, axis=0, return_index=True)[1]
    texts = np.zeros((len(first), int(split.strata.max(initial=0)) + 1), np.int64)
    np.add.at(texts, (of_row[different], split.strata[different]), 1)
    return first, of_row, texts


def _shuffled(units: Ints, strata: Ints, seed: Sequence[int]) -> Ints:
    """Return the units in a random order within each stratum; strata: int64 [units]."""
    rng = np.random.default_rng(seed)
    parts = [rng.permutation(units[strata == each]) for each in np.unique(strata)]
    return np.concatenate([units[:0], *parts])


def hold_out(split: Split, share: float, seed: int) -> tuple[Split, Split]:
    """Return (rest, held out): about ``share`` of the texts of each label, drawn by ``seed``.

    At least one unit is held out of each label that has two or more, and one stays. A unit is the
    rows of a group, or else a text with its duplicates. The order is kept.
    """
    first, of_row, texts = _units(split)
    by_row = np.argsort(first)
    order = _shuffled(by_row, split.strata[first[by_row]], [seed, 0x5F1D])
    total = texts.sum(axis=0)
    left = (texts > 0).sum(axis=0)
    wanted = np.clip(np.rint(share * total), 1, np.maximum(1, total - 1))
    wanted[(left < 2) | (share == 0)] = 0
    missing = wanted.copy()
    is_held = np.zeros(len(first), np.bool_)

    def hold(units: Ints, *, needed: bool) -> None:
        for unit in units:
            own = texts[unit]
            nearer = np.abs(missing - own).sum() < np.abs(missing).sum()
            lacking = ((own > 0) & (wanted > 0) & (missing == wanted)).any()
            if (lacking if needed else nearer) and (left[own > 0] > 1).all():
                missing[:] -= own
                left[own > 0] -= 1
                is_held[unit] = True

    hold(order, needed=False)
    # Of a label whose groups are all larger than its share, the smallest is held out.
    hold(order[np.argsort(texts[order].sum(axis=1), kind="stable")], needed=True)
    mask = is_held[of_row]
    return split.subset(np.flatnonzero(~mask)), split.subset(np.flatnonzero(mask))


def folds_of(split: Split, folds: int, seed: int) -> Ints:
    """Return a fold for each text, from 0, int64 [n].

    Labels are spread evenly. Rows of a group, or else duplicates, share a fold. There are fewer
    folds than asked for if no label has as many groups.
    """
    first, of_row, texts = _units(split)
    order = _shuffled(np.arange(len(first)), split.strata[first], [seed, 0xCF])
    total = np.maximum(1, texts.sum(axis=0))
    held = np.zeros((folds, len(total)))
    fold = np.zeros(len(first), np.int64)
    # Large ones first, so that small ones even out.
    for unit in order[np.argsort(-texts[order].sum(axis=1), kind="stable")]:
        fold[unit] = (held * (texts[unit] / total)).sum(axis=1).argmin()
        held[fold[unit]] += texts[unit]
    return fold[of_row]


def few_groups(groups: int) -> bool:
    """Return whether there are groups of rows, and too few to hold one out. 0: no groups."""
    return 0 < groups < FEWEST_GROUPS_TO_HOLD_OUT
