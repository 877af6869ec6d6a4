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
    from edge_lstm.latency.measure import Progress
    from edge_lstm.latency.result import Result

_PANEL_TEXTS, _PANEL_RUN, _PANEL_RESULT = "Texts", "Measurement", "Results"


def _option(
    name: str, metavar: str, help_: str, panel: str = _PANEL_RUN, *short: str
) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        name, *short, metavar=metavar, help=help_, rich_help_panel=panel
    )
    return option


Models = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[MODEL]...",
        help="Model files, side by side.  [default: the embedded model]",
        show_default=False,
    ),
]
TextsOption = Annotated[
    Path | None,
    _option(
        "--texts",
        "FILE",
        "Texts to classify: CSV, TSV, JSONL, Parquet, or one per line.  [default: examples of the model]",
        _PANEL_TEXTS,
    ),
]
TextColumn = Annotated[str | None, _option("--text-column", "NAME", "Column of the text.", _PANEL_TEXTS)]
InputFormat = Annotated[
    str | None,
    _option("--input-format", "NAME", "Format of --texts, if its suffix does not say.", _PANEL_TEXTS),
]
Runs = Annotated[
    int, typer.Option("--runs", metavar="N", min=1, help="Timed runs of each setting; p99 needs 1,000.",
                      rich_help_panel=_PANEL_RUN)
]  # fmt: skip
Duration = Annotated[
    str | None,
    _option("--duration", "TIME", "Measure this long instead (30s, 30m, 2h), all settings together."),
]
Interval = Annotated[
    str, _option("--interval", "TIME", "Pause before each run (20ms, 1s), as between requests.")
]
Threads = Annotated[str, _option("--threads", "N,...", "Threads inside one run.")]
BatchSizes = Annotated[str, _option("--batch-size", "N,...", "Texts per run.")]
Providers = Annotated[str, _option("--provider", "NAME,...", "Execution providers of ONNX Runtime.")]
ColdStartsOption = Annotated[
    int,
    typer.Option("--cold-starts", metavar="N", min=0, rich_help_panel=_PANEL_RUN,
                 help="New processes to time cold start in; 0 leaves cold start and memory out."),
]  # fmt: skip
Seed = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, help="Seed of every random choice.",
                      rich_help_panel=_PANEL_RUN)
]  # fmt: skip
Output = Annotated[
    Path | None,
    _option("--output", "FILE", "Write the result as JSON (docs/latency.md).", _PANEL_RESULT, "-o"),
]
ReportOption = Annotated[
    Path | None,
    _option("--report", "FILE", "Write a report, one HTML page that opens offline.", _PANEL_RESULT),
]
Show = Annotated[
    Path | None, _option("--show", "RESULT", "Show a result of --output instead of measuring.", _PANEL_RESULT)
]
Compare = Annotated[
    tuple[Path, Path] | None,
    _option("--compare", "OLD NEW", "Compare two results of --output instead of measuring.", _PANEL_RESULT),
]
FailAbove = Annotated[
    str | None,
    _option(
        "--fail-above",
        "PERCENT",
        "With --compare: exit code 1 if p50 got slower by more than this, beyond noise.",
        _PANEL_RESULT,
    ),
]


def command(
    models: Models = None,
    texts: TextsOption = None,
    text_column: TextColumn = None,
    input_format: InputFormat = None,
    runs: Runs = Settings.runs,
    duration: Duration = None,
    interval: Interval = "0",
    threads: Threads = "1",
    batch_size: BatchSizes = "1",
    provider: Providers = "CPUExecutionProvider",
    cold_starts: ColdStartsOption = Settings.cold_starts,
    seed: Seed = Settings.seed,
    output: Output = None,
    as_json: JsonOption = False,
    report: ReportOption = None,
    show: Show = None,
    compare: Compare = None,
    fail_above: FailAbove = None,
) -> None:
    """Measure how fast this machine answers: cold start, load, and steady state, over varied real texts.

    Several models, or several values of an option separated by commas, are measured in random turns and
    compared.
    """
    from edge_lstm.atomic import check_distinct, check_writable
    from edge_lstm.errors import DataError
    from edge_lstm.latency.settings import parse_numbers, parse_providers, parse_time
    from edge_lstm.modelfile import embedded_model

    if fail_above is not None and compare is None:
        raise DataError("--fail-above is for comparing; give --compare OLD NEW")
    if report is not None and compare is not None:
        raise DataError("--report shows one result; give --show RESULT, or leave --report out")
    written = [path for path in (output, report) if path is not None]
    for path in written:
        check_writable(path)
    read = (*(models or ()), *(path for path in (texts, show, *(compare or ())) if path is not None))
    check_distinct(written, read)
    if report is not None:
        from edge_lstm.latency.report import check_drawable

        check_drawable()
    if compare is not None:
        _compare(*compare, fail_above, output, as_json)
        return
    if show is not None:
        from edge_lstm.latency.result import read_result

        _show(read_result(show), output, as_json, report)
        return
    settings = Settings(
        models=tuple(models or ()) or (embedded_model(),),
        threads=parse_numbers(threads, "--threads"),
        batch_sizes=parse_numbers(batch_size, "--batch-size"),
        providers=parse_providers(provider),
        runs=runs,
        duration_s=None if duration is None else parse_time(duration, "--duration"),
        interval_s=parse_time(interval, "--interval"),
        cold_starts=cold_starts,
        seed=seed,
    )
    result = _measure(settings, texts, text_column, input_format)
    _show(result, output, as_json, report)
    if result.is_interrupted:
        raise typer.Exit(received_exit_code())


def _measure(settings: Settings, texts: Path | None, column: str | None, input_format: str | None) -> Result:
    from edge_lstm.latency.measure import measure
    from edge_lstm.latency.result import to_result
    from edge_lstm.latency.texts import read_texts

    sample = None if texts is None else read_texts(texts, text_column=column, input_format=input_format)
    return to_result(measure(settings, sample, progress=_progress()))


def _show(result: Result, output: Path | None, as_json: bool, report: Path | None) -> None:
    from edge_lstm.cli.streams import is_closed

    if output is not None:
        result.write(output)
    with held():  # a Ctrl-C while this is imported may not cost what was measured
        from edge_lstm.latency.report import write_report
        from edge_lstm.latency.terminal import to_text
    if report is not None:
        write_report(result, report)
    if as_json:
        print(result.dumps(), end="")
    elif not ((output or report) and is_closed(sys.stdout)):  # where a file has it, nothing is lost
        print("\n".join(map(printable, to_text(result, unicode=_unicode()).split("\n"))))


def _compare(
    old_file: Path,
    new_file: Path,
    fail_above: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    from dataclasses import asdict

    from edge_lstm.atomic import write_atomically
    from edge_lstm.latency.compare import check, compare, to_text
    from edge_lstm.latency.result import read_result
    from edge_lstm.latency.settings import parse_percent
    from edge_lstm.printable import to_json

    limit = None if fail_above is None else parse_percent(fail_above, "--fail-above")
    comparison = compare(read_result(old_file), read_result(new_file), limit)
    plain = to_json(asdict(comparison), indent=2)
    if output is not None:
        write_atomically(plain + "\n", output)
    print(plain if as_json else to_text(comparison, unicode=_unicode()))
    check(comparison)


def _unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _progress() -> Progress | None:
    """What tells a terminal's standard error what is going on; None elsewhere.

    One line, written between blocks. A bar of rich is drawn by a thread, in the middle of what is timed.
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
