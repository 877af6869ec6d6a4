"""``edge-lstm latency``: measure how fast this machine answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_lstm.cli.options import JsonOption
from edge_lstm.latency.settings import Settings
from edge_lstm.printable import printable
from edge_lstm.signals import held, received_exit_code

if TYPE_CHECKING:
    from edge_lstm.latency.compare import Comparison
    from edge_lstm.latency.measure import Progress
    from edge_lstm.latency.result import Result


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
            "-d",
            metavar="FILE",
            help="Texts to classify (CSV, TSV, JSONL, or one a line).  [default: the package's reviews]",
            show_default=False,
        ),
    ] = None,
    runs: Annotated[
        int, typer.Option("--runs", metavar="N", min=1, help="Timed runs of each setting; p99 takes 1,000.")
    ] = Settings.runs,
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
    ] = Settings.cold_starts,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Seed of every random choice.")
    ] = Settings.seed,
    text_column: Annotated[
        str | None,
        typer.Option("--text-column", metavar="NAME", help="Column of --data that holds the text."),
    ] = None,
    input_format: Annotated[
        str | None,
        typer.Option(
            "--input-format", metavar="FORMAT", help="Format of --data, where its name does not say."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write the result as JSON (docs/latency.md).",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    report_file: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Write a report, one HTML page that opens offline."),
    ] = None,
    samples: Annotated[
        Path | None, typer.Option("--samples", metavar="FILE", help="Write every run to this CSV as it ends.")
    ] = None,
    shown: Annotated[
        Path | None,
        typer.Option("--show", metavar="RESULT", help="Show a result of --output instead of measuring."),
    ] = None,
    compared: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            "--compare", metavar="OLD NEW", help="Compare two results of --output instead of measuring."
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
    from edge_lstm.atomic import check_distinct, check_writable
    from edge_lstm.errors import DataError

    paths = list(models or ())
    if fail_above is not None and compared is None:
        raise DataError("--fail-above is for comparing; give --compare OLD NEW")
    if wheels is not None and ssh is None:
        raise DataError("--wheels is for a device elsewhere; give --ssh USER@HOST")
    if ssh is not None and samples is not None:
        raise DataError("--samples is written where it is measured; leave it out with --ssh")
    written = [path for path in (output, report_file, samples) if path is not None]
    for path in written:
        check_writable(path)
    inputs = [*paths, *(path for path in (data, shown, *(compared or ())) if path is not None)]
    check_distinct(written, inputs)
    if report_file is not None:
        from edge_lstm.latency.report import check_drawable

        check_drawable()
    if compared is not None:
        _compare(*compared, fail_above, output, as_json, report_file)
        return
    if shown is not None:
        from edge_lstm.latency.result import read_result

        _show(read_result(shown), output, as_json, report_file)
        return
    settings = _settings(
        paths, threads, batch_size, length, provider, runs, duration, interval, pin, cold_starts, seed
    )
    from edge_lstm.latency.texts import read_sample

    sample = read_sample(data, text_column=text_column, input_format=input_format)
    if ssh is not None:
        from edge_lstm.latency.ssh import measure_over_ssh

        result = measure_over_ssh(ssh, settings, sample, wheels, tell=_progress())
    else:
        from edge_lstm.latency.run import measure_here

        result = measure_here(settings, sample, progress=_progress(), samples=samples)
    _show(result, output, as_json, report_file)
    if result.is_interrupted:
        raise typer.Exit(received_exit_code())


def _settings(
    models: list[Path],
    threads: str,
    batch_size: str,
    length: str | None,
    provider: str,
    runs: int,
    duration: str | None,
    interval: str,
    pin: str | None,
    cold_starts: int,
    seed: int,
) -> Settings:
    """What was typed → what is measured."""
    from edge_lstm.latency.settings import parse_cpus, parse_numbers, parse_providers, parse_time
    from edge_lstm.modelfile import embedded_model

    return Settings(
        models=tuple(models) or (embedded_model(),),
        threads=parse_numbers(threads, "--threads"),
        batch_sizes=parse_numbers(batch_size, "--batch-size"),
        lengths=(None,) if length is None else parse_numbers(length, "--length"),
        providers=parse_providers(provider),
        runs=runs,
        duration_s=None if duration is None else parse_time(duration, "--duration"),
        interval_s=parse_time(interval, "--interval"),
        pin=() if pin is None else parse_cpus(pin),
        cold_starts=cold_starts,
        seed=seed,
    )


def _show(result: Result, output: Path | None, as_json: bool, report_file: Path | None) -> None:
    from edge_lstm.cli.streams import is_closed

    if output is not None:
        result.write(output)
    with held():  # a Ctrl-C while this is imported may not cost what was measured
        from edge_lstm.cli.tables import print_table
        from edge_lstm.latency.report import write_report
        from edge_lstm.latency.terminal import Table, parts_of, to_text
    if report_file is not None:
        write_report(result, report_file)
    if as_json:
        print(result.dumps(), end="")
    elif not ((output or report_file) and is_closed(sys.stdout)):  # where a file has it, nothing is lost
        if not (sys.stdout.isatty() and _unicode()):
            print(to_text(result, unicode=_unicode()))
            return
        for part in parts_of(result):
            if isinstance(part, Table):
                print_table(part.header, part.rows)
            lines = part.notes if isinstance(part, Table) else part
            if lines:
                print("\n".join(map(printable, lines)), end="\n\n")


def _compare(
    old_file: Path,
    new_file: Path,
    fail_above: str | None,
    output: Path | None,
    as_json: bool,
    report_file: Path | None,
) -> None:
    from edge_lstm.atomic import write_atomically
    from edge_lstm.latency.compare import check, compare, to_text
    from edge_lstm.latency.result import read_result
    from edge_lstm.latency.settings import parse_percent

    limit = None if fail_above is None else parse_percent(fail_above, "--fail-above")
    new = read_result(new_file)
    comparison = compare(read_result(old_file), new, limit)
    if report_file is not None:
        from edge_lstm.latency.report import write_report

        write_report(new, report_file, comparison)
    if output is not None:
        write_atomically(_json_of(comparison) + "\n", output)
    print(_json_of(comparison) if as_json else to_text(comparison, unicode=_unicode()))
    check(comparison)


def _json_of(comparison: Comparison) -> str:
    from dataclasses import asdict

    from edge_lstm.printable import to_json

    return to_json(asdict(comparison), indent=2)


def _unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _progress() -> Progress | None:
    """What tells a terminal's standard error what is going on; None elsewhere.

    One line, written between blocks. A bar of rich is drawn by a thread, ten times a second, in the middle
    of what is timed.
    """
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
