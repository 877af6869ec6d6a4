"""Weights in 4 and 8 bits."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from edge_lstm_export.graph.weights import (
    LARGEST,
    LARGEST_PRODUCT,
    OUTPUT_STEP,
    REDUCED,
    Array,
    LstmWeights,
    Seen,
    coded,
    metric_of,
    rounded,
    rounded_lstm,
)

from edge_lstm.modelfile import embedded_model


def table_and_metric(columns: int) -> tuple[Array, Array]:
    """A table with rows of different sizes and one of zeros, and the metric of weights that do not
    read its last column."""
    random = np.random.default_rng(columns)
    sizes = random.gamma(2, size=(300, 1))
    table = (sizes * random.standard_normal((300, columns))).astype(np.float32)
    table[0] = 0
    readers = random.standard_normal((2, 3 * columns, columns)) @ random.standard_normal(
        (columns, columns)
    )
    readers[..., -1] = 0
    return table, metric_of(readers.astype(np.float32))


def test_the_metric_is_the_change_of_what_is_read() -> None:
    random = np.random.default_rng(0)
    readers = random.standard_normal((2, 12, 5)).astype(np.float32)
    error = random.standard_normal(5)
    assert error @ metric_of(readers) @ error == pytest.approx(np.square(readers @ error).sum())


@pytest.mark.parametrize("packs", [True, False], ids=["4 bits", "8 bits"])
@pytest.mark.parametrize("columns", [4, 5, 14, 30])
def test_a_metric_never_makes_the_error_of_a_row_larger(columns: int, packs: bool) -> None:
    table, metric = table_and_metric(columns)

    def errors(metric_of_rounding: Array | None) -> Array:
        held = rounded(table, packs=packs, metric=metric_of_rounding)
        error = (held.values * held.scales - table).astype(np.float64)
        return np.asarray(((error @ metric) * error).sum(axis=1))

    plain = errors(None)
    fitted = errors(metric)
    assert (fitted <= plain * (1 + 1e-5)).all()
    assert fitted.sum() < 0.95 * plain.sum()


@pytest.mark.parametrize("directions", [1, 2])
def test_an_lstm_is_rounded_so_that_its_products_with_typical_vectors_stay(directions: int) -> None:
    """Vectors that are rounded themselves, and that hardly vary, as those of padding do."""
    random = np.random.default_rng(directions)
    units = 9
    common = random.uniform(-1, 1, directions * units)
    outputs = (0.8 * common + 0.2 * random.uniform(-1, 1, (500, directions * units))).astype("f")
    inputs = (1 + 0.1 * random.standard_normal((500, 6))).astype("f")
    lstm = LstmWeights(
        random.standard_normal((directions, 4 * units, 6)).astype("f"),
        random.standard_normal((directions, 4 * units, units)).astype("f"),
        np.zeros((directions, 8 * units), "f"),
        outputs=outputs,
    )
    seen = Seen(inputs, np.rint(inputs * 50) / 50)
    held_outputs = np.rint(outputs / OUTPUT_STEP) * OUTPUT_STEP
    of_gates = []
    for rounding in (rounded_lstm(replace(lstm, outputs=None), None), rounded_lstm(lstm, seen)):
        (w, w_scales), (r, r_scales), b = rounding
        assert {w.dtype, r.dtype} == {np.dtype(np.int8)} and w_scales.shape == (directions, 1, 1)
        assert max(np.abs(w.astype(int)).max(), np.abs(r.astype(int)).max()) == REDUCED
        assert not b[:, 4 * units :].any()
        errors = []
        for k in range(directions):
            own = slice(k * units, (k + 1) * units)
            exact = inputs @ lstm.w[k].T + outputs[:, own] @ lstm.r[k].T
            given = seen.held @ (w[k] * w_scales[k]).T + b[k, : 4 * units]
            errors.append(given + held_outputs[:, own] @ (r[k] * r_scales[k]).T - exact)
        of_gates.append(np.concatenate(errors, axis=1))
    nearest, fitted = of_gates
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


@pytest.mark.parametrize("columns", [4, 5, 14, 30])
def test_8_bits_keep_the_largest_value_whatever_the_metric(columns: int) -> None:
    table, metric = table_and_metric(columns)
    held = rounded(table, packs=False, metric=metric)
    assert held.levels is None and held.factors is None
    assert np.abs(held.values.astype(int)).max() == LARGEST
    again = rounded(held.values * held.scales, packs=False, metric=metric)
    assert np.array_equal(again.values, held.values)


@pytest.mark.parametrize("columns", [4, 5, 14, 30])
def test_a_second_rounding_changes_nothing(columns: int) -> None:
    """Training rounds a network, and export rounds it again."""
    table, metric = table_and_metric(columns)
    first = rounded(table, metric=metric)
    assert first.levels is not None and first.factors is not None
    assert np.abs(first.values.astype(int)).max() == LARGEST_PRODUCT
    assert (first.levels * first.factors.astype(int) == first.values).all()
    for again in (metric, None):
        second = rounded(first.values * first.scales, metric=again)
        assert (second.values == first.values).all()
        assert second.scales == pytest.approx(first.scales)


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
    table = rng.laplace(size=(3000, columns)).astype(np.float32) * np.arange(1, columns + 1)
    table[7] = 0
    held = coded(table.astype(np.float32))
    assert held.codes is not None and held.book is not None
    assert (held.codes.dtype, held.book.dtype) == (np.uint8, np.int8)
    assert held.codes.shape == (3000, -(-columns // 4)) and held.book.shape == (256, 4)
    looked_up = held.book[held.codes].reshape(3000, -1)[:, :columns]
    assert np.array_equal(looked_up, held.values)
    errors = np.square(held.values * held.scales - table).mean(axis=0) / table.var(axis=0)
    assert errors.max() < 0.25
    assert not held.values[7].any(), "an empty slot says nothing"


def test_the_same_table_has_the_same_codes_and_a_table_of_zeros_has_some() -> None:
    table = np.random.default_rng(0).normal(size=(500, 20)).astype(np.float32)
    assert np.array_equal(coded(table).codes, coded(table).codes)
    assert not coded(np.zeros((9, 20), np.float32)).values.any()
