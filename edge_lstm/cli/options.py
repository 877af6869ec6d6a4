"""Options that several commands share: one name, one meaning, one help text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer


def option(metavar: str | None, text: str, *names: str, **settings: Any) -> Any:
    """Return an option with its help; a flag without metavar. settings: see ``typer.Option``."""
    return typer.Option(*names, metavar=metavar, help=text, **settings)


_MODEL = "Model file.  [default: the embedded model]"
_THREADS = "Threads inside one run; more than 1 rarely helps a small network."
_PROVIDER = "ONNX Runtime execution provider (CPU, XNNPACK, oneDNN, OpenVINO, ACL)."
_ENGINE = (
    "onnxruntime, or native, with edge-lstm-native: as right, and not the same bits.  "
    "[default: EDGE_LSTM_ENGINE, else onnxruntime]"
)
_BATCH_SIZE = "Texts of similar length in one run.  [default: 8, or 16 for a narrow network]"
_ABSTAIN = (
    "Leave out labels so that at most this share of the rest is wrong, such as 0.02.  "
    "[default: as the model file says]"
)
_REPORT = "Write a report, one HTML page that opens offline."
_SEPARATOR = (
    "Between the labels of a text that has several, as | in joy|anger; lists and several __label__ need none."
)
_LABEL_COLUMNS = "Columns of 0 and 1, one for each label that a text may have."
_TEXT_COLUMN = "Column of the text, by name or number.  [default: found by its name]"
_LABEL_COLUMN = "Column of the label, by name or number.  [default: found by its name]"
_FORMAT = "text, csv, tsv, jsonl, parquet or folder.  [default: by suffix]"

ModelOption = Annotated[Path | None, option("FILE", _MODEL, "--model", "-m")]
ModelArgument = Annotated[Path | None, typer.Argument(metavar="MODEL", help=_MODEL)]
ThreadsOption = Annotated[int, option("N", _THREADS, "--threads", min=1, max=1024)]
ProviderOption = Annotated[str, option("NAME", _PROVIDER, "--provider")]
EngineOption = Annotated[str | None, option("NAME", _ENGINE, "--engine")]
BatchSizeOption = Annotated[int | None, option("N", _BATCH_SIZE, "--batch-size", min=1)]
AbstainOption = Annotated[float | None, option("SHARE", _ABSTAIN, "--abstain")]
ThresholdOption = Annotated[
    float | None, option("P", "Leave out labels below this probability.", "--threshold", min=0, max=1)
]
TopOption = Annotated[int, option("K", "Give the K most probable labels.", "--top", min=1)]
JsonOption = Annotated[bool, option(None, "Print the result as JSON.", "--json")]
ReportOption = Annotated[Path | None, option("FILE", _REPORT, "--report")]
LabelSeparatorOption = Annotated[str | None, option("TEXT", _SEPARATOR, "--label-separator")]
LabelColumnsOption = Annotated[str | None, option("NAME,NAME,...", _LABEL_COLUMNS, "--label-columns")]
TextColumnOption = Annotated[str | None, option("NAME", _TEXT_COLUMN, "--text-column")]
LabelColumnOption = Annotated[str | None, option("NAME", _LABEL_COLUMN, "--label-column")]
InputFormatOption = Annotated[str | None, option("NAME", _FORMAT, "--input-format")]
DelimiterOption = Annotated[str | None, option("CHAR", "Of CSV input.  [default: found]", "--delimiter")]


def column_names(given: str | None) -> tuple[str, ...]:
    """``a,b`` → ("a", "b"); none where nothing is given."""
    return tuple(name.strip() for name in given.split(",")) if given is not None else ()


def check_outputs(written: Iterable[Path | None], read: Iterable[str | Path | None], report: bool) -> None:
    """Raise before the work what an output or a report would raise after it: OutputError, DataError or
    MissingPackageError."""
    from edge_lstm.atomic import check_distinct, check_writable

    outputs = [path for path in written if path is not None]
    for path in outputs:
        check_writable(path)
    check_distinct(outputs, [name for name in read if name is not None])
    if report:
        from edge_lstm.charts import check_drawable

        check_drawable()
