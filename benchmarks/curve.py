"""The presets' results → a picture: accuracy against the size of the file."""

from __future__ import annotations

import math
import statistics
from typing import Any

from benchmarks.picture import closed, frame, grid, place_labels
from benchmarks.shares import percent
from edge_lstm.html import GOOD, INK, MUTED, SERIES
from edge_lstm.svg import line, text

Json = dict[str, Any]
_RADIUS = 6.0


def draw(report: Json, others: Json | None) -> str:
    """A dot a recipe with the range over its seeds. others: the side-by-side run, for fastText."""
    left, top, width, plot = 66, 70, 860, 380
    height = top + plot + 56
    dots = [_dot(recipe) for recipe in report["recipes"]] + _fasttext(others)
    low = math.log10(min(dot["kb"] for dot in dots)) - 0.15
    high = math.log10(max(dot["kb"] for dot in dots)) + 0.3
    floor = min(dot["low"] for dot in dots) - 0.6
    ceiling = max(dot["high"] for dot in dots) + 0.6

    def place(kb: float, share: float) -> tuple[float, float]:
        across = left + (width - left - 20) * (math.log10(kb) - low) / (high - low)
        return across, top + plot * (ceiling - share) / (ceiling - floor)

    parts = frame(width, height, "Accuracy against the size of the model file")
    told = (
        f"{report['data']['name']}, {report['data']['texts']:,} reviews; "
        "µs: median of a review, batch 1, one thread. Up and left is better."
    )
    parts.append(text(14, 44, told, fill=MUTED))
    area = (left, top, width - 20, top + plot)
    parts += grid(place, (low, high), (floor, ceiling), area, "model file, kB (logarithmic)")
    circles = []
    for dot in dots:
        x, y = place(dot["kb"], dot["share"])
        ends = [place(1, dot[end])[1] for end in ("low", "high")]
        circles.append((x, y, max(_RADIUS, *(abs(end - y) + 2 for end in ends))))  # no name on a whisker
        if dot["high"] > dot["low"]:
            parts += _whiskers(x, *ends, dot["colour"])
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_RADIUS}" fill="{dot["colour"]}" stroke="{INK}" '
            'stroke-width="0.6"/>'
        )
    parts += place_labels([dot["label"] for dot in dots], circles, area)
    return closed(width, height, parts, "Accuracy of the presets against the size of their files")


def _dot(recipe: Json) -> Json:
    shares = [100 * file["accuracy"] for file in recipe["files"]]
    share, kb = statistics.mean(shares), recipe["files"][0]["bytes"] / 1000
    label = f"{recipe['name']}: {percent(share / 100)} %, {kb:,.0f} kB, {recipe['times']['alone']:.0f} µs"
    return {
        "kb": kb,
        "share": share,
        "low": min(shares),
        "high": max(shares),
        "label": label,
        "colour": GOOD,
    }


def _fasttext(others: Json | None) -> list[Json]:
    dots = []
    for tool in others["contenders"] if others else []:
        if not tool["name"].startswith("fastText"):
            continue
        share, kb = 100 * tool["accuracy"]["accuracy"], tool["model_bytes"] / 1000
        microseconds = 1000 * tool["latency"]["p50_ms"]
        label = f"{tool['name']}: {percent(share / 100)} %, {kb / 1000:.1f} MB, {microseconds:.0f} µs"
        dots.append(
            {"kb": kb, "share": share, "low": share, "high": share, "label": label, "colour": SERIES[2]}
        )
    return dots


def _whiskers(x: float, bottom: float, top: float, colour: str) -> list[str]:
    thick = 'stroke-width="1.6"'
    return [
        line(x, top, x, bottom, colour, thick),
        line(x - 7, top, x + 7, top, colour, thick),
        line(x - 7, bottom, x + 7, bottom, colour, thick),
    ]
