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

**Rounding of networks that were trained without it**: a matrix of an LSTM is rounded so that its
products with the inputs of real steps change little (:func:`metric_of`).

N-gram vectors are int8 too, added up as integers: exact, so in any order and on any CPU.

**Four bits**: the file keeps a row of the embedding, of the n-gram vectors or of the head as an
integer, and numbers of 4 bits that it is multiplied by (:func:`_to_4_bits`). Each product is an
int8 number, and these are what every engine computes with. Rows of the embedding are rounded so
that what the LSTM reads of them changes little (:func:`metric_of`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm.layers import NetworkConfig
from edge_lstm_export.graph.pairs import NO_PAIRS, PairTable

Array = npt.NDArray[Any]

LARGEST = 127  # int8, symmetric
# A number of 4 bits is -7 to 7, and a row's factor 1 to 18.
LARGEST_4_BITS = 7
LARGEST_FACTOR = 18
LARGEST_PRODUCT = LARGEST_4_BITS * LARGEST_FACTOR
NARROWEST = 4  # columns; a factor for each row of fewer would be half of the row
REDUCED = 64  # largest int8 value of an LSTM's weight, see above
SENTINELS = 2
# An int8 file rounds outputs to steps of 2 / 255: first states that are nearer to each other than
# this are the same to it.
SETTLED = 1e-3
# Sigmoid and tanh of it are 1 to the last bit of float32.
SATURATED = 20.0
# Gates (input, output, forget, cell) of the two sentinel units, whose h runs to +1 and to -1.
_TIE = 1e-3  # tolerance: of squares of int8 numbers
PASSES = 4  # over the columns of a table, of which later ones move almost nothing
GATE_SIGNS = ((1, 1, 1, 1), (1, 1, 1, -1))


@dataclass(frozen=True)
class LstmWeights:
    """The constants of an LSTM in float32.

    w: [D, 4H, inputs], r: [D, 4H, H], b: [D, 8H] (second half zero): of the LSTM operator, all
    directions, gates in ONNX's order (input, output, forget, cell). h, c: the table of first
    states, [D, S + 1, H] both; None: it begins with zeros. w_metric [D, inputs, inputs] and
    r_metric [D, H, H]: of the vectors that both are multiplied by, see metric_of; None: not known.
    """

    w: Array
    r: Array
    b: Array
    h: Array | None = None
    c: Array | None = None
    w_metric: Array | None = None
    r_metric: Array | None = None


@dataclass(frozen=True)
class DenseWeights:
    """The constants of a dense layer in float32. w: [inputs, units]; b: [units]."""

    w: Array
    b: Array


@dataclass(frozen=True)
class GraphWeights:
    """The constants of a graph in float32.

    embedding: [ids, E]. head: [inputs, logits], first the rows that read the last layer.
    ngram_vectors: [words + slots, width], of single ids from 2 on, then of the slots of ``pairs``.
    """

    embedding: Array
    lstms: list[LstmWeights]
    dense: list[DenseWeights]
    head: DenseWeights
    ngram_vectors: Array
    pairs: PairTable = NO_PAIRS


def with_sentinels(weights: GraphWeights, config: NetworkConfig) -> GraphWeights:
    """Add two hidden units per direction to each LSTM, and inputs that read them.

    The weights of these are zeros. The first LSTM has inputs for the sentinels of the embedding.
    """
    lstms = []
    blocks = 1  # of the values that the next layer reads
    for layer, lstm in zip(config.lstms, _until_settled(weights.lstms)):
        if lstm.h is None and len(weights.lstms) > 1:
            # A layer that reads another one's outputs needs their whole range from the first step
            # on.
            zeros = np.zeros((layer.directions, 1, layer.units), np.float32)
            lstm = replace(lstm, h=zeros, c=zeros)
        wider = replace(lstm, w=_pad_blocks(lstm.w, blocks, axis=2))
        if lstm.w_metric is not None:
            wider = replace(wider, w_metric=_pad_metric(lstm.w_metric, blocks))
        lstms.append(_with_sentinel_units(wider))
        blocks = layer.blocks
    # The first layer behind the LSTMs reads their sentinels.
    dense = [*weights.dense, weights.head]
    if config.lstms:
        pooled = config.lstms[-1].values()
        first = dense[0].w
        padded = _pad_blocks(first[:pooled], blocks, axis=0)
        dense[0] = replace(dense[0], w=np.concatenate([padded, first[pooled:]]))
    return replace(weights, lstms=lstms, dense=dense[:-1], head=dense[-1])


def _until_settled(lstms: Sequence[LstmWeights]) -> list[LstmWeights]:
    """Return the LSTMs with tables of first states up to the row from which none of them moves."""
    tables = [table for lstm in lstms for table in (lstm.h, lstm.c) if table is not None]
    if not tables:
        return list(lstms)
    moves = [np.abs(table - table[:, -1:]).max(axis=(0, 2)) for table in tables]
    rows = int((np.max(moves, axis=0) > SETTLED).nonzero()[0].max(initial=-1)) + 2
    return [
        lstm
        if lstm.h is None or lstm.c is None
        else replace(lstm, h=lstm.h[:, :rows], c=lstm.c[:, :rows])
        for lstm in lstms
    ]


def _with_sentinel_units(lstm: LstmWeights) -> LstmWeights:
    """Add the two units per direction, whose c runs to ever more and to ever less."""
    hidden = lstm.r.shape[2]
    w = _pad_blocks(lstm.w, 4, axis=1)
    r = _pad_blocks(_pad_blocks(lstm.r, 4, axis=1), 1, axis=2)
    b = _pad_blocks(lstm.b, 8, axis=1)
    for k, signs in enumerate(GATE_SIGNS):
        for gate, sign in enumerate(signs):
            b[:, gate * (hidden + SENTINELS) + hidden + k] = sign * SATURATED
    padded = replace(lstm, w=w, r=r, b=b)
    if lstm.r_metric is not None:
        padded = replace(padded, r_metric=_pad_metric(lstm.r_metric, 1))
    if lstm.h is None or lstm.c is None:
        return padded
    h = _pad_blocks(lstm.h, 1, axis=2)
    c = _pad_blocks(lstm.c, 1, axis=2)
    h[:, :, hidden:] = 1, -1
    c[:, :, hidden:] = SATURATED, -SATURATED
    return replace(padded, h=h, c=c)


def _pad_metric(metric: Array, blocks: int) -> Array:
    """Append zeros for sentinels, whose weights are zeros, to a metric [D, columns, columns]."""
    return _pad_blocks(_pad_blocks(metric, blocks, axis=1), blocks, axis=2)


def _pad_blocks(value: Array, blocks: int, *, axis: int) -> Array:
    """Append two zeros to each of the equal blocks that an axis is made of."""
    widths = [(0, SENTINELS if a == axis else 0) for a in range(value.ndim)]
    return np.concatenate(
        [np.pad(block, widths) for block in np.split(value, blocks, axis=axis)], axis=axis
    )


@dataclass(frozen=True)
class Rounded:
    """A table of weights as an int8 file holds it.

    values: int8 [rows, columns], that engines compute with.
    scales: float32, of size 1 along the axis along which one scale holds.
    levels: int8 [rows, columns], -7 to 7, and factors: uint8 [rows, 1], 1 to 18, whose products
        are the values. Both are None for a table of fewer columns than NARROWEST.
    """

    values: Array
    scales: Array
    levels: Array | None = None
    factors: Array | None = None


def to_int8(values: Array, metric: Array | None = None) -> tuple[Array, Array]:
    """Round weights of an LSTM to int8, in the range of REDUCED.

    values: float32 [D, rows, columns].
    metric: float64 [D, columns, columns], of the vectors that the rows are multiplied by, see
        metric_of; None: each weight becomes the nearest number.
    Return (int8 of the same shape, float32 scales [D, 1, 1]).
    """
    scales = _scales(values, (1, 2), REDUCED)
    scaled = values / scales
    numbers = np.clip(np.rint(scaled), -REDUCED, REDUCED)
    if metric is not None:
        for direction, of_direction in enumerate(metric):
            numbers[direction] = _by_metric(
                numbers[direction], scaled[direction], of_direction, REDUCED
            )
    return numbers.astype(np.int8), scales


def metric_of(readers: Array) -> Array:
    """Return how much errors of a row's columns change the values that are made of the row.

    The metric is that of Optimal Brain Surgeon (Hassibi and Stork 1992) and GPTQ (Frantar et al.
    2022): an error e [columns] of a row changes its products with the readers by e @ metric @ e,
    as a sum of squares.

    readers: float32 [..., columns], the vectors that the row is multiplied by: weights, or inputs.
    Return float64 [columns, columns].
    """
    rows = readers.reshape(-1, readers.shape[-1]).astype(np.float64)
    return np.asarray(rows.T @ rows)


def rounded(
    values: Array, axis: int | None = None, *, packs: bool = True, metric: Array | None = None
) -> Rounded:
    """Round a table to what an int8 file holds.

    A second rounding changes nothing: the largest value of each scale is kept.

    values: float32 [rows, columns].
    axis: along which one scale holds; None: one for all values.
    packs: in 4 bits, if a row has NARROWEST columns or more.
    metric: float64 [columns, columns], see metric_of; for a table of one scale. The error by it is
        never larger than without it.
    """
    if not packs or values.shape[1] < NARROWEST:
        scales = _scales(values, axis, LARGEST)
        scaled = values / scales
        numbers = np.clip(np.rint(scaled), -LARGEST, LARGEST)
        if metric is not None:
            numbers = _by_metric(numbers, scaled, metric, LARGEST)
        return Rounded(numbers.astype(np.int8), scales)
    scales = _scales(values, axis, LARGEST_PRODUCT)
    scaled = values / scales
    keeps_largest: Array = np.asarray(_is_largest(scaled, LARGEST_PRODUCT).any(axis=1))
    if axis == 1:
        keeps_largest[:] = False
    levels, factors = _to_4_bits(scaled, keeps_largest)
    if metric is not None:
        levels = _by_metric(levels, scaled, metric, LARGEST_4_BITS, factors, LARGEST_PRODUCT)
    return Rounded(levels * factors.astype(np.int8), scales, levels, factors)


def _scales(values: Array, axis: int | tuple[int, ...] | None, limit: int) -> Array:
    largest = np.abs(values).max(axis=axis, keepdims=True, initial=0)
    return np.where(largest > 0, largest / limit, 1).astype(np.float32)


def _to_4_bits(scaled: Array, keeps_largest: Array) -> tuple[Array, Array]:
    """Return the numbers of 4 bits and the factors whose products have the least squared error.

    scaled: float32 [rows, columns], -LARGEST_PRODUCT to LARGEST_PRODUCT.
    keeps_largest: bool [rows]; such a row is not clipped.
    """
    best = np.full(len(scaled), np.inf)
    levels = np.zeros(scaled.shape, np.int8)
    factors = np.ones((len(scaled), 1), np.uint8)
    for factor in range(1, LARGEST_FACTOR + 1):
        tried = np.clip(np.rint(scaled / factor), -LARGEST_4_BITS, LARGEST_4_BITS)
        errors = np.square(tried * factor - scaled).sum(axis=1)
        # Sums of equal squares differ by their roundings.
        is_better = errors < best - _TIE
        if factor < LARGEST_FACTOR:
            is_better &= ~keeps_largest
        best[is_better] = errors[is_better]
        levels[is_better] = tried[is_better]
        factors[is_better] = factor
    return levels, factors


def _is_largest(scaled: Array, limit: int) -> Array:
    """Return which numbers are at an end of the range: bool [rows, columns]."""
    return np.asarray(np.abs(scaled) > limit - 0.5)


def _by_metric(
    levels: Array,
    scaled: Array,
    metric: Array,
    limit: int,
    factors: Array | int = 1,
    largest: int | None = None,
) -> Array:
    """Return other whole numbers with a smaller error by the metric, for the same factors.

    Coordinate descent, as in QuantEase (Behdin et al. 2023): each column in turn gets the number
    that is best for the present errors of all others, so the error never grows.

    levels: whole numbers [rows, columns], -limit to limit. scaled: float32 of the same shape, that
    levels times factors should be. factors: [rows, 1]. largest: of the products, which stay; None:
    the limit.
    """
    numbers = levels.astype(np.float64)
    by_row = np.broadcast_to(factors, (len(numbers), 1))[:, 0]
    stays = _is_largest(scaled, largest or limit)
    # Half the derivative of a row's error, by each of its values.
    slopes = (numbers * factors - scaled) @ metric
    for _ in range(PASSES):
        for column, weight in enumerate(np.diag(metric)):
            if weight <= 0:  # nothing reads it
                continue
            before = numbers[:, column]
            best = np.rint(before - slopes[:, column] / (weight * by_row))
            best = np.clip(best, -limit, limit)
            best = np.where(stays[:, column], before, best)
            slopes += ((best - before) * by_row)[:, None] * metric[column]
            numbers[:, column] = best
    return numbers.astype(np.int8)


def packed(levels: Array) -> Array:
    """Return numbers of 4 bits as the file holds them: uint8 [rows, columns / 2], rounded up.

    levels: int8 [rows, columns], -7 to 7. An even column is in the low half of its byte. Each half
    is 8 more than its number.
    """
    padded = np.pad(levels, ((0, 0), (0, levels.shape[1] % 2)))
    halves = (padded + 8).astype(np.uint8)
    return np.asarray(halves[:, ::2] | halves[:, 1::2] << 4)


def unpacked(held: Array, factors: Array, columns: int) -> Array:
    """Return the int8 table [rows, columns] of what the file holds, see :func:`packed`."""
    halves = np.stack([held & 15, held >> 4], axis=2).reshape(len(held), -1)[:, :columns]
    return np.asarray((halves.astype(np.int16) - 8) * factors, np.int8)
