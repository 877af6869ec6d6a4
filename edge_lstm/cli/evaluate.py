"""``edge-lstm evaluate``: accuracy and the rest on labelled data, models side by side."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_lstm.cli.options import (
    AbstainOption,
    BatchSizeOption,
    JsonOption,
    LabelColumnsOption,
    LabelSeparatorOption,
    ProviderOption,
    ThreadsOption,
    ThresholdOption,
    column_names,
)
from edge_lstm.cli.progress import ProgressBar
from edge_lstm.cli.tables import WIDTH, print_table, short, width_of
from edge_lstm.printable import printable, to_json

if TYPE_CHECKING:
    from edge_lstm.evaluation.evaluate import Comparison, Evaluation, ModelResult
    from edge_lstm.evaluation.several import SeveralEvaluation

NAME_WIDTH = 23  # so that every table is at most 79 wide
LABEL_WIDTH = 40


def command(
    data: Annotated[
        str,
        typer.Option(
            "--data",
            "-d",
            metavar="SOURCE",
            help="Labelled texts: CSV, TSV, JSONL, Parquet or fastText file, a folder with a subfolder "
            "for each label, - for standard input, or imdb, its tar (these with "
            "edge-lstm[train]).",
        ),
    ],
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="MODEL...", help="Model files.  [default: the embedded model]", show_default=False
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Write a report, one HTML page that opens offline."),
    ] = None,
    mistakes: Annotated[
        Path | None,
        typer.Option(
            "--mistakes",
            metavar="FILE.csv",
            help="Write the texts that are judged wrongly, with label and guess, to correct and train on.",
            show_default=False,
        ),
    ] = None,
    input_format: Annotated[
        str | None,
        typer.Option(
            "--input-format",
            metavar="FORMAT",
            help="text (fastText), csv, tsv, jsonl, parquet or folder, where the name does not say.",
        ),
    ] = None,
    text_column: Annotated[
        str | None, typer.Option("--text-column", metavar="NAME", help="Column that holds the text.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option("--label-column", metavar="NAME", help="Column that holds the label.")
    ] = None,
    label_separator: LabelSeparatorOption = None,
    label_columns: LabelColumnsOption = None,
    label_map: Annotated[
        str | None,
        typer.Option(
            "--label-map",
            metavar="DATA=MODEL,...",
            help="The model's labels for the data's, where they differ: 0=neg,1=pos.",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            metavar="NAME",
            help="Part of a source that has parts.  [default: test]",
            show_default=False,
        ),
    ] = None,
    abstain: AbstainOption = None,
    threshold: ThresholdOption = None,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Read what symbolic links inside a folder lead to.")
    ] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", metavar="DIR", help="Folder that holds the archive of imdb already."),
    ] = None,
    threads: ThreadsOption = 1,
    provider: ProviderOption = "CPUExecutionProvider",
    batch_size: BatchSizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate models on labelled texts: accuracy with its confidence interval, precision, recall and F1
    of each label, the confusion matrix where it fits, log loss and calibration error; several models side
    by side with McNemar's test. With --abstain or --threshold, also how many texts are answered and how many
    of these answers are wrong. Of a model that gives several labels a text: micro and macro F1, the share of
    texts that are exactly right, and each label's threshold.
    """
    from edge_lstm.atomic import check_distinct, check_writable
    from edge_lstm.errors import DataError
    from edge_lstm.evaluation.evaluate import evaluate, parse_label_map
    from edge_lstm.evaluation.several import SeveralEvaluation, evaluate_several
    from edge_lstm.evaluation.sources import load_labelled
    from edge_lstm.modelfile import open_model

    written = [path for path in (report, mistakes) if path is not None]
    for path in written:
        check_writable(path)
    check_distinct(written, [data, *(models or ())])
    if mistakes is not None and mistakes.suffix.lower() != ".csv":
        raise DataError(f"--mistakes writes CSV; give a name that ends in .csv, not {mistakes}")
    if report is not None:
        from edge_lstm.charts import check_drawable

        check_drawable()
    if mistakes is not None and len(models or ()) > 1:
        raise DataError("--mistakes are those of one model; name one, or leave --mistakes out")
    opened = [open_model(path) for path in models] if models else [open_model()]
    several = opened[0].thresholds is not None
    if several:
        opened[0].chosen_threshold(abstain=abstain, threshold=threshold)
    names = parse_label_map(label_map) if label_map else {}
    labelled = load_labelled(
        data,
        split=split,
        input_format=input_format,
        text_column=text_column,
        label_column=label_column,
        label_separator=label_separator,
        label_columns=column_names(label_columns),
        several=several or None,
        follow_links=follow_links,
        data_dir=data_dir,
        show_progress=sys.stderr.isatty(),
    )
    with ProgressBar("evaluating", len(labelled.texts) * len(opened)) as progress:
        arguments: dict[str, Any] = {
            "data": data,
            "label_map": names,
            "threads": threads,
            "provider": provider,
            "batch_size": batch_size,
            "progress": progress.advance,
        }
        evaluation: Evaluation | SeveralEvaluation
        if labelled.several:
            evaluation = evaluate_several(opened, labelled.texts, labelled.labels, **arguments)
        else:
            evaluation = evaluate(
                opened,
                labelled.texts,
                labelled.names,
                abstain=abstain,
                threshold=threshold,
                **arguments,
            )
    if report is not None:
        if isinstance(evaluation, SeveralEvaluation):
            from edge_lstm.evaluation.several_report import write_several_report

            write_several_report(evaluation, report)
        else:
            from edge_lstm.evaluation.report import write_report

            write_report(evaluation, report)
    if mistakes is not None:
        from edge_lstm.evaluation.mistakes import write_mistakes

        write_mistakes(evaluation, mistakes)
    if as_json:
        print(to_json(evaluation.to_json(), indent=2))
    elif isinstance(evaluation, SeveralEvaluation):
        _show_several(evaluation)
    else:
        _show(evaluation)


