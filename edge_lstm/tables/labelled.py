"""Labelled data → texts and labels, for training and for measuring accuracy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_lstm.errors import DataError
from edge_lstm.tables.columns import find_label_column
from edge_lstm.tables.reader import Inputs, open_inputs
from edge_lstm.tables.records import Row
from edge_lstm.tables.schema import ReadOptions
from edge_lstm.tables.values import Number


@dataclass(frozen=True)
class Labelled:
    """texts[i] has the label labels[i]."""

    texts: list[str]
    labels: list[str]


def read_labelled(
    paths: str | Path | Sequence[str | Path],
    *,
    format: str | None = None,  # noqa: A002 - the name of the option
    text_column: str | None = None,
    label_column: str | None = None,
    follow_links: bool = False,
) -> Labelled:
    """CSV, TSV, JSONL or Parquet with a text and a label column, text files of ``__label__x text`` lines
    (fastText), or a folder with one folder of ``.txt`` files per label (as ``aclImdb/test``: the label is
    the name of a file's first folder; ``unsup`` is left out).

    format: where a file's suffix does not tell it, or it is ``-``, standard input.
    follow_links: whether what symbolic links inside a folder lead to is read.
    Columns are found by their names where those are plain. Raises DataError with file and row where a row
    has no text or no label.
    """
    given = [paths] if isinstance(paths, (str, Path)) else list(paths)
    # 'text' for a file without a known suffix would be a guess: open_inputs refuses it.
    options = ReadOptions(text_column=text_column, label_column=label_column, follow_links=follow_links)
    inputs = open_inputs(given, format=format, options=options)
    texts: list[str] = []
    labels: list[str] = []
    unlabelled, first_of_them = 0, ""
    for text, label, where in _examples(inputs, label_column):
        if label:
            texts.append(text)
            labels.append(label)
        else:
            unlabelled, first_of_them = unlabelled + 1, first_of_them or where
    if unlabelled:
        more = f" (and in {unlabelled - 1:,} more of {len(texts) + unlabelled:,} rows)"
        raise DataError(
            f"{first_of_them}{more if unlabelled > 1 else ''}; remove or label the row"
            + ("s" if unlabelled > 1 else "")
        )
    if not texts:
        raise DataError(f"{inputs.sources[0].name} has no labelled row; check the file")
    return Labelled(texts, labels)


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
        return inputs.format.label(row) is not None
    except DataError:
        return False


def _examples(inputs: Inputs, label_column: str | None) -> Iterator[tuple[str, str, str]]:
    """Text, label, and, where there is no label (""), what to say of it."""
    schema, format_ = inputs.schema, inputs.format
    if format_.has_labels:
        for row in inputs.rows():
            found = format_.label(row)
            if found is not None:
                yield *found, ""
        return
    where = inputs.sources[0].name
    index = find_label_column(schema.columns, label_column, where)
    if index == schema.text:
        raise DataError(
            f"{where}: {schema.text_column!r} cannot be both the text and the label; "
            "name the other with --text-column or --label-column"
        )
    name = schema.columns[index]
    for row in inputs.rows():
        text = row.required_text()
        label = _label(row.values[name])
        yield text, label, "" if label else f"{row.source} row {row.number}: no label in {name!r}"


def _label(value: Any) -> str:
    if value is None or isinstance(value, (list, dict)):
        return ""
    if (isinstance(value, float) and math.isnan(value)) or (isinstance(value, Number) and value == "NaN"):
        return ""  # how pandas writes a missing label
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).strip()
