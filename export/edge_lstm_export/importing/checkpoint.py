"""An imported network → a checkpoint, from which the model file is exported as any other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from edge_lstm import layers as file_layers
from edge_lstm.errors import CheckError, DataError
from edge_lstm.layers import MAX_IDS
from edge_lstm.question import ANY_CHOICE, YES_NO, Question, yes_label
from edge_lstm.text import (
    DEFAULT_LENGTH,
    FIRST_WORD_ID,
    NEVER_IN_ENTRIES,
    Tokenizer,
)
from edge_lstm_export.importing.forward import cut_to, logits
from edge_lstm_export.importing.model import LSTM, Array, Dense, ImportedModel, with_gates
from edge_lstm_export.importing.reading import Imported
from edge_lstm_export.options import network_config
from edge_lstm_export.train.checkpoint import Checkpoint, save_checkpoint
from edge_lstm_export.train.examples import Examples
from edge_lstm_export.train.loop import predict_logits
from edge_lstm_export.train.network import Network, lstm_name

_TO_IFGO = (0, 2, 3, 1)  # input, output, forget, cell → PyTorch's order of the gates
# Of a logit, relative to the largest one: between PyTorch, and NumPy in double precision.
PARITY_TOLERANCE = 1e-5
_FORGET = 2  # the place of its gate
CLOSED = -40.0  # bias of a gate that lets nothing through, to the last bit
TRIED = 16  # random texts on which both are compared


def checkpoint_of(imported: Imported) -> Checkpoint:
    """Return the checkpoint of a network.

    Raises DataError if a model file cannot give its answers, or an option is missing, and
    CheckError if the checkpoint's network answers otherwise.
    """
    imported.require_complete()
    for reason in obstacles(imported):
        raise DataError(f"a model file cannot hold this network: {reason}")
    model = imported.model
    vocabulary = _Vocabulary.of(imported)
    network = _network(model, vocabulary)
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
    checkpoint = Checkpoint(network, vocabulary.tokenizer, labels, training, question=question)
    _check_parity(imported, vocabulary, checkpoint)
    return checkpoint


def _network(model: ImportedModel, vocabulary: _Vocabulary) -> Network:
    """Return the network of a checkpoint."""
    model = _with_last_states(model)
    has_table = _has_table(model)
    config = network_config(
        num_words=vocabulary.tokenizer.num_ids,
        embedding_dim=model.embedding.weights.shape[1],
        layers=_layers(model),
        padding="none" if has_table else _padding(model),
        labels=max(2, model.logits),
        multi_label=model.is_multi_label,
    )
    network = Network(config, blank=True)
    state = _state(model, vocabulary.rows)
    tensors = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in state.items()}
    network.load_state_dict(tensors, assign=True)
    network.length = vocabulary.tokenizer.length
    if has_table:
        network.set_starts(network.padding_starts())
    return network.eval()


def save(imported: Imported, path: str | Path) -> None:
    """Write the checkpoint of a network. Raises DataError, CheckError, OutputError."""
    save_checkpoint(checkpoint_of(imported), Path(path))


def obstacles(imported: Imported) -> Iterator[str]:
    """Yield each reason for which a model file cannot hold a network."""
    model = imported.model
    reading = model.reading
    kind = model.pooling.kind
    directions = model.lstms[-1].directions
    if reading.masked and "max" in kind and (reading.padding == "front" or directions == 2):
        yield "its maximum over the steps sees masked ones; train it with padding behind the text"
    if len(imported.rule.known) + FIRST_WORD_ID > MAX_IDS:
        yield f"it has {len(imported.rule.known):,} words, and files have at most {MAX_IDS:,} ids"


def padding_cost(imported: Imported) -> file_layers.PaddingCost:
    """Return the cost of padding to the network's checkpoint; nothing if it cannot have one yet."""
    reading = imported.model.reading
    if not reading.reads_padding or reading.length is None or any(obstacles(imported)):
        return file_layers.PaddingCost(0, "none")
    return _network(imported.model, _Vocabulary.of(imported)).padding_cost


@dataclass(frozen=True)
class _Vocabulary:
    """The words of a model file.

    tokenizer: of the file. rows: of the network's embedding, by the file's ids. new_ids: the
    network's id → the file's.
    """

    tokenizer: Tokenizer
    rows: list[int]
    new_ids: dict[int, int]

    @classmethod
    def of(cls, imported: Imported) -> _Vocabulary:
        """Make it of an imported network: padding gets id 0, the words the ids that follow."""
        rule = imported.rule
        reading = imported.model.reading
        by_id = {i: word for word, i in rule.known.items()}
        oov_id = rule.oov_id
        if reading.masked:
            # The network passes over words with the id of padding.
            by_id.pop(reading.pad_id, None)
            oov_id = None if oov_id == reading.pad_id else oov_id
        first = 1
        used = sorted({*by_id, *([] if oov_id is None else [oov_id])})
        if rule.start_id is not None:
            first = FIRST_WORD_ID
            used = list(range(first, max(by_id, default=first - 1) + 1))
        new_ids = {i: new for new, i in enumerate(used, first)}
        rows = [reading.pad_id, *range(1, first), *used]
        if rule.start_id is not None:
            new_ids |= {i: i for i in range(1, first)}
        file_rule = replace(
            rule.splits,
            start_id=rule.start_id,
            oov_id=None if oov_id is None else new_ids[oov_id],
            first_word_id=first,
            keeps="last" if reading.truncation == "front" else "first",
        )
        words = tuple(_entry(by_id.get(i, ""), i) for i in used)
        length = reading.length or DEFAULT_LENGTH
        return cls(Tokenizer(words, length, (), file_rule), rows, new_ids)


