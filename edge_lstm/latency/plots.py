"""The drawings of the latency report, as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

from edge_lstm.html import INK, LINE, MUTED, PAPER, SERIES
from edge_lstm.latency.statistics import histogram
from edge_lstm.svg import clip, line, rect, svg, text

Floats = npt.NDArray[np.float64]
WIDTH = 1000
NAME_SIZE = 190  # for the names at the left
NAME_LETTERS = 26
BINS = 120
PHASE_COLOURS = ("#aab4c3", "#7f93ad", "#d9772b", "#2563a8")
HOT = ("#f7fafd", "#2563a8")  # of a heat map: fastest, slowest


def milliseconds(us: float) -> str:
    """µs → a short label in µs, ms or s."""
    if us < 1000:
        return f"{us:.3g} µs" if us < 100 else f"{us:.0f} µs"
    return f"{us / 1e3:.3g} ms" if us < 999_500 else f"{us / 1e6:.3g} s"


@dataclass(frozen=True)
class Distribution:
    """Times of one setting: samples in µs, and the percentiles to mark (name, µs)."""

    name: str
    samples_us: Floats
    marks: tuple[tuple[str, float], ...]
    colour: str


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5 × powers of ten within the range; at most about a dozen."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 500 else (1,)
    return [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]


def linear_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers within the range."""
    step = 10 ** math.floor(math.log10(max(high - low, 1e-9) / most))
    step = next(step * factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= most)
    first = math.ceil(low / step)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def distributions(found: Sequence[Distribution]) -> str:
    """One hill for each setting, all on one logarithmic axis, with its percentiles marked."""
    low = min(float(one.samples_us.min()) for one in found) * 0.95
    high = max(float(one.samples_us.max()) for one in found) * 1.05
    row, top, left = 84, 6, NAME_SIZE
    right = WIDTH - 14
    bottom = top + row * len(found)

    def x(us: float) -> float:
        return left + (right - left) * math.log(us / low) / math.log(high / low)

    parts = _log_axis(low, high, x, top, bottom)
    for i, one in enumerate(found):
        base = top + row * (i + 1) - 12
        counts = histogram(np.log(one.samples_us), BINS, math.log(low), math.log(high))
        most = max(counts)
        step = (right - left) / BINS
        points = [f"M{left:.1f},{base:.1f}"]
        for b, count in enumerate(counts):
            # A root keeps single slow runs visible beside thousands of fast ones.
            height = (row - 30) * math.sqrt(count / most)
            points.append(f"L{left + b * step:.1f},{base - height:.1f}H{left + (b + 1) * step:.1f}")
        parts.append(
            f'<path d="{"".join(points)}L{right:.1f},{base:.1f}Z" fill="{one.colour}" fill-opacity="0.75">'
            f"<title>{escape(one.name)}: {len(one.samples_us):,} runs</title></path>"
        )
        parts.append(line(left, base, right, base, LINE))
        parts.append(text(0, base - 4, clip(one.name, NAME_LETTERS), size=13))
        end = -1e9
        for name, us in one.marks:
            at = x(us)
            parts.append(line(at, base - row + 30, at, base + 3, INK, 'stroke-width="1.2"'))
            label = f"{name} {milliseconds(us)}"
            if at > end:  # a label that would lie on the one before is left to the table
                parts.append(text(at + 3, base - row + 28, label, size=11))
                end = at + 6 * len(label) + 8
    return svg(WIDTH, bottom + 34, parts, "distribution of the times")


def _log_axis(low: float, high: float, x: Callable[[float], float], top: float, bottom: float) -> list[str]:
    parts = []
    for tick in log_ticks(low, high):
        parts.append(line(x(tick), top, x(tick), bottom - 8))
        parts.append(text(x(tick), bottom + 8, milliseconds(tick), size=11, anchor="middle", fill=MUTED))
    middle = (x(low) + x(high)) / 2
    caption = "time of a run, logarithmic; height: √ of the runs"
    parts.append(text(middle, bottom + 27, caption, size=11, anchor="middle", fill=MUTED))
    return parts


@dataclass(frozen=True)
class LengthCurve:
    """Texts of one setting by length: tokens and µs of each, and the line through them, if there is one."""

    name: str
    tokens: Floats
    times_us: Floats
    fixed_us: float | None
    per_token_us: float | None
    colour: str


