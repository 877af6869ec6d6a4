"""fp32 graph → int8 graph that keeps the two promises: one answer in every batch, on every x86 CPU.

The LSTM becomes ONNX Runtime's ``com.microsoft.DynamicQuantizeLSTM``. It scales activations by the
smallest and largest value of the whole batch, so a text's answer would depend on its neighbours.
**Sentinel units** hold that scale still: two embedding columns carry the ends of the range in every
row, and two hidden units per direction run to +1 and -1, which bounds every other output of an LSTM at
every step (|h_t| <= tanh(t), since |c_t| <= t; the sentinels reach that bound). Nothing reads them.

**Reduced range**: LSTM weights use [-64, 64]. AVX2 without VNNI adds two products of uint8 and int8 in
16 bits with saturation (``vpmaddubsw``): 2 · 255 · 64 = 32,640 still fits, 2 · 255 · 127 does not.

The linear part's weights are int8 too, added up as integers: exact, so in any order and on any CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm_export.network import NetworkConfig

Array = npt.NDArray[Any]

WEIGHT_LIMIT = 64  # reduced range, see above
SENTINELS = 2
SATURATED = 20.0  # sigmoid and tanh of it are 1 to the last bit of float32
GATE_SIGNS = ((1, 1, 1, 1), (1, 1, 1, -1))  # gates (input, output, forget, cell): h → +1, h → -1


@dataclass(frozen=True)
class LstmLayer:
    """One LSTM operator's constants, all directions, gates in ONNX's order (input, output, forget, cell).

    w: float32 [D, 4H, inputs]; r: float32 [D, 4H, H]; b: float32 [D, 8H] (second half zero).
    """

    w: Array
    r: Array
    b: Array

    @property
    def directions(self) -> int:
        """1 or 2."""
        return int(self.w.shape[0])

    @property
    def hidden(self) -> int:
        """Units per direction."""
        return int(self.r.shape[2])


def quantized_description(config: NetworkConfig, *, sentinels: bool = True) -> dict[str, object]:
    """What the model file says of its quantization."""
    linear = {"linear": "int8, symmetric per tensor; sums in int32"} if config.pair_buckets else {}
    promises = ["same bits in every batch"] if sentinels else []
    return {
        "precision": "int8",
        "lstm": f"int8 weights, symmetric per tensor, range ±{WEIGHT_LIMIT}; uint8 activations",
        "embedding": "int8, symmetric per tensor",
        "head": "int8 weights, symmetric per input; float32 products" if config.ngrams else "float32",
        **linear,
        **({"ngrams": "int8, symmetric per column; sums in int32"} if config.ngrams else {}),
        "sentinel_units": SENTINELS if sentinels else 0,
        "promises": [*promises, "same bits on every x86 CPU with AVX2 or later"],
    }


def quantize_table(table: Array) -> tuple[Array, Array]:
    """float32, any shape → (int8 of that shape, scale float32 scalar)."""
    scale = _scale(table, 127)
    return np.clip(np.rint(table / scale), -127, 127).astype(np.int8), scale


def quantize_columns(vectors: Array) -> tuple[Array, Array]:
    """float32 [n, width] → (int8 of that shape, scales float32 [width])."""
    scales = np.stack([_scale(column, 127) for column in vectors.T])
    return np.clip(np.rint(vectors / scales), -127, 127).astype(np.int8), scales


def quantize_rows(matrix: Array) -> tuple[Array, Array]:
    """float32 [n, width] → (int8 of that shape, scales float32 [n, 1])."""
    values, scales = quantize_columns(matrix.T)
    return values.T, scales[:, None]


def quantize_embedding(embedding: Array, *, sentinels: bool = True) -> tuple[Array, Array]:
    """float32 [ids, E] → (int8 [ids, E + 2], scale float32 scalar); [ids, E] without sentinels.

    The last two columns are the sentinels 127 and -128. With both ends in every row the operator's own
    scale is exactly this one (range / 255, zero at 128), so its rounding changes nothing more.
    """
    values, scale = quantize_table(embedding)
    if not sentinels:
        return values, scale
    ends = np.tile(np.array([127, -128], dtype=np.int8), (len(values), 1))
    return np.concatenate([values, ends], axis=1), scale


def quantize_weights(weights: Array) -> tuple[Array, Array]:
    """float32 [D, 4H, inputs] → (int8 [D, inputs, 4H] as the operator wants it, scale float32 [D])."""
    scales = np.stack([_scale(direction, WEIGHT_LIMIT) for direction in weights])
    values = np.clip(np.rint(weights / scales[:, None, None]), -WEIGHT_LIMIT, WEIGHT_LIMIT)
    return values.astype(np.int8).transpose(0, 2, 1), scales


def _scale(values: Array, limit: int) -> Array:
    largest = float(np.abs(values).max())
    return np.array(largest / limit if largest > 0 else 1.0, dtype=np.float32)


def add_sentinels(layer: LstmLayer, *, input_parts: int) -> LstmLayer:
    """A layer with two more hidden units per direction and columns for the sentinels of its input.

    input_parts: blocks that the input is made of, each with sentinels of its own at its end (the
    embedding, or one block per direction of the layer before).
    """
    hidden = layer.hidden
    w = _pad_blocks(
        _pad_blocks(layer.w, 4, hidden, axis=1), input_parts, layer.w.shape[2] // input_parts, axis=2
    )
    r = _pad_blocks(_pad_blocks(layer.r, 4, hidden, axis=1), 1, hidden, axis=2)
    b = _pad_blocks(layer.b, 8, hidden, axis=1)
    wide = hidden + SENTINELS
    for k, signs in enumerate(GATE_SIGNS):
        for gate, sign in enumerate(signs):
            b[:, gate * wide + hidden + k] = sign * SATURATED
    return LstmLayer(w, r, b)


def pad_head(head: Array, hidden: int, pooled: int) -> Array:
    """A head [inputs, logits] with rows of zeros for the sentinels in the first ``pooled`` inputs, which are
    blocks of ``hidden``."""
    blocks = _pad_blocks(head[:pooled], pooled // hidden, hidden, axis=0)
    return np.concatenate([blocks, head[pooled:]])


def saturated_cells(padded: LstmLayer) -> Array:
    """Cell states at the start, float32 [D, 1, H + 2]: saturated for the sentinels, 0 for the others."""
    cells = np.zeros((padded.directions, 1, padded.hidden), dtype=np.float32)
    cells[:, :, -2], cells[:, :, -1] = SATURATED, -SATURATED
    return cells


def _pad_blocks(value: Array, blocks: int, size: int, *, axis: int) -> Array:
    """Appends two zeros to each of the equal blocks that an axis is made of."""
    pieces = np.split(value, blocks, axis=axis)
    assert pieces[0].shape[axis] == size
    widths = [(0, SENTINELS if a == axis else 0) for a in range(value.ndim)]
    return np.concatenate([np.pad(piece, widths) for piece in pieces], axis=axis)
