"""``edge-lstm evaluate``: accuracy and other metrics on labelled data, models side by side."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_lstm.cli import options
from edge_lstm.cli.notes import print_table, wrapped
from edge_lstm.cli.options import option
from edge_lstm.cli.progress import ProgressCount
from edge_lstm.cli.streams import say
from edge_lstm.printable import to_json

if TYPE_CHECKING:
    from edge_lstm.evaluation.result import Evaluation

_DATA = (
    "Labelled texts: a CSV, TSV, JSONL, Parquet or fastText file, a folder with a subfolder per "
    "label, - for standard input, or imdb or its tar (with edge-lstm[train])."
)
_MODELS = (
    "Model file, or sentiment for the embedded model. Repeat it to compare several.  "
    "[default: sentiment]"
)


def command(
    data: Annotated[str, typer.Argument(metavar="SOURCE", help=_DATA, show_default=False)],
    model: Annotated[list[str] | None, option("FILE", _MODELS, "--model", "-m")] = None,
    mistakes: Annotated[
        Path | None, option("FILE.csv", "Write the misclassified texts, to correct their labels.")
    ] = None,
    input_format: options.InputFormatOption = None,
    encoding: options.EncodingOption = None,
    text_column: options.TextColumnOption = None,
    label_column: options.LabelColumnOption = None,
    label_separator: options.LabelSeparatorOption = None,
    indicator_columns: options.IndicatorColumnsOption = None,
    foreign: Annotated[
        str | None,
        option(
            "FILE",
            "Texts that fit none of the labels, in any format of score: report how well they are "
            "recognized.",
        ),
    ] = None,
    abstain: options.AbstainOption = None,
    threshold: options.ThresholdOption = None,
    windows: options.WindowsOption = False,
    engine: options.EngineOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Evaluate models on labelled texts.

    The result has accuracy with its interval; precision, recall and F1 per label; the confusion
    matrix, log loss and calibration error; the share of texts that are answered if 1, 2, 5 or 10 %
    of the answers may be wrong; and McNemar's test between models.

    With --foreign, the result shows how well texts that fit no label are recognized. With several
    labels per text, it has micro and macro F1, and exact match.
    """
    from edge_lstm.core.engine import chosen_engine
    from edge_lstm.evaluation.files import evaluate_files
    from edge_lstm.evaluation.report import write_mistakes
    from edge_lstm.tables.labelled import LabelOptions

    models: list[str | None] = [*model] if model else [None]
    options.check_outputs([mistakes], [data, *models, foreign])
    _check(models, mistakes)
    reading = LabelOptions(
        text_column,
        label_column=label_column,
        format=input_format,
        encoding=encoding,
        label_separator=label_separator,
        indicator_columns=options.column_names(indicator_columns),
    )
    evaluation = evaluate_files(
        models,
        data,
        reading,
        chosen_engine(engine),
        foreign=foreign,
        progress=partial(ProgressCount, "evaluating"),
        say=say,
        abstain=abstain,
        threshold=threshold,
        windows=windows,
    )
    if mistakes is not None:
        write_mistakes(evaluation, mistakes)
    if as_json:
        print(to_json(evaluation.to_json(), indent=2))
    else:
        _show(evaluation)


def _check(models: list[str | None], mistakes: Path | None) -> None:
    """Raise DataError if the mistakes cannot be written."""
    from edge_lstm.errors import DataError

    if mistakes is not None and mistakes.suffix.lower() != ".csv":
        raise DataError(f"--mistakes writes CSV; give a name that ends in .csv, not {mistakes}")
    if mistakes is not None and len(models) > 1:
        raise DataError("--mistakes is for one model; name one, or leave --mistakes out")


def _show(evaluation: Evaluation) -> None:
    """Print the tables."""
    from edge_lstm.evaluation.report import tables, texts_line

    print(wrapped(texts_line(evaluation)), end="\n\n")
    for table in tables(evaluation):
        print_table(table)
