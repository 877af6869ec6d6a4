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
from edge_lstm.latency.result import Result, SettingResult
from edge_lstm.latency.statistics import PERCENTILES, per_text
from edge_lstm.latency.terminal import DASH, machine_line, mib, ms, texts_line, too_few_runs
from edge_lstm.printable import listed

_STYLE = """
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 18px 0 8px; }
.tile { border: 1px solid var(--line); border-radius: 6px; padding: 10px 16px 8px; min-width: 120px; }
.tile b { display: block; font-size: 24px; line-height: 1.2; }
.tile span { color: var(--muted); font-size: 13px; }
.trust { border-left: 4px solid var(--series-2); padding: 6px 14px; margin: 16px 0; background: var(--tint); }
.distrust { border-left-color: var(--bad); }
.distrust ul { margin: 4px 0; padding-left: 20px; }
@media print {
  h2 + p { break-after: avoid; }
  .tiles { flex-wrap: nowrap; gap: 8px; }
  .tile { min-width: 0; padding: 6px 10px 4px; }
  .tile b { font-size: 17px; }
  .tile span { font-size: 10px; }
}
"""

MOST_CURVES = len(SERIES)  # settings drawn as curves; more could not be told apart
STATES = {
    "load_average": "load average",
    "mhz": "clock, MHz",
    "max_mhz": "highest clock allowed, MHz",
    "governor": "frequency governor",
    "throttled": "throttling flags of the firmware",
    "throttle_count": "times throttled since start",
    "quota_stops": "times stopped by the CPU quota",
    "steal_s": "CPU time given to others by the host, s",
}


def write_report(result: Result, path: Path) -> None:
    """Write the page. Raises OutputError where it cannot be written."""
    write_atomically(report(result), path)


def check_drawable() -> None:
    """Raise MissingPackageError where no report can be drawn: known before the work, not after it."""
    charts.check_drawable()


def report(result: Result) -> str:
    """The page: HTML that loads nothing and runs no script."""
    names = list(dict.fromkeys(Path(one.model.path).name.removesuffix(".onnx") for one in result.settings))
    title = f"Latency of {listed(names, 3)}"
    return page(title, _body(title, result), style=_STYLE)


def _body(title: str, result: Result) -> Iterator[str]:
    settings = result.settings
    yield f"<h1>{escape(title)}</h1>"
    lines = [
        machine_line(result),
        texts_line(result),
        f"{result.created}, measured for {result.seconds:.0f} s",
    ]
    yield f'<p class="muted">{"<br>".join(map(escape, lines))}</p>'
    yield _warnings(result)
    yield _tiles(settings[0])
    yield from _steady(settings)
    if result.ratios:
        yield from _ratios(result)
    yield from _lengths(settings)
    if any(one.cold_start for one in settings):
        yield from _starts(settings)
    yield from _energy(result)
    yield from _conditions(result)
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    models = {one.model.path: one.model.sha256 for one in settings}
    digests = "<br>".join(f"{escape(Path(path).name)}: sha256 {sha}" for path, sha in models.items())
    yield f"<footer>{escape(versions)}, seed {result.plan.seed}<br>{digests}</footer>"


def _warnings(result: Result) -> str:
    if not result.warnings:
        return '<div class="trust">No condition disturbed the measurement.</div>'
    lines = "".join(f"<li>{escape(warning.text)}</li>" for warning in result.warnings)
    return f'<div class="trust distrust"><b>Read with care</b><ul>{lines}</ul></div>'


