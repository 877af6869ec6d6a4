"""Text and JSON that a terminal can show: what would steer it is written as an escape."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Those, but for white space, and what changes the direction or the line of the text around it.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)


def printable(text: str) -> str:
    r"""The text on one line, what would steer a terminal (or end the line) as an escape such as
    ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def visible(document: str) -> str:
    r"""The document with its lines and letters, what would steer a reader's screen as an escape."""
    return _INVISIBLE.sub(lambda match: printable(match[0]), document)


def shorten(name: str, width: int = 30) -> str:
    """A name as it can stand in a line: its beginning, quoted where it would not be seen or
    steers."""
    shown = name if len(name) <= width else name[: width - 1] + "…"
    return repr(shown) if shown != shown.strip() or not shown.isprintable() or not shown else shown


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return a count and what is counted: ``1 row``, ``2,000 rows``. plural: of a noun that takes
    no s."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, as a person reads them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return (
        f"{minutes // 60} h {minutes % 60:02d} min"
        if minutes >= 60
        else f"{minutes} min {rest:02d} s"
    )


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def to_json(value: Any, *, indent: int | None = None) -> str:
    """JSON with its letters as they are, and as an escape what would steer a terminal."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json_escape(c) for c in text)


def json_escape(character: str) -> str:
    """``\\uXXXX``; two of them, a surrogate pair, beyond U+FFFF."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
