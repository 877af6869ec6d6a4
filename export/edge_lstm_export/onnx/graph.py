"""Network weights → ONNX graph → model file.

The graph is written in ONNX's textual syntax: the shortest way to hand ``sequence_lens`` to the
LSTM operator, and to see in one place what runs on the device. Shapes in comments: B batch, N
length of the input, T time steps that are run, E embedding, H hidden units, D directions, L labels.
"""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx.parser
from google.protobuf.message import EncodeError
from onnx import TensorProto, helper, numpy_helper

from edge_lstm import __version__
from edge_lstm.core import modelfile
from edge_lstm.core.layers import Lstm, NetworkConfig
from edge_lstm.core.modelfile import INPUT_NAME, OUTPUT_NAME
from edge_lstm.core.text import OOV_ID
from edge_lstm.errors import CheckError
from edge_lstm.printable import well_formed
from edge_lstm_export.network import BUCKET_FACTOR, FINGERPRINTS, LEFT_FACTOR, PRIME, SLOT_FACTOR
from edge_lstm_export.onnx.codes import CODED, coded
from edge_lstm_export.onnx.lstm_rounding import rounded_lstm, seen_inputs, seen_outputs
from edge_lstm_export.onnx.rounding import (
    LARGEST_4_BITS,
    LARGEST_FACTOR,
    Rounded,
    Seen,
    metric_of,
    packed,
    packed_factors,
    rounded,
)
from edge_lstm_export.onnx.weights import DenseWeights, GraphWeights, LstmWeights, with_sentinels

# Every ONNX Runtime since 1.16 reads them.
OPSET = 17
IR_VERSION = 8
MICROSOFT_DOMAIN = "com.microsoft"
# Take the maximum of long texts over blocks of this many steps first: ONNX Runtime is faster so.
# Not the mean: the order in which a middle axis is added up follows the size of the batch, and a
# text's bits with it.
POOLING_BLOCK = 8
# The first id that can be an n-gram: 0 is padding, 1 the start.
FIRST_NGRAM_ID = OOV_ID
ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid"}

# Types of a Cast.
FLOAT = TensorProto.FLOAT
BOOL = TensorProto.BOOL
INT8 = TensorProto.INT8
UINT8 = TensorProto.UINT8
INT32 = TensorProto.INT32
INT64 = TensorProto.INT64


@dataclass
class GraphBuilder:
    """Collects nodes and constants.

    Its other fields are the arguments of :func:`build`.
    """

    weights: GraphWeights
    config: NetworkConfig
    length: int
    int8: bool
    long: bool
    may_be_empty: bool
    packs: bool
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    named: set[str] = field(default_factory=set)

    def weight(self, name: str, value: Any) -> str:
        """Add a constant that docs/file-format.md names, and return its name."""
        self.named.add(name)
        return self.constant(name, value)

    def constant(self, name: str, value: Any) -> str:
        """Add a constant that gets a short name in the file. Return its long name.

        value: an array or a number of NumPy. Whole numbers of Python become int64, as shapes and
            axes are.
        """
        is_typed = isinstance(value, (np.ndarray, np.generic))
        array = np.ascontiguousarray(value, None if is_typed else np.int64)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, text: str, **constants: Any) -> str:
        """Add operators, and return the output of the last one.

        text: a line of ONNX's textual syntax for each: ``output = Operator<attributes>(inputs)``.
        constants: that they read, by their names.
        """
        for name, value in constants.items():
            self.constant(name, value)
        nodes = onnx.parser.parse_graph(f"lines () => () {{ {text}\n }}").node
        for node in nodes:
            node.ClearField("domain")  # the parser writes an empty one
        self.nodes.extend(nodes)
        return str(nodes[-1].output[0])


