"""``edge-lstm latency``: measure how fast this machine answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_lstm.latency.choices import Choices, measure_here

if TYPE_CHECKING:
    from edge_lstm.latency.measure import Progress
    from edge_lstm.latency.result import Document


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
    ] = Choices.runs,
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
    ] = Choices.interval,
    threads: Annotated[
        str, typer.Option("--threads", metavar="N,...", help="Threads inside one run.")
    ] = Choices.threads,
    batch_size: Annotated[
        str, typer.Option("--batch-size", metavar="N,...", help="Texts in one run.")
    ] = Choices.batch_size,
    length: Annotated[
        str | None,
        typer.Option(
            "--length", metavar="N,...", help="Texts made exactly this many tokens long.", show_default=False
        ),
    ] = None,
    provider: Annotated[
        str, typer.Option("--provider", metavar="NAME,...", help="Execution providers of ONNX Runtime.")
    ] = Choices.provider,
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
    ] = Choices.cold_starts,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Seed of every random choice.")
    ] = Choices.seed,
    text_column: Annotated[
        str | None,
        typer.Option("--text-column", metavar="NAME", help="Column of --data that holds the text."),
    ] = None,
    input_format: Annotated[
        str | None,
        typer.Option(
            "--input-format", metavar="FORMAT", help="Format of --data, where its name does not tell."
        ),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Write the result as JSON (docs/latency.md); - for standard output.",
        ),
    ] = None,
    report_file: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write a report, one HTML page.")
    ] = None,
    samples: Annotated[
        Path | None, typer.Option("--samples", metavar="FILE", help="Write every run to this CSV as it ends.")
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            "--compare", metavar="OLD NEW", help="Compare two results of --json instead of measuring."
        ),
    ] = None,
    fail_above: Annotated[
        str | None,
        typer.Option(
            "--fail-above",
            metavar="PERCENT",
            help="With --compare: exit code 1 where p50 got slower by more than this, beyond noise.",
        ),
    ] = None,
    ssh: Annotated[
        str | None,
        typer.Option(
            "--ssh", metavar="USER@HOST", help="Measure on this device, over ssh, and bring it back."
        ),
    ] = None,
    wheels: Annotated[
        Path | None,
        typer.Option(
            "--wheels", metavar="DIR", help="With --ssh: wheels for the device, instead of downloading them."
        ),
    ] = None,
) -> None:
    """Measure how fast this machine answers: cold start, load, and steady state, over varied real texts.

    Several models, or several values of an option separated by commas, are measured in random turns and
    compared.
    """
    from edge_lstm.errors import DataError

    if compare is not None:
        _compare(*compare, fail_above, report_file, json_file)
        return
    for option, value in (("--fail-above", fail_above), ("--wheels", wheels)):
        if value is not None and (option != "--wheels" or ssh is None):
            needs = "--ssh USER@HOST" if option == "--wheels" else "--compare OLD NEW"
            raise DataError(f"{option} needs {needs}")
    for path in (json_file, report_file):
        if path is not None and str(path) != "-":
            from edge_lstm.atomic import check_writable

            check_writable(path)
    choices = Choices(
        tuple(models or ()), data, text_column, input_format, runs, duration, interval, threads, batch_size,
        length, provider, pin, cold_starts, seed,
    )  # fmt: skip
    if ssh is not None:
        from edge_lstm.latency.ssh import measure_over_ssh

        if samples is not None:
            raise DataError("--samples is written where it is measured; leave it out with --ssh")
        document = measure_over_ssh(ssh, choices, wheels, tell=_progress())
    else:
        document = measure_here(choices, progress=_progress(), samples=samples)
    _show(document, json_file, report_file)


def _show(document: Document, json_file: Path | None, report_file: Path | None) -> None:
    from edge_lstm.latency.result import dumps, write_document
    from edge_lstm.latency.terminal import to_text

    to_stdout = json_file is not None and str(json_file) == "-"
    if json_file is not None and not to_stdout:
        write_document(document, json_file)
    if report_file is not None:
        from edge_lstm.latency.report import write_report

        write_report(document, report_file)
    if to_stdout:
        print(dumps(document), end="")
    else:
        print(to_text(document, unicode=_unicode()))
    if any(mark["code"] == "interrupted" for mark in document["distrust"]):
        raise typer.Exit(130)


def _compare(
    old_file: Path, new_file: Path, fail_above: str | None, report_file: Path | None, json_file: Path | None
) -> None:
    import json
    from dataclasses import asdict

    from edge_lstm.atomic import write_atomically
    from edge_lstm.latency.compare import check, compare, to_text
    from edge_lstm.latency.options import parse_percent
    from edge_lstm.latency.result import read_document

    new = read_document(new_file)
    limit = None if fail_above is None else parse_percent(fail_above, "--fail-above")
    comparison = compare(read_document(old_file), new, limit)
    if report_file is not None:
        from edge_lstm.latency.report import write_report

        write_report(new, report_file, comparison)
    answer = json.dumps(asdict(comparison), ensure_ascii=False, indent=2)
    if json_file is not None and str(json_file) != "-":
        write_atomically(answer + "\n", json_file)
    if json_file is not None and str(json_file) == "-":
        print(answer)
    else:
        print(to_text(comparison, unicode=_unicode()))
    check(comparison)


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
