"""Results → pictures: time of a text, time against accuracy; accuracy against kilobytes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from io import StringIO
from typing import Any

Json = dict[str, Any]
# kB at one byte per parameter, and accuracy on SST-2: github.com/google-research/bert, "Smaller BERT Models".
_BERT = {"Tiny": (4_386, 83.2), "Mini": (11_171, 85.9), "Small": (28_764, 89.7)}
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
    return {f"{draw.__name__}.svg": draw(tools, what) for draw in (latency, accuracy)}


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
        axes.plot(_p50(result), share, "o", ms=13, color=_COLOURS[result["group"]], alpha=0.6, label=name)
        axes.annotate(str(number), (_p50(result), share), ha="center", va="center", fontsize=7)
    axes.set(xscale="log", xlabel="median time of a review, ms (logarithmic)", ylabel="accuracy, %")
    axes.margins(0.1)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8, markerscale=0.5)
    return _svg(figure)


def published(report: Json, trained: Sequence[Json]) -> str:
    """Draw SST-2's accuracy against kilobytes: our files, and published figures of the same test sentences.

    trained: the runs of ``public_sets.jsonl`` that learnt from all of SST-2's training sentences.
    """
    sizes = {preset["name"]: preset["files"][0] for preset in report["presets"]}
    points = [("BERT-" + name, kb, share, "other") for name, (kb, share) in _BERT.items()]
    for name in ("tiny", "base"):
        share = 100 * sizes[name]["other_texts"]["SST-2"]
        points.append((f"{name} (film reviews)", sizes[name]["bytes"] / 1000, share, "ours"))
    own = [statistics.mean(run[key] for run in trained) for key in ("kb", "accuracy")]
    points.append((f"{trained[0]['preset']} (SST-2)", own[0], 100 * own[1], "ours"))
    what = "green: edge-lstm, int8 (trained on …); orange: BERT, one byte per parameter (Turc et al., 2019)"
    figure, axes = _begin(4.2, "Accuracy on the 1,821 test sentences of SST-2", what)
    figure.set_size_inches(6.4, 4)  # text that can be read at a phone's width
    for name, kb, share, kind in points:
        axes.plot(kb, share, "o", ms=11, color=_COLOURS[kind], alpha=0.85)
        size = f"{kb:,.0f} kB" if kb < 1000 else f"{kb / 1000:.1f} MB"
        label, up = f"{name}\n{size}, {share:.1f} %", not name.startswith("small")
        at = {"textcoords": "offset points", "ha": "center", "va": "bottom" if up else "top"}
        axes.annotate(label, (kb, share), (0, 9 if up else -9), fontsize=10, **at)
    axes.set(xscale="log", xlim=(15, 1e5), ylim=(80, 92), xlabel="size (logarithmic)", ylabel="accuracy, %")
    axes.set_xticks([100, 1000, 10_000, 100_000], ["100 kB", "1 MB", "10 MB", "100 MB"])
    return _svg(figure)


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