def build(
    weights: GraphWeights,
    config: NetworkConfig,
    length: int,
    *,
    int8: bool,
    long: bool,
    may_be_empty: bool = False,
    packs: bool = True,
) -> onnx.ModelProto:
    """Build the graph: input_ids int32 [B, length] → probabilities float32 [B, L].

    int8: make the int8 graph; weights.py says what that promises.
    long: the texts are long. For short ones, pooling by blocks costs more than it saves.
    may_be_empty: a text may have no id; its rule decides that.
    packs: an int8 file keeps its tables in 4 bits.
    """
    if int8:
        weights = with_sentinels(weights, config)
    g = GraphBuilder(weights, config, length, int8, long, may_be_empty, packs)
    _add_lengths(g)
    parts = []
    if config.lstms:
        values = _add_lstms(g)
        for j, (layer, dense) in enumerate(zip(config.dense, weights.dense)):
            values = _add_dense(g, f"dense{j}", dense, values, f"dense{j}_sums", packs=False)
            if layer.activation != "linear":
                values = g.add(f"dense{j} = {ACTIVATIONS[layer.activation]}({values})")
        parts.append(values)
    else:
        _add_cut_ids(g, 1)
    if config.ngrams:
        _add_ngram_sums(g)
        root = "lengths_root = Sqrt(lengths_float)"
        parts.append(g.add(f"{root}\n ngram_mean = Div(ngram_sums, lengths_root)"))
    values = parts[0]
    if len(parts) > 1:
        values = g.add(f"head_inputs = Concat<axis = 1>({', '.join(parts)})")
    _add_dense(g, "head", weights.head, values, "logits", packs=packs)
    _add_probabilities(g)
    return _assemble(g)


def _add_lengths(g: GraphBuilder) -> None:
    """Add the number of ids of each row, int32 [B], and of the steps that are run for it."""
    config = g.config
    g.add(
        f"""
        is_token = Min({INPUT_NAME}, one)  # padding is 0, every other id is at least 1
        row_lengths = ReduceSum<keepdims = 0>(is_token, axis_1)
        """,
        one=np.int32(1),
        axis_1=1,
    )
    if config.padding != "none":
        return
    g.add("lengths = Max(row_lengths, one)")
    if config.ngrams or config.lstms[-1].gives != "last":
        g.add(
            f"""
            lengths_column = Unsqueeze(lengths, axis_1)  # B, 1
            lengths_float = Cast<to = {FLOAT}>(lengths_column)
            """
        )


def _add_cut_ids(g: GraphBuilder, block: int) -> str:
    """Add the ids of the steps that are run [B, T].

    The matrix is cut to the batch's longest row, rounded up to blocks, so that nothing behind it
    costs time. A row without any id counts as one step of padding ("lengths" is at least 1): a
    length of 0 would make a mean over nothing.
    """
    longest = g.add("longest_int = ReduceMax<axes = [0], keepdims = 1>(lengths)")
    if block > 1:
        longest = g.add(
            """
            longest_and_rest = Add(longest_int, block_less_one)
            blocks = Div(longest_and_rest, block)
            longest_rounded = Mul(blocks, block)
            """,
            block=np.int32(block),
            block_less_one=np.int32(block - 1),
        )
    return g.add(
        f"ids = Slice({INPUT_NAME}, cut_start, {longest}, cut_axis)",
        # int32, as the lengths are: a Slice takes its three numbers in one type.
        cut_start=np.int32(0),
        cut_axis=np.int32(1),
    )


def _add_lstms(g: GraphBuilder) -> str:
    """Add all → the values that the next layer reads of the last LSTM: [B, values]."""
    layer = g.config.lstms[-1]
    block = 1
    if g.long and layer.has_maximum and g.length % POOLING_BLOCK == 0:
        block = POOLING_BLOCK
    _add_steps(g, block)
    _add_start_row(g)
    seen = _add_embedding(g)
    x = "embedded"  # T, B, E
    for k, (of_layer, lstm) in enumerate(zip(g.config.lstms, g.weights.lstms)):
        if k:
            shape = g.constant(f"steps{k}_shape", (0, 0, lstm.w.shape[2]))
            x = g.add(
                f"""
                steps{k}_moved = Transpose<perm = [0, 2, 1, 3]>({x})
                steps{k}_read = Reshape(steps{k}_moved, {shape})
                """
            )
        x, last, first = _add_lstm(g, f"lstm{k}", of_layer, lstm, x, seen)
        seen = seen_outputs(lstm)
    units = g.weights.lstms[-1].r.shape[2]
    if layer.gives != "last":
        first = ""
        last = _add_mean_and_max(g, x, layer, units, block)
    if g.may_be_empty and g.config.padding == "none":
        last = _add_without_steps(g, last, first)
    return g.add(
        f"""
        pooled_moved = Transpose<perm = [1, 0, 2]>({last})  # B, blocks, H
        pooled = Reshape(pooled_moved, pooled_shape)
        """,
        pooled_shape=(0, layer.values(units - layer.units)),
    )


