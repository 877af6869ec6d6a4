"""``edge-lstm inspect``: everything a model file says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_lstm.cli.options import JsonOption
from edge_lstm.errors import DataError
from edge_lstm.extras import needs
from edge_lstm.printable import printable, to_json

CHECKPOINT_SUFFIX = ".safetensors"


def command(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="MODEL",
            help="Model file or checkpoint.  [default: the embedded model]",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    card: Annotated[
        bool, typer.Option("--card", help="Write a model card: Markdown, as the Hugging Face hub reads it.")
    ] = False,
) -> None:
    """Show everything a model file says about itself: how it was trained and quantized, its labels, its
    text rule, its operators and the bytes they hold. A checkpoint (.safetensors) shows its network.
    """
    from edge_lstm.modelfile import describe, open_model

    if card and as_json:
        raise DataError("--card is Markdown; leave --json out, or --card")
    if model is not None and model.suffix == CHECKPOINT_SUFFIX:
        if card:
            raise DataError(f"{model} is a checkpoint; export it, and make the card of the model file")
        _checkpoint(model, as_json)
        return
    opened = open_model(model)
    if card:
        from edge_lstm.model_card import model_card

        print(model_card(opened), end="")
        return
    facts = describe(opened)
    if as_json:
        print(to_json(facts, indent=2))
        return
    operators = facts.pop("operators")
    print("\n".join(_lines(facts)))
    print("\noperator                                count      bytes")
    for row in operators:
        print(f"{printable(row['operator']):<38} {row['count']:>6} {row['bytes']:>10,}")
    print(f"{'metadata':<38} {'':>6} {facts['metadata_bytes']:>10,}")


def _checkpoint(path: Path, as_json: bool) -> None:
    """A checkpoint is read by the workstation side."""
    with needs("train", f"{path} is a checkpoint, which"):
        from edge_lstm_export.train.checkpoint import describe_checkpoint
    facts = describe_checkpoint(path)
    if as_json:
        print(to_json(facts, indent=2))
        return
    layers = facts.pop("layers")
    print("\n".join(_lines(facts)))
    print(f"\n{'layer (type)':<34}{'output shape':<22}{'parameters':>12}")
    for row in layers:
        print(f"{row['layer']:<34}{row['output_shape']:<22}{row['parameters']:>12,}")
    print(f"{'total trainable parameters':<56}{sum(row['parameters'] for row in layers):>12,}")


def _lines(value: dict[str, Any], indent: str = "") -> list[str]:
    lines = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines += [f"{indent}{key}:", *_lines(item, indent + "  ")]
        elif isinstance(item, list) and item and isinstance(item[0], dict):
            lines.append(f"{indent}{key}:")
            lines += [f"{indent}  {', '.join(f'{k} {v}' for k, v in entry.items())}" for entry in item]
        elif isinstance(item, list):
            lines.append(f"{indent}{key}: {', '.join(map(str, item))}")
        else:
            lines.append(
                f"{indent}{key}: {item!r}"
                if isinstance(item, str) and not item.isprintable()
                else f"{indent}{key}: {item}"
            )
    return [printable(line) for line in lines]
