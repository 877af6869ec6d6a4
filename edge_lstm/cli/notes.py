"""Sentences for a person, wrapped at the terminal's width, and tables as plain text."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Collection, Sequence

from edge_lstm.html import Table, shown
from edge_lstm.printable import printable

WIDTH = 79  # columns of a line that goes into a pipe or a file


def columns() -> int:
    """Return the width of the terminal, at most 100; without a terminal, WIDTH."""
    if not sys.stdout.isatty():
        return WIDTH
    # Longer lines are hard to read.
    return min(shutil.get_terminal_size().columns, 100)


def wrapped(text: str, *, name: str = "", indent: int = 2) -> str:
    """Return a text on lines of at most :func:`columns`, without breaking words.

    name: written before it, in ``indent`` columns.
    indent: blank columns of the further lines.
    """
    return textwrap.fill(
        printable(text),
        columns(),
        initial_indent=f"{name:<{indent}}" if name else "",
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def print_table(table: Table) -> None:
    """Print a table with its title and note, and a blank line."""
    title = [wrapped(table.title)] if table.title else []
    print("\n".join([*title, *table_lines(table)]))
    print(f"{wrapped(table.note)}\n" if table.note else "")


def table_lines(table: Table) -> list[str]:
    """Return the lines of a table, its columns two spaces apart.

    The names in the first column are shortened to the room that the other columns leave.
    """
    cells = [[printable(shown(cell)) for cell in row] for row in (table.header, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    room = max(WIDTH - sum(width + 2 for width in widths[1:]), len(cells[0][0]), 8)
    if widths[0] > room:
        widths[0] = room
        names = _short([row[0] for row in cells[1:]], room)
        for row, name in zip(cells[1:], names):
            row[0] = name
    if not any(table.header):
        cells = cells[1:]
    return [_line(row, widths, table.text) for row in cells]


def _line(row: Sequence[str], widths: Sequence[int], text: Collection[int]) -> str:
    """Return one row of a table. text: columns that are set to the left."""
    parts = []
    for i, (cell, width) in enumerate(zip(row, widths)):
        parts.append(cell.ljust(width) if i in text else cell.rjust(width))
    return "  ".join(parts).rstrip()


def _short(names: Sequence[str], width: int) -> list[str]:
    """Shorten long names in the middle; number them if that makes two of them equal."""
    third = width // 3
    short = []
    for name in names:
        if len(name) > width:
            name = f"{name[:third]}…{name[third + 1 - width :]}"
        short.append(name)
    if len(set(short)) < len(set(names)):
        return [f"{i}: {name}"[:width] for i, name in enumerate(names, 1)]
    return short
