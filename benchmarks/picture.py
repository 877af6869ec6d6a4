"""Results → the pictures: time of a text, time against accuracy, throughput in batches.

python -m benchmarks.picture FOLDER    draws (and writes the table) again from FOLDER's latest.json
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peaks import SEED_WORK, Peaks
from edge_lstm.html import BAD, GOOD, INK, MUTED, PAPER, SERIES
from edge_lstm.svg import line, rect, svg, text

Json = dict[str, Any]
_OURS, _SEED, _OTHER, _BOUND = GOOD, "#9aa4b2", SERIES[2], BAD
_COLOURS = {"ours": _OURS, "seed": _SEED, "other": _OTHER}
_LONG = 20  # characters: a longer remark in brackets does not fit beside a bar
_CHARACTER = 6.7  # px of a character at 12 px, on average and a little more


def all_of(report: Json) -> dict[str, str]:
    """File name → picture."""
    tools = [result for result in report["contenders"] if result["group"] != "promises"]
    if not tools:
        return {}
    return {
        "latency.svg": latency(tools, report),
        "accuracy.svg": accuracy(tools, report),
        "batches.svg": batches(tools, report),
    }


def latency(tools: Sequence[Json], report: Json) -> str:
    """A bar a tool, fastest first, from 0; bars that would dwarf all others are cut and marked."""
    ordered = sorted(tools, key=_p50)
    times = [_p50(result) for result in ordered]
    longest = max(time for time in times if time <= 4 * times[len(times) // 2])
    names, plot, top, step = 345, 400, 78, 26
    height = top + step * len(ordered) + 46
    scale = plot / (longest * 1.08)
    parts = frame(names + plot + 170, height, "One review at batch 1, one thread: median time in ms")
    parts.append(
        text(14, 44, f"{_what(report)}. Less is better; × is the mean against edge-lstm.", fill=MUTED)
    )
    parts += _key(14, 62)
    bottom = height - 40
    for tick in ticks(longest):
        x = names + tick * scale
        parts += [
            line(x, top - 4, x, bottom),
            text(x, bottom + 15, f"{tick:g}", size=11, anchor="middle", fill=MUTED),
        ]
    for k, result in enumerate(ordered):
        y, time = top + k * step, times[k]
        width = min(time, longest * 1.08) * scale
        ours = result["group"] == "ours"
        parts.append(text(names - 8, y + 14, _short(result), anchor="end"))
        parts.append(rect(names, y + 1, width, step - 8, _COLOURS[result["group"]]))
        if time > longest:
            x = names + width - 26
            parts += [
                line(x + 6 * n, y - 1, x + 6 * n - 5, y + step - 5, PAPER, 'stroke-width="3"') for n in (1, 2)
            ]
        told = f"{time:.3f} ms" + ("" if ours else f" · {_times(result)}")
        parts.append(text(names + width + 6, y + 14, told))
    best = _bound_ms(report)
    x = names + best * scale
    parts += [
        line(x, top - 4, x, bottom, _BOUND, 'stroke-width="1.5" stroke-dasharray="5 3"'),
        text(
            x,
            bottom + 31,
            f"what this CPU could do at best with the seed network in int8: {best:.3f} ms",
            fill=_BOUND,
        ),
    ]
    return closed(names + plot + 170, height, parts, "Median time of a review, by tool")


def accuracy(tools: Sequence[Json], report: Json) -> str:
    """A circle a tool: time across (logarithmic), accuracy up, the model file's size as its area."""
    left, top, width, plot = 66, 92, 800, 400
    height = top + plot + 56
    best = _bound_ms(report)
    times = [best, *map(_p50, tools)]
    shares = [100 * result["accuracy"]["accuracy"] for result in tools]
    low, high = math.log10(min(times)) - 0.35, math.log10(max(times)) + 0.3
    floor, ceiling = min(shares) - 1.0, max(shares) + 0.8

    def place(time: float, share: float) -> tuple[float, float]:
        across = left + (width - left - 20) * (math.log10(time) - low) / (high - low)
        return across, top + plot * (ceiling - share) / (ceiling - floor)

    parts = frame(width, height, "Accuracy against time")
    parts.append(text(14, 44, f"{_what(report)}, batch 1, one thread. Up and left is better.", fill=MUTED))
    parts += _key(14, 62)
    parts.append(text(14, 80, "The area of a circle is the size of the model file.", fill=MUTED))
    label = "median time of a review, ms (logarithmic)"
    parts += grid(place, (low, high), (floor, ceiling), (left, top, width - 20, top + plot), label)
    x, _ = place(best, ceiling)
    parts += [
        line(x, top, x, top + plot, _BOUND, 'stroke-width="1.5" stroke-dasharray="5 3"'),
        text(x - 5, top + plot - 8, "roofline, seed network", size=11, fill=_BOUND, turn=-90),
    ]
    circles = []
    for result, share in zip(tools, shares):
        x, y = place(_p50(result), share)
        radius = 6.2 * math.sqrt(result["model_bytes"] / 1e6)
        circles.append((x, y, radius))
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{_COLOURS[result["group"]]}" '
            f'fill-opacity="0.55" stroke="{INK}" stroke-width="0.6"/>'
        )
    parts += place_labels([_short(result) for result in tools], circles, (left, top, width - 20, top + plot))
    return closed(width, height, parts, "Accuracy of the tools against the time of a review")