def _entry(word: str, token_id: int) -> str:
    """Return a word as a vocabulary has it.

    A word that no vocabulary can hold becomes an entry that no text has, since a space ends words.
    """
    is_text = word.encode("utf-8", "ignore").decode() == word
    return word if word and is_text and not NEVER_IN_ENTRIES.search(word) else f" {token_id}"


def _with_last_states(model: ImportedModel) -> ImportedModel:
    """Return a model that reads last states instead of the outputs at the last step.

    At the last step a backward direction has read one token. Forward units give just that at every
    step if they keep nothing: without recurrence, and with closed forget gates.
    """
    if model.pooling.kind != "end":
        return model
    last = model.lstms[-1]
    one_way = last
    if last.directions == 2:
        r = np.zeros((2, 4 * last.hidden, 2 * last.hidden), np.float32)
        r[0, :, : last.hidden] = last.r[0]
        # [direction, gate, unit, …] → [gate, direction, unit, …]
        w, r, b = (
            array.reshape(2, 4, last.hidden, -1).swapaxes(0, 1).copy()
            for array in (last.w, r, last.b)
        )
        w[_FORGET, 1] = 0
        b[_FORGET, 1] = CLOSED
        rows = 8 * last.hidden
        one_way = replace(
            last, w=w.reshape(1, rows, -1), r=r.reshape(1, rows, -1), b=b.reshape(1, rows)
        )
    pooling = replace(model.pooling, kind="last")
    return replace(model, lstms=(*model.lstms[:-1], one_way), pooling=pooling)


def _layers(model: ImportedModel) -> tuple[file_layers.Layer, ...]:
    """Return the layers as a model file lists them."""
    kind = model.pooling.kind
    assert kind != "end"  # see _with_last_states
    lstms = [
        file_layers.Lstm(
            lstm.hidden,
            lstm.directions == 2,
            kind if lstm is model.lstms[-1] else "steps",
            floor=-1 if lstm is model.lstms[-1] and "max" in kind else 0,
            hard_sigmoid=lstm.hard_sigmoid or None,
        )
        for lstm in model.lstms
    ]
    return (*lstms, *(file_layers.Dense(len(d.b), d.activation) for d in model.dense[:-1]))


def _padding(model: ImportedModel) -> file_layers.Padding:
    """Return the padding that the network reads."""
    reading = model.reading
    return reading.padding if reading.padding and reading.reads_padding else "none"


def _has_table(model: ImportedModel) -> bool:
    """Whether the states after padding are the same for all texts, so that a table holds them."""
    reading = model.reading
    is_front = reading.reads_padding and reading.padding == "front"
    one_way = all(lstm.directions == 1 for lstm in model.lstms)
    return is_front and one_way and model.pooling.kind == "last"


def _state(model: ImportedModel, rows: Sequence[int]) -> dict[str, Array]:
    """Return the weights by PyTorch's names. rows: see :class:`_Vocabulary`."""
    embedding = model.embedding.weights
    last_row = np.zeros_like(embedding[:1])  # no id has it
    state = {"embedding.weight": np.concatenate([embedding[list(rows)], last_row])}
    for k, lstm in enumerate(model.lstms):
        state |= _lstm_state(lstm, f"lstms.{k}")
    for j, dense in enumerate(model.dense[:-1]):
        state |= {f"dense.{j}.weight": dense.w.T, f"dense.{j}.bias": dense.b}
    w, b = _head(model, model.dense[-1])
    return state | {"head.weight": w.T, "head.bias": b}


def _head(model: ImportedModel, dense: Dense) -> tuple[Array, Array]:
    """Return the head's weights [inputs, logits] and biases.

    A softmax of two labels is the sigmoid of the difference of their logits.
    """
    if model.head.answer == "softmax" and model.logits == 2:
        return dense.w[:, 1:] - dense.w[:, :1], dense.b[1:] - dense.b[:1]
    return dense.w, dense.b


def _lstm_state(lstm: LSTM, prefix: str) -> dict[str, Array]:
    """Return an LSTM's weights by PyTorch's names."""
    state = {}
    for direction in range(lstm.directions):
        place = f"{prefix}.{lstm_name(direction)}."
        for name, array in (("weight_ih", lstm.w), ("weight_hh", lstm.r), ("bias_ih", lstm.b)):
            state[f"{place}{name}_l0"] = with_gates(array[direction], _TO_IFGO)
        state[f"{place}bias_hh_l0"] = np.zeros_like(lstm.b[direction])
    return state


def _check_parity(imported: Imported, vocabulary: _Vocabulary, checkpoint: Checkpoint) -> None:
    """Raise CheckError unless the checkpoint's network gives the logits of the imported one."""
    model = imported.model
    length = checkpoint.tokenizer.length
    rng = np.random.default_rng(0)
    ids = sorted(vocabulary.new_ids)
    sizes = [*rng.integers(1, length + 1, size=TRIED), 1, length] if ids else [0]
    rows = [rng.choice(ids, size=size).tolist() if size else [] for size in sizes]
    wanted = logits(model, rows, np.float64)
    if wanted.shape[1] != checkpoint.network.config.logits:
        wanted = wanted[:, 1:] - wanted[:, :1]
    new = [[vocabulary.new_ids[i] for i in cut_to(row, model.reading)] for row in rows]
    examples = Examples.from_rows(new, np.zeros(wanted.shape, np.float32))
    given = predict_logits(checkpoint.network, examples).numpy()
    apart = float(np.abs(given - wanted).max() / max(1.0, np.abs(wanted).max()))
    if not apart <= PARITY_TOLERANCE:
        what = f"the checkpoint's logits are {apart:.1e} from the network's"
        raise CheckError(f"{what}; no file was written: report this model")
