"""Tables of test cases, as text: a row a line, and `` | `` between cells."""

from __future__ import annotations

import re


def rows(table: str) -> list[list[str]]:
    r"""Return the cells of each row; a line that begins with ``|`` continues the row before it.

    A cell may have the escapes of a Python string (``\n``, ``\x1b``). A byte that is not UTF-8 is
    a surrogate escape, as in the name of a file: :func:`raw` gives the bytes.
    """
    lines = re.sub(r"\n\s*\|", " |", table.strip()).split("\n")
    return [[unescaped(cell) for cell in re.split(r"(?<= )\|(?= |$)", line)] for line in lines]


def unescaped(cell: str) -> str:
    """The text of a cell, whose escapes name bytes of UTF-8."""
    data = cell.strip(" ").encode().decode("unicode_escape").encode("latin-1")
    return data.decode("utf-8", "surrogateescape")


def raw(text: str) -> bytes:
    """The bytes that a cell stands for."""
    return text.encode("utf-8", "surrogateescape")
