"""Options that several commands share: one name, one meaning, one help text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model", "-m", metavar="FILE", help="Model file.  [default: the embedded model]", show_default=False
    ),
]
ModelArgument = Annotated[
    Path | None,
    typer.Argument(metavar="MODEL", help="Model file.  [default: the embedded model]", show_default=False),
]
ThreadsOption = Annotated[
    int,
    typer.Option(
        "--threads",
        metavar="N",
        min=1,
        max=1024,
        help="Threads inside one run; more than 1 rarely helps a small network.",
    ),
]
ProviderOption = Annotated[
    str,
    typer.Option(
        "--provider",
        metavar="NAME",
        help="ONNX Runtime execution provider (CPU, XNNPACK, oneDNN, OpenVINO, ACL).",
    ),
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="onnxruntime, or native, by edge-lstm[native]: as right, and not the same bits.  "
        "[default: EDGE_LSTM_ENGINE, else onnxruntime]",
        show_default=False,
    ),
]
BatchSizeOption = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        metavar="N",
        min=1,
        help="Texts of similar length in one run.  [default: 8, or 16 for a narrow network]",
        show_default=False,
    ),
]
AbstainOption = Annotated[
    float | None,
    typer.Option(
        "--abstain",
        metavar="SHARE",
        help="Leave out labels so that at most this share of the rest is wrong, such as 0.02.  "
        "[default: as the model file says]",
        show_default=False,
    ),
]
ThresholdOption = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        metavar="P",
        min=0,
        max=1,
        help="Leave out labels below this probability.",
        show_default=False,
    ),
]
TopOption = Annotated[int, typer.Option("--top", metavar="K", min=1, help="Give the K most probable labels.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
ReportOption = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE", help="Write a report, one HTML page that opens offline."),
]
LabelSeparatorOption = Annotated[
    str | None,
    typer.Option(
        "--label-separator",
        metavar="TEXT",
        help="Between the labels of a text that has several, as | in joy|anger; lists and several __label__ "
        "need none.",
        show_default=False,
    ),
]
LabelColumnsOption = Annotated[
    str | None,
    typer.Option(
        "--label-columns",
        metavar="NAME,NAME,...",
        help="Columns of 0 and 1, one for each label that a text may have.",
        show_default=False,
    ),
]


TextColumnOption = Annotated[
    str | None,
    typer.Option(
        "--text-column",
        metavar="NAME",
        help="Column of the text, by name or number.  [default: found by its name]",
        show_default=False,
    ),
]
LabelColumnOption = Annotated[
    str | None,
    typer.Option(
        "--label-column",
        metavar="NAME",
        help="Column of the label, by name or number.  [default: found by its name]",
        show_default=False,
    ),
]
InputFormatOption = Annotated[
    str | None,
    typer.Option(
        "--input-format",
        metavar="NAME",
        help="text, csv, tsv, jsonl, parquet or folder.  [default: by suffix]",
        show_default=False,
    ),
]
DelimiterOption = Annotated[
    str | None,
    typer.Option("--delimiter", metavar="CHAR", help="Of CSV input.  [default: found]", show_default=False),
]


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
