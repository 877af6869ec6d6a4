"""One self-contained HTML page: its frame, its style, its tables. Nothing is loaded from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from edge_lstm.printable import visible

INK, MUTED, LINE, PAPER = "#1d2430", "#5d6778", "#d5dae2", "#ffffff"
# Told apart by people who see no red or no green, and in grey print: blue, orange, green, purple, red, grey.
SERIES = ("#2563a8", "#d9772b", "#3c8a5b", "#7d57a3", "#b03a4a", "#66707f")
GOOD, BAD = SERIES[0], SERIES[1]
# The same on dark paper: each as far from its paper as the other is from white.
_DARK = {
    INK: "#e3e8ef",
    MUTED: "#9aa5b5",
    LINE: "#343d4b",
    PAPER: "#12161d",
    **dict(zip(SERIES, ("#5b9be0", "#e2904e", "#5fb383", "#a98ad0", "#df7280", "#8d98a8"))),
}
_NAMES = {
    INK: "ink",
    MUTED: "muted",
    LINE: "line",
    PAPER: "paper",
    **{colour: f"series-{i}" for i, colour in enumerate(SERIES)},
}


def _variables(dark: bool) -> str:
    values = {name: _DARK[colour] if dark else colour for colour, name in _NAMES.items()}
    tint = "#1b222c" if dark else "#f4f6f9"
    return " ".join(f"--{name}: {value};" for name, value in {**values, "tint": tint}.items())


_STYLE = f"""
:root {{ {_variables(False)} --good: var(--series-0); --bad: var(--series-1); color-scheme: light dark; }}
@media screen and (prefers-color-scheme: dark) {{ :root {{ {_variables(True)} }} }}
:root {{ color: var(--ink); background: var(--paper); font: 15px/1.5 system-ui, "Segoe UI", Roboto,
  "DejaVu Sans", sans-serif; font-variant-numeric: tabular-nums; }}
body {{ max-width: 1040px; margin: 0 auto; padding: 28px 24px 60px; overflow-wrap: break-word; }}
h1 {{ font-size: 1.75rem; line-height: 1.25; margin: 0 0 4px; }}
h2 {{ font-size: 1.25rem; margin: 40px 0 6px; padding-top: 14px; border-top: 1px solid var(--line); }}
h3 {{ font-size: 1rem; margin: 18px 0 4px; }}
p {{ margin: 4px 0 10px; max-width: 75ch; }}
.muted, figcaption, footer {{ color: var(--muted); font-size: 0.87rem; }}
footer {{ margin-top: 48px; border-top: 1px solid var(--line); padding-top: 10px; }}
footer {{ overflow-wrap: anywhere; }}
.wide {{ overflow-x: auto; }} /* what is wider than a phone scrolls by itself, not the page */
table {{ border-collapse: collapse; margin: 8px 0 14px; width: 100%; }}
th, td {{ text-align: left; padding: 5px 12px 5px 0; vertical-align: top; }}
th, td {{ border-bottom: 1px solid var(--line); }}
th {{ color: var(--muted); font-weight: 600; font-size: 0.87rem; white-space: nowrap; }}
td:first-child {{ min-width: 7em; }}
.number {{ text-align: right; white-space: nowrap; }}
.cell {{ display: block; padding: 0 6px; border-radius: 3px; }}
.figures {{ display: flex; flex-wrap: wrap; gap: 12px 26px; align-items: flex-start; }}
.figures > * {{ max-width: 100%; }}
figure {{ margin: 8px 0; break-inside: avoid; width: 100%; }}
figcaption {{ max-width: 75ch; }}
svg {{ display: block; width: 100%; height: auto; }}
.wide > svg {{ min-width: min(var(--width), 600px); }}
svg text {{ font-family: inherit !important; }}
.text {{ white-space: pre-wrap; overflow-wrap: anywhere; }}
.swatch {{ display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 6px; }}
@media (max-width: 600px) {{ body {{ padding: 16px 14px 40px; }} h1 {{ font-size: 1.4rem; }} }}
@media print {{
  body {{ max-width: none; padding: 0; }}
  :root {{ font-size: 11px; -webkit-print-color-adjust: exact; print-color-adjust: exact; }}
  .wide > svg {{ min-width: 0; }}
  h2, h3 {{ break-after: avoid; }}
  tr {{ break-inside: avoid; }}
}}
"""


def page(title: str, body: Iterable[str]) -> str:
    """The whole document; ``body`` is HTML, ``title`` is text. Control characters and marks of direction
    become escapes."""
    document = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )
    return visible(document)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """header: text; rows: HTML cells; numbers: columns that are set to the right."""

    def cells(tag: str, values: Sequence[str]) -> str:
        return "".join(
            f'<{tag} class="number">{value}</{tag}>' if i in numbers else f"<{tag}>{value}</{tag}>"
            for i, value in enumerate(values)
        )

    head = f"<tr>{cells('th', [escape(name) for name in header])}</tr>"
    return (
        f'<div class="wide"><table><thead>{head}</thead><tbody>'
        + "".join(f"<tr>{cells('td', r)}</tr>" for r in rows)
        + "</tbody></table></div>"
    )


def figure(svg: str, caption: str) -> str:
    """A drawing with what it shows, in words. Its colours become those of light or dark paper."""
    for colour, name in _NAMES.items():
        svg = svg.replace(colour, f"var(--{name})")
    width = svg.partition(' width="')[2].partition('"')[0]
    size = f"--width: {width}px; max-width: min(100%, {width}px)"
    return f'<figure style="{size}"><div class="wide">{svg}</div><figcaption>{caption}</figcaption></figure>'


def swatch(i: int) -> str:
    """A patch in the colour of the ith series."""
    return f'<span class="swatch" style="background:var(--series-{i % len(SERIES)})"></span>'
