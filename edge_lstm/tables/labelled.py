"""Labelled data → texts and labels, for training and for measuring accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_lstm.answering import LABEL_JOINT
from edge_lstm.errors import DataError
from edge_lstm.tables.columns import column_index, find_label_column
from edge_lstm.tables.reader import Inputs, open_inputs
from edge_lstm.tables.records import Row
from edge_lstm.tables.schema import ReadOptions
from edge_lstm.tables.values import Number


@dataclass(frozen=True)
class Labelled:
    """Texts with the names of their labels, each once per text, in the order of the data.

    several: whether a text may have several labels, or none; else each has one.
    """

    texts: list[str]
    labels: list[tuple[str, ...]]
    several: bool = False

    @property
    def names(self) -> list[str]:
        """The label of each text, where each has one."""
        return [names[0] for names in self.labels]


def read_labelled(
    paths: str | Path | Sequence[str | Path],
    *,
    format: str | None = None,  # noqa: A002 - the name of the option
    text_column: str | None = None,
    label_column: str | None = None,
    label_separator: str | None = None,
    label_columns: Sequence[str] = (),
    several: bool | None = None,
    follow_links: bool = False,
) -> Labelled:
    """CSV, TSV, JSONL or Parquet with a text and a label column, text files of ``__label__x text`` lines
    (fastText), or a folder with one folder of ``.txt`` files per label (as ``aclImdb/test``: the label is
    the name of a file's first folder; ``unsup`` is left out).

    Several labels a text are: a label column whose texts ``label_separator`` joins, lists in the label column
    (JSONL, Parquet), a column of 0 and 1 for each label (``label_columns``), or several ``__label__x`` at the
    beginning of a line. several: whether they are wanted; None: as the data are. Where they are wanted,
    labels in one text are joined by LABEL_JOINT unless another separator is given.

    format: where a file's suffix does not tell it, or it is ``-``, standard input.
    follow_links: whether what symbolic links inside a folder lead to is read.
    Columns are found by their names where those are plain. Raises DataError with file and row where a row
    has no text, or no label and each needs one, or where its labels have no known form.
    """
    given = [paths] if isinstance(paths, (str, Path)) else list(paths)
    # 'text' for a file without a known suffix would be a guess: open_inputs refuses it.
    options = ReadOptions(text_column=text_column, label_column=label_column, follow_links=follow_links)
    inputs = open_inputs(given, format=format, options=options)
    name = inputs.sources[0].name
    form = _Form(inputs, label_column, label_separator, tuple(label_columns), wanted=several)
    texts: list[str] = []
    labels: list[tuple[str, ...]] = []
    unlabelled, first_of_them = 0, ""
    for row in inputs.rows():
        read = form.read(row)
        if read is None:
            continue
        text, names, lacking = read
        if not names:
            unlabelled, first_of_them = unlabelled + 1, first_of_them or lacking
        texts.append(text)
        labels.append(names)
    if len(texts) == unlabelled and (form.several or not texts):
        raise DataError(f"{name} has no labelled row; check the file")
    if form.several:
        return Labelled(texts, labels, several=True)
    if unlabelled:
        more = f" (and in {unlabelled - 1:,} more of {len(texts):,} rows)"
        raise DataError(
            f"{first_of_them}{more if unlabelled > 1 else ''}; remove or label the row"
            + ("s" if unlabelled > 1 else "")
        )
    return Labelled(texts, [names[:1] for names in labels])


def has_labels(path: Path, *, format: str | None = None, text_column: str | None = None) -> bool:  # noqa: A002
    """Whether a file has a column of labels, or a line with one. Raises DataError where it is unreadable."""
    inputs = open_inputs([path], format=format, options=ReadOptions(text_column=text_column))
    if inputs.format.has_labels:
        return any(_bears_label(inputs, row) for row in inputs.rows())
    try:
        find_label_column(inputs.schema.columns, None, inputs.sources[0].name)
    except DataError:
        return False
    return True


def _bears_label(inputs: Inputs, row: Row) -> bool:
    try:
        return bool((inputs.format.labels(row) or ("", ()))[1])
    except DataError:
        return False


class _Form:
    """How the rows of an input have their labels. several: whether they may have several; where the data
    decide, whether a row read so far had them."""

    def __init__(
        self,
        inputs: Inputs,
        label_column: str | None,
        separator: str | None,
        columns: tuple[str, ...],
        *,
        wanted: bool | None,
    ) -> None:
        schema, where = inputs.schema, inputs.sources[0].name
        if separator is not None and not separator.strip():
            raise DataError(
                "the label separator is empty or blank; give a character that no label holds, such as '|'"
            )
        if columns and (label_column is not None or separator is not None):
            raise DataError("label columns are columns of 0 and 1; leave --label-column and -separator out")
        if len(set(columns)) < len(columns):
            raise DataError(f"a label column is named twice in {', '.join(columns)}; name each once")
        self.format = inputs.format
        if self.format.has_labels and (columns or separator is not None):
            raise DataError(
                f"{where} is {self.format.name}, whose labels are in no column; "
                "leave --label-columns and --label-separator out"
            )
        self.several = bool(wanted or columns or separator is not None)
        self.separator = separator or (LABEL_JOINT if wanted else None)
        self.flags: dict[str, str] = {}  # column of 0 and 1 → label
        self.column = ""
        if self.format.has_labels:
            return
        if columns:
            indexes = [column_index(schema.columns, column, where) for column in columns]
            self.flags = {schema.columns[i]: schema.columns[i] for i in indexes}
        else:
            indexes = [find_label_column(schema.columns, label_column, where)]
            self.column = schema.columns[indexes[0]]
        if schema.text in indexes:
            raise DataError(
                f"{where}: {schema.text_column!r} cannot be both the text and the label; "
                "name the other with --text-column or --label-column"
            )

    def read(self, row: Row) -> tuple[str, tuple[str, ...], str] | None:
        """Text, labels, and, where there is none, what to say of it; None for what is no row of the data."""
        where = f"{row.source} row {row.number}"
        if self.format.has_labels:
            found = self.format.labels(row)
            if found is None:
                return None
            text, names = found[0], _distinct(found[1])
            self.several = self.several or len(names) > 1
            return text, names, f"{where}: {self.format.lacking_label}"
        text = row.required_text()
        if self.flags:
            marked = [label for name, label in self.flags.items() if _flag(row.values[name], name, where)]
            return text, tuple(marked), ""
        value = row.values[self.column]
        lacking = f"{where}: no label in {self.column!r}"
        if isinstance(value, list):
            self.several = True
            parts = [_label(part) for part in value]
            if not all(parts):
                raise DataError(f"{where}: an entry of {self.column!r} is no label; give a list of texts")
            return text, _distinct(parts), lacking
        if self.several and isinstance(value, dict):
            raise DataError(f"{where}: {self.column!r} holds an object; give a text, or a list of texts")
        label = _label(value)
        parts = label.split(self.separator) if self.separator else [label]
        return text, _distinct([part.strip() for part in parts if part.strip()]), lacking


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


_FLAGS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}


def _flag(value: Any, name: str, where: str) -> bool:
    try:
        return _FLAGS[_label(value).lower()]
    except KeyError:
        raise DataError(f"{where}: {name!r} is {str(value)[:40]!r}, not 0 or 1; correct the row") from None


def _label(value: Any) -> str:
    if value is None or isinstance(value, (list, dict)):
        return ""
    if (isinstance(value, float) and math.isnan(value)) or (isinstance(value, Number) and value == "NaN"):
        return ""  # how pandas writes a missing label
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).strip()
