"""Results → the pictures: time of a text, time against accuracy, throughput in batches; the presets."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.bars import percent
from benchmarks.peaks import SEED_WORK, Peaks
from edge_lstm.charts import new_axes, style, to_svg, write_beside
from edge_lstm.html import BAD, GOOD, INK, MUTED, PAPER, SERIES

Json = dict[str, Any]
Box = tuple[float, float, float, float]  # left, lower, right, upper, in pixels

_COLOURS = {"ours": GOOD, "seed": "#9aa4b2", "other": SERIES[2]}
_TOLD = {
    "ours": "edge-lstm, int8, as installed",
    "seed": "the seed network in other tools",
    "other": "fastText, a bag of words and word pairs",
}
_BOUND = {"color": BAD, "linestyle": (0, (5, 3)), "linewidth": 1.5}
_WIDTH = 900.0
_LONG = 20  # characters: a longer remark in brackets does not fit beside a bar
_CHARACTER = 6.7  # px of a character at 11 px, on average and a little more


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


def _begin(height: float, title: str, remark: str, groups: Sequence[str] = ()) -> Any:
    """Axes on paper, for a file that stands alone; what its colours mean below the title."""
    from matplotlib.patches import Patch

    axes = new_axes(_WIDTH, height)
    figure = axes.figure
    figure.set_facecolor(PAPER)

    def at(y: float) -> float:
        return 1 - y / height

    lines = remark.splitlines()
    figure.text(14 / _WIDTH, at(26), title, size=15, weight="bold")
    for i, line in enumerate(lines):
        figure.text(14 / _WIDTH, at(46 + 17 * i), line, color=MUTED)
    top = 54 + 17 * (len(lines) - 1)
    if groups:
        handles = [Patch(color=_COLOURS[group], label=_TOLD[group]) for group in groups]
        figure.legend(
            handles=handles, ncols=len(groups), loc="upper left", bbox_to_anchor=(4 / _WIDTH, at(top - 4)),
            handlelength=1, handleheight=1,
        )  # fmt: skip
        top += 28
    figure.get_layout_engine().set(rect=(0, 0, 1, at(top)))
    return axes


def _bars(axes: Any, names: Sequence[str], label: str) -> None:
    axes.set_yticks(range(len(names)), names, color=INK, size=11)
    axes.set(ylim=(len(names) - 0.4, -0.6), xlabel=label)
    axes.grid(visible=False, axis="y")
    axes.spines["bottom"].set_visible(False)


def latency(tools: Sequence[Json], report: Json) -> str:
    """A bar a tool, fastest first, from 0; bars that would dwarf all others are cut and marked."""
    ordered = sorted(tools, key=_p50)
    times = [_p50(result) for result in ordered]
    longest = max(time for time in times if time <= 4 * times[len(times) // 2])
    cut = longest * 1.08
    best = _bound_ms(report)
    with style():
        remark = f"{_what(report)}. Less is better; × is the mean against edge-lstm."
        title = "One review at batch 1, one thread: median time in ms"
        axes = _begin(26 * len(ordered) + 150, title, remark, list(_COLOURS))
        colours = [_COLOURS[result["group"]] for result in ordered]
        axes.barh(range(len(ordered)), [min(time, cut) for time in times], height=0.7, color=colours)
        for y, (result, time) in enumerate(zip(ordered, times)):
            if time > longest:
                for x in (0.93, 0.95):
                    axes.plot((cut * (x - 0.006), cut * (x + 0.006)), (y + 0.45, y - 0.45), color=PAPER, lw=3)
            told = f"{time:.3f} ms" + ("" if result["group"] == "ours" else f" · {_times(result)}")
            write_beside(axes, min(time, cut), y, told)
        axes.axvline(best, **_BOUND)
        _bars(axes, [_short(result) for result in ordered], "")
        told = f"what this CPU could do at best with the seed network in int8: {best:.3f} ms"
        axes.annotate(told, (best, 0), (0, -34), xycoords=("data", "axes fraction"),
                      textcoords="offset points", color=BAD, annotation_clip=False)  # fmt: skip
        axes.set_xlim(0, cut * 1.24)
        return to_svg(axes, "Median time of a review, by tool", standalone=True)


def accuracy(tools: Sequence[Json], report: Json) -> str:
    """A circle a tool: time across (logarithmic), accuracy up, the model file's size as its area."""
    best = _bound_ms(report)
    times = [_p50(result) for result in tools]
    shares = [100 * result["accuracy"]["accuracy"] for result in tools]
    with style():
        remark = f"{_what(report)}, batch 1, one thread. Up and left is better.\n"
        remark += "The area of a circle is the size of the model file."
        axes = _begin(580, "Accuracy against time", remark, list(_COLOURS))
        low, high = min([best, *times]) / 2.2, max([best, *times]) * 2
        _share_axes(axes, (low, high), (min(shares) - 1, max(shares) + 0.8))
        axes.set_xlabel("median time of a review, ms (logarithmic)")
        axes.axvline(best, **_BOUND)
        axes.text(best / 1.02, 0.98, "roofline, seed network", color=BAD, rotation=90, ha="right", va="top",
                  transform=axes.get_xaxis_transform())  # fmt: skip
        radii = [6.2 * math.sqrt(result["model_bytes"] / 1e6) for result in tools]
        for result, time, share, radius in zip(tools, times, shares, radii):
            axes.plot(time, share, "o", markersize=2 * radius, color=_COLOURS[result["group"]], alpha=0.55,
                      markeredgecolor=INK, markeredgewidth=0.6)  # fmt: skip
        _name_all(axes, [_short(result) for result in tools], times, shares, radii)
        return to_svg(axes, "Accuracy of the tools against the time of a review", standalone=True)


