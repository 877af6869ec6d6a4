"""A latency result as text for a terminal of 80 columns, without colour."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from edge_lstm.latency import statistics
from edge_lstm.latency.result import Result, SettingResult

WIDTH = 80
NAME_WIDTH = 24
DASH = "–"


def to_text(result: Result, *, unicode: bool = True) -> str:
    """The whole result. unicode: whether the reader's encoding has µ and the like."""
    settings = result.settings
    parts = [wrapped(machine_line(result)) + wrapped(texts_line(result))]
    if any(one.cold_start for one in settings):
        parts.append(_start_table(settings))
    parts += [_percentiles(settings), _parts_of_a_text(settings), _ratio_lines(result), _notes(result)]
    text = "\n\n".join("\n".join(part) for part in parts if part)
    return text if unicode else plain(text)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    """Settings down, their names first; widths: of the other columns."""
    room = WIDTH - sum(widths)
    names = shorten([row[0] for row in rows], room - 1)
    lines = [header, *([name, *row[1:]] for name, row in zip(names, rows))]
    return [
        f"{name:<{room}}{''.join(f'{cell:>{width}}' for cell, width in zip(cells, widths))}".rstrip()
        for name, *cells in lines
    ]


def plain(text: str) -> str:
    """The text with ASCII in place of the signs that this module writes, for a terminal without them."""
    for sign, letter in (("µ", "u"), ("→", "->"), (DASH, "-"), ("…", "~"), ("×", "x")):
        text = text.replace(sign, letter)
    return text.encode("ascii", "replace").decode()


def shorten(names: Sequence[str], width: int) -> list[str]:
    """Names, cut in the middle where too long, still told apart."""
    short = [
        name if len(name) <= width else name[: width // 3] + "…" + name[-(width - width // 3 - 1) :]
        for name in names
    ]
    if len(set(short)) < len(short):
        return [f"{i}: {name}"[:width] for i, name in enumerate(short, 1)]
    return short


def ms(us: float | None) -> str:
    """µs → ms with three digits that count; a dash where there is none."""
    if us is None:
        return DASH
    value = us / 1e3
    digits = 4 if value < 0.1 else 3 if value < 10 else 2 if value < 100 else 0
    return f"{value:.{digits}f}"


def mib(count: float | None) -> str:
    """Bytes → MiB."""
    return DASH if count is None else f"{count / 2**20:.1f}"


def machine_line(result: Result) -> str:
    """CPU, CPUs in use, versions."""
    machine = result.machine
    cores, usable = machine.cores, machine.usable_cores
    cpus = f"{usable} of {cores} CPUs" if usable < cores else f"{cores} CPUs" if cores > 1 else "1 CPU"
    board = f"{machine.board}, " if machine.board else ""
    versions = [f"{name} {result.versions[name]}" for name in ("onnxruntime", "python")]
    return f"{board}{machine.cpu or machine.architecture}, {cpus}; {', '.join(versions)}"


def texts_line(result: Result) -> str:
    """Which texts, how many, how long."""
    texts = result.texts
    fewest, median, most = texts.tokens
    count = f"{texts.count:,} texts" if texts.count != 1 else "1 text"
    return f"{count} ({texts.source}), {fewest:.0f} to {most:.0f} tokens, median {median:.0f}"


def too_few_runs(settings: Sequence[SettingResult]) -> str:
    """Which percentiles are missing, and how many runs each takes; empty where none is."""
    fewest = min(len(one.samples.run_us) for one in settings)
    missing = [which for which in statistics.PERCENTILES if statistics.samples_needed(which) > fewest]
    needs = ", ".join(f"p{which} needs at least {statistics.samples_needed(which):,}" for which in missing)
    return f"{needs} runs ({fewest:,} measured)" if missing else ""


def wrapped(line: str) -> list[str]:
    """Lines of 80 columns, broken between words."""
    return textwrap.wrap(line, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _start_table(settings: Sequence[SettingResult]) -> list[str]:
    rows = []
    for one in settings:
        cold, memory = one.cold_start, one.memory
        phases = [f"{phase[0]:.1f}" for phase in (cold.total_ms, *cold.phases)] if cold else [DASH] * 5
        sizes = (memory.steady, memory.peak) if memory else (None, None)
        rows.append([one.name, *phases, *map(mib, sizes)])
    count = max(one.cold_start.processes for one in settings if one.cold_start)
    heads = ("total", "python", "imports", "load", "first", "memory", "peak")
    note = f"(median of {count} new processes; memory in MiB after all texts)"
    return _table(("cold start, ms", *heads), rows, (8, 8, 9, 8, 8, 9, 8)) + wrapped(note)


def _percentiles(settings: Sequence[SettingResult]) -> list[str]:
    rows = []
    for one in settings:
        both, ci = one.both, one.both.p50_ci_us
        times = map(ms, (both.mean_us, both.p90_us, both.p95_us, both.p99_us))
        rows.append([one.name, ms(both.p50_us), f"{ms(ci[0])}–{ms(ci[1])}" if ci else DASH, *times])
    title = "per batch, ms" if any(one.batch_size > 1 for one in settings) else "per text, ms"
    header = (title, "p50", "95 % CI", "mean", "p90", "p95", "p99")
    note = too_few_runs(settings)
    return _table(header, rows, (8, 16, 8, 8, 8, 8)) + wrapped(f"({note})" if note else "")


def _parts_of_a_text(settings: Sequence[SettingResult]) -> list[str]:
    rows = []
    for one in settings:
        fit = one.length_fit
        line = f"{fit.fixed_us:.0f} + {fit.per_token_us:.2f} × n" if fit else DASH
        medians = (one.encode.p50_us, one.run.p50_us)
        parts = [ms(None if median is None else median / one.batch_size) for median in medians]
        rows.append([one.name, *parts, ms(one.cpu_us_per_text), f"{one.texts_per_second:,.0f}", line])
    header = ("of it, per text, ms", "text→ids", "ids→answer", "CPU time", "texts/s", "µs for n tokens")
    return _table(header, rows, (9, 11, 9, 9, 17))


def _ratio_lines(result: Result) -> list[str]:
    if not result.ratios:
        return []
    head = f"times as long as {result.ratios[0].against} for the same texts (95 % CI)"
    names = shorten([one.name for one in result.ratios], NAME_WIDTH)
    return wrapped(head) + [
        f"{name:<{NAME_WIDTH}} {one.value:8.3f}   {one.low:.3f}–{one.high:.3f}"
        for name, one in zip(names, result.ratios)
    ]


def _notes(result: Result) -> list[str]:
    lines = []
    for one in result.settings:
        if one.energy:
            energy = one.energy
            joules = (energy.joules_per_text * 1e3, energy.above_rest_joules_per_text * 1e3)
            text = f"{one.name}: {joules[0]:.3g} mJ per text, {joules[1]:.3g} above rest"
            lines += wrapped(f"{text} ({energy.meter}: {energy.scope})")
    if not lines:
        lines += wrapped(result.energy_note)
    for warning in result.warnings:
        lines += wrapped(f"warning: {warning.text}")
    return lines