def _add_steps(g: GraphBuilder, block: int) -> None:
    """Add the ids of the steps that are run [T, B]."""
    ids = INPUT_NAME
    if g.config.padding == "none":
        ids = _add_cut_ids(g, block)
    if g.config.padding == "front":
        ids = _add_moved_ids(g)
    g.add(f"steps = Transpose<perm = [1, 0]>({ids})")


def _add_moved_ids(g: GraphBuilder) -> str:
    """Add the rows with their padding before the ids, [B, length]."""
    return g.add(
        f"""
        lengths_column = Unsqueeze(row_lengths, axis_1)
        places_of_ids = Add(places, lengths_column)
        places_or_none = Max(places_of_ids, no_place)
        ids_and_padding = Pad<mode = "constant">({INPUT_NAME}, one_padding)
        ids_moved = GatherElements<axis = 1>(ids_and_padding, places_or_none)
        """,
        # Place j has the id j - (length - T): below 0 it has padding, the last column (-1).
        places=np.arange(g.length, dtype=np.int32)[None] - g.length,
        no_place=np.int32(-1),
        one_padding=(0, 0, 0, 1),
    )


def _add_start_row(g: GraphBuilder) -> None:
    """Add the row of the tables of first states, if any, that each text begins in, int32 [B]."""
    tables = g.weights.lstms[0].first
    if tables is None:
        return
    g.add(
        """
        padding_steps = Sub(length, row_lengths)
        start_row = Min(padding_steps, last_row)
        """,
        length=np.int32(g.length),
        last_row=np.int32(tables.shape[2] - 1),
    )


def _add_mean_and_max(g: GraphBuilder, outputs: str, layer: Lstm, units: int, block: int) -> str:
    """Add mean or maximum over the steps, or both → [blocks, B, H].

    outputs: [T, D, B, H], T a multiple of ``block``, zero behind each row's end, as ONNX
        Runtime's LSTM writes them.
    """
    parts = []
    if layer.gives != "max":
        g.add(f"total = ReduceSum<keepdims = 0>({outputs}, axis_0)", axis_0=0)
        count = "lengths_float"
        if g.config.padding != "none":
            count = g.constant("steps_float", np.float32(g.length))
        parts.append(g.add(f"mean = Div(total, {count})"))
    if layer.has_maximum:
        if layer.floor == -1 and g.config.padding == "none":
            outputs = _add_floor(g, outputs)
        highest = _add_highest(g, outputs, layer.directions, units, block)
        if layer.floor == 0:
            zero = g.weight("zero_float", np.float32(0))
            highest = g.add(f"max = Max(highest, {zero})")
        parts.append(highest)
    if len(parts) == 1:
        return parts[0]
    return g.add(f"pooled_parts = Concat<axis = 0>({', '.join(parts)})")


def _add_floor(g: GraphBuilder, outputs: str) -> str:
    """Add -1, the least output, behind each row's end → [T, D, B, H]."""
    return g.add(
        f"""
        is_step = Cast<to = {BOOL}>(steps)
        is_step_of_row = Unsqueeze(is_step, step_axes)
        outputs_or_floor = Where(is_step_of_row, {outputs}, floor)
        """,
        step_axes=(1, 3),
        floor=np.float32(-1),
    )


