"""Options that several commands share: one name, one meaning, one help text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer


def option(metavar: str | None, text: str, *names: str, **settings: Any) -> Any:
    """Return an option with its help.

    metavar: name of its value; None for a flag.
    text: its help.
    names: as on the command line.
    settings: see ``typer.Option``.
    """
    return typer.Option(*names, metavar=metavar, help=text, **settings)


_DATA = {"rich_help_panel": "Data"}  # heading of some options in the help
_MODEL = "Model file, or sentiment for the embedded model.  [default: sentiment]"
_MODELS = (
    "Model file, or sentiment for the embedded model. For several questions, repeat it with the "
    "name of each question.  [default: sentiment]"
)
_ENGINE = (
    "onnxruntime, with an execution provider as in onnxruntime:XNNPACK, or native "
    "(edge-lstm-native), whose probabilities agree within 1e-6.  [default: EDGE_LSTM_ENGINE, else "
    "onnxruntime]"
)
_ABSTAIN = (
    "Leave unsure texts without a label, so that at most this share of the rest is wrong, such as "
    "0.02.  [default: the model file's]"
)
_UNFAMILIAR = (
    "Give the status unfamiliar to texts that are unlike the training texts and may fit no label, "
    "and to at most this share of the others, such as 0.05. The label stays."
)
_FORMAT = "Input format: text, csv, tsv, jsonl, parquet or folder.  [default: by suffix]"

ModelOption = Annotated[Path | None, option("FILE", _MODEL, "--model", "-m")]
ModelsOption = Annotated[list[str] | None, option("[NAME=]FILE", _MODELS, "--model", "-m")]
# For commands that take neither texts nor tables: there a file can be nothing but the model.
ModelArgument = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="The same as --model FILE.", show_default=False),
]
ModelArguments = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FILE]...", help="The same as --model FILE.", show_default=False),
]
MODEL_ARGUMENTS = ("file", "files")  # their names in the functions of the commands
EngineOption = Annotated[str | None, option("NAME", _ENGINE)]
AbstainOption = Annotated[float | None, option("SHARE", _ABSTAIN)]
ThresholdOption = Annotated[
    float | None, option("P", "Give no label below this probability.", min=0, max=1)
]
UnfamiliarOption = Annotated[float | None, option("SHARE", _UNFAMILIAR)]
WindowsOption = Annotated[
    bool,
    option(
        None,
        "Read texts longer than the model's length in windows.  [default: read their end]",
        "--windows",
    ),
]
TopOption = Annotated[int, option("K", "Give the K most probable labels.", min=1)]
JsonOption = Annotated[bool, option(None, "Print the result as JSON.", "--json")]
ReportOption = Annotated[Path | None, option("FILE", "Write a report as one HTML page.")]
LabelSeparatorOption = Annotated[
    str | None,
    option(
        "TEXT",
        "Separator of several labels per text, such as | in joy|anger. "
        "Lists and several __label__ need no separator.",
        **_DATA,
    ),
]
IndicatorColumnsOption = Annotated[
    str | None,
    option(
        "NAME,...", "Columns of 0 and 1, one per label, each with the name of its label.", **_DATA
    ),
]
TextColumnOption = Annotated[
    str | None,
    option("NAME", "Column of the text, by name or number.  [default: detected]", **_DATA),
]
LabelColumnOption = Annotated[
    str | None,
    option("NAME", "Column of the label, by name or number.  [default: detected]", **_DATA),
]
InputFormatOption = Annotated[str | None, option("NAME", _FORMAT, **_DATA)]
EncodingOption = Annotated[
    str | None,
    option(
        "NAME",
        "Encoding of the text, such as cp1252 or utf-16-le.  [default: UTF-8, or UTF-16 with a "
        "mark]",
        **_DATA,
    ),
]


def column_names(given: str | None) -> tuple[str, ...]:
    """Parse ``a,b`` into ("a", "b"), None into ()."""
    if given is None:
        return ()
    return tuple(name.strip() for name in given.split(","))


def one_model(file: Path | None, model: Path | None) -> Path | None:
    """Return the model that is given as an argument or as an option.

    Raise DataError if both are.
    """
    from edge_lstm.errors import DataError

    if file is not None and model is not None:
        raise DataError(f"two models are given, {file} and {model}; give one")
    return model if file is None else file


def check_outputs(
    written: Iterable[Path | None], inputs: Iterable[str | Path | None], *, parents: bool = False
) -> None:
    """Check the outputs of a command before its work.

    written: the outputs; None for one that was not asked for.
    inputs: the files that the command reads.
    parents: see check_writable.

    Raise OutputError if an output cannot be written, DataError if it is an input.
    """
    from edge_lstm.system.atomic import check_distinct, check_writable

    outputs = [path for path in written if path is not None]
    for path in outputs:
        check_writable(path, parents=parents)
    check_distinct(outputs, [name for name in inputs if name is not None])
