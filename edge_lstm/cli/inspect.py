"""``edge-lstm inspect``: what a model file or a checkpoint is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_lstm.cli.notes import wrapped
from edge_lstm.cli.options import JsonOption
from edge_lstm.cli.tables import print_table
from edge_lstm.errors import DataError
from edge_lstm.extras import needs
from edge_lstm.printable import listed, printable, shorten, to_json

if TYPE_CHECKING:
    from edge_lstm.modelfile import ModelFile

CHECKPOINT_SUFFIX = ".safetensors"

ModelArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="MODEL", help="Model file or checkpoint.  [default: the embedded model]", show_default=False
    ),
]
CardOption = Annotated[
    bool, typer.Option("--card", help="Write a model card: Markdown, as the Hugging Face hub reads it.")
]


def command(model: ModelArgument = None, as_json: JsonOption = False, card: CardOption = False) -> None:
    """Show what a model file is: labels, accuracy, size, vocabulary, abstention, and the operators with the
    bytes they hold. With --json, everything that the file says about itself. Of a checkpoint (.safetensors),
    show the plan and the network.
    """
    from edge_lstm.modelfile import describe, open_model

    if card and as_json:
        raise DataError("--card is Markdown; leave --json out, or --card")
    if model is not None and model.suffix == CHECKPOINT_SUFFIX:
        if card:
            raise DataError(f"{model} is a checkpoint; export it, and make the card of the model file")
        _show_checkpoint(model, as_json)
        return
    opened = open_model(model)
    if card:
        from edge_lstm.model_card import model_card

        print(model_card(opened), end="")
    elif as_json:
        print(to_json(describe(opened), indent=2))
    else:
        for name, text in overview(opened).items():
            print(wrapped(text, name=name, indent=14))
        print()
        facts = describe(opened)
        rows = [(row["operator"], str(row["count"]), f"{row['bytes']:,}") for row in facts["operators"]]
        rows.append(("metadata", "", f"{facts['metadata_bytes']:,}"))
        print_table(("operator", "count", "bytes"), rows)


def overview(model: ModelFile) -> dict[str, str]:
    """Ten lines for a person, by name. What the file does not say is called unknown."""
    from edge_lstm.model_card import accuracy_line

    tokenizer, network, curve = model.tokenizer, model.network, model.abstention
    labels = listed([shorten(label) for label in model.labels], 10)
    words = f"{len(tokenizer.words):,}"
    if tokenizer.pieces:
        words += f", and {len(tokenizer.pieces):,} subwords for all others"
    if network.get("ngrams"):
        words += f"; n-grams: {network['ngrams']:,}"
    if model.thresholds is not None:
        pairs = [f"{shorten(name)} {value:.3f}" for name, value in zip(model.labels, model.thresholds)]
        abstention = f"none; a text has each label that reaches its threshold: {listed(pairs, 10)}"
    elif curve is None:
        abstention = "no risk-coverage curve; --abstain needs one, --threshold does not"
    else:
        default = "none by default" if curve.default is None else f"{curve.default:.2%} wrong by default"
        abstention = f"{default}; from {curve.least:.2g} on, measured on {curve.texts:,} texts ({curve.data})"
    quantization = model.quantization or {}
    parts = [f"{key}: {quantization[key]}" for key in ("lstm", "embedding", "ngrams") if key in quantization]
    versions = model.training.get("versions")
    versions = versions if isinstance(versions, dict) else {}
    return {
        "model": f"{model.path.name}: {'bidirectional ' * (network.get('bidirectional') is True)}LSTM of "
        f"{network.get('hidden', 'unknown')} units",
        "labels": f"{len(model.labels)}: {labels}",
        "accuracy": accuracy_line(model) or "unknown; measure it with 'edge-lstm evaluate MODEL FILE'",
        "size": f"{len(model.data):,} bytes, {model.precision}",
        "words": words,
        "length": f"at most {tokenizer.length:,} tokens of a text are read, its last ones",
        "quantization": "; ".join(parts) or "none",
        "abstention": abstention,
        "sha256": model.sha256(),
        "made with": ", ".join(f"{name} {version}" for name, version in versions.items()) or "unknown",
    }


def _show_checkpoint(path: Path, as_json: bool) -> None:
    """A checkpoint is read by the workstation side."""
    with needs("train", f"{path} is a checkpoint, which"):
        from edge_lstm_export.train.checkpoint import describe_checkpoint
    facts = describe_checkpoint(path)
    if as_json:
        print(to_json(facts, indent=2))
        return
    layers = facts.pop("layers")
    print("\n".join(_lines(facts)), end="\n\n")
    rows = [(row["layer"], row["output_shape"], f"{row['parameters']:,}") for row in layers]
    rows.append(("total trainable parameters", "", f"{sum(row['parameters'] for row in layers):,}"))
    print_table(("layer (type)", "output shape", "parameters"), rows, text=(0, 1))


def _lines(values: dict[str, Any], indent: str = "") -> list[str]:
    """A line for each value, those of a table further in."""
    lines = []
    for key, value in values.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key}:", *_lines(value, indent + "  ")]
        elif isinstance(value, list):
            lines.append(f"{indent}{key}: {', '.join(map(str, value))}")
        else:
            lines.append(f"{indent}{key}: {value}")
    return [printable(line) for line in lines]
