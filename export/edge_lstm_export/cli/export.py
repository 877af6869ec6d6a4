"""``edge-lstm export``: a checkpoint becomes one ONNX model file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from edge_lstm.cli.options import JsonOption, LabelColumnsOption, LabelSeparatorOption
from edge_lstm_export.cli import options
from edge_lstm_export.cli.options import option

_QUANTIZE = "int8: quantize as well. auto: write whichever of fp32 and int8 is faster on this CPU."


def command(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="Made by 'edge-lstm train'.")],
    output: options.OutputOption,
    quantize: Annotated[Literal["int8", "auto"] | None, option(None, _QUANTIZE, default="fp32")] = None,
    length: Annotated[
        int | None, option("N", "Token ids a text may have.", default="the checkpoint's")
    ] = None,
    fixed_batch: Annotated[bool, option(None, "One text per run.", None, "--fixed-batch")] = False,
    data: options.DataOption = None,
    label_separator: LabelSeparatorOption = None,
    label_columns: LabelColumnsOption = None,
    max_drop: options.MaxDropOption = 0.3,
    abstain: options.DefaultAbstainOption = None,
    as_json: JsonOption = False,
) -> None:
    """Turn a checkpoint into one ONNX model file that answers as PyTorch does.

    The file is checked by the onnx package and run against PyTorch on real and random texts; where they
    differ by more than float32 explains, nothing is written. --quantize int8 continues with the gates of
    'edge-lstm quantize'. --quantize auto writes the faster of both files; the smaller one where they are
    within a tenth, and fp32 where int8 fails a gate.

    With --data, the file's risk-coverage curve, from which --abstain of predict, score and evaluate finds
    its threshold, is made from these texts, which the network must not have learnt from.
    """
    from edge_lstm.atomic import write_atomically
    from edge_lstm.modelfile import parse_model
    from edge_lstm_export.cli.display import print_written, stage
    from edge_lstm_export.onnx.export import export_fp32, quantize_if_better, quantize_int8
    from edge_lstm_export.train.checkpoint import load_checkpoint

    options.check_output(output, [checkpoint, data])
    loaded = load_checkpoint(checkpoint)
    several = loaded.thresholds is not None
    labelled = options.labelled_texts(data, several, label_separator, label_columns)
    data_options: dict[str, Any] = {"labelled": labelled, "abstain": abstain}
    curve = {} if quantize == "int8" else data_options  # no fp32 file is written
    batch: Literal[1] | None = 1 if fixed_batch else None
    exported = export_fp32(loaded, length=length, batch=batch, say=stage, **curve)
    quantized, choice, written = None, None, exported.data
    fp32 = parse_model(written, checkpoint)
    if quantize == "auto":
        quantized, choice = quantize_if_better(fp32, max_drop=max_drop, say=stage, **data_options)
    elif quantize == "int8":
        quantized = quantize_int8(fp32, max_drop=max_drop, say=stage, **data_options)
    if quantized is not None and (choice is None or choice.precision == "int8"):
        written = quantized.data
    write_atomically(written, output, parents=True)
    print_written(parse_model(written, output), exported, quantized, choice, as_json=as_json)
