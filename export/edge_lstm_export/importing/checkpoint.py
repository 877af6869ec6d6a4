"""An imported network → a checkpoint, from which the model file is exported as any other.

The model file has one LSTM and a text rule with a start id. A network that needs more is refused,
with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from edge_lstm.errors import DataError
from edge_lstm.model_checks import MAX_IDS
from edge_lstm.text import (
    DEFAULT_LENGTH,
    FIRST_WORD_ID,
    KERAS_FILTERS,
    OOV_ID,
    REPLACEMENT,
    START_ID,
    Tokenizer,
)
from edge_lstm_export.importing import Imported
from edge_lstm_export.importing.model import LSTM, Array, ImportedModel
from edge_lstm_export.importing.words import TextRule
from edge_lstm_export.options import NetworkConfig
from edge_lstm_export.train.checkpoint import Checkpoint
from edge_lstm_export.train.network import Network, lstm_name

_TO_IFGO = (0, 2, 3, 1)  # input, output, forget, cell → PyTorch's order of the gates
_LONG = 100  # steps from which pooling by blocks saves time


def checkpoint_of(imported: Imported) -> Checkpoint:
    """Return the checkpoint of a network. Raises DataError if a model file cannot give its answers,
    or an option is missing."""
    imported.require_complete()
    reasons = list(obstacles(imported))
    if reasons:
        raise DataError(f"a model file cannot hold this network yet: {reasons[0]}")
    model = imported.model
    labels = imported.labels or ()
    words = _words(imported.rule)
    head_w, head_b = _head(model)
    multi_label = model.head.answer == "sigmoid" and model.logits > 1
    lstm = model.lstms[0]
    config = NetworkConfig(
        num_words=FIRST_WORD_ID + len(words),
        embedding_dim=model.embedding.weights.shape[1],
        hidden=lstm.hidden,
        bidirectional=lstm.directions == 2,
        pooling="last",
        labels=len(labels),
        multi_label=multi_label,
    )
    network = Network(config, blank=True)
    rows = np.zeros((config.num_words + 1, config.embedding_dim), np.float32)
    given = model.embedding.weights[: config.num_words]
    rows[: len(given)] = given
    state = {"embedding.weight": rows, "head.weight": head_w.T, "head.bias": head_b}
    state |= _lstm_state(lstm)
    tensors = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in state.items()}
    network.load_state_dict(tensors, assign=True)
    length = model.reading.length or DEFAULT_LENGTH
    training = {
        "imported": {
            "from": model.source,
            "tokenizer": imported.rule.source,
            "layers": [f"{type(layer).__name__} {layer.name}" for layer in model.layers],
            "parameters": model.parameters,
        },
        "cross_validated": False,
    }
    plan = {"kind": "long" if length >= _LONG else "short"}
    return Checkpoint(network.eval(), Tokenizer(words, length), labels, training, plan)


def obstacles(imported: Imported) -> Iterator[str]:
    """Yield each thing about a network that a model file cannot say."""
    model = imported.model
    rule = imported.rule
    reading = model.reading
    if len(model.lstms) > 1:
        yield f"it has {len(model.lstms)} LSTM layers, and files have one"
    if len(model.dense) > 1:
        yield f"it has a hidden dense layer ({model.dense[0].name}), and files have none"
    if any(lstm.hard_sigmoid for lstm in model.lstms):
        yield "its LSTM has hard_sigmoid gates, and files have logistic ones"
    if model.pooling.kind != "last":
        yield f"it reads {model.pooling.kind} of its LSTM's outputs, and files the last state"
    if reading.reads_padding:
        yield f"it reads its padding ({reading.padding}), and files read the text alone"
    if reading.truncation != "front":
        yield "it keeps the beginning of long texts, and files their end"
    if rule.start_id != START_ID or rule.oov_id != OOV_ID:
        yield f"its tokenizer ({rule.source}) has no start id 1 and unknown id 2, as files have"
    elif rule.lowercase != "unicode" or rule.removed or rule.separators != KERAS_FILTERS:
        yield f"its tokenizer ({rule.source}) splits texts by another rule than files"
    if rule.highest_id >= MAX_IDS:
        yield f"it has {rule.highest_id:,} ids, and files at most {MAX_IDS:,}"


def _words(rule: TextRule) -> tuple[str, ...]:
    """Return the vocabulary: its first word has id 4. An id without a usable word gets one that no
    text has, since a space ends words."""
    by_id = {i: word for word, i in rule.known.items() if i >= FIRST_WORD_ID}
    ids = range(FIRST_WORD_ID, max(by_id, default=FIRST_WORD_ID - 1) + 1)
    words = (by_id.get(i, "") for i in ids)
    return tuple(word if _fits(word) else f" {i}" for i, word in zip(ids, words))


def _fits(word: str) -> bool:
    """Whether a file can hold a word."""
    is_text = word.encode("utf-8", "ignore").decode() == word
    return bool(word) and is_text and "\n" not in word and REPLACEMENT not in word


def _head(model: ImportedModel) -> tuple[Array, Array]:
    """Return the head's weights [pooled, logits] and biases; two that stand for one label of two
    become one."""
    dense = model.dense[0]
    if model.head.answer == "softmax" and model.logits == 2:
        return dense.w[:, 1:] - dense.w[:, :1], dense.b[1:] - dense.b[:1]
    return dense.w, dense.b


def _lstm_state(lstm: LSTM) -> dict[str, Array]:
    """Return an LSTM's weights by PyTorch's names."""
    state = {}
    for direction in range(lstm.directions):
        prefix = f"lstm.{lstm_name(direction)}."
        for name, array in (("weight_ih", lstm.w), ("weight_hh", lstm.r), ("bias_ih", lstm.b)):
            gates = np.split(array[direction], 4)
            state[f"{prefix}{name}_l0"] = np.concatenate([gates[gate] for gate in _TO_IFGO])
        state[f"{prefix}bias_hh_l0"] = np.zeros_like(lstm.b[direction])
    return state
