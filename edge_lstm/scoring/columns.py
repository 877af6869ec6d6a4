"""What a scoring run does to every row: the columns it adds, the rows it writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from edge_lstm.errors import DataError
from edge_lstm.tables.columns import column_index
from edge_lstm.tables.csv import Dialect
from edge_lstm.tables.schema import Schema
from edge_lstm.tables.sources import Format

OnError = Literal["keep", "fail"]
PREFIX = "edge_lstm_"  # of the added columns, where an input has a column of the same name


@dataclass(frozen=True)
class ScoreOptions:
    """What is asked of a run; every option can change the output.

    keep: input columns to write (names or numbers from 1); None for all, as they came.
    all_probabilities: a column for the probability of each label.
    threshold: a label whose probability is lower is left out.
    where_label: write only rows that got one of these labels; empty for all rows.
    prefix: of the added columns; None: none, or ``edge_lstm_`` where a name is taken.
    on_error: ``keep`` rows without usable text and say why, or ``fail`` at the first.
    """

    keep: tuple[str, ...] | None = None
    all_probabilities: bool = False
    threshold: float = 0.0
    where_label: tuple[str, ...] = ()
    prefix: str | None = None
    on_error: OnError = "keep"


DEFAULT_SCORE_OPTIONS = ScoreOptions()


@dataclass(frozen=True)
class Plan:
    """A run, decided. Small: it travels to each worker.

    columns: of the output, those of the input; kept: their indexes in the layout, None for all.
    added: the names of the added columns: label, probability, one for each label's probability where
        those are asked for, status, error.
    format, dialect: of the output.
    """

    layout: Schema
    labels: tuple[str, ...]
    options: ScoreOptions
    columns: tuple[str, ...]
    kept: tuple[int, ...] | None
    added: tuple[str, ...]
    format: Format
    dialect: Dialect

    @property
    def renamed(self) -> bool:
        """Whether the added columns have a prefix that nobody asked for."""
        return self.options.prefix is None and self.added[0] != "label"


def make_plan(
    layout: Schema,
    labels: tuple[str, ...],
    options: ScoreOptions,
    format: Format,  # noqa: A002
    where: str,
) -> Plan:
    """What is asked for, and what the input is → the plan. ``where``: the input's name. DataError."""
    check_options(options, labels)
    kept = None
    columns: tuple[str, ...] = layout.columns
    if options.keep is not None:
        kept = tuple(column_index(layout.columns, name, where) for name in options.keep)
        columns = tuple(layout.columns[i] for i in kept)
    if format != "jsonl":  # which has an escape for a lone surrogate; UTF-8 has none
        columns = tuple(name.encode("utf-8", "replace").decode() for name in columns)
    if format not in ("csv", "tsv"):
        columns = _distinct(columns)
    if format in ("csv", "tsv"):
        same = layout.dialect is not None and layout.format == format
        dialect = layout.dialect if same and layout.dialect else Dialect("\t" if format == "tsv" else ",")
    else:
        dialect = Dialect("\t", "")
    if layout.dialect is not None and layout.header is None and format in ("csv", "tsv"):
        columns_in_use: Sequence[str] = ()  # nothing has a name in the output
    else:
        columns_in_use = columns
    added = added_columns(columns_in_use, labels, options)
    return Plan(layout, labels, options, columns, kept, added, format, dialect)


def check_options(options: ScoreOptions, labels: Sequence[str]) -> None:
    """DataError where a choice does not fit the model."""
    for label in options.where_label:
        if label not in labels:
            raise DataError(f"the model has no label {label!r}; its labels are {', '.join(labels)}")
    if options.prefix is not None and any(0xD800 <= ord(c) <= 0xDFFF for c in options.prefix):
        raise DataError(f"the prefix {options.prefix!r} is not UTF-8; choose another")
    if not 0 <= options.threshold <= 1:
        raise DataError(f"the threshold must lie between 0 and 1, not at {options.threshold}")


def added_columns(columns: Sequence[str], labels: Sequence[str], options: ScoreOptions) -> tuple[str, ...]:
    """The names of the added columns, so that none is a name of the input. Raises DataError."""
    names = ["label", "probability"]
    if options.all_probabilities:
        names += [f"probability_{label}" for label in labels]
    names += ["status", "error"]
    taken = set(columns)
    for prefix in ("", PREFIX) if options.prefix is None else (options.prefix,):
        added = tuple(prefix + name for name in names)
        if taken.isdisjoint(added):
            return added
    clash = sorted(taken.intersection(added))
    raise DataError(f"the input has a column {clash[0]!r} of its own; choose another --prefix")


def _distinct(columns: Sequence[str]) -> tuple[str, ...]:
    """Column names with repeated ones numbered: JSON and Parquet need each to be another."""
    seen: set[str] = set()
    names = []
    for column in columns:
        name, number = column, 1
        while name in seen:
            number += 1
            name = f"{column}_{number}"
        seen.add(name)
        names.append(name)
    return tuple(names)
