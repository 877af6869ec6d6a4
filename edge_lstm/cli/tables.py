"""Tables on standard output: by rich on a terminal, as plain text elsewhere, the same cells in both."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from edge_lstm.cli.notes import WIDTH, wrapped
from edge_lstm.html import Table
from edge_lstm.printable import printable


def print_table(table: Table, *, title: str = "") -> None:
    """Print a table that fits a terminal, its note and a blank line."""
    table, title = fitted(table), printable(title)
    if sys.stdout.isatty():
        _print_rich(table, title)
    else:
        print("\n".join([title] * bool(title) + plain_table(table)))
    print(f"{wrapped(table.note)}\n" if table.note else "")


def plain_table(table: Table) -> list[str]:
    """The lines of a table, its columns two spaces apart."""
    widths = [max(map(len, column)) for column in zip(table.header, *table.rows)]
    return [
        "  ".join(
            f"{cell:<{width}}" if i in table.text else f"{cell:>{width}}"
            for i, (cell, width) in enumerate(zip(cells, widths))
        ).rstrip()
        for cells in (table.header, *table.rows)
    ]


def fitted(table: Table) -> Table:
    """The table with the names in its first column as short as the others leave room, still told apart."""
    header = [printable(cell) for cell in table.header]
    rows = [[printable(cell) for cell in row] for row in table.rows]
    room = WIDTH - sum(max(map(len, column)) + 2 for column in list(zip(header, *rows))[1:])
    for row, name in zip(rows, _short([row[0] for row in rows], max(room, 8))):
        row[0] = name
    return table._replace(header=header, rows=rows)


def _short(names: Sequence[str], width: int) -> list[str]:
    """Names, cut in the middle where they are too long."""
    third = width // 3
    short = [name if len(name) <= width else f"{name[:third]}…{name[third + 1 - width :]}" for name in names]
    if len(set(short)) < len(set(names)):
        return [f"{i}: {name}"[:width] for i, name in enumerate(names, 1)]
    return short


def _print_rich(table: Table, title: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(highlight=False)
    shown = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for i, name in enumerate(table.header):
        shown.add_column(
            Text(name), justify="left" if i in table.text else "right", no_wrap=i not in table.text
        )
    for row in table.rows:
        shown.add_row(*map(Text, row))
    if title:
        console.print(Text(title, style="bold"))
    console.print(shown)
