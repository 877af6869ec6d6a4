"""A value of a row → text or JSON.

Strings of files that are bytes (all but JSONL) have a surrogate, U+DC80 to U+DCFF, for each byte
that is not UTF-8, as Python's ``surrogateescape`` does it: so the same bytes can be written again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from json.encoder import encode_basestring
from typing import Any

# So deep may lists and objects lie in each other: what walks through them calls itself.
MAX_DEPTH = 200
_quoted: Callable[[str], str] = encode_basestring
NOT_UTF8 = "is not UTF-8"  # of the reasons why a row has no text
_NOT_FINITE = frozenset({"NaN", "Infinity", "-Infinity"})


class RowError(Exception):
    """A row has no usable text, or cannot be written; the text says why."""


class Number(str):
    """A number of a row, in the digits it was written with, however many they are."""

    __slots__ = ()


def json_text(value: Any) -> str:
    """Return a value as JSON: numbers of the input in their own digits, and as text what JSON has
    no form for (NaN and infinity, for one)."""
    if type(value) is str:
        return _quoted(value)
    if value is None:
        return "null"
    if isinstance(value, str):
        is_number = type(value) is Number and value not in _NOT_FINITE
        return str(value) if is_number else _quoted(value)
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join([f"{json_text(str(k))}: {json_text(v)}" for k, v in value.items()])
            + "}"
        )
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(json_text, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
    return _quoted(text)


def float32_texts(values: Sequence[float | None]) -> list[str]:
    """Return float32 values in their shortest digits, as their str() has them; None is empty."""
    import numpy as np

    numbers = np.array(values, np.float32)
    # From 1/8 to 1 eight digits tell a number from its neighbours, where at most one has the same
    # seven.
    wide = np.where((numbers >= 0.125) & (numbers < 1), numbers, 0.5).astype(np.float64)
    seven = np.rint(wide * 1e7)
    is_short = (seven / 1e7).astype(np.float32) == wide
    digits = np.where(is_short, 10 * seven, np.rint(wide * 1e8)).astype(np.uint32)
    letters, is_end = np.empty((len(digits), 10), np.uint32), np.ones(len(digits), np.bool_)
    for place in range(9, 1, -1):  # letters of the text 0.12345678, none for a zero at its end
        rest = digits // 10
        letters[:, place] = digits - 10 * rest + ord("0")
        is_end &= letters[:, place] == ord("0")
        letters[is_end, place] = 0
        digits = rest
    letters[:, :2] = ord("0"), ord(".")
    texts: list[str] = letters.view("U10")[:, 0].tolist()
    for i in np.flatnonzero(wide != numbers).tolist():
        texts[i] = "" if values[i] is None else str(numbers[i])
    return texts


def cell_text(value: Any) -> str:
    """Return a value as the text of a cell: strings as they are, anything else as JSON, nothing for
    None."""
    if isinstance(value, str):
        return value
    return "" if value is None else json_text(value).strip('"' if isinstance(value, float) else "")


def utf8_error(text: str) -> str | None:
    """Return where a text of a file is not UTF-8; None where it is."""
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        before = len(text[: error.start].encode())
        return f"(byte 0x{ord(text[error.start]) - 0xDC00:02x} at position {before})"
    return None


def refuse_bytes(texts: list[str | None], reasons: list[str | None]) -> None:
    """Put None in place of each text of a file that is not UTF-8, and why in place of its
    reason."""
    if utf8_error("".join(filter(None, texts))):
        for i, text in enumerate(texts):
            if text is not None and (where := utf8_error(text)):
                texts[i], reasons[i] = None, f"the text {NOT_UTF8} {where}"


def replaced(text: str) -> str:
    """Return a text of a file with U+FFFD for what is not UTF-8."""
    return (
        text
        if text.isascii()
        else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    )


def depth(value: Any) -> int:
    """Return how deep lists and objects lie in each other: 0 for a plain value, 1 for a list of
    them."""
    deepest, level = 0, [value]
    while level := [v for v in level if isinstance(v, (dict, list))]:
        deepest += 1
        level = [inner for v in level for inner in (v.values() if isinstance(v, dict) else v)]
    return deepest
