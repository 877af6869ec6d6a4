"""``edge-lstm train``: labelled text → a checkpoint, its history and its learning curve."""

from __future__ import annotations

import json
import sys
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_lstm.cli.options import JsonOption, LabelColumnsOption, LabelSeparatorOption, column_names
from edge_lstm.cli.tables import print_table
from edge_lstm_export.cli.options import DataDirOption, DefaultAbstainOption
from edge_lstm_export.cli.settings import hidden_options, parsed

if TYPE_CHECKING:
    from edge_lstm_export.job import TrainingJob


def _show_settings(context: typer.Context, wanted: bool) -> None:
    if wanted:
        from edge_lstm_export.cli.settings import rows

        name = context.params.get("preset") or "small"
        print_table(("setting", f"preset {name}", "what it is"), rows(name), text=(0, 1, 2))
        raise typer.Exit


def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="imdb, the aclImdb folder or its tar, Keras's imdb.npz, or a labelled CSV, TSV, JSONL, "
            "Parquet or fastText file.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The checkpoint, a .safetensors file.")
    ],
    preset: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            is_eager=True,
            help="Network and options to start from: tiny, small, medium, base, seed (Keras's example), or "
            "auto: the most accurate one within the budget on this machine.",
        ),
    ] = "small",
    budget_kb: Annotated[
        float | None,
        typer.Option(metavar="KB", help="With auto: largest int8 file, in kB.", show_default=False),
    ] = None,
    budget_us: Annotated[
        float | None,
        typer.Option(
            metavar="US", help="With auto: largest median time per text, in µs.", show_default=False
        ),
    ] = None,
    data_dir: DataDirOption = None,
    test: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Labelled texts to test on.", show_default=False)
    ] = None,
    begin: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="CHECKPOINT",
            help="Go on from this checkpoint: SOURCE holds new rows, with or without new labels.",
            show_default=False,
        ),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --from: the rows it was trained on, where it keeps none (--set keep-rows=yes).",
            show_default=False,
        ),
    ] = None,
    input_format: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="csv, tsv, jsonl, parquet or text (fastText), where the name does not say.",
            show_default=False,
        ),
    ] = None,
    text_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column that holds the text.", show_default=False)
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column that holds the label.", show_default=False)
    ] = None,
    label_separator: LabelSeparatorOption = None,
    label_columns: LabelColumnsOption = None,
    abstain: DefaultAbstainOption = None,
    no_test: Annotated[bool, typer.Option("--no-test", help="Do not read the test split.")] = False,
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Learn from a teacher's soft labels: nb-svm (over 1-3-grams), embedded (of short texts, the "
            "embedded model), a transformer (a folder, or a name on the Hugging Face hub), kept (those of "
            "--set soft-labels=FILE), or none.",
            show_default="the preset's; of short texts embedded, where it helps",
        ),
    ] = None,
    teacher_labels: Annotated[
        str | None,
        typer.Option(
            metavar="THEIRS=OURS,…",
            help="A teacher's labels by the data's names, such as LABEL_0=neg,LABEL_1=pos.",
            show_default=False,
        ),
    ] = None,
    unlabelled: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Further texts for the teacher to label; imdb has some.",
            show_default=False,
        ),
    ] = None,
    suspects: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="List the texts whose label looks wrong, as CSV.", show_default=False
        ),
    ] = None,
    curve: Annotated[
        bool,
        typer.Option(
            "--curve",
            help="Afterwards, measure the accuracy at an eighth, a quarter, half and all of the rows, "
            "cross-validated: would more rows help?",
        ),
    ] = False,
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Passes over the data, at most; it stops after half as many without gain.",
            show_default="by preset and size",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Decides every random choice.")] = 0,
    threads: Annotated[
        int, typer.Option(metavar="N", min=1, help="CPU threads; on a busy machine a second one waits.")
    ] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted training, with the same options.")
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Another setting of the network, the training or the vocabulary; repeatable.",
            show_default=False,
        ),
    ] = None,
    list_settings: Annotated[
        bool,
        typer.Option(
            "--list-settings",
            is_eager=True,
            callback=_show_settings,
            help="Show the names for --set, with what the --preset before it has, and exit.",
        ),
    ] = False,
    as_json: JsonOption = False,
    **hidden: Any,
) -> None:
    """Train a classifier from labelled text. A text may have several labels: see --label-separator.

    Writes FILE, and beside it FILE's history (.history.json) and, without --from, learning curve
    (.history.png), with --curve also .curve.json and .curve.png. The epoch with the lowest validation loss is
    kept. Ctrl-C ends at the next batch and writes the best epoch so far, unfinished; --resume goes on from
    there as if nothing had happened.
    """
    from edge_lstm.cli.streams import spared_output
    from edge_lstm_export.budget import AUTO, Budget
    from edge_lstm_export.cli.display import message
    from edge_lstm_export.datasets import DataOptions
    from edge_lstm_export.job import TrainingJob

    if replay is not None and begin is None:
        raise typer.BadParameter("--replay needs --from, the checkpoint that was trained on these rows")
    limited = budget_kb is not None or budget_us is not None
    if preset == AUTO and not limited:
        raise typer.BadParameter("--preset auto needs --budget-kb, --budget-us or both")
    if limited and preset != AUTO:
        raise typer.BadParameter("--budget-kb and --budget-us need --preset auto")
    given = parsed(settings or (), hidden)
    job = TrainingJob(
        source=source,
        output=output,
        preset=preset,
        budget=Budget(budget_kb, budget_us),
        data=DataOptions(
            data_dir=data_dir,
            word_index=given["vocabulary"].get("word_index"),
            test=test,
            seed=seed,
            show_progress=sys.stderr.isatty(),
            input_format=input_format,
            text_column=text_column,
            label_column=label_column,
            label_separator=label_separator,
            label_columns=column_names(label_columns),
            **given["data"],
        ),
        vocabulary=given["vocabulary"],
        network=given["network"],
        options={**given["options"], **({} if epochs is None else {"epochs": epochs}), "seed": seed},
        teacher=teacher,
        teacher_labels=_renaming(teacher_labels),
        unlabelled=unlabelled,
        abstain=abstain,
        read_test=not no_test,
        begin=begin,
        replay=replay,
        curve=curve,
        suspects=suspects,
        threads=threads,
        resume=resume,
        **given[""],
    )
    if sys.stderr.isatty():
        message(f"reading {source} …")
    with spared_output(f"{job.output} is complete"):
        _train(job, as_json)


