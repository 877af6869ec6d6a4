"""``edge-lstm export``: a checkpoint becomes one ONNX model file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from edge_lstm.cli.options import JsonOption, LabelColumnsOption, LabelSeparatorOption, column_names
from edge_lstm_export.cli.options import option

_QUANTIZE = "Only int8: the weights, and within the LSTM the activations."
_DATA = "Labelled data (its test split) for the accuracy gate and the risk-coverage curve."
_MAX_DROP = "Points of accuracy (or micro F1) that int8 may lose."
_ABSTAIN = "The file's default: leave out labels until at most this share is wrong, such as 0.02."
_LENGTH = "Token ids a text may have."


def command(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="Made by 'edge-lstm train'.")],
    output: Annotated[Path, option("FILE", "File to write.", None, "--output", "-o")],
    quantize: Annotated[Literal["int8"] | None, option(None, _QUANTIZE, default="fp32")] = None,
    length: Annotated[int | None, option("N", _LENGTH, default="the checkpoint's")] = None,
    data: Annotated[str | None, option("SOURCE", _DATA)] = None,
    label_separator: LabelSeparatorOption = None,
    label_columns: LabelColumnsOption = None,
    max_drop: Annotated[float, option("POINTS", _MAX_DROP, default=True, min=0.0)] = 0.3,
    abstain: Annotated[float | None, option("SHARE", _ABSTAIN)] = None,
    as_json: JsonOption = False,
) -> None:
    """Turn a checkpoint into one ONNX model file that answers as PyTorch does.

    The file is checked by the onnx package and run against PyTorch on real and random texts; where they
    differ by more than float32 explains, nothing is written.

    --quantize int8 makes it smaller, mostly faster, with the same bits in every batch. It is refused where a
    text's probabilities differ alone and in batches or, with --data, where it loses more than --max-drop
    points of accuracy. 'edge-lstm latency fp32.onnx int8.onnx' compares both on the device.

    With --data, the file's risk-coverage curve, from which --abstain of predict, score and evaluate finds
    its threshold, is made from these texts, which the network must not have learnt from.
    """
    from edge_lstm.atomic import check_distinct, check_writable, write_atomically
    from edge_lstm.evaluation.sources import load_labelled
    from edge_lstm.modelfile import parse_model
    from edge_lstm_export.cli.display import print_exported, stage
    from edge_lstm_export.onnx.export import export
    from edge_lstm_export.train.checkpoint import load_checkpoint

    check_distinct([output], [name for name in (checkpoint, data) if name is not None])
    check_writable(output, parents=True)
    loaded = load_checkpoint(checkpoint)
    test = None
    if data is not None:
        names, several = column_names(label_columns), loaded.thresholds is not None or None
        test = load_labelled(data, label_separator=label_separator, label_columns=names, several=several)
    exported = export(
        loaded, quantize=quantize, length=length, labelled=test, max_drop=max_drop, abstain=abstain, say=stage
    )
    write_atomically(exported.data, output, parents=True)
    print_exported(parse_model(exported.data, output), exported, as_json=as_json)