def length_curves(found: Sequence[LengthCurve]) -> str:
    """Time against tokens: a dot for each text, a line for each setting."""
    left, top, right, bottom = 64, 10, WIDTH - 14, 330
    most_tokens = max(float(one.tokens.max()) for one in found)
    # A single text that met a disturbance would flatten all others: the axis ends at the 99th part.
    most_us = max(float(np.percentile(one.times_us, 99)) for one in found) * 1.12

    def x(tokens: float) -> float:
        return left + (right - left) * tokens / most_tokens

    def y(us: float) -> float:
        return bottom - (bottom - top) * min(us / most_us, 1.0)

    parts = []
    for tick in linear_ticks(0, most_us):
        parts.append(line(left, y(tick), right, y(tick)))
        parts.append(text(left - 6, y(tick) + 4, milliseconds(tick), size=11, anchor="end", fill=MUTED))
    parts += [
        text(x(tick), bottom + 16, f"{tick:.0f}", size=11, anchor="middle", fill=MUTED)
        for tick in linear_ticks(0, most_tokens, 8)
    ]
    for one in found:
        dots = "".join(
            f'<circle cx="{x(tokens):.1f}" cy="{y(us):.1f}" r="2.6"/>'
            for tokens, us in zip(one.tokens.tolist(), one.times_us.tolist())
        )
        parts.append(f'<g fill="{one.colour}" fill-opacity="0.55">{dots}</g>')
        if one.fixed_us is not None and one.per_token_us is not None:
            end = one.fixed_us + one.per_token_us * most_tokens
            parts.append(
                line(x(0), y(max(one.fixed_us, 0)), x(most_tokens), y(end), one.colour, 'stroke-width="1.8"')
            )
    parts.append(text((left + right) / 2, bottom + 34, "tokens of the text", anchor="middle", fill=MUTED))
    return svg(WIDTH, bottom + 42, parts, "time by length of the text")


@dataclass(frozen=True)
class Interval:
    """A row of a forest plot: a ratio with its interval."""

    name: str
    value: float
    low: float
    high: float


def forest(rows: Sequence[Interval], caption: str, limit: float | None = None) -> str:
    """Ratios with their intervals around 1, ``caption`` below; ``limit`` is the gate's, if any."""
    left, top, step = NAME_SIZE, 8, 30
    right = WIDTH - 190
    low = min(1.0, *(row.low for row in rows)) / 1.06
    high = max(1.0, limit or 1.0, *(row.high for row in rows)) * 1.06
    bottom = top + step * len(rows)

    def x(ratio: float) -> float:
        return left + (right - left) * math.log(ratio / low) / math.log(high / low)

    parts = []
    ticks = linear_ticks(low, high) if high / low < 3 else log_ticks(low, high)
    for tick in ticks:
        parts.append(line(x(tick), top, x(tick), bottom))
        parts.append(text(x(tick), bottom + 16, f"{tick:.3g}", size=11, anchor="middle", fill=MUTED))
    parts.append(line(x(1), top - 4, x(1), bottom, INK, 'stroke-width="1.4"'))
    if limit is not None:
        parts.append(line(x(limit), top - 4, x(limit), bottom, SERIES[1], 'stroke-dasharray="4 3"'))
    for i, row in enumerate(rows):
        middle = top + step * (i + 0.5)
        colour = SERIES[0] if row.high < 1 else SERIES[1] if row.low > 1 else MUTED
        parts.append(text(0, middle + 4, clip(row.name, NAME_LETTERS), size=13))
        parts.append(line(x(row.low), middle, x(row.high), middle, colour, 'stroke-width="3"'))
        parts.append(f'<circle cx="{x(row.value):.1f}" cy="{middle:.1f}" r="5" fill="{colour}"/>')
        label = f"{row.value:.3f}  ({row.low:.3f} to {row.high:.3f})"
        parts.append(text(right + 18, middle + 4, label, size=12))
    parts.append(text((left + right) / 2, bottom + 34, caption, anchor="middle", fill=MUTED))
    return svg(WIDTH, bottom + 42, parts, caption)