def _add_highest(g: GraphBuilder, outputs: str, directions: int, units: int, block: int) -> str:
    """Add the maximum over the steps → [D, B, H]."""
    if block == 1:
        return g.add(f"highest = ReduceMax<axes = [0], keepdims = 0>({outputs})")
    # A step's D, B, H values as B, D·H, whose sizes need not be asked for (0 is the third of
    # the input's, B): the maximum does not mind which value is whose, and they are put right
    # behind it.
    return g.add(
        f"""
        output_blocks = Reshape({outputs}, block_shape)  # T / block, block, B, D·H
        block_highest = ReduceMax<axes = [1], keepdims = 0>(output_blocks)
        highest_mixed = ReduceMax<axes = [0], keepdims = 0>(block_highest)
        highest = Reshape(highest_mixed, max_shape)
        """,
        block_shape=(-1, block, 0, directions * units),
        max_shape=(directions, -1, units),
    )


def _add_without_steps(g: GraphBuilder, pooled: str, first: str) -> str:
    """Add the outputs for a text without ids: the first outputs, or zeros.

    pooled: [blocks, B, H].
    first: [D, B, H], or "".
    """
    g.constant("row_axes", (0, 2))
    other = first or g.constant("nothing_read", np.float32(0))
    return g.add(
        f"""
        has_ids = Cast<to = {BOOL}>(row_lengths)
        has_ids_of_row = Unsqueeze(has_ids, row_axes)
        pooled_or_first = Where(has_ids_of_row, {pooled}, {other})
        """
    )


def _add_embedding(g: GraphBuilder) -> Seen | None:
    """Add the look-up → "embedded", [T, B, E], in int8 [T, B, E + 2]. Return typical ones.

    The last two are the sentinels 127 and -128. With both ends in every row the LSTM operator's own
    scale is exactly the embedding's (range / 255, zero at 128), so its rounding changes nothing
    more.
    """
    embedding = g.weights.embedding
    if not g.int8:
        table = g.weight("embedding", embedding)
        g.add(f"embedded = Gather({table}, steps)")
        return None
    # The LSTM's last inputs are the sentinels.
    metric = metric_of(g.weights.lstms[0].w[:, :, : embedding.shape[1]])
    rounded_table = rounded(embedding, packs=g.packs, metric=metric)
    table = _add_table(g, "embedding", rounded_table)
    scale = g.weight("embedding_scale", rounded_table.scales.ravel())
    g.add(
        f"""
        embedding_highest = Pad<mode = "constant">({table}, one_column, highest_end)
        embedding_lowest = Pad<mode = "constant">(embedding_highest, one_column, lowest_end)
        embedded_int8 = Gather(embedding_lowest, steps)
        embedded = DequantizeLinear(embedded_int8, {scale})
        """,
        highest_end=np.int8(127),
        lowest_end=np.int8(-128),
        one_column=(0, 0, 0, 1),
    )
    return seen_inputs(g.weights, rounded_table)


def _add_table(g: GraphBuilder, name: str, table: Rounded) -> str:
    """Add a table of an int8 file → its values as int8 [rows, columns].

    ONNX Runtime computes all of it once, when it loads the file: the fewer operators, and the
    narrower their numbers, the sooner it is done. So each byte, of two 4-bit numbers, is looked up
    among the products with its row's factor.
    """
    rows, columns = table.values.shape
    if table.codes is not None and table.book is not None:
        codes = g.weight(f"{name}_c", table.codes)
        book = g.weight(f"{name}_b", table.book)
        each = CODED
        g.add(
            f"""
            {name}_codes = Cast<to = {INT32}>({codes})
            {name}_numbers = Gather({book}, {name}_codes)  # rows, groups, each
            """
        )
    elif table.levels is not None and table.factors is not None:
        held = g.weight(f"{name}_q", packed(table.levels))
        factors = g.weight(f"{name}_m", packed_factors(table.factors))
        each = 2
        _add_products(g)
        starts = g.add(
            f"""
            {name}_pairs = Cast<to = {INT32}>({held})
            {name}_int = Cast<to = {INT32}>({factors})
            {name}_both = Gather(factor_starts, {name}_int)  # rows / 2, 2
            {name}_starts = Reshape({name}_both, column_shape)
            """
        )
        if len(table.factors) % 2:
            # The last byte has the factor of one row.
            bounds = {f"{name}_first": 0, f"{name}_last": -1, f"{name}_by_row": 0}
            starts = g.add(f"{name}_of_rows = Slice({starts}, {', '.join(bounds)})", **bounds)
        g.add(
            f"""
            {name}_places = Add({starts}, {name}_pairs)
            {name}_numbers = Gather(products, {name}_places)  # rows, bytes, 2
            """
        )
    else:
        return g.weight(name, table.values)
    # The numbers of a narrow table are packed in other rows: they become one row first.
    is_narrow = table.levels is not None and table.levels.shape[1] != columns
    cut = (1, rows * columns) if is_narrow else (rows, columns)
    shape = g.constant(f"{name}_shape", (cut[0], -1))
    numbers = g.add(f"{name}_rows = Reshape({name}_numbers, {shape})")
    if is_narrow or columns % each:
        # Behind the last column are zeros.
        bounds = {f"{name}_from": 0, f"{name}_to": cut[1], f"{name}_axis": 1}
        numbers = g.add(f"{name}_cut = Slice({numbers}, {', '.join(bounds)})", **bounds)
    if is_narrow:
        shape = g.constant(f"{name}_table_shape", (rows, columns))
        numbers = g.add(f"{name}_table = Reshape({numbers}, {shape})")
    return numbers


