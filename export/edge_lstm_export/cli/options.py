"""Options that the workstation's commands share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from edge_lstm.tables.labelled import Labelled


def option(
    metavar: str | None,
    text: str,
    panel: str | None = None,
    *names: str,
    default: str | bool = False,
    **settings: Any,
) -> Any:
    """Return an option with its help, a flag without metavar. default: in words, or True for its value;
    panel: its heading."""
    settings |= {"metavar": metavar, "help": text, "show_default": default}
    return typer.Option(*names, rich_help_panel=panel, **settings)


OutputOption = Annotated[Path, option("FILE", "File to write.", None, "--output", "-o")]
DataOption = Annotated[
    str | None,
    option("SOURCE", "Labelled data (its test split) for the accuracy gate and the risk-coverage curve."),
]
DefaultAbstainOption = Annotated[
    float | None,
    option("SHARE", "The file's default: leave out labels until at most this share is wrong, such as 0.02."),
]
MaxDropOption = Annotated[
    float, option("POINTS", "Points of accuracy (or micro F1) that int8 may lose.", default=True, min=0.0)
]


def check_output(output: Path, read: Iterable[str | Path | None]) -> None:
    """Raise OutputError or DataError where the output cannot be written, or is one of the inputs."""
    from edge_lstm.atomic import check_distinct, check_writable

    check_distinct([output], [name for name in read if name is not None])
    check_writable(output, parents=True)


def labelled_texts(
    source: str | None, several: bool, separator: str | None, columns: str | None
) -> Labelled | None:
    """Return the labelled texts of --data: the source's test split, or all of it where it has none."""
    if source is None:
        return None
    from edge_lstm.cli.options import column_names
    from edge_lstm.evaluation.sources import load_labelled

    names = column_names(columns)
    return load_labelled(source, label_separator=separator, label_columns=names, several=several or None)
