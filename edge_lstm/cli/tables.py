"""Tables on standard output: by rich on a terminal, as plain text elsewhere, the same cells in both."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence

from edge_lstm.printable import printable

WIDTH = 79  # of plain text


def print_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "", text: Collection[int] = (0,)
) -> None:
    """Prints a table and a blank line behind it. text: columns that are set to the left; the others hold
    numbers.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    header, title = [printable(name) for name in header], printable(title)
    if sys.stdout.isatty():
        _print_rich(header, rows, title, text)
    else:
        print("\n".join([title] * bool(title) + plain_table(header, rows, text=text)), end="\n\n")


def plain_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, text: Collection[int] = (0,)
) -> list[str]:
    """The lines of a table, its columns two spaces apart."""
    widths = [max(map(len, column)) for column in zip(header, *rows)]

    def line(cells: Sequence[str]) -> str:
        padded = (f"{c:<{w}}" if i in text else f"{c:>{w}}" for i, (c, w) in enumerate(zip(cells, widths)))
        return "  ".join(padded).rstrip()

    return [line(header), *map(line, rows)]


def width_of(header: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Of the table as plain text."""
    return max(map(len, plain_table(header, rows)))


def short(name: str, width: int) -> str:
    """A name as it fits, its end kept, which tells files apart."""
    return name if len(name) <= width else "…" + name[-(width - 1) :]


def _print_rich(
    header: Sequence[str], rows: Sequence[Sequence[str]], title: str, text: Collection[int]
) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for i, name in enumerate(header):
        table.add_column(Text(name), justify="left" if i in text else "right", no_wrap=i not in text)
    for row in rows:
        table.add_row(*map(Text, row))
    if title:
        console.print(Text(title, style="bold"))
    console.print(table)
    console.print()