def _add_products(g: GraphBuilder) -> None:
    """Add, once, "products" and "factor_starts".

    products: of all factors and pairs of 4-bit numbers, int8 [factor · byte, 2]. (Of the types that
        may be meant, ONNX Runtime multiplies float32 alone.)
    factor_starts: for the two factors in a byte the place of their first products, int32 [byte, 2].
    """
    if any(node.output[0] == "products" for node in g.nodes):
        return
    levels = np.maximum(np.arange(16, dtype=np.float32) - 8, -LARGEST_4_BITS)  # a half is never 0
    starts = np.arange(LARGEST_FACTOR, dtype=np.int32) * 256
    g.add(
        f"""
        halves = Where(is_low, low_half, high_half)
        pair_floats = Mul(halves, factors)
        pair_numbers = Cast<to = {INT8}>(pair_floats)
        products = Reshape(pair_numbers, pairs_shape)
        both_starts = Where(is_low, low_start, high_start)
        factor_starts = Reshape(both_starts, pairs_shape)
        """,
        low_half=levels[:, None],
        high_half=levels[:, None, None],
        is_low=np.array([True, False]),
        factors=np.arange(1, LARGEST_FACTOR + 1, dtype=np.float32)[:, None, None, None],
        low_start=starts[:, None],
        high_start=starts[:, None, None],
        pairs_shape=(-1, 2),
        column_shape=(-1, 1),
    )


def _add_lstm(
    g: GraphBuilder, name: str, layer: Lstm, lstm: LstmWeights, x: str, seen: Seen | None
) -> tuple[str, str, str]:
    """Add the LSTM operator → its outputs [T, D, B, H], its last and its first states [D, B, H].

    The first states are "" if they are zeros.

    seen: its inputs in typical texts, by which int8 is rounded; None: not known.
    """
    directions, _, hidden = lstm.r.shape
    direction = "bidirectional" if directions == 2 else "forward"
    attributes: dict[str, Any] = {"hidden_size": hidden, "direction": direction}
    if layer.hard_sigmoid is not None:
        attributes["activations"] = ["HardSigmoid", "Tanh", "Tanh"] * directions
        attributes["activation_alpha"] = [layer.hard_sigmoid] * directions
        attributes["activation_beta"] = [0.5] * directions
    # Without lengths, the operator runs all steps.
    lengths = "lengths" if g.config.padding == "none" else ""
    states = ["", ""]
    if lstm.first is not None:
        for i, part in enumerate("hc"):
            table = g.weight(f"{name}_{part}", lstm.first[i])
            states[i] = g.add(f"first_{part}_of_{name} = Gather<axis = 1>({table}, start_row)")
    op_type = "LSTM"
    weights = {"w": lstm.w, "r": lstm.r, "b": lstm.b}
    scales = {}
    if g.int8:
        op_type = "DynamicQuantizeLSTM"
        attributes["domain"] = MICROSOFT_DOMAIN
        (w, scales["w"]), (r, scales["r"]), bias = rounded_lstm(lstm, seen)
        weights = {"w": w.transpose(0, 2, 1), "r": r.transpose(0, 2, 1), "b": bias}
    inputs = [x]
    for part, values in weights.items():
        inputs.append(g.weight(f"{name}_{part}", values))
    # The operator's second bias, of the recurrence, is zeros.
    inputs[-1] = g.add(
        f"""
        {name}_no_bias = Sub({name}_b, {name}_b)
        {name}_biases = Concat<axis = 1>({name}_b, {name}_no_bias)
        """
    )
    inputs += [lengths, *states, ""]  # "": no peepholes
    if scales:
        zero = g.weight(f"{name}_zero", np.zeros(directions, np.int8))
        for part, scale in scales.items():
            inputs += [g.weight(f"{name}_{part}_scale", scale.ravel()), zero]
    while not inputs[-1]:
        inputs.pop()
    outputs = [f"{name}_outputs", f"{name}_last"]
    g.nodes.append(helper.make_node(op_type, inputs, outputs, **attributes))
    return outputs[0], outputs[1], states[0]