def batches(tools: Sequence[Json], report: Json) -> str:
    """Texts a second by batch size: a small group of bars a tool."""
    sizes = list(tools[0]["batches"])
    speed = {r["name"]: [r["batches"][size]["texts_per_second"] for size in sizes] for r in tools}
    shown = sorted((r for r in tools if r["group"] != "other"), key=lambda r: -max(speed[r["name"]]))
    if not shown:
        return svg(10, 10, [], "no LSTM took part")
    names, plot, top, bar = 345, 400, 78, 8
    step = bar * len(sizes) + 12
    height = top + step * len(shown) + 16
    longest = max(max(speed[result["name"]]) for result in shown)
    parts = frame(
        names + plot + 170,
        height,
        f"Throughput of the LSTMs in batches of {', '.join(sizes)} (light to dark)",
    )
    parts.append(
        text(14, 44, f"{_what(report)}; texts a second on one thread, mean. More is better.", fill=MUTED)
    )
    parts += _key(14, 62, groups=("ours", "seed"))
    for k, result in enumerate(shown):
        y = top + k * step
        parts.append(text(names - 8, y + bar * len(sizes) / 2 + 5, _short(result), anchor="end"))
        for n, value in enumerate(speed[result["name"]]):
            width = plot * value / longest
            parts.append(rect(names, y + n * bar, width, bar - 1, _COLOURS[result["group"]], 0.55 + 0.15 * n))
        best = max(range(len(sizes)), key=speed[result["name"]].__getitem__)
        value = speed[result["name"]][best]
        told = f"{value:,.0f} in batches of {sizes[best]}"
        parts.append(text(names + plot * value / longest + 6, y + bar * len(sizes) / 2 + 5, told))
    return closed(names + plot + 170, height, parts, "Texts a second in batches, by tool")


def grid(
    place: Callable[[float, float], tuple[float, float]],
    powers: tuple[float, float],
    shares: tuple[float, float],
    area: tuple[float, float, float, float],
    label: str,
) -> list[str]:
    """The lines of a picture of percentages over a logarithmic axis, and what stands beside them.

    place: value, percentage → px. powers: the axis' ends as powers of 10. area: left, top, right, bottom.
    """
    left, top, right, bottom = area
    low, high = shares
    parts = []
    for tick in decades(*powers):
        x, _ = place(tick, high)
        shown = f"{tick:,.0f}" if tick >= 1000 else f"{tick:g}"
        parts += [
            line(x, top, x, bottom),
            text(x, bottom + 16, shown, size=11, anchor="middle", fill=MUTED),
        ]
    for share in ticks(high - low, start=low):
        _, y = place(1, share)
        parts += [
            line(left, y, right, y),
            text(left - 6, y + 4, f"{share:g} %", size=11, anchor="end", fill=MUTED),
        ]
    parts.append(text((left + right + 20) / 2, bottom + 44, label, anchor="middle", fill=MUTED))
    return parts


