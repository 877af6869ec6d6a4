"""The int8 weights of an LSTM.

LSTM weights use [-64, 64]. AVX2 without VNNI adds two products of uint8 and int8 in 16 bits with
saturation (``vpmaddubsw``): 2 · 255 · 64 = 32,640 still fits, 2 · 255 · 127 does not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_lstm_export.arrays import Array
from edge_lstm_export.onnx.rounding import Rounded, Seen, fitted, scales_of
from edge_lstm_export.onnx.weights import SENTINELS, GraphWeights, LstmWeights

REDUCED = 64  # largest int8 value of an LSTM's weight
# The steps to which an int8 file rounds outputs from -1 to 1.
OUTPUT_STEP = 2 / 255


def to_int8(values: Array) -> tuple[Array, Array]:
    """Round weights of an LSTM to the nearest int8 numbers, in the range of REDUCED.

    values: float32 [D, rows, columns].
    Return (int8 of the same shape, float32 scales [D, 1, 1]).
    """
    scales = scales_of(values, (1, 2), REDUCED)
    numbers = np.clip(np.rint(values / scales), -REDUCED, REDUCED)
    return numbers.astype(np.int8), scales


def seen_inputs(weights: GraphWeights, table: Rounded) -> Seen | None:
    """Return what the first LSTM reads in typical texts; None if they are not known.

    table: the embedding as the int8 file holds it.
    """
    if weights.ids is None:
        return None
    exact = weights.embedding[weights.ids]
    held = table.values[weights.ids] * table.scales
    padding = (0, 0), (0, SENTINELS)
    return Seen(np.pad(exact, padding), np.pad(held, padding))


def seen_outputs(lstm: LstmWeights) -> Seen | None:
    """Return what an LSTM gives in typical texts; None if they are not known."""
    if lstm.outputs is None:
        return None
    steps = np.rint(lstm.outputs / OUTPUT_STEP)
    return Seen(lstm.outputs, steps * np.float32(OUTPUT_STEP))


def rounded_lstm(
    lstm: LstmWeights, inputs: Seen | None
) -> tuple[tuple[Array, Array], tuple[Array, Array], Array]:
    """Round an LSTM → w and r, each as int8 and float32 scales [D, 1, 1], and its bias.

    inputs: that it reads in typical texts. Their mean errors go into the bias. None: the weights
        are rounded to the nearest numbers.
    """
    outputs = seen_outputs(lstm)
    if inputs is None or outputs is None:
        return to_int8(lstm.w), to_int8(lstm.r), lstm.b
    directions = len(lstm.r)
    exact = np.split(outputs.exact, directions, axis=1)
    held = np.split(outputs.held, directions, axis=1)
    w, w_scales, w_excess = _fitted_to_int8(lstm.w, [inputs] * directions)
    r, r_scales, r_excess = _fitted_to_int8(lstm.r, list(map(Seen, exact, held)))
    return (w, w_scales), (r, r_scales), lstm.b - w_excess - r_excess


def _fitted_to_int8(values: Array, seen: Sequence[Seen]) -> tuple[Array, Array, Array]:
    """Round an LSTM's matrices so that their products with typical vectors change little.

    values: float32 [D, rows, columns]. seen: the vectors of each direction.
    Return (int8 of the same shape, float32 scales [D, 1, 1], and by how much the products are too
    large on the mean, [D, rows]).
    """
    parts = zip(*map(_fitted_matrix, values, seen))
    numbers, scales, excess = map(np.stack, parts)
    return numbers, scales, excess


def _fitted_matrix(values: Array, seen: Seen) -> tuple[Array, Array, Array]:
    """Round one direction's matrix, [rows, columns], as :func:`_fitted_to_int8` does."""
    least = np.inf
    # A smaller range clips few weights, and rounds all others finer.
    for clip in (1.0, 0.9, 0.8, 0.7):
        scale = scales_of(values, None, REDUCED) * np.float32(clip)
        numbers, error = fitted(values / scale, seen, REDUCED)
        error *= float(scale.item()) ** 2
        if error < least:
            least = error
            best = numbers, scale
    numbers, scale = best
    given = (numbers * scale) @ seen.held.mean(axis=0)
    wanted = values @ seen.exact.mean(axis=0)
    return numbers, scale, given - wanted
