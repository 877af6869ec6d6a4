"""What a model reads of rows with columns, numbers and JSON: decided on the training rows.

A field is found by its path. Numbers get edges, the quantiles of the training rows, and categories
their values. Two numbers of which now the one and now the other is larger are compared.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, get_args

import numpy as np

from edge_lstm.core.fields import (
    MOST_FIELDS,
    Field,
    Fields,
    Kind,
    Part,
    Values,
    collected,
    number_of,
    parse_object,
)
from edge_lstm.errors import DataError
from edge_lstm.printable import counted, listed, shorten
from edge_lstm.tables.reader import open_inputs
from edge_lstm.tables.values import json_object, row_text
from edge_lstm_export.arrays import Doubles
from edge_lstm_export.options import DataOptions
from edge_lstm_export.train.sources.dataset import Dataset, Split
from edge_lstm_export.train.sources.log import BECAUSE, TIME, request_of

ALL = "all"
# A path, a category and a value are kept if as many rows have them.
FEWEST_ROWS = 5
MOST_VALUES = 50
EDGES = 15
MOST_PAIRS = 16
# Numbers that are compared: their pairs are many.
_MOST_COMPARED = 64
# Of the rows with both numbers: more are of one order nearly always.
_MOST_OF_ONE_ORDER = 0.95
_NAME_WIDTH = 26  # of a field in the plan
_PARTS: tuple[Part, ...] = ("least", "greatest", "sum")


def field_options(
    source: str,
    options: DataOptions,
    texts: Sequence[str] = (),
    fields: Sequence[str] = (),
    *,
    every: bool = False,
) -> DataOptions:
    """Return the options of a training with fields; without any, as they are.

    source: whose text column is one of the fields if none is named.
    texts: names of columns with texts.
    fields: NAME or NAME:KIND of each.
    every: all columns are fields.

    Raise DataError.
    """
    if not fields and not every and len(texts) < 2:
        return replace(options, text_column=texts[0] if texts else None)
    kinds = [f"{name}:text" for name in texts]
    for given in fields:
        name, _, kind = given.rpartition(":")
        if kind not in get_args(Kind):
            name = given
        else:
            kinds.append(given)
        if not name:
            raise DataError("a --field has no name; give the name of a column, as in amount")
        texts = (*texts, name)
    if every:
        if len(kinds) < len(texts):
            raise DataError(
                "--fields all has every column; beside it, --field takes NAME:KIND with the kind "
                f"{listed(get_args(Kind))}"
            )
        return replace(options, fields=(), kinds=tuple(kinds))
    is_log = _is_log(source, options)
    if len(texts) == len(fields) and not is_log:
        texts = (*_text_column(source, options), *texts)
    names = tuple(dict.fromkeys(texts))
    # A request of a log stands in a column of its own.
    return replace(options, fields=() if is_log else names, wanted=names, kinds=tuple(kinds))


def _is_log(source: str, options: DataOptions) -> bool:
    whole = replace(options, fields=())
    return {TIME, BECAUSE} <= {*open_inputs([source], options=whole).schema.columns}


def _text_column(source: str, options: DataOptions) -> tuple[str, ...]:
    """Return the text column of a source, if one is clearly that."""
    try:
        return (open_inputs([source], options=options).schema.text_column,)
    except DataError:
        return ()


def rows_of(texts: Sequence[str], options: DataOptions, labels: Sequence[str]) -> list[str]:
    """Return the objects of rows in JSON, without labels and the like; of a log, the requests."""
    left_out = {*labels, options.group_column, options.confidence_column, *options.left_out}
    rows = (request_of(json_object(text)) for text in texts)
    return [row_text(row, row.keys() - left_out) for row in rows]


def with_fields(dataset: Dataset, options: DataOptions) -> Dataset:
    """Return a data set whose texts, objects in JSON, are read as fields.

    Raise DataError if no field is left.
    """
    rows = [collected(parse_object(text)) for text in dataset.train.texts]
    learnt = _learn(rows, options)
    fields = learnt.fields

    def read(split: Split) -> Split:
        return replace(split, texts=tuple(map(fields.read, split.texts)))

    return replace(
        dataset,
        train=read(dataset.train),
        test=None if dataset.test is None else read(dataset.test),
        warnings=(*dataset.warnings, *learnt.warnings),
        fields=fields,
        reasons=learnt.reasons,
    )


@dataclass(frozen=True)
class _Learnt:
    """Fields, and what a person should know of them."""

    fields: Fields
    reasons: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Candidate:
    """A field, and why it is of its kind. rows: that have it."""

    field: Field
    reason: str
    rows: int


def _learn(rows: Sequence[Mapping[str, Values]], options: DataOptions) -> _Learnt:
    """Decide on the fields of rows, given as values by path."""
    said = dict(each.rpartition(":")[::2] for each in options.kinds)
    paths = dict.fromkeys(path for row in rows for path in row)
    names = options.wanted
    wanted = [path for path in paths if not names or any(_is_under(name, path) for name in names)]
    asked = (*names, *said)
    if missing := [name for name in asked if not any(_is_under(name, path) for path in wanted)]:
        there = listed([shorten(path) for path in paths], most=20)
        raise DataError(f"no row has a field {missing[0]!r}; the rows have {there}")
    lists = {path for row in rows for path, found in row.items() if found.length is not None}
    warnings: list[str] = []
    found: list[_Candidate] = []
    for path in wanted:
        values = [row[path] for row in rows if path in row]
        is_in_list = any(_is_under(name, path) for name in lists)
        if path in said:
            found.append(_as_said(path, said[path], values, len(rows)))
            warnings += _misfits(path, said[path], values)
        else:
            found += _of_list(path, values) if is_in_list else _of_values(path, values)
    kept = [each for each in found if each.field.name in said or _tells(each, len(rows))]
    dropped = [each.field.title for each in found if each not in kept]
    most = MOST_FIELDS - MOST_PAIRS
    words = sorted((each for each in kept if each.field.words), key=lambda each: -each.rows)
    if len(words) > most:
        dropped += [each.field.title for each in words[most:]]
        kept = [each for each in kept if each not in words[most:]]
    if dropped:
        left = listed([shorten(name) for name in dropped])
        why = f"fewer than {FEWEST_ROWS} rows have it, or all rows the same"
        warnings.append(f"left out of the fields: {left} ({why}, or {most} others are there)")
    if not kept:
        raise DataError("no field is left to learn from; name others with --field")
    fields = Fields(tuple(each.field for each in kept))
    fields = replace(fields, pairs=_pairs(fields, rows))
    reasons = [
        (shorten(each.field.title, _NAME_WIDTH), f"{_in_words(each.field)} ({each.reason})")
        for each in kept
    ]
    for a, b in fields.pairs:
        both = f"{fields.fields[a].title} and {fields.fields[b].title}"
        reasons.append(("compared", f"{both} (now the one is larger, now the other)"))
    return _Learnt(fields, tuple(reasons), tuple(warnings))


def _is_under(name: str, path: str) -> bool:
    """Return whether a path is of this name, or inside it."""
    return path == name or path.startswith(f"{name}.")


def _as_said(path: str, kind: str, values: Sequence[Values], rows: int) -> _Candidate:
    if kind == "number":
        made = _number(path, "value", values)
    elif kind == "category":
        made = Field(path, "category", values=_values(values)[:MOST_VALUES])
    else:
        made = Field(path)
    return _Candidate(made, "asked for", rows)


def _misfits(path: str, kind: str, values: Sequence[Values]) -> Iterator[str]:
    """Yield a line about the values of a number field that cannot be read as numbers."""
    if kind != "number":
        return
    there = [each.last for each in values if each.last is not None]
    wrong = [str(each) for each in there if number_of(each).is_nan()]
    if wrong:
        what = f"no number in {len(wrong):,} of {counted(len(there), 'row')}"
        yield f"{path}: {what}, such as {shorten(wrong[0])}: they are read as unknown"


def _of_values(path: str, values: Sequence[Values]) -> list[_Candidate]:
    """Return the field of a path with one value in a row."""
    there = [each.last for each in values if each.last is not None]
    if not there:
        return []
    if not any(number_of(each).is_nan() for each in there):
        made = _number(path, "value", values)
        return [_Candidate(made, "all values are numbers", len(there))]
    counts = Counter(map(str, there))
    if len(counts) <= MOST_VALUES and min(counts.values()) >= FEWEST_ROWS:
        made = Field(path, "category", values=_values(values))
        reason = f"each value in {FEWEST_ROWS} rows or more"
        return [_Candidate(made, reason, len(there))]
    return [_Candidate(Field(path), f"{len(counts):,} different values", len(there))]


def _of_list(path: str, values: Sequence[Values]) -> list[_Candidate]:
    """Return the fields of a list, or of a path inside one."""
    made = []
    if lengths := sum(each.length is not None for each in values):
        made.append(_Candidate(_number(path, "length", values), "a list", lengths))
    if numbers := sum(bool(each.numbers) for each in values):
        parts = (_number(path, part, values) for part in _PARTS)
        made += [_Candidate(each, "a list of numbers", numbers) for each in parts]
    if texts := sum(bool(each.texts) for each in values):
        made.append(_Candidate(Field(path), "a list of texts", texts))
    return made


def _tells(candidate: _Candidate, rows: int) -> bool:
    """Return whether enough rows have a field, and not all the same."""
    made = candidate.field
    differs = made.kind == "text" or len(made.edges) > 0 or len(made.values) > 1
    return candidate.rows >= FEWEST_ROWS and (differs or candidate.rows < rows)


def _number(path: str, part: Part, values: Sequence[Values]) -> Field:
    """Return a number field with the quantiles of its values, but for the largest."""
    found = (each.part(part) for each in values)
    numbers = sorted(float(each) for each in found if each is not None and not each.is_nan())
    numbers = [each for each in numbers if math.isfinite(each)]
    places = [len(numbers) * i // (EDGES + 1) for i in range(1, EDGES + 1)]
    edges = sorted({numbers[place] for place in places} - {numbers[-1]}) if numbers else []
    return Field(path, "number", part, edges=tuple(edges))


def _values(values: Sequence[Values]) -> tuple[str, ...]:
    """Return the values of a category that enough rows have, the most frequent first."""
    counts = Counter(str(each.last) for each in values if each.last is not None)
    often = [value for value, count in counts.items() if count >= FEWEST_ROWS]
    return tuple(sorted(often, key=lambda value: (-counts[value], value)))


def _pairs(fields: Fields, rows: Sequence[Mapping[str, Values]]) -> tuple[tuple[int, int], ...]:
    """Return the pairs of numbers whose order differs most between the rows."""
    places = [i for i, each in enumerate(fields.fields) if each.kind == "number"]
    places = places[:_MOST_COMPARED]
    table = np.array([[_float(fields.fields[i], row) for i in places] for row in rows])
    worth: dict[tuple[int, int], float] = {}
    for a, b in combinations(range(len(places)), 2):
        if fields.fields[places[a]].name == fields.fields[places[b]].name:
            continue
        differences = table[:, a] - table[:, b]
        orders = np.sign(differences[~np.isnan(differences)])
        if len(orders) < max(2 * FEWEST_ROWS, 0.2 * len(rows)):
            continue
        shares = np.array([(orders == order).mean() for order in (-1, 0, 1)])
        if shares.max() <= _MOST_OF_ONE_ORDER:
            worth[places[a], places[b]] = _entropy(shares)
    best = sorted(worth, key=lambda pair: (-worth[pair], pair))
    return tuple(sorted(best[:MOST_PAIRS]))


def _float(made: Field, row: Mapping[str, Values]) -> float:
    number = row[made.name].part(made.part) if made.name in row else None
    return math.nan if number is None else float(number)


def _entropy(shares: Doubles) -> float:
    there = shares[shares > 0]
    return float(-(there * np.log(there)).sum())


def _in_words(made: Field) -> str:
    if made.kind == "number":
        return f"number, {counted(len(made.edges), 'edge')}"
    if made.kind == "category":
        return f"category, {counted(len(made.values), 'value')}"
    return "text"


def objects(rows: Any) -> list[Any] | None:
    """Return the rows of a table of pandas, or a list of objects; None for other things."""
    if hasattr(rows, "columns") and hasattr(rows, "to_dict"):
        return [*rows.astype(object).where(rows.notna(), None).to_dict("records")]
    if isinstance(rows, Sequence) and len(rows) and all(isinstance(row, Mapping) for row in rows):
        return [*rows]
    return None
