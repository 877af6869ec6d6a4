"""A network's constants as the graph holds them, in float32 and rounded to int8.

int8 keeps two promises: one answer in every batch, on every x86 CPU. The LSTM becomes ONNX
Runtime's ``com.microsoft.DynamicQuantizeLSTM``. It scales activations by the smallest and largest
value of the whole batch, so a text's answer would depend on its neighbours. **Sentinel units** hold
that scale still: two embedding columns carry the ends of the range in every row, and two hidden
units per direction run to +1 and -1, which bounds every other output of an LSTM at every step
(|h_t| <= tanh(t), since |c_t| <= t; the sentinels reach that bound). Nothing reads them.

**Reduced range**: LSTM weights use [-64, 64]. AVX2 without VNNI adds two products of uint8 and int8
in 16 bits with saturation (``vpmaddubsw``): 2 · 255 · 64 = 32,640 still fits, 2 · 255 · 127 does
not.

**Rounding of networks that were trained without it**: the matrices of LSTMs and dense layers are
rounded so that their products with the vectors of typical texts change little (:func:`fitted`).

**Codes**: a network of n-grams alone keeps four neighbouring numbers of a row in a byte. It names
one of 256 rows of a book (:func:`coded`): product quantization (Jégou et al. 2011) with one book
for all columns. It takes half the bytes of 4 bits, and such a file is made of little else. The
training chooses codes with which its texts' sums of vectors change little.

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
Matrix = Any  # scipy.sparse.csr_matrix, float32

LARGEST = 127  # int8, symmetric
# A number of 4 bits is -7 to 7, and a row's factor 1 to 18.
LARGEST_4_BITS = 7
LARGEST_FACTOR = 18
LARGEST_PRODUCT = LARGEST_4_BITS * LARGEST_FACTOR
NARROWEST = 4  # columns; a factor for each row of fewer would be half of the row
CODED = 4  # numbers of a code
BOOK = 256  # codes
_AT_A_TIME = 40_000  # memory only
REDUCED = 64  # largest int8 value of an LSTM's weight, see above
SENTINELS = 2
# An int8 file rounds outputs to steps of 2 / 255: first states that are nearer to each other than
# this are the same to it.
SETTLED = 1e-3  # of states
# Sigmoid and tanh of it are 1 to the last bit of float32.
SATURATED = 20.0
# Of each gate (input, output, forget, cell) of the two sentinel units, whose h runs to +1 and to
# -1.
GATE_SIGNS = np.array([[1, 1], [1, 1], [1, 1], [1, -1]])
_SMALLEST = 1e-6  # divisors are at least this
# The steps to which an int8 file rounds outputs from -1 to 1.
OUTPUT_STEP = 2 / 255
_NO_FACTORS = np.ones((1, 1))


@dataclass(frozen=True)
class LstmWeights:
    """The constants of an LSTM in float32.

    w: [D, 4H, inputs], r: [D, 4H, H], b: [D, 8H] (second half zero): of the LSTM operator, all
    directions, gates in ONNX's order (input, output, forget, cell). first: the tables of first
    outputs and cells, [2, D, S + 1, H]; None: it begins with zeros. outputs: [steps, D · H], at all
    steps of typical texts; None: not known.
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
class Seen:
    """The vectors that a matrix multiplies in typical texts.

    exact: in the network, float32 [N, columns]. held: as the int8 file has them, the same shape.
    """

    exact: Array
    held: Array


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


def settled_rows(tables: Sequence[Array], tolerance: float) -> int:
    """Return how many rows tables of first states need: later ones hardly differ.

    tables: float [..., rows, H].
    tolerance: by which the rows that are left out may differ from the last one.
    """
    by_row = []
    for table in tables:
        rows = table.swapaxes(0, -2)
        by_row.append(rows.reshape(len(rows), -1))
    states = np.concatenate(by_row, axis=1)
    moves = np.abs(states - states[-1]).max(axis=1)
    return int(np.flatnonzero(moves > tolerance).max(initial=-1)) + 2


def _with_sentinel_units(lstm: LstmWeights) -> LstmWeights:
    """Add the two units per direction, whose c runs to ever more and to ever less."""
    directions, _, hidden = lstm.r.shape
    w = _with_zeros(lstm.w, 4, axis=1)
    r = _with_zeros(_with_zeros(lstm.r, 4, axis=1), 1, axis=2)
    b = _with_zeros(lstm.b, 8, axis=1)
    b.reshape(directions, 8, -1)[:, :4, hidden:] = SATURATED * GATE_SIGNS
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