def _add_ngram_sums(g: GraphBuilder) -> None:
    """Add "ngram_sums", the sum of a text's n-gram vectors [B, width].

    int8: counts of at most 64 times int8, added up in int32: exact, in any order, and on AVX2 too.
        It adds two of the products in 16 bits, and they fit.
    """
    vectors = g.weights.ngram_vectors
    if not g.int8:
        table = g.weight("ngram_vectors", vectors)
        _add_present(g)
        g.add(f"ngrams_present_float = Cast<to = {FLOAT}>(ngrams_present)")
        table = _add_no_ngrams(g, table)
        g.add(f"ngram_sums = MatMul(ngrams_present_float, {table})")
        return
    # Without codes, a scale a column: logits differ in size.
    has_codes = g.packs and g.config.codes_ngrams
    scaled = coded(vectors) if has_codes else rounded(vectors, 0, packs=g.packs)
    table = _add_no_ngrams(g, _add_table(g, "ngram_vectors", scaled))
    _add_present(g)
    scales = g.weight("ngram_scales", scaled.scales[0])
    g.add(
        f"""
        ngram_sums_int = MatMulInteger(ngrams_present, {table})
        ngram_sums_float = Cast<to = {FLOAT}>(ngram_sums_int)
        ngram_sums = Mul(ngram_sums_float, {scales})
        """
    )


def _add_no_ngrams(g: GraphBuilder, table: str) -> str:
    """Add rows of zeros before the vectors, for ids and pairs that have none."""
    rows = (FIRST_NGRAM_ID, 0, 0, 0)
    return g.add(f'{table}_and_none = Pad<mode = "constant">({table}, no_ngrams)', no_ngrams=rows)


def _add_present(g: GraphBuilder) -> None:
    """Add "ngrams_present", how often each n-gram of a text counts.

    It is uint8 [B, FIRST_NGRAM_ID + words + slots]. Column i belongs to id i, and the columns of
    the slots follow. The first two, for padding and start, stand for everything that is not an
    n-gram: their vectors are zeros.
    """
    config = g.config
    slots_start = FIRST_NGRAM_ID + config.ngram_words
    g.add(f"ngram_ids = Cast<to = {INT64}>(ids)", no_column=0)  # B, T
    parts = []
    if config.ngram_words == config.num_words - FIRST_NGRAM_ID:
        parts.append("ngram_ids")
    elif config.ngram_words:
        words = """
        is_ngram_word = Less(ngram_ids, slots_start)
        word_columns = Where(is_ngram_word, ngram_ids, no_column)
        """
        parts.append(g.add(words, slots_start=slots_start))
    if config.ngram_slots:
        _add_slots(g)
        pairs = """
        slot_columns = Add(pair_slots, pairs_start)
        pair_columns = Where(is_pair, slot_columns, no_column)
        """
        parts.append(g.add(pairs, pairs_start=slots_start))
    counts_once = config.ngram_counts == (1,)
    # A byte would start again from 0 at the 256th occurrence.
    kind = UINT8 if counts_once else INT32
    g.add(
        f"""
        ngram_columns = Concat<axis = 1>({", ".join(parts)})
        is_ngram = Cast<to = {BOOL}>(ngram_columns)
        ngram_ones = Cast<to = {kind}>(is_ngram)  # 1 for an n-gram, 0 for the column of nothing
        first_column = Cast<to = {kind}>(lengths_column)
        no_ngrams_present = Pad<mode = "constant">(first_column, present_width)
        """,
        present_width=(0, 0, 0, slots_start + config.ngram_slots - 1),
    )
    inputs = "no_ngrams_present, ngram_columns, ngram_ones"
    if counts_once:
        g.add(f"ngrams_present = ScatterElements<axis = 1>({inputs})")
        return
    g.add(
        f"""
        ngram_counts = ScatterElements<axis = 1, reduction = "add">({inputs})
        ngram_counts_capped = Min(ngram_counts, ngram_most)
        ngrams_present = Gather(counts_by_occurrences, ngram_counts_capped)
        """,
        ngram_most=np.int32(len(config.ngram_counts)),
        counts_by_occurrences=np.array([0, *config.ngram_counts], np.uint8),
    )


