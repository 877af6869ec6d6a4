"""The drawing of a latency report, by matplotlib (the extra ``report``), as SVG.

Text stays text, colours are those of :mod:`edge_lstm.html`, which swaps them in a dark page.
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

WIDTH, HEIGHT = 860, 380  # in CSS pixels
MOST_DOTS = 1000

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
    """Raise MissingPackageError where matplotlib is not installed: known before the work, not after
    it."""
    with needs("report", "a report"):
        import matplotlib  # noqa: F401


def length_chart(curves: Sequence[tuple[Floats, tuple[float, float], str]]) -> str:
    """Time against tokens: a dot for each text (of 1,000 at most), a line for each setting. → an
    SVG element.

    curves: float64 [texts, 2], tokens and seconds; the line's start and slope; a colour.
    """
    check_drawable()
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # caches of fonts are nobody's concern
    longest = max(float(np.max(texts[:, 0])) for texts, _, _ in curves)
    # A single text that met a disturbance would flatten all others: the axis ends at the 99th part.
    slowest = max(float(np.percentile(texts[:, 1], 99)) for texts, _, _ in curves) * 1.12
    buffer = io.StringIO()
    with rc_context(_STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that its font lacks: the browser's has them
        # An SVG has 72 points in an inch, and one of them is taken for a pixel.
        figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=72, layout="constrained")
        axes = figure.add_subplot()
        for texts, (start, slope), colour in curves:
            tokens, times = texts[:: -(-len(texts) // MOST_DOTS)].T
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
