"""``edge-lstm evaluate``: accuracy and other metrics on labelled data, models side by side."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_lstm.cli import options
from edge_lstm.cli.notes import WIDTH, print_table, table_lines, wrapped
from edge_lstm.cli.options import option
from edge_lstm.cli.progress import ProgressBar
from edge_lstm.printable import to_json

if TYPE_CHECKING:
    from edge_lstm.evaluation.result import Evaluation

FilesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="[MODEL...] FILE",
        help="Model files (default: the embedded model), then labelled texts: a CSV, TSV, JSONL, "
        "Parquet or fastText file, a folder with a subfolder per label, - for standard input, or "
        "imdb or its tar (with edge-lstm[train]).",
        show_default=False,
    ),
]
MistakesOption = Annotated[
    Path | None,
    option("FILE.csv", "Write the misclassified texts, to correct their labels.", "--mistakes"),
]
LabelMapOption = Annotated[
    str | None, option("DATA=MODEL,...", "Map labels of the data, as 0=neg,1=pos.", "--label-map")
]
_FOREIGN = (
    "Texts of none of the labels, in any format of score: report how well they are told apart."
)
ForeignOption = Annotated[Path | None, option("FILE", _FOREIGN, "--foreign")]
SplitOption = Annotated[
    str | None, option("NAME", "Split of the source.  [default: test]", "--split")
]


def command(
    files: FilesArgument,
    report: options.ReportOption = None,
    mistakes: MistakesOption = None,
    input_format: options.InputFormatOption = None,
    text_column: options.TextColumnOption = None,
    label_column: options.LabelColumnOption = None,
    label_separator: options.LabelSeparatorOption = None,
    label_columns: options.LabelColumnsOption = None,
    label_map: LabelMapOption = None,
    foreign: ForeignOption = None,
    split: SplitOption = None,
    abstain: options.AbstainOption = None,
    threshold: options.ThresholdOption = None,
    engine: options.EngineOption = None,
    threads: options.ThreadsOption = 1,
    provider: options.ProviderOption = "CPUExecutionProvider",
    as_json: options.JsonOption = False,
) -> None:
    """Evaluate models on labelled texts: accuracy with its interval, precision, recall and F1 per
    label, confusion matrix, log loss and calibration error; McNemar's test between models.

    With --abstain or --threshold, also coverage and error rate; with --foreign, how well foreign
    texts are told apart. For several labels per text: micro and macro F1, and exact match.
    """
    from edge_lstm.classifier import Classifier
    from edge_lstm.evaluation.evaluate import evaluate, parse_label_map
    from edge_lstm.evaluation.sources import load_labelled, read_foreign
    from edge_lstm.tables.labelled import LabelOptions

    *models, data = files
    options.check_outputs([report, mistakes], [data, *models, foreign])
    _check(models, data, mistakes)
    names = parse_label_map(label_map) if label_map else {}
    paths: list[str | None] = [*models] or [None]
    classifiers = [
        Classifier.load(path, engine=engine, threads=threads, provider=provider) for path in paths
    ]
    # Here its error comes before the data is read, which may take long.
    classifiers[0].threshold(abstain=abstain, threshold=threshold)
    reading = LabelOptions(
        text_column,
        label_column=label_column,
        format=input_format,
        label_separator=label_separator,
        label_columns=options.column_names(label_columns),
        multi_label=classifiers[0].model.thresholds is not None or None,
    )
    labelled = load_labelled(data, split=split, options=reading)
    others = read_foreign(foreign) if foreign else ()
    total = (len(labelled.texts) + len(others)) * len(classifiers)
    with ProgressBar("evaluating", total) as progress:
        evaluation = evaluate(
            classifiers,
            labelled,
            data=data,
            label_map=names,
            foreign=others,
            abstain=abstain,
            threshold=threshold,
            progress=progress.advance,
        )
    _write(evaluation, report, mistakes)
    if as_json:
        print(to_json(evaluation.to_json(), indent=2))
    else:
        _show(evaluation)


def _check(models: list[str], data: str, mistakes: Path | None) -> None:
    """Raise DataError if a name or the number of files is wrong."""
    from edge_lstm.errors import DataError

    if data.lower().endswith(".onnx"):
        raise DataError(
            f"{data} is a model file; name the labelled data last: evaluate {data} FILE"
        )
    if mistakes is not None and mistakes.suffix.lower() != ".csv":
        raise DataError(f"--mistakes writes CSV; give a name that ends in .csv, not {mistakes}")
    if mistakes is not None and len(models) > 1:
        raise DataError("--mistakes is for one model; name one, or leave --mistakes out")
    if len(set(map(os.path.realpath, models))) < len(models):
        raise DataError("a model is given twice; name each once")


def _write(evaluation: Evaluation, report: Path | None, mistakes: Path | None) -> None:
    """Write the files that were asked for."""
    from edge_lstm.atomic import write_atomically
    from edge_lstm.evaluation import report as reports

    if report is not None:
        write_atomically(reports.report(evaluation), report)
    if mistakes is not None:
        reports.write_mistakes(evaluation, mistakes)


def _show(evaluation: Evaluation) -> None:
    """Print the tables that fit the width."""
    from edge_lstm.evaluation.report import tables, texts_line

    print(wrapped(texts_line(evaluation)), end="\n\n")
    for table in tables(evaluation):
        if max(map(len, table_lines(table))) <= WIDTH:  # the page shows the others
            print_table(table)
