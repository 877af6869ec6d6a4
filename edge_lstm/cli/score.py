"""``edge-lstm score``: files in, files out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_lstm.cli.options import (
    AbstainOption,
    BatchSizeOption,
    DelimiterOption,
    FollowLinksOption,
    InputFormatOption,
    ModelOption,
    NoHeaderOption,
    ProviderOption,
    TextColumnOption,
    ThresholdOption,
    TopOption,
)
from edge_lstm.printable import printable, to_json

if TYPE_CHECKING:
    from edge_lstm.scoring import Summary

EXIT_WITH_ERROR_ROWS = 3
_FIRST_ERRORS = 3


def _option(*names: str, help: str, metavar: str | None = None, **more: Any) -> Any:  # noqa: A002 - typer's
    return typer.Option(*names, metavar=metavar, help=help, show_default=False, **more)


Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...", help="Files, globs, folders of .txt, or - for standard input.", show_default=False
    ),
]
Output = Annotated[
    str | None,
    _option("--output", "-o", metavar="FILE", help="Output file.  [default: standard output]"),
]
Keep = Annotated[
    list[str] | None,
    _option("--keep", metavar="NAME", help="Input column to write; may be repeated.  [default: all]"),
]
AllProbabilities = Annotated[bool, _option("--all-probabilities", help="Add the probability of every label.")]
OnlyAbstained = Annotated[
    bool,
    _option(
        "--only-abstained",
        help="Write only abstained rows, with the label left out in `predicted`: for a person to label.",
    ),
]
OnlyLabel = Annotated[
    list[str] | None,
    _option("--only-label", metavar="LABEL", help="Write only rows with this label; may be repeated."),
]
Prefix = Annotated[
    str | None,
    _option(
        "--prefix",
        metavar="TEXT",
        help="Before the names of the added columns.  [default: none, or edge_lstm_ where one is taken]",
    ),
]
OutputFormat = Annotated[
    str | None,
    _option(
        "--output-format", metavar="NAME", help="Of the output.  [default: by suffix, else that of the input]"
    ),
]
Workers = Annotated[
    int | None,
    _option(
        *("--workers", "-w"),
        metavar="N",
        min=1,
        help="Processes to start, at most; on Windows there is one.  "
        "[default: the cores this process may use]",
    ),
]
LowMemory = Annotated[bool, _option("--low-memory", help="One worker and small chunks, for devices.")]
Resume = Annotated[
    bool,
    _option("--resume", help="Go on where an interrupted run stopped; from the start if there is none."),
]
OnError = Annotated[
    str,
    typer.Option("--on-error", metavar="keep|fail", help="Rows without usable text: keep them, or stop."),
]
Engine = Annotated[
    str | None,
    _option(
        "--engine",
        metavar="NAME",
        help="onnxruntime; native, by edge-lstm[native]; or ray, a cluster: a folder in, a folder out.  "
        "[default: EDGE_LSTM_ENGINE, else onnxruntime]",
    ),
]
Address = Annotated[
    str | None,
    _option("--address", metavar="ADDRESS", help="Of a Ray cluster (auto, ray://host:10001)."),
]
SummaryFile = Annotated[Path | None, _option("--summary", metavar="FILE", help="Write the summary as JSON.")]
Quiet = Annotated[bool, _option("--quiet", "-q", help="No progress and no summary.")]


def command(
    inputs: Inputs,
    output: Output = None,
    model: ModelOption = None,
    text_column: TextColumnOption = None,
    keep: Keep = None,
    top: TopOption = 1,
    all_probabilities: AllProbabilities = False,
    abstain: AbstainOption = None,
    threshold: ThresholdOption = None,
    only_abstained: OnlyAbstained = False,
    only_label: OnlyLabel = None,
    prefix: Prefix = None,
    input_format: InputFormatOption = None,
    output_format: OutputFormat = None,
    delimiter: DelimiterOption = None,
    no_header: NoHeaderOption = False,
    follow_links: FollowLinksOption = False,
    workers: Workers = None,
    low_memory: LowMemory = False,
    resume: Resume = False,
    on_error: OnError = "keep",
    engine: Engine = None,
    address: Address = None,
    summary_file: SummaryFile = None,
    quiet: Quiet = False,
    provider: ProviderOption = "CPUExecutionProvider",
    batch_size: BatchSizeOption = None,
) -> None:
    """Classify every row of files: files in, files out.

    Reads and writes text (one document per line), CSV, TSV, JSONL and Parquet, plain or ending in .gz, .bz2,
    .xz or .zst. Every input column is kept; label, probability, status and error are added. A
    row without usable text is kept too: its error says why, and the exit code is 3.

    The output gets its name only when it is complete. After an interruption, --resume goes on.

    Examples:

        edge-lstm score reviews.csv -o scored.csv

        edge-lstm score 'logs/*.jsonl.gz' -o scored.parquet --keep id

        tail -f app.log | edge-lstm score -
    """
    from edge_lstm.atomic import check_writable, write_atomically
    from edge_lstm.native import ENGINES, provider_of
    from edge_lstm.scoring import RunOptions, ScoreOptions
    from edge_lstm.scoring.pool import CAN_START
    from edge_lstm.tables.formats import FORMATS
    from edge_lstm.tables.schema import ReadOptions

    _check_choice("--engine", engine, [*ENGINES, "ray"])
    _check_choice("--on-error", on_error, ["keep", "fail"])
    _check_choice("--input-format", input_format, list(FORMATS))
    _check_choice("--output-format", output_format, [n for n, each in FORMATS.items() if each.is_writable])
    _check_engine(inputs, output, engine, address, low_memory=low_memory)
    if summary_file is not None:
        check_writable(summary_file)
    options = ScoreOptions(
        keep=tuple(keep) if keep else None,
        all_probabilities=all_probabilities,
        threshold=threshold,
        abstain=abstain,
        only_abstained=only_abstained,
        top=top,
        only_label=tuple(only_label or ()),
        prefix=prefix,
        on_error=on_error,  # type: ignore[arg-type]
    )
    reading = ReadOptions(
        text_column,
        "\t" if delimiter == "\\t" else delimiter,  # a shell passes \\t as two characters
        header=not no_header,
        follow_links=follow_links,
        format=input_format,
    )
    run = RunOptions(
        workers=workers,
        low_memory=low_memory,
        batch_size=batch_size,
        provider=provider_of(None if engine == "ray" else engine, provider),
        resume=resume,
        also_written=[] if summary_file is None else [summary_file],
    )
    work = {"model": model, "options": options, "reading": reading, "run": run, "format": output_format}
    summary = _score(inputs, output, work, engine, address, quiet=quiet)
    if summary_file is not None:
        write_atomically(to_json(summary.to_dict(), indent=2) + "\n", summary_file)
    if not quiet:
        _say(*_summary_lines(summary))
        if (workers or 1) > 1 and not CAN_START:
            _say("workers:  1, this system cannot start more")
    if summary.errors:
        raise typer.Exit(EXIT_WITH_ERROR_ROWS)


def _score(
    inputs: list[str],
    output: str | None,
    work: dict[str, Any],
    engine: str | None,
    address: str | None,
    *,
    quiet: bool,
) -> Summary:
    from edge_lstm.cli.progress import ScoreProgress
    from edge_lstm.scoring import score_files
    from edge_lstm.signals import exit_code

    try:
        with ScoreProgress() as progress:
            work["on_progress"] = None if quiet else progress.show
            if engine != "ray":
                return score_files(inputs, output, **work)
            from edge_lstm.scoring.ray import score_on_cluster

            return score_on_cluster(inputs[0], str(output), address=address, **work)
    except KeyboardInterrupt as interrupt:
        how = "" if output in (None, "-") else f"; go on with the same command and --resume ({output})"
        _say(f"interrupted{how}")
        raise typer.Exit(exit_code(interrupt)) from None


def _check_engine(
    inputs: list[str], output: str | None, engine: str | None, address: str | None, *, low_memory: bool
) -> None:
    from edge_lstm.errors import DataError

    if engine == "ray" and low_memory:
        raise DataError("--low-memory is for one machine; leave it out with --engine ray")
    if engine == "ray" and (len(inputs) != 1 or output is None):
        raise DataError("--engine ray reads one folder and writes another; give INPUT and -o")
    if engine != "ray" and address is not None:
        raise DataError("--address is for --engine ray; leave it out, or add --engine ray")
    if "-" in inputs and sys.stdin is None:
        raise DataError("standard input is closed; name a file, or send the rows with < or a pipe")


def _check_choice(option: str, value: str | None, allowed: Sequence[str]) -> None:
    from edge_lstm.errors import DataError

    if value is not None and value not in allowed:
        raise DataError(f"{option} cannot be {value!r}; choose one of {', '.join(allowed)}")


def _say(*lines: str) -> None:
    print("\n".join(map(printable, lines)), file=sys.stderr, flush=True)


def _summary_lines(summary: Summary) -> list[str]:
    """The end of a run in a few lines."""
    from edge_lstm.cli.progress import duration

    where = f" -> {summary.output}" if summary.output not in (None, "-") else ""
    resumed = f", {summary.resumed_at:,} of them before" if summary.resumed_at else ""
    speed = f"({summary.rows_per_second:,.0f} rows/s{resumed})"
    lines = [f"{summary.rows:,} rows{where} in {duration(summary.seconds)} {speed}"]
    if summary.written != summary.rows:
        lines.append(f"written:   {summary.written:,} rows (--only-abstained, --only-label)")
    if summary.labels:
        lines.append("labels:    " + ", ".join(f"{k} {n:,}" for k, n in sorted(summary.labels.items())))
    if summary.below_threshold:
        lines.append(f"abstained: {summary.below_threshold:,} below the threshold, label left out")
    statuses = {k: n for k, n in sorted(summary.statuses.items()) if k not in ("ok", "abstained", "error")}
    if statuses:
        lines.append("status:    " + ", ".join(f"{k} {n:,}" for k, n in statuses.items()))
    if summary.errors:
        lines.append(f"errors:    {summary.errors:,} rows without usable text, kept with the reason:")
        shown = summary.first_errors[:_FIRST_ERRORS]
        lines += [f"           {problem.source} row {problem.row}: {problem.error}" for problem in shown]
        if summary.errors > _FIRST_ERRORS:
            lines.append("           ...")
    if summary.added_columns and summary.added_columns[0] != "label":
        lines.append("columns:   " + ", ".join(summary.added_columns))
    return lines
