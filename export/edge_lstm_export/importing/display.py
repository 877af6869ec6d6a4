"""An imported network in words."""

from __future__ import annotations

from collections.abc import Iterator

from edge_lstm_export.importing.model import Reading
from edge_lstm_export.importing.reading import Imported

_CASES = {"unicode": "lower case", "ascii": "A to Z in lower case", "none": "case kept"}


def rows_of(imported: Imported) -> Iterator[tuple[str, str]]:
    """Yield (name, value) of what was found."""
    model = imported.model
    yield "model", f"{model.source}, {model.parameters:,} weights"
    for layer in model.layers:
        yield "layer", f"{layer.name}: {layer}"
    answer = f"softmax of {model.logits}"
    if model.logits == 1:
        answer = "one sigmoid, the probability of the second label"
    elif model.is_multi_label:
        answer = f"{model.logits} sigmoids, a text may have several labels"
    labels = ", ".join(imported.labels or ("labels not named",))
    yield "answer", f"{answer}: {labels}"
    yield "padding", _padding(model.reading)
    rule = imported.rule
    unknown = "left out" if rule.oov_id is None else f"id {rule.oov_id}"
    start = "" if rule.start_id is None else f", start id {rule.start_id}"
    words = f"{len(rule.known):,} words, unknown words {unknown}{start}"
    yield "tokenizer", f"{rule.source}, {words}, {_CASES[rule.splits.lowercase]}"


def _padding(reading: Reading) -> str:
    """Return in words how texts reach the network."""
    length = f"{reading.length:,} steps" if reading.length else "as many steps as ids"
    if reading.padding is None and not reading.masked:
        return f"{length}, the side is not known"
    read = "padding is not read"
    if reading.reads_padding:
        read = f"{reading.padding}, read as a part of the text"
    cut = "beginning" if reading.truncation == "front" else "end"
    return f"{length}, {read}; long texts lose their {cut}"
