"""The reliability diagram and the risk-coverage curve of an evaluation, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt

from edge_lstm import metrics
from edge_lstm.evaluation.result import Result
from edge_lstm.html import INK, LINE, MUTED, PAPER, SERIES, figure

# CSS pixels. A phone shows a drawing of this width without scrolling.
WIDTH = 360
HEIGHT = 280
LEFT = 46
RIGHT = 16
TOP = 30
BOTTOM = 44

TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
# The largest share of wrong answers that an axis shows is the first of these that is enough.
TOPS = (0.01, 0.02, 0.04, 0.1, 0.2, 0.4, 1.0)
# The risk of the first few texts is noise, and would set the axis.
LEAST_COVERAGE = 0.05
MOST_POINTS = 300  # of a curve
LARGEST_RADIUS = 9.0  # of a bin that has all texts
SMALLEST_RADIUS = 2.0
LABEL_WIDTH = 30.0  # pixels that a label takes, and its height
LABEL_HEIGHT = 14.0

RELIABILITY = (
    "Reliability: how often answers of a probability are right. On the dashed line the two are "
    "equal. A larger dot has more texts; the bar is its 95 % interval."
)
COVERAGE = (
    "Coverage: the share of wrong answers if only the most probable ones are given. A dot is a "
    "threshold of the table below, with the share that it allows."
)


def curves(results: Sequence[Result]) -> Iterator[str]:
    """Yield both drawings with their captions, as HTML.

    results: with one label per text. Those beyond the number of colours are left out.
    """
    yield '<div class="row">'
    yield figure(_reliability(results), RELIABILITY)
    yield figure(_coverage(results), COVERAGE)
    yield "</div>"


def _reliability(results: Sequence[Result]) -> str:
    x0, y0 = _pixel(0, 0, 1)
    x1, y1 = _pixel(1, 1, 1)
    parts = [_line(x0, y0, x1, y1, MUTED, dash="4 4")]
    # zip() stops at the last colour.
    for result, colour in zip(results, SERIES):
        for each in result.bins:
            if not each.count:
                continue
            x, y = _pixel(each.confidence, each.accuracy, 1)
            right = round(each.accuracy * each.count)
            interval = metrics.wilson_interval(right, each.count)
            _, high = _pixel(0, interval.high, 1)
            _, low = _pixel(0, interval.low, 1)
            radius = max(SMALLEST_RADIUS, LARGEST_RADIUS * sqrt(each.count / len(result.truth)))
            parts += [_line(x, low, x, high, colour), _dot(x, y, radius, colour)]
    return _drawing("reliability diagram", "probability", "right", 1, parts)


def _coverage(results: Sequence[Result]) -> str:
    lines = []
    highest = 0.0
    for result in results[: len(SERIES)]:
        curve = metrics.risk_coverage(result.confidence, result.correct)
        shown = curve[curve[:, 0] >= LEAST_COVERAGE]
        highest = max(highest, float(shown[:, 1].max()))
        step = -(-len(shown) // MOST_POINTS)
        # Counted from the end, so that full coverage is a point.
        lines.append(shown[::-1][::step].tolist())
    top = next(top for top in TOPS if top >= highest)
    parts = []
    labels: list[tuple[float, float]] = []
    for result, colour, line in zip(results, SERIES, lines):
        pixels = [_pixel(coverage, risk, top) for coverage, risk in line]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in pixels)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        parts += _operating_points(result, colour, top, labels)
    return _drawing("risk-coverage curve", "answered", "wrong of these", top, parts)


def _operating_points(
    result: Result, colour: str, top: float, labels: list[tuple[float, float]]
) -> list[str]:
    """Return a dot for each operating point, labelled if its label has room.

    labels: the places of labels so far; each new label adds its own.
    """
    parts = []
    for point in result.operating_points:
        if point.wrong is None:
            continue
        x, y = _pixel(point.answered, min(point.wrong, top), top)
        parts.append(_dot(x, y, 4, colour))
        is_free = all(
            abs(x - other_x) >= LABEL_WIDTH or abs(y - other_y) >= LABEL_HEIGHT
            for other_x, other_y in labels
        )
        if point.abstain is not None and is_free:
            parts.append(_text(x, y - 9, f"{point.abstain * 100:g} %", "middle", INK))
            labels.append((x, y))
    return parts


def _drawing(name: str, x_title: str, y_title: str, top: float, parts: Sequence[str]) -> str:
    """Return an SVG element: axes in percent, and the parts on them.

    top: the largest share that the vertical axis shows; the horizontal one shows 0 to 1.
    """
    axes = [_text(4, 14, f"{y_title}, %", "start", MUTED)]
    axes.append(_text(WIDTH - RIGHT, HEIGHT - 6, f"{x_title}, %", "end", MUTED))
    for tick in TICKS:
        x, bottom = _pixel(tick, 0, top)
        left, y = _pixel(0, tick * top, top)
        axes.append(_line(left, y, WIDTH - RIGHT, y, LINE))
        axes.append(_text(left - 8, y + 4, f"{tick * top * 100:g}", "end", MUTED))
        axes.append(_text(x, bottom + 17, f"{tick * 100:g}", "middle", MUTED))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{name}" font-size="12">'
        f"{''.join([*axes, *parts])}</svg>"
    )


def _pixel(x: float, y: float, top: float) -> tuple[float, float]:
    """Return the place of a value. x: 0 to 1. y: 0 to top."""
    across = LEFT + x * (WIDTH - LEFT - RIGHT)
    down = HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM)
    return across, down


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, dash: str = "none") -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-dasharray="{dash}"/>'
    )


def _dot(x: float, y: float, radius: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}" stroke="{PAPER}"/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'
