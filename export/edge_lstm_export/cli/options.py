"""Options that the workstation's commands share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edge_lstm.tables.labelled import Labelled, LabelledSets

OutputOption = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File to write.")]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="SOURCE",
        help="Labelled data (its test split) for the accuracy gate and the risk-coverage curve.",
        show_default=False,
    ),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="FOLDER",
        help="Folder that holds the IMDB archive.  [default: $EDGE_LSTM_DATA]",
        show_default=False,
    ),
]
DefaultAbstainOption = Annotated[
    float | None,
    typer.Option(
        "--abstain",
        metavar="SHARE",
        help="The file's default: leave out labels until at most this share is wrong, such as 0.02.",
        show_default=False,
    ),
]
MaxDropOption = Annotated[
    float,
    typer.Option(
        "--max-drop",
        metavar="POINTS",
        min=0.0,
        help="Points of accuracy (or micro F1) that int8 may lose.",
    ),
]


def check_output(output: Path, read: Iterable[str | Path | None]) -> None:
    """Before the work: the output can be written, and is none of the files that are read.

    Raises OutputError or DataError.
    """
    from edge_lstm.atomic import check_distinct, check_writable

    check_distinct([output], [name for name in read if name is not None])
    check_writable(output, parents=True)


def labelled_texts(
    source: str | None, data_dir: Path | None, several: bool, separator: str | None, columns: str | None
) -> Labelled | LabelledSets | None:
    """--data as texts with labels (several where the model gives them): the source's test split, or all of it
    where it has none."""
    if source is None:
        return None
    from edge_lstm.cli.options import column_names
    from edge_lstm.evaluation.sources import load_labelled

    return load_labelled(
        source,
        data_dir=data_dir,
        label_separator=separator,
        label_columns=column_names(columns),
        several=several or None,
    )
