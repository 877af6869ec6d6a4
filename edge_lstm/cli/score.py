"""``edge-lstm score``: files in, files out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_lstm.cli import options as common
from edge_lstm.cli.options import option
from edge_lstm.cli.streams import say
from edge_lstm.printable import counted, duration

if TYPE_CHECKING:
    from edge_lstm.scoring import Progress, Summary

_FIRST_ERRORS = 3  # rows with an error that the summary shows
_INDENT = 11  # columns for the names in the summary

_RESUME = "Continue an interrupted run, or start if there is none."
_FORMAT = "Output format.  [default: by suffix, else the input's]"
_ENGINE = (
    "As in predict; or ray, from folder to folder, on a cluster of its own or, as in ray:auto and "
    "ray:ray://host:10001, on a running one.  [default: EDGE_LSTM_ENGINE, else onnxruntime]"
)


def command(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Files, globs, folders of .txt, or - for standard input.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str | None, option("FILE", "Output file.  [default: standard output]", "--output", "-o")
    ] = None,
    model: common.ModelsOption = None,
    text_column: common.TextColumnOption = None,
    only_columns: Annotated[
        str | None,
        option("A,B", "Input and added columns to write, such as id,label.  [default: all]"),
    ] = None,
    top: common.TopOption = 1,
    all_probabilities: Annotated[
        bool, option(None, "Add the probability of each label.", "--all-probabilities")
    ] = False,
    abstain: common.AbstainOption = None,
    threshold: common.ThresholdOption = None,
    unfamiliar: common.UnfamiliarOption = None,
    windows: common.WindowsOption = False,
    input_format: common.InputFormatOption = None,
    encoding: common.EncodingOption = None,
    output_format: Annotated[str | None, option("NAME", _FORMAT)] = None,
    workers: Annotated[
        int | None,
        option(
            "N",
            "Maximum number of worker processes; one process on Windows.  [default: usable cores]",
            "--workers",
            "-w",
            min=1,
        ),
    ] = None,
    resume: Annotated[bool, option(None, _RESUME, "--resume")] = False,
    engine: Annotated[str | None, option("NAME", _ENGINE)] = None,
    quiet: Annotated[
        bool, option(None, "Print no progress and no summary.", "--quiet", "-q")
    ] = False,
) -> None:
    """Classify every row of files.

    It reads and writes text (one document per line), CSV, TSV, JSONL and Parquet, also as .gz or
    .zst. Input columns are kept; label, probability, status and error are added. A row without
    usable text is kept with its error, and the exit code is then 3. The output file appears when
    it is complete; --resume continues an interrupted run.

    Examples:

        edge-lstm score reviews.csv -o scored.csv

        edge-lstm score tickets.csv -m team=a.onnx -m urgent=b.onnx -o out.csv

        edge-lstm score 'logs/*.jsonl.gz' -o scored.parquet --only-columns id,label

        tail -f app.log | edge-lstm score -
    """
    from edge_lstm.cli.questions import one_or_several
    from edge_lstm.errors import DataError
    from edge_lstm.scoring import RunOptions, ScoreOptions
    from edge_lstm.tables.schema import ReadOptions

    reading = ReadOptions(
        text_column,
        format=input_format,
        encoding=encoding,
    )
    options = ScoreOptions(
        only_columns=None if only_columns is None else tuple(only_columns.split(",")),
        all_probabilities=all_probabilities,
        threshold=threshold,
        abstain=abstain,
        unfamiliar=unfamiliar,
        windows=windows,
        top=top,
    )
    kind, _, address = (engine or "").partition(":")
    engine = "ray" if kind == "ray" else engine
    run = RunOptions(
        workers=workers,
        resume=resume,
        engine=None if engine == "ray" else engine,
        address=address or None if engine == "ray" else None,
    )
    if engine == "ray" and (len(inputs) != 1 or output is None):
        raise DataError("--engine ray reads one folder and writes another; give INPUT and -o")
    models = one_or_several(model)
    if engine == "ray" and isinstance(models, dict):
        raise DataError("--engine ray takes one model; score each question by itself")
    work = {
        "model": models,
        "options": options,
        "reading": reading,
        "run": run,
        "format": output_format,
    }
    summary = _score(inputs, output, work, engine, quiet=quiet)
    if not quiet:
        _report(summary, workers)
    if summary.errors:
        raise typer.Exit(3)


def _score(
    inputs: list[str], output: str | None, work: dict[str, Any], engine: str | None, *, quiet: bool
) -> Summary:
    """Score the files on this machine or on a cluster, and show the progress.

    work: further arguments of score_files and score_on_cluster.
    """
    from edge_lstm.cli.progress import LINE_SECONDS, ProgressLine
    from edge_lstm.scoring import score_files
    from edge_lstm.system.signals import exit_code

    def show(progress: Progress) -> None:
        summary = progress.summary
        rows = counted(summary.rows, "row")
        errors = counted(summary.errors, "error")
        text = f"{rows}, {summary.rows_per_second:,.0f} rows/s, {errors}"
        line.draw(text, progress.fraction)

    try:
        with ProgressLine(first_line=LINE_SECONDS) as line:
            work["on_progress"] = None if quiet else show
            if engine != "ray":
                return score_files(inputs, output, **work)
            from edge_lstm.scoring.ray import score_on_cluster

            return score_on_cluster(inputs[0], str(output), **work)
    except KeyboardInterrupt as interrupt:
        how = ""
        if output not in (None, "-"):
            how = f"; continue with the same command and --resume ({output})"
        say(f"interrupted{how}")
        raise typer.Exit(exit_code(interrupt)) from None


def _report(summary: Summary, workers: int | None) -> None:
    """Print the summary on standard error. workers: as given."""
    from edge_lstm.scoring.pool import CAN_START

    say(*_summary_lines(summary))
    if (workers or 1) > 1 and not CAN_START:
        say("workers:  1, this system cannot start more")


def _summary_lines(summary: Summary) -> Iterator[str]:
    """Yield the end of a run in a few lines."""
    from edge_lstm.cli.notes import wrapped

    output = "" if summary.output in (None, "-") else f" -> {summary.output}"
    speed = f"{summary.rows_per_second:,.0f} rows/s"
    if summary.resumed_at:
        speed += f", {summary.resumed_at:,} of them before the interruption"
    yield f"{counted(summary.rows, 'row')}{output} in {duration(summary.seconds)} ({speed})"
    facts = {"model": summary.model}
    facts["labels"] = _counts(summary.labels)
    if summary.below_threshold:
        facts["abstained"] = f"{summary.below_threshold:,} below the threshold, label left out"
    others = summary.statuses.keys() - {"ok", "abstained", "error", "truncated"}
    facts["status"] = _counts({name: summary.statuses[name] for name in others})
    if summary.truncated:
        facts["truncated"] = (
            f"of {counted(summary.truncated, 'text')} longer than the model reads, "
            "only the end was read; --windows reads all"
        )
    if summary.added_columns and summary.added_columns[0] != "label":
        facts["columns"] = ", ".join(summary.added_columns)
    if summary.errors:
        facts["errors"] = f"{counted(summary.errors, 'row')} without usable text:"
    for name, text in facts.items():
        if text:
            yield from wrapped(text, name=f"{name}:", indent=_INDENT).splitlines()
    shown = [f"{each.source} row {each.row}: {each.error}" for each in summary.first_errors]
    if summary.errors > _FIRST_ERRORS:
        shown[_FIRST_ERRORS:] = ["..."]
    for line in shown:
        yield f"{'':<{_INDENT}}{line}"


def _counts(counts: Mapping[str, int]) -> str:
    """Return the counts by name, in the order of the names."""
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