def _show_texts(evaluation: Evaluation | SeveralEvaluation, further: str = "") -> None:
    from edge_lstm.evaluation.answers import counted

    what = f"{len(evaluation.texts):,} texts of {evaluation.data}{further} ({counted(evaluation.statuses)})"
    print(printable(what), end="\n\n")


def _show_several(evaluation: SeveralEvaluation) -> None:
    """Of texts that may have several labels."""
    of_a_text = f"{evaluation.labels_of_a_text:.2f} labels a text"
    _show_texts(evaluation, f", {of_a_text}")
    names = [short(model.name, NAME_WIDTH) for model in evaluation.models]
    rows = [
        (
            name,
            f"{model.bytes / 1000:,.0f} kB",
            f"{model.scores.micro_f1:.2%}",
            f"{model.scores.macro_f1:.2%}",
            f"{model.scores.subset_accuracy:.2%}",
            f"{model.log_loss:.4f}",
        )
        for name, model in zip(names, evaluation.models)
    ]
    print_table(("model", "size", "micro F1", "macro F1", "all right", "log loss"), rows)
    for name, model in zip(names, evaluation.models):
        if model.oov:
            note = printable(f"{name}: {model.oov.note}")
            print("\n".join(wrap(note, WIDTH, subsequent_indent="  ")), end="\n\n")
        table = [
            (
                short(row.label, LABEL_WIDTH),
                f"{threshold:.3f}",
                f"{row.precision:.2%}",
                f"{row.recall:.2%}",
                f"{row.f1:.2%}",
                f"{row.support:,}",
            )
            for row, threshold in zip(model.scores.labels, model.thresholds)
        ]
        table.append(("mean", "", "", "", f"{model.scores.macro_f1:.2%}", ""))
        header = ("label", "threshold", "precision", "recall", "F1", "texts")
        print_table(header, table, title=f"{name} by label")
    for comparison in evaluation.comparisons:
        low, high = comparison.interval.low * 100, comparison.interval.high * 100
        lines = [
            f"{comparison.second} against {comparison.first}",
            f"  micro F1   {comparison.micro_f1 * 100:+.2f} points",
            f"  all right  {comparison.difference * 100:+.2f} points, 95 %: {low:+.2f} to {high:+.2f}",
            f"  McNemar    p = {comparison.test.mid_p:.2g}",
            f"  answers    {comparison.other_labels:,} of {len(evaluation.texts):,} texts get other labels",
            f"  change     of a probability, at most {comparison.largest_change:.2g}",
        ]
        print("\n".join(map(printable, lines)), end="\n\n")


