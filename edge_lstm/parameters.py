"""Checks of values that callers of the Python API give.

A wrong type is a TypeError, a value out of range a DataError; both name the parameter. Standard
library only.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Sequence
from dataclasses import fields
from numbers import Real
from typing import Any

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
