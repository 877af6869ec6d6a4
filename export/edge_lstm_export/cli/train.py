"""``edge-lstm train``: labelled text → a plan → a checkpoint and its history."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_lstm.cli.options import (
    EncodingOption,
    IndicatorColumnsOption,
    JsonOption,
    LabelSeparatorOption,
    column_names,
)
from edge_lstm_export.cli.options import option

if TYPE_CHECKING:
    from edge_lstm_export.options import Plan
    from edge_lstm_export.train.job import Job

# headings of options
_DATA = "Data"
_MODEL = "Model"
_TEACHERS = "Teachers"
_RUN = "Run"
_FORMAT = "Input format: csv, tsv, jsonl, parquet or text (fastText), if the suffix does not say."
_UNLABELLED = "Unlabelled texts, for the teachers to label."
_RESUME = "Continue an interrupted training, or start if there is none."
_STAYED = 3  # the status if the file in use stays


def command(
    context: typer.Context,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Labelled CSV, TSV, JSONL, Parquet or fastText files; a folder with a subfolder "
            "per label; imdb.",
        ),
    ],
    test: Annotated[
        Path | None,
        option("FILE", "Labelled test texts.", _DATA, default="a tenth of 2,000 texts or more"),
    ] = None,
    input_format: Annotated[str | None, option("NAME", _FORMAT, _DATA)] = None,
    encoding: EncodingOption = None,
    text_column: Annotated[
        list[str] | None,
        option(
            "NAME",
            "Column of the text, by name or number. Repeat it to read several columns.",
            _DATA,
            default="detected",
        ),
    ] = None,
    field: Annotated[
        list[str] | None,
        option(
            "NAME[:KIND]",
            "A further column to read, or a path in JSON: a number, a category or a text. "
            "Repeatable.",
            _DATA,
        ),
    ] = None,
    fields: Annotated[
        str | None,
        option("NAME", "all: read every column but those of labels and groups.", _DATA),
    ] = None,
    label_column: Annotated[
        list[str] | None,
        option(
            "NAME",
            "Column of the label. Repeat it to make a checkpoint for each of several columns.",
            _DATA,
        ),
    ] = None,
    confidence_column: Annotated[
        list[str] | None,
        option(
            "NAME",
            "Column with the confidence in the label, from 0 to 1. Repeat it in the order of "
            "--label-column.",
            _DATA,
        ),
    ] = None,
    label_separator: LabelSeparatorOption = None,
    indicator_columns: IndicatorColumnsOption = None,
    group_column: Annotated[
        str | None,
        option(
            "NAME",
            "Column of the author, document or day: rows with the same value stay on one side of "
            "every split.",
            _DATA,
        ),
    ] = None,
    preset: Annotated[
        str,
        option(
            "NAME",
            "Model size: tiny (60 kB), small (160), medium (300), base (550), or seed (Keras's "
            "example).",
            _MODEL,
            default=True,
        ),
    ] = "small",
    plan: Annotated[
        Path | None, option("FILE", "Run the plan that --dry-run --json printed.", _MODEL)
    ] = None,
    epochs: Annotated[
        int | None, option("N", "Maximum number of epochs.", _MODEL, default="by the data", min=1)
    ] = None,
    balance: Annotated[
        bool,
        option(None, "Raise recall on rare labels, at a cost in accuracy.", _MODEL, "--balance"),
    ] = False,
    question: Annotated[
        str | None,
        option(
            "TYPE",
            "What the labels are: choice, yes_no, or score (numbers on a scale).",
            _MODEL,
            default="by the labels",
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        option(
            "NAME",
            "Teacher: none, sentiment (the embedded model), a model file or checkpoint, or a "
            "transformer (folder, hub name).",
            _TEACHERS,
            default="sentiment, if it helps",
        ),
    ] = None,
    start: Annotated[
        str | None,
        option(
            "FILE",
            "Model file or checkpoint whose LSTM and word embeddings the network starts from.",
            _TEACHERS,
        ),
    ] = None,
    unlabelled: Annotated[str | None, option("SOURCE", _UNLABELLED, _TEACHERS)] = None,
    output: Annotated[
        Path | None,
        option(
            "FILE",
            "Checkpoint to write, a .safetensors file; with several label columns, a folder.",
            _RUN,
            "--output",
            "-o",
        ),
    ] = None,
    replaced: Annotated[
        Path | None,
        option(
            "FILE",
            "Model file in use. The new int8 file takes its place if it answers as many of a fifth "
            "of the texts, which no turn learns from; else the status is 3.",
            _RUN,
            "--replace",
        ),
    ] = None,
    seed: Annotated[int, option("N", "Random seed.", _RUN, default=True, min=0)] = 0,
    dry_run: Annotated[
        bool,
        option(None, "Show the plan, each field with its reason, and exit.", _RUN, "--dry-run"),
    ] = False,
    resume: Annotated[bool, option(None, _RESUME, _RUN, "--resume")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a classifier from labelled text.

    It writes FILE, and the training history next to it (.history.json). --dry-run shows the plan.
    Ctrl-C stops the training; --resume continues it, with the same result. --replace is a turn of
    the loop with serve --log: whatever ends it, a whole file is in use.

    If --label-column is repeated, each column is a separate question. Its checkpoint has the
    column's name, and is written to the folder -o. A row without an answer is left out of that
    question.
    """
    from edge_lstm.cli.streams import spared_output
    from edge_lstm.errors import DataError
    from edge_lstm_export.options import DataOptions, TrainingRequest
    from edge_lstm_export.progress import Display, message
    from edge_lstm_export.train.job import Columns, Job, jobs_of
    from edge_lstm_export.train.sources import ALL

    if output is None and not dry_run:
        raise typer.BadParameter("no output; give -o FILE.safetensors")
    if fields not in (None, ALL):
        raise DataError(f"--fields takes all, not {fields!r}; name single ones with --field")
    columns = Columns(
        tuple(label_column or ()),
        tuple(confidence_column or ()),
        tuple(text_column or ()),
        tuple(field or ()),
        every_field=fields == ALL,
    )
    wishes: dict[str, Any] = {
        "preset": preset,
        "epochs": epochs,
        "teacher": teacher,
        "start": start,
        "seed": seed,
        "balance": balance,
        "question": question,
    }
    asked = Job(
        tuple(sources),
        output or Path("questions" if columns.is_several else "model.safetensors"),
        DataOptions(
            test=test,
            format=input_format,
            encoding=encoding,
            label_separator=label_separator,
            indicator_columns=column_names(indicator_columns),
            group_column=group_column,
            unlabelled=unlabelled,
        ),
        TrainingRequest(**wishes),
        None if plan is None else _read_plan(plan, context),
        resume,
    )
    jobs = jobs_of(asked, columns, replaced, is_dry=output is None)
    with Display():  # PyTorch takes seconds to load
        from edge_lstm_export.train.run import jobs_to_do

    if dry_run:
        # Whoever has read enough of a plan goes away (head), and nothing has failed.
        with spared_output("nothing else was to be written"):
            for job in jobs:
                _show_plan(job, as_json=as_json)
        return
    if columns.is_several:
        jobs = jobs_to_do(jobs, lambda line: message(f"note: {line}"))
    for job in jobs:
        # The work is not lost if nobody reads the output.
        with spared_output(f"{job.output} is complete"):
            _train(job, replaced, as_json=as_json)


