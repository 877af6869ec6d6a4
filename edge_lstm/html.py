"""Tables, and one self-contained HTML page: its frame and its style.

The page loads nothing from anywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape
from typing import NamedTuple

from edge_lstm.printable import visible

# Name → the colour on white paper, and on dark paper with the same contrast to the paper.
_COLOURS = {
    "ink": ("#1d2430", "#e3e8ef"),
    "muted": ("#5d6778", "#9aa5b5"),
    "line": ("#d5dae2", "#343d4b"),
    "paper": ("#ffffff", "#12161d"),
}
_LIGHT, _DARK = (
    " ".join(f"--{name}: {pair[paper]};" for name, pair in _COLOURS.items()) for paper in range(2)
)


Cell = object
Row = Sequence[Cell]


class Table(NamedTuple):
    """A table.

    header: title of each column; no header is shown if all are empty.
    rows: the cells, see shown().
    note: a line below the table.
    text: columns that are set to the left; the others hold numbers.
    title: a line above the table.
    """

    header: Sequence[str]
    rows: Sequence[Row]
    note: str = ""
    text: Collection[int] = (0,)
    title: str = ""


def shown(cell: Cell) -> str:
    """Return a cell as text: a float as a share in percent, None as a dash."""
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:.2%}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


_STYLE = f"""
:root {{ {_LIGHT} color-scheme: light dark; }}
@media screen and (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}
:root {{ color: var(--ink); background: var(--paper); font: 15px/1.5 system-ui, "Segoe UI", Roboto,
  "DejaVu Sans", sans-serif; font-variant-numeric: tabular-nums; }}
body {{ max-width: 1040px; margin: 0 auto; padding: 28px 24px 60px; overflow-wrap: break-word; }}
h1 {{ font-size: 1.75rem; line-height: 1.25; margin: 0 0 4px; }}
h2 {{ font-size: 1.25rem; margin: 40px 0 6px; padding-top: 14px;
  border-top: 1px solid var(--line); }}
h3 {{ font-size: 1rem; margin: 18px 0 4px; }}
p {{ margin: 4px 0 10px; max-width: 75ch; }}
.muted, footer {{ color: var(--muted); font-size: 0.87rem; }}
footer {{ margin-top: 48px; border-top: 1px solid var(--line); padding-top: 10px;
  overflow-wrap: anywhere; }}
/* A part wider than a phone scrolls by itself, not the page; a shadow at its edge says so. */
.wide {{ overflow-x: auto; background:
  linear-gradient(to left, var(--paper) 50%, transparent) right / 3rem 100% no-repeat local,
  linear-gradient(to left, color-mix(in srgb, var(--muted) 50%, transparent), transparent)
  right top / 0.5rem calc(100% - 1.5rem) no-repeat scroll; }}
table {{ border-collapse: collapse; margin: 8px 0 14px; width: 100%; }}
th, td {{ text-align: left; padding: 5px 12px 5px 0; vertical-align: top; }}
th, td {{ border-bottom: 1px solid var(--line); }}
th {{ color: var(--muted); font-weight: 600; font-size: 0.87rem; white-space: nowrap; }}
td:first-child:not(.number) {{ min-width: 7em; }}
.number {{ text-align: right; white-space: nowrap; }}
td:last-child:not(.number) {{ min-width: 11em; white-space: pre-wrap; overflow-wrap: anywhere; }}
@media (max-width: 600px) {{
  body {{ padding: 16px 14px 40px; }}
  h1 {{ font-size: 1.4rem; }}
}}
@media print {{
  body {{ max-width: none; padding: 0; }}
  :root {{ font-size: 11px; }}
  h2, h3 {{ break-after: avoid; }}
  tr {{ break-inside: avoid; }}
}}
"""


def page(title: str, subtitle: Sequence[str], body: Iterable[str], footer: Sequence[str]) -> str:
    """Return the whole document.

    title: a line of text.
    subtitle, footer: lines of text.
    body: pieces of HTML.

    Control characters and marks of direction become escapes.
    """
    lines = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
        f'<h1>{escape(title)}</h1>\n<p class="muted">{"<br>".join(map(escape, subtitle))}</p>',
        *body,
        f"<footer>{'<br>'.join(map(escape, footer))}</footer>\n</body>\n</html>\n",
    )
    return visible("\n".join(lines))


def table(cells: Table) -> str:
    """Return a table with its title and note; it scrolls by itself if it is too wide."""

    def row(tag: str, values: Row) -> str:
        cells_of_row = ""
        for i, value in enumerate(values):
            css_class = "" if i in cells.text else ' class="number"'
            cells_of_row += f"<{tag}{css_class}>{escape(shown(value))}</{tag}>"
        return f"<tr>{cells_of_row}</tr>"

    title = f"<h2>{escape(cells.title)}</h2>" if cells.title else ""
    head = f"<thead>{row('th', cells.header)}</thead>" if any(cells.header) else ""
    body = f"<tbody>{''.join(row('td', values) for values in cells.rows)}</tbody>"
    note = f'<p class="muted">{escape(cells.note)}</p>' if cells.note else ""
    return f'{title}<div class="wide"><table>{head}{body}</table></div>{note}'


def items(lines: Iterable[str]) -> str:
    """Return a list of lines of text."""
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"
