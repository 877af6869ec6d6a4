"""Frozen dataclasses ↔ plain values of JSON, with every type checked on the way in."""

from __future__ import annotations

import math
import types
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class FormatError(ValueError):
    """A value is missing or of another type; the text names it, such as ``settings[0].both``."""


def to_json(value: Any, digits: int) -> Any:
    """Dataclasses → dicts, tuples → lists, numbers with so many significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if is_dataclass(value):
        return {field.name: to_json(getattr(value, field.name), digits) for field in fields(value)}
    if isinstance(value, dict):
        return {key: to_json(item, digits) for key, item in value.items()}
    return [to_json(item, digits) for item in value] if isinstance(value, (list, tuple)) else value


def from_json(kind: type[T], value: Any, where: str = "") -> T:
    """What :func:`to_json` gave → the dataclass. Keys that it has not are passed over: a later version may
    add some. A key that is missing is None where None is allowed. Raises FormatError.
    """
    found: T = _decode(kind, value, where)
    return found


def _decode(kind: Any, value: Any, where: str) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        if not isinstance(value, dict):
            raise _wrong(where)
        hints = _hints(kind)
        prefix = f"{where}." if where else ""
        decoded = {key: _decode(hint, value.get(key), prefix + key) for key, hint in hints.items()}
        return kind(**decoded)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        (wanted,) = (one for one in inner if one is not types.NoneType)
        return _decode(wanted, value, where)
    if origin is tuple:
        if not isinstance(value, list) or (inner[-1] is not Ellipsis and len(value) != len(inner)):
            raise _wrong(where)
        if inner[0] in (int, float):  # thousands of samples: at once
            if not all(_is(inner[0], item) for item in value):
                raise _wrong(where)
            return tuple(map(inner[0], value))
        return tuple(_decode(inner[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict) or not all(isinstance(item, inner[1]) for item in value.values()):
            raise _wrong(where)
        return value
    if not _is(kind, value):
        raise _wrong(where)
    return float(value) if kind is float else value


def _is(kind: type, value: Any) -> bool:
    if kind in (int, float):
        # JSON writes 2.0 as 2; NaN and infinity are not JSON, though Python reads them.
        number = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
        return number and -1e300 < value < 1e300 and math.isfinite(value)
    return isinstance(value, kind)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _wrong(where: str) -> FormatError:
    return FormatError(f"{where or 'the whole'} is missing or of the wrong type")
