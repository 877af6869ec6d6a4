"""Texts and labels of a Python program → Dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from edge_lstm.core.fields import is_missing
from edge_lstm.errors import DataError
from edge_lstm.printable import counted, well_formed
from edge_lstm.tables.labelled import SUM_TOLERANCE, Shares, distribution, normalised_note
from edge_lstm_export.arrays import Names
from edge_lstm_export.digests import labelled_digest
from edge_lstm_export.options import DataOptions
from edge_lstm_export.train.sources.dataset import Dataset, all_names, label_names, make_split
from edge_lstm_export.train.sources.fields import row_text, rows_of, with_fields

NAME = "texts"  # of the data set
_COLLECTIONS = (set, frozenset, list, tuple, np.ndarray)


def dataset_from(
    texts: Any,
    labels: Any,
    *,
    unlabelled: Iterable[str] = (),
    groups: Any = None,
) -> Dataset:
    """Make a data set of texts and their labels.

    labels: a str, int or other scalar for each text, whose name is its str(); or a set, list or
        tuple of them for each, empty for a text without a label; or a 0/1 matrix [n, L] (NumPy,
        SciPy or pandas), all of whose columns are labels, named as a DataFrame's or by their
        numbers. A text may have several labels in the latter two. Or the probabilities of the one
        label of each text, which add up to 1: a dict of label → probability for each, or a matrix
        that holds other numbers than 0 and 1.
    groups: a str, int or other scalar for each text, as its author; None without groups.

    texts: strings, or objects of fields: a list of dicts, or a DataFrame.

    Raise DataError if texts and labels do not fit together or cannot train a classifier.
    """
    texts = rows_of(texts)
    if isinstance(texts, Sequence) and texts and all(isinstance(row, Mapping) for row in texts):
        plain = [row_text(row, DataOptions()) for row in texts]
        dataset = dataset_from(plain, labels, groups=groups)
        dataset = with_fields(dataset, DataOptions(fields=()))
        assert dataset.fields is not None
        others = map(dataset.fields.read, rows_of(unlabelled))
        return replace(dataset, unlabelled=tuple(others))
    read = _read_labels(labels)
    names = read.names
    columns = read.columns
    flat = list(all_names(names, read.shares))
    if columns is not None:
        label_names(columns * 2, NAME, multi_label=True)  # as if each occurred: all columns stay
        if not flat:
            raise DataError(
                f"{NAME} has no labelled text; a classifier needs texts of two labels or more"
            )
    all_labels = columns or label_names(flat, NAME, multi_label=read.multi_label)
    checked = _read_texts(texts, NAME)
    more = _read_texts(unlabelled, f"{NAME}, unlabelled")
    if len(checked) != len(names):
        raise DataError(
            f"{NAME}: {counted(len(checked), 'text')} but labels of {len(names):,}; give one "
            "for each"
        )
    of_texts = None if groups is None else _read_groups(groups, len(checked))
    train = make_split(checked, names, all_labels, NAME, of_texts, read.shares)
    digest = labelled_digest(checked, names)
    if train.shares is not None:
        digest = hashlib.sha256(digest.encode() + train.shares.tobytes()).hexdigest()
    column = "" if groups is None else "groups"
    notes = []
    if read.normalised:
        note = normalised_note(read.normalised, counted(len(checked), "row"))
        notes.append(f"{NAME}: {note}")
    return Dataset(
        NAME,
        all_labels,
        train,
        None,
        digest,
        read.multi_label,
        more,
        warnings=tuple(notes),
        group_column=column,
    )


def _read_groups(groups: Any, count: int) -> Sequence[str]:
    """Return the group of each text, as text."""
    if isinstance(groups, (str, bytes)) or not hasattr(groups, "__len__") or len(groups) != count:
        raise DataError(f"{NAME}: there are not {count:,} groups; give one for each text")
    for i, group in enumerate(groups):
        if isinstance(group, _COLLECTIONS) or is_missing(group):
            raise DataError(f"{NAME}: group {i} is {group!r:.40}; give a name or a number")
    return list(map(str, groups))


def _read_texts(texts: Iterable[str], where: str) -> tuple[str, ...]:
    if isinstance(texts, str):
        raise DataError(f"{where}: the texts are a single str; give a list of texts")
    checked = tuple(texts)
    for i, text in enumerate(checked):
        if not isinstance(text, str):
            raise DataError(
                f"{where}: text {i} is {type(text).__name__}, not str; "
                "convert it, or remove it if missing"
            )
    return tuple(well_formed(str(text)) for text in checked)  # an np.str_ becomes a str


class _Labels(NamedTuple):
    """The labels of texts.

    names: the label names of each text.
    columns: of a matrix, the names of all columns; else None.
    shares: see LabelledTexts.
    multi_label: a text may have several.
    normalised: see LabelledTexts.
    """

    names: list[Names]
    columns: Names | None = None
    shares: Sequence[Shares | None] = ()
    multi_label: bool = False
    normalised: int = 0


def _read_labels(labels: Any) -> _Labels:
    if isinstance(labels, (str, bytes)) or not hasattr(labels, "__len__"):
        raise DataError(
            f"{NAME}: the labels are {type(labels).__name__}; give a list with one per text"
        )
    if getattr(labels, "ndim", 1) == 2:
        return _read_matrix(labels)
    if len(labels) and all(isinstance(label, Mapping) for label in labels):
        return _read_distributions(labels)
    names: list[Names] = []
    values: dict[str, Hashable] = {}  # by name
    for i, label in enumerate(labels):
        row = list(label) if isinstance(label, _COLLECTIONS) else [label]
        for value in row:
            if not isinstance(value, Hashable) or isinstance(value, _COLLECTIONS):
                raise DataError(f"{NAME}: label {i} holds a {type(value).__name__}, not a label")
            if is_missing(value):
                raise DataError(
                    f"{NAME}: label {i} is missing ({value!r}); label the text, or remove it"
                )
            if (first := values.setdefault(str(value), value)) != value:
                raise DataError(
                    f"{NAME}: {value!r} and {first!r} are two labels with the same name; "
                    "use one type"
                )
        names.append(tuple(sorted(map(str, row))))  # a set has another order in each process
        if len(set(names[-1])) < len(row):
            raise DataError(
                f"{NAME}: label {i} names a label twice; give a matrix of 0 and 1 as an array"
            )
    return _Labels(names, multi_label=any(isinstance(label, _COLLECTIONS) for label in labels))


def _read_distributions(labels: Iterable[Mapping[Any, Any]]) -> _Labels:
    shares = []
    normalised = 0
    for i, row in enumerate(labels):
        plain = {str(name): _plain(share) for name, share in row.items()}
        made, is_normalised = distribution(plain, f"{NAME}: label {i}")
        shares.append(made)
        normalised += is_normalised
    names: list[Names] = [(max(row, key=row.__getitem__),) for row in shares]
    return _Labels(names, None, shares, normalised=normalised)


def _read_matrix(labels: Any) -> _Labels:
    names = tuple(map(str, getattr(labels, "columns", range(labels.shape[1]))))
    matrix = np.asarray(labels.toarray() if hasattr(labels, "toarray") else labels)
    if len(names) != matrix.shape[1] or len(set(names)) < len(names):
        raise DataError(f"{NAME}: {matrix.shape[1]} columns of labels need as many different names")
    if np.isin(matrix, (0, 1)).all():
        rows = [tuple(names[j] for j in np.flatnonzero(row)) for row in matrix]
        return _Labels(rows, names, multi_label=True)
    sums = matrix.sum(axis=1) if matrix.dtype.kind == "f" else np.zeros(1)
    if not np.allclose(sums, 1, rtol=0, atol=SUM_TOLERANCE + 1e-6):
        raise DataError(
            f"{NAME}: the label matrix holds values other than 0 and 1, and not in each row "
            "probabilities that add up to 1"
        )
    return _read_distributions([dict(zip(names, row)) for row in matrix.tolist()])


def _plain(value: Any) -> Any:
    """Return NumPy's numbers as Python's."""
    return value.item() if isinstance(value, np.generic) else value
