"""Checks of values that callers of the Python API give.

A wrong type is a TypeError, a value out of range a DataError; both name the parameter. Standard
library only.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from numbers import Real
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from edge_lstm.errors import DataError


def whole(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """Return a whole number as Python's int; NumPy's integers are accepted, bool is not.

    least, most: the range; None for no upper limit.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise TypeError(f"{name} must be a whole number, not {_kind(value)}")
    if number < least or (most is not None and number > most):
        wanted = f"at least {least}" if most is None else f"from {least} to {most}"
        raise DataError(f"{name} must be {wanted}, not {number}")
    return number


def optional_whole(name: str, value: Any) -> int | None:
    """Return a whole number from 1 on, see :func:`whole`, or None."""
    return None if value is None else whole(name, value)


def number(name: str, value: Any) -> float:
    """Return a number as Python's float; NaN and bool are not accepted."""
    check_numbers(**{name: value})
    if value is None:
        raise TypeError(f"{name} must be a number, not None")
    if math.isnan(value):
        raise DataError(f"{name} must be a number, not {value}")
    return float(value)


def check_numbers(**values: Any) -> None:
    """Check that each value is a number or None; NaN passes."""
    for name, value in values.items():
        if isinstance(value, bool) or not (value is None or isinstance(value, Real)):
            raise TypeError(f"{name} must be a number, not {_kind(value)}")


def instance(name: str, value: Any, kind: type, what: str | None = None) -> None:
    """Check that a value is of a type. what: name of the type for a person."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {what or f'a {kind.__name__}'}, not {_kind(value)}")


def check_strings(**values: Any) -> None:
    """Check that each value is a string or None."""
    for name, value in values.items():
        if value is not None:
            instance(name, value, str, "a string")


def check_fields(options: Any) -> None:
    """Check that the values of a dataclass have the types of its fields.

    The types are bool, str, float, int (a whole number from 1 on) or a sequence of names, each also
    with None. Fields of other types are not checked.
    """
    for each in fields(options):
        value = getattr(options, each.name)
        kind = str(each.type).removesuffix(" | None")
        if value is None and kind != each.type:
            continue
        if kind == "bool":
            instance(each.name, value, bool)
        elif kind == "str":
            instance(each.name, value, str, "a string")
        elif kind == "float":
            check_numbers(**{each.name: value})  # NaN passes: a range says more
        elif kind == "int":
            whole(each.name, value)
        elif kind.startswith(("Sequence", "tuple")):
            _check_names(each.name, value)


def _check_names(name: str, value: Any) -> None:
    if isinstance(value, (str, os.PathLike)):
        one = f"{os.fspath(value)!r}"
        raise DataError(f"{name} is one string, {one}; give a tuple of names, as in ({one},)")
    instance(name, value, Sequence, "a tuple of names")


def path(name: str, value: Any) -> str:
    """Return a path as a string."""
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else value
    instance(name, text, str, "a path, as a string or a Path")
    if "\0" in text:
        raise DataError(f"{name} holds a NUL character, which no path does: {text!r:.60}")
    return str(text)


def _kind(value: Any) -> str:
    """Return the name of a value's type, for an error."""
    return "None" if value is None else type(value).__name__


@dataclass(frozen=True)
class Range:
    """The numbers that a field may have: ``least`` to ``most``.

    above, below: that end itself is excluded.

    A tuple of numbers has two: the range of each, and the range of their number.
    """

    least: float
    most: float
    above: bool = False
    below: bool = False

    def __contains__(self, value: float) -> bool:
        if not self.least <= value <= self.most:
            return False
        return not ((self.above and value == self.least) or (self.below and value == self.most))

    def __str__(self) -> str:
        start = "above" if self.above else "from"
        end = "to below" if self.below else "to"
        return f"{start} {self.least:,} {end} {self.most:,}"


def check_ranges(options: Any) -> None:
    """Raise ValueError unless each value of a dataclass has the type and range of its field.

    The types are text, bool, Literal, and numbers with a Range, each also with None. Fields of
    other types are not checked.
    """
    kind: Any = type(options)
    for name, declared in _types_of(kind).items():
        _check(name, getattr(options, name), declared)


@cache
def _types_of(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _check(name: str, value: Any, kind: Any) -> None:
    limits: list[Range] = []
    if get_origin(kind) is Annotated:
        kind, *limits = get_args(kind)
    if NoneType in get_args(kind):
        if value is None:
            return
        kind = get_args(kind)[0]
    if kind is str and not isinstance(value, str):
        raise ValueError(f"{name} must be text, not {value!r:.40}")
    if kind is bool and type(value) is not bool:
        raise ValueError(f"{name} must be true or false, not {value!r:.40}")
    if get_origin(kind) is Literal and value not in get_args(kind):
        raise ValueError(f"{name} must be one of {', '.join(get_args(kind))}, not {value!r:.40}")
    if not limits:
        return
    if get_origin(kind) is tuple:
        numbers, count = limits
        if not isinstance(value, tuple) or len(value) not in count:
            wanted = f"{count.least} to {count.most} numbers"
            raise ValueError(f"{name} must be {wanted}, not {value!r:.40}")
        for each in value:
            _check(f"a number of {name}", each, Annotated[get_args(kind)[0], numbers])
        return
    if kind is int and type(value) is not int:
        raise ValueError(f"{name} must be a whole number, not {value!r:.40}")
    if type(value) not in (int, float):
        raise ValueError(f"{name} must be a number, not {value!r:.40}")
    # NaN is in no range.
    if value not in limits[0]:
        raise ValueError(f"{name} must be {limits[0]}, not {value!r:.40}")


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
            level += each.values() if isinstance(each, dict) else each
    return deepest
