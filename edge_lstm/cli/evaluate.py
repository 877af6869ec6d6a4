"""``edge-lstm evaluate``: accuracy and the rest on labelled data, models side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_lstm.cli.notes import wrapped
from edge_lstm.cli.options import (
    AbstainOption,
    BatchSizeOption,
    EngineOption,
    FollowLinksOption,
    InputFormatOption,
    JsonOption,
    LabelColumnOption,
    LabelColumnsOption,
    LabelSeparatorOption,
    ProviderOption,
    ReportOption,
    TextColumnOption,
    ThreadsOption,
    ThresholdOption,
    column_names,
)
from edge_lstm.cli.progress import ProgressBar
from edge_lstm.cli.tables import WIDTH, print_table, short, width_of
from edge_lstm.printable import printable, to_json

if TYPE_CHECKING:
    from edge_lstm.evaluation.evaluate import Evaluation
    from edge_lstm.evaluation.summary import Table

NAME_WIDTH = 23  # so that every table is at most 79 wide
LABEL_WIDTH = 30

FilesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="[MODEL...] FILE",
        help="Labelled texts: a CSV, TSV, JSONL, Parquet or fastText file, a folder with a subfolder for "
        "each label, - for standard input, or imdb or its tar (with edge-lstm[train]). Before it, model "
        "files.  [default: the embedded model]",
        show_default=False,
    ),
]
MistakesOption = Annotated[
    Path | None,
    typer.Option("--mistakes", metavar="FILE.csv", help="Write the wrong predictions, to correct them."),
]
LabelMapOption = Annotated[
    str | None,
    typer.Option("--label-map", metavar="DATA=MODEL,...", help="Where labels differ: 0=neg,1=pos."),
]
SplitOption = Annotated[
    str | None,
    typer.Option("--split", metavar="NAME", help="Split of a source that has some.  [default: test]"),
]


def command(
    files: FilesArgument,
    report: ReportOption = None,
    mistakes: MistakesOption = None,
    input_format: InputFormatOption = None,
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
    label_separator: LabelSeparatorOption = None,
    label_columns: LabelColumnsOption = None,
    label_map: LabelMapOption = None,
    split: SplitOption = None,
    abstain: AbstainOption = None,
    threshold: ThresholdOption = None,
    follow_links: FollowLinksOption = False,
    engine: EngineOption = None,
    threads: ThreadsOption = 1,
    provider: ProviderOption = "CPUExecutionProvider",
    batch_size: BatchSizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate models on labelled texts: accuracy with its confidence interval, precision, recall and F1
    of each label, the confusion matrix where it fits, log loss and calibration error; several models side
    by side with McNemar's test. With --abstain or --threshold, also how many texts are answered and how many
    of these answers are wrong. For a model that gives several labels per text: micro and macro F1, the share
    of texts that are exactly right, and each label's threshold.
    """
    from edge_lstm.atomic import write_atomically
    from edge_lstm.classifier import Classifier
    from edge_lstm.evaluation.evaluate import evaluate, parse_label_map
    from edge_lstm.evaluation.report import report as report_page
    from edge_lstm.evaluation.report import write_mistakes
    from edge_lstm.evaluation.sources import load_labelled

    *models, data = files
    _check_files(models, data, report, mistakes)
    names = parse_label_map(label_map) if label_map else {}
    opened: list[str | None] = [*models] or [None]
    classifiers = [Classifier.load(m, engine=engine, threads=threads, provider=provider) for m in opened]
    classifiers[0].threshold(abstain=abstain, threshold=threshold)  # an error before the data is read
    labelled = load_labelled(
        data,
        split=split,
        input_format=input_format,
        text_column=text_column,
        label_column=label_column,
        label_separator=label_separator,
        label_columns=column_names(label_columns),
        several=classifiers[0].model.thresholds is not None or None,
        follow_links=follow_links,
        show_progress=sys.stderr.isatty(),
    )
    with ProgressBar("evaluating", len(labelled.texts) * len(classifiers)) as progress:
        evaluation = evaluate(
            classifiers, labelled, data=data, label_map=names, abstain=abstain, threshold=threshold,
            batch_size=batch_size, progress=progress.advance,
        )  # fmt: skip
    if report is not None:
        write_atomically(report_page(evaluation), report)
    if mistakes is not None:
        write_mistakes(evaluation, mistakes)
    if as_json:
        print(to_json(evaluation.to_json(), indent=2))
    else:
        _show(evaluation)


def _check_files(models: list[str], data: str, report: Path | None, mistakes: Path | None) -> None:
    """Raise what can be known before the work: an output that cannot be written, or a missing argument."""
    from edge_lstm.atomic import check_distinct, check_writable
    from edge_lstm.errors import DataError

    written = [path for path in (report, mistakes) if path is not None]
    for path in written:
        check_writable(path)
    check_distinct(written, [data, *models])
    if data.lower().endswith(".onnx"):
        raise DataError(f"{data} is a model file; name the labelled data last: evaluate {data} FILE")
    if mistakes is not None and mistakes.suffix.lower() != ".csv":
        raise DataError(f"--mistakes writes CSV; give a name that ends in .csv, not {mistakes}")
    if mistakes is not None and len(models) > 1:
        raise DataError("--mistakes are those of one model; name one, or leave --mistakes out")
    if report is not None:
        from edge_lstm.charts import check_drawable

        check_drawable()


def _show(evaluation: Evaluation) -> None:
    from edge_lstm.evaluation import summary

    names = [short(result.name, NAME_WIDTH) for result in evaluation.results]
    print(wrapped(summary.texts_line(evaluation)), end="\n\n")
    _print(summary.models_table(evaluation, names))
    abstention = summary.abstention_table(evaluation, names)
    if abstention.rows:
        _print(abstention, "without the texts on which the model abstains")
    if notes := summary.notes(evaluation, names):
        print("\n".join(map(wrapped, notes)), end="\n\n")
    for name, result in zip(names, evaluation.results):
        _print(summary.labels_table(result), f"{name} by label")
        if evaluation.several:
            continue
        confusion = summary.confusion_table(result)
        if width_of(*_cut(confusion)) <= WIDTH:
            _print(confusion, f"{name}: texts by true label (row) and predicted label (column)")
    for comparison in evaluation.comparisons:
        print(printable(f"{comparison.second} against {comparison.first}"))
        for name, value in summary.comparison_rows(evaluation, comparison):
            print(f"  {name:<10} {value}")
        print()


def _print(table: Table, title: str = "") -> None:
    print_table(*_cut(table), title=title)


def _cut(table: Table) -> tuple[list[str], list[list[str]]]:
    """Header and rows, with names that are not too long for a terminal."""
    rows = [[short(name, LABEL_WIDTH), *cells] for name, *cells in table.rows]
    return [short(name, LABEL_WIDTH) for name in table.header], rows
