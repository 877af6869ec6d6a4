"""Cases of a test as a small table in a text."""

from __future__ import annotations

import re
from typing import Any

import pytest


def rows(text: str) -> list[list[str]]:
    r"""The cells of each line, whose escapes (``\n``, ``\xff``) stand for bytes of UTF-8.

    A line that begins with a bar continues the line before it; empty lines part groups. A byte that
    is not UTF-8 is a surrogate escape, as in the name of a file: :func:`raw` gives the bytes.
    """
    lines = filter(str.strip, re.sub(r"\n\s*\|", " |", text).split("\n"))
    found = [re.split(r"(?<= )\|(?= |$)", line) for line in lines]
    return [[_unescaped(cell.strip(" ")) for cell in cells] for cells in found]


def _unescaped(cell: str) -> str:
    data = cell.encode().decode("unicode_escape").encode("latin-1")
    return data.decode("utf-8", "surrogateescape")


def raw(cell: str) -> bytes:
    """The bytes that a cell of :func:`rows` stands for."""
    return cell.encode("utf-8", "surrogateescape")


def named(text: str) -> list[Any]:
    """The rows of a table as parameters of a test; the first cell of each is its name."""
    return [pytest.param(*cells, id=name) for name, *cells in rows(text)]