def place_labels(
    names: Sequence[str],
    circles: Sequence[tuple[float, float, float]],
    area: tuple[float, float, float, float],
) -> list[str]:
    """A name at every circle, moved away (with a thin line) until it covers no other name and no circle."""
    taken: list[tuple[float, float, float, float]] = []
    parts = []
    left, top, right, bottom = area
    for k in sorted(range(len(names)), key=lambda k: circles[k][0]):
        x, y, radius = circles[k]
        wide = _CHARACTER * len(names[k])
        best: tuple[float, tuple[float, float, float, float]] | None = None
        for away in range(0, 260, 7):
            for angle in range(0, 360, 15):
                reach = radius + 5 + away
                middle_x = x + math.cos(math.radians(angle)) * (reach + wide / 2)
                middle_y = y + math.sin(math.radians(angle)) * (reach + 7)
                box = (middle_x - wide / 2, middle_y - 8, middle_x + wide / 2, middle_y + 8)
                if box[0] < left + 2 or box[1] < top + 2 or box[2] > right or box[3] > bottom - 2:
                    continue
                covered = [(a - r, b - r, a + r, b + r) for a, b, r in circles]
                if any(_overlap(_grown(box), other) for other in [*taken, *covered]):
                    continue
                far = math.hypot(middle_x - x, middle_y - y)
                if best is None or far < best[0]:
                    best = far, box
            if best is not None and away > best[0]:
                break
        box = best[1] if best is not None else (x + radius + 4, y - 8, x + radius + 4 + wide, y + 8)
        taken.append(box)
        end_x, end_y = min(max(x, box[0]), box[2]), min(max(y, box[1] + 2), box[3] - 2)
        if math.hypot(end_x - x, end_y - y) > radius + 9:
            parts.append(line(x, y, end_x, end_y, MUTED, 'stroke-width="0.7"'))
        parts.append(text(box[0], (box[1] + box[3]) / 2 + 4, names[k]))
    return parts


def _grown(box: Sequence[float]) -> tuple[float, float, float, float]:
    return box[0] - 5, box[1] - 1, box[2] + 5, box[3] + 1


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def frame(width: float, height: float, title: str) -> list[str]:
    style = f"text{{font-family:system-ui,'DejaVu Sans',sans-serif;fill:{INK}}}"
    heading = text(14, 24, title, size=16).replace("<text ", '<text font-weight="600" ')
    return [f"<style>{style}</style>", rect(0, 0, width, height, PAPER), heading]


def closed(width: float, height: float, parts: list[str], title: str) -> str:
    return svg(width, height, parts, title) + "\n"


def _key(x: float, y: float, groups: Sequence[str] = ("ours", "seed", "other")) -> list[str]:
    told = {
        "ours": "edge-lstm, int8, as installed",
        "seed": "the seed network in other tools",
        "other": "fastText, a bag of words and word pairs",
    }
    parts = []
    for group in groups:
        parts += [rect(x, y - 9, 10, 10, _COLOURS[group]), text(x + 15, y, told[group], fill=MUTED)]
        x += 40 + _CHARACTER * len(told[group])
    return parts


def _p50(result: Json) -> float:
    return float(result["latency"]["p50_ms"])


def _short(result: Json) -> str:
    name, _, more = str(result["name"]).removesuffix(".onnx").partition(" (")
    return name if len(more) > _LONG else str(result["name"]).removesuffix(".onnx")


def _times(result: Json) -> str:
    ratio = result["times_the_first"]["ratio"]
    return f"{ratio:.1f}×" if ratio >= 0.1 else f"{ratio:.2f}×"


def _what(report: Json) -> str:
    texts, cpu = report["texts"], report["conditions"]["before"]["cpu"]
    return f"{texts['texts']} {texts['name']}, {texts['mean_tokens']:.0f} tokens on average; {cpu}"


def _bound_ms(report: Json) -> float:
    """The seed network over the average text's own tokens, in int8 at best."""
    return Peaks(**report["peaks"]).ns_per_token(SEED_WORK, 1) * float(report["texts"]["mean_tokens"]) / 1e6


def ticks(span: float, start: float = 0.0) -> list[float]:
    """About six round numbers from start to start + span."""
    raw = span / 6
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw)
    first = math.ceil(start / step)
    return [round(n * step, 10) for n in range(first, math.floor((start + span) / step) + 1)]


def decades(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, … between two powers of ten."""
    found = [factor * 10.0**n for n in range(math.floor(low), math.ceil(high) + 1) for factor in (1, 2, 5)]
    return [round(value, 6) for value in found if low <= math.log10(value) <= high]


if __name__ == "__main__":
    from benchmarks.run import write_from

    folder = Path(sys.argv[1])
    write_from(json.loads((folder / "latest.json").read_text(encoding="utf-8")), folder)
