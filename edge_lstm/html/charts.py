"""Drawings of a report, as SVG: dots and lines over two axes.

A drawing fits a phone, and grows with the page. It has the page's colours
(:mod:`edge_lstm.html.page`), on dark paper too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

# CSS pixels of the drawing, and of the paper around its axes.
WIDTH = 360
HEIGHT = 280
LEFT = 46
RIGHT = 16
TOP = 30
BOTTOM = 44

MOST_TICKS = 5  # of an axis, the one at 0 not counted


class Chart:
    """A drawing over two axes that begin at 0."""

    def __init__(self, name: str, x_title: str, y_title: str, most: tuple[float, float]) -> None:
        """Draw the axes.

        name: of the drawing, for those who do not see it.
        x_title, y_title: of the axes, with their units.
        most: the largest value on each axis, above 0.
        """
        self._name = name
        self._most = most
        self._parts: list[str] = []
        self._text(4, 14, y_title, "start")
        self._text(WIDTH - RIGHT, HEIGHT - 6, x_title, "end")
        for tick in ticks(most[0]):
            x, y = self._place(tick, 0)
            self._text(x, y + 17, f"{tick:,g}", "middle")
        for tick in ticks(most[1]):
            x, y = self._place(0, tick)
            self._text(x - 8, y + 4, f"{tick:,g}", "end")
            self.line([(0, tick), (most[0], tick)], "line", width=1)

    def dot(self, x: float, y: float, colour: str, radius: float = 3.0) -> None:
        """Draw a dot. colour: its name on the page. radius: in pixels."""
        across, down = self._place(x, y)
        self._parts.append(
            f'<circle cx="{across:.1f}" cy="{down:.1f}" r="{radius:.1f}" fill="var(--{colour})"/>'
        )

    def line(
        self, points: Iterable[tuple[float, float]], colour: str, *, width: float = 2.0
    ) -> None:
        """Draw a line through points. width: in pixels."""
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in (self._place(*p) for p in points))
        self._parts.append(
            f'<polyline points="{places}" fill="none" stroke="var(--{colour})" '
            f'stroke-width="{width}"/>'
        )

    def label(self, x: float, y: float, text: str) -> None:
        """Write above a point. text: without markup."""
        across, down = self._place(x, y)
        self._text(across, down - 9, text, "middle", "ink")

    def svg(self) -> str:
        """Return the SVG element."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'role="img" aria-label="{self._name}" font-size="12">{"".join(self._parts)}</svg>'
        )

    def _text(self, x: float, y: float, text: str, anchor: str, colour: str = "muted") -> None:
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="var(--{colour})">'
            f"{text}</text>"
        )

    def _place(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixels of a point; a value beyond an axis is at its end."""
        right, top = self._most
        across = min(x / right, 1) * (WIDTH - LEFT - RIGHT)
        up = min(y / top, 1) * (HEIGHT - TOP - BOTTOM)
        return LEFT + across, HEIGHT - BOTTOM - up


def ticks(most: float) -> list[float]:
    """Return round values from 0 up, at most MOST_TICKS above 0.

    most: the largest value of the axis, above 0.
    """
    power = 10 ** math.floor(math.log10(most / MOST_TICKS))
    step = next(power * times for times in (1, 2, 5, 10) if power * times * MOST_TICKS >= most)
    return [i * step for i in range(int(most / step) + 1)]
