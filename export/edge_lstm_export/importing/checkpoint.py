"""An imported network → a checkpoint, from which the model file is exported as any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edge_lstm.core import layers as file_layers
from edge_lstm.core.question import ANY_CHOICE, YES_NO, Question, yes_label
from edge_lstm.core.text import DEFAULT_LENGTH, FIRST_WORD_ID, NEVER_IN_ENTRIES, Tokenizer
from edge_lstm_export.importing.model import LSTM, Array, ImportedModel
from edge_lstm_export.importing.reading import Imported
from edge_lstm_export.options import network_config

if TYPE_CHECKING:
    from edge_lstm_export.checkpoint import Checkpoint
    from edge_lstm_export.network import Network

_FORGET = 1  # the place of its gate


def checkpoint_of(imported: Imported) -> Checkpoint:
    """Return the checkpoint of a network. Raises DataError if an option is missing."""
    # PyTorch is loaded when the files have been read.
    from edge_lstm_export.checkpoint import Checkpoint

    imported.require_complete()
    model = imported.model
    tokenizer, rows = _vocabulary(imported)
    network = _network(model, tokenizer, rows)
    training = {
        "imported": {
            "from": model.source,
            "tokenizer": imported.rule.source,
            "layers": [f"{type(layer).__name__} {layer.name}" for layer in model.layers],
            "parameters": model.parameters,
        },
        "cross_validated": False,
    }
    labels = imported.labels or ()
    question = ANY_CHOICE
    if not network.config.multi_label and yes_label(labels) is not None:
        question = Question.of(YES_NO, labels)
    return Checkpoint(network, tokenizer, labels, training, question=question)


def _vocabulary(imported: Imported) -> tuple[Tokenizer, list[int]]:
    """Return the tokenizer of the file, and the rows of the network's embedding by the file's ids.

    In a file, padding has id 0, and the words the ids that follow.
    """
    rule = imported.rule
    reading = imported.model.reading
    by_id = {i: word for word, i in rule.known.items()}
    oov_id = rule.oov_id
    if reading.masked:
        # The network passes over words with the id of padding.
        by_id.pop(reading.pad_id, None)
        oov_id = None if oov_id == reading.pad_id else oov_id
    first = 1
    used = sorted(by_id if oov_id is None else {*by_id, oov_id})
    if rule.start_id is not None:
        first = FIRST_WORD_ID
        used = list(range(first, max(by_id, default=0) + 1))
    rows = [reading.pad_id, *range(1, first), *used]
    file_rule = replace(
        rule.splits,
        start_id=rule.start_id,
        # Unknown words and padding may have one id in the network. In a file they have two.
        oov_id=None if oov_id is None else rows.index(oov_id, 1),
        first_word_id=first,
        keeps="last" if reading.truncation == "front" else "first",
    )
    words = tuple(_entry(by_id.get(i, ""), i) for i in used)
    return Tokenizer(words, reading.length or DEFAULT_LENGTH, (), file_rule), rows


def _entry(word: str, token_id: int) -> str:
    """Return a word as a vocabulary has it.

    A word that no vocabulary can hold becomes an entry that no text has, since a space ends words.
    """
    is_text = word.encode("utf-8", "ignore").decode() == word
    if not word or not is_text or NEVER_IN_ENTRIES.search(word):
        return f" {token_id}"
    return word


def _network(model: ImportedModel, tokenizer: Tokenizer, rows: Sequence[int]) -> Network:
    """Return the network of a checkpoint. rows: see :func:`_vocabulary`."""
    import torch

    from edge_lstm_export.network import Network

    model = _as_files_read_it(model)
    reading = model.reading
    padding: file_layers.Padding = "none"
    if reading.reads_padding and reading.padding is not None:
        padding = reading.padding
    # Then the states after padding are the same for all texts, and a table holds them.
    one_way = all(lstm.directions == 1 for lstm in model.lstms)
    has_table = padding == "front" and one_way and model.pooling.kind == "last"
    config = network_config(
        num_words=tokenizer.num_ids,
        embedding_dim=model.embedding.weights.shape[1],
        layers=_layers(model),
        padding="none" if has_table else padding,
        labels=model.labels,
        multi_label=model.is_multi_label,
    )
    network = Network(config, blank=True)
    state = _state(model, rows)
    tensors = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in state.items()}
    network.load_state_dict(tensors, assign=True)
    network.length = tokenizer.length
    if has_table:
        network.set_starts(network.padding_starts())
    return network.eval()


def _as_files_read_it(model: ImportedModel) -> ImportedModel:
    """Return a model of the same answers, in the one form that files have.

    It reads last states, or the mean before the maximum, and has one logit for two labels.
    """
    kind = model.pooling.kind
    dense = list(model.dense)
    if model.answer == "softmax" and model.logits == 2:
        # Then it is the sigmoid of the difference of the logits.
        head = dense[-1]
        dense[-1] = replace(head, w=np.diff(head.w), b=np.diff(head.b))
    if kind == "max+mean":
        of_maximum, of_mean = np.split(dense[0].w, 2)
        dense[0] = replace(dense[0], w=np.concatenate([of_mean, of_maximum]))
        kind = "mean+max"
    lstms = model.lstms
    if kind == "end":
        lstms = (*lstms[:-1], _one_way(lstms[-1]))
        kind = "last"
    return replace(
        model, lstms=lstms, pooling=replace(model.pooling, kind=kind), dense=tuple(dense)
    )


def _one_way(lstm: LSTM) -> LSTM:
    """Return an LSTM of one direction whose last state is the outputs at the last step.

    At the last step a backward direction has read one token. Forward units give just that at every
    step if they keep nothing: without recurrence, and with closed forget gates.
    """
    if lstm.directions == 1:
        return lstm
    r = np.zeros((2, 4 * lstm.hidden, 2 * lstm.hidden), np.float32)
    r[0, :, : lstm.hidden] = lstm.r[0]
    # [direction, gate, unit, …] → [gate, direction, unit, …]
    w, r, b = (
        array.reshape(2, 4, lstm.hidden, -1).swapaxes(0, 1).copy() for array in (lstm.w, r, lstm.b)
    )
    w[_FORGET, 1] = 0
    # This bias lets nothing through, to the last bit.
    b[_FORGET, 1] = -40.0
    rows = 8 * lstm.hidden
    return replace(lstm, w=w.reshape(1, rows, -1), r=r.reshape(1, rows, -1), b=b.reshape(1, rows))


def _layers(model: ImportedModel) -> tuple[file_layers.Layer, ...]:
    """Return the layers as a model file lists them."""
    last = model.lstms[-1]
    lstms = [
        file_layers.Lstm(
            lstm.hidden,
            lstm.directions == 2,
            model.pooling.kind if lstm is last else "steps",  # type: ignore[arg-type]
            floor=-1 if lstm is last and "max" in model.pooling.kind else 0,
            hard_sigmoid=lstm.hard_sigmoid,
        )
        for lstm in model.lstms
    ]
    dense = [
        file_layers.Dense(len(layer.b), layer.activation)  # type: ignore[arg-type]
        for layer in model.dense[:-1]
    ]
    return (*lstms, *dense)


def _state(model: ImportedModel, rows: Sequence[int]) -> dict[str, Array]:
    """Return the weights by PyTorch's names. rows: see :func:`_vocabulary`."""
    from edge_lstm_export.network import lstm_name

    embedding = model.embedding.weights
    last_row = np.zeros_like(embedding[:1])  # no id has it
    state = {"embedding.weight": np.concatenate([embedding[list(rows)], last_row])}
    for k, lstm in enumerate(model.lstms):
        weights = {
            "weight_ih": lstm.w,
            "weight_hh": lstm.r,
            "bias_ih": lstm.b,
            "bias_hh": np.zeros_like(lstm.b),
        }
        for name, array in weights.items():
            for direction, of_direction in enumerate(array):
                state[f"lstms.{k}.{lstm_name(direction)}.{name}_l0"] = of_direction
    for j, dense in enumerate(model.dense[:-1]):
        state |= {f"dense.{j}.weight": dense.w.T, f"dense.{j}.bias": dense.b}
    head = model.dense[-1]
    return state | {"head.weight": head.w.T, "head.bias": head.b}
