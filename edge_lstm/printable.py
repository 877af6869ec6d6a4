"""Text and JSON that a terminal can show: characters that would control it become escapes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from json.encoder import encode_basestring
from typing import Any

CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Control characters other than white space, and characters that change the direction or the line
# of the text around them.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
# Joins labels in one column, as ``score`` writes them. No label of a multi-label model may hold it.
LABEL_JOINT = "|"
_NOT_FINITE = frozenset({"NaN", "Infinity", "-Infinity"})
_quoted: Callable[[str], str] = encode_basestring


class Number(str):
    """A number of JSON, in the digits that it was written with."""

    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    """The names and values of a JSON object, repeated names included."""

    def items(self) -> Pairs:
        """Return them, as a dict does."""
        return self

    def values(self) -> list[Any]:
        """Return the values."""
        return [value for _, value in self]


def printable(text: str) -> str:
    r"""Return a text on one line; control characters and line ends become escapes (``\x1b``)."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def visible(document: str) -> str:
    """Return a document with its lines; characters that would control the screen become escapes."""
    return _INVISIBLE.sub(lambda match: printable(match[0]), document)


def cut(text: str, width: int) -> str:
    """Return the beginning of a text that is longer than ``width`` characters, with an ellipsis."""
    return text if len(text) <= width else text[: width - 1] + "…"


def shorten(name: str, width: int = 30) -> str:
    """Return the beginning of a name, in quotes if a line would not show it as it is."""
    shown = cut(name, width)
    is_plain = bool(shown) and shown == shown.strip() and shown.isprintable()
    return shown if is_plain else repr(shown)


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return a count and its noun: ``1 row``, ``2,000 rows``.

    plural: of a noun that does not just take an s.
    """
    if count != 1:
        noun = plural or noun + "s"
    return f"{count:,} {noun}"


def duration(seconds: float) -> str:
    """Return seconds, minutes or hours for a person."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return the first names and the number of the others."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Return JSON with its letters as they are; control characters become escapes."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json_escape(c) for c in text)


def json_text(value: Any) -> str:
    """Return a value as JSON.

    Numbers of the input keep their digits. A value that JSON has no form for (NaN, infinity, a
    date) becomes a string.
    """
    if type(value) is str:
        return _quoted(value)
    if value is None:
        return "null"
    if isinstance(value, str):
        is_number = type(value) is Number and value not in _NOT_FINITE
        return str(value) if is_number else _quoted(value)
    if isinstance(value, (dict, Pairs)):
        items = [f"{json_text(str(key))}: {json_text(item)}" for key, item in value.items()]
        return "{" + ", ".join(items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(json_text, value)) + "]"
    if isinstance(value, (bool, int, float)):
        # The module writes NaN and Infinity bare, which JSON does not allow.
        text = json.dumps(value)
        return _quoted(text) if text in _NOT_FINITE else text
    if isinstance(value, bytes):
        return _quoted(value.decode("utf-8", "surrogateescape"))
    return _quoted(str(value))


def json_escape(character: str) -> str:
    r"""Return ``\uXXXX``; beyond U+FFFF two of them, a surrogate pair."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def well_formed(text: str) -> str:
    """Return a text without surrogates: a pair becomes its character, a lone one U+FFFD.

    Decoders of UTF-16 do the same. A well-formed text is returned unchanged.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
