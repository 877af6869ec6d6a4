"""A latency result as tables and lines of plain text: the terminal and the page show the same cells."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from statistics import median
from typing import NamedTuple

from edge_lstm.latency import statistics
from edge_lstm.latency.result import Result, SettingResult
from edge_lstm.native import NATIVE

WIDTH = 80  # of a terminal
DASH = "–"


class Table(NamedTuple):
    """The first column holds the settings' names, the others numbers; its heading says what they are."""

    header: Sequence[str]
    rows: list[Sequence[str]]
    note: str = ""


def to_text(result: Result) -> str:
    """The whole result for a terminal of 80 columns, without colour."""
    parts = [wrapped(machine_line(result)) + wrapped(texts_line(result))]
    parts += [table_lines(table) + wrapped(table.note) for table in tables(result)]
    parts.append([line for note in notes(result) for line in wrapped(note)])
    return "\n\n".join("\n".join(part) for part in parts if part)


def tables(result: Result) -> Iterator[Table]:
    """Cold start, percentiles, the parts of a text, ratios and energy, as far as they were measured."""
    settings = result.settings
    if any(one.cold_starts for one in settings):
        yield _cold_start(settings)
    yield _percentiles(settings)
    yield _parts_of_a_text(settings)
    if result.ratios:
        against = result.ratios[0].against
        rows = [(ratio.name, f"{ratio.value:.3f}", _span(ratio.low, ratio.high)) for ratio in result.ratios]
        note = f"(times as long as {against} for the same texts, run in turn)"
        yield Table(("ratio", "ratio", "95 % CI"), list(rows), note)
    energies = [(one.name, one.energy) for one in settings if one.energy]
    if energies:
        cells = [
            (name, f"{e.joules_per_text * 1e3:.3g}", f"{e.above_rest_joules_per_text * 1e3:.3g}")
            for name, e in energies
        ]
        note = f"({energies[0][1].meter}: {energies[0][1].scope})"
        yield Table(("energy per text, mJ", "total", "above rest"), list(cells), note)


def notes(result: Result) -> list[str]:
    """Why there is no energy, and the reasons to distrust the times."""
    energy = [] if any(one.energy for one in result.settings) else [result.energy_note]
    return [*energy, *(f"warning: {warning.text}" for warning in result.warnings)]


def machine_line(result: Result) -> str:
    """CPU, CPUs in use, versions."""
    machine = result.machine
    cores, usable = machine.cores, machine.usable_cores
    cpus = f"{usable} of {cores} CPUs" if usable < cores else f"{cores} CPUs" if cores > 1 else "1 CPU"
    board = f"{machine.board}, " if machine.board else ""
    providers = {setting.provider for setting in result.settings}
    engines = ["native engine"] if NATIVE in providers else []
    engines += [f"onnxruntime {result.versions['onnxruntime']}"] if providers != {NATIVE} else []
    versions = ", ".join([*engines, f"python {result.versions['python']}"])
    return f"{board}{machine.cpu or machine.architecture}, {cpus}; {versions}"


def texts_line(result: Result) -> str:
    """Which texts, how many, how long."""
    texts = result.texts
    fewest, middle, most = texts.tokens
    count = f"{texts.count:,} texts" if texts.count != 1 else "1 text"
    return f"{count} ({texts.source}), {fewest:.0f} to {most:.0f} tokens, median {middle:.0f}"


def table_lines(table: Table) -> list[str]:
    """The lines of a table that fits a terminal, its names shortened where they are too long."""
    widths = [max(map(len, column)) + 2 for column in list(zip(table.header, *table.rows))[1:]]
    room = WIDTH - sum(widths)
    names = shorten([row[0] for row in table.rows], room)
    width = max(map(len, (table.header[0], *names)))
    lines = [table.header, *((name, *row[1:]) for name, row in zip(names, table.rows))]
    return [
        f"{name:<{width}}" + "".join(f"{c:>{w}}" for c, w in zip(cells, widths)) for name, *cells in lines
    ]


def shorten(names: Sequence[str], width: int) -> list[str]:
    """Names, cut in the middle where too long, still told apart."""
    short = [
        name if len(name) <= width else name[: width // 3] + "…" + name[-(width - width // 3 - 1) :]
        for name in names
    ]
    if len(set(short)) < len(short):
        return [f"{i}: {name}"[:width] for i, name in enumerate(short, 1)]
    return short


def wrapped(line: str) -> list[str]:
    """Lines of 80 columns, broken between words."""
    return textwrap.wrap(line, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


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
    rows: list[Sequence[str]] = []
    for one in settings:
        starts = [(s.total_ms, s.python_ms, s.imports_ms, s.load_ms, s.first_ms) for s in one.cold_starts]
        times = [f"{median(phase):.1f}" for phase in zip(*starts)] or [DASH] * 5
        sizes = (one.memory.steady, one.memory.peak) if one.memory else (None, None)
        mib = [DASH if size is None else f"{size / 2**20:.1f}" for size in sizes]
        rows.append((one.name, *times, *mib))
    header = ("cold start, ms", "total", "python", "imports", "load", "first", "memory", "peak")
    count = max(len(one.cold_starts) for one in settings)
    return Table(header, rows, f"(median of {count} new processes; memory in MiB after all texts)")


def _percentiles(settings: Sequence[SettingResult]) -> Table:
    """The times of a run, and which percentiles take more runs."""
    rows: list[Sequence[str]] = []
    for one in settings:
        both, ci = one.both, one.both.p50_ci_us
        times = map(ms, (both.mean_us, both.p90_us, both.p95_us, both.p99_us))
        rows.append((one.name, ms(both.p50_us), f"{ms(ci[0])}–{ms(ci[1])}" if ci else DASH, *times))
    title = "per batch, ms" if any(one.batch_size > 1 for one in settings) else "per text, ms"
    fewest = min(len(one.samples.run_us) for one in settings)
    missing = [which for which in statistics.PERCENTILES if statistics.samples_needed(which) > fewest]
    needs = ", ".join(f"p{which} needs at least {statistics.samples_needed(which):,}" for which in missing)
    note = f"({needs} runs; {fewest:,} were measured)" if missing else ""
    return Table((title, "p50", "95 % CI", "mean", "p90", "p95", "p99"), rows, note)


def _parts_of_a_text(settings: Sequence[SettingResult]) -> Table:
    """What of it is the text rule and what the network, and what a token costs."""
    rows: list[Sequence[str]] = []
    for one in settings:
        fit = one.length_fit
        line = f"{fit.fixed_us:.0f} + {fit.per_token_us:.2f} × n" if fit else DASH
        medians = (one.encode.p50_us, one.run.p50_us)
        parts = [ms(None if us is None else us / one.batch_size) for us in medians]
        rows.append((one.name, *parts, ms(one.cpu_us_per_text), f"{one.texts_per_second:,.0f}", line))
    header = ("of it, per text, ms", "text→ids", "ids→answer", "CPU time", "texts/s", "µs for n tokens")
    return Table(header, rows)
