"""``edge-lstm train``: labelled text → a checkpoint, its history and its learning curve."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_lstm.cli.options import JsonOption
from edge_lstm_export.cli.options import DataDirOption

if TYPE_CHECKING:
    from edge_lstm_export.pipeline import TrainingJob


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
            metavar="US", help="With auto: longest median time of a text, in µs.", show_default=False
        ),
    ] = None,
    data_dir: DataDirOption = None,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Read what symbolic links inside a folder lead to.")
    ] = False,
    test: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Labelled file with test texts.", show_default=False)
    ] = None,
    test_share: Annotated[
        float,
        typer.Option(metavar="SHARE", help="Held out for the test where the source has no test split."),
    ] = 0.1,
    input_format: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="csv, tsv, jsonl, parquet or text (fastText), where the file does not tell.",
            show_default=False,
        ),
    ] = None,
    text_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column that holds the text.", show_default=False)
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column that holds the label.", show_default=False)
    ] = None,
    no_test: Annotated[bool, typer.Option("--no-test", help="Leave the test split unread.")] = False,
    validation: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of the training texts that judges the epochs.")
    ] = 0.1,
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Learn from a teacher's soft labels: nb-svm (over 1-3-grams), or none.",
            show_default="the preset's",
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
    soft_labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keeps the teacher's labels, for the next training.",
            show_default="beside the output",
        ),
    ] = None,
    suspects: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="List the texts whose label looks wrong, as CSV.", show_default=False
        ),
    ] = None,
    teacher_model: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="MODEL",
            help="A model file that labels the unlabelled texts together with the teacher; repeatable.",
            show_default=False,
        ),
    ] = None,
    own_labels: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="How much a text's own label counts beside the teacher's.",
            show_default="the preset's",
        ),
    ] = None,
    num_words: Annotated[
        int | None, typer.Option(metavar="N", help="Ids below N are in use.", show_default="the preset's")
    ] = None,
    skip_top: Annotated[
        int, typer.Option(metavar="N", min=0, help="Leave out the N most frequent words.")
    ] = 0,
    drop_unknown: Annotated[
        bool | None,
        typer.Option(
            "--drop-unknown/--keep-unknown",
            help="Leave unknown words out of a text, not as id 2.",
            show_default="the preset's",
        ),
    ] = None,
    words: Annotated[
        str | None,
        typer.Option(
            metavar="CHOICE",
            help="Which words: the most frequent, or the most informative (telling).",
            show_default="the preset's",
        ),
    ] = None,
    features: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="pairs: a table of words and word pairs (long texts, two labels); ngrams: words, pieces of "
            "words and vectors of n-grams (short texts, many labels, any script); or auto: by the texts.",
        ),
    ] = "auto",
    pairs: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, help="Rows for word pairs in the linear part.", show_default="the preset's"
        ),
    ] = None,
    length: Annotated[int, typer.Option(metavar="N", min=1, help="Ids of a text that are read.")] = 600,
    word_index: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Keras's imdb_word_index.json, in place of own words.", show_default=False
        ),
    ] = None,
    embedding: Annotated[
        int | None, typer.Option(metavar="N", help="Embedding dimensions.", show_default="the preset's")
    ] = None,
    hidden: Annotated[
        int | None, typer.Option(metavar="N", help="LSTM units.", show_default="the preset's")
    ] = None,
    layers: Annotated[
        int | None, typer.Option(metavar="N", help="LSTM layers.", show_default="the preset's")
    ] = None,
    bidirectional: Annotated[
        bool | None,
        typer.Option("--bidirectional/--one-directional", help="Read from both ends.", show_default=False),
    ] = None,
    pooling: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="last, mean, max or mean+max.", show_default="the preset's"),
    ] = None,
    dropout: Annotated[float | None, typer.Option(metavar="SHARE", show_default="the preset's")] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", help="Passes, at most.", show_default="by preset and size")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(metavar="N", help="Texts a step.", show_default="by preset and size")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(metavar="RATE", help="Its peak.", show_default="the preset's")
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(metavar="W", show_default="the preset's")] = None,
    adversarial: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Train on embeddings moved by this share of their norm too; twice the time.",
            show_default="the preset's",
        ),
    ] = None,
    bfloat16: Annotated[
        bool | None,
        typer.Option(
            "--bfloat16/--float32", help="The LSTM's precision in training.", show_default="the preset's"
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Stop after N epochs without gain.", show_default="by preset and size"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Decides every random choice.")] = 0,
    threads: Annotated[
        int, typer.Option(metavar="N", min=1, help="CPU threads; on a busy machine a second one waits.")
    ] = 1,
    device: Annotated[str, typer.Option(metavar="NAME", help="cpu, or cuda where there is one.")] = "cpu",
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted training, with the same options.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a classifier from labelled text.

    Writes FILE, and beside it FILE's history (.history.json) and learning curve (.history.png). The
    epoch with the lowest validation loss is kept. Ctrl-C ends at the next batch and writes the best epoch so
    far, unfinished; --resume goes on from there as if nothing had happened.
    """
    from edge_lstm.signals import exit_code
    from edge_lstm_export.budget import AUTO, Budget
    from edge_lstm_export.cli.display import (
        TrainingDisplay,
        measured_lines,
        message,
        written_lines,
    )
    from edge_lstm_export.datasets import DataOptions
    from edge_lstm_export.interruption import StopRequest
    from edge_lstm_export.pipeline import TrainingJob, run_job

    limited = budget_kb is not None or budget_us is not None
    if preset == AUTO and not limited:
        raise typer.BadParameter("--preset auto needs --budget-kb, --budget-us or both")
    if limited and preset != AUTO:
        raise typer.BadParameter("--budget-kb and --budget-us need --preset auto")
    job = TrainingJob(
        source,
        output,
        preset,
        Budget(budget_kb, budget_us),
        DataOptions(
            data_dir,
            word_index,
            test,
            test_share,
            seed,
            show_progress=sys.stderr.isatty(),
            input_format=input_format,
            text_column=text_column,
            label_column=label_column,
            follow_links=follow_links,
        ),
        _given(
            num_words=num_words,
            skip_top=skip_top or None,
            drop_unknown=drop_unknown,
            length=length,
            word_index=word_index,
            choice=words,
        ),
        network=_given(
            embedding_dim=embedding,
            hidden=hidden,
            layers=layers,
            bidirectional=bidirectional,
            pooling=pooling,
            dropout=dropout,
            pair_buckets=pairs,
        ),
        options=_given(
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            adversarial=adversarial,
            bfloat16=bfloat16,
            patience=patience,
            seed=seed,
        ),
        teacher=teacher,
        unlabelled=unlabelled,
        soft_labels=soft_labels,
        own_labels=own_labels,
        teacher_models=tuple(teacher_model or ()),
        validation_share=validation,
        read_test=not no_test,
        suspects=suspects,
        threads=threads,
        device=device,
        resume=resume,
        features=features,
    )
    if sys.stderr.isatty():
        message(f"reading {source} …")
    with StopRequest() as stop:
        try:
            with TrainingDisplay(stop, quiet=as_json) as display:
                fitted = run_job(job, display)
        except KeyboardInterrupt as interrupt:
            message(f"interrupted; {_how_to_go_on(job)}")
            raise typer.Exit(exit_code(interrupt)) from None
    if as_json:
        print(json.dumps(fitted.checkpoint.training, ensure_ascii=False))
    else:
        for name, measured in (("validation", fitted.validation), ("test", fitted.test)):
            if measured is not None:
                print("", *measured_lines(name, measured), sep="\n")
        print("", *written_lines(job, fitted), sep="\n")
    for remark in fitted.remarks:
        message(f"note: {remark}")
    if fitted.result.outcome == "interrupted":
        message(f"interrupted; {_how_to_go_on(job)}")
        raise typer.Exit(stop.exit_code)


def _how_to_go_on(job: TrainingJob) -> str:
    """What is kept of an interrupted training, and what to type."""
    if job.partial.exists():
        return f"continue with the same command and --resume (state in {job.partial})"
    if job.kept_labels.exists():
        return f"start again with the same command (soft labels are kept in {job.kept_labels})"
    return "start again with the same command"


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
