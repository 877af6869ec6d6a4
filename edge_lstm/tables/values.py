"""A value of a row → text or JSON, and why that may not go."""

from __future__ import annotations

import json
import math
from typing import Any

# So deep may lists and objects lie in each other: what walks through them calls itself.
MAX_DEPTH = 200
_NOT_FINITE = frozenset({"NaN", "Infinity", "-Infinity"})


class RowError(Exception):
    """A row has no usable text, or cannot be written; the text says why."""


class Number(str):
    """A number of a JSON row, in the digits it was written with."""

    __slots__ = ()


def parse_json(text: str) -> Any:
    """Any JSON, its numbers as :class:`Number`: however many digits they have. Raises ValueError, or
    RecursionError where it is nested too deeply for Python.
    """
    return _DECODER.decode(text)


_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=Number)


def field_text(value: bytes, name: str, errors: str = "strict") -> str:
    """Bytes of a field → text; RowError where they are not UTF-8 (and ``errors`` is strict)."""
    try:
        return value.decode("utf-8", errors)
    except UnicodeDecodeError:
        raise RowError(f"column {name!r} is not UTF-8; leave it out with --keep") from None


def json_text(value: Any, name: str, errors: str = "strict") -> str:
    """A value as JSON: numbers of the input in their own digits; what JSON has no form for as text: NaN and
    infinity, for one. It has no lone surrogate: JSON's own escape stands for it.

    Raises RowError where it holds bytes that are not UTF-8 (and ``errors`` is strict).
    """
    if isinstance(value, dict):
        items = [f"{json_text(str(k), name)}: {json_text(v, name, errors)}" for k, v in value.items()]
        return "{" + ", ".join(items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join([json_text(v, name, errors) for v in value]) + "]"
    if isinstance(value, Number) and value not in _NOT_FINITE:
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        value = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes):
        value = field_text(value, name, errors)
    if not (value is None or isinstance(value, (str, bool, int, float))):
        value = str(value)
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def depth(value: Any) -> int:
    """How deep lists and objects lie in each other: 0 for a plain value, 1 for a list of them."""
    deepest, level = 0, [value]
    while level := [v for v in level if isinstance(v, (dict, list))]:
        deepest += 1
        level = [inner for v in level for inner in (v.values() if isinstance(v, dict) else v)]
    return deepest
