"""Weights rounded to the values of the int8 file.

**Reduced range**: LSTM weights use [-64, 64]. AVX2 without VNNI adds two products of uint8 and int8 in
16 bits with saturation (``vpmaddubsw``): 2 · 255 · 64 = 32,640 still fits, 2 · 255 · 127 does not.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from edge_lstm_export.train.network import Network

Array = npt.NDArray[Any]

LARGEST = 127  # tolerance: int8, symmetric
REDUCED = 64  # tolerance: of LSTM weights, see above


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


def rounded_to_int8(network: Network) -> Network:
    """Return a copy whose embedding, LSTM, n-gram vectors and head have the values of the int8 file.

    Then the fp32 and the int8 file differ by the LSTM's activations only: thresholds that are chosen on the
    rounded network hold for both. A second rounding changes nothing.
    """
    rounded = copy.deepcopy(network)
    with torch.no_grad():
        for name, values in rounded.named_parameters():
            if "bias" in name:
                continue
            axis = 0 if name.startswith(("head", "ngrams")) else None
            integers, scales = to_int8(values.numpy(), axis, reduced=name.startswith("lstm"))
            values.copy_(torch.from_numpy(integers * scales))
    return rounded
