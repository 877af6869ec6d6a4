"""What a model reads of rows with columns, numbers and JSON: decided on the training rows.

A field is found by its path. Numbers get edges, the quantiles of the training rows, and categories
their values. Two numbers of which now the one and now the other is larger are compared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import combinations
from shlex import quote
from typing import Any, get_args

import numpy as np

from edge_lstm.core.fields import (
    DATE,
    MOST_FIELDS,
    Field,
    Fields,
    Kind,
    Part,
    Value,
    Values,
    collected,
    number_of,
    parse_object,
)
from edge_lstm.errors import DataError, did_you_mean, nearest
from edge_lstm.printable import Pairs, counted, json_text, listed, shorten
from edge_lstm.tables.reader import open_inputs
from edge_lstm.tables.schema import find_column, is_under
from edge_lstm_export.options import DataOptions
from edge_lstm_export.train.sources.dataset import Dataset, Split
from edge_lstm_export.train.sources.log import BECAUSE, TIME, request_of

ALL = "all"
# A path, a category and a value are kept if as many rows have them.
FEWEST_ROWS = 5
MOST_VALUES = 50
EDGES = 15
# Of fewer rows, all different values are no sign of a key.
_FEWEST_KEYS = 20
MOST_PAIRS = 16
# Of the rows with both numbers: more are of one order nearly always.
_MOST_OF_ONE_ORDER = 0.95
_NAME_WIDTH = 26  # of a field in the plan

_KEY = re.compile(r"(?=.*[0-9@])\S{1,64}")
_KINDS = "kind number (dates as 2026-01-31, too), category or text"
_KIND = re.compile(f":({'|'.join(get_args(Kind))})$")  # behind a name

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
    kinds = [*(f"{name}:text" for name in texts), *filter(_KIND.search, fields)]
    names = [*texts, *(_KIND.sub("", given) for given in fields)]
    if "" in names:
        raise DataError("a --field has no name; give the name of a column, as in amount")
    if every and len(kinds) < len(names):
        raise DataError(
            f"--fields all has every column; beside it, --field takes NAME:KIND with the {_KINDS}"
        )
    schema = open_inputs([source], options=replace(options, fields=())).schema
    columns = schema.columns
    # A request of a log stands in a column of its own.
    is_log = {TIME, BECAUSE} <= {*columns}
    if not is_log:
        for name in names:
            _check_kind(name, columns)
        schema.with_fields(names, source, may_lack=False)
    first = [*texts]
    if not texts and not is_log:
        # If one column is clearly the text.
        with suppress(DataError):
            place = find_column(columns, None, source, "text", options.label_column)
            first.append(columns[place])
            names.insert(0, columns[place])
    wanted = () if every else tuple(names)
    return replace(
        options,
        fields=() if is_log else wanted,
        wanted=wanted,
        kinds=tuple(kinds),
        text_first=tuple(first),
    )


def _check_kind(name: str, columns: Collection[str]) -> None:
    """Raise DataError if a name is that of a column and a kind that no field has."""
    column, colon, kind = name.rpartition(":")
    is_there = any(is_under(each, name) for each in columns)
    if colon and not is_there and any(is_under(each, column) for each in columns):
        raise DataError(f"--field {name}: no field is of the kind {kind!r}; give the {_KINDS}")


def row_text(
    row: Mapping[str, Any] | str, options: DataOptions, labels: Collection[str] = ()
) -> str:
    """Return the fields that are asked for of a row, as JSON: no labels; of a log, the request.

    row: an object, or its JSON.

    Raise DataError if it is not JSON.
    """
    left_out = {*labels, options.group_column, options.confidence_column, *options.left_out}
    return json_text(
        Pairs(
            (name, value)
            for name, value in request_of(parse_object(row))
            if name not in left_out
            and (not options.wanted or any(is_under(name, each) for each in options.wanted))
        )
    )


def with_fields(dataset: Dataset, options: DataOptions) -> Dataset:
    """Return a data set whose texts, objects in JSON, are read as fields.

    Raise DataError if no field is left.
    """
    rows = [collected(parse_object(text)) for text in dataset.train.texts]
    counts = Counter(path for row in rows for path in row if row[path])
    why: dict[Field, str] = {}
    warnings = []
    found = dict(_found(rows, counts, options))
    useless = _useless(found, rows, options)
    for field, reason in found.items():
        if field in useless:
            continue
        words = [field.word_of(field.value(row[field.name])) for row in rows if field.words]
        why[field] = reason
        if field.kind == "number" and (unknown := words.count(field.words - 1)):
            value = shorten(str(rows[words.index(field.words - 1)][field.name].last))
            of = f"{unknown:,} of {counted(len(rows), 'row')}, such as {value}"
            warnings.append(f"{field.title}: no number in {of}: they are read as unknown")
    ordered = sorted(why, key=lambda field: _place(field, options.text_first))
    kept = ordered[: MOST_FIELDS - MOST_PAIRS]
    if not kept:
        raise DataError("no field is left to learn from; name others with --field")
    fields = Fields(tuple(kept))
    fields = replace(fields, pairs=_pairs(fields, rows))
    warnings += _left_out(fields, counts, useless, options)
    reasons = [(shorten(each.title, _NAME_WIDTH), why[each]) for each in kept]
    reasons += [("compared", f"{kept[a].title} and {kept[b].title}") for a, b in fields.pairs]

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


def _useless(
    found: Iterable[Field], rows: Sequence[_Row], options: DataOptions
) -> dict[Field, str]:
    """Return the fields to leave out, each with the reason and the option that keeps it."""
    useless: dict[Field, str] = {}
    # Of two that are the same, the one that was asked for stays.
    names: dict[tuple[Any, ...], str] = {}
    for field in sorted(found, key=lambda field: not _is_named(field, options)):
        is_named = _is_named(field, options)
        values = [row[field.name] for row in rows]
        read = _read_values(field, values)
        option = f"; --field {quote(f'{field.name}:{field.kind}')} keeps it"
        first = names.setdefault((field.kind, *read), shorten(field.title))
        if len({*read}) == 1 and (field.words or not is_named):
            useless[field] = "all rows have the same"
        elif is_named or field.part != "value":
            continue
        elif first != shorten(field.title):
            useless[field] = f"it repeats {first}{option}"
        elif _is_key(field, values):
            useless[field] = f"it is a key, another one in each row{option}"
    return useless


def _is_named(field: Field, options: DataOptions) -> bool:
    kinds = (each.rpartition(":")[0] for each in options.kinds)
    names = (*options.wanted, *options.text_first)
    return field.name in kinds or any(is_under(name, field.name) for name in names)


def _read_values(field: Field, values: Sequence[Values]) -> list[Any]:
    """Return what a field reads of each row; of a category, the same whatever the values' names."""
    if field.kind == "text":
        return [tuple(each.texts) for each in values]
    if field.kind == "number":
        numbers = [each.number(field.part) for each in values]
        return ["unknown" if number and number.is_nan() else number for number in numbers]
    places: dict[Any, int] = {None: 0}
    return [places.setdefault(each.last, len(places)) for each in values]


