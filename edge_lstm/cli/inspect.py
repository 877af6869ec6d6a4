"""``edge-lstm inspect``: the contents of a model file or a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from edge_lstm.cli.notes import wrapped
from edge_lstm.cli.options import JsonOption, ModelArgument, one_model, option
from edge_lstm.errors import DataError
from edge_lstm.extras import needs
from edge_lstm.printable import to_json

_MODEL = "Model file or checkpoint, or sentiment for the embedded model.  [default: sentiment]"


def command(
    file: ModelArgument = None,
    model: Annotated[Path | None, option("FILE", _MODEL, "--model", "-m")] = None,
    as_json: JsonOption = False,
    card: Annotated[
        bool, option(None, "Print a model card in Markdown, for the Hugging Face hub.", "--card")
    ] = False,
) -> None:
    """Show what a model file contains.

    It lists labels, accuracy, size, vocabulary, abstention and example texts; with --json, all its
    metadata. For a checkpoint (.safetensors), it shows the plan and the network.
    """
    from edge_lstm.core.modelfile import open_model
    from edge_lstm.describe import describe, model_card, overview

    model = one_model(file, model)
    if as_json and card:
        raise DataError("--json and --card exclude each other; give one of them")
    if model is not None and model.suffix == ".safetensors":
        if card:
            raise DataError(f"{model} is a checkpoint; export it and give the model file")
        with needs("train", f"{model} is a checkpoint, which"):
            # A part of the workstation.
            from edge_lstm_export.checkpoint import describe_checkpoint
        print(to_json(describe_checkpoint(model), indent=2))
        return
    opened = open_model(model)
    if card:
        print(model_card(opened).rstrip("\n"))
        return
    if as_json:
        print(to_json(describe(opened), indent=2))
        return
    for name, text in overview(opened).items():
        print(wrapped(text, name=name, indent=14))
    for warning in opened.warnings:
        print(wrapped(warning, name="warning", indent=14))
