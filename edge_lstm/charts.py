"""The drawings of the evaluation report, as SVG: made here, with nothing but strings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

from edge_lstm.html import BAD, GOOD, INK, LINE, MUTED, SERIES
from edge_lstm.metrics import CalibrationBin, Interval
from edge_lstm.svg import clip as _clip
from edge_lstm.svg import line as _line
from edge_lstm.svg import rect as _rect
from edge_lstm.svg import svg
from edge_lstm.svg import text as _text

# More labels than this, and the cells of a confusion matrix are too small to read.
MATRIX_LABELS = 16
FEW_TEXTS = 20


@dataclass(frozen=True)
class LengthBin:
    """Texts of a range of lengths: their number, and each model's accuracy with its 95 % interval."""

    name: str
    count: int
    accuracies: tuple[float, ...]
    intervals: tuple[Interval, ...]


def confusion_chart(confusion: npt.NDArray[np.int64], labels: Sequence[str]) -> str:
    """A row for each true label, a column for each answer; the shade is the share of the row."""
    n = len(labels)
    cell = 104 if n == 2 else 80 if n == 3 else max(34, 340 // n)
    widest = 7 * max(len(_clip(label)) for label in labels)
    turn = -50 if widest > cell - 6 else 0  # names too wide for their column
    left = 34 + widest
    top = 44 if not turn else 40 + 0.8 * widest
    parts = [_text(left + n * cell / 2, 14, "answer", anchor="middle", fill=MUTED)]
    parts.append(
        _text(
            12,
            top + n * cell / 2,
            "true label",
            anchor="middle",
            fill=MUTED,
            turn=-90,
        )
    )
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    for i, label in enumerate(labels):
        middle = cell * (i + 0.5)
        parts.append(_text(left - 8, top + middle + 4, _clip(label), anchor="end"))
        parts.append(
            _text(left + middle, top - 8, _clip(label), anchor="start" if turn else "middle", turn=turn)
        )
        for j in range(n):
            share, count = float(shares[i, j]), int(confusion[i, j])
            x, y = left + j * cell, top + i * cell
            colour = GOOD if i == j else BAD
            # A square root keeps the few mistakes of a good model visible.
            shade = math.sqrt(share)
            title = f"true {label}, answer {labels[j]}: {count:,} ({share:.1%})"
            parts.append(_rect(x + 1, y + 1, cell - 2, cell - 2, colour, 0.04 + 0.86 * shade, title))
            ink = "#ffffff" if shade > 0.6 else INK
            if cell >= 70:
                parts.append(
                    _text(x + cell / 2, y + cell / 2, f"{count:,}", size=15, anchor="middle", fill=ink)
                )
                parts.append(
                    _text(x + cell / 2, y + cell / 2 + 18, f"{share:.1%}", anchor="middle", fill=ink)
                )
            elif count:
                parts.append(
                    _text(x + cell / 2, y + cell / 2 + 4, f"{count}", size=11, anchor="middle", fill=ink)
                )
    return svg(left + n * cell + 8, top + n * cell + 8, parts, "confusion matrix")


def reliability_chart(bins: Sequence[CalibrationBin], labels: int) -> str:
    """Accuracy against confidence, the gap between them, and below it how many texts are in each bin."""
    size, left, top, tail = 256, 58, 12, 52
    # The most probable of L labels has at least 1 / L: nothing can be left of that.
    start = math.floor(len(bins) / labels) / len(bins) if labels <= 3 else 0.0

    def x(value: float) -> float:
        return left + size * (value - start) / (1 - start)

    def y(value: float) -> float:
        return top + size * (1 - value)

    parts = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts += [
            _line(left, y(tick), left + size, y(tick)),
            _text(left - 6, y(tick) + 4, f"{tick:.0%}", size=11, anchor="end", fill=MUTED),
        ]
    total = max((b.count for b in bins), default=1)
    base = top + size + 24 + tail
    for b in bins:
        if not b.count:
            continue
        # The lowest bin may reach below what is possible, so that its left part is cut off.
        low, high = x(max(b.low, start)), x(b.high)
        title = f"{b.count:,} texts: confidence {b.confidence:.1%}, accuracy {b.accuracy:.1%}"
        met = min(b.accuracy, b.confidence)
        parts.append(_rect(low + 1, y(met), high - low - 2, y(0) - y(met), GOOD, 0.85, title))
        gap = max(b.accuracy, b.confidence)
        colour, shade = (BAD, 0.55) if b.accuracy < b.confidence else (GOOD, 0.35)
        parts.append(_rect(low + 1, y(gap), high - low - 2, y(met) - y(gap), colour, shade, title))
        height = max(1.0, tail * b.count / total)
        parts.append(_rect(low + 1, base - height, high - low - 2, height, MUTED, 0.6, f"{b.count:,} texts"))
    parts.append(_line(x(start), y(start), x(1), y(1), INK, 'stroke-dasharray="4 3"'))
    for tick in sorted({start, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0} if start else {0, 0.2, 0.4, 0.6, 0.8, 1.0}):
        if tick * 10 == round(tick * 10) and tick >= start:
            parts.append(_text(x(tick), top + size + 16, f"{tick:.0%}", size=11, anchor="middle", fill=MUTED))
    parts.append(_line(left, base, left + size, base))
    parts.append(_text(left - 6, base, "texts", size=11, anchor="end", fill=MUTED))
    parts.append(_text(left + size / 2, base + 18, "probability of the answer", anchor="middle", fill=MUTED))
    middle = top + size / 2
    parts.append(
        _text(
            11,
            middle,
            "share of right answers",
            anchor="middle",
            fill=MUTED,
            turn=-90,
        )
    )
    return svg(left + size + 16, base + 26, parts, "reliability diagram")


def coverage_chart(confidence: npt.NDArray[np.float32], right: npt.NDArray[np.bool_]) -> str:
    """Accuracy among the surest answers, from a few of them to all: what handing the rest to a person buys.

    confidence: float32 [n], probability of each answer; right: bool [n].
    """
    size, left, top = 256, 58, 12
    order = np.argsort(-confidence, kind="stable")
    kept = np.unique(np.linspace(max(1, len(order) // 50), len(order), 60).astype(int))
    accuracy = np.cumsum(right[order])[kept - 1] / kept
    floor = min(0.9, math.floor(float(accuracy.min()) * 10) / 10)

    def y(value: float) -> float:
        return top + size * (1 - (value - floor) / (1 - floor))

    parts = []
    for i in range(6):
        tick = floor + (1 - floor) * i / 5
        parts.append(_line(left, y(tick), left + size, y(tick)))
        parts.append(_text(left - 6, y(tick) + 4, f"{tick:.0%}", size=11, anchor="end", fill=MUTED))
        at = left + size * i / 5
        parts.append(_text(at, top + size + 16, f"{i / 5:.0%}", size=11, anchor="middle", fill=MUTED))
    points = [(left + size * k / len(order), y(float(a))) for k, a in zip(kept.tolist(), accuracy)]
    path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
    parts.append(f'<polyline points="{path}" fill="none" stroke="{GOOD}" stroke-width="2.5"/>')
    for (px, py), k, a in zip(points, kept.tolist(), accuracy):
        title = (
            f"{k / len(order):.0%} of the texts, probability {confidence[order[k - 1]]:.1%} or more: {a:.2%}"
        )
        parts.append(
            f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{GOOD}"><title>{title}</title></circle>'
        )
    parts.append(
        _text(left + size / 2, top + size + 36, "share of texts answered", anchor="middle", fill=MUTED)
    )
    middle = top + size / 2
    parts.append(_text(11, middle, "share of right answers", anchor="middle", fill=MUTED, turn=-90))
    return svg(left + size + 16, top + size + 44, parts, "accuracy of the surest answers")


def length_chart(bins: Sequence[LengthBin]) -> str:
    """Accuracy by text length with 95 % intervals, one colour for each model."""
    width, height, left, top = 960, 220, 44, 12
    step = width / len(bins)
    # The interval of a handful of texts reaches far down and would flatten all others: it is cut off.
    lowest = min(
        interval.low if b.count >= FEW_TEXTS else accuracy
        for b in bins
        for accuracy, interval in zip(b.accuracies, b.intervals)
    )
    floor = max(0.0, math.floor(lowest * 10) / 10)

    def y(value: float) -> float:
        return top + height * (1 - (value - floor) / (1 - floor)) if floor < 1 else top

    parts = []
    gap = 0.05 if 1 - floor <= 0.35 else 0.1 if 1 - floor <= 0.6 else 0.2
    for i in range(round((1 - floor) / gap) + 1):
        tick = 1 - i * gap
        if tick >= floor - 1e-9:
            parts += [
                _line(left, y(tick), left + width, y(tick)),
                _text(left - 6, y(tick) + 4, f"{tick:.0%}", size=11, anchor="end", fill=MUTED),
            ]
    models = len(bins[0].accuracies)
    for i, b in enumerate(bins):
        for m, (accuracy, interval) in enumerate(zip(b.accuracies, b.intervals)):
            x = left + step * (i + 0.5) + (m - (models - 1) / 2) * min(18.0, step / (models + 1))
            colour = SERIES[m % len(SERIES)]
            parts.append(
                _line(
                    x,
                    y(max(interval.low, floor)),
                    x,
                    y(interval.high),
                    colour,
                    'stroke-width="2" stroke-opacity="0.6"',
                )
            )
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y(accuracy):.1f}" r="4.5" fill="{colour}">'
                f"<title>{escape(f'{b.name} words: {accuracy:.1%} of {b.count:,}')}</title></circle>"
            )
        centre = left + step * (i + 0.5)
        parts.append(_text(centre, top + height + 18, b.name, anchor="middle"))
        parts.append(
            _text(centre, top + height + 34, f"{b.count:,} texts", size=11, anchor="middle", fill=MUTED)
        )
    parts.append(_text(left + width / 2, top + height + 54, "words in the text", anchor="middle", fill=MUTED))
    return svg(left + width + 8, top + height + 62, parts, "accuracy by text length")


def agreement_chart(
    first: npt.NDArray[np.float32], second: npt.NDArray[np.float32], names: Sequence[str]
) -> str:
    """How the probability of the true label moves from one model (across) to the other (upwards).

    first, second: float32 [n]. Texts are counted in cells; the shade is the logarithm of the count.
    """
    size, left, top, cells = 290, 52, 12, 40
    counts, _, _ = np.histogram2d(first, second, bins=cells, range=[[0, 1], [0, 1]])
    parts = []
    cell = size / cells
    top_log = math.log1p(float(counts.max()))
    # Where either model crosses one half, the answer of a two-label model changes.
    parts.append(_rect(left, top, size / 2, size / 2, BAD, 0.08))
    parts.append(_rect(left + size / 2, top + size / 2, size / 2, size / 2, BAD, 0.08))
    for i, j in np.argwhere(counts > 0).tolist():
        shade = 0.15 + 0.85 * math.log1p(float(counts[i, j])) / top_log
        x, y = left + i * cell, top + size - (j + 1) * cell
        parts.append(_rect(x, y, cell, cell, SERIES[0], shade, f"{int(counts[i, j]):,} texts"))
    for tick in (0, 0.5, 1):
        at = top + size * (1 - tick)
        parts.append(_text(left - 6, at + 4, f"{tick:.0%}", size=11, anchor="end", fill=MUTED))
        parts.append(
            _text(left + size * tick, top + size + 16, f"{tick:.0%}", size=11, anchor="middle", fill=MUTED)
        )
    parts.append(f'<rect x="{left}" y="{top}" width="{size}" height="{size}" fill="none" stroke="{LINE}"/>')
    parts.append(_line(left, top + size, left + size, top, MUTED, 'stroke-dasharray="4 3"'))
    parts.append(_text(left + size / 2, top + size + 36, _clip(names[0], 40), anchor="middle", fill=MUTED))
    middle = top + size / 2
    parts.append(
        _text(
            12,
            middle,
            _clip(names[1], 40),
            anchor="middle",
            fill=MUTED,
            turn=-90,
        )
    )
    return svg(left + size + 16, top + size + 46, parts, "probability of the true label, model against model")
