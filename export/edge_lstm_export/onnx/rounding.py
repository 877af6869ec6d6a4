"""Tables in whole numbers: int8, or 4 bits with a factor for each row.

The matrices of LSTMs and dense layers are rounded so that their products with the vectors of
typical texts change little (:func:`fitted`).

The file keeps a row of the embedding, of the n-gram vectors or of the head as an integer, and
numbers of 4 bits that it is multiplied by (:func:`_to_4_bits`). Each product is an int8 number, and
every engine computes with these. Rows of the embedding are rounded so that what the LSTM reads of
them changes little (:func:`metric_of`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_lstm_export.arrays import Array

LARGEST = 127  # int8, symmetric
# A number of 4 bits is -7 to 7, and a row's factor 1 to 16.
LARGEST_4_BITS = 7
LARGEST_FACTOR = 16
LARGEST_PRODUCT = LARGEST_4_BITS * LARGEST_FACTOR
NARROWEST = 4  # columns; a factor for each row of fewer would be half of the row
TOGETHER = 16  # numbers of narrower rows that share a factor
SMALLEST = 1e-6  # divisors are at least this
_NO_FACTORS = np.ones((1, 1))


@dataclass(frozen=True)
class Seen:
    """The vectors that a matrix multiplies in typical texts.

    exact: in the network, float32 [N, columns]. held: as the int8 file has them, the same shape.
    """

    exact: Array
    held: Array


@dataclass(frozen=True)
class Rounded:
    """A table of weights as an int8 file holds it.

    values: int8 [rows, columns], that engines compute with.
    scales: float32, of size 1 along the axis along which one scale holds.
    levels: int8 [rows, columns], -7 to 7, and factors: uint8 [rows, 1], 1 to 16, whose products
        are the values. A table of fewer columns than NARROWEST has its numbers in rows of TOGETHER,
        the last filled with zeros. None for a table of int8.
    codes: uint8 [rows, columns / CODED, rounded up], and book: int8 [BOOK, CODED]; the rows of the
        book that the codes name are the values. None for tables without codes.
    """

    values: Array
    scales: Array
    levels: Array | None = None
    factors: Array | None = None
    codes: Array | None = None
    book: Array | None = None


def fitted(scaled: Array, seen: Seen, limit: int) -> tuple[Array, float]:
    """Return whole numbers whose products with the held vectors are near the exact products.

    This is the rounding of GPTQ (Frantar et al. 2022), with targets that make up for errors of the
    vectors too (GPTAQ, Li et al. 2025).

    scaled: float32 [rows, columns], that the numbers stand for. limit: of the numbers.
    Return (int8 [rows, columns], the sum of squared errors of the products, less a constant).
    """
    held = seen.held.astype(np.float64)
    metric = held.T @ held
    # Of the mean square of a column, for what typical texts do not show.
    share = 1e-4 * np.trace(metric) / len(metric)
    damping = share * np.eye(len(metric))
    metric += damping
    products = seen.exact.T.astype(np.float64) @ held
    targets = scaled @ (products + damping)
    nearest = np.clip(np.rint(scaled), -limit, limit)
    numbers = _by_metric(nearest, targets, metric, limit)
    error = float(((numbers @ metric - 2 * targets) * numbers).sum())
    return numbers, error


def metric_of(readers: Array) -> Array:
    """Return how much errors of a row's columns change the values that are made of the row.

    This is the metric of Optimal Brain Surgeon (Hassibi and Stork 1992) and GPTQ (Frantar et al.
    2022): an error e [columns] of a row changes its products with the readers by e @ metric @ e,
    as a sum of squares.

    readers: float32 [..., columns], the vectors that the row is multiplied by: weights, or inputs.
    Return float64 [columns, columns].
    """
    rows = readers.reshape(-1, readers.shape[-1]).astype(np.float64)
    return np.asarray(rows.T @ rows)


def rounded(
    values: Array,
    axis: int | None = None,
    *,
    packs: bool = True,
    metric: Array | None = None,
    inputs: Array | None = None,
) -> Rounded:
    """Round a table to what an int8 file holds.

    A second rounding changes nothing: the largest value of each scale is kept.

    values: float32 [rows, columns].
    axis: along which one scale holds; None: one for all values.
    packs: in 4 bits; a table of fewer columns than NARROWEST only if a scale holds for a column.
    metric: float64 [columns, columns], see metric_of; for a table of one scale. The error by it is
        never larger than without it.
    inputs: [N, rows], typical ones that the table is multiplied by; for 8 bits and a scale a row.
    """
    packs = packs and (axis == 0 or values.shape[1] >= NARROWEST)
    shape = values.shape
    limit = LARGEST_PRODUCT if packs else LARGEST
    scales = scales_of(values, axis, limit)
    scaled = values / scales
    stays = np.abs(scaled) > limit - 0.5  # at an end of the range
    factors = _NO_FACTORS
    if packs:
        limit = LARGEST_4_BITS
        scaled = in_wide_rows(scaled)
        stays = in_wide_rows(stays)
        keeps_largest = np.asarray(stays.any(axis=1) & (axis != 1))
        numbers, factors = _to_4_bits(scaled, keeps_largest)
    else:
        numbers = np.clip(np.rint(scaled), -limit, limit)
    if metric is not None:
        targets = scaled @ metric
        numbers = _by_metric(numbers, targets, metric, limit, factors, stays)
    if inputs is not None and not packs:
        seen = Seen(inputs * scales.T, inputs * scales.T)
        numbers = fitted(scaled.T, seen, limit)[0].T
    values = (numbers * factors).astype(np.int8).ravel()[: values.size].reshape(shape)
    if not packs:
        return Rounded(values, scales)
    return Rounded(values, scales, numbers, factors)


def in_wide_rows(values: Array) -> Array:
    """Return a table in its packed rows: of a narrow one, TOGETHER numbers each."""
    if values.shape[1] >= NARROWEST:
        return values
    numbers = np.pad(values.ravel(), (0, -values.size % TOGETHER))
    return numbers.reshape(-1, TOGETHER)


def scales_of(values: Array, axis: int | tuple[int, ...] | None, limit: int) -> Array:
    """Return the scales at which the largest values along an axis become the limit."""
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
        is_better = errors < best - 1e-3
        if factor < LARGEST_FACTOR:
            is_better &= ~keeps_largest
        best[is_better] = errors[is_better]
        levels[is_better] = tried[is_better]
        factors[is_better] = factor
    return levels, factors


def _by_metric(
    levels: Array,
    targets: Array,
    metric: Array,
    limit: int,
    factors: Array = _NO_FACTORS,
    stays: Array | bool = False,
) -> Array:
    """Return other whole numbers with a smaller error by the metric, for the same factors.

    Coordinate descent, as in QuantEase (Behdin et al. 2023): each column in turn gets the number
    that is best for the present errors of all others, so the error never grows.

    levels: whole numbers [rows, columns], -limit to limit. targets: what levels times factors times
    the metric should be, of the same shape. factors: [rows, 1]. stays: bool of the same shape, the
    levels that are kept.
    """
    numbers = levels.astype(np.float64)
    by_row = factors[:, 0]
    stays = np.broadcast_to(stays, numbers.shape)
    # Half the derivative of a row's error, by each of its values.
    slopes = (numbers * factors) @ metric - targets
    for _ in range(4):
        for column, weight in enumerate(np.diag(metric)):
            if weight <= 0:  # nothing reads it
                continue
            before = numbers[:, column]
            best = before - slopes[:, column] / (weight * by_row)
            best = np.clip(np.rint(best), -limit, limit)
            best = np.where(stays[:, column], before, best)
            moves = (best - before) * by_row
            slopes += moves[:, None] * metric[column]
            numbers[:, column] = best
    return numbers.astype(np.int8)


def packed(levels: Array) -> Array:
    """Return numbers of 4 bits as the file holds them: uint8 [rows, columns / 2], rounded up.

    levels: int8 [rows, columns], -7 to 7. An even column is in the low half of its byte. Each half
    is 8 more than its number.
    """
    padded = np.pad(levels, ((0, 0), (0, levels.shape[1] % 2)))
    return _bytes_of((padded + 8).astype(np.uint8))


def packed_factors(factors: Array) -> Array:
    """Return the factors of rows as the file holds them: uint8 [rows / 2], rounded up.

    factors: uint8 [rows, 1], 1 to 16. An even row is in the low half of its byte. Each half is 1
    less than its factor.
    """
    return _bytes_of(np.pad(factors[:, 0] - 1, (0, len(factors) % 2)))


def _bytes_of(halves: Array) -> Array:
    """Return bytes of two halves each: uint8 [..., 2 columns] → [..., columns]."""
    return np.asarray(halves[..., ::2] | halves[..., 1::2] << 4)


def _halves_of(held: Array) -> Array:
    """Return the halves of bytes: uint8 [..., columns] → [..., 2 columns]."""
    return np.stack([held & 15, held >> 4], axis=-1).reshape(*held.shape[:-1], -1)


def unpacked(held: Array, factors: Array, columns: int) -> Array:
    """Return the int8 table [rows, columns] of what the file holds.

    held: see :func:`packed`. factors: see :func:`packed_factors`.
    """
    numbers = _halves_of(held)[:, :columns].astype(np.int16) - 8
    by_row = _halves_of(factors)[: len(held), None].astype(np.int16) + 1
    return np.asarray(numbers * by_row, np.int8)
