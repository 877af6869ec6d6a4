"""The parts of the latency report that show times: tables and drawings, each its own function."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from edge_lstm.html import SERIES, figure, table
from edge_lstm.latency import plots
from edge_lstm.latency.result import Document
from edge_lstm.latency.statistics import PERCENTILES, per_text, samples_needed
from edge_lstm.latency.terminal import mib, ms

# What can differ between settings: key of the document, what people call it.
DIMENSIONS = (
    ("model", "model"),
    ("provider", "provider"),
    ("length", "tokens"),
    ("threads", "threads"),
    ("batch_size", "texts in a run"),
)
MOST_CURVES = len(SERIES)  # settings drawn as curves; more could not be told apart
COURSE_POINTS = 200

Setting = dict[str, Any]


def steady(settings: Sequence[Setting]) -> Iterator[str]:
    """The table of percentiles and the distributions."""
    yield "<h2>Steady state</h2>"
    yield "<p>Text in, answer out, over varied texts, after warm-up" + (
        ", the settings in random turns.</p>" if len(settings) > 1 else ".</p>"
    )
    yield _steady_table(settings)
    yield figure(
        plots.distributions([_distribution(i, one) for i, one in enumerate(settings)]),
        "Every run that was kept. The width comes from the texts' lengths first of all, see below.",
    )


def model_name(setting: Setting) -> str:
    """The model's file name, without its suffix."""
    return Path(setting["model"]["path"]).name.removesuffix(".onnx")


def _colour(i: int) -> str:
    return SERIES[i % len(SERIES)]


def _swatch(i: int) -> str:
    return f'<span class="swatch" style="background:{_colour(i)}"></span>'


def _steady_table(settings: Sequence[Setting]) -> str:
    header = ["ms", "p50", "95 % CI", "mean", *(f"p{which}" for which in PERCENTILES[1:]), "max", "runs"]
    header += ["text→ids", "ids→answer", "CPU a text", "texts/s"]
    rows = []
    for i, one in enumerate(settings):
        both = one["both"]
        found = both["p50_ci_us"]
        rows.append(
            [
                _swatch(i) + escape(one["name"]),
                f"<b>{ms(both['p50_us'])}</b>",
                f"{ms(found[0])}–{ms(found[1])}" if found else "–",
                ms(both["mean_us"]),
                *(ms(both[f"p{which}_us"]) for which in PERCENTILES[1:]),
                ms(both["max_us"]),
                f"{one['runs']:,}",
                ms(one["encode"]["p50_us"]),
                ms(one["run"]["p50_us"]),
                ms(one["cpu_us_per_text"]),
                f"{one['texts_per_second']:,.0f}",
            ]
        )
    note = ""
    fewest = min(len(one["samples"]["run_us"]) for one in settings)
    missing = [which for which in PERCENTILES if samples_needed(which) > fewest]
    if missing:
        takes = ", ".join(f"p{which} takes {samples_needed(which):,} runs" for which in missing)
        note = f'<p class="muted">–: too few runs; {takes}.</p>'
    return table(header, rows, numbers=range(1, len(header))) + note


def _samples(one: Setting) -> plots.Floats:
    both: plots.Floats = np.add(one["samples"]["encode_us"], one["samples"]["run_us"])
    return both


def _distribution(i: int, one: Setting) -> plots.Distribution:
    both = one["both"]
    marks = tuple(
        (f"p{which}", both[f"p{which}_us"]) for which in (50, 90, 99) if both[f"p{which}_us"] is not None
    )
    return plots.Distribution(one["name"], _samples(one), marks, _colour(i))


def ratios(document: Document) -> Iterator[str]:
    """Forest plots of the ratios."""
    yield "<h2>Side by side</h2>"
    yield (
        "<p>Time for the same blocks of texts, run in turn, so that whatever happened to the machine "
        "happened to all. This ratio is what to quote, with its interval.</p>"
    )
    for against in dict.fromkeys(one["against"] for one in document["ratios"]):
        rows = [
            plots.Interval(one["name"], one["value"], one["low"], one["high"])
            for one in document["ratios"]
            if one["against"] == against
        ]
        yield figure(
            plots.forest(rows, f"times as long as {against} takes"),
            "Median ratio and its 95 % interval; left of 1 is faster.",
        )


def _value(one: Setting, key: str) -> Any:
    return model_name(one) if key == "model" else one[key]


def sweep(settings: Sequence[Setting]) -> Iterator[str]:
    """A grid where at least two things were varied: the one with most values across."""
    varied = [(key, name) for key, name in DIMENSIONS if len({str(_value(one, key)) for one in settings}) > 1]
    if len(varied) < 2:
        return
    across, across_name = max(varied, key=lambda kn: len({str(_value(one, kn[0])) for one in settings}))
    others = [(key, name) for key, name in varied if key != across]
    columns = list(dict.fromkeys(_value(one, across) for one in settings))

    def row_name(one: Setting) -> str:
        parts = [_value(one, key) if key == "model" else f"{name} {_value(one, key)}" for key, name in others]
        return ", ".join(part.removesuffix("ExecutionProvider") for part in parts)

    cells = {(row_name(one), _value(one, across)): one for one in settings}
    rows = list(dict.fromkeys(row for row, _ in cells))
    values = [
        [_typical(cells[row, column]) if (row, column) in cells else None for column in columns]
        for row in rows
    ]
    yield "<h2>Sweep</h2>"
    yield figure(
        plots.heat_map(rows, [str(column) for column in columns], values, across_name),
        "Time a text, the median over the blocks of texts. Darker is slower; the fastest is framed.",
    )


