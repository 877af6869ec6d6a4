"""``edge-lstm quantize``: an fp32 model file becomes an int8 one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_lstm.cli.options import JsonOption, LabelColumnsOption, LabelSeparatorOption
from edge_lstm_export.cli import options


def command(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="fp32 file, made by 'edge-lstm export'.")],
    output: options.OutputOption,
    data: options.DataOption = None,
    label_separator: LabelSeparatorOption = None,
    label_columns: LabelColumnsOption = None,
    max_drop: options.MaxDropOption = 0.3,
    abstain: options.DefaultAbstainOption = None,
    as_json: JsonOption = False,
) -> None:
    """Turn an fp32 model file into an int8 one: smaller, mostly faster, the same bits in every batch.

    The gates run every time: a text's probabilities are the same bits alone and in batches of 2, 7, 16
    and 64 in shuffled order; agreement with fp32 is reported; with --data, both accuracies are measured
    and the file is refused where int8 loses more than --max-drop points.
    """
    from edge_lstm.atomic import write_atomically
    from edge_lstm.modelfile import open_model, parse_model
    from edge_lstm_export.cli.display import print_written, stage
    from edge_lstm_export.onnx.export import quantize_int8

    options.check_output(output, [model, data])
    fp32 = open_model(model)
    several = fp32.thresholds is not None
    labelled = options.labelled_texts(data, several, label_separator, label_columns)
    quantized = quantize_int8(fp32, labelled=labelled, max_drop=max_drop, abstain=abstain, say=stage)
    write_atomically(quantized.data, output, parents=True)
    print_written(parse_model(quantized.data, output), None, quantized, as_json=as_json)