def _is_key(field: Field, values: Sequence[Values]) -> bool:
    """Return whether a column numbers or names its rows.

    All values differ. They are whole numbers without large gaps or in the order of the rows, or
    single words with a digit or an at sign.
    """
    there = [each.last for each in values if each.last is not None]
    texts = [str(each).strip() for each in there]
    if len(there) < _FEWEST_KEYS or len({*texts}) < len(there):
        return False
    if field.kind == "text":
        return all(map(_KEY.fullmatch, texts))
    if field.kind != "number" or not all(text.isdecimal() for text in texts):
        return False
    numbers = [int(text) for text in texts]
    rising = sorted(numbers)
    is_dense = rising[-1] - rising[0] < 2 * len(numbers)
    return is_dense or numbers in (rising, rising[::-1])


def _left_out(
    fields: Fields, counts: Mapping[str, int], useless: Mapping[Field, str], options: DataOptions
) -> Iterator[str]:
    """Yield a line for each field that is left out and why, and one for all that few rows have."""
    reasons = {field.name: reason for field, reason in useless.items()}
    rest = [
        path for path in sorted(counts) if path not in fields.names and _is_wanted(path, options)
    ]
    for path in rest:
        if path in reasons:
            yield f"{shorten(path)}: left out: {reasons[path]}"
    others = [path for path in rest if path not in reasons]
    few = [shorten(path) for path in others if counts[path] < FEWEST_ROWS]
    many = [shorten(path) for path in others if counts[path] >= FEWEST_ROWS]
    if few:
        yield (
            f"{listed(few)}: left out: fewer than {FEWEST_ROWS} rows have it; "
            "--field NAME:KIND keeps it"
        )
    if many:
        yield f"{listed(many)}: left out: a model has at most {MOST_FIELDS - MOST_PAIRS} fields"


def _found(
    rows: Sequence[_Row], counts: Mapping[str, int], options: DataOptions
) -> Iterator[tuple[Field, str]]:
    """Yield the fields that are asked for, or without names all, with their kind and the reason.

    counts: the rows that have a value, by path.

    Raise DataError for a name that no row has.
    """
    kinds = dict(each.rpartition(":")[::2] for each in options.kinds)
    for name in (*options.wanted, *kinds):
        if not any(is_under(name, path) for path in counts):
            _check_kind(name, counts)
            there = listed([shorten(path) for path in nearest(name, [*counts])], most=20)
            raise DataError(
                f"no row has a field {name!r}; the rows have {there or 'no other'}"
                f"{did_you_mean(name, [*counts])}"
            )
    lists = [path for path in counts if any(row[path].number("length") for row in rows)]
    for path, count in counts.items():
        values = [row[path] for row in rows]
        if path in kinds:
            yield _field(path, values, kinds[path])
        elif count < FEWEST_ROWS or not _is_wanted(path, options):
            continue
        elif any(is_under(name, path) for name in lists):
            for part in get_args(Part)[1:]:
                if any(each.number(part) is not None for each in values):
                    yield _number(path, part, values, "a list")
            if any(each.texts for each in values):
                yield Field(path), "text (a list)"
        else:
            yield _field(path, values)


