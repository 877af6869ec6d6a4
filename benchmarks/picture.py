"""Results → pictures: accuracy against time, and against kilobytes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from io import StringIO
from typing import Any

Json = dict[str, Any]
# kB at one byte per parameter, and accuracy on SST-2: github.com/google-research/bert, "Smaller
# BERT Models".
_BERT = {"Tiny": (4_386, 83.2), "Mini": (11_171, 85.9), "Small": (28_764, 89.7)}
_NEAR = 0.6  # points of accuracy between two names that would touch
_COLOURS = {"ours": "#3c8a5b", "other": "#d9772b"}


def comparison(report: Json) -> str:
    """Draw a dot for each tool, with its name: time of one text across (logarithmic), mean
    accuracy up.
    """
    sets = report["sets"]
    what = f"green: edge-lstm; accuracy: mean of {', '.join(sets)}; time: text to label, one thread"
    figure, axes = _begin(4.6, "Accuracy and time of one text", what)
    places = {
        tool["name"]: (tool["alone_us"], 100 * statistics.mean(tool["accuracy"].values()))
        for tool in report["tools"]
    }
    for name, (time, share) in places.items():
        colour = _COLOURS["ours" if name.startswith("edge-lstm") else "other"]
        axes.plot(time, share, "o", ms=9, color=colour, alpha=0.85)
        is_above_another = any(
            0 < share - other_share < _NEAR and 1 / 2 < other_time / time < 2
            for other_time, other_share in places.values()
        )
        axes.annotate(
            f"{name.removeprefix('edge-lstm ')}\n{share:.1f} %, {time:,.0f} µs",
            (time, share),
            (8, 4) if is_above_another else (8, 0),
            textcoords="offset points",
            va="bottom" if is_above_another else "center",
            fontsize=9,
        )
    times = [time for time, _ in places.values()]
    # The slowest tools' names need paper to the right of their dots.
    limits = (min(times) / 2, 8 * max(times))
    axes.set(xscale="log", xlim=limits, xlabel="median time, µs (logarithmic)")
    axes.set_ylabel("accuracy, %")
    axes.margins(y=0.1)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    figure.set_size_inches(6.4, 4.4)  # text that can be read at a phone's width
    return _svg(figure)


def published(report: Json, trained: Sequence[Json]) -> str:
    """Draw SST-2's accuracy against kilobytes: our files, and published figures of the same test
    sentences.

    trained: the runs of ``public_sets.jsonl`` that learnt from all of SST-2's training sentences.
    """
    points = [("BERT-" + name, kb, share, "other") for name, (kb, share) in _BERT.items()]
    for name, learnt in (("tiny", "reviews"), ("base", "reviews and SST-2")):
        share = 100 * report[name]["other_texts"]["SST-2"]
        points.append((f"{name} ({learnt})", report[name]["bytes"] / 1000, share, "ours"))
    own = [statistics.mean(run[key] for run in trained) for key in ("kb", "accuracy")]
    points.append((f"{trained[0]['preset']} (reviews and SST-2)", own[0], 100 * own[1], "ours"))
    what = (
        "green: edge-lstm, int8 (trained on …); "
        "orange: BERT, one byte per parameter (Turc et al., 2019)"
    )
    figure, axes = _begin(4.2, "Accuracy on the 1,821 test sentences of SST-2", what)
    figure.set_size_inches(6.4, 4)  # text that can be read at a phone's width
    for name, kb, share, kind in points:
        axes.plot(kb, share, "o", ms=11, color=_COLOURS[kind], alpha=0.85)
        size = f"{kb:,.0f} kB" if kb < 1000 else f"{kb / 1000:.1f} MB"
        label = f"{name}\n{size}, {share:.1f} %"
        up = not name.startswith("small")
        at = {"textcoords": "offset points", "ha": "center", "va": "bottom" if up else "top"}
        axes.annotate(label, (kb, share), (0, 9 if up else -9), fontsize=10, **at)
    axes.set(
        xscale="log",
        xlim=(15, 1.5e5),
        ylim=(80, 92),
        xlabel="size (logarithmic)",
        ylabel="accuracy, %",
    )
    axes.set_xticks([100, 1000, 10_000, 100_000], ["100 kB", "1 MB", "10 MB", "100 MB"])
    return _svg(figure)


def kilobytes(presets: Sequence[tuple[str, float, float]], sets: int) -> str:
    """Draw points above a linear SVM against kilobytes.

    presets: (name, 1,000 bytes, points) of each.
    sets: their number, of which the points are the mean.
    """
    what = f"mean over the test splits of {sets} sets; SVM on TF-IDF of words, pairs, characters"
    figure, axes = _begin(4.2, "Points above a linear SVM against the size of the file", what)
    figure.set_size_inches(6.4, 4)  # text that can be read at a phone's width
    _, kb, gain = zip(*presets)
    axes.plot(kb, gain, "o-", ms=9, color=_COLOURS["ours"], alpha=0.85)
    for name, across, up in presets:
        at = {"textcoords": "offset points", "ha": "right", "va": "bottom"}
        axes.annotate(
            f"{name}\n{across:,.0f} kB, {up:+.1f}", (across, up), (-4, 7), fontsize=9, **at
        )
    axes.set(xscale="log", xlim=(28, 1500), xlabel="int8 file, kB (logarithmic)", ylabel="points")
    axes.set_xticks([50, 100, 200, 500, 1000], ["50", "100", "200", "500", "1,000"])
    axes.margins(y=0.3)
    axes.axhline(0, color="#5b6673", linewidth=0.8)
    return _svg(figure)


def _begin(height: float, title: str, what: str) -> tuple[Any, Any]:
    """Return a figure and its axes, 9 inches wide."""
    from matplotlib import pyplot, rcParams

    rcParams.update(
        {"backend": "svg", "svg.hashsalt": "edge-lstm", "svg.fonttype": "none", "font.size": 9}
    )
    figure, axes = pyplot.subplots(figsize=(9, height), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, weight="bold")
    axes.set_title(what, loc="left", fontsize=8, color="#5b6673")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.3)
    return figure, axes


def _svg(figure: Any) -> str:
    from matplotlib import pyplot

    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None}, facecolor="white")
    pyplot.close(figure)
    return text.getvalue()
