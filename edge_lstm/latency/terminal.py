"""A latency result as text for a terminal of 80 columns, without colour."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_lstm.latency import statistics
from edge_lstm.latency.result import Result, SettingResult

BARS = " ▁▂▃▄▅▆▇█"
ASCII_BARS = " .:-=+*#@"
HISTOGRAM_BINS = 40
NAME_WIDTH = 24


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells as they are shown, settings down; widths: of the columns behind the name in plain text."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    widths: Sequence[int]
    notes: Sequence[str] = ()

    def lines(self) -> list[str]:
        """Plain text of 80 columns."""
        room = 80 - sum(self.widths)
        shortened = shorten([row[0] for row in self.rows], room - 1)
        rows = [self.header, *([name, *row[1:]] for name, row in zip(shortened, self.rows))]
        columns = [
            f"{name:<{room}}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, self.widths))
            for name, *cells in rows
        ]
        return [line.rstrip() for line in columns] + list(self.notes)


def to_text(result: Result, *, unicode: bool = True) -> str:
    """The whole result. unicode: whether the reader's encoding has bars, µ and the like."""
    parts = [part.lines() if isinstance(part, Table) else part for part in parts_of(result, unicode=unicode)]
    text = "\n\n".join("\n".join(part) for part in parts)
    return text if unicode else plain(text)


def parts_of(result: Result, *, unicode: bool = True) -> list[Table | list[str]]:
    """What there is to show, in order: tables and lines."""
    settings = result.settings
    parts: list[Table | list[str]] = [_header(result)]
    if any(one.cold_start for one in settings):
        parts.append(_start_table(settings))
    parts += [_steady_table(settings), _where_table(settings)]
    lines = (_ratio_lines(result), _histograms(settings, BARS if unicode else ASCII_BARS), _notes(result))
    return parts + [part for part in lines if part]


def plain(text: str) -> str:
    """The text with ASCII in place of the signs that this module writes, for a terminal without them."""
    for sign, letter in (("µ", "u"), ("°", ""), ("→", "->"), ("–", "-"), ("…", "~"), ("×", "x")):
        text = text.replace(sign, letter)
    return text.encode("ascii", "replace").decode()


def shorten(names: Sequence[str], width: int) -> list[str]:
    """Names, cut in the middle where too long, still told apart."""
    found: list[str] = []
    for name in names:
        if len(name) > width:
            name = name[: width // 3] + "…" + name[-(width - width // 3 - 1) :]
        found.append(name)
    if len(set(found)) < len(found):
        found = [f"{i + 1}: {name}"[:width] for i, name in enumerate(found)]
    return found


def ms(us: float | None) -> str:
    """µs → ms with three digits that count; a dash where there is none."""
    if us is None:
        return "–"
    value = us / 1e3
    return (
        f"{value:.4f}"
        if value < 0.1
        else f"{value:.3f}"
        if value < 10
        else f"{value:.2f}"
        if value < 100
        else f"{value:.0f}"
    )


def mib(count: float | None) -> str:
    """Bytes → MiB."""
    return "–" if count is None else f"{count / 2**20:.1f}"


def machine_line(result: Result) -> str:
    """Where it was measured (over ssh), CPU, CPUs in use, versions."""
    machine = result.machine
    versions, cores, usable = machine.versions, machine.cores, machine.usable_cores
    cpus = f"{usable} of {cores} CPUs" if usable < cores else f"{cores} CPUs" if cores > 1 else "1 CPU"
    host = f"{result.host}: " if result.host else ""
    board = f"{machine.board}, " if machine.board else ""
    return f"{host}{board}{machine.cpu or machine.architecture}, {cpus}; " + ", ".join(
        f"{name} {versions[name]}" for name in ("onnxruntime", "python") if name in versions
    )


def texts_line(result: Result) -> str:
    """Which texts, how many, how long."""
    texts = result.texts
    tokens = texts.tokens
    how_many = f"{texts.count:,} texts" if texts.count != 1 else "1 text"
    lengths = f"{tokens.min} to {tokens.max} tokens, median {tokens.median:.0f}"
    return f"{how_many} ({texts.source}), {lengths}"


def letters_line(result: Result) -> str:
    """What the letters in the settings' names mean: 't: threads, b: texts in a run'; empty without any."""
    letters = (
        ("t", "threads", "threads"),
        ("b", "texts in a run", "batch_size"),
        ("n", "tokens a text", "length"),
    )
    settings = result.settings
    used = (
        f"{letter}: {name}"
        for letter, name, key in letters
        if len({getattr(one, key) for one in settings}) > 1
    )
    return ", ".join(used)


def _header(result: Result) -> list[str]:
    letters = letters_line(result)
    lines = _wrapped(machine_line(result)) + _wrapped(texts_line(result))
    return lines + [f"({letters})"] * bool(letters)


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, 80, subsequent_indent="  ", break_long_words=False)