def _place(field: Field, first: Sequence[str]) -> int:
    """Return the place of a text among those that come first, and the next place of others."""
    places = [i for i, name in enumerate(first) if is_under(name, field.name)]
    return min(places, default=len(first)) if field.kind == "text" else len(first)


def _is_wanted(path: str, options: DataOptions) -> bool:
    return not options.wanted or any(is_under(name, path) for name in options.wanted)


def _field(path: str, values: Sequence[Values], kind: str = "") -> tuple[Field, str]:
    """Return the field of a path, of the kind that is asked for or found, and the reason.

    Raise DataError for a category without a value, and a number that few rows have as one.
    """
    there = [each.last for each in values if each.last is not None]
    counts = Counter(sorted(map(str, there)))
    often = [value for value, count in counts.most_common() if count >= FEWEST_ROWS]
    why = "asked for" if kind else ""
    if not kind and not any(number_of(each).is_nan() for each in there):
        kind = "number"
        why = "all values are numbers"
    elif not kind and len(often) == len(counts) <= MOST_VALUES:
        kind = "category"
        why = f"each value in {FEWEST_ROWS} rows or more"
    if kind == "number":
        _check_number(path, there)
        return _number(path, "value", values, why)
    if kind != "category":
        return Field(path), f"text ({why or f'{len(counts):,} different values'})"
    if not often:
        raise DataError(
            f"no value of {path} is in {FEWEST_ROWS} rows, so it is no category; "
            f"give --field {quote(f'{path}:text')}"
        )
    field = Field(path, "category", known=tuple(often[:MOST_VALUES]))
    return field, f"category, {counted(len(field.known), 'value')} ({why})"


def _check_number(path: str, there: Sequence[Value]) -> None:
    """Raise DataError if less than half of the values are numbers."""
    others = [str(value) for value in there if number_of(value).is_nan()]
    if 2 * len(others) > len(there):
        values = listed([shorten(each) for each in dict.fromkeys(others)], most=3)
        raise DataError(
            f"{path}: {len(others):,} of {counted(len(there), 'value')} are no numbers, such as "
            f"{values}; write them as in 1234.5 or 2026-01-31, or give --field "
            f"{quote(f'{path}:text')}"
        )


def _number(path: str, part: Part, values: Sequence[Values], why: str) -> tuple[Field, str]:
    """Return a number field with the quantiles of its values, but for the largest.

    A quantile that is a date stays written as one.
    """
    found = np.array([each.number(part) for each in values], float)
    numbers = np.sort(found[np.isfinite(found)])
    places = np.arange(1, EDGES + 1) * len(numbers) // (EDGES + 1)
    edges = np.unique(numbers[places]) if len(numbers) else numbers
    edges = edges[edges < numbers.max(initial=-np.inf)]
    texts = [str(each.last).strip(" ") for each in values]
    dates = {float(number_of(text)): text for text in texts if DATE.fullmatch(text)}
    known = tuple(dates.get(edge, edge) for edge in edges.tolist())
    field = Field(path, "number", part, known=known)
    return field, f"number, {counted(len(edges), 'edge')} ({why})"


def _pairs(fields: Fields, rows: Sequence[_Row]) -> tuple[tuple[int, int], ...]:
    """Return the pairs of numbers whose order differs most between the rows."""
    values = {
        i: np.array([each.value(row[each.name]) for row in rows], float)
        for i, each in enumerate(fields.fields)
        if each.kind == "number"
    }
    shares: dict[tuple[int, int], float] = {}
    for a, b in combinations(values, 2):
        difference = values[a] - values[b]
        orders = np.sign(difference[~np.isnan(difference)])
        if len(orders) >= max(2 * FEWEST_ROWS, 0.2 * len(rows)):
            share = max(np.mean(orders == order) for order in (-1, 0, 1))
            if share <= _MOST_OF_ONE_ORDER:
                shares[a, b] = share
    return tuple(sorted(sorted(shares, key=shares.__getitem__)[:MOST_PAIRS]))


def rows_of(given: Any) -> Any:
    """Return the rows of a table of pandas as objects; anything else as it is."""
    return given.to_dict("records") if hasattr(given, "columns") else given
