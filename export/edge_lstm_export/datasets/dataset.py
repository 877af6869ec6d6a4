"""What every source becomes: texts with labels, split into training and test."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_lstm.errors import DataError

Labels = npt.NDArray[np.int64]

# Fewer training texts than this, or fewer of one label, and a person should know that it is few.
FEW_TEXTS = 1000
FEW_OF_A_LABEL = 20
_MISSING = {"nan", "null", "none", "na", "n/a", "?"}


@dataclass(frozen=True)
class Split:
    """Texts and their labels: int64 [n], indices into the data set's label names."""

    texts: tuple[str, ...]
    labels: Labels

    def __len__(self) -> int:
        return len(self.texts)

    def subset(self, rows: npt.NDArray[np.int64]) -> Split:
        """The given rows, in the given order."""
        return Split(tuple(self.texts[i] for i in rows), self.labels[rows])

    def counts(self, labels: int) -> list[int]:
        """Texts of each of ``labels`` labels."""
        return np.bincount(self.labels, minlength=labels).tolist()  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Dataset:
    """One source, read.

    name: for people, as ``imdb`` or a file's name; labels: names, in the order of their indices.
    test: None where the source has no test split.
    unlabelled: further texts without a label, empty where there are none or they were not asked for.
    digest: sha256 (hex) of what was read.
    warnings: what a person should know of the data, a line each.
    """

    name: str
    labels: tuple[str, ...]
    train: Split
    test: Split | None
    digest: str
    unlabelled: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def make_split(texts: Sequence[str], names: Sequence[str], labels: Sequence[str], where: str) -> Split:
    """Texts with label names → Split. DataError where a name is not among ``labels``."""
    index = {label: i for i, label in enumerate(labels)}
    unknown = sorted({name for name in names if name not in index})
    if unknown:
        raise DataError(
            f"{where} has the label {_shorten(unknown[0])}, which the training texts have not; "
            f"use the same labels in both: {', '.join(map(_shorten, labels))}"
        )
    return Split(tuple(texts), np.array([index[name] for name in names], dtype=np.int64))


def label_names(names: Sequence[str], where: str) -> tuple[str, ...]:
    """The distinct label names, sorted, numbers by value. DataError unless there are two or more."""
    distinct = set(names)
    if len(distinct) < 2:
        found = f"one label, {_shorten(next(iter(distinct)))}" if distinct else "no labelled text"
        raise DataError(f"{where} has {found}; a classifier needs texts of two labels or more")
    if all(name.lstrip("-").isdecimal() for name in distinct):
        return tuple(sorted(distinct, key=lambda name: (int(name), name)))
    return tuple(sorted(distinct))


def file_digest(path: Path) -> str:
    """sha256 (hex) of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def checked(dataset: Dataset) -> Dataset:
    """The data set with warnings of what often spoils a training: few texts, labels out of balance,
    the same text in training and test, or with two labels.
    """
    train, found = dataset.train, list(dataset.warnings)
    counts = train.counts(len(dataset.labels))
    if len(train) < FEW_TEXTS:
        found.append(f"only {len(train)} training texts: expect a weak classifier, collect more")
    rare = [f"{_shorten(n)} ({c})" for n, c in zip(dataset.labels, counts) if c < FEW_OF_A_LABEL]
    if rare:
        found.append(f"few training texts of {_listed(rare)}: answers for them will be unreliable")
    if max(counts) > 3 * min(counts):
        shares = [f"{_shorten(n)} {c / len(train):.1%}" for n, c in zip(dataset.labels, counts)]
        found.append(f"labels are out of balance ({_listed(shares)}): read the figures of each label")
    missing = [repr(name) for name in dataset.labels if name.lower() in _MISSING]
    if missing:
        found.append(f"the label {_listed(missing)} may stand for a missing one: remove such rows if it does")
    label_of: dict[str, int] = {}
    torn = sum(label_of.setdefault(text, label) != label for text, label in zip(train.texts, train.labels))
    if torn:
        found.append(f"{torn} training texts occur again with another label")
    if dataset.test is not None:
        shared = sum(text in label_of for text in dataset.test.texts)
        if shared:
            found.append(
                f"{shared} test texts are training texts too: the test accuracy is too good by these"
            )
    return replace(dataset, warnings=tuple(found))


def hold_out(split: Split, share: float, seed: int) -> tuple[Split, Split]:
    """(rest, held out): about ``share`` of the texts of each label, at least one of each label that has
    two or more, drawn by ``seed``. Copies of a text go the same way. Order is kept.
    """
    rng = np.random.default_rng([seed, 0x5F1D])
    first = {text: i for i, text in reversed(list(enumerate(split.texts)))}
    unique = np.array(sorted(first.values()), dtype=np.int64)
    chosen: set[str] = set()
    for label in np.unique(split.labels):
        rows = unique[split.labels[unique] == label]
        if len(rows) > 1 and share > 0:
            count = min(len(rows) - 1, max(1, round(share * len(rows))))
            chosen.update(split.texts[i] for i in rng.permutation(rows)[:count])
    mask = np.array([text in chosen for text in split.texts], dtype=bool)
    return split.subset(np.flatnonzero(~mask)), split.subset(np.flatnonzero(mask))


def _listed(parts: Sequence[str], most: int = 5) -> str:
    more = f" and {len(parts) - most} more" if len(parts) > most else ""
    return ", ".join(parts[:most]) + more


def _shorten(name: str) -> str:
    shown = name if len(name) <= 30 else name[:29] + "…"
    return repr(shown) if shown != shown.strip() or not shown.isprintable() or not shown else shown
