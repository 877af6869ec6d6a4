"""Tables of weights in 4 bits."""

import numpy as np
import onnx
import pytest
from edge_lstm_export.graph.weights import LARGEST_PRODUCT, Array, metric_of, rounded

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


@pytest.mark.parametrize("columns", [4, 5, 14, 30])
def test_a_metric_never_makes_the_error_of_a_row_larger(columns: int) -> None:
    table, metric = table_and_metric(columns)

    def errors(metric_of_rounding: Array | None) -> Array:
        held = rounded(table, metric=metric_of_rounding)
        error = (held.values * held.scales - table).astype(np.float64)
        return np.asarray(((error @ metric) * error).sum(axis=1))

    plain = errors(None)
    fitted = errors(metric)
    assert (fitted <= plain * (1 + 1e-5)).all()
    assert fitted.sum() < 0.95 * plain.sum()


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
