"""Weights in 4 and 8 bits."""

import numpy as np
import onnx
import pytest
from edge_lstm_export.arrays import Array
from edge_lstm_export.onnx.codes import coded
from edge_lstm_export.onnx.lstm_rounding import OUTPUT_STEP, REDUCED, rounded_lstm
from edge_lstm_export.onnx.rounding import (
    LARGEST,
    LARGEST_PRODUCT,
    Rounded,
    Seen,
    metric_of,
    rounded,
)
from edge_lstm_export.onnx.weights import LstmWeights
from scipy.sparse import csr_matrix

from edge_lstm.core.modelfile import embedded_model


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


def test_the_metric_is_the_change_of_what_is_read() -> None:
    random = np.random.default_rng(0)
    readers = random.standard_normal((2, 12, 5)).astype(np.float32)
    error = random.standard_normal(5)
    assert error @ metric_of(readers) @ error == pytest.approx(np.square(readers @ error).sum())


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


@pytest.mark.parametrize("directions", [1, 2])
def test_an_lstm_is_rounded_so_that_its_products_with_typical_vectors_stay(directions: int) -> None:
    """Vectors that are rounded themselves, and that hardly vary, as those of padding do."""
    random = np.random.default_rng(directions)
    units = 9
    common = random.uniform(-1, 1, directions * units)
    outputs = 0.8 * common + 0.2 * random.uniform(-1, 1, (500, directions * units))
    inputs = 1 + 0.1 * random.standard_normal((500, 6))
    exact_w = random.standard_normal((directions, 4 * units, 6))
    exact_r = random.standard_normal((directions, 4 * units, units))
    seen = Seen(inputs.astype("f"), (np.rint(inputs * 50) / 50).astype("f"))
    held_outputs = np.rint(outputs / OUTPUT_STEP) * OUTPUT_STEP

    def products(x: Array, h: Array, w: Array, r: Array) -> Array:
        """Return the products in all directions: [texts, D, 4 * units]."""
        own = h.reshape(-1, directions, units)
        return np.einsum("nk,dgk->ndg", x, w) + np.einsum("ndk,dgk->ndg", own, r)

    exact = products(inputs, outputs, exact_w, exact_r)
    errors = []
    for known, values in ((None, None), (outputs.astype("f"), seen)):
        zeros = np.zeros((directions, 4 * units), "f")
        lstm = LstmWeights(exact_w.astype("f"), exact_r.astype("f"), zeros, outputs=known)
        (w, w_scales), (r, r_scales), b = rounded_lstm(lstm, values)
        assert max(np.abs(w.astype(int)).max(), np.abs(r.astype(int)).max()) == REDUCED
        assert b.dtype == np.float32
        given = products(seen.held, held_outputs, w * w_scales, r * r_scales) + b
        errors.append(given - exact)
    nearest, fitted = errors
    assert np.square(fitted).mean() < 0.6 * np.square(nearest).mean()
    assert np.abs(fitted.mean(axis=0)).max() < 1e-4 < np.abs(nearest.mean(axis=0)).max()


def test_a_dense_layer_is_rounded_by_what_it_reads() -> None:
    random = np.random.default_rng(0)
    w = random.standard_normal((20, 3)).astype("f")
    inputs = (random.standard_normal((200, 6)) @ random.standard_normal((6, 20))).astype("f")
    errors = []
    for given in (None, inputs):
        table = rounded(w, 1, packs=False, inputs=given)
        errors.append(np.square(inputs @ (table.values * table.scales - w)).mean())
    assert errors[1] < 0.2 * errors[0]


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


@pytest.mark.parametrize("columns", [1, 3])
def test_a_narrow_table_has_a_factor_for_16_numbers_whatever_their_rows(columns: int) -> None:
    table = table_and_metric(4)[0][:, :columns] ** 3
    first = rounded(table, 0)
    assert first.levels is not None and first.levels.shape == (-(-300 * columns // 16), 16)
    error = np.square(first.values * first.scales - table).sum() / np.square(table).sum()
    assert error < 0.01 and first.values.shape == table.shape
    second = rounded(first.values * first.scales, 0)
    assert np.array_equal(second.values, first.values)


def test_a_table_is_unpacked_by_few_operators_and_never_as_floats() -> None:
    """ONNX Runtime runs them when it loads the file: most of the time that this takes."""
    model = onnx.shape_inference.infer_shapes(onnx.load(embedded_model()))
    types = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    constants = {constant.name for constant in model.graph.initializer}
    unpacked = {"embedding_q"}
    for node in model.graph.node:
        if {*node.input} <= constants | unpacked and {*node.input} & unpacked:
            unpacked.add(node.output[0])
        elif {*node.input} <= constants:
            constants.add(node.output[0])
    made = unpacked - {"embedding_q"}
    assert 1 <= len(made) <= 6
    assert onnx.TensorProto.FLOAT not in {types[name] for name in made}


@pytest.mark.parametrize("columns", [16, 17, 23])
def test_codes_name_rows_of_a_book_near_the_table_in_half_the_bytes_of_4_bits(
    columns: int,
) -> None:
    rng = np.random.default_rng(columns)
    table = rng.laplace(size=(3000, columns)).astype(np.float32)
    table[7] = 0
    held = coded(table)
    assert held.codes.nbytes == 3000 * -(-columns // 4)
    looked_up = held.book[held.codes].reshape(3000, -1)[:, :columns]
    assert np.array_equal(looked_up, held.values)
    errors = np.square(held.values * held.scales - table).mean(axis=0) / table.var(axis=0)
    assert errors.max() < 0.25
    assert not held.values[7].any(), "an empty slot says nothing"


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
    nothing = coded(table, csr_matrix((0, 2000), dtype=np.float32))
    assert np.array_equal(nothing.codes, nearest.codes)


def test_the_same_table_has_the_same_codes_and_a_table_of_zeros_has_some() -> None:
    table = np.random.default_rng(0).normal(size=(500, 20)).astype(np.float32)
    assert np.array_equal(coded(table).codes, coded(table).codes)
    assert not coded(np.zeros((9, 20), np.float32)).values.any()
