"""``edge-lstm evaluate``: accuracy and other metrics on labelled data, models side by side."""

from __future__ import annotations

import os
from collections.abc import Mapping
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
    "Texts with none of the labels, in any format of score: report how well they are told apart."
)
ForeignOption = Annotated[Path | None, option("FILE", _FOREIGN, "--foreign")]
SplitOption = Annotated[
    str | None, option("NAME", "Split of the source.  [default: test]", "--split")
]


def command(
    files: FilesArgument,
    model: options.QuestionsOption = None,
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
    windows: options.WindowsOption = False,
    engine: options.EngineOption = None,
    threads: options.ThreadsOption = 1,
    provider: options.ProviderOption = "CPUExecutionProvider",
    as_json: options.JsonOption = False,
) -> None:
    """Evaluate models on labelled texts.

    The result has accuracy with its interval; precision, recall and F1 per label; the confusion
    matrix, log loss and calibration error; and McNemar's test between models.

    With --abstain or --threshold, it also has coverage and error rate; with --foreign, how well
    foreign texts are told apart. With several labels per text, it has micro and macro F1, and exact
    match.

    With -m team=team.onnx -m urgent=urgent.onnx, each model is evaluated on the column of its name,
    without the rows that have no label there.
    """
    from edge_lstm.classifier import Classifier
    from edge_lstm.evaluation.evaluate import evaluate, parse_label_map
    from edge_lstm.evaluation.sources import load_labelled, read_foreign
    from edge_lstm.questions import parse_models
    from edge_lstm.tables.labelled import LabelOptions

    *models, data = files
    if model:
        single = {
            "--report": report,
            "--mistakes": mistakes,
            "--label-column": label_column,
            "--label-columns": label_columns,
            "--label-map": label_map,
            "--foreign": foreign,
        }
        _check_questions(files, single)
    options.check_outputs([report, mistakes], [data, *models, foreign])
    _check(models, data, mistakes)
    names = parse_label_map(label_map) if label_map else {}
    # The models of each question, by its name and column; without questions, of one with no name.
    paths: dict[str, list[str | None]] = {"": [*models] or [None]}
    if model:
        paths = {name: [path] for name, path in parse_models(model).items()}
    classifiers = {
        name: [
            Classifier.load(path, engine=engine, threads=threads, provider=provider)
            for path in of_question
        ]
        for name, of_question in paths.items()
    }
    labelled = {}
    for name, (first, *_) in classifiers.items():
        # Here its error comes before the data is read, which may take long.
        first.threshold(abstain=abstain, threshold=threshold)
        reading = LabelOptions(
            text_column,
            label_column=name or label_column,
            format=input_format,
            label_separator=label_separator,
            label_columns=options.column_names(label_columns),
            multi_label=first.model.thresholds is not None or None,
            skip_unlabelled=bool(name),
        )
        labelled[name] = load_labelled(data, split=split, options=reading)
    others = read_foreign(foreign) if foreign else ()
    total = sum(
        (len(labelled[name].texts) + len(others)) * len(of_question)
        for name, of_question in classifiers.items()
    )
    with ProgressBar("evaluating", total) as progress:
        evaluations = {
            name: evaluate(
                of_question,
                labelled[name],
                data=data,
                label_map=names,
                foreign=others,
                abstain=abstain,
                threshold=threshold,
                windows=windows,
                progress=progress.advance,
            )
            for name, of_question in classifiers.items()
        }
    if not model:
        _write(evaluations[""], report, mistakes)
    if as_json:
        values = {name: each.to_json() for name, each in evaluations.items()}
        print(to_json(values if model else values[""], indent=2))
        return
    for name, each in evaluations.items():
        if name:
            print(f"{name}:")
        _show(each)


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


def _check_questions(files: list[str], single: Mapping[str, object]) -> None:
    """Raise DataError if an argument does not go with questions.

    single: options that are for one question, with their values.
    """
    from edge_lstm.errors import DataError

    if len(files) != 1 or files[0] == "-":
        raise DataError("with -m NAME=MODEL, give one file of labelled texts and no other model")
    if given := [name for name, value in single.items() if value is not None]:
        raise DataError(f"{given[0]} is for one question; leave it out, or name one model alone")


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
