"""``edge-lstm inspect``: what a model file or a checkpoint is."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_lstm.cli.notes import listed_examples, wrapped
from edge_lstm.cli.options import JsonOption, option
from edge_lstm.errors import DataError
from edge_lstm.extras import needs
from edge_lstm.printable import counted, listed, shorten, to_json

if TYPE_CHECKING:
    from edge_lstm.doctor.checks import Check
    from edge_lstm.modelfile import ModelFile

CHECKPOINT_SUFFIX = ".safetensors"

ModelArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="MODEL", help="Model file or checkpoint.  [default: the embedded model]"
    ),
]
CardOption = Annotated[
    bool, option(None, "Print a model card in Markdown, for the Hugging Face hub.", "--card")
]
BomOption = Annotated[
    bool, option(None, "Print a bill of materials, CycloneDX 1.6 in JSON.", "--bom")
]


def command(
    model: ModelArgument = None,
    as_json: JsonOption = False,
    card: CardOption = False,
    bom: BomOption = False,
) -> None:
    """Show what a model file contains: labels, accuracy, size, vocabulary, abstention, example
    texts; with --json, all its metadata. For a checkpoint (.safetensors), show the plan and the
    network."""
    from edge_lstm.modelfile import describe, open_model

    if as_json + card + bom > 1:
        raise DataError("--json, --card and --bom exclude each other; give one of them")
    if model is not None and model.suffix == CHECKPOINT_SUFFIX:
        if card or bom:
            raise DataError(f"{model} is a checkpoint; export it and give the model file")
        with needs("train", f"{model} is a checkpoint, which"):  # of the workstation side
            from edge_lstm_export.train.checkpoint import describe_checkpoint
        print(to_json(describe_checkpoint(model), indent=2))
        return
    opened = open_model(model)
    if card or bom:
        from edge_lstm.model_card import bill_of_materials, model_card

        print(
            to_json(bill_of_materials(opened), indent=2) if bom else model_card(opened).rstrip("\n")
        )
    elif as_json:
        description, compared = describe(opened), engines(opened)
        if compared:
            description["engines"] = asdict(compared)
        print(to_json(description, indent=2))
    else:
        for name, text in overview(opened).items():
            print(wrapped(text, name=name, indent=14))
        if compared := engines(opened):
            line = f"{compared.finding}; {compared.advice}" if compared.advice else compared.finding
            print(wrapped(line, name="engines", indent=14))
        for warning in opened.warnings:
            print(wrapped(warning, name="warning", indent=14))


def engines(model: ModelFile) -> Check | None:
    """Whether both engines give the same answers; None where only one of them is installed.

    They are tried as doctor does, in a process of their own: a broken engine may end it.
    """
    from edge_lstm.classifier import DEFAULT_PROVIDER
    from edge_lstm.doctor.checks import examine
    from edge_lstm.doctor.engines import both_installed

    if not both_installed():
        return None
    checks = examine(model.path, provider=DEFAULT_PROVIDER).checks
    return next((check for check in checks if check.name == "engines"), None)


def overview(model: ModelFile) -> dict[str, str]:
    """Eleven lines for a person, by name. What the file does not say is called unknown."""
    from edge_lstm.model_card import accuracy_line

    tokenizer, network, versions = model.tokenizer, model.network, model.training.get("versions")
    kind = "bidirectional LSTM" if network.get("bidirectional") is True else "LSTM"
    subwords = f", {len(tokenizer.pieces):,} subwords" if tokenizer.pieces else ""
    ngrams = f", {network['ngrams']:,} n-grams" if network.get("ngrams") else ""
    parts = {
        k: v for k, v in (model.quantization or {}).items() if k in ("lstm", "embedding", "ngrams")
    }
    made = versions if isinstance(versions, dict) else {}
    return {
        "model": f"{model.path.name}: {kind} of {network.get('hidden', 'unknown')} units",
        "labels": f"{len(model.labels)}: {listed([shorten(label) for label in model.labels], 10)}",
        "accuracy": accuracy_line(model)
        or "unknown; measure it with 'edge-lstm evaluate MODEL FILE'",
        "size": f"{len(model.data):,} bytes, {model.precision}",
        "vocabulary": f"{len(tokenizer.words):,} words{subwords}{ngrams}",
        "length": f"the last {tokenizer.length:,} tokens of a text",
        "quantization": "; ".join(f"{name}: {what}" for name, what in parts.items()) or "none",
        "abstention": _abstention(model),
        "examples": listed_examples(model.examples) if model.examples else "none",
        "sha256": model.sha256(),
        "made with": ", ".join(f"{name} {version}" for name, version in made.items()) or "unknown",
    }


def _abstention(model: ModelFile) -> str:
    """Which labels are left out."""
    curve = model.abstention
    if model.thresholds is not None:
        pairs = [
            f"{shorten(name)} {value:.3f}" for name, value in zip(model.labels, model.thresholds)
        ]
        return f"none; threshold per label: {listed(pairs, 10)}"
    if curve is None:
        return "no risk-coverage curve: --threshold works, --abstain does not"
    default = (
        "off by default" if curve.default is None else f"--abstain {curve.default:g} by default"
    )
    strange = f", --unfamiliar {curve.unfamiliar[0][0]:g} or more" if curve.unfamiliar else ""
    texts = f"{counted(curve.texts, 'text')} ({curve.data})"
    return f"{default}; --abstain {curve.min_risk:.2g} or more{strange}, by {texts}"