def _train(job: TrainingJob, as_json: bool) -> None:
    from edge_lstm.signals import exit_code
    from edge_lstm_export.cli.display import (
        TrainingDisplay,
        abstention_lines,
        message,
        old_test_lines,
        print_curve,
        score_lines,
        written_lines,
    )
    from edge_lstm_export.interruption import StopRequest
    from edge_lstm_export.more_rows import CurveInterrupted
    from edge_lstm_export.pipeline import run_job

    with StopRequest() as stop:
        try:
            with TrainingDisplay(stop, quiet=as_json) as display:
                fitted = run_job(job, display)
        except KeyboardInterrupt as interrupt:
            whole = f"{job.output} is complete, the curve is not; start again with the same command for it"
            way = whole if isinstance(interrupt, CurveInterrupted) else _how_to_go_on(job)
            message(f"interrupted; {way}")
            raise typer.Exit(exit_code(interrupt)) from None
    if as_json:
        of_curve = {"curve": fitted.curve.to_dict()} if fitted.curve else {}
        print(json.dumps({**fitted.checkpoint.training, **of_curve}, ensure_ascii=False))
    else:
        judged = "cross-validated" if fitted.cross_validated else "validation"
        for name, measured in ((judged, fitted.validation), ("test", fitted.test)):
            if measured is not None:
                print("", *score_lines(name, measured), sep="\n")
            if name == "validation" and fitted.checkpoint.abstention is not None:
                print(*abstention_lines(fitted.checkpoint.abstention), sep="\n")
        several = fitted.checkpoint.thresholds is not None
        print("", *old_test_lines(fitted.old_test, several=several), *written_lines(job, fitted), sep="\n")
        if fitted.curve is not None:
            print_curve(job, fitted.curve)
    for remark in fitted.remarks:
        message(f"note: {remark}")
    if fitted.result.outcome == "interrupted":
        message(f"interrupted; {_how_to_go_on(job)}")
        raise typer.Exit(stop.exit_code)


def _renaming(text: str | None) -> dict[str, str]:
    """``THEIRS=OURS,…`` → their label → ours."""
    pairs = [pair.partition("=") for pair in text.split(",")] if text else []
    for theirs, equals, ours in pairs:
        if not (theirs.strip() and equals and ours.strip()):
            raise typer.BadParameter(f"--teacher-labels: {theirs + equals + ours!r} is not THEIRS=OURS")
    return {theirs.strip(): ours.strip() for theirs, _, ours in pairs}


def _how_to_go_on(job: TrainingJob) -> str:
    """What is kept of an interrupted training, and what to type."""
    if job.partial.exists():
        return f"continue with the same command and --resume (state in {job.partial})"
    if job.kept_labels.exists():
        return f"start again with the same command (soft labels are kept in {job.kept_labels})"
    return "start again with the same command"


# Typer reads the signature: the options of settings.py are added to those that are written out above.
_WRITTEN = [
    p for p in signature(command, eval_str=True).parameters.values() if p.kind is not Parameter.VAR_KEYWORD
]
command.__signature__ = Signature(  # type: ignore[attr-defined]
    parameters=[*_WRITTEN, *(parameter for parameter, _ in hidden_options())]
)
command.__annotations__ |= {parameter.name: annotation for parameter, annotation in hidden_options()}