@dataclass(frozen=True)
class Rounded:
    """A table of weights as an int8 file holds it.

    values: int8 [rows, columns], that engines compute with.
    scales: float32, of size 1 along the axis along which one scale holds.
    levels: int8 [rows, columns], -7 to 7, and factors: uint8 [rows, 1], 1 to 18, whose products
        are the values. Both are None for a table of fewer columns than NARROWEST.
    codes: uint8 [rows, columns / CODED, rounded up], and book: int8 [BOOK, CODED]; the rows of the
        book that the codes name are the values. None for tables without codes.
    """

    values: Array
    scales: Array
    levels: Array | None = None
    factors: Array | None = None
    codes: Array | None = None
    book: Array | None = None


def to_int8(values: Array) -> tuple[Array, Array]:
    """Round weights of an LSTM to the nearest int8 numbers, in the range of REDUCED.

    values: float32 [D, rows, columns].
    Return (int8 of the same shape, float32 scales [D, 1, 1]).
    """
    scales = _scales(values, (1, 2), REDUCED)
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
    """Round an LSTM → w and r, each as int8 and float32 scales [D, 1, 1], and its biases.

    inputs: that it reads in typical texts. Their mean errors go into the biases. None: the weights
        are rounded to the nearest numbers.
    """
    outputs = seen_outputs(lstm)
    if inputs is None or outputs is None:
        return to_int8(lstm.w), to_int8(lstm.r), lstm.b
    directions, rows, _ = lstm.r.shape
    exact = np.split(outputs.exact, directions, axis=1)
    held = np.split(outputs.held, directions, axis=1)
    w, w_scales, w_excess = _fitted_to_int8(lstm.w, [inputs] * directions)
    r, r_scales, r_excess = _fitted_to_int8(lstm.r, list(map(Seen, exact, held)))
    b = lstm.b.copy()
    b[:, :rows] -= w_excess
    b[:, :rows] -= r_excess
    return (w, w_scales), (r, r_scales), b


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
        scale = _scales(values, None, REDUCED) * np.float32(clip)
        numbers, error = fitted(values / scale, seen, REDUCED)
        error *= float(scale.item()) ** 2
        if error < least:
            least = error
            best = numbers, scale
    numbers, scale = best
    given = (numbers * scale) @ seen.held.mean(axis=0)
    wanted = values @ seen.exact.mean(axis=0)
    return numbers, scale, given - wanted


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
    packs: in 4 bits, if a row has NARROWEST columns or more.
    metric: float64 [columns, columns], see metric_of; for a table of one scale. The error by it is
        never larger than without it.
    inputs: [N, rows], typical ones that the table is multiplied by; for 8 bits and a scale a row.
    """
    packs = packs and values.shape[1] >= NARROWEST
    limit = LARGEST_PRODUCT if packs else LARGEST
    scales = _scales(values, axis, limit)
    scaled = values / scales
    stays = np.abs(scaled) > limit - 0.5  # at an end of the range
    factors = _NO_FACTORS
    if packs:
        limit = LARGEST_4_BITS
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
    values = (numbers * factors).astype(np.int8)
    if not packs:
        return Rounded(values, scales)
    return Rounded(values, scales, numbers, factors)


def coded(values: Array, inputs: Matrix | None = None) -> Rounded:
    """Round a table to codes, whose squared error is small.

    A second rounding changes next to nothing: codes of the largest number are kept.

    values: float32 [rows, columns], at least CODED of them.
    inputs: float32 [N, rows], CSR, typical ones that the table is multiplied by. Their products
        change little: see :func:`_fitted_codes`. None: each code is the nearest.
    """
    rows, columns = values.shape
    # The last columns may be fewer than CODED: they have codes of the same book, in part.
    groups = values[:, : columns - columns % CODED].reshape(-1, CODED)
    book = _book_of(*np.unique(groups, axis=0, return_counts=True))
    # One scale for all columns: a group has the same code in each of them.
    step = np.float32(max(np.abs(book).max(), _SMALLEST) / LARGEST)
    whole = np.rint(book / step).astype(np.int8)
    codes = _nearest_codes(values, whole * step)
    if inputs is not None:
        codes = _fitted_codes(values, codes, whole * step, inputs)
    numbers = whole[codes].reshape(rows, -1)[:, :columns]
    return Rounded(numbers, np.full((1, columns), step, np.float32), codes=codes, book=whole)


def _nearest_codes(values: Array, book: Array) -> Array:
    """Return the codes that are nearest: uint8 [rows, columns / CODED, rounded up]."""
    parts = []
    for start in range(0, values.shape[1], CODED):
        part = values[:, start : start + CODED]
        parts.append(_nearest(part, book[:, : part.shape[1]]))
    return np.asarray(np.stack(parts, axis=1), np.uint8)


def _fitted_codes(values: Array, codes: Array, book: Array, inputs: Matrix) -> Array:
    """Return codes with which the products with the inputs change little: uint8, as ``codes``.

    Each row in turn makes up for the errors that the others leave in its inputs, as GPTQ (Frantar
    et al. 2022) has it for the columns of a matrix. The rows with the most inputs come last: they
    make up for most.

    values: float32 [rows, columns]. codes: the nearest ones. book: float32 [BOOK, CODED].
    inputs: float32 [N, rows].
    """
    rows, columns = values.shape
    by_row = inputs.tocsc()
    squares = np.asarray(by_row.multiply(by_row).sum(axis=0)).ravel()
    if not squares.any():
        return codes
    # What a row makes up for in few inputs is wrong in others: the higher, the less it does.
    damping = 10.0 * float(squares.mean())
    sizes = np.abs(book).max(axis=1)
    is_largest = sizes == sizes.max()
    errors = book[codes].reshape(rows, -1)[:, :columns] - values
    products = np.asarray(by_row @ errors)
    wanted = np.zeros((codes.shape[1], CODED), np.float32)
    is_number = (np.arange(wanted.size) < columns).reshape(wanted.shape)
    lengths = is_number @ np.square(book).T
    found: Array = codes.copy()
    for row in np.argsort(squares, kind="stable"):
        own = slice(by_row.indptr[row], by_row.indptr[row + 1])
        texts = by_row.indices[own]
        weights = by_row.data[own]
        of_others = weights @ products[texts] - squares[row] * errors[row]
        wanted.flat[:columns] = values[row] - of_others / (squares[row] + damping)
        best = (lengths - 2 * wanted @ book.T).argmin(axis=1)
        best = np.where(is_largest[codes[row]], codes[row], best)
        error = book[best].ravel()[:columns] - values[row]
        products[texts] += weights[:, None] * (error - errors[row])
        found[row] = best
    return found


def _book_of(groups: Array, times: Array) -> Array:
    """Return BOOK rows near the groups, by k-means, float32 [BOOK, CODED]. The first is zeros.

    groups: float32 [n, CODED]; times: how often there is each.
    """
    rng = np.random.default_rng(0)
    worth = times * np.square(groups).sum(axis=1, dtype=np.float64)
    book = np.zeros((BOOK, CODED), np.float32)
    useful = np.flatnonzero(worth)
    if not len(useful):
        return book
    chances = worth[useful] / worth.sum()
    tried = useful
    most = 40_000
    if len(useful) > most:
        tried = np.sort(rng.choice(useful, most, replace=False))
    first = rng.choice(useful, min(len(useful), BOOK - 1), replace=False, p=chances)
    book[1 : len(first) + 1] = groups[first]
    sample = groups[tried]
    weights = times[tried]
    for _ in range(12):
        codes = _nearest(sample, book)
        total = np.bincount(codes, weights, BOOK)
        used = np.flatnonzero(total[1:]) + 1
        for column in range(CODED):
            sums = np.bincount(codes, weights * sample[:, column], BOOK)
            book[used, column] = sums[used] / total[used]
    return book


def _nearest(groups: Array, book: Array) -> Array:
    """Return the row of the book that is nearest to each group: intp [n]."""
    lengths = np.square(book).sum(axis=1)
    parts = [np.zeros(0, np.intp)]
    for start in range(0, len(groups), _AT_A_TIME):
        part = groups[start : start + _AT_A_TIME]
        parts.append((lengths - 2 * part @ book.T).argmin(axis=1))
    return np.concatenate(parts)


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
    halves = (padded + 8).astype(np.uint8)
    low = halves[:, ::2]
    high = halves[:, 1::2]
    return np.asarray(low | high << 4)


def unpacked(held: Array, factors: Array, columns: int) -> Array:
    """Return the int8 table [rows, columns] of what the file holds, see :func:`packed`."""
    halves = np.stack([held & 15, held >> 4], axis=2).reshape(len(held), -1)
    numbers = halves[:, :columns].astype(np.int16) - 8
    return np.asarray(numbers * factors, np.int8)
