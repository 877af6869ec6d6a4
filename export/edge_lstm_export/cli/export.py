"""``edge-lstm export``: a checkpoint becomes one ONNX model file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from edge_lstm.cli import options
from edge_lstm_export.cli.options import option

_DATA = "Labelled texts that were not trained on, to check accuracy and calibrate --abstain."
_ABSTAIN = (
    "Set the file's default: abstain so that at most this share of the rest is wrong, such as 0.02."
)


def command(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="Checkpoint to export.")],
    output: Annotated[Path, option("FILE", "Model file to write.", None, "--output", "-o")],
    quantize: Annotated[
        Literal["int8"] | None,
        option("int8", "Quantize weights, and activations within the LSTM.", default="fp32"),
    ] = None,
    data: Annotated[str | None, option("SOURCE", _DATA)] = None,
    encoding: options.EncodingOption = None,
    text_column: options.TextColumnOption = None,
    label_column: options.LabelColumnOption = None,
    label_separator: options.LabelSeparatorOption = None,
    indicator_columns: options.IndicatorColumnsOption = None,
    max_drop: Annotated[
        float,
        option(
            "POINTS",
            "Largest loss of accuracy (or micro F1) that int8 may cost, in points.",
            default=True,
            min=0.0,
        ),
    ] = 0.3,
    abstain: Annotated[float | None, option("SHARE", _ABSTAIN)] = None,
    examples: Annotated[
        Path | None,
        option(
            "FILE",
            "Texts to put into the file, to be shown by inspect and page: one per line, or a "
            "table.",
            None,
            "--examples",
        ),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Turn a checkpoint into one ONNX model file.

    Nothing is written unless the file is valid ONNX and agrees with PyTorch on real and random
    texts.

    --quantize int8 makes the file smaller, and faster on most CPUs: compare with 'edge-lstm latency
    -m fp32.onnx -m int8.onnx'. It is refused if batching changes an answer, if the file is larger
    than its preset, or if accuracy on --data falls by more than --max-drop and chance does not
    explain the loss (one-sided test, 5 %).

    The file holds words of the data, but none of its texts. --examples adds up to 8 texts of up to
    500 characters. Anyone with the file can read them.
    """
    from edge_lstm.printable import counted
    from edge_lstm.system.atomic import write_atomically
    from edge_lstm_export.cli.display import print_exported
    from edge_lstm_export.progress import Display, message

    options.check_outputs([output], [checkpoint, data, examples], parents=True)
    with Display(quiet=True) as display:
        from edge_lstm.core.modelfile import parse_model
        from edge_lstm.evaluation.sources import load_labelled
        from edge_lstm.tables.examples import read_examples
        from edge_lstm.tables.labelled import LabelOptions
        from edge_lstm_export.checkpoint import load_checkpoint
        from edge_lstm_export.onnx import export

        shown = read_examples(examples) if examples else ()
        loaded = load_checkpoint(checkpoint)
        test = None
        if data is not None:
            reading = LabelOptions(
                text_column,
                label_column=label_column,
                encoding=encoding,
                label_separator=label_separator,
                indicator_columns=options.column_names(indicator_columns),
                multi_label=loaded.thresholds is not None or None,
                labels=loaded.labels if loaded.thresholds is None else (),
            )
            test = load_labelled(data, options=reading)
            for line in test.notes(data):
                message(f"note: {line}")
        exported = export(
            loaded,
            quantize=quantize,
            labelled=test,
            max_drop=max_drop,
            abstain=abstain,
            examples=shown,
            say=display.say,
        )
    write_atomically(exported.data, output, parents=True)
    if exported.closed:
        message(f"note: int8 needed {counted(exported.closed, 'LSTM unit')} kept away from 1")
    print_exported(parse_model(exported.data, output), exported, as_json=as_json)
