"""The drawings of reports, by matplotlib (the extra ``report``), as SVG.

Text stays text, colours are those of :mod:`edge_lstm.html`, which swaps them in a dark page.
"""

from __future__ import annotations

import io
import logging
import math
import re
import warnings
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm.extras import needs
from edge_lstm.html import BAD, GOOD, INK, LINE, MUTED
from edge_lstm.metrics import CalibrationBin

Floats = npt.NDArray[np.float64]

WIDTH = 860.0  # of a drawing as wide as the page, in CSS pixels
SMALL = 300.0  # of one that stands beside others
MOST_DOTS = 1000

_TICKS = {"color": MUTED, "labelsize": 10, "major.size": 0}
_STYLE = {
    "font.size": 11,
    "text.color": INK,
    "text.parse_math": False,  # a file may be called $x$
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    **{f"{axis}tick.{name}": value for axis in "xy" for name, value in _TICKS.items()},
    "figure.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "edge-lstm",  # the same drawing has the same bytes
}


def check_drawable() -> None:
    """Raise MissingPackageError where matplotlib is not installed: known before the work, not after it."""
    with needs("report", "a report"):
        import matplotlib  # noqa: F401


def reliability_chart(bins: Sequence[CalibrationBin], labels: int) -> str:
    """Accuracy against confidence, and the gap between them."""
    # The most probable of L labels has at least 1 / L: nothing can be left of that.
    start = math.floor(len(bins) / labels) / len(bins) if labels <= 3 else 0.0

    def draw(axes: Any) -> None:
        for b in bins:
            low = max(b.low, start)
            bar: dict[str, Any] = {"align": "edge", "width": (b.high - low) * 0.96}
            met, gap = min(b.accuracy, b.confidence), abs(b.accuracy - b.confidence)
            colour, shade = (BAD, 0.6) if b.accuracy < b.confidence else (GOOD, 0.35)
            axes.bar(low, met, color=GOOD, alpha=0.85, **bar)
            axes.bar(low, gap, bottom=met, color=colour, alpha=shade, **bar)
        axes.plot((start, 1), (start, 1), color=INK, linestyle=(0, (4, 3)), linewidth=1)
        axes.set(xlim=(start, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy")

    return _drawn(draw, "reliability diagram", SMALL, SMALL, percent=True)


def coverage_chart(
    confidence: npt.NDArray[np.float32], right: npt.NDArray[np.bool_], answered: npt.NDArray[np.bool_]
) -> str:
    """Accuracy among the surest predictions, from a few of them to all: what abstaining on the rest buys.

    confidence: float32 [n], probability of each predicted label. right: bool [n]. answered: bool [n], the
    texts on which the model does not abstain: their share is marked.
    """
    shares, accuracy = coverage(confidence, right)

    def draw(axes: Any) -> None:
        axes.plot(shares, accuracy, color=GOOD, linewidth=2.5, marker="o", markersize=3)
        if answered.any() and not answered.all():
            axes.axvline(float(answered.mean()), color=BAD, linewidth=1.5, linestyle="--")
        floor = min(0.9, math.floor(float(accuracy.min()) * 10) / 10)
        label = "share of texts answered (coverage)"
        axes.set(xlim=(0, 1), ylim=(floor, 1), xlabel=label, ylabel="accuracy")

    return _drawn(draw, "accuracy of the texts answered", SMALL, SMALL, percent=True)


def coverage(confidence: npt.NDArray[np.float32], right: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Shares of the texts, the surest first, and the accuracy among them: float64 [at most 60] both."""
    order = np.argsort(-confidence, kind="stable")
    counts = np.unique(np.linspace(max(1, len(order) // 50), len(order), 60).astype(int))
    return counts / len(order), np.cumsum(right[order])[counts - 1] / counts


def length_chart(curves: Sequence[tuple[Floats, tuple[float, float], str]]) -> str:
    """Time against tokens: a dot for each text (of 1,000 at most), a line for each setting.

    curves: float64 [texts, 2], tokens and seconds; the line's start and slope; a colour.
    """
    longest = max(float(texts[:, 0].max()) for texts, _, _ in curves)
    # A single text that met a disturbance would flatten all others: the axis ends at the 99th part.
    slowest = max(float(np.percentile(texts[:, 1], 99)) for texts, _, _ in curves) * 1.12

    def draw(axes: Any) -> None:
        from matplotlib.ticker import EngFormatter

        for texts, (start, slope), colour in curves:
            tokens, times = texts[:: -(-len(texts) // MOST_DOTS)].T
            dots = np.minimum(times, slowest)
            axes.plot(tokens, dots, ".", color=colour, alpha=0.5, markersize=6, clip_on=False)
            axes.plot((0, longest), (start, start + slope * longest), color=colour, linewidth=1.8)
        axes.set(xlim=(0, longest * 1.01), ylim=(0, slowest), xlabel="tokens per text")
        axes.yaxis.set_major_formatter(EngFormatter("s"))
        axes.grid(visible=False, axis="x")

    return _drawn(draw, "time by length", WIDTH, 380)


def _drawn(
    draw: Callable[[Any], None], title: str, width: float, height: float, percent: bool = False
) -> str:
    """An SVG element. draw: draws on matplotlib's axes. title: what a screen reader says of it.

    width, height: in CSS pixels. percent: whether both axes are shares.
    """
    check_drawable()
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # caches of fonts are nobody's concern
    buffer = io.StringIO()
    with rc_context(_STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that its font lacks: the browser's has them
        # An SVG has 72 points in an inch, and one of them is taken for a pixel.
        figure = Figure(figsize=(width / 72, height / 72), dpi=72, layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        for axis in (axes.xaxis, axes.yaxis) if percent else ():
            axis.set_major_locator(MaxNLocator(5, steps=(1, 2, 2.5, 5, 10)))
            axis.set_major_formatter(PercentFormatter(1, decimals=None))
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    # Names of groups are nobody's, and would be there twice in a page of two drawings.
    body = re.sub(r'<g id="[^"]*">', "<g>", buffer.getvalue().partition("</metadata>")[2].strip())
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" role="img" '
        f'aria-label="{escape(title)}">{body}'
    )
