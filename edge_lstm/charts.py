"""The chart of a latency report, by matplotlib (the extra ``report``), as SVG.

Text stays text. The colours come from :mod:`edge_lstm.html`, which swaps them on dark paper.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge_lstm.extras import needs
from edge_lstm.html import INK, LINE, MUTED

Floats = npt.NDArray[np.float64]

WIDTH = 860  # CSS pixels
HEIGHT = 380  # CSS pixels
MOST_DOTS = 1000  # dots of a curve

_TICKS = {"color": MUTED, "labelsize": 10, "major.size": 0}
_STYLE = {
    "font.size": 11,
    "text.color": INK,
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
    """Raise MissingPackageError if matplotlib is not installed; called before the work."""
    with needs("report", "a report"):
        import matplotlib  # noqa: F401


def length_chart(curves: Sequence[tuple[Floats, tuple[float, float], str]]) -> str:
    """Draw time against tokens: a dot for each text, a line for each setting.

    curves: of each setting, float64 [texts, 2], tokens and seconds; start (s) and slope (s per
        token) of the line; a colour. At most MOST_DOTS texts are drawn.

    Return an SVG element.
    """
    check_drawable()
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # no lines about font caches
    longest = max(float(np.max(texts[:, 0])) for texts, _, _ in curves)
    # A single disturbed text would flatten all others, so the axis ends above the 99th percentile.
    slowest = max(float(np.percentile(texts[:, 1], 99)) for texts, _, _ in curves) * 1.12
    buffer = io.StringIO()
    with rc_context(_STYLE), warnings.catch_warnings():
        # Matplotlib warns of letters that its font lacks; the browser uses fonts of its own.
        warnings.simplefilter("ignore")
        # An SVG of matplotlib has 72 points per inch; a point counts as a CSS pixel here.
        figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=72, layout="constrained")
        axes = figure.add_subplot()
        for texts, (start, slope), colour in curves:
            step = -(-len(texts) // MOST_DOTS)
            tokens, times = texts[::step].T
            dots = np.minimum(times, slowest)
            axes.plot(tokens, dots, ".", color=colour, alpha=0.5, markersize=6, clip_on=False)
            axes.plot((0, longest), (start, start + slope * longest), color=colour, linewidth=1.8)
        axes.set(xlim=(0, longest * 1.01), ylim=(0, slowest), xlabel="tokens per text")
        axes.yaxis.set_major_formatter(EngFormatter("s"))
        axes.grid(visible=False, axis="x")
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    body = buffer.getvalue().partition("</metadata>")[2].strip()
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="time by length of the text">{body}'
    )
