"""Vectors as codes: each four numbers are one of 256 rows of a book.

A network of n-grams alone keeps four neighbouring numbers of a row in a byte. It names
one of 256 rows of a book (:func:`coded`): product quantization (Jégou et al. 2011) with one book
for all columns. It takes half the bytes of 4 bits, and such a file is made of little else. The
training chooses codes with which its texts' sums of vectors change little.
"""

from __future__ import annotations

import numpy as np

from edge_lstm_export.arrays import Array, Matrix
from edge_lstm_export.onnx.rounding import LARGEST, SMALLEST, Rounded

CODED = 4  # numbers of a code
BOOK = 256  # codes
_AT_A_TIME = 40_000  # memory only


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
    step = np.float32(max(np.abs(book).max(), SMALLEST) / LARGEST)
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
    most = 40_000  # groups that a book is fitted to
    if len(useful) > most:
        tried = np.sort(rng.choice(useful, most, replace=False))
    first = rng.choice(useful, min(len(useful), BOOK - 1), replace=False, p=chances)
    book[1 : len(first) + 1] = groups[first]
    sample = groups[tried]
    weights = times[tried]
    for _ in range(12):  # rounds of k-means
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