def _show(evaluation: Evaluation) -> None:
    _show_texts(evaluation)
    names = [short(model.name, NAME_WIDTH) for model in evaluation.models]
    rows = [
        (
            name,
            f"{model.bytes / 1000:,.0f} kB",
            f"{model.accuracy:.2%}",
            f"{model.interval.low:.2%} to {model.interval.high:.2%}".replace("%", ""),
            f"{model.log_loss:.4f}",
            f"{model.calibration_error:.2%}",
        )
        for name, model in zip(names, evaluation.models)
    ]
    print_table(("model", "size", "accuracy", "95 % interval", "log loss", "cal. error"), rows)
    _show_abstention(names, evaluation.models)
    notes = []
    if conflicting := evaluation.duplicates.conflicting:
        notes.append(f"{conflicting:,} texts have the words of one with another label: correct the labels")
    notes += [f"{name}: {model.oov.note}" for name, model in zip(names, evaluation.models) if model.oov]
    for note in notes:
        print("\n".join(wrap(printable(note), WIDTH, subsequent_indent="  ")))
    if notes:
        print()
    for name, model in zip(names, evaluation.models):
        _show_labels(name, model)
    for comparison in evaluation.comparisons:
        print("\n".join(map(printable, _comparison(comparison, len(evaluation.texts)))), end="\n\n")


def _show_abstention(names: Sequence[str], models: Sequence[ModelResult]) -> None:
    """What is left of the texts, and how much of it is wrong, where texts may be unsure."""
    rows = []
    for name, model in zip(names, models):
        found = model.abstains
        if found is None:
            continue
        mark = "*" if found["same_texts"] else ""
        wrong = "–" if found["wrong"] is None else f"{found['wrong']:.2%}{mark}"
        interval = "–"
        if found["wrong_interval"] is not None:
            low, high = found["wrong_interval"].values()
            interval = f"{low:.2%} to {high:.2%}".replace("%", "")
        wanted = "–" if found["wanted"] is None else f"{found['wanted']:.2%}"
        rows.append((name, wanted, f"{found['threshold']:.6g}", f"{found['answered']:.2%}", wrong, interval))
    if rows:
        header = ("model", "wanted", "threshold", "answered", "wrong", "95 % interval")
        print_table(header, rows, title="without the texts of which the model is unsure")
        if any(model.abstains and model.abstains["same_texts"] for model in models):
            print("* threshold found on the same texts; on others more may be wrong", end="\n\n")


def _show_labels(name: str, model: ModelResult) -> None:
    """Scores of each label, then the confusion matrix where it fits."""
    rows = [
        (
            short(row.label, LABEL_WIDTH),
            f"{row.precision:.2%}",
            f"{row.recall:.2%}",
            f"{row.f1:.2%}",
            f"{row.support:,}",
        )
        for row in model.by_label
    ]
    rows.append(("mean", "", "", f"{model.macro_f1:.2%}", ""))
    print_table(("label", "precision", "recall", "F1", "texts"), rows, title=f"{name} by label")
    header, counts = confusion_table(model)
    if width_of(header, counts) <= WIDTH:
        print_table(header, counts, title=f"{name}: texts by true label (row) and answer (column)")


def confusion_table(model: ModelResult) -> tuple[list[str], list[list[str]]]:
    """A row for each true label, a column for each answer."""
    names = [short(label, LABEL_WIDTH) for label in model.labels]
    counts = [[f"{count:,}" for count in row] for row in model.confusion.tolist()]
    return ["true label", *names], [[name, *row] for name, row in zip(names, counts)]


def _comparison(comparison: Comparison, n: int) -> list[str]:
    test = comparison.test
    low, high = comparison.interval.low * 100, comparison.interval.high * 100
    verdict = "a difference beyond chance" if test.mid_p < 0.05 else "no difference shown"
    return [
        f"{comparison.second} against {comparison.first}",
        f"  accuracy   {comparison.difference * 100:+.2f} points, 95 % interval {low:+.2f} to {high:+.2f}",
        f"  McNemar    p = {test.mid_p:.2g}, {verdict}",
        f"  right      {test.only_second_right:,} by it alone, {test.only_first_right:,} by the other alone",
        f"  answers    {comparison.other_label:,} of {n:,} texts get another label",
        f"  change     of a probability, at most {comparison.largest_change:.2g}",
    ]