def batches(tools: Sequence[Json], report: Json) -> str:
    """Texts a second by batch size: a small group of bars a tool."""
    sizes = list(tools[0]["batches"])
    speed = {r["name"]: [r["batches"][size]["texts_per_second"] for size in sizes] for r in tools}
    shown = sorted((r for r in tools if r["group"] != "other"), key=lambda r: -max(speed[r["name"]]))
    with style():
        title = f"Throughput of the LSTMs in batches of {', '.join(sizes)} (light to dark)"
        remark = f"{_what(report)}; texts a second on one thread, mean. More is better."
        axes = _begin(44 * max(len(shown), 1) + 120, title, remark, ("ours", "seed"))
        step = 0.8 / max(len(sizes), 1)
        for y, result in enumerate(shown):
            values = speed[result["name"]]
            for n, value in enumerate(values):
                at = y + (n - (len(sizes) - 1) / 2) * step
                axes.barh(
                    at, value, height=step * 0.9, color=_COLOURS[result["group"]], alpha=0.55 + 0.15 * n
                )
            best = max(range(len(sizes)), key=values.__getitem__)
            write_beside(axes, values[best], y, f"{values[best]:,.0f} in batches of {sizes[best]}")
        _bars(axes, [_short(result) for result in shown], "texts a second")
        axes.set_xlim(0, 1.24 * max((max(speed[r["name"]]) for r in shown), default=1))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        return to_svg(axes, "Texts a second in batches, by tool", standalone=True)


