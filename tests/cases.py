"""Cases of a test as a small table in a text."""

from __future__ import annotations

import re
from typing import Any

import pytest


def table(text: str) -> list[list[str]]:
    """The cells of each line, which stand between bars; empty lines part groups.

    A line goes on behind a backslash at its end, also in a raw string.
    """
    lines = filter(None, map(str.strip, text.replace("\\\n", "").splitlines()))
    return [[cell.strip() for cell in re.split(r" \|(?: |$)", line)] for line in lines]


def named(text: str) -> list[Any]:
    """The rows of a table as parameters of a test; the first cell of each is its name."""
    return [pytest.param(*cells, id=name) for name, *cells in table(text)]


def unescaped(text: str) -> bytes:
    """The bytes of a cell, in which each is a character or an escape such as ``\\xff``."""
    return text.encode().decode("unicode_escape").encode("latin-1")
