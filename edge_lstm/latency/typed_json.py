"""Frozen dataclasses ↔ plain values of JSON, with every type checked on the way in."""

from __future__ import annotations

import math
import types
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

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


def from_json(kind: type[T], value: Any, where: str = "the whole") -> T:
    """What :func:`to_json` gave → the dataclass. Unknown keys are passed over. Raises FormatError."""
    return cast(T, _decode(kind, value, where))


def _decode(kind: Any, value: Any, where: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):  # of a type and None, no other is used
        return None if value is None else _decode(inner[0], value, where)
    expected: Any = {tuple: list, dict: dict}.get(origin, dict if is_dataclass(kind) else object)
    if not isinstance(value, expected):
        raise FormatError(f"{where} is missing or of the wrong type")
    if is_dataclass(kind):
        prefix = "" if where == "the whole" else f"{where}."
        hints, made = _hints(cast(Any, kind)).items(), cast(Any, kind)
        return made(**{name: _decode(hint, value.get(name), prefix + name) for name, hint in hints})
    if origin is tuple:
        if inner[-1] is not Ellipsis and len(value) != len(inner):
            raise FormatError(f"{where} is of the wrong length")
        if all(_is(inner[0], item) for item in value):  # thousands of samples: at once
            return tuple(map(inner[0], value))
        return tuple(_decode(inner[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        return {key: _decode(inner[1], item, f"{where}.{key}") for key, item in value.items()}
    if not _is(kind, value):
        raise FormatError(f"{where} is missing or of the wrong type")
    return float(value) if kind is float else value


def _is(kind: Any, value: Any) -> bool:
    if kind in (int, float):
        # JSON writes 2.0 as 2; NaN and infinity are not JSON, though Python reads them.
        number = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
        return number and -1e300 < value < 1e300 and math.isfinite(value)
    return kind in (str, bool) and isinstance(value, kind)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}