def _typical(one: Setting) -> float:
    return float(np.median(one["blocks_us_per_text"]))


def _legend(names: Sequence[tuple[int, str]]) -> str:
    if len(names) < 2:
        return ""
    return f'<p class="muted">{"".join(f"{_swatch(i)}{escape(name)}&emsp;" for i, name in names)}</p>'


def lengths(settings: Sequence[Setting]) -> Iterator[str]:
    """Time against tokens, with the fits."""
    curves: list[plots.LengthCurve] = []
    rows: list[list[str]] = []
    legend: list[tuple[int, str]] = []
    for i, one in enumerate(settings):
        if one["batch_size"] != 1 or one["length"] is not None or one["length_fit"] is None:
            continue
        if len(curves) == MOST_CURVES:
            break
        samples = one["samples"]
        text = np.array(samples["text"])
        _, tokens = per_text(text, np.array(samples["tokens"], dtype=np.float64))
        _, times = per_text(text, _samples(one))
        fit = one["length_fit"]["both"]
        legend.append((i, one["name"]))
        curves.append(
            plots.LengthCurve(one["name"], tokens, times, fit["fixed_us"], fit["per_token_us"], _colour(i))
        )
        for part, name in (("both", "text → answer"), ("encode", "text → ids"), ("run", "ids → answer")):
            fit = one["length_fit"][part]
            fixed, slope = fit["fixed_ci_us"], fit["per_token_ci_us"]
            rows.append(
                [
                    _swatch(i) + escape(one["name"]),
                    name,
                    f"{fit['fixed_us']:.1f}",
                    f"{fixed[0]:.1f} to {fixed[1]:.1f}",
                    f"<b>{fit['per_token_us']:.3f}</b>",
                    f"{slope[0]:.3f} to {slope[1]:.3f}",
                    f"{fit['r2']:.3f}",
                ]
            )
    if not curves:
        return
    yield "<h2>Time by length</h2>"
    yield _legend(legend)
    yield figure(plots.length_curves(curves), "A dot is a text, the median of its runs; the line is the fit.")
    header = ("setting", "part", "fixed, µs", "95 % CI", "per token, µs", "95 % CI", "R²")
    yield table(header, rows, numbers=range(2, 7))


def starts(settings: Sequence[Setting]) -> Iterator[str]:
    """Cold start by phase, and memory."""
    yield "<h2>Cold start and memory</h2>"
    bars, rows = [], []
    seen = set()
    for one in settings:
        cold, memory = one["cold_start"], one["memory"] or {}
        key = (one["model"]["path"], one["threads"], one["provider"])
        if cold and key not in seen:  # settings that load the same way share their cold starts
            seen.add(key)
            phases = [cold[f"{phase}_ms"]["median"] for phase in ("python", "imports", "load", "first")]
            bars.append((one["name"], phases, cold["total_ms"]["min"], cold["total_ms"]["max"]))
        cells = [mib(memory.get(key)) for key in ("imported", "loaded", "steady", "peak")]
        rows.append([escape(one["name"]), *cells, f"{one['model']['bytes'] / 1000:,.0f} kB"])
    count = max(one["cold_start"]["processes"] for one in settings if one["cold_start"])
    yield figure(
        plots.starts(bars),
        f"From the start of a fresh process to its first answer: medians of {count} processes, "
        "the thin line from the shortest to the longest. Files were in the page cache.",
    )
    header = ("memory, MiB", "after imports", "model loaded", "after all texts", "peak", "model file")
    yield table(header, rows, numbers=range(1, 6))


def over_time(settings: Sequence[Setting]) -> Iterator[str]:
    """Drift: minute by minute, or block by block."""
    minutes = any(len(one["minutes"]) >= 3 for one in settings)
    courses = []
    for i, one in enumerate(settings[:MOST_CURVES]):
        if minutes:
            values = np.array([minute["p50_us"] for minute in one["minutes"]], dtype=np.float64)
        else:
            values = np.array(one["blocks_us_per_text"], dtype=np.float64)
            if len(values) > COURSE_POINTS:
                values = np.array([np.median(part) for part in np.array_split(values, COURSE_POINTS)])
        if len(values) >= 3:
            courses.append(plots.Course(one["name"], values, _colour(i)))
    if not courses:
        return
    yield "<h2>Over time</h2>"
    yield _legend([(i, one["name"]) for i, one in enumerate(settings[:MOST_CURVES])])
    unit = "minutes" if minutes else "blocks of texts, in order (medians of neighbours where there are many)"
    yield figure(
        plots.courses(courses, unit),
        "Median time of a run, minute by minute." if minutes else "Mean time a text in each block.",
    )
    trends = [one for one in settings if one["trend"] is not None]
    if trends:
        rows = []
        for one in trends:
            first, last = one["minutes"][0], one["minutes"][-1]
            states = [
                f"{minute['temperature_c']:.0f} °C" if minute["temperature_c"] is not None else "–"
                for minute in (first, last)
            ]
            rows.append(
                [
                    escape(one["name"]),
                    ms(first["p50_us"]),
                    ms(last["p50_us"]),
                    f"{one['trend']:+.1%}",
                    *states,
                ]
            )
        header = ("setting", "first minute, ms", "last minute, ms", "trend", "first", "last")
        yield table(header, rows, numbers=range(1, 6))
