"""Sentences for a person, wrapped at the terminal's width; no word is broken."""

from __future__ import annotations

import shutil
import sys
import textwrap

from edge_lstm.printable import printable

WIDTH = 79  # through a pipe


def columns() -> int:
    """The terminal's width, at most 100; WIDTH through a pipe."""
    return min(shutil.get_terminal_size().columns, 100) if sys.stdout.isatty() else WIDTH


def wrapped(text: str, *, name: str = "", indent: int = 2) -> str:
    """The text on lines of at most :func:`columns`. name: written before it, in ``indent`` columns, which
    further lines leave blank."""
    return textwrap.fill(
        printable(text),
        columns(),
        initial_indent=f"{name:<{indent}}" if name else "",
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
