"""The linear part's operators: ids → the weights of a text's words and word pairs (network.table_rows).

GatherElements on a flat list of rows, where a Gather would do: ONNX Runtime's Gather copies row by row,
which takes twice as long where a row is one byte. Shapes in comments: B batch, T time steps.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from edge_lstm_export.graph_builder import Array, GraphBuilder
from edge_lstm_export.network import PAIR_LEFT, PAIR_RIGHT, PAIR_SHIFT, NetworkConfig

TO_THE_END = 2**31 - 1


def add_pair_weights(g: GraphBuilder, config: NetworkConfig, table: Array) -> str:
    """Adds what looks the table up → its name: [logits, B, 2T - 1], of the table's dtype, 0 for padding.

    table: [logits, rows], any dtype; reads the output ``ids`` of ``graph.add_lengths``.
    """
    rows = _add_rows(g, config)  # B, 2T - 1
    shape = g.add(
        "Concat",
        [g.ints("logits_count", config.logits), g.add("Shape", [rows], "rows_shape")],
        "pair_weights_shape",
        axis=0,
    )
    flat = g.add("Reshape", [rows, g.ints("flat", 1, -1)], "rows_flat")  # 1, B · (2T - 1)
    if config.logits > 1:
        flat = g.add("Expand", [flat, g.ints("a_row_per_logit", config.logits, 1)], "rows_per_logit")
    found = g.add("GatherElements", [g.constant("pairs", table), flat], "pair_weights_flat", axis=1)
    return g.add("Reshape", [found, shape], "pair_weights")


def _add_rows(g: GraphBuilder, config: NetworkConfig) -> str:
    """network.table_rows in ONNX → the name of the rows [B, 2T - 1]."""
    dtype = _dtype(config)
    ids = "ids"  # int32 B, T
    if dtype is np.int64:
        ids = g.add("Cast", [ids], "ids_int64", to=TensorProto.INT64)

    def number(name: str, value: int) -> str:
        return g.constant(name, np.array(value, dtype=dtype))

    axis = g.ints("axis_1", 1)
    left = g.add("Slice", [ids, g.ints("start_0", 0), g.ints("before_last", -1), axis], "left")  # B, T - 1
    right = g.add("Slice", [ids, g.ints("start_1", 1), g.ints("to_the_end", TO_THE_END), axis], "right")
    a = g.add("Mul", [left, number("pair_left", PAIR_LEFT)], "left_product")
    b = g.add("Mul", [right, number("pair_right", PAIR_RIGHT)], "right_product")
    mixed = g.add("Add", [g.add("Add", [a, b], "products"), number("pair_shift", PAIR_SHIFT)], "mixed")
    bucket = g.add("Mod", [mixed, number("pair_buckets", config.pair_buckets)], "bucket")
    row = g.add("Add", [bucket, number("pair_start", config.pair_start)], "pair_row")
    # Padding's id is 0, every other id at least 1: a pair with padding goes to row 0.
    is_pair = g.add("Min", [right, number("pair_one", 1)], "is_pair")
    return g.add("Concat", [ids, g.add("Mul", [row, is_pair], "pair_rows")], "rows", axis=1)


def _dtype(config: NetworkConfig) -> type[np.int32] | type[np.int64]:
    """int32 where no id makes the hash run over, since it is faster; else int64."""
    highest = config.num_words * (PAIR_LEFT + PAIR_RIGHT) + PAIR_SHIFT
    fits = max(highest, config.pair_start + config.pair_buckets) < 2**31
    return np.int32 if fits else np.int64
