"""``edge-lstm export``: a checkpoint becomes one ONNX model file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from edge_lstm.cli.options import JsonOption, LabelColumnsOption, LabelSeparatorOption
from edge_lstm_export.cli.options import (
    DataDirOption,
    DataOption,
    DefaultAbstainOption,
    MaxDropOption,
    OutputOption,
)


def command(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="Made by 'edge-lstm train'.")],
    output: OutputOption,
    quantize: Annotated[
        Literal["int8", "auto"] | None,
        typer.Option(
            "--quantize",
            help="int8: quantize as well. auto: write whichever of fp32 and int8 is faster on this CPU.  "
            "[default: fp32]",
            show_default=False,
        ),
    ] = None,
    length: Annotated[
        int | None,
        typer.Option(
            "--length",
            metavar="N",
            help="Token ids a text may have.  [default: the checkpoint's]",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option("--batch", metavar="1", help="Fix the batch to 1.  [default: free]", show_default=False),
    ] = None,
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
    from edge_lstm_export.checkpoint import load_checkpoint
    from edge_lstm_export.cli.display import (
        print_as_json,
        print_choice,
        print_export,
        print_quantized,
        print_written,
    )
    from edge_lstm_export.cli.options import check_output, labelled_texts
    from edge_lstm_export.export import export_fp32, quantize_if_better, quantize_int8

    check_output(output, [checkpoint, data])
    loaded = load_checkpoint(checkpoint)
    several = loaded.thresholds is not None
    labelled = labelled_texts(data, data_dir, several, label_separator, label_columns)
    exported = export_fp32(
        loaded,
        length=length,
        batch=batch,
        opset=opset,
        labelled=labelled,
        abstain=None if quantize == "int8" else abstain,
    )
    quantized, choice = None, None
    if quantize is not None:
        fp32 = parse_model(exported.data, checkpoint)
        if quantize == "auto":
            quantized, choice = quantize_if_better(
                fp32, labelled=labelled, max_drop=max_drop, abstain=abstain
            )
        else:
            quantized = quantize_int8(fp32, labelled=labelled, max_drop=max_drop, abstain=abstain)
    if quantized is None or (choice is not None and choice.precision == "fp32"):
        written = exported.data
    else:
        written = quantized.data
    write_atomically(written, output, parents=True)
    if as_json:
        print_as_json(output, exported, quantized, choice)
        return
    print_export(exported)
    if quantized is not None:
        print_quantized(quantized)
    print_choice(quantized, choice)
    print_written(output, parse_model(written, output).abstention)
