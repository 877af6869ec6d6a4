"""A latency result as one HTML page that opens offline and prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from edge_lstm import charts
from edge_lstm.atomic import write_atomically
from edge_lstm.html import SERIES, figure, legend, page, swatch, table
from edge_lstm.latency.cold_start import Memory
from edge_lstm.latency.compare import Comparison
from edge_lstm.latency.result import Result, SettingResult
from edge_lstm.latency.statistics import PERCENTILES, per_text, samples_needed
from edge_lstm.latency.terminal import letters_line, machine_line, mib, ms, texts_line
from edge_lstm.printable import listed

_STYLE = """
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 18px 0 8px; }
.tile { border: 1px solid var(--line); border-radius: 6px; padding: 10px 16px 8px; min-width: 120px; }
.tile b { display: block; font-size: 24px; line-height: 1.2; }
.tile span { color: var(--muted); font-size: 13px; }
.trust { border-left: 4px solid var(--series-2); padding: 6px 14px; margin: 16px 0; background: var(--tint); }
.distrust { border-left-color: var(--bad); }
.distrust ul { margin: 4px 0; padding-left: 20px; }
.fail { color: var(--bad); font-weight: 600; }
@media print {
  h2 + p { break-after: avoid; }
  .tiles { flex-wrap: nowrap; gap: 8px; }
  .tile { min-width: 0; padding: 6px 10px 4px; }
  .tile b { font-size: 17px; }
  .tile span { font-size: 10px; }
}
"""

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
NO_MEMORY = Memory(None, None, None, None)


def write_report(result: Result, path: Path, comparison: Comparison | None = None) -> None:
    """Writes the page. Raises OutputError where it cannot be written."""
    write_atomically(report(result, comparison), path)


def check_drawable() -> None:
    """Raises MissingPackageError where no report can be drawn: known before the work, not after it."""
    charts.check_drawable()


def report(result: Result, comparison: Comparison | None = None) -> str:
    """The page: HTML that loads nothing and runs no script."""
    return page(_title(result), _body(result, comparison), style=_STYLE)


def _title(result: Result) -> str:
    models = list(dict.fromkeys(one.model_name for one in result.settings))
    return f"Latency of {listed(models, 3)}"


def _body(result: Result, comparison: Comparison | None) -> Iterator[str]:
    settings = result.settings
    yield f"<h1>{escape(_title(result))}</h1>"
    yield f'<p class="muted">{escape(machine_line(result))}<br>{escape(texts_line(result))}<br>'
    letters = letters_line(result)
    yield f"{escape(result.created)}, measured for {result.seconds:.0f} s"
    yield f"<br>in the names: {letters}</p>" if letters else "</p>"
    yield _trust(result)
    if comparison is not None:
        yield from _comparison(comparison)
    yield _tiles(settings[0])
    yield from _steady(settings)
    if result.ratios:
        yield from _ratios(result)
    yield from _sweep(settings)
    yield from _lengths(settings)
    if any(one.cold_start for one in settings):
        yield from _starts(settings)
    yield from _over_time(settings)
    yield from _energy(result)
    yield from _conditions(result)
    versions = ", ".join(f"{name} {version}" for name, version in result.machine.versions.items())
    models = {one.model.path: one.model.sha256 for one in settings}
    digests = "<br>".join(f"{escape(Path(path).name)}: sha256 {sha}" for path, sha in models.items())
    yield f"<footer>{escape(versions)}, seed {result.plan.seed}<br>{digests}</footer>"


def _trust(result: Result) -> str:
    if not result.distrust:
        return '<div class="trust">Nothing disturbed the measurement.</div>'
    lines = "".join(f"<li>{escape(warning.text)}</li>" for warning in result.distrust)
    return f'<div class="trust distrust"><b>Read with care</b><ul>{lines}</ul></div>'


def _time(us: float | None) -> str:
    return "–" if us is None else charts.milliseconds(us)


def _tiles(one: SettingResult) -> str:
    both, cold, memory = one.both, one.cold_start, one.memory
    tiles = [("p50", _time(both.p50_us), _interval(both.p50_ci_us))]
    for which in reversed(PERCENTILES[1:]):
        if both.percentile(which) is not None:
            tiles.append((f"p{which}", _time(both.percentile(which)), f"of {one.runs:,} runs"))
            break
    tiles.append(("throughput", f"{one.texts_per_second:,.0f}", "texts a second"))
    if cold:
        low, high = cold.total_ms.min, cold.total_ms.max
        tiles.append(("cold start", f"{cold.total_ms.median:.0f} ms", f"{low:.0f} to {high:.0f} ms"))
    if memory and memory.peak:
        tiles.append(("peak memory", f"{mib(memory.peak)} MiB", f"{mib(memory.steady)} steady"))
    return (
        f'<p class="muted">{escape(one.name)}</p><div class="tiles">'
        + "".join(
            f'<div class="tile"><span>{name}</span><b>{value}</b><span>{note}</span></div>'
            for name, value, note in tiles
        )
        + "</div>"
    )


def _interval(found: Sequence[float] | None) -> str:
    return f"95 % CI {ms(found[0])} to {ms(found[1])} ms" if found else "too few runs for an interval"


def _energy(result: Result) -> Iterator[str]:
    yield "<h2>Energy</h2>"
    rows = [
        [
            escape(one.name),
            f"<b>{one.energy.joules_per_text * 1e3:.3g}</b>",
            f"{one.energy.above_rest_joules_per_text * 1e3:.3g}",
            f"{one.energy.watts:.2f}",
            f"{one.energy.rest_watts:.2f}",
            f"{escape(one.energy.meter)}: {escape(one.energy.scope)}",
        ]
        for one in result.settings
        if one.energy
    ]
    if not rows:
        yield f"<p>{escape(result.energy_note)}.</p>"
        return
    header = ("setting", "mJ a text", "above rest", "W at work", "W at rest", "meter")
    yield table(header, rows, numbers=range(1, 5))


def _conditions(result: Result) -> Iterator[str]:
    machine, states = result.machine, result.states
    yield "<h2>Conditions</h2>"
    quota = machine.cpu_quota
    facts = {
        "device": machine.board,
        "CPU": machine.cpu,
        "features": ", ".join(machine.features or ()),
        "cores": f"{machine.usable_cores} of {machine.cores} usable",
        "affinity": ", ".join(map(str, machine.affinity or ())),
        "CPU quota": f"{quota:g} CPUs" if quota else "none",
        "memory": f"{mib(machine.memory_bytes)} MiB" if machine.memory_bytes else None,
        "system": f"{machine.system}, {machine.kernel}, {machine.architecture}",
        "virtual machine": "yes" if machine.virtual else "not seen",
        "emulation": machine.emulated or "not seen",
    }
    yield table(("machine", ""), [(name, escape(str(value))) for name, value in facts.items() if value])
    names = {
        "load_average": "load average",
        "mhz": "clock, MHz",
        "max_mhz": "highest clock allowed, MHz",
        "governor": "frequency governor",
        "temperature_c": "temperature, °C",
        "throttled": "throttling flags of the firmware",
        "throttle_count": "throttled, times since start",
        "quota_stops": "stopped by the CPU quota, times",
        "steal_s": "taken by the host, s",
        "power": "power source",
    }
    first, last = states[0], states[-1]
    rows = [(name, _shown(getattr(first, key)), _shown(getattr(last, key))) for key, name in names.items()]
    yield table(("state", "before", "after"), rows, numbers=(1, 2))


def _shown(value: Any) -> str:
    if value is None:
        return '<span class="muted">not said</span>'
    if isinstance(value, tuple):
        return escape(", ".join(map(str, value))) or "none"
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else escape(str(value))


def _comparison(comparison: Comparison) -> Iterator[str]:
    yield "<h2>Against the earlier result</h2>"
    limit = comparison.fail_above
    rows = [charts.RatioRow(row.name, row.ratio, row.low, row.high) for row in comparison.rows]
    yield figure(
        charts.forest_chart(rows, "times as long as then", None if limit is None else 1 + limit),
        "Ratio of the medians (p50) and its 95 % interval; left of 1 is faster than before"
        + (f", the dashed line is the limit of {limit:.0%}." if limit is not None else "."),
    )
    yield table(
        ("setting", "p50 before, ms", "p50 now, ms", "ratio", "verdict"),
        [
            (
                escape(row.name),
                ms(row.old_us),
                ms(row.new_us),
                f"{row.ratio:.3f}",
                f'<span class="fail">{row.verdict}</span>' if row.failed else row.verdict,
            )
            for row in comparison.rows
        ],
        numbers=(1, 2, 3),
    )
    yield f'<p class="muted">then: {escape(comparison.old_created)}</p>'
    if comparison.notes:
        yield f'<ul class="muted">{"".join(f"<li>{escape(note)}</li>" for note in comparison.notes)}</ul>'


def _steady(settings: Sequence[SettingResult]) -> Iterator[str]:
    """The table of percentiles and the distributions."""
    yield "<h2>Steady state</h2>"
    yield "<p>Text in, answer out, over varied texts, after warm-up" + (
        ", the settings in random turns.</p>" if len(settings) > 1 else ".</p>"
    )
    yield _steady_table(settings)
    yield figure(
        charts.distribution_chart([_distribution(i, one) for i, one in enumerate(settings)]),
        "Every run that was kept. The width comes from the texts' lengths first of all, see below.",
    )


def _colour(i: int) -> str:
    return SERIES[i % len(SERIES)]


def _steady_table(settings: Sequence[SettingResult]) -> str:
    header = ["ms", "p50", "95 % CI", "mean", *(f"p{which}" for which in PERCENTILES[1:]), "max", "runs"]
    header += ["text→ids", "ids→answer", "CPU a text", "texts/s"]
    rows = []
    for i, one in enumerate(settings):
        both = one.both
        found = both.p50_ci_us
        rows.append(
            [
                swatch(i) + escape(one.name),
                f"<b>{ms(both.p50_us)}</b>",
                f"{ms(found[0])}–{ms(found[1])}" if found else "–",
                ms(both.mean_us),
                *(ms(both.percentile(which)) for which in PERCENTILES[1:]),
                ms(both.max_us),
                f"{one.runs:,}",
                ms(one.encode.p50_us),
                ms(one.run.p50_us),
                ms(one.cpu_us_per_text),
                f"{one.texts_per_second:,.0f}",
            ]
        )
    note = ""
    fewest = min(len(one.samples.run_us) for one in settings)
    missing = [which for which in PERCENTILES if samples_needed(which) > fewest]
    if missing:
        takes = ", ".join(f"p{which} takes {samples_needed(which):,} runs" for which in missing)
        note = f'<p class="muted">–: too few runs; {takes}.</p>'
    return table(header, rows, numbers=range(1, len(header))) + note


def _distribution(i: int, one: SettingResult) -> charts.Distribution:
    marks = ((f"p{which}", one.both.percentile(which)) for which in (50, 90, 99))
    known = tuple((name, us) for name, us in marks if us is not None)
    return charts.Distribution(one.name, one.samples.both_us, known, _colour(i))


def _ratios(result: Result) -> Iterator[str]:
    """Forest plots of the ratios."""
    yield "<h2>Side by side</h2>"
    yield (
        "<p>Time for the same blocks of texts, run in turn, so that whatever happened to the machine "
        "happened to all. This ratio is what to quote, with its interval.</p>"
    )
    for against in dict.fromkeys(one.against for one in result.ratios):
        rows = [
            charts.RatioRow(one.name, one.value, one.low, one.high)
            for one in result.ratios
            if one.against == against
        ]
        yield figure(
            charts.forest_chart(rows, f"times as long as {against} takes"),
            "Median ratio and its 95 % interval; left of 1 is faster.",
        )


def _value(one: SettingResult, key: str) -> Any:
    return one.model_name if key == "model" else getattr(one, key)


def _sweep(settings: Sequence[SettingResult]) -> Iterator[str]:
    """A grid where at least two things were varied: the one with most values across."""
    varied = [(key, name) for key, name in DIMENSIONS if len({str(_value(one, key)) for one in settings}) > 1]
    if len(varied) < 2:
        return
    across, across_name = max(varied, key=lambda kn: len({str(_value(one, kn[0])) for one in settings}))
    others = [(key, name) for key, name in varied if key != across]
    columns = list(dict.fromkeys(_value(one, across) for one in settings))

    def row_name(one: SettingResult) -> str:
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
        charts.heat_map_chart(rows, [str(column) for column in columns], values, across_name),
        "Time a text, the median over the blocks of texts. Darker is slower; the fastest is framed.",
    )


def _typical(one: SettingResult) -> float:
    return float(np.median(one.blocks_us_per_text))


def _lengths(settings: Sequence[SettingResult]) -> Iterator[str]:
    """Time against tokens, with the fits."""
    curves: list[charts.LengthCurve] = []
    rows: list[list[str]] = []
    shown: list[tuple[int, str]] = []
    for i, one in enumerate(settings):
        if one.batch_size != 1 or one.length is not None or one.length_fit is None:
            continue
        if len(curves) == MOST_CURVES:
            break
        samples = one.samples
        text = np.array(samples.text)
        _, tokens = per_text(text, np.array(samples.tokens, dtype=np.float64))
        _, times = per_text(text, samples.both_us)
        fit = one.length_fit.both
        shown.append((i, one.name))
        curves.append(charts.LengthCurve(one.name, tokens, times, fit.fixed_us, fit.per_token_us, _colour(i)))
        for fit, name in (
            (one.length_fit.both, "text → answer"),
            (one.length_fit.encode, "text → ids"),
            (one.length_fit.run, "ids → answer"),
        ):
            fixed, slope = fit.fixed_ci_us, fit.per_token_ci_us
            rows.append(
                [
                    swatch(i) + escape(one.name),
                    name,
                    f"{fit.fixed_us:.1f}",
                    f"{fixed[0]:.1f} to {fixed[1]:.1f}",
                    f"<b>{fit.per_token_us:.3f}</b>",
                    f"{slope[0]:.3f} to {slope[1]:.3f}",
                    f"{fit.r2:.3f}",
                ]
            )
    if not curves:
        return
    yield "<h2>Time by length</h2>"
    yield legend(shown)
    yield figure(
        charts.length_curve_chart(curves), "A dot is a text, the median of its runs; the line is the fit."
    )
    header = ("setting", "part", "fixed, µs", "95 % CI", "per token, µs", "95 % CI", "R²")
    yield table(header, rows, numbers=range(2, 7))


def _starts(settings: Sequence[SettingResult]) -> Iterator[str]:
    """Cold start by phase, and memory."""
    yield "<h2>Cold start and memory</h2>"
    bars, rows = [], []
    seen = set()
    for one in settings:
        cold, memory = one.cold_start, one.memory or NO_MEMORY
        key = (one.model.path, one.threads, one.provider)
        if cold and key not in seen:  # settings that load the same way share their cold starts
            seen.add(key)
            phases = tuple(phase.median for phase in cold.phases)
            bars.append(charts.StartRow(one.name, phases, cold.total_ms.min, cold.total_ms.max))
        cells = map(mib, (memory.imported, memory.loaded, memory.steady, memory.peak))
        rows.append([escape(one.name), *cells, f"{one.model.bytes / 1000:,.0f} kB"])
    count = max(one.cold_start.processes for one in settings if one.cold_start)
    yield figure(
        charts.start_chart(bars),
        f"From the start of a fresh process to its first answer: medians of {count} processes, "
        "the thin line from the shortest to the longest. Files were in the page cache.",
    )
    header = ("memory, MiB", "after imports", "model loaded", "after all texts", "peak", "model file")
    yield table(header, rows, numbers=range(1, 6))


def _over_time(settings: Sequence[SettingResult]) -> Iterator[str]:
    """Drift: minute by minute, or block by block."""
    minutes = any(len(one.minutes) >= 3 for one in settings)
    courses = []
    for i, one in enumerate(settings[:MOST_CURVES]):
        if minutes:
            values = np.array([minute.p50_us for minute in one.minutes], dtype=np.float64)
        else:
            values = np.array(one.blocks_us_per_text, dtype=np.float64)
            if len(values) > COURSE_POINTS:
                values = np.array([np.median(part) for part in np.array_split(values, COURSE_POINTS)])
        if len(values) >= 3:
            courses.append(charts.Course(one.name, values, _colour(i)))
    if not courses:
        return
    yield "<h2>Over time</h2>"
    yield legend([(i, one.name) for i, one in enumerate(settings[:MOST_CURVES])])
    unit = "minutes" if minutes else "blocks of texts, in order (medians of neighbours where there are many)"
    yield figure(
        charts.course_chart(courses, unit),
        "Median time of a run, minute by minute." if minutes else "Mean time a text in each block.",
    )
    trends = [one for one in settings if one.trend is not None]
    if trends:
        rows = []
        for one in trends:
            first, last = one.minutes[0], one.minutes[-1]
            states = [
                f"{minute.temperature_c:.0f} °C" if minute.temperature_c is not None else "–"
                for minute in (first, last)
            ]
            rows.append(
                [
                    escape(one.name),
                    ms(first.p50_us),
                    ms(last.p50_us),
                    f"{one.trend:+.1%}",
                    *states,
                ]
            )
        header = ("setting", "first minute, ms", "last minute, ms", "trend", "first", "last")
        yield table(header, rows, numbers=range(1, 6))