def _add_slots(g: GraphBuilder) -> None:
    """Add the look-up of pairs of neighbours among "ngram_ids", see pairs.PairTable.find.

    A pair is an id with the next one. "pair_slots" is its slot, int64 [B, T], and "is_pair" tells
    whether it is the slot's own, bool [B, T].
    """
    pairs = g.weights.pairs
    slots = len(pairs.fingerprints)
    own_displacements = g.weight("pair_displacements", pairs.displacements.astype(np.uint8))
    own_fingerprints = g.weight("pair_fingerprints", pairs.fingerprints.astype(np.uint8))
    g.add(
        f"""
        ids_and_none = Pad<mode = "constant">(ngram_ids, one_more)
        neighbours = Slice(ids_and_none, neighbours_from, neighbours_to, neighbours_by)
        ids_shifted = Mul(ngram_ids, left_factor)
        pair_ids = Add(ids_shifted, neighbours)
        pair_keys = Mod(pair_ids, prime)

        high_product = Mul(pair_keys, bucket_factor)
        high = Mod(high_product, prime)
        low_product = Mul(pair_keys, slot_factor)
        low = Mod(low_product, prime)

        high_rest = Div(high, buckets)
        strides_less_one = Mod(high_rest, strides)
        pair_strides = Add(strides_less_one, one_stride)
        displacements = Cast<to = {INT64}>({own_displacements})
        pair_buckets = Mod(high, buckets)
        pair_displacement = Gather(displacements, pair_buckets)
        moves = Mul(pair_displacement, pair_strides)
        places = Add(low, moves)
        pair_slots = Mod(places, slots)

        # The file's fingerprints begin with 1, since 0 marks an empty slot.
        fingerprints = Cast<to = {INT64}>({own_fingerprints})
        fingerprints_from_0 = Sub(fingerprints, one_print)
        pair_prints = Mod(low, print_modulus)
        slot_prints = Gather(fingerprints_from_0, pair_slots)
        is_own = Equal(slot_prints, pair_prints)
        # Padding, 0, stands behind the text, so only its last id has none behind it.
        has_right = Cast<to = {BOOL}>(neighbours)
        is_pair = And(is_own, has_right)
        """,
        neighbours_from=1,
        neighbours_to=2**31,
        neighbours_by=1,
        one_more=(0, 0, 0, 1),
        left_factor=LEFT_FACTOR,
        prime=PRIME,
        bucket_factor=BUCKET_FACTOR,
        slot_factor=SLOT_FACTOR,
        buckets=len(pairs.displacements),
        strides=max(slots - 1, 1),
        one_stride=1,
        slots=slots,
        one_print=1,
        print_modulus=FINGERPRINTS,
    )