def _show_plan(job: Job, *, as_json: bool) -> None:
    from edge_lstm_export.cli.display import print_plan
    from edge_lstm_export.progress import Display
    from edge_lstm_export.train.run import check_job, plan_job

    check_job(job)
    begin = time.monotonic()
    with Display(quiet=True):
        prepared = plan_job(job)
    if as_json:
        print(json.dumps(prepared.plan.to_dict(), indent=1, ensure_ascii=False))
    else:
        print_plan(prepared, time.monotonic() - begin)


def _train(job: Job, replaced: Path | None, *, as_json: bool) -> None:
    from edge_lstm.system.signals import received_exit_code
    from edge_lstm_export.cli.display import print_prepared, print_report, turn_line
    from edge_lstm_export.progress import Display, message
    from edge_lstm_export.train.run import run_job
    from edge_lstm_export.train.turn import run_turn

    turn = None
    try:
        with Display(quiet=as_json) as display:
            planned = partial(print_prepared, display)
            if replaced is None:
                result = run_job(job, display.callbacks(), planned)
            else:
                result, turn = run_turn(job, replaced, display.callbacks(), planned)
    except KeyboardInterrupt:
        advice = "start again with the same command"
        if job.partial.exists():
            advice = f"continue with the same command and --resume (state in {job.partial})"
        message(f"interrupted; {advice}")
        raise typer.Exit(received_exit_code()) from None
    if as_json:
        report = {**result.checkpoint.training, "linear_model": result.linear_model}
        print(json.dumps(report, ensure_ascii=False))
    else:
        print_report(job, result)
    for remark in result.remarks:
        message(f"note: {remark}")
    if turn is not None:
        message(turn_line(str(replaced), turn))
        if turn.refusal is not None:
            raise typer.Exit(_STAYED)


def _read_plan(path: Path, context: typer.Context) -> Plan:
    """Read an edited plan.

    Raise DataError if an option was given that the plan decides, or if the file holds no plan.
    """
    from edge_lstm.core.model_checks import load_json
    from edge_lstm.errors import DataError
    from edge_lstm_export.options import Plan, TrainingRequest

    how = "make one with 'edge-lstm train SOURCE --dry-run --json'"
    try:
        values = load_json(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise DataError(f"no plan at {path}; {how}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a plan in JSON ({error}); {how}") from None
    for name in vars(TrainingRequest()):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise DataError(f"--plan decides what --{name} does; leave it out, or edit the plan")
    return Plan.from_dict(values)
