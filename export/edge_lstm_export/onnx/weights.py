"""A network's constants as the graph holds them, in float32 and rounded to int8.

int8 keeps two promises: one answer in every batch, on every x86 CPU. The LSTM becomes ONNX
Runtime's ``com.microsoft.DynamicQuantizeLSTM``. It scales activations by the smallest and largest
value of the whole batch, so a text's answer would depend on its neighbours. **Sentinel units** hold
that scale still: two embedding columns carry the ends of the range in every row, and two hidden
units per direction run to +1 and -1, which bounds every other output of an LSTM at every step
(|h_t| <= tanh(t), since |c_t| <= t; the sentinels reach that bound). Nothing reads them.

N-gram vectors are int8 too, added up as integers: exact, so in any order and on any CPU.

rounding.py rounds tables, codes.py vectors of n-grams, lstm_rounding.py the LSTM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edge_lstm.core.layers import NetworkConfig
from edge_lstm.core.model_checks import SATURATED
from edge_lstm_export.arrays import Array
from edge_lstm_export.network import NO_PAIRS, PairTable, settled_rows

SENTINELS = 2
# An int8 file rounds outputs to steps of 2 / 255: first states that are nearer to each other than
# this are the same to it.
SETTLED = 1e-3  # of states
# Of each gate (input, output, forget, cell) of the two sentinel units, whose h runs to +1 and to
# -1.
GATE_SIGNS = np.array([[1, 1], [1, 1], [1, 1], [1, -1]])


@dataclass(frozen=True)
class LstmWeights:
    """The constants of an LSTM in float32.

    w: [D, 4H, inputs], r: [D, 4H, H], b: [D, 4H]: of the LSTM operator, all directions, gates in
    ONNX's order (input, output, forget, cell); b: of its two biases the sum. first: the tables of
    first outputs and cells, [2, D, S + 1, H]; None: it begins with zeros. outputs: [steps, D · H],
    at all steps of typical texts; None: not known.
    """

    w: Array
    r: Array
    b: Array
    first: Array | None = None
    outputs: Array | None = None


@dataclass(frozen=True)
class DenseWeights:
    """The constants of a dense layer in float32.

    w: [inputs, units]. b: [units]. inputs: [texts, inputs], of typical texts; None: not known.
    """

    w: Array
    b: Array
    inputs: Array | None = None


@dataclass(frozen=True)
class GraphWeights:
    """The constants of a graph in float32.

    embedding: [ids, E]. head: [inputs, logits], first the rows that read the last layer.
    ngram_vectors: [words + slots, width], of single ids from 2 on, then of the slots of ``pairs``.
    ids: int64 [steps], at all steps of the typical texts by whose values an int8 graph is rounded;
    None: it is rounded to the nearest numbers.
    """

    embedding: Array
    lstms: list[LstmWeights]
    dense: list[DenseWeights]
    head: DenseWeights
    ngram_vectors: Array
    pairs: PairTable = NO_PAIRS
    ids: Array | None = None


def with_sentinels(weights: GraphWeights, config: NetworkConfig) -> GraphWeights:
    """Add two hidden units per direction to each LSTM, and inputs that read them.

    The weights of these are zeros. The first LSTM has inputs for the sentinels of the embedding.
    """
    lstms = []
    blocks = 1  # of the values that the next layer reads
    firsts = _first_states(weights.lstms)
    for layer, lstm, first in zip(config.lstms, weights.lstms, firsts):
        outputs = lstm.outputs
        if outputs is not None:
            outputs = _with_zeros(outputs, layer.directions, axis=1)
        w = _with_zeros(lstm.w, blocks, axis=2)
        lstms.append(_with_sentinel_units(LstmWeights(w, lstm.r, lstm.b, first, outputs)))
        blocks = layer.blocks
    # The first layer behind the LSTMs reads their sentinels.
    dense = [*weights.dense, weights.head]
    if config.lstms:
        read = config.lstms[-1].values()
        w = _with_zeros(dense[0].w, blocks, axis=0, size=read)
        inputs = dense[0].inputs
        if inputs is not None:
            inputs = _with_zeros(inputs, blocks, axis=1, size=read)
        dense[0] = DenseWeights(w, dense[0].b, inputs)
    return replace(weights, lstms=lstms, dense=dense[:-1], head=dense[-1])


def _first_states(lstms: Sequence[LstmWeights]) -> Sequence[Array | None]:
    """Return the tables of first states up to the row from which none of them moves."""
    tables = [lstm.first for lstm in lstms if lstm.first is not None]
    if tables:
        rows = settled_rows(tables, SETTLED)
        return [table[:, :, :rows] for table in tables]
    if len(lstms) == 1:
        return [None]
    # A layer that reads another one's outputs needs their whole range from the first step on.
    shapes = [(2, len(lstm.r), 1, lstm.r.shape[2]) for lstm in lstms]
    return [np.zeros(shape, np.float32) for shape in shapes]


def _with_sentinel_units(lstm: LstmWeights) -> LstmWeights:
    """Add the two units per direction, whose c runs to ever more and to ever less."""
    directions, _, hidden = lstm.r.shape
    w = _with_zeros(lstm.w, 4, axis=1)
    r = _with_zeros(_with_zeros(lstm.r, 4, axis=1), 1, axis=2)
    b = _with_zeros(lstm.b, 4, axis=1)
    b.reshape(directions, 4, -1)[:, :, hidden:] = SATURATED * GATE_SIGNS
    first = lstm.first
    if first is not None:
        first = _with_zeros(first, 1, axis=3)
        first[0, :, :, hidden:] = 1, -1
        first[1, :, :, hidden:] = SATURATED, -SATURATED
    return LstmWeights(w, r, b, first, lstm.outputs)


def _with_zeros(value: Array, blocks: int, *, axis: int, size: int | None = None) -> Array:
    """Append two zeros to each of the equal blocks that an axis is made of.

    size: of all blocks, if more values follow them.
    """
    size = size or value.shape[axis]
    ends = np.linspace(0, size, blocks + 1, dtype=int)[1:]
    return np.insert(value, ends.repeat(SENTINELS), 0, axis=axis)
