"""A network's constants as the graph holds them, in float32 and rounded to int8.

int8 keeps two promises: one answer in every batch, on every x86 CPU. The LSTM becomes ONNX
Runtime's ``com.microsoft.DynamicQuantizeLSTM``. It scales activations by the smallest and largest
value of the whole batch, so a text's answer would depend on its neighbours. **Sentinel units** hold
that scale still: two embedding columns carry the ends of the range in every row, and two hidden
units per direction run to +1 and -1, which bounds every other output of an LSTM at every step
(|h_t| <= tanh(t), since |c_t| <= t; the sentinels reach that bound). Nothing reads them.

**Reduced range**: LSTM weights use [-64, 64]. AVX2 without VNNI adds two products of uint8 and int8
    in
16 bits with saturation (``vpmaddubsw``): 2 · 255 · 64 = 32,640 still fits, 2 · 255 · 127 does not.

N-gram vectors are int8 too, added up as integers: exact, so in any order and on any CPU.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

LARGEST = 127  # int8, symmetric
REDUCED = 64  # largest int8 value of an LSTM's weight, see above
SENTINELS = 2
# Sigmoid and tanh of it are 1 to the last bit of float32.
SATURATED = 20.0
# Gates (input, output, forget, cell) of the two sentinel units, whose h runs to +1 and to -1.
GATE_SIGNS = ((1, 1, 1, 1), (1, 1, 1, -1))


@dataclass(frozen=True)
class GraphWeights:
    """The constants of a graph in float32.

    embedding: [ids, E]. w: [D, 4H, inputs], r: [D, 4H, H], b: [D, 8H] (second half zero): of the
    LSTM operator, all directions, gates in ONNX's order (input, output, forget, cell). head:
    [pooled + width, logits], first the rows that read the LSTM; head_bias: [logits]. ngrams: int64
    [n, 2], see network.NGramVectors, n may be 0; ngram_vectors: [n, width].
    """

    embedding: Array
    w: Array
    r: Array
    b: Array
    head: Array
    head_bias: Array
    ngrams: Array
    ngram_vectors: Array


def with_sentinels(weights: GraphWeights, pooled: int) -> GraphWeights:
    """Add two hidden units per direction and columns for the sentinels of the LSTM's input. pooled:
    rows of the head that read the LSTM, in blocks of its units; those that would read the sentinels
    are zeros."""
    hidden = weights.r.shape[2]
    w, r = (
        _pad_blocks(_pad_blocks(value, 4, axis=1), 1, axis=2) for value in (weights.w, weights.r)
    )
    b = _pad_blocks(weights.b, 8, axis=1)
    for k, signs in enumerate(GATE_SIGNS):
        for gate, sign in enumerate(signs):
            b[:, gate * (hidden + SENTINELS) + hidden + k] = sign * SATURATED
    padded = _pad_blocks(weights.head[:pooled], pooled // hidden, axis=0)
    return replace(weights, w=w, r=r, b=b, head=np.concatenate([padded, weights.head[pooled:]]))


def _pad_blocks(value: Array, blocks: int, *, axis: int) -> Array:
    """Append two zeros to each of the equal blocks that an axis is made of."""
    widths = [(0, SENTINELS if a == axis else 0) for a in range(value.ndim)]
    return np.concatenate(
        [np.pad(block, widths) for block in np.split(value, blocks, axis=axis)], axis=axis
    )


def to_int8(
    values: Array, axis: int | tuple[int, ...] | None = None, *, reduced: bool = False
) -> tuple[Array, Array]:
    """Round to int8.

    values: float32, any shape. axis: along which one scale holds; None: one for all values.
    reduced: in the range of LSTM weights.
    Return (int8 of the same shape, float32 scales, of size 1 along ``axis``).
    """
    limit = REDUCED if reduced else LARGEST
    largest = np.abs(values).max(axis=axis, keepdims=True)
    scales = np.where(largest > 0, largest / limit, 1).astype(np.float32)
    return np.clip(np.rint(values / scales), -limit, limit).astype(np.int8), scales
