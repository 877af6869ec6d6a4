"""``edge-lstm latency``: measure how fast this machine answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edge_lstm.latency.measure import Progress


def command(
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="Model files, side by side.  [default: the embedded model]",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="FILE",
            help="Texts to answer (CSV, TSV, JSONL, or one a line).  [default: the package's reviews]",
            show_default=False,
        ),
    ] = None,
    runs: Annotated[
        int, typer.Option("--runs", metavar="N", min=1, help="Timed runs of each setting; p99 takes 1,000.")
    ] = 2000,
    duration: Annotated[
        str | None,
        typer.Option(
            "--duration",
            metavar="TIME",
            help="Measure this long instead (30s, 30m, 2h), all settings together.",
            show_default=False,
        ),
    ] = None,
    interval: Annotated[
        str,
        typer.Option(
            "--interval", metavar="TIME", help="Pause before each run (20ms, 1s), as between requests."
        ),
    ] = "0",
    threads: Annotated[str, typer.Option("--threads", metavar="N,...", help="Threads inside one run.")] = "1",
    batch_size: Annotated[str, typer.Option("--batch-size", metavar="N,...", help="Texts in one run.")] = "1",
    length: Annotated[
        str | None,
        typer.Option(
            "--length", metavar="N,...", help="Texts made exactly this many tokens long.", show_default=False
        ),
    ] = None,
    provider: Annotated[
        str, typer.Option("--provider", metavar="NAME,...", help="Execution providers of ONNX Runtime.")
    ] = "CPUExecutionProvider",
    pin: Annotated[
        str | None,
        typer.Option("--pin", metavar="CPUS", help="Use these CPUs only (0,2 or 0-3).", show_default=False),
    ] = None,
    cold_starts: Annotated[
        int,
        typer.Option(
            "--cold-starts",
            metavar="N",
            min=0,
            help="Fresh processes for cold start; 0 leaves it and memory out.",
        ),
    ] = 5,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of every random choice.")] = 0,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Write the result as JSON (docs/latency.md); - for standard output.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Measure how fast this machine answers: cold start, load, and steady state, over varied real texts.

    Several models, or several values of an option separated by commas, are measured in random turns and
    compared.
    """
    from edge_lstm.latency.document import dumps, to_document, write_document
    from edge_lstm.latency.measure import measure
    from edge_lstm.latency.options import parse_cpus, parse_numbers, parse_time
    from edge_lstm.latency.plan import Plan, make_settings
    from edge_lstm.latency.table import to_text
    from edge_lstm.latency.texts import read_sample
    from edge_lstm.modelfile import embedded_model

    settings = make_settings(
        models or [embedded_model()],
        threads=parse_numbers(threads, "--threads"),
        batch_sizes=parse_numbers(batch_size, "--batch-size"),
        lengths=parse_numbers(length, "--length") if length else (None,),
        providers=tuple(dict.fromkeys(name.strip() for name in provider.split(","))),
    )
    plan = Plan(
        settings,
        runs=runs,
        duration_s=parse_time(duration, "--duration") if duration else None,
        interval_s=parse_time(interval, "--interval"),
        pin=parse_cpus(pin) if pin else (),
        cold_starts=cold_starts,
        seed=seed,
    )
    result = measure(plan, read_sample(data), progress=_progress())
    document = to_document(result)
    if json_file is not None and str(json_file) != "-":
        write_document(document, json_file)
    if json_file is not None and str(json_file) == "-":
        print(dumps(document), end="")
    else:
        print(to_text(document, unicode=_unicode()))
    if result.interrupted:
        raise typer.Exit(130)


def _unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _progress() -> Progress | None:
    """What tells a terminal's standard error what is going on; None elsewhere."""
    if not sys.stderr.isatty():
        return None
    shown = ""

    def show(what: str, part: float) -> None:
        nonlocal shown
        line = f"{what} {part:4.0%}" if what else ""
        if line != shown:
            print(f"\r{line:<{len(shown)}}\r{line}", end="", file=sys.stderr, flush=True)
            shown = line

    return show
