"""The drawings of reports, by matplotlib (the extra ``report``), as SVG.

Text stays text, colours are those of :mod:`edge_lstm.html`, which swaps them in a dark page.
"""

from __future__ import annotations

import io
import logging
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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

_STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib; its letters are wider than most
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
    "axes.unicode_minus": False,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    **{f"{axis}tick.color": MUTED for axis in "xy"},
    **{f"{axis}tick.labelsize": 10 for axis in "xy"},
    **{f"{axis}tick.{kind}.size": 0 for axis in "xy" for kind in ("major", "minor")},
    "figure.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "edge-lstm",  # the same drawing has the same bytes
}


def check_drawable() -> None:
    """Raises MissingPackageError where matplotlib is not installed: known before the work, not after it."""
    with needs("report", "a report"):
        import matplotlib  # noqa: F401


@contextmanager
def style() -> Iterator[None]:
    """How everything is drawn. Charts are made and written in it."""
    check_drawable()
    import matplotlib

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # caches of fonts are nobody's concern
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that its font lacks: the browser's has them
        yield


def new_axes(width: float, height: float) -> Any:
    """Axes of a figure of its own, in CSS pixels."""
    from matplotlib.figure import Figure

    # An SVG has 72 points in an inch, and one of them is taken for a pixel.
    return Figure(figsize=(width / 72, height / 72), dpi=72, layout="constrained").add_subplot()


def to_svg(axes: Any, title: str) -> str:
    """The figure as an SVG element; ``title`` is what a screen reader says of it."""
    buffer = io.StringIO()
    figure = axes.figure
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    body = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    # Names of groups are nobody's, and would be there twice in a page of two drawings.
    body = re.sub(r'<g id="[^"]*">', "<g>", body)
    width, height = (float(size) * 72 for size in figure.get_size_inches())
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" role="img" '
        f'aria-label="{escape(title)}">'
    )
    return head + body[body.index(">") + 1 :].strip()


def milliseconds(us: float) -> str:
    """µs → a short label in µs, ms or s."""
    if us < 1000:
        return f"{us:.3g} µs" if us < 100 else f"{us:.0f} µs"
    return f"{us / 1e3:.3g} ms" if us < 999_500 else f"{us / 1e6:.3g} s"


def _percent_axis(axis: Any, most: int = 6) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axis.set_major_locator(MaxNLocator(most, steps=(1, 2, 2.5, 5, 10)))
    axis.set_major_formatter(PercentFormatter(1, decimals=None))


# ---- evaluation


def reliability_chart(bins: Sequence[CalibrationBin], labels: int) -> str:
    """Accuracy against confidence, and the gap between them."""
    # The most probable of L labels has at least 1 / L: nothing can be left of that.
    start = math.floor(len(bins) / labels) / len(bins) if labels <= 3 else 0.0
    with style():
        axes = new_axes(SMALL, SMALL)
        for b in bins:
            low = max(b.low, start)
            bar: dict[str, Any] = {"align": "edge", "width": (b.high - low) * 0.96}
            met, gap = min(b.accuracy, b.confidence), abs(b.accuracy - b.confidence)
            colour, shade = (BAD, 0.6) if b.accuracy < b.confidence else (GOOD, 0.35)
            axes.bar(low, met, color=GOOD, alpha=0.85, **bar)
            axes.bar(low, gap, bottom=met, color=colour, alpha=shade, **bar)
        axes.plot((start, 1), (start, 1), color=INK, linestyle=(0, (4, 3)), linewidth=1)
        axes.set(xlim=(start, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy")
        _percent_axis(axes.yaxis, 5)
        _percent_axis(axes.xaxis)
        return to_svg(axes, "reliability diagram")


def coverage_chart(
    confidence: npt.NDArray[np.float32], right: npt.NDArray[np.bool_], answered: npt.NDArray[np.bool_]
) -> str:
    """Accuracy among the surest predictions, from a few of them to all: what abstaining on the rest buys.

    confidence: float32 [n], probability of each predicted label. right: bool [n]. answered: bool [n], the
    texts on which the model does not abstain: their share is marked.
    """
    shares, accuracy = coverage(confidence, right)
    with style():
        axes = new_axes(SMALL, SMALL)
        axes.plot(shares, accuracy, color=GOOD, linewidth=2.5, marker="o", markersize=3)
        floor = min(0.9, math.floor(float(accuracy.min()) * 10) / 10)
        if answered.any() and not answered.all():
            axes.axvline(float(answered.mean()), color=BAD, linewidth=1.5, linestyle="--")
        axes.set(xlim=(0, 1), ylim=(floor, 1), xlabel="share of texts answered (coverage)")
        axes.set_ylabel("accuracy")
        _percent_axis(axes.xaxis, 5)
        _percent_axis(axes.yaxis, 5)
        return to_svg(axes, "accuracy of the surest predictions")


def coverage(confidence: npt.NDArray[np.float32], right: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Shares of the texts, the surest first, and the accuracy among them: float64 [at most 60] both."""
    order = np.argsort(-confidence, kind="stable")
    kept = np.unique(np.linspace(max(1, len(order) // 50), len(order), 60).astype(int))
    return kept / len(order), np.cumsum(right[order])[kept - 1] / kept


# ---- latency


@dataclass(frozen=True)
class LengthCurve:
    """Texts of one setting by length: tokens and µs of each, and the line through them."""

    tokens: Floats
    times_us: Floats
    fixed_us: float
    per_token_us: float
    colour: str


def length_curve_chart(settings: Sequence[LengthCurve]) -> str:
    """Time against tokens: a dot for each text (of 1,000 at most), a line for each setting."""
    longest = max(float(one.tokens.max()) for one in settings)
    # A single text that met a disturbance would flatten all others: the axis ends at the 99th part.
    slowest = max(float(np.percentile(one.times_us, 99)) for one in settings) * 1.12
    with style():
        axes = new_axes(WIDTH, 380)
        for one in settings:
            some = slice(None, None, -(-len(one.tokens) // MOST_DOTS))
            dots = np.minimum(one.times_us[some], slowest)
            axes.plot(one.tokens[some], dots, ".", color=one.colour, alpha=0.5, markersize=6, clip_on=False)
            ends = np.array((0.0, longest))
            axes.plot(ends, one.fixed_us + one.per_token_us * ends, color=one.colour, linewidth=1.8)
        axes.set(xlim=(0, longest * 1.01), ylim=(0, slowest), xlabel="tokens of the text")
        axes.yaxis.set_major_formatter(lambda us, _: milliseconds(us) if us else "0")
        axes.grid(visible=False, axis="x")
        return to_svg(axes, "time by length of the text")
