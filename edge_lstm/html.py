"""One self-contained HTML page: its frame, its style, its tables. Nothing is loaded from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

INK, MUTED, LINE, PAPER = "#1d2430", "#5d6778", "#d5dae2", "#ffffff"
# Told apart by people who see no red or no green, and in grey print: blue, orange, green, purple, red, grey.
SERIES = ("#2563a8", "#d9772b", "#3c8a5b", "#7d57a3", "#b03a4a", "#5d6778")
GOOD, BAD = SERIES[0], SERIES[1]

_STYLE = f"""
:root {{ color: {INK}; background: {PAPER}; font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans",
  sans-serif; font-variant-numeric: tabular-nums; }}
body {{ max-width: 1040px; margin: 0 auto; padding: 28px 24px 60px; }}
h1 {{ font-size: 1.75rem; line-height: 1.25; margin: 0 0 4px; }}
h2 {{ font-size: 1.25rem; margin: 40px 0 6px; padding-top: 14px; border-top: 1px solid {LINE}; }}
h3 {{ font-size: 1rem; margin: 18px 0 4px; }}
p {{ margin: 4px 0 10px; max-width: 75ch; }}
.muted, figcaption, footer {{ color: {MUTED}; font-size: 0.87rem; }}
footer {{ margin-top: 48px; border-top: 1px solid {LINE}; padding-top: 10px; }}
table {{ border-collapse: collapse; margin: 8px 0 14px; width: 100%; }}
th, td {{ text-align: left; padding: 5px 12px 5px 0; border-bottom: 1px solid {LINE}; vertical-align: top; }}
th {{ color: {MUTED}; font-weight: 600; font-size: 0.87rem; }}
.number {{ text-align: right; white-space: nowrap; }}
.figures {{ display: flex; flex-wrap: wrap; gap: 12px 26px; align-items: flex-start; }}
figure {{ display: table; margin: 8px 0; break-inside: avoid; }}
figcaption {{ display: table-caption; caption-side: bottom; }} /* as wide as the drawing */
svg {{ display: block; max-width: 100%; height: auto; }}
svg text {{ font-family: inherit; fill: {INK}; }}
details summary {{ cursor: pointer; }}
details[open] summary {{ color: {MUTED}; }}
.text {{ white-space: pre-wrap; overflow-wrap: anywhere; }}
.swatch {{ display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 6px; }}
@media print {{
  body {{ max-width: none; padding: 0; }}
  :root {{ font-size: 11px; -webkit-print-color-adjust: exact; print-color-adjust: exact; }}
  h2, h3 {{ break-after: avoid; }}
  tr {{ break-inside: avoid; }}
}}
"""


def page(title: str, body: Iterable[str], *, style: str = "") -> str:
    """The whole document; ``body`` is HTML, ``title`` is text, ``style`` more CSS."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}{style}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """header: text; rows: HTML cells; numbers: columns that are set to the right."""

    def cells(tag: str, values: Sequence[str]) -> str:
        return "".join(
            f'<{tag} class="number">{value}</{tag}>' if i in numbers else f"<{tag}>{value}</{tag}>"
            for i, value in enumerate(values)
        )

    head = f"<tr>{cells('th', [escape(name) for name in header])}</tr>"
    return (
        f"<table><thead>{head}</thead><tbody>"
        + "".join(f"<tr>{cells('td', r)}</tr>" for r in rows)
        + "</tbody></table>"
    )


def figure(svg: str, caption: str) -> str:
    """A drawing with what it shows, in words."""
    return f"<figure>{svg}<figcaption>{caption}</figcaption></figure>"
