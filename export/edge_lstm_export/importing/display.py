"""An imported network in words."""

from __future__ import annotations

from collections.abc import Iterator

from edge_lstm_export.importing.model import (
    LSTM,
    Dense,
    Embedding,
    ImportedModel,
    Layer,
    Pooling,
)
from edge_lstm_export.importing.reading import Imported

_STATES = {
    "last": "the last state",
    "end": "the outputs at the last step",
    "mean": "the mean over the steps",
    "max": "the largest over the steps",
    "mean+max": "the mean and the largest over the steps",
}


def rows_of(imported: Imported) -> Iterator[tuple[str, str]]:
    """Yield (name, value) of what was found."""
    model = imported.model
    rule = imported.rule
    yield "model", f"{model.source}, {model.parameters:,} weights"
    for layer in model.layers:
        yield "layer", _layer(layer)
    yield "answer", _answer(model, imported.labels)
    yield "padding", _padding(model)
    known = f"{len(rule.known):,} words"
    unknown = "left out" if rule.oov_id is None else f"id {rule.oov_id}"
    start = "" if rule.start_id is None else f", start id {rule.start_id}"
    case = {"unicode": "lower case", "ascii": "A to Z in lower case", "none": "case kept"}
    yield (
        "tokenizer",
        (f"{rule.source}, {known}, unknown words {unknown}{start}, {case[rule.splits.lowercase]}"),
    )


def _layer(layer: Layer) -> str:
    """Return a layer in words."""
    if isinstance(layer, Embedding):
        ids, width = layer.weights.shape
        return f"{layer.name}: embedding, {ids:,} ids × {width}"
    if isinstance(layer, LSTM):
        directions = "both directions" if layer.directions == 2 else "one direction"
        gates = ", hard_sigmoid gates" if layer.hard_sigmoid else ""
        return f"{layer.name}: LSTM, {layer.hidden} units, {directions}{gates}"
    if isinstance(layer, Pooling):
        return f"{layer.name}: {_STATES[layer.kind]}"
    assert isinstance(layer, Dense)
    return f"{layer.name}: dense, {len(layer.b)} units, {layer.activation}"


def _answer(model: ImportedModel, labels: tuple[str, ...] | None) -> str:
    named = ", ".join(labels) if labels else "labels not named"
    if model.logits == 1:
        kind = "one sigmoid, the probability of the second label"
    elif model.head.answer == "sigmoid":
        kind = f"{model.logits} sigmoids, a text may have several labels"
    else:
        kind = f"softmax of {model.logits}"
    return f"{kind}: {named}"


def _padding(model: ImportedModel) -> str:
    reading = model.reading
    length = f"{reading.length:,} steps" if reading.length else "as many steps as ids"
    cut = "beginning" if reading.truncation == "front" else "end"
    if reading.padding is None:
        return f"{length}, the side is not known"
    if not reading.reads_padding:
        return f"{length}, padding is not read; long texts lose their {cut}"
    return f"{length}, {reading.padding}, read as a part of the text; long texts lose their {cut}"
