"""What a model reads of rows with columns, numbers and JSON: decided on the training rows.

A field is found by its path. Numbers get edges, the quantiles of the training rows, and categories
their values. Two numbers of which now the one and now the other is larger are compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

_Row = Mapping[str, Values]  # by path


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
    kinds += [given for given in fields if given.rpartition(":")[2] in get_args(Kind)]
    names = [*texts, *(given.rpartition(":")[0] if given in kinds else given for given in fields)]
    if "" in names:
        raise DataError("a --field has no name; give the name of a column, as in amount")
    if every:
        if len(kinds) < len(names):
            raise DataError(
                "--fields all has every column; beside it, --field takes NAME:KIND with the kind "
                f"{listed(get_args(Kind))}"
            )
        return replace(options, fields=(), kinds=tuple(kinds))
    is_log = _is_log(source, options)
    if not texts and not is_log:
        names = [*_text_column(source, options), *names]
    wanted = tuple(dict.fromkeys(names))
    # A request of a log stands in a column of its own.
    return replace(options, fields=() if is_log else wanted, wanted=wanted, kinds=tuple(kinds))


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
    found = _candidates(rows, options)
    kept = [each for each in found if each.is_kept][: MOST_FIELDS - MOST_PAIRS]
    if not kept:
        raise DataError("no field is left to learn from; name others with --field")
    warnings = [warning for each in kept for warning in each.warnings]
    dropped = [shorten(each.field.title) for each in found if each not in kept]
    if dropped:
        warnings.append(
            f"left out of the fields: {listed(dropped)} (fewer than {FEWEST_ROWS} rows have it, "
            f"all rows have the same, or {len(kept)} others are there)"
        )
    fields = Fields(tuple(each.field for each in kept))
    fields = replace(fields, pairs=_pairs(fields, rows))
    reasons = [(shorten(each.field.title, _NAME_WIDTH), each.reason) for each in kept]
    for a, b in fields.pairs:
        both = f"{fields.fields[a].title} and {fields.fields[b].title}"
        reasons.append(("compared", f"{both} (now the one is larger, now the other)"))

    def read(split: Split) -> Split:
        return replace(split, texts=tuple(map(fields.read, split.texts)))

    return replace(
        dataset,
        train=read(dataset.train),
        test=None if dataset.test is None else read(dataset.test),
        warnings=(*dataset.warnings, *warnings),
        fields=fields,
        reasons=tuple(reasons),
    )


@dataclass(frozen=True)
class _Candidate:
    """A field, and what a person should know of it.

    why: it is of its kind.
    is_kept: it is asked for, or enough rows have it, and not all the same.
    """

    field: Field
    why: str
    is_kept: bool = True
    warnings: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Its kind and the reason, for the plan."""
        noun = {"number": "edge", "category": "value"}.get(self.field.kind)
        of = f", {counted(len(self.field.known), noun)}" if noun else ""
        return f"{self.field.kind}{of} ({self.why})"


def _candidates(rows: Sequence[_Row], options: DataOptions) -> list[_Candidate]:
    """Return the fields that are asked for; without names, all that rows have."""
    said = dict(each.rpartition(":")[::2] for each in options.kinds)
    paths = dict.fromkeys(path for row in rows for path in row)
    lists = [
        path for path in paths if any(row[path].number("length") for row in rows if path in row)
    ]
    for name in (*options.wanted, *said):
        if not any(_is_under(name, path) for path in paths):
            there = listed([shorten(path) for path in paths], most=20)
            raise DataError(f"no row has a field {name!r}; the rows have {there}")
    found: list[_Candidate] = []
    for path in paths:
        values = [row[path] for row in rows if path in row]
        if options.wanted and not any(_is_under(name, path) for name in options.wanted):
            continue
        if path in said:
            found.append(_as_said(path, said[path], values))
        elif any(_is_under(name, path) for name in lists):
            found += _of_list(path, values, len(rows))
        else:
            found += _of_values(path, values, len(rows))
    return found


def _is_under(name: str, path: str) -> bool:
    """Return whether a path is of this name, or inside it."""
    return path == name or path.startswith(f"{name}.")


