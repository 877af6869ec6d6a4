"""``edge-lstm latency``: measure how fast this machine answers."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_lstm.cli import options
from edge_lstm.cli.notes import print_table, wrapped
from edge_lstm.cli.options import option
from edge_lstm.cli.progress import SILENCE_SECONDS
from edge_lstm.signals import held, received_exit_code

if TYPE_CHECKING:
    from edge_lstm.latency.measure import Progress
    from edge_lstm.latency.result import Result


_MODELS = typer.Argument(
    metavar="[MODEL]...", help="Model files to compare.  [default: the embedded model]"
)
_TEXTS = option(
    "FILE", "Texts, in any format of score.  [default: examples of the model]", "--texts"
)
_DURATION = option("SECONDS", "Total time to measure, in place of --runs.", "--duration")
_THREADS = option("N,...", "Threads per run.", "--threads")
_BATCH_SIZE = option("N,...", "Texts per run.", "--batch-size")
_PROVIDER = option("NAME,...", "Execution providers.", "--provider")
_COLD = option("N", "Cold starts to time; 0 skips them and memory.", "--cold-starts", min=0)
_OUTPUT = option("FILE", "Write the result as JSON (docs/latency.md).", "--output", "-o")
_SHOW = option("RESULT", "Show a result that --output wrote.", "--show")


def command(
    models: Annotated[list[Path] | None, _MODELS] = None,
    texts: Annotated[Path | None, _TEXTS] = None,
    text_column: options.TextColumnOption = None,
    input_format: options.InputFormatOption = None,
    runs: Annotated[int, option("N", "Timed runs; p99 needs 1,000.", "--runs", min=1)] = 2000,
    duration: Annotated[float | None, _DURATION] = None,
    threads: Annotated[str, _THREADS] = "1",
    batch_size: Annotated[str, _BATCH_SIZE] = "1",
    engine: options.EngineOption = None,
    provider: Annotated[str, _PROVIDER] = "CPUExecutionProvider",
    cold_starts: Annotated[int, _COLD] = 5,
    output: Annotated[Path | None, _OUTPUT] = None,
    as_json: options.JsonOption = False,
    report: options.ReportOption = None,
    show: Annotated[Path | None, _SHOW] = None,
) -> None:
    """Measure latency on this machine: cold start, load, and steady state over varied texts.

    Several models, or several values of an option separated by commas, are compared in random
    order.
    """
    options.check_outputs([output, report], [*(models or ()), texts, show])
    if report is not None:
        from edge_lstm.charts import check_drawable

        check_drawable()
    if show is not None:
        from edge_lstm.errors import DataError
        from edge_lstm.latency.result import read_result

        if models or texts:
            raise DataError("--show measures nothing; leave out the models and --texts")
        _show(read_result(show), output, as_json, report)
        return
    from edge_lstm.latency.measure import measure
    from edge_lstm.latency.settings import Settings, parse_numbers, read_texts
    from edge_lstm.modelfile import embedded_model
    from edge_lstm.native import provider_of

    providers = tuple(
        dict.fromkeys(name.strip() for name in provider_of(engine, provider).split(","))
    )
    settings = Settings(
        models=tuple(models or ()) or (embedded_model(),), threads=parse_numbers(threads, "--threads"),
        batch_sizes=parse_numbers(batch_size, "--batch-size"), providers=providers,
        runs=runs, duration_s=duration, cold_starts=cold_starts,
    )  # fmt: skip
    sample = (
        None
        if texts is None
        else read_texts(texts, text_column=text_column, input_format=input_format)
    )
    result = measure(settings, sample, progress=_progress())
    _show(result, output, as_json, report)
    if result.is_interrupted:
        raise typer.Exit(received_exit_code())


def _show(result: Result, output: Path | None, as_json: bool, report: Path | None) -> None:
    from edge_lstm.atomic import write_atomically
    from edge_lstm.cli.streams import is_closed

    if output is not None:
        write_atomically(result.dumps(), output)
    with held():  # a Ctrl-C while this is imported may not cost what was measured
        from edge_lstm.latency import report as reports
    if report is not None:
        write_atomically(reports.report(result), report)
    if as_json:
        print(result.dumps(), end="")
    elif not ((output or report) and is_closed(sys.stdout)):  # where a file has it, nothing is lost
        print(f"{wrapped(reports.machine_line(result))}\n{wrapped(reports.texts_line(result))}\n")
        for table in reports.tables(result):
            print_table(table)
        for note in reports.notes(result):
            print(wrapped(note))


def _progress() -> Progress:
    """What tells standard error how far it is: one line on a terminal, elsewhere a line per stage
    from two
    seconds on. Written between blocks: rich draws a bar by a thread, in the middle of what is
        timed."""
    is_terminal, shown, last_line = sys.stderr.isatty(), "", time.monotonic()

    def show(what: str, part: float) -> None:
        nonlocal shown, last_line
        line = f"{what} {part:4.0%}" if what and is_terminal else what
        if is_terminal and line != shown:
            print(f"\r{'':<{len(shown)}}\r{line}", end="", file=sys.stderr, flush=True)
        elif is_terminal or line in ("", shown) or time.monotonic() - last_line < SILENCE_SECONDS:
            return
        else:
            print(line, file=sys.stderr, flush=True)
        shown, last_line = line, time.monotonic()

    return show
