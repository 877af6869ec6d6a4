"""``edge-lstm inspect``: the contents of a model file or a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from edge_lstm.cli.notes import listed_examples, wrapped
from edge_lstm.cli.options import JsonOption, option
from edge_lstm.errors import DataError
from edge_lstm.extras import needs
from edge_lstm.printable import counted, listed, shorten, to_json

if TYPE_CHECKING:
    from edge_lstm.core.modelfile import ModelFile

QUANTIZED_PARTS = ("lstm", "embedding", "ngrams")  # parts of a network that a person knows
_MODEL = "Model file or checkpoint, or sentiment for the embedded model.  [default: sentiment]"


def command(
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
    from edge_lstm.describe import describe

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
        from edge_lstm.describe import model_card

        print(model_card(opened).rstrip("\n"))
        return
    if as_json:
        print(to_json(describe(opened), indent=2))
        return
    for name, text in overview(opened).items():
        print(wrapped(text, name=name, indent=14))
    for warning in opened.warnings:
        print(wrapped(warning, name="warning", indent=14))


def overview(model: ModelFile) -> dict[str, str]:
    """Return eleven lines for a person, by name; facts that the file does not state are unknown."""
    from edge_lstm.core.layers import described
    from edge_lstm.describe import accuracy_line

    tokenizer = model.tokenizer
    network = model.network
    subwords = f", {len(tokenizer.pieces):,} subwords" if tokenizer.pieces else ""
    ngrams = f", {network.ngrams:,} n-grams" if network.ngrams else ""
    length = f"the {tokenizer.rule.keeps} {tokenizer.length:,} tokens of a text"
    padding = model.padding_cost.line()
    parts = (model.quantization or {}).items()
    quantized = [f"{name}: {what}" for name, what in parts if name in QUANTIZED_PARTS]
    fields = {}
    if model.fields is not None:
        fields["fields"] = "; ".join(model.fields.in_words())
    versions = model.training.get("versions")
    packages = versions.items() if isinstance(versions, dict) else ()
    return {
        "model": f"{model.path.name}: {described(network.layers)}",
        "labels": _labels(model),
        "accuracy": accuracy_line(model)
        or "unknown; measure it with 'edge-lstm evaluate FILE -m MODEL'",
        "size": f"{len(model.data):,} bytes, {model.precision}",
        **fields,
        "vocabulary": f"{len(tokenizer.words):,} words{subwords}{ngrams}",
        "length": "; ".join(filter(None, (length, padding))),
        "quantization": "; ".join(quantized) or "none",
        "abstention": _abstention(model),
        "examples": listed_examples(model.examples) if model.examples else "none",
        "sha256": model.sha256(),
        "made with": ", ".join(f"{name} {version}" for name, version in packages) or "unknown",
    }


def _labels(model: ModelFile) -> str:
    """Return the labels, and the type of a question other than a choice."""
    from edge_lstm.core.question import CHOICE

    kind = model.question.type
    name = "" if kind == CHOICE else f", a {kind.replace('_', '/')} question"
    return f"{len(model.labels)}{name}: {listed([shorten(label) for label in model.labels], 10)}"


def _abstention(model: ModelFile) -> str:
    """Return the thresholds, or the shares that --abstain and --unfamiliar take."""
    if model.thresholds is not None:
        pairs = zip(model.labels, model.thresholds)
        thresholds = [f"{shorten(name)} {value:.3f}" for name, value in pairs]
        return f"none; threshold per label: {listed(thresholds, 10)}"
    curve = model.abstention
    if curve is None:
        return "no risk-coverage curve: --threshold works, --abstain does not"
    default = "off by default"
    if curve.default is not None:
        default = f"--abstain {curve.default:g} by default"
    strange = ""
    if curve.unfamiliar:
        least, _ = curve.unfamiliar[0]
        strange = f", --unfamiliar {least:g} or more"
    texts = f"{counted(curve.texts, 'text')} ({curve.data})"
    return f"{default}; --abstain {curve.min_risk:.2g} or more{strange}, by {texts}"