def _as_said(path: str, kind: str, values: Sequence[Values]) -> _Candidate:
    """Return a field of a kind that is asked for.

    Raise DataError if it would say nothing.
    """
    there = [each.last for each in values if each.last is not None]
    if kind == "number":
        wrong = [str(each) for each in there if number_of(each).is_nan()]
        what = f"{path}: no number in {len(wrong):,} of {counted(len(there), 'row')}"
        lines = [f"{what}, such as {shorten(each)}: they are read as unknown" for each in wrong[:1]]
        return _Candidate(_number(path, "value", values), "asked for", warnings=tuple(lines))
    if kind == "text":
        return _Candidate(Field(path), "asked for")
    often = tuple(value for value, count in _counts(there) if count >= FEWEST_ROWS)[:MOST_VALUES]
    if not often:
        raise DataError(
            f"no value of {path} is in {FEWEST_ROWS} rows, so it is no category; "
            f"give --field {path}:text"
        )
    return _Candidate(Field(path, "category", known=often), "asked for")


def _of_values(path: str, values: Sequence[Values], rows: int) -> Iterator[_Candidate]:
    """Yield the field of a path with one value in a row. rows: all."""
    there = [each.last for each in values if each.last is not None]
    counts = _counts(there)
    if not counts:
        return
    if not any(number_of(each).is_nan() for each in there):
        made = _number(path, "value", values)
        why = "all values are numbers"
    elif len(counts) <= MOST_VALUES and counts[-1][1] >= FEWEST_ROWS:
        made = Field(path, "category", known=tuple(value for value, _ in counts))
        why = f"each value in {FEWEST_ROWS} rows or more"
    else:
        made = Field(path)
        why = f"{len(counts):,} different values"
    differs = made.kind == "text" or len(counts) > 1 or len(there) < rows
    yield _Candidate(made, why, differs and len(there) >= FEWEST_ROWS)


def _of_list(path: str, values: Sequence[Values], rows: int) -> Iterator[_Candidate]:
    """Yield the fields of a list, or of a path inside one. rows: all."""
    for part in get_args(Part)[1:]:
        there = [each.number(part) for each in values if each.number(part) is not None]
        why = "a list" if part == "length" else "a list of numbers"
        differs = len({*there}) > 1 or len(there) < rows
        if there:
            made = _number(path, part, values)
            yield _Candidate(made, why, differs and len(there) >= FEWEST_ROWS)
    if texts := sum(bool(each.texts) for each in values):
        yield _Candidate(Field(path), "a list of texts", texts >= FEWEST_ROWS)


def _counts(values: Iterable[Any]) -> list[tuple[str, int]]:
    """Return the values as texts with their counts, the most frequent first."""
    counts = Counter(map(str, values))
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))


def _number(path: str, part: Part, values: Sequence[Values]) -> Field:
    """Return a number field with the quantiles of its values, but for the largest."""
    found = np.array([each.number(part) for each in values], float)
    numbers = np.sort(found[np.isfinite(found)])
    places = np.arange(1, EDGES + 1) * len(numbers) // (EDGES + 1)
    edges = np.unique(numbers[places]) if len(numbers) else numbers
    return Field(
        path, "number", part, known=tuple(edges[edges < numbers.max(initial=-np.inf)].tolist())
    )


def _pairs(fields: Fields, rows: Sequence[_Row]) -> tuple[tuple[int, int], ...]:
    """Return the pairs of numbers whose order differs most between the rows."""
    places = [i for i, each in enumerate(fields.fields) if each.kind == "number"][:_MOST_COMPARED]
    numbers = [fields.fields[i] for i in places]
    table = np.array([[each.value(row[each.name]) for each in numbers] for row in rows], float)
    shares: dict[tuple[int, int], float] = {}
    for a, b in combinations(range(len(places)), 2):
        difference = table[:, a] - table[:, b]
        orders = np.sign(difference[~np.isnan(difference)])
        enough = len(orders) >= max(2 * FEWEST_ROWS, 0.2 * len(rows))
        most = max(np.mean(orders == order) for order in (-1, 0, 1)) if enough else 1
        if most <= _MOST_OF_ONE_ORDER:
            shares[places[a], places[b]] = most
    return tuple(sorted(sorted(shares, key=lambda pair: (shares[pair], pair))[:MOST_PAIRS]))


def objects(rows: Any) -> list[Any] | None:
    """Return the rows of a table of pandas, or a list of objects; None for other things."""
    if hasattr(rows, "columns") and hasattr(rows, "to_dict"):
        return [*rows.astype(object).where(rows.notna(), None).to_dict("records")]
    if isinstance(rows, Sequence) and len(rows) and all(isinstance(row, Mapping) for row in rows):
        return [*rows]
    return None