def presets(report: Json, others: Json | None) -> str:
    """Accuracy of the presets against their size: a dot a recipe with the range over its seeds.

    others: the side-by-side run, for fastText.
    """
    dots = [_preset(recipe) for recipe in report["recipes"]] + _fasttext(others)
    sizes, shares = [dot["kb"] for dot in dots], [dot["share"] for dot in dots]
    with style():
        remark = f"{report['data']['name']}, {report['data']['texts']:,} reviews; "
        remark += "µs: median of a review, batch 1, one thread. Up and left is better."
        axes = _begin(520, "Accuracy against the size of the model file", remark)
        lowest, highest = min(dot["low"] for dot in dots), max(dot["high"] for dot in dots)
        _share_axes(axes, (min(sizes) / 1.4, max(sizes) * 2), (lowest - 0.6, highest + 0.6))
        axes.set_xlabel("model file, kB (logarithmic)")
        for dot in dots:
            ends = [[dot["share"] - dot["low"]], [dot["high"] - dot["share"]]]
            axes.errorbar(dot["kb"], dot["share"], yerr=ends, fmt="o", color=dot["colour"], markersize=12,
                          markeredgecolor=INK, markeredgewidth=0.6, capsize=7)  # fmt: skip
        high, low = ([axes.transData.transform((1, dot[end]))[1] for dot in dots] for end in ("high", "low"))
        radii = [max(6.0, (above - below) / 2 + 2) for above, below in zip(high, low)]
        _name_all(axes, [dot["label"] for dot in dots], sizes, shares, radii)
        return to_svg(axes, "Accuracy of the presets against the size of their files", standalone=True)


def _preset(recipe: Json) -> Json:
    shares = [100 * file["accuracy"] for file in recipe["files"]]
    share, kb = statistics.mean(shares), recipe["files"][0]["bytes"] / 1000
    label = f"{recipe['name']}: {percent(share / 100)} %, {kb:,.0f} kB, {recipe['times']['alone']:.0f} µs"
    return {"kb": kb, "share": share, "low": min(shares), "high": max(shares), "label": label, "colour": GOOD}


def _fasttext(others: Json | None) -> list[Json]:
    dots = []
    for tool in others["contenders"] if others else []:
        if not tool["name"].startswith("fastText"):
            continue
        share, kb = 100 * tool["accuracy"]["accuracy"], tool["model_bytes"] / 1000
        told = f"{percent(share / 100)} %, {kb / 1000:.1f} MB, {1000 * tool['latency']['p50_ms']:.0f} µs"
        ends = {"low": share, "high": share, "label": f"{tool['name']}: {told}", "colour": SERIES[2]}
        dots.append({"kb": kb, "share": share, **ends})
    return dots


def _share_axes(axes: Any, across: tuple[float, float], shares: tuple[float, float]) -> None:
    """Percentages over a logarithmic axis."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axes.set_xscale("log")
    axes.set(xlim=across, ylim=shares)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=30))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))


def _name_all(
    axes: Any, names: Sequence[str], x: Sequence[float], y: Sequence[float], radii: Sequence[float]
) -> None:
    """The names beside their circles, with a thin line where they are far from them."""
    axes.figure.draw_without_rendering()  # now it is known where everything is
    axes.figure.set_layout_engine("none")
    circles = [(*axes.transData.transform(at), radius) for at, radius in zip(zip(x, y), radii)]
    area = tuple(axes.get_window_extent().extents)
    back = axes.transData.inverted().transform
    for name, (at_x, at_y, radius), box in zip(names, circles, place_labels(names, circles, area)):
        end_x, end_y = min(max(at_x, box[0]), box[2]), min(max(at_y, box[1] + 2), box[3] - 2)
        if math.hypot(end_x - at_x, end_y - at_y) > radius + 9:
            axes.plot(*zip(back((at_x, at_y)), back((end_x, end_y))), color=MUTED, linewidth=0.7)
        axes.text(*back((box[0], (box[1] + box[3]) / 2)), name, va="center_baseline")


def place_labels(
    names: Sequence[str],
    circles: Sequence[tuple[float, float, float]],
    area: Box,
) -> list[Box]:
    """A box for every circle's name, in pixels, moved away until it covers no other name and no circle."""
    taken: list[Box] = []
    found: dict[int, Box] = {}
    left, top, right, bottom = area
    for k in sorted(range(len(names)), key=lambda k: circles[k][0]):
        x, y, radius = circles[k]
        wide = _CHARACTER * len(names[k])
        best: tuple[float, Box] | None = None
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
        found[k] = box
    return [found[k] for k in range(len(names))]


def _grown(box: Sequence[float]) -> Box:
    return box[0] - 5, box[1] - 1, box[2] + 5, box[3] + 1


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


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