def _tiles(one: SettingResult) -> str:
    both, cold, memory, ci = one.both, one.cold_start, one.memory, one.both.p50_ci_us
    interval = f"95 % CI {ms(ci[0])} to {ms(ci[1])} ms" if ci else "too few runs for an interval"
    tiles = [("p50", _time(both.p50_us), interval)]
    given = [which for which in PERCENTILES[1:] if both.percentile(which) is not None]
    if given:
        tiles.append((f"p{given[-1]}", _time(both.percentile(given[-1])), f"of {one.runs:,} runs"))
    tiles.append(("throughput", f"{one.texts_per_second:,.0f}", "texts per second"))
    if cold:
        median, low, high = cold.total_ms
        tiles.append(("cold start", f"{median:.0f} ms", f"{low:.0f} to {high:.0f} ms"))
    if memory and memory.peak:
        tiles.append(("peak memory", f"{mib(memory.peak)} MiB", f"{mib(memory.steady)} steady"))
    cells = "".join(
        f'<div class="tile"><span>{name}</span><b>{value}</b><span>{note}</span></div>'
        for name, value, note in tiles
    )
    return f'<p class="muted">{escape(one.name)}</p><div class="tiles">{cells}</div>'


def _time(us: float | None) -> str:
    return DASH if us is None else charts.milliseconds(us)


def _name(i: int, one: SettingResult) -> str:
    return swatch(i) + escape(one.name)


def _steady(settings: Sequence[SettingResult]) -> Iterator[str]:
    """Percentiles, and the distributions."""
    yield "<h2>Steady state</h2>"
    turns = ", the settings in random turns" if len(settings) > 1 else ""
    yield f"<p>Text in, answer out, over varied texts, after warm-up{turns}.</p>"
    header = ["ms", "p50", "95 % CI", "mean", *(f"p{which}" for which in PERCENTILES[1:]), "max", "runs"]
    header += ["text→ids", "ids→answer", "CPU per text", "texts/s"]
    rows = []
    for i, one in enumerate(settings):
        both, ci = one.both, one.both.p50_ci_us
        percentiles = [ms(both.percentile(which)) for which in PERCENTILES[1:]]
        first = [_name(i, one), f"<b>{ms(both.p50_us)}</b>", f"{ms(ci[0])}–{ms(ci[1])}" if ci else DASH]
        parts = [ms(one.encode.p50_us), ms(one.run.p50_us), ms(one.cpu_us_per_text)]
        rows.append([*first, ms(both.mean_us), *percentiles, ms(both.max_us), f"{one.runs:,}", *parts])
        rows[-1].append(f"{one.texts_per_second:,.0f}")
    yield table(header, rows, numbers=range(1, len(header)))
    if note := too_few_runs(settings):
        yield f'<p class="muted">{DASH}: {note}.</p>'
    distributions = []
    for i, one in enumerate(settings):
        marks = ((f"p{which}", one.both.percentile(which)) for which in (50, 90, 99))
        given = tuple((name, us) for name, us in marks if us is not None)
        distributions.append(charts.Distribution(one.name, one.samples.both_us, given, _colour(i)))
    caption = "Every kept run. Most of the width comes from the lengths of the texts, see below."
    yield figure(charts.distribution_chart(distributions), caption)


def _colour(i: int) -> str:
    return SERIES[i % len(SERIES)]


def _ratios(result: Result) -> Iterator[str]:
    yield "<h2>Side by side</h2>"
    yield (
        "<p>Times for the same blocks of texts, run in turn: whatever happened to the machine happened to "
        "all settings. Quote this ratio, with its interval.</p>"
    )
    header = ("setting", f"times as long as {result.ratios[0].against}", "95 % CI")
    rows = [(escape(r.name), f"<b>{r.value:.3f}</b>", f"{r.low:.3f} to {r.high:.3f}") for r in result.ratios]
    yield table(header, rows, numbers=(1, 2))


