"""Drawings as SVG, made of strings: what the charts of all reports are built from."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from edge_lstm.html import INK, LINE


def svg(width: float, height: float, parts: Sequence[str], title: str) -> str:
    """A drawing; ``title`` is what a screen reader says of it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(title)}">'
        + "".join(parts)
        + "</svg>"
    )


def text(
    x: float, y: float, text: str, *, size: int = 12, anchor: str = "start", fill: str = INK, turn: int = 0
) -> str:
    """A line of text; anchor: start, middle or end of it is at x; turn: degrees, clockwise."""
    turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
        f'style="fill:{fill}"{turned}>{escape(text)}</text>'
    )


def rect(x: float, y: float, w: float, h: float, fill: str, opacity: float = 1, title: str = "") -> str:
    """A filled rectangle; ``title`` is shown where the pointer rests on it."""
    inside = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(w, 0):.1f}" height="{max(h, 0):.1f}" fill="{fill}" '
        f'fill-opacity="{opacity:.3f}">{inside}</rect>'
    )


def line(x1: float, y1: float, x2: float, y2: float, stroke: str = LINE, more: str = "") -> str:
    """A straight line; more: further attributes."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" {more}/>'


def clip(label: str, most: int = 18) -> str:
    """The label, cut off with … where it is longer than ``most`` characters."""
    return label if len(label) <= most else label[: most - 1] + "…"
