"""Types and ranges that the fields of a dataclass declare, and their check."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints


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
