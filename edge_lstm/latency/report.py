"""A latency result as tables and lines, for the terminal and the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple
from html import escape
from pathlib import Path
from statistics import median

from edge_lstm.html import Row, Table, items, page, table
from edge_lstm.latency import statistics
from edge_lstm.latency.cold_start import Memory
from edge_lstm.latency.result import Measurement, SettingResult
from edge_lstm.printable import counted, duration, listed


def machine_line(result: Measurement) -> str:
    """Return the board, the CPU, the CPUs in use and the versions of a measurement."""
    machine = result.machine
    cpus = counted(machine.cores, "CPU")
    if machine.usable_cores < machine.cores:
        cpus = f"{machine.usable_cores} of {cpus}"
    board = f"{machine.board}, " if machine.board else ""
    engines = {setting.engine.partition(":")[0] for setting in result.settings}
    names = [*sorted(engines), "python"]
    versions = [f"{name} {result.versions.get(name, '')}".strip() for name in names]
    return f"{board}{machine.cpu or machine.architecture}, {cpus}; {', '.join(versions)}"


def texts_line(result: Measurement) -> str:
    """Return the number, the source and the lengths of the texts."""
    texts = result.texts
    fewest, middle, most = texts.tokens
    count = counted(texts.count, "text")
    return f"{count} ({texts.source}), {fewest:.0f} to {most:.0f} tokens, median {middle:.0f}"


def notes(result: Measurement) -> list[str]:
    """Return the reason for no energy, and reasons to distrust the times."""
    lines = [f"warning: {warning.text}" for warning in result.warnings]
    has_energy = any(setting.energy for setting in result.settings)
    return lines if has_energy else [result.energy_note, *lines]


def tables(result: Measurement) -> Iterator[Table]:
    """Yield a table of each quantity that was measured.

    They are cold start, percentiles, the parts of a text, ratios and energy.
    """
    settings = result.settings
    if any(setting.cold_starts for setting in settings):
        yield _cold_start(settings)
    for make in (_percentiles, _parts_of_a_text, _ratios, _energies):
        if (made := make(settings)).rows:
            yield made


def ms(us: float | None, texts: int = 1) -> str | None:
    """Return µs of some texts as ms of one, with about three significant digits."""
    if us is None:
        return None
    value = us / texts / 1e3
    for limit, digits in ((0.1, 4), (10, 3), (100, 2)):
        if value < limit:
            return f"{value:.{digits}f}"
    return f"{value:.0f}"


def _cold_start(settings: Sequence[SettingResult]) -> Table:
    """Return a row for each setting: the median of each phase in ms, and the memory in MiB."""
    rows = []
    for setting in settings:
        starts = [(start.total_ms, *astuple(start)) for start in setting.cold_starts]
        times: Row = [f"{median(phase):.1f}" for phase in zip(*starts)] or [None] * 5
        memory = setting.memory or Memory(None, None)
        rows.append((setting.name, *times, _mib(memory.steady), _mib(memory.peak)))
    header = ("cold start, ms", "total", "python", "imports", "load", "first", "memory", "peak")
    count = max(len(setting.cold_starts) for setting in settings)
    processes = counted(count, "process", "processes")
    return Table(header, rows, f"(median of {processes}; memory after all texts, MiB)")


def _mib(size: int | None) -> str | None:
    """Return bytes as MiB."""
    return None if size is None else f"{size / 2**20:.1f}"


def _percentiles(settings: Sequence[SettingResult]) -> Table:
    """Return a row of times for each setting, with a note about percentiles that need more runs."""
    rows = []
    for setting in settings:
        both = setting.both
        interval = None
        if both.p50_ci_us is not None:
            low, high = both.p50_ci_us
            interval = f"{ms(low)}–{ms(high)}"
        others = map(ms, (both.mean_us, both.p90_us, both.p95_us, both.p99_us))
        rows.append((setting.name, ms(both.p50_us), interval, *others))
    unit = "batch" if any(setting.batch_size > 1 for setting in settings) else "text"
    fewest = min(setting.runs for setting in settings)
    needs = []
    for percentile in statistics.PERCENTILES:
        needed = statistics.samples_needed(percentile)
        if needed > fewest:
            needs.append(f"p{percentile} needs at least {needed:,}")
    note = f"({', '.join(needs)} runs; {fewest:,} were measured)" if needs else ""
    header = (f"per {unit}, ms", "p50", "95 % CI", "mean", "p90", "p95", "p99")
    return Table(header, rows, note)


def _parts_of_a_text(settings: Sequence[SettingResult]) -> Table:
    """Return a row for each setting: the text rule, the network, and the cost of a token."""
    rows = []
    for setting in settings:
        line = None
        if (fit := setting.length_fit) is not None:
            line = f"{fit.fixed_us:.0f} + {fit.per_token_us:.2f} × n"
        encode = ms(setting.encode.p50_us, setting.batch_size)
        run = ms(setting.run.p50_us, setting.batch_size)
        cpu = ms(setting.cpu_us_per_text)
        rows.append((setting.name, encode, run, cpu, round(setting.texts_per_second), line))
    return Table(
        ("breakdown, ms", "text→ids", "ids→answer", "CPU time", "texts/s", "µs for n tokens"), rows
    )


def _ratios(settings: Sequence[SettingResult]) -> Table:
    """Return a row for each setting with a ratio."""
    rows = [
        (setting.name, f"{ratio.value:.3f}", f"{ratio.low:.3f}–{ratio.high:.3f}")
        for setting in settings
        if (ratio := setting.ratio) is not None
    ]
    return Table(
        ("ratio", "ratio", "95 % CI"),
        rows,
        f"(time over that of {settings[0].name}, same texts, alternating runs)",
    )


def _energies(settings: Sequence[SettingResult]) -> Table:
    """Return a row for each setting with its energy."""
    rows = []
    note = ""
    for setting in settings:
        if (energy := setting.energy) is not None:
            total = f"{energy.joules_per_text * 1e3:.3g}"
            above_rest = f"{energy.above_rest_joules_per_text * 1e3:.3g}"
            rows.append((setting.name, total, above_rest))
            note = f"({energy.meter}: {energy.scope})"
    return Table(("energy per text, mJ", "total", "above idle"), rows, note)


def report(result: Measurement) -> str:
    """Return the page: HTML that loads nothing and runs no script."""
    names = []
    digests = []
    for model in dict.fromkeys(setting.model for setting in result.settings):
        name = Path(model.path).name
        names.append(name.removesuffix(".onnx"))
        digests.append(f"{name}: sha256 {model.sha256}")
    title = listed(list(dict.fromkeys(names)), 3)
    measured = f"{result.created}, measured for {duration(result.seconds)}"
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    return page(
        f"Latency of {title}",
        [machine_line(result), texts_line(result), measured],
        _body(result),
        [versions, *digests],
    )


def _body(result: Measurement) -> Iterator[str]:
    """Yield the warnings and the tables, as HTML."""
    if result.warnings:
        yield f"<p><b>Warnings</b></p>{items(warning.text for warning in result.warnings)}"
    else:
        yield "<p>No condition disturbed the measurement.</p>"
    yield from map(table, tables(result))
    yield f'<p class="muted">{escape(result.energy_note)}.</p>'
