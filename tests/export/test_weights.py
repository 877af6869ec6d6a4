"""Weights in 4 and 8 bits."""

import numpy as np
import pytest
from edge_lstm_export.arrays import Array
from edge_lstm_export.onnx.codes import coded
from edge_lstm_export.onnx.rounding import (
    LARGEST,
    LARGEST_PRODUCT,
    Rounded,
    metric_of,
    rounded,
)
from scipy.sparse import csr_matrix


def table_and_metric(columns: int) -> tuple[Array, Array]:
    """A table with rows of different sizes and one of zeros, and the metric of weights that do not
    read its last column."""
    random = np.random.default_rng(columns)
    table = random.gamma(2, size=(300, 1)) * random.standard_normal((300, columns))
    table[0] = 0
    mixed = random.standard_normal((columns, columns))
    readers = random.standard_normal((2, 3 * columns, columns)) @ mixed
    readers[..., -1] = 0
    return table.astype("f"), metric_of(readers.astype("f"))


COLUMNS = pytest.mark.parametrize("columns", [4, 5, 14, 30])
BITS = pytest.mark.parametrize("packs", [True, False], ids=["4 bits", "8 bits"])


@BITS
@COLUMNS
def test_a_metric_never_makes_the_error_of_a_row_larger(columns: int, packs: bool) -> None:
    table, metric = table_and_metric(columns)
    errors = []
    for of_rounding in (None, metric):
        held = rounded(table, packs=packs, metric=of_rounding)
        error = (held.values * held.scales - table).astype(np.float64)
        errors.append(((error @ metric) * error).sum(axis=1))
    plain, fitted = errors
    assert (fitted <= plain * (1 + 1e-5)).all()
    assert fitted.sum() < 0.95 * plain.sum()


@BITS
@COLUMNS
def test_a_second_rounding_changes_nothing_and_the_largest_value_stays(
    columns: int, packs: bool
) -> None:
    """Training rounds a network, and export rounds it again."""
    table, metric = table_and_metric(columns)
    first = rounded(table, packs=packs, metric=metric)
    assert np.abs(first.values.astype(int)).max() == (LARGEST_PRODUCT if packs else LARGEST)
    assert (first.levels is None) == (first.factors is None) == (not packs)
    if first.levels is not None and first.factors is not None:
        assert (first.levels * first.factors.astype(int) == first.values).all()
    for again in (metric, None):
        second = rounded(first.values * first.scales, packs=packs, metric=again)
        assert np.array_equal(second.values, first.values)
        assert second.scales == pytest.approx(first.scales)


@pytest.mark.parametrize("columns", [16, 17, 23])
def test_codes_fitted_to_texts_change_their_sums_less_also_those_of_other_texts(
    columns: int,
) -> None:
    rng = np.random.default_rng(columns)
    table = rng.laplace(size=(2000, columns)).astype(np.float32)
    shares = np.minimum(0.9, 8 / np.arange(1, 2001))  # frequent words, and rare ones
    seen, new = (
        csr_matrix((rng.random((400, 2000)) < shares).astype(np.float32)) for _ in range(2)
    )

    def error(held: Rounded, texts: csr_matrix) -> float:
        return float(np.square(texts @ (held.values * held.scales - table)).mean())

    nearest = coded(table)
    held = coded(table, seen)
    assert error(held, seen) < 0.7 * error(nearest, seen)
    assert error(held, new) < 0.9 * error(nearest, new)
    again = coded(held.values * held.scales)
    assert np.array_equal(again.values, held.values), "an export codes them once more"
    assert np.allclose(again.scales, held.scales)
