"""Round weights to int8 so that a file keeps two promises: one answer in every batch, on every x86 CPU.

The LSTM becomes ONNX Runtime's ``com.microsoft.DynamicQuantizeLSTM``. It scales activations by the
smallest and largest value of the whole batch, so a text's answer would depend on its neighbours.
**Sentinel units** hold that scale still: two embedding columns carry the ends of the range in every
row, and two hidden units per direction run to +1 and -1, which bounds every other output of an LSTM at
every step (|h_t| <= tanh(t), since |c_t| <= t; the sentinels reach that bound). Nothing reads them.

**Reduced range**: LSTM weights use [-64, 64]. AVX2 without VNNI adds two products of uint8 and int8 in
16 bits with saturation (``vpmaddubsw``): 2 · 255 · 64 = 32,640 still fits, 2 · 255 · 127 does not.

N-gram vectors are int8 too, added up as integers: exact, so in any order and on any CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm_export.train.options import NetworkConfig

Array = npt.NDArray[Any]

WEIGHT_LIMIT = 64  # reduced range, see above
SENTINELS = 2
SATURATED = 20.0  # sigmoid and tanh of it are 1 to the last bit of float32
GATE_SIGNS = ((1, 1, 1, 1), (1, 1, 1, -1))  # gates (input, output, forget, cell): h → +1, h → -1


@dataclass(frozen=True)
class LstmWeights:
    """The LSTM operator's constants, all directions, gates in ONNX's order (input, output, forget, cell).

    w: float32 [D, 4H, inputs]; r: float32 [D, 4H, H]; b: float32 [D, 8H] (second half zero).
    """

    w: Array
    r: Array
    b: Array

    @property
    def directions(self) -> int:
        return int(self.w.shape[0])

    @property
    def hidden(self) -> int:
        return int(self.r.shape[2])


def quantization_description(config: NetworkConfig) -> dict[str, object]:
    """What the model file says of its quantization."""
    return {
        "precision": "int8",
        "lstm": f"int8 weights, symmetric per tensor, range ±{WEIGHT_LIMIT}; uint8 activations",
        "embedding": "int8, symmetric per tensor",
        "head": "int8 weights, symmetric per input; float32 products",
        **({"ngrams": "int8, symmetric per column; sums in int32"} if config.ngrams else {}),
        "sentinel_units": SENTINELS,
        "promises": ["same bits in every batch", "same bits on every x86 CPU with AVX2 or later"],
    }


def to_int8(
    values: Array, axis: int | tuple[int, ...] | None = None, *, reduced: bool = False
) -> tuple[Array, Array]:
    """float32, any shape → (int8 of that shape, float32 scales: one for all, of size 1 along ``axis``).

    reduced: in the range of LSTM weights, see above, instead of ±127.
    """
    limit = WEIGHT_LIMIT if reduced else 127
    largest = np.abs(values).max(axis=axis, keepdims=True)
    scales = np.where(largest > 0, largest / limit, 1).astype(np.float32)
    return np.clip(np.rint(values / scales), -limit, limit).astype(np.int8), scales


def quantize_embedding(embedding: Array) -> tuple[Array, Array]:
    """float32 [ids, E] → (int8 [ids, E + 2], scale float32 scalar).

    The last two columns are the sentinels 127 and -128. With both ends in every row the operator's own
    scale is exactly this one (range / 255, zero at 128), so its rounding changes nothing more.
    """
    values, scale = to_int8(embedding)
    ends = np.tile(np.array([127, -128], dtype=np.int8), (len(values), 1))
    return np.concatenate([values, ends], axis=1), scale.reshape(())


def add_sentinels(lstm: LstmWeights) -> LstmWeights:
    """An LSTM with two more hidden units per direction, and columns for the sentinels of its input."""
    w = _pad_blocks(_pad_blocks(lstm.w, 4, axis=1), 1, axis=2)
    r = _pad_blocks(_pad_blocks(lstm.r, 4, axis=1), 1, axis=2)
    b = _pad_blocks(lstm.b, 8, axis=1)
    for k, signs in enumerate(GATE_SIGNS):
        for gate, sign in enumerate(signs):
            b[:, gate * (lstm.hidden + SENTINELS) + lstm.hidden + k] = sign * SATURATED
    return LstmWeights(w, r, b)


def pad_head(head: Array, hidden: int, pooled: int) -> Array:
    """A head [inputs, logits] with rows of zeros for the sentinels in the first ``pooled`` inputs, which are
    blocks of ``hidden``."""
    return np.concatenate([_pad_blocks(head[:pooled], pooled // hidden, axis=0), head[pooled:]])


def _pad_blocks(value: Array, blocks: int, *, axis: int) -> Array:
    """Append two zeros to each of the equal blocks that an axis is made of."""
    widths = [(0, SENTINELS if a == axis else 0) for a in range(value.ndim)]
    return np.concatenate([np.pad(block, widths) for block in np.split(value, blocks, axis=axis)], axis=axis)
