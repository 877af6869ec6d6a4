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


def rows(text: str) -> list[list[str]]:
    r"""The cells of each line, whose escapes (``\n``, ``\xff``) stand for bytes of UTF-8.

    A line that begins with a bar continues the line before it. A byte that is not UTF-8 is a
    surrogate escape, as in the name of a file: :func:`raw` gives the bytes.
    """
    lines = re.sub(r"\n\s*\|", " |", text.strip()).split("\n")
    found = [re.split(r"(?<= )\|(?= |$)", line) for line in lines]
    return [
        [unescaped(cell.strip(" ")).decode("utf-8", "surrogateescape") for cell in cells]
        for cells in found
    ]


def raw(cell: str) -> bytes:
    """The bytes that a cell of :func:`rows` stands for."""
    return cell.encode("utf-8", "surrogateescape")
