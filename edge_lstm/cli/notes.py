"""Sentences for a person, wrapped at the terminal's width, no word broken; and tables as plain
text."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence

from edge_lstm.html import Table
from edge_lstm.printable import printable

WIDTH = 79  # through a pipe
_SHOWN = 60  # characters of an example text


def columns() -> int:
    """The terminal's width, at most 100; WIDTH through a pipe."""
    return min(shutil.get_terminal_size().columns, 100) if sys.stdout.isatty() else WIDTH


def wrapped(text: str, *, name: str = "", indent: int = 2) -> str:
    """The text on lines of at most :func:`columns`. name: written before it, in ``indent`` columns,
    which further lines leave blank."""
    return textwrap.fill(
        printable(text),
        columns(),
        initial_indent=f"{name:<{indent}}" if name else "",
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def listed_examples(texts: Sequence[str]) -> str:
    """How many example texts a file has, and their beginnings."""
    count = "1 text" if len(texts) == 1 else f"{len(texts)} texts"
    shown = [text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…" for text in texts]
    return f"{count}: {', '.join(f'“{text}”' for text in shown)}"


def print_table(table: Table) -> None:
    """Print a table with its title and note, and a blank line."""
    title = [wrapped(table.title)] if table.title else []
    print("\n".join([*title, *table_lines(table)]))
    print(f"{wrapped(table.note)}\n" if table.note else "")


def table_lines(table: Table) -> list[str]:
    """The lines of a table, its columns two spaces apart, the names in the first one as short as
    the others leave room."""
    cells = [[printable(cell) for cell in row] for row in (table.header, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    room = max(WIDTH - sum(width + 2 for width in widths[1:]), len(cells[0][0]), 8)
    if widths[0] > room:
        widths[0] = room
        names = _short([row[0] for row in cells[1:]], room)
        cells[1:] = [[name, *row[1:]] for name, row in zip(names, cells[1:])]
    return [
        "  ".join(
            f"{cell:<{width}}" if i in table.text else f"{cell:>{width}}"
            for i, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in cells[not any(table.header) :]
    ]


def _short(names: Sequence[str], width: int) -> list[str]:
    """Names, cut in the middle where they are too long, still told apart."""
    third = width // 3
    short = [
        name if len(name) <= width else f"{name[:third]}…{name[third + 1 - width :]}"
        for name in names
    ]
    if len(set(short)) < len(set(names)):
        return [f"{i}: {name}"[:width] for i, name in enumerate(names, 1)]
    return short
