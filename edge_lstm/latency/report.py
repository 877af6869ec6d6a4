"""A latency document as one HTML page that opens offline and prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from edge_lstm.atomic import write_atomically
from edge_lstm.html import figure, page, table
from edge_lstm.latency import plots
from edge_lstm.latency import report_sections as sections
from edge_lstm.latency.compare import Comparison
from edge_lstm.latency.result import Document
from edge_lstm.latency.statistics import PERCENTILES
from edge_lstm.latency.terminal import letters_line, machine_line, mib, ms, texts_line
from edge_lstm.printable import listed

_STYLE = """
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 18px 0 8px; }
.tile { border: 1px solid #d5dae2; border-radius: 6px; padding: 10px 16px 8px; min-width: 140px; }
.tile b { display: block; font-size: 24px; line-height: 1.2; }
.tile span { color: #5d6778; font-size: 13px; }
.trust { border-left: 4px solid #3c8a5b; padding: 6px 14px; margin: 16px 0; background: #f3f8f5; }
.distrust { border-left-color: #d9772b; background: #fdf5ee; }
.distrust ul { margin: 4px 0; padding-left: 20px; }
.fail { color: #b3541e; font-weight: 600; }
@media print {
  h2 + p { break-after: avoid; }
  .tiles { flex-wrap: nowrap; gap: 8px; }
  .tile { min-width: 0; padding: 6px 10px 4px; }
  .tile b { font-size: 17px; }
  .tile span { font-size: 10px; }
}
"""

Setting = dict[str, Any]


def write_report(document: Document, path: Path, comparison: Comparison | None = None) -> None:
    """Writes the page. Raises OutputError where it cannot be written."""
    write_atomically(report(document, comparison), path)


def report(document: Document, comparison: Comparison | None = None) -> str:
    """The page: HTML that loads nothing and runs no script."""
    return page(_title(document), _body(document, comparison), style=_STYLE)


def _title(document: Document) -> str:
    models = list(dict.fromkeys(sections.model_name(one) for one in document["settings"]))
    return f"Latency of {listed(models, 3)}"


def _body(document: Document, comparison: Comparison | None) -> Iterator[str]:
    settings: list[Setting] = document["settings"]
    yield f"<h1>{escape(_title(document))}</h1>"
    yield f'<p class="muted">{escape(machine_line(document))}<br>{escape(texts_line(document))}<br>'
    letters = letters_line(document)
    yield f"{escape(document['created'])}, measured for {document['seconds']:.0f} s"
    yield f"<br>in the names: {letters}</p>" if letters else "</p>"
    yield _trust(document)
    if comparison is not None:
        yield from _comparison(comparison)
    yield _tiles(settings[0])
    yield from sections.steady(settings)
    if document["ratios"]:
        yield from sections.ratios(document)
    yield from sections.sweep(settings)
    yield from sections.lengths(settings)
    if any(one["cold_start"] for one in settings):
        yield from sections.starts(settings)
    yield from sections.over_time(settings)
    yield from _energy(document)
    yield from _conditions(document)
    versions = ", ".join(f"{name} {version}" for name, version in document["machine"]["versions"].items())
    models = {one["model"]["path"]: one["model"]["sha256"] for one in settings}
    digests = "<br>".join(f"{escape(Path(path).name)}: sha256 {sha}" for path, sha in models.items())
    yield f"<footer>{escape(versions)}, seed {document['plan']['seed']}<br>{digests}</footer>"


def _trust(document: Document) -> str:
    marks = document["distrust"]
    if not marks:
        return '<div class="trust">Nothing disturbed the measurement.</div>'
    lines = "".join(f"<li>{escape(mark['text'])}</li>" for mark in marks)
    return f'<div class="trust distrust"><b>Read with care</b><ul>{lines}</ul></div>'


def _time(us: float | None) -> str:
    return "–" if us is None else plots.milliseconds(us)


def _tiles(one: Setting) -> str:
    both, cold, memory = one["both"], one["cold_start"], one["memory"] or {}
    tiles = [("p50", _time(both["p50_us"]), _interval(both["p50_ci_us"]))]
    for which in reversed(PERCENTILES[1:]):
        if both[f"p{which}_us"] is not None:
            tiles.append((f"p{which}", _time(both[f"p{which}_us"]), f"of {one['runs']:,} runs"))
            break
    tiles.append(("throughput", f"{one['texts_per_second']:,.0f}", "texts a second"))
    if cold:
        low, high = cold["total_ms"]["min"], cold["total_ms"]["max"]
        tiles.append(("cold start", f"{cold['total_ms']['median']:.0f} ms", f"{low:.0f} to {high:.0f} ms"))
    if memory.get("peak"):
        tiles.append(("peak memory", f"{mib(memory['peak'])} MiB", f"{mib(memory['steady'])} steady"))
    return (
        f'<p class="muted">{escape(one["name"])}</p><div class="tiles">'
        + "".join(
            f'<div class="tile"><span>{name}</span><b>{value}</b><span>{note}</span></div>'
            for name, value, note in tiles
        )
        + "</div>"
    )


def _interval(found: Sequence[float] | None) -> str:
    return f"95 % CI {ms(found[0])} to {ms(found[1])} ms" if found else "too few runs for an interval"


def _energy(document: Document) -> Iterator[str]:
    yield "<h2>Energy</h2>"
    rows = [
        [
            escape(one["name"]),
            f"<b>{one['energy']['joules_per_text'] * 1e3:.3g}</b>",
            f"{one['energy']['above_rest_joules_per_text'] * 1e3:.3g}",
            f"{one['energy']['watts']:.2f}",
            f"{one['energy']['rest_watts']:.2f}",
            f"{escape(one['energy']['meter'])}: {escape(one['energy']['scope'])}",
        ]
        for one in document["settings"]
        if one["energy"]
    ]
    if not rows:
        yield f"<p>{escape(document['energy_note'])}.</p>"
        return
    header = ("setting", "mJ a text", "above rest", "W at work", "W at rest", "meter")
    yield table(header, rows, numbers=range(1, 5))


def _conditions(document: Document) -> Iterator[str]:
    machine, states = document["machine"], document["states"]
    yield "<h2>Conditions</h2>"
    quota = machine.get("cpu_quota")
    facts = {
        "device": machine.get("board"),
        "CPU": machine.get("cpu"),
        "features": ", ".join(machine.get("features") or ()),
        "cores": f"{machine.get('usable_cores')} of {machine['cores']} usable",
        "affinity": ", ".join(map(str, machine.get("affinity") or ())),
        "CPU quota": f"{quota:g} CPUs" if quota else "none",
        "memory": f"{mib(machine.get('memory_bytes'))} MiB" if machine.get("memory_bytes") else None,
        "system": f"{machine['system']}, {machine['kernel']}, {machine['architecture']}",
        "virtual machine": "yes" if machine.get("virtual") else "not seen",
        "emulation": machine.get("emulated") or "not seen",
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
    rows = [(name, _shown(first.get(key)), _shown(last.get(key))) for key, name in names.items()]
    yield table(("state", "before", "after"), rows, numbers=(1, 2))


def _shown(value: Any) -> str:
    if value is None:
        return '<span class="muted">not said</span>'
    if isinstance(value, list):
        return escape(", ".join(map(str, value))) or "none"
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else escape(str(value))


def _comparison(comparison: Comparison) -> Iterator[str]:
    yield "<h2>Against the earlier result</h2>"
    limit = comparison.fail_above
    rows = [plots.Interval(row.name, row.ratio, row.low, row.high) for row in comparison.rows]
    yield figure(
        plots.forest(rows, "times as long as then", None if limit is None else 1 + limit),
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