def _add_dense(
    g: GraphBuilder, name: str, dense: DenseWeights, values: str, output: str, *, packs: bool
) -> str:
    """Add a dense layer without its activation → [B, units]. values: [B, inputs].

    packs: whether an int8 file may have its weights in 4 bits.

    int8: the weights have a scale an input, and are multiplied as float32. ONNX Runtime computes
    Cast and Mul once, when it loads the file, and packs the product, as it does a
    constant: then a row has the same bits alone and in any batch. A DequantizeLinear stays in the
    graph, and with it a single row is multiplied in another order than several.
    """
    if g.int8:
        table = rounded(dense.w, 1, packs=packs, inputs=dense.inputs)
        numbers = _add_table(g, f"{name}_w", table)
        scales = g.weight(f"{name}_w_scales", table.scales)
        weight = g.add(
            f"""
            {name}_w_floats = Cast<to = {FLOAT}>({numbers})
            {name}_w_float = Mul({name}_w_floats, {scales})
            """
        )
    else:
        weight = g.weight(f"{name}_w", dense.w)
    bias = g.weight(f"{name}_b", dense.b)
    return g.add(
        f"""
        {name}_product = MatMul({values}, {weight})
        {output} = Add({name}_product, {bias})
        """
    )


def _add_probabilities(g: GraphBuilder) -> None:
    """Add what turns "logits" [B, logits] into the graph's output [B, L]."""
    if g.config.multi_label:
        g.add(f"{OUTPUT_NAME} = Sigmoid(logits)")
    elif g.config.labels == 2:
        signs = g.weight("signs", np.array([[-1, 1]], np.float32))
        g.add(f"both_logits = Mul(logits, {signs})")
        g.add(f"{OUTPUT_NAME} = Sigmoid(both_logits)")
    else:
        g.add(f"{OUTPUT_NAME} = Softmax<axis = 1>(logits)")


def _assemble(g: GraphBuilder) -> onnx.ModelProto:
    """Make a model of the collected nodes and constants."""
    opsets = f'"": {OPSET}'
    if g.int8:
        opsets += f', "{MICROSOFT_DOMAIN}": 1'
    model = onnx.parser.parse_model(
        f"""
        <ir_version: {IR_VERSION}, opset_import: [{opsets}],
         producer_name: "{modelfile.PRODUCER}", producer_version: "{__version__}">
        edge_lstm (int32[batch, {g.length}] {INPUT_NAME}) =>
                  (float[batch, {g.config.labels}] {OUTPUT_NAME}) {{}}
        """
    )
    _shorten(g)
    try:
        model.graph.node.extend(g.nodes)
        model.graph.initializer.extend(g.constants)
    except EncodeError as error:  # protobuf's word for memory that it did not get
        raise MemoryError from error
    return model


def _shorten(g: GraphBuilder) -> None:
    """Give all values but weights, input and output two letters, and like constants the same."""
    names: dict[str, str] = {}

    def short() -> str:
        return "".join(string.ascii_lowercase[i] for i in divmod(len(names), 26))

    constants: dict[object, onnx.TensorProto] = {}
    for constant in g.constants:
        name = constant.name
        content: object = name
        if name not in g.named:
            content = constant.data_type, tuple(constant.dims), constant.raw_data
        first = constants.setdefault(content, constant)
        if first is constant and name not in g.named:
            constant.name = short()
        names[name] = first.name
    for node in g.nodes:
        for output in node.output:
            if output != OUTPUT_NAME:
                names[output] = short()
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    g.constants = list(constants.values())


def file_bytes(model: onnx.ModelProto, description: Mapping[str, Any]) -> bytes:
    """Return the model file's bytes with a description and their digest.

    description: plain values or text by their keys, for the model's metadata.
    """
    del model.metadata_props[:]
    helper.set_model_props(model, {key: plain_text(value) for key, value in description.items()})
    return modelfile.seal(model.SerializeToString(deterministic=True))


def plain_text(value: Any) -> str:
    """Return a text as it is, and anything else as JSON."""
    if isinstance(value, str):
        return value
    return well_formed(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def check_structure(model: bytes) -> None:
    """Run the onnx package's checker with full shape inference."""
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise CheckError(
            f"the exported graph is not valid ONNX: {str(error).splitlines()[0]}"
        ) from error