def _lengths(settings: Sequence[SettingResult]) -> Iterator[str]:
    """The line through the texts' medians over their tokens."""
    curves: list[charts.LengthCurve] = []
    names, rows = [], []
    for i, one in enumerate(settings):
        if (fit := one.length_fit) is None:
            continue
        fixed, slope = fit.fixed_ci_us, fit.per_token_ci_us
        line = [f"{fit.fixed_us:.1f}", f"{fixed[0]:.1f} to {fixed[1]:.1f}", f"<b>{fit.per_token_us:.3f}</b>"]
        rows.append([_name(i, one), *line, f"{slope[0]:.3f} to {slope[1]:.3f}", f"{fit.r2:.3f}"])
        if len(curves) < MOST_CURVES:
            text = np.array(one.samples.text, np.int64)
            _, times = per_text(text, one.samples.both_us)
            _, tokens = per_text(text, np.array(one.samples.tokens, np.float64))
            line_of = (fit.fixed_us, fit.per_token_us)
            curves.append(charts.LengthCurve(one.name, tokens, times, *line_of, _colour(i)))
            names.append((i, one.name))
    if not curves:
        return
    yield "<h2>Time by length</h2>"
    yield legend(names)
    caption = "A dot is a text, the median of its runs; the line is the fit."
    yield figure(charts.length_curve_chart(curves), caption)
    header = ("setting", "fixed, µs", "95 % CI", "per token, µs", "95 % CI", "R²")
    yield table(header, rows, numbers=range(1, 6))


def _starts(settings: Sequence[SettingResult]) -> Iterator[str]:
    """Cold start by phase, and memory."""
    yield "<h2>Cold start and memory</h2>"
    count = max(one.cold_start.processes for one in settings if one.cold_start)
    yield (
        f"<p>From the start of a new process to its first answer: medians of {count} processes in ms. "
        "Files were in the page cache. Memory in MiB.</p>"
    )
    header = ["setting", "total", "shortest", "longest", "python", "imports", "load", "first text"]
    header += ["after imports", "loaded", "after all texts", "peak", "model file"]
    rows = []
    for one in settings:
        cold, memory = one.cold_start, one.memory
        times = [*cold.total_ms, *(phase[0] for phase in cold.phases)] if cold else []
        sizes = [memory.imported, memory.loaded, memory.steady, memory.peak] if memory else [None] * 4
        starts = [f"{value:.1f}" for value in times] or [DASH] * 7
        rows.append([escape(one.name), *starts, *map(mib, sizes), f"{one.model.bytes / 1000:,.0f} kB"])
    yield table(header, rows, numbers=range(1, len(header)))


def _energy(result: Result) -> Iterator[str]:
    yield "<h2>Energy</h2>"
    rows = []
    for one in result.settings:
        if energy := one.energy:
            joules = (energy.joules_per_text * 1e3, energy.above_rest_joules_per_text * 1e3)
            figures = [f"<b>{joules[0]:.3g}</b>", f"{joules[1]:.3g}", f"{energy.watts:.2f}"]
            meter = escape(f"{energy.meter}: {energy.scope}")
            rows.append([escape(one.name), *figures, f"{energy.rest_watts:.2f}", meter])
    if not rows:
        yield f"<p>{escape(result.energy_note)}.</p>"
        return
    header = ("setting", "mJ per text", "above rest", "W at work", "W at rest", "meter")
    yield table(header, rows, numbers=range(1, 5))


def _conditions(result: Result) -> Iterator[str]:
    machine = result.machine
    yield "<h2>Conditions</h2>"
    facts = {
        "device": machine.board,
        "CPU": machine.cpu,
        "features": ", ".join(machine.features),
        "cores": f"{machine.usable_cores} of {machine.cores} usable",
        "CPU quota": f"{machine.cpu_quota:g} CPUs" if machine.cpu_quota else "none",
        "memory": f"{mib(machine.memory_bytes)} MiB" if machine.memory_bytes else None,
        "system": f"{machine.system}, {machine.kernel}, {machine.architecture}",
    }
    yield table(("machine", ""), [(name, escape(value)) for name, value in facts.items() if value])
    states = (result.states[0], result.states[-1])
    rows = [(name, *(_shown(getattr(at, key)) for at in states)) for key, name in STATES.items()]
    yield table(("state", "before", "after"), rows, numbers=(1, 2))


def _shown(value: Any) -> str:
    if value is None:
        return '<span class="muted">not reported</span>'
    if isinstance(value, tuple):
        return escape(", ".join(map(str, value))) or "none"
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else escape(str(value))
