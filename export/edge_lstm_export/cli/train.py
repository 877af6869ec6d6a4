"""``edge-lstm train``: labelled text → a plan → a checkpoint and its history."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_lstm.cli.options import JsonOption, LabelColumnsOption, LabelSeparatorOption, column_names
from edge_lstm_export.cli.options import option

if TYPE_CHECKING:
    from edge_lstm_export.train.plan import Plan
    from edge_lstm_export.train.run import Job

_DATA, _MODEL, _TEACHERS, _RUN = "Data", "Model", "Teachers", "Run"  # headings of options
_SOURCES = (
    "Labelled CSV, TSV, JSONL, Parquet or fastText files; a folder with one per label; imdb or its tar."
)
_OUTPUT = "The checkpoint, a .safetensors file; not needed for --dry-run."
_FORMAT = "csv, tsv, jsonl, parquet or text (fastText), where the name does not say."
_PRESET = "Size: tiny (100 kB), small (300), medium (600), base (1 MB), or seed (Keras's example)."
_PLAN = "Run an edited plan of --dry-run --json."
_EPOCHS = "Passes over the data, at most."
_BALANCE = "Find rare labels, at the price of accuracy."
_TEACHER = "none, sentiment (the model of this package), or a transformer: a folder, or a name on the hub."
_RENAMED = "A classifier's labels by the data's names, such as LABEL_0=neg,LABEL_1=pos."
_UNLABELLED = "Texts without labels, for the teachers to label."
_RESUME = "Continue an interrupted training, with the same options."
_TESTED, _HELPS = "a tenth of the texts, if 2,000 or more", "sentiment, where it helps"


def command(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help=_SOURCES)],
    output: Annotated[Path | None, option("FILE", _OUTPUT, _RUN, "--output", "-o")] = None,
    test: Annotated[Path | None, option("FILE", "Labelled texts to test on.", _DATA, default=_TESTED)] = None,
    input_format: Annotated[str | None, option("NAME", _FORMAT, _DATA)] = None,
    text_column: Annotated[str | None, option("NAME", "Column of the texts.", _DATA)] = None,
    label_column: Annotated[str | None, option("NAME", "Column of the labels.", _DATA)] = None,
    label_separator: LabelSeparatorOption = None,
    label_columns: LabelColumnsOption = None,
    preset: Annotated[str | None, option("NAME", _PRESET, _MODEL, default="small")] = None,
    plan: Annotated[Path | None, option("FILE", _PLAN, _MODEL)] = None,
    epochs: Annotated[int | None, option("N", _EPOCHS, _MODEL, default="by the data", min=1)] = None,
    balance: Annotated[bool, option(None, _BALANCE, _MODEL, "--balance")] = False,
    teacher: Annotated[str | None, option("NAME", _TEACHER, _TEACHERS, default=_HELPS)] = None,
    teacher_labels: Annotated[str | None, option("THEIRS=OURS,…", _RENAMED, _TEACHERS)] = None,
    unlabelled: Annotated[str | None, option("SOURCE", _UNLABELLED, _TEACHERS)] = None,
    seed: Annotated[int | None, option("N", "Decides every random choice.", _RUN, default="0", min=0)] = None,
    dry_run: Annotated[bool, option(None, "Show the plan and exit.", _RUN, "--dry-run")] = False,
    resume: Annotated[bool, option(None, _RESUME, _RUN, "--resume")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a classifier from labelled text.

    Writes FILE and beside it the history of the training (.history.json, .history.png). What it will do is
    decided before it runs: see --dry-run. Ctrl-C stops it at the next batch; --resume continues there and
    comes to the same result.
    """
    from edge_lstm.cli.streams import spared_output
    from edge_lstm_export.train.options import DataOptions
    from edge_lstm_export.train.plan import Asked
    from edge_lstm_export.train.run import Job

    if output is None and not dry_run:
        raise typer.BadParameter("give -o FILE.safetensors, where the checkpoint goes")
    decided = {"--preset": preset, "--epochs": epochs, "--teacher": teacher, "--seed": seed}
    edited = None if plan is None else _read_plan(plan, decided | {"--balance": balance or None})
    seed = (seed or 0) if edited is None else edited.seed
    data = DataOptions(
        test=test,
        seed=seed,
        input_format=input_format,
        text_column=text_column,
        label_column=label_column,
        label_separator=label_separator,
        label_columns=column_names(label_columns),
    )
    size = Asked.preset if preset is None else preset
    asked = Asked(size, teacher, epochs=epochs, balance=balance, seed=seed)
    target, names = output or Path("model.safetensors"), _renaming(teacher_labels)
    job = Job(tuple(sources), target, data, asked, edited, unlabelled, names, resume)
    if dry_run:
        _show_plan(job, as_json=as_json)
        return
    # The work is not lost where nobody reads what is printed.
    with spared_output(f"{job.output} is complete"):
        _train(job, as_json=as_json)


def _show_plan(job: Job, *, as_json: bool) -> None:
    from edge_lstm_export.cli.display import TrainingDisplay, print_plan
    from edge_lstm_export.train.run import check_job, plan_job

    check_job(job)
    begin = time.monotonic()
    with TrainingDisplay(quiet=True) as display:
        prepared = plan_job(job, display.say)
    if as_json:
        print(json.dumps(prepared.plan.to_dict(), indent=1, ensure_ascii=False))
    else:
        print_plan(prepared, time.monotonic() - begin)


def _train(job: Job, *, as_json: bool) -> None:
    from edge_lstm.signals import received_exit_code
    from edge_lstm_export.cli.display import TrainingDisplay, message, print_report
    from edge_lstm_export.train.run import run_job

    begin = time.monotonic()
    try:
        with TrainingDisplay(quiet=as_json) as display:
            result = run_job(job, display.callbacks(), display.prepared)
    except KeyboardInterrupt:
        advice = "start again with the same command"
        if job.partial.exists():
            advice = f"continue with the same command and --resume (state in {job.partial})"
        message(f"interrupted; {advice}")
        raise typer.Exit(received_exit_code()) from None
    if as_json:
        print(json.dumps(result.checkpoint.training, ensure_ascii=False))
    else:
        print_report(job, result, time.monotonic() - begin)
    for remark in result.remarks:
        message(f"note: {remark}")


def _read_plan(path: Path, options: Mapping[str, object]) -> Plan:
    """Raise DataError where the file is no plan, or one of the options, which it decides, is given too."""
    from edge_lstm.errors import DataError
    from edge_lstm_export.train.plan import Plan

    how = "make one with 'edge-lstm train SOURCE --dry-run --json'"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"no plan at {path}; {how}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is not a plan in JSON ({error}); {how}") from None
    if not isinstance(values, dict):
        raise DataError(f"{path} is not a plan in JSON; {how}")
    if given := [name for name, value in options.items() if value is not None]:
        raise DataError(f"--plan decides what {given[0]} does; leave it out, or edit the plan")
    return Plan.from_dict(values)


def _renaming(text: str | None) -> dict[str, str]:
    """Return ``THEIRS=OURS,…`` as their label → ours."""
    names: dict[str, str] = {}
    for pair in text.split(",") if text else ():
        theirs, _, ours = (part.strip() for part in pair.partition("="))
        if not (theirs and ours):
            raise typer.BadParameter(f"--teacher-labels: {pair!r} is not THEIRS=OURS")
        names[theirs] = ours
    return names
