"""Checks of values that callers of the Python API, plans and model files give.

A wrong type is a TypeError, a value out of range a DataError; both are one line that names the
value. Standard library only.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import cache
from numbers import Real
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from edge_lstm.errors import DataError, did_you_mean
from edge_lstm.printable import Pairs


@dataclass(frozen=True)
class Range:
    """The numbers that a value may be: ``least`` to ``most``.

    above, below: that end itself is excluded.

    A tuple of numbers has two: the range of each, and the range of their number.
    """

    least: float
    most: float
    above: bool = False
    below: bool = False

    def __contains__(self, value: float) -> bool:
        # NaN is in no range.
        if not self.least <= value <= self.most:
            return False
        return not ((self.above and value == self.least) or (self.below and value == self.most))

    def __str__(self) -> str:
        if self.most == math.inf:
            return f"at least {self.least:,}"
        start = "above" if self.above else "from"
        end = "to below" if self.below else "to"
        return f"{start} {self.least:,} {end} {self.most:,}"

    def check(self, name: str, value: float) -> None:
        """Check that a number is in the range, and raise DataError if not."""
        if value not in self:
            raise DataError(f"{name} must be {self}, not {value!r:.40}")


def require(holds: object, reason: str) -> None:
    """Check that something holds, and raise ValueError with the reason if not."""
    if not holds:
        raise ValueError(reason)


def whole(name: str, value: Any, least: float = 1, most: float = math.inf) -> int:
    """Return a whole number as Python's int; NumPy's integers are accepted, bool is not.

    least, most: the range.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise _misfit(name, "a whole number", value)
    if not least <= number <= most:
        Range(least, most).check(name, number)
    return number


def optional_whole(name: str, value: Any) -> int | None:
    """Return a whole number from 1 on, see :func:`whole`, or None."""
    return None if value is None else whole(name, value)


def check_numbers(**values: Any) -> None:
    """Check that each value is a number or None; NaN passes, bool does not."""
    for name, value in values.items():
        if value is not None:
            _number(name, value)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise _misfit(name, "a number", value)
    return value if isinstance(value, int) else float(value)


def instance(name: str, value: Any, kind: Any, what: str | None = None) -> None:
    """Check that a value is of a type. what: name of the type for a person."""
    if not isinstance(value, kind):
        raise _misfit(name, what or f"a {kind.__name__}", value)


def path(name: str, value: Any) -> str:
    """Return a path as a string."""
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else value
    instance(name, text, str, "a path, as a string or a Path")
    if "\0" in text:
        raise DataError(f"{name} holds a NUL character, which no path does: {text!r:.60}")
    return str(text)


def _misfit(name: str, wanted: str, value: Any) -> TypeError:
    is_plain = value is None or isinstance(value, (str, int, float))
    shown = repr(value) if is_plain else type(value).__name__
    return TypeError(f"{name} must be {wanted}, not {shown:.40}")


def check_fields(values: Any, error: type[Exception] | None = None) -> None:
    """Check that the values of a dataclass have the declared types and ranges.

    The types are bool, str, Literal, float, int (without a Range: from 1 on), a dataclass, a
    sequence of names, and a tuple of these, each also with None. Fields of other types are not
    checked. A number of NumPy's becomes Python's, a list of numbers a tuple.

    Raises TypeError for another type, DataError for a value out of range; or ``error`` for both.
    """
    kind: Any = type(values)
    for name, declared in types_of(kind).items():
        value = getattr(values, name)
        try:
            checked = _checked(name, value, declared)
        except (TypeError, DataError) as misfit:
            if error is None:
                raise
            raise error(str(misfit)) from None
        if checked is not value:
            object.__setattr__(values, name, checked)


@cache
def types_of(kind: Any) -> dict[str, Any]:
    """Return the declared type of each field of a dataclass, with its Range."""
    return get_type_hints(kind, include_extras=True)


def _checked(name: str, value: Any, kind: Any) -> Any:
    """Return a checked value with Python's numbers."""
    limits: list[Range] = []
    if get_origin(kind) is Annotated:
        kind, *limits = get_args(kind)
    if NoneType in get_args(kind):
        if value is None:
            return None
        kind = get_args(kind)[0]
    if kind is bool:
        instance(name, value, bool, "true or false")
    elif kind is str:
        instance(name, value, str, "a string")
    elif kind is int:
        within = limits[0] if limits else Range(1, math.inf)
        return whole(name, value, within.least, within.most)
    elif kind is float:
        number = _number(name, value)
        for within in limits:
            within.check(name, number)
        return number
    elif isinstance(kind, type) and is_dataclass(kind):
        instance(name, value, kind)
    elif get_origin(kind) is Literal:
        known = get_args(kind)
        if value not in known:
            meant = did_you_mean(value, known) if isinstance(value, str) else ""
            raise DataError(f"{name} must be one of {', '.join(known)}, not {value!r:.40}{meant}")
    elif kind == tuple[str, ...] or get_origin(kind) is Sequence:
        _check_names(name, value)
    elif get_origin(kind) is tuple:
        return _checked_tuple(name, value, get_args(kind)[0], limits)
    return value


def _check_names(name: str, value: Any) -> None:
    if isinstance(value, (str, os.PathLike)):
        one = f"{os.fspath(value)!r}"
        raise DataError(f"{name} is one string, {one}; give a tuple of names, as in ({one},)")
    instance(name, value, Sequence, "a tuple of names")


def _checked_tuple(name: str, value: Any, kind: Any, limits: list[Range]) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise _misfit(name, "a list", value)
    if limits:
        numbers, count = limits
        if len(value) not in count:
            raise DataError(f"{name} must be {count.least} to {count.most} numbers")
        kind = Annotated[kind, numbers]
    return tuple(_checked(f"one of {name}", each, kind) for each in value)


def check_same(before: Mapping[str, Any], now: Mapping[str, Any], kept: object) -> None:
    """Check that a resumed run is of the same values, by name, as its beginning.

    kept: the file that the beginning has left.

    Raises DataError for the first value that is another one.
    """
    for name in {**before, **now}:
        then = before.get(name)
        value = now.get(name)
        if then != value:
            raise DataError(
                f"cannot resume: {name} was {then!r:.200} and is {value!r:.200}; "
                f"use that again, or delete {kept} and start again"
            )


# Lists and objects of a model file, a plan or a row that a model reads may be nested this deep; a
# file of ours has 5.
MOST_DEPTH = 32


def finite(text: str) -> float:
    """Return a number of JSON, which NaN, Infinity and 1e999 are not. Raises ValueError."""
    value = float(text)
    require(math.isfinite(value), f"{text[:20]} is not a finite number")
    return value


def unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON. Raises ValueError for two values of one key: readers disagree."""
    values = dict(pairs)
    require(len(values) == len(pairs), "a key is there twice")
    return values


def depth(value: Any) -> int:
    """Return how deep lists and objects are nested: 0 for a plain value, 1 for a list of them.

    It works level by level: Python's stack is finite.
    """
    deepest = 0
    level = [value]
    while nested := [each for each in level if isinstance(each, (dict, list))]:
        deepest += 1
        level = []
        for each in nested:
            level += each.values() if isinstance(each, (dict, Pairs)) else each
    return deepest
