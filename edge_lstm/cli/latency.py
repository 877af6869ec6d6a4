"""``edge-lstm latency``: measure how fast this machine answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_lstm.cli import options
from edge_lstm.cli.notes import print_table, wrapped
from edge_lstm.cli.options import option
from edge_lstm.cli.progress import ProgressLine
from edge_lstm.system.signals import held, received_exit_code

if TYPE_CHECKING:
    from edge_lstm.latency.result import Measurement

_ENGINE = "Engines, as in predict.  [default: EDGE_LSTM_ENGINE, else onnxruntime]"
_MODELS = "Model file; repeat it to compare several.  [default: the embedded model]"


def command(
    files: options.ModelArguments = None,
    model: Annotated[list[Path] | None, option("FILE", _MODELS, "--model", "-m")] = None,
    texts: Annotated[
        Path | None,
        option(
            "FILE", "Texts, in any format of score.  [default: examples of the model]", "--texts"
        ),
    ] = None,
    text_column: options.TextColumnOption = None,
    runs: Annotated[int, option("N", "Timed runs; p99 needs 1,000.", "--runs", min=1)] = 2000,
    duration: Annotated[
        float | None, option("SECONDS", "Total time to measure, instead of --runs.", "--duration")
    ] = None,
    threads: Annotated[str, option("N,...", "Threads per run.", "--threads")] = "1",
    batch_size: Annotated[str, option("N,...", "Texts per run.", "--batch-size")] = "1",
    engine: Annotated[str | None, option("NAME,...", _ENGINE)] = None,
    cold_starts: Annotated[
        int,
        option("N", "Cold starts to time; 0 skips them, and memory too.", "--cold-starts", min=0),
    ] = 5,
    output: Annotated[
        Path | None, option("FILE", "Write the result as JSON (docs/latency.md).", "--output", "-o")
    ] = None,
    as_json: options.JsonOption = False,
    report: options.ReportOption = None,
) -> None:
    """Measure latency on this machine: cold start, load, and steady state over varied texts.

    Several models, or several values of an option separated by commas, are compared in random
    order.
    """
    models = [*map(Path, files or ()), *(model or ())]
    options.check_outputs([output, report], [*models, texts])
    from edge_lstm.core.engine import chosen_engine
    from edge_lstm.core.modelfile import embedded_model, open_model
    from edge_lstm.latency.measure import measure
    from edge_lstm.latency.settings import Settings, parse_numbers, read_sample

    engines = [None] if engine is None else engine.split(",")
    settings = Settings(
        models=tuple(models or [embedded_model()]),
        threads=parse_numbers(threads, "--threads"),
        batch_sizes=parse_numbers(batch_size, "--batch-size"),
        engines=tuple(map(chosen_engine, engines)),
        runs=runs,
        duration_s=duration,
        cold_starts=cold_starts,
    )
    sample = None
    if texts is not None:
        fields = [open_model(path).fields for path in settings.models]
        sample = read_sample(texts, text_column, fields)
    with ProgressLine() as line:
        result = measure(settings, sample, progress=line.draw)
    _show(result, output, as_json, report)
    if result.is_interrupted:
        raise typer.Exit(received_exit_code())


def _show(result: Measurement, output: Path | None, as_json: bool, report: Path | None) -> None:
    """Write the files that were asked for, and print the result."""
    from edge_lstm.system.atomic import write_atomically

    if output is not None:
        write_atomically(result.dumps(), output)
    with held():  # a Ctrl-C during this import must not lose the measurement
        from edge_lstm.latency import report as reports
    if report is not None:
        write_atomically(reports.report(result), report)
    if as_json:
        print(result.dumps(), end="")
    else:
        print(f"{wrapped(reports.machine_line(result))}\n{wrapped(reports.texts_line(result))}\n")
        for table in reports.tables(result):
            print_table(table)
        for note in reports.notes(result):
            print(wrapped(note))
