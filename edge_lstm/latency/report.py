"""A latency result as tables and lines, the same for terminal and page; and the HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from statistics import median

import numpy as np

from edge_lstm.charts import length_chart
from edge_lstm.html import SERIES, Table, figure, items, page, table
from edge_lstm.latency import statistics
from edge_lstm.latency.result import Result, SettingResult
from edge_lstm.native import NATIVE
from edge_lstm.printable import counted, listed

DASH = "–"


def machine_line(result: Result) -> str:
    """CPU, CPUs in use, versions."""
    machine = result.machine
    cores, usable = machine.cores, machine.usable_cores
    cpus = (
        f"{usable} of {cores} CPUs" if usable < cores else f"{cores} CPUs" if cores > 1 else "1 CPU"
    )
    board = f"{machine.board}, " if machine.board else ""
    providers = {setting.provider for setting in result.settings}
    used = [NATIVE] if NATIVE in providers else []
    used += ["onnxruntime"] if providers != {NATIVE} else []
    versions = [f"{name} {result.versions.get(name, '')}".strip() for name in (*used, "python")]
    return f"{board}{machine.cpu or machine.architecture}, {cpus}; {', '.join(versions)}"


def texts_line(result: Result) -> str:
    """Which texts, how many, how long."""
    texts = result.texts
    fewest, middle, most = texts.tokens
    count = counted(texts.count, "text")
    return f"{count} ({texts.source}), {fewest:.0f} to {most:.0f} tokens, median {middle:.0f}"


def notes(result: Result) -> list[str]:
    """Why there is no energy, and the reasons to distrust the times."""
    energy = [] if any(setting.energy for setting in result.settings) else [result.energy_note]
    return [*energy, *(f"warning: {warning.text}" for warning in result.warnings)]


def tables(result: Result) -> Iterator[Table]:
    """Cold start, percentiles, the parts of a text, ratios and energy, as far as they were
    measured."""
    settings = result.settings
    if any(setting.cold_starts for setting in settings):
        yield _cold_start(settings)
    yield _percentiles(settings)
    yield _parts_of_a_text(settings)
    ratios = [(setting.name, setting.ratio) for setting in settings if setting.ratio]
    if ratios:
        rows = [
            (name, f"{ratio.value:.3f}", _span(ratio.low, ratio.high)) for name, ratio in ratios
        ]
        note = f"(time over that of {settings[0].name}, same texts, alternating runs)"
        yield Table(("ratio", "ratio", "95 % CI"), rows, note)
    energies = [(setting.name, setting.energy) for setting in settings if setting.energy]
    if energies:
        rows = [
            (name, f"{e.joules_per_text * 1e3:.3g}", f"{e.above_rest_joules_per_text * 1e3:.3g}")
            for name, e in energies
        ]
        note = f"({energies[0][1].meter}: {energies[0][1].scope})"
        yield Table(("energy per text, mJ", "total", "above idle"), rows, note)


def ms(us: float | None) -> str:
    """µs → ms with three digits that count; a dash where there is none."""
    if us is None:
        return DASH
    value = us / 1e3
    digits = 4 if value < 0.1 else 3 if value < 10 else 2 if value < 100 else 0
    return f"{value:.{digits}f}"


def _span(low: float, high: float) -> str:
    return f"{low:.3f}–{high:.3f}"


def _cold_start(settings: Sequence[SettingResult]) -> Table:
    """The median of each phase, in ms, and the memory in MiB."""
    rows = []
    for setting in settings:
        starts = [
            (s.total_ms, s.python_ms, s.imports_ms, s.load_ms, s.first_ms)
            for s in setting.cold_starts
        ]
        times = [f"{median(phase):.1f}" for phase in zip(*starts)] or [DASH] * 5
        sizes = (setting.memory.steady, setting.memory.peak) if setting.memory else (None, None)
        mib = [DASH if size is None else f"{size / 2**20:.1f}" for size in sizes]
        rows.append((setting.name, *times, *mib))
    header = ("cold start, ms", "total", "python", "imports", "load", "first", "memory", "peak")
    count = max(len(setting.cold_starts) for setting in settings)
    return Table(
        header,
        rows,
        f"(median of {count} process{'es' * (count > 1)}; memory after all texts, MiB)",
    )


def _percentiles(settings: Sequence[SettingResult]) -> Table:
    """The times of a run, and which percentiles take more runs."""
    rows = []
    for setting in settings:
        both, ci = setting.both, setting.both.p50_ci_us
        times = map(ms, (both.mean_us, both.p90_us, both.p95_us, both.p99_us))
        rows.append(
            (setting.name, ms(both.p50_us), f"{ms(ci[0])}–{ms(ci[1])}" if ci else DASH, *times)
        )
    title = (
        "per batch, ms" if any(setting.batch_size > 1 for setting in settings) else "per text, ms"
    )
    fewest = min(setting.runs for setting in settings)
    missing = [
        which for which in statistics.PERCENTILES if statistics.samples_needed(which) > fewest
    ]
    needs = ", ".join(
        f"p{which} needs at least {statistics.samples_needed(which):,}" for which in missing
    )
    note = f"({needs} runs; {fewest:,} were measured)" if missing else ""
    return Table((title, "p50", "95 % CI", "mean", "p90", "p95", "p99"), rows, note)


def _parts_of_a_text(settings: Sequence[SettingResult]) -> Table:
    """What of it is the text rule and what the network, and what a token costs."""
    rows = []
    for setting in settings:
        fit = setting.length_fit
        line = f"{fit.fixed_us:.0f} + {fit.per_token_us:.2f} × n" if fit else DASH
        medians = (setting.encode.p50_us, setting.run.p50_us)
        parts = [ms(None if us is None else us / setting.batch_size) for us in medians]
        parts += [ms(setting.cpu_us_per_text), f"{setting.texts_per_second:,.0f}", line]
        rows.append((setting.name, *parts))
    header = ("breakdown, ms", "text→ids", "ids→answer", "CPU time", "texts/s", "µs for n tokens")
    return Table(header, rows)


def _seconds(seconds: float) -> str:
    """Whole seconds, or of few a tenth."""
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"


def report(result: Result) -> str:
    """The page: HTML that loads nothing and runs no script."""
    models = dict.fromkeys(setting.model for setting in result.settings)
    digests = [f"{Path(model.path).name}: sha256 {model.sha256}" for model in models]
    names = listed(
        list(dict.fromkeys(Path(model.path).name.removesuffix(".onnx") for model in models)), 3
    )
    measured = f"{result.created}, measured for {_seconds(result.seconds)}"
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    return page(
        f"Latency of {names}",
        [machine_line(result), texts_line(result), measured],
        _body(result),
        [versions, *digests],
    )


def _body(result: Result) -> Iterator[str]:
    if result.warnings:
        yield f"<p><b>Warnings</b></p>{items(warning.text for warning in result.warnings)}"
    else:
        yield "<p>No condition disturbed the measurement.</p>"
    names = [setting.name for setting in result.settings]
    for cells in tables(result):
        yield table(cells, names)
    # Of more settings than colours the curves could not be told apart.
    curves = [
        (
            np.array(setting.by_text) * (1, 1e-6),
            (fit.fixed_us / 1e6, fit.per_token_us / 1e6),
            colour,
        )
        for setting, colour in zip(result.settings, SERIES)
        if (fit := setting.length_fit) and setting.by_text
    ]
    if curves:
        caption = "Each dot is a text (median of its runs); the line is the fit."
        yield f"<h2>Time by length</h2>{figure(length_chart(curves), caption)}"
    yield f'<p class="muted">{escape(result.energy_note)}.</p>'