def starts(rows: Sequence[tuple[str, Sequence[float], float, float]]) -> str:
    """Cold start as a bar of phases. rows: name, ms of python, imports, load, first; least and most total."""
    left, top, step = NAME_SIZE, 26, 30
    right = WIDTH - 150
    most = max(max(sum(phases), high) for _, phases, _, high in rows)
    parts = []
    at: float = left
    for name, colour in zip(("Python starts", "imports", "loads the model", "first answer"), PHASE_COLOURS):
        parts += [rect(at, 4, 10, 10, colour), text(at + 15, 13, name, size=12, fill=MUTED)]
        at += 30 + 7 * len(name)
    for i, (name, phases, low, high) in enumerate(rows):
        y = top + step * i
        parts.append(text(0, y + 16, clip(name, NAME_LETTERS), size=13))
        x = float(left)
        for label, value, colour in zip(("Python", "imports", "load", "first answer"), phases, PHASE_COLOURS):
            width = (right - left) * value / most
            parts.append(rect(x, y + 3, width, step - 12, colour, 1, f"{label}: {value:.1f} ms"))
            x += width
        ends = [left + (right - left) * value / most for value in (low, high)]
        parts.append(line(ends[0], y + 12, ends[1], y + 12, INK, 'stroke-width="1.2"'))
        parts.append(text(max(x, ends[1]) + 8, y + 16, f"{sum(phases):.0f} ms", size=13))
    return svg(WIDTH, top + step * len(rows) + 4, parts, "cold start by phase")


def heat_map(
    rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float | None]], across: str
) -> str:
    """A sweep as a grid of µs per text; darker is slower, the fastest cell is framed."""
    known = [value for row in values for value in row if value is not None]
    low, high = min(known), max(known)
    left, top = NAME_SIZE, 40
    cell = min(120.0, (WIDTH - left - 8) / len(columns))
    height = 40
    parts = [text(left + cell * len(columns) / 2, 14, across, anchor="middle", fill=MUTED)]
    parts += [
        text(left + cell * (j + 0.5), 33, name, size=13, anchor="middle") for j, name in enumerate(columns)
    ]
    for i, (name, row) in enumerate(zip(rows, values)):
        y = top + height * i
        parts.append(text(0, y + height / 2 + 5, clip(name, NAME_LETTERS), size=13))
        for j, value in enumerate(row):
            x = left + cell * j
            if value is None:
                parts.append(text(x + cell / 2, y + height / 2 + 5, "–", anchor="middle", fill=MUTED))
                continue
            part = math.log(value / low) / math.log(high / low) if high > low else 0.0
            title = f"{name}, {columns[j]}: {milliseconds(value)} a text"
            parts.append(rect(x + 1, y + 1, cell - 2, height - 2, _between(*HOT, part), 1, title))
            ink = PAPER if part > 0.55 else INK
            label = milliseconds(value)
            parts.append(text(x + cell / 2, y + height / 2 + 5, label, size=13, anchor="middle", fill=ink))
            if value == low:
                frame = f'x="{x + 1.5:.1f}" y="{y + 1.5:.1f}" width="{cell - 3:.1f}" height="{height - 3}"'
                parts.append(f'<rect {frame} fill="none" stroke="{INK}" stroke-width="2"/>')
    return svg(left + cell * len(columns) + 8, top + height * len(rows) + 4, parts, "sweep of settings")


def _between(first: str, second: str, part: float) -> str:
    """The colour this part of the way from the first to the second."""
    pairs = ((int(first[i : i + 2], 16), int(second[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in pairs)


@dataclass(frozen=True)
class Course:
    """One setting over time: values in µs, in order."""

    name: str
    values_us: Floats
    colour: str


def courses(found: Sequence[Course], unit: str) -> str:
    """Medians over time, one curve for each setting: shows drift and disturbance."""
    left, top, right, bottom = 64, 8, WIDTH - 14, 190
    values = np.concatenate([one.values_us for one in found])
    low, high = float(np.percentile(values, 0.5)) * 0.97, float(np.percentile(values, 99.5)) * 1.03
    longest = max(len(one.values_us) for one in found)

    def y(us: float) -> float:
        return bottom - (bottom - top) * (min(max(us, low), high) - low) / (high - low or 1)

    parts = []
    for tick in linear_ticks(low, high, 5):
        parts.append(line(left, y(tick), right, y(tick)))
        parts.append(text(left - 6, y(tick) + 4, milliseconds(tick), size=11, anchor="end", fill=MUTED))
    for one in found:
        step = (right - left) / max(longest - 1, 1)
        points = " ".join(f"{left + i * step:.1f},{y(us):.1f}" for i, us in enumerate(one.values_us.tolist()))
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{one.colour}" stroke-width="1.6">'
            f"<title>{escape(one.name)}</title></polyline>"
        )
    for tick in linear_ticks(0, longest, 8):
        if tick == int(tick):
            at = left + (right - left) * tick / max(longest - 1, 1)
            if at <= right:
                parts.append(text(at, bottom + 16, f"{tick:.0f}", size=11, anchor="middle", fill=MUTED))
    parts.append(text((left + right) / 2, bottom + 34, unit, anchor="middle", fill=MUTED))
    return svg(WIDTH, bottom + 42, parts, "times over the measurement")
