"""Results → pictures: time of a text, time against accuracy, throughput in batches; the presets' curve."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from io import StringIO
from typing import Any

from benchmarks.table import percent

Json = dict[str, Any]
_COLOURS = {"ours": "#3c8a5b", "seed": "#9aa4b2", "other": "#d9772b"}
_KINDS = {
    "ours": "edge-lstm, int8",
    "seed": "the seed network in other tools",
    "other": "fastText, a bag of words and word pairs",
}


def all_of(report: Json) -> dict[str, str]:
    """Return file name → picture; none where nobody took part."""
    tools = sorted(report["contenders"], key=_p50)
    if not tools:
        return {}
    texts, cpu = report["texts"], report["conditions"]["before"]["cpu"]
    what = f"{texts['texts']} {texts['name']}, {texts['mean_tokens']:.0f} tokens on average; {cpu}"
    return {f"{draw.__name__}.svg": draw(tools, what) for draw in (latency, accuracy, batches)}


def latency(tools: Sequence[Json], what: str) -> str:
    """Draw a bar for each tool, fastest first, on a logarithmic axis."""
    figure, axes = _begin(1.2 + 0.26 * len(tools), "One review at batch 1, one thread: median time", what)
    times = [_p50(result) for result in tools]
    colours = [_COLOURS[result["group"]] for result in tools]
    bars = axes.barh([_short(result) for result in tools], times, color=colours)
    ratios = [result["times_the_first"]["ratio"] for result in tools]
    axes.bar_label(bars, [f"{t:.3f} ms · {r:.2g}×" for t, r in zip(times, ratios)], padding=3, fontsize=8)
    axes.set(xscale="log", xlim=(min(times) / 2, max(times) * 4), xlabel="ms (logarithmic); ×: of edge-lstm")
    axes.invert_yaxis()
    _legend(axes, "upper right")
    return _svg(figure)


def accuracy(tools: Sequence[Json], what: str) -> str:
    """Draw a numbered circle for each tool: time across (logarithmic), accuracy up."""
    figure, axes = _begin(5, "Accuracy against time, batch 1, one thread", what)
    for number, result in enumerate(tools, 1):
        share = 100 * result["accuracy"]["accuracy"]
        name = f"{number}  {_short(result)}: {share:.1f} %, {_p50(result):.2f} ms"
        _numbered(axes, number, (_p50(result), share), name, _COLOURS[result["group"]])
    _end_of_circles(axes, "median time of a review, ms (logarithmic)")
    return _svg(figure)


def batches(tools: Sequence[Json], what: str) -> str:
    """Draw texts per second by batch size: a group of bars for each LSTM."""
    sizes = list(tools[0]["batches"])
    lstms = [result for result in tools if result["group"] != "other"]
    title = f"Texts per second in batches of {', '.join(sizes)} (light to dark), one thread"
    figure, axes = _begin(1.2 + 0.4 * len(lstms), title, what)
    for n, size in enumerate(sizes):
        places = [y + 0.8 * (n / len(sizes) - 0.5) for y in range(len(lstms))]
        speeds = [result["batches"][size]["texts_per_second"] for result in lstms]
        colours = [_COLOURS[result["group"]] for result in lstms]
        axes.barh(places, speeds, 0.7 / len(sizes), color=colours, alpha=0.5 + 0.5 * n / len(sizes))
    axes.set_yticks(range(len(lstms)), [_short(result) for result in lstms])
    axes.set(xscale="log", xlabel="texts per second (logarithmic)")
    axes.invert_yaxis()
    _legend(axes, "lower right")
    return _svg(figure)


def presets(report: Json) -> str:
    """Draw the accuracy of the presets against their size: a dot with the range over its seeds."""
    what = f"IMDB's {report['texts']:,} test reviews; µs: median of a review, batch 1, one thread"
    figure, axes = _begin(4.5, "Accuracy against the size of the model file", what)
    for number, preset in enumerate(report["presets"], 1):
        shares = [100 * file["accuracy"] for file in preset["files"]]
        share, kb = statistics.mean(shares), preset["files"][0]["bytes"] / 1000
        ends = [[share - min(shares)], [max(shares) - share]]
        axes.errorbar(kb, share, yerr=ends, capsize=9, color=_COLOURS["ours"])
        shown = f"{percent(share / 100)} %, {kb:,.0f} kB, {preset['alone']:.0f} µs"
        _numbered(axes, number, (kb, share), f"{number}  {preset['name']}: {shown}", _COLOURS["ours"])
    _end_of_circles(axes, "model file, kB (logarithmic)")
    return _svg(figure)


def _numbered(axes: Any, number: int, at: tuple[float, float], name: str, colour: str) -> None:
    axes.plot(*at, "o", ms=13, color=colour, alpha=0.6, label=name)
    axes.annotate(str(number), at, ha="center", va="center", fontsize=7)


def _end_of_circles(axes: Any, across: str) -> None:
    axes.set(xscale="log", xlabel=across, ylabel="accuracy, %")
    axes.margins(0.1)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8, markerscale=0.5)


def _begin(height: float, title: str, what: str) -> tuple[Any, Any]:
    """Return a figure and its axes, 9 inches wide."""
    from matplotlib import pyplot, rcParams

    rcParams.update({"backend": "svg", "svg.hashsalt": "edge-lstm", "svg.fonttype": "none", "font.size": 9})
    figure, axes = pyplot.subplots(figsize=(9, height), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, weight="bold")
    axes.set_title(what, loc="left", fontsize=8, color="#5b6673")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.3)
    return figure, axes


def _legend(axes: Any, place: str) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=_COLOURS[group], label=name) for group, name in _KINDS.items()]
    axes.legend(handles=handles, loc=place, frameon=False, fontsize=8)


def _svg(figure: Any) -> str:
    from matplotlib import pyplot

    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None}, facecolor="white")
    pyplot.close(figure)
    return text.getvalue()


def _p50(result: Json) -> float:
    return float(result["latency"]["p50_ms"])


def _short(result: Json) -> str:
    """A tool's name without a long remark in brackets."""
    name, _, remark = str(result["name"]).removesuffix(".onnx").partition(" (")
    return name if len(remark) > 20 else str(result["name"]).removesuffix(".onnx")
