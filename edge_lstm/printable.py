"""Text and JSON that a terminal can show: what would steer it is written as an escape."""

from __future__ import annotations

import json
from typing import Any


def printable(text: str) -> str:
    r"""The text on one line, what would steer a terminal (or end the line) as an escape such as ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


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
