"""``edge-lstm export``: a checkpoint becomes one ONNX model file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from edge_lstm.cli.options import JsonOption, LabelColumnsOption, LabelSeparatorOption
from edge_lstm_export.cli.options import (
    DataDirOption,
    DataOption,
    DefaultAbstainOption,
    MaxDropOption,
    OutputOption,
    option,
)


def command(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="Made by 'edge-lstm train'.")],
    output: OutputOption,
    quantize: Annotated[
        Literal["int8", "auto"] | None,
        option(
            None,
            "int8: quantize as well. auto: write whichever of fp32 and int8 is faster on this CPU.  "
            "[default: fp32]",
        ),
    ] = None,
    length: Annotated[
        int | None, option("N", "Token ids a text may have.  [default: the checkpoint's]")
    ] = None,
    batch: Annotated[int | None, option("1", "Fix the batch to 1.  [default: free]")] = None,
    opset: Annotated[int, typer.Option("--opset", metavar="N", help="ONNX operator set, 13 to 21.")] = 17,
    data: DataOption = None,
    data_dir: DataDirOption = None,
    label_separator: LabelSeparatorOption = None,
    label_columns: LabelColumnsOption = None,
    max_drop: MaxDropOption = 0.3,
    abstain: DefaultAbstainOption = None,
    as_json: JsonOption = False,
) -> None:
    """Turn a checkpoint into one ONNX model file that answers as PyTorch does.

    The file is checked by the onnx package and run against PyTorch on real and random texts; where they
    differ by more than 1e-5, and by more than float32 explains, nothing is written. --quantize int8
    continues with the gates of 'edge-lstm quantize'. --quantize auto does the same, times both files in
    turns on this CPU, and writes the faster one; the smaller one where they are within a tenth, and fp32
    where int8 fails a gate.

    The file keeps the checkpoint's risk-coverage curve, from which --abstain of predict, score and evaluate
    finds its threshold; with --data, it is made anew from these texts, which the network must not have
    learnt from. What it promises holds for texts like those it was made from.
    """
    from edge_lstm.atomic import write_atomically
    from edge_lstm.modelfile import parse_model
    from edge_lstm_export.cli.display import print_written, stage
    from edge_lstm_export.cli.options import check_output, labelled_texts
    from edge_lstm_export.onnx.export import export_fp32, quantize_if_better, quantize_int8
    from edge_lstm_export.train.checkpoint import load_checkpoint

    check_output(output, [checkpoint, data])
    loaded = load_checkpoint(checkpoint)
    labelled = labelled_texts(data, data_dir, loaded.thresholds is not None, label_separator, label_columns)
    default = None if quantize == "int8" else abstain
    exported = export_fp32(
        loaded, length=length, batch=batch, opset=opset, labelled=labelled, abstain=default, say=stage
    )
    quantized, choice, written = None, None, exported.data
    if quantize is not None:
        fp32 = parse_model(written, checkpoint)
        gates: dict[str, Any] = {"labelled": labelled, "max_drop": max_drop, "abstain": abstain, "say": stage}
        gates["answers"] = exported.answers
        if quantize == "auto":
            quantized, choice = quantize_if_better(fp32, **gates)
        else:
            quantized = quantize_int8(fp32, **gates)
        if quantized is not None and (choice is None or choice.precision == "int8"):
            written = quantized.data
    write_atomically(written, output, parents=True)
    print_written(parse_model(written, output), exported, quantized, choice, as_json=as_json)