def _start_table(settings: Sequence[SettingResult]) -> Table:
    rows = []
    for one in settings:
        cold, memory = one.cold_start, one.memory
        phases = [f"{phase.median:.1f}" for phase in (cold.total_ms, *cold.phases)] if cold else ["–"] * 5
        rows.append(
            [
                one.name,
                *phases,
                *(mib(count) for count in ((memory.steady, memory.peak) if memory else [None] * 2)),
            ]
        )
    count = max(one.cold_start.processes for one in settings if one.cold_start)
    heads = ("total", "python", "imports", "load", "first", "memory", "peak")
    note = f"(median of {count} fresh processes; memory in MiB, after all texts)"
    widths = (8, 8, 9, 8, 8, 9, 8)
    return Table(header=("cold start, ms", *heads), rows=rows, widths=widths, notes=[note])


def _steady_table(settings: Sequence[SettingResult]) -> Table:
    rows = []
    for one in settings:
        both = one.both
        interval = both.p50_ci_us
        rows.append(
            [
                one.name,
                ms(both.p50_us),
                f"{ms(interval[0])}–{ms(interval[1])}" if interval else "–",
                *map(ms, (both.mean_us, both.p90_us, both.p95_us, both.p99_us)),
            ]
        )
    title = "a run, ms" if any(one.batch_size > 1 for one in settings) else "a text, ms"
    header = (title, "p50", "95 % CI", "mean", "p90", "p95", "p99")
    return Table(header=header, rows=rows, widths=(8, 16, 8, 8, 8, 8), notes=_too_few(settings))


def _too_few(settings: Sequence[SettingResult]) -> list[str]:
    """Which percentiles were not given, and how many runs each takes."""
    fewest = min(len(one.samples.run_us) for one in settings)
    missing = [which for which in statistics.PERCENTILES if statistics.samples_needed(which) > fewest]
    if not missing:
        return []
    takes = ", ".join(f"p{which} {statistics.samples_needed(which):,}" for which in missing)
    return [f"(– too few runs, {fewest:,}: it takes for {takes})"]


def _where_table(settings: Sequence[SettingResult]) -> Table:
    rows = []
    for one in settings:
        size = one.batch_size
        fit = one.length_fit.both if one.length_fit else None
        line = f"{fit.fixed_us:.0f} + {fit.per_token_us:.2f} × n" if fit else "–"
        medians = (one.encode.p50_us, one.run.p50_us)
        parts = [ms(None if median is None else median / size) for median in medians]
        rows.append([one.name, *parts, ms(one.cpu_us_per_text), f"{one.texts_per_second:,.0f}", line])
    header = ("per text, ms", "text→ids", "ids→answer", "CPU time", "texts/s", "µs of n tokens")
    return Table(header=header, rows=rows, widths=(9, 11, 9, 9, 17))


def _ratio_lines(result: Result) -> list[str]:
    lines: list[str] = []
    against = None
    for one in result.ratios:
        if one.against != against:
            against = one.against
            lines += [""] * bool(lines) + [f"times as long as {against} takes for the same texts (95 % CI)"]
        lines.append(f"{one.name:<{NAME_WIDTH}} {one.value:8.3f}   {one.low:.3f}–{one.high:.3f}")
    return lines


def _histograms(settings: Sequence[SettingResult], bars: str) -> list[str]:
    """Where the times lie, all settings on one scale, up to p95; the last bar holds the rest."""
    both = [one.samples.both_us / one.batch_size for one in settings]
    low = min(float(values.min()) for values in both)
    high = max(float(np.percentile(values, 95)) for values in both)
    name_width = 80 - HISTOGRAM_BINS - 2
    lines = []
    for name, values in zip(shorten([one.name for one in settings], name_width - 1), both):
        counts = statistics.histogram(values, HISTOGRAM_BINS, low, high)
        most = max(counts)
        # Every bin with a sample gets at least the lowest bar.
        cells = "".join(bars[-(-count * (len(bars) - 1) // most)] for count in counts)
        lines.append(f"{name:<{name_width}}|{cells}|")
    axis = f"{ms(low)}{f'ms a text {ms(high)}+':>{HISTOGRAM_BINS - len(ms(low))}}"
    return [*lines, " " * (name_width + 1) + axis]


def _notes(result: Result) -> list[str]:
    lines = []
    for one in result.settings:
        energy = one.energy
        if energy:
            lines += _wrapped(
                f"{one.name}: {energy.joules_per_text * 1e3:.3g} mJ a text, "
                f"{energy.above_rest_joules_per_text * 1e3:.3g} above rest ({energy.meter}: {energy.scope})"
            )
        if one.trend is not None:
            first, last = one.minutes[0].p50_us, one.minutes[-1].p50_us
            lines += _wrapped(
                f"{one.name}: {len(one.minutes)} minutes, p50 {ms(first)} → {ms(last)} ms, "
                f"trend {one.trend:+.1%}"
            )
    if not any(one.energy for one in result.settings):
        lines += _wrapped(result.energy_note)
    for warning in result.distrust:
        lines += _wrapped(f"distrust: {warning.text}")
    return lines
