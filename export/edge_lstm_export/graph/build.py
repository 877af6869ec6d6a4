"""Network weights → ONNX graph → model file.

The graph is built operator by operator with ``onnx.helper``: the shortest way to hand
``sequence_lens`` to the LSTM operator, and to see in one place what runs on the device. Shapes in
comments: B batch, N length of the input, T time steps that are run, E embedding, H hidden units, D
directions, L labels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_lstm import __version__, modelfile
from edge_lstm.layers import Lstm, NetworkConfig
from edge_lstm.modelfile import INPUT_NAME, OUTPUT_NAME
from edge_lstm.text import OOV_ID, well_formed
from edge_lstm_export.graph.pairs import (
    BUCKET_FACTOR,
    FINGERPRINTS,
    LEFT_FACTOR,
    PRIME,
    SLOT_FACTOR,
)
from edge_lstm_export.graph.weights import (
    CODED,
    LARGEST_4_BITS,
    LARGEST_FACTOR,
    DenseWeights,
    GraphWeights,
    LstmWeights,
    Rounded,
    Seen,
    coded,
    metric_of,
    packed,
    rounded,
    rounded_lstm,
    seen_inputs,
    seen_outputs,
    with_sentinels,
)

OPSET = 17  # every ONNX Runtime since 1.16 reads it
MICROSOFT_DOMAIN = "com.microsoft"
# Take the maximum of long texts over blocks of this many steps first: ONNX Runtime is faster so.
# Not the mean: the order in which a middle axis is added up follows the size of the batch, and a
# text's bits with it.
POOLING_BLOCK = 8
# The first id that can be an n-gram: 0 is padding, 1 the start.
FIRST_NGRAM_ID = OOV_ID
ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid"}


@dataclass
class GraphBuilder:
    """Collects nodes and constants; what adds one takes its name first, and returns it.

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

    def constant(self, name: str, value: npt.ArrayLike, dtype: npt.DTypeLike | None = None) -> str:
        """Add an initializer; dtype: of one that is not an array yet."""
        array = np.ascontiguousarray(value, dtype)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def ints(self, name: str, *values: int) -> str:
        """Add an int64 vector, as shapes and axes are given."""
        return self.constant(name, values, np.int64)

    def bounds(self, name: str, start: int, end: int) -> list[str]:
        """Add the bounds of some columns, as a Slice takes them."""
        numbers = {"from": start, "to": end, "by": 1}
        return [self.ints(f"{name}_{which}", number) for which, number in numbers.items()]

    def number(self, name: str, value: int) -> str:
        """Add an int64 number."""
        return self.constant(name, value, np.int64)

    def node(
        self, outputs: Sequence[str], op_type: str, inputs: Sequence[str], **attributes: Any
    ) -> None:
        """Add an operator. It has no name: its outputs have."""
        self.nodes.append(helper.make_node(op_type, inputs, outputs, **attributes))

    def add(self, output: str, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator of one output."""
        self.node([output], op_type, inputs, **attributes)
        return output

    def reduce_max(self, output: str, value: str, *, axis: int = 0, keepdims: int = 0) -> str:
        """Add a maximum over an axis."""
        return self.add(output, "ReduceMax", value, axes=[axis], keepdims=keepdims)

    def cast(self, output: str, value: str, kind: int = TensorProto.FLOAT) -> str:
        """Add a conversion to another type."""
        return self.add(output, "Cast", value, to=kind)


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
    g = GraphBuilder(
        weights, config, length, int8=int8, long=long, may_be_empty=may_be_empty, packs=packs
    )
    row_lengths = _add_row_lengths(g)
    is_pooled = config.lstms and config.lstms[-1].gives != "last"
    if config.padding == "none":
        lengths = g.add("lengths", "Max", row_lengths, "one")
        if config.ngrams or is_pooled:
            column = g.add("lengths_column", "Unsqueeze", lengths, "axis_1")
            g.cast("lengths_float", column)  # B, 1
    parts = []
    if config.lstms:
        values = _add_lstms(g)
        for j, (layer, dense) in enumerate(zip(config.dense, weights.dense)):
            sums = f"dense{j}_sums"
            values = _add_dense(g, f"dense{j}", dense, values, sums, packs=False)
            if layer.activation != "linear":
                values = g.add(f"dense{j}", ACTIVATIONS[layer.activation], values)
        parts.append(values)
    else:
        _add_cut_ids(g, 1)
    if config.ngrams:
        total = _add_ngram_sums(g)
        root = g.add("lengths_root", "Sqrt", "lengths_float")
        parts.append(g.add("ngram_mean", "Div", total, root))
    values = parts[0]
    if parts[1:]:
        values = g.add("head_inputs", "Concat", *parts, axis=1)
    logits = _add_dense(g, "head", weights.head, values, "logits", packs=packs)
    _add_probabilities(g, logits)
    return _assemble(g)


def _add_row_lengths(g: GraphBuilder) -> str:
    """Add the number of ids of each row, int32 [B]."""
    unit = g.constant("one", 1, np.int32)
    # Padding is 0, every other id is at least 1.
    token = g.add("is_token", "Min", INPUT_NAME, unit)
    return g.add("row_lengths", "ReduceSum", token, g.ints("axis_1", 1), keepdims=0)


def _add_cut_ids(g: GraphBuilder, block: int) -> str:
    """Add the ids of the steps that are run [B, T].

    The matrix is cut to the batch's longest row, rounded up to blocks, so that nothing behind it
    costs time. A row without any id counts as one step of padding ("lengths" is at least 1): a
    length of 0 would make a mean over nothing.
    """
    longest = g.reduce_max("longest_int", "lengths", keepdims=1)
    if block > 1:
        size = g.constant("block", block, np.int32)
        rest = g.constant("block_less_one", block - 1, np.int32)
        blocks = g.add("blocks", "Div", g.add("longest_and_rest", "Add", longest, rest), size)
        longest = g.add("longest_rounded", "Mul", blocks, size)
    # int32, as the lengths are: a Slice takes its three numbers in one type.
    start = g.constant("cut_start", [0], np.int32)
    axis = g.constant("cut_axis", [1], np.int32)
    return g.add("ids", "Slice", INPUT_NAME, start, longest, axis)  # B, T


def _add_lstms(g: GraphBuilder) -> str:
    """Add all → the values that the next layer reads of the last LSTM: [B, values]."""
    layer = g.config.lstms[-1]
    block = 1
    if g.long and layer.has_maximum and g.length % POOLING_BLOCK == 0:
        block = POOLING_BLOCK
    steps = _add_steps(g, block)
    # Without lengths, the operator runs all steps.
    lengths = "lengths" if g.config.padding == "none" else ""
    row = _add_start_row(g)
    x, seen = _add_embedding(g, steps)  # T, B, E
    state = last = ""
    for k, (of_layer, lstm) in enumerate(zip(g.config.lstms, g.weights.lstms)):
        if k:
            moved = g.add(f"steps{k}_moved", "Transpose", x, perm=[0, 2, 1, 3])
            shape = g.ints(f"steps{k}_shape", 0, 0, lstm.w.shape[2])
            x = g.add(f"steps{k}_read", "Reshape", moved, shape)
        state = _add_start(g, f"lstm{k}", lstm, row)
        x, last = _add_lstm(g, f"lstm{k}", of_layer, lstm, x, lengths, state, seen)
        seen = seen_outputs(lstm)
    units = g.weights.lstms[-1].r.shape[2]
    if layer.gives != "last":
        state = ""
        last = _add_mean_and_max(g, x, layer, units, steps, block)
    if g.may_be_empty and g.config.padding == "none":
        last = _add_without_steps(g, last, state)
    moved = g.add("pooled_moved", "Transpose", last, perm=[1, 0, 2])  # B, blocks, H
    shape = g.ints("pooled_shape", 0, layer.values(units - layer.units))
    return g.add("pooled", "Reshape", moved, shape)


def _add_steps(g: GraphBuilder, block: int) -> str:
    """Add the ids of the steps that are run [T, B]."""
    ids = INPUT_NAME
    if g.config.padding == "none":
        ids = _add_cut_ids(g, block)
    if g.config.padding == "front":
        ids = _add_moved_ids(g)
    return g.add("steps", "Transpose", ids, perm=[1, 0])


def _add_moved_ids(g: GraphBuilder) -> str:
    """Add the rows with their padding before the ids, [B, length]."""
    column = g.add("lengths_column", "Unsqueeze", "row_lengths", "axis_1")
    # Place j has the id j - (length - T): below 0 it has padding, the last column (-1).
    places = np.arange(g.length, dtype=np.int32)[None] - g.length
    moved = g.add("places_of_ids", "Add", g.constant("places", places), column)
    none = g.constant("no_place", -1, np.int32)
    moved = g.add("places_or_none", "Max", moved, none)
    longer = g.ints("one_padding", 0, 0, 0, 1)
    padded = g.add("ids_and_padding", "Pad", INPUT_NAME, longer, mode="constant")
    return g.add("ids_moved", "GatherElements", padded, moved, axis=1)


def _add_start_row(g: GraphBuilder) -> str:
    """Add the row of the tables of first states that each text begins in, int32 [B]."""
    tables = g.weights.lstms[0].first
    if tables is None:
        return ""
    most = g.constant("length", g.length, np.int32)
    padding = g.add("padding_steps", "Sub", most, "row_lengths")
    last_row = g.constant("last_row", tables.shape[2] - 1, np.int32)
    return g.add("start_row", "Min", padding, last_row)


def _add_start(g: GraphBuilder, name: str, lstm: LstmWeights, row: str) -> str:
    """Add the first states of an LSTM: f"{name}_first_h" and f"{name}_first_c", [D, B, H]."""
    if lstm.first is None:
        return ""
    for part, table in zip("hc", lstm.first):
        states = g.constant(f"{name}_{part}", table)
        g.add(f"first_{part}_of_{name}", "Gather", states, row, axis=1)
    return f"first_h_of_{name}"


def _add_mean_and_max(
    g: GraphBuilder, outputs: str, layer: Lstm, units: int, steps: str, block: int
) -> str:
    """Add mean or maximum over the steps, or both → [blocks, B, H].

    outputs: [T, D, B, H], T a multiple of ``block``, zero behind each row's end, as ONNX
        Runtime's LSTM writes them.
    """
    parts = []
    if layer.gives != "max":
        total = g.add("total", "ReduceSum", outputs, g.ints("axis_0", 0), keepdims=0)
        if g.config.padding == "none":
            count = "lengths_float"
        else:
            count = g.constant("steps_float", g.length, np.float32)
        parts.append(g.add("mean", "Div", total, count))
    if layer.has_maximum:
        if layer.floor == -1 and g.config.padding == "none":
            outputs = _add_floor(g, outputs, steps)
        highest = _add_highest(g, outputs, layer.directions, units, block)
        if layer.floor == 0:
            zero = g.constant("zero_float", 0, np.float32)
            highest = g.add("max", "Max", highest, zero)
        parts.append(highest)
    if len(parts) == 1:
        return parts[0]
    return g.add("pooled_parts", "Concat", *parts, axis=0)


def _add_floor(g: GraphBuilder, outputs: str, steps: str) -> str:
    """Add -1, the least output, behind each row's end."""
    is_step = g.cast("is_step", steps, TensorProto.BOOL)
    is_step = g.add("is_step_of_row", "Unsqueeze", is_step, g.ints("step_axes", 1, 3))
    floor = g.constant("floor", -1, np.float32)
    return g.add("outputs_or_floor", "Where", is_step, outputs, floor)  # T, D, B, H


def _add_highest(g: GraphBuilder, outputs: str, directions: int, units: int, block: int) -> str:
    """Add the maximum over the steps → [D, B, H]."""
    if block == 1:
        return g.reduce_max("highest", outputs)
    # A step's D, B, H values as B, D·H, whose sizes need not be asked for (0 is the third of
    # the input's, B): the maximum does not mind which value is whose, and they are put right
    # behind it.
    shape = g.ints("block_shape", -1, block, 0, directions * units)
    blocks = g.add("output_blocks", "Reshape", outputs, shape)  # T / block, block, B, D·H
    mixed = g.reduce_max("highest_mixed", g.reduce_max("block_highest", blocks, axis=1))
    return g.add("highest", "Reshape", mixed, g.ints("max_shape", directions, -1, units))


def _add_without_steps(g: GraphBuilder, pooled: str, first: str) -> str:
    """Add the outputs for a text without ids: the first outputs, or zeros.

    pooled: [blocks, B, H].
    first: [D, B, H], or "".
    """
    has_ids = g.cast("has_ids", "row_lengths", TensorProto.BOOL)
    has_ids = g.add("has_ids_of_row", "Unsqueeze", has_ids, g.ints("row_axes", 0, 2))
    other = first or g.constant("nothing_read", 0, np.float32)
    return g.add("pooled_or_first", "Where", has_ids, pooled, other)


def _add_embedding(g: GraphBuilder, steps: str) -> tuple[str, Seen | None]:
    """Add the look-up → the embedded steps, [T, B, E], in int8 [T, B, E + 2]; and typical ones.

    The last two are the sentinels 127 and -128. With both ends in every row the LSTM operator's own
    scale is exactly the embedding's (range / 255, zero at 128), so its rounding changes nothing
    more.
    """
    embedding = g.weights.embedding
    if not g.int8:
        return g.add("embedded", "Gather", g.constant("embedding", embedding), steps), None
    # The LSTM's last inputs are the sentinels.
    metric = metric_of(g.weights.lstms[0].w[:, :, : embedding.shape[1]])
    rounded_table = rounded(embedding, packs=g.packs, metric=metric)
    table = _add_table(g, "embedding", rounded_table)
    for name, end in (("highest", 127), ("lowest", -128)):
        value = g.constant(f"{name}_end", end, np.int8)
        table = g.add(f"embedding_{name}", "Pad", table, "one_column", value, mode="constant")
    g.ints("one_column", 0, 0, 0, 1)
    gathered = g.add("embedded_int8", "Gather", table, steps)
    scale = g.constant("embedding_scale", rounded_table.scales.reshape(()))
    embedded = g.add("embedded", "DequantizeLinear", gathered, scale)
    return embedded, seen_inputs(g.weights, rounded_table)


def _add_table(g: GraphBuilder, name: str, table: Rounded) -> str:
    """Add a table of an int8 file → its values as int8 [rows, columns].

    ONNX Runtime computes all of it once, when it loads the file: the fewer operators, and the
    narrower their numbers, the sooner it is done. So each byte, of two 4-bit numbers, is looked up
    among the products with its row's factor.
    """
    rows, columns = table.values.shape
    if table.codes is not None and table.book is not None:
        codes = g.cast(f"{name}_codes", g.constant(f"{name}_c", table.codes), TensorProto.INT32)
        numbers = g.add(f"{name}_numbers", "Gather", g.constant(f"{name}_b", table.book), codes)
        return _add_rows(g, name, numbers, rows, columns, CODED)
    if table.levels is None or table.factors is None:
        return g.constant(name, table.values)
    held = g.constant(f"{name}_q", packed(table.levels))
    pairs = g.cast(f"{name}_pairs", held, TensorProto.INT32)
    factors = g.cast(f"{name}_int", g.constant(f"{name}_m", table.factors), TensorProto.INT32)
    products = _add_products(g)
    starts = g.add(f"{name}_starts", "Mul", factors, "bytes")
    places = g.add(f"{name}_places", "Add", starts, pairs)
    numbers = g.add(f"{name}_numbers", "Gather", products, places)  # rows, bytes, 2
    return _add_rows(g, name, numbers, rows, columns, 2)


def _add_rows(g: GraphBuilder, name: str, numbers: str, rows: int, columns: int, each: int) -> str:
    """Add a table [rows, columns] of numbers [rows, groups, each], of which the last are cut."""
    numbers = g.add(f"{name}_rows", "Reshape", numbers, g.ints(f"{name}_shape", rows, -1))
    if columns % each:
        numbers = g.add(f"{name}_cut", "Slice", numbers, *g.bounds(name, 0, columns))
    return numbers


def _add_products(g: GraphBuilder) -> str:
    """Add, once, the products of all factors and pairs of 4-bit numbers: int8 [factor · byte, 2].

    (Of the types that may be meant, ONNX Runtime multiplies float32 alone.)
    """
    if any(node.output[0] == "products" for node in g.nodes):
        return "products"
    g.constant("bytes", 256, np.int32)
    levels = np.maximum(np.arange(16, dtype=np.float32) - 8, -LARGEST_4_BITS)  # a half is never 0
    low = g.constant("low_half", levels[:, None])
    high = g.constant("high_half", levels[:, None, None])
    halves = g.add("halves", "Where", g.constant("is_low", np.array([True, False])), low, high)
    each = np.arange(LARGEST_FACTOR + 1, dtype=np.float32)[:, None, None, None]
    floats = g.add("pair_floats", "Mul", halves, g.constant("factors", each))
    whole = g.cast("pair_numbers", floats, TensorProto.INT8)
    return g.add("products", "Reshape", whole, g.ints("pairs_shape", -1, 2))


def _add_lstm(
    g: GraphBuilder,
    name: str,
    layer: Lstm,
    lstm: LstmWeights,
    x: str,
    lengths: str,
    first: str,
    seen: Seen | None,
) -> tuple[str, str]:
    """Add the LSTM operator → its outputs [T, D, B, H] and last states [D, B, H].

    first: name of its first outputs, which come with first cells; "": zeros.
    seen: its inputs in typical texts, by which int8 is rounded; None: not known.
    """
    directions, _, hidden = lstm.r.shape
    direction = "bidirectional" if directions == 2 else "forward"
    attributes: dict[str, Any] = {"hidden_size": hidden, "direction": direction}
    if layer.hard_sigmoid is not None:
        attributes["activations"] = ["HardSigmoid", "Tanh", "Tanh"] * directions
        attributes["activation_alpha"] = [layer.hard_sigmoid] * directions
        attributes["activation_beta"] = [0.5] * directions
    states = [first, first.replace("first_h", "first_c")]
    outputs = f"{name}_outputs", f"{name}_last"
    if not g.int8:
        w = g.constant(f"{name}_w", lstm.w)
        r = g.constant(f"{name}_r", lstm.r)
        inputs = [x, w, r, g.constant(f"{name}_b", lstm.b), lengths, *states]
        while not inputs[-1]:
            inputs.pop()
        g.node(outputs, "LSTM", inputs, **attributes)
        return outputs
    *integers, b = rounded_lstm(lstm, seen)
    names = f"{name}_w", f"{name}_r"
    w, r = (g.constant(n, v.transpose(0, 2, 1)) for n, (v, _) in zip(names, integers))
    inputs = [x, w, r, g.constant(f"{name}_b", b), lengths, *states, ""]  # peepholes
    for n, (_, scale) in zip(names, integers):
        inputs.append(g.constant(f"{n}_scale", scale.ravel()))
        inputs.append(g.constant(f"{n}_zero", np.zeros(directions, dtype=np.int8)))
    attributes["domain"] = MICROSOFT_DOMAIN
    g.node(outputs, "DynamicQuantizeLSTM", inputs, **attributes)
    return outputs


def _add_ngram_sums(g: GraphBuilder) -> str:
    """Add the sum of a text's n-gram vectors [B, width].

    int8: counts of at most 64 times int8, added up in int32: exact, in any order, and on AVX2 too.
        It adds two of the products in 16 bits, and they fit.
    """
    vectors = g.weights.ngram_vectors
    if not g.int8:
        table = g.constant("ngram_vectors", vectors)
        present = g.cast("ngrams_present_float", _add_present(g))
        return g.add("ngram_sums", "MatMul", present, _add_no_ngrams(g, table))
    # Without codes, a scale a column: logits differ in size.
    has_codes = g.packs and g.config.codes_ngrams
    scaled = coded(vectors) if has_codes else rounded(vectors, 0, packs=g.packs)
    table = _add_no_ngrams(g, _add_table(g, "ngram_vectors", scaled))
    present = _add_present(g)
    total = g.cast("ngram_sums_float", g.add("ngram_sums_int", "MatMulInteger", present, table))
    return g.add("ngram_sums", "Mul", total, g.constant("ngram_scales", scaled.scales[0]))


def _add_no_ngrams(g: GraphBuilder, table: str) -> str:
    """Add rows of zeros before the vectors, for ids and pairs that have none."""
    rows = g.ints("no_ngrams", FIRST_NGRAM_ID, 0, 0, 0)
    return g.add(f"{table}_and_none", "Pad", table, rows, mode="constant")


def _add_present(g: GraphBuilder) -> str:
    """Add how often each n-gram of a text counts: uint8 [B, FIRST_NGRAM_ID + words + slots].

    Column i belongs to id i, and the columns of the slots follow. The first two, for padding and
    start, stand for everything that is not an n-gram: their vectors are zeros.
    """
    config = g.config
    slots_start = FIRST_NGRAM_ID + config.ngram_words
    ids = g.cast("ngram_ids", "ids", TensorProto.INT64)  # B, T
    nothing = g.number("no_column", 0)
    parts = []
    if config.ngram_words == config.num_words - FIRST_NGRAM_ID:
        parts.append(ids)
    elif config.ngram_words:
        is_word = g.add("is_ngram_word", "Less", ids, g.number("slots_start", slots_start))
        parts.append(g.add("word_columns", "Where", is_word, ids, nothing))
    if config.ngram_slots:
        slots, is_pair = _add_slots(g, ids)
        columns = g.add("slot_columns", "Add", slots, g.number("pairs_start", slots_start))
        parts.append(g.add("pair_columns", "Where", is_pair, columns, nothing))
    columns = g.add("ngram_columns", "Concat", *parts, axis=1)
    # 1 for an n-gram, 0 for the column of nothing
    is_ngram = g.cast("is_ngram", columns, TensorProto.BOOL)
    counts_once = config.ngram_counts == (1,)
    # A byte would start again from 0 at the 256th occurrence.
    kind = TensorProto.UINT8 if counts_once else TensorProto.INT32
    ones = g.cast("ngram_ones", is_ngram, kind)
    nothing = g.cast("first_column", "lengths_column", kind)
    width = g.ints("present_width", 0, 0, 0, slots_start + config.ngram_slots - 1)
    zeros = g.add("no_ngrams_present", "Pad", nothing, width, mode="constant")
    if counts_once:
        return g.add("ngrams_present", "ScatterElements", zeros, columns, ones, axis=1)
    parts = [zeros, columns, ones]
    counts = g.add("ngram_counts", "ScatterElements", *parts, axis=1, reduction="add")
    most = g.constant("ngram_most", len(config.ngram_counts), np.int32)
    capped = g.add("ngram_counts_capped", "Min", counts, most)
    table = g.constant("counts_by_occurrences", np.array([0, *config.ngram_counts], np.uint8))
    return g.add("ngrams_present", "Gather", table, capped)


def _add_slots(g: GraphBuilder, left: str) -> tuple[str, str]:
    """Add the look-up of pairs of neighbours, see pairs.PairTable.find.

    left: ids, int64 [B, T]. Return int64 [B, T], the slot of each id with the next one, and bool
    [B, T], whether the pair is the slot's.
    """
    pairs = g.weights.pairs
    after = g.bounds("neighbours", 1, 2**31)
    longer = g.add("ids_and_none", "Pad", left, g.ints("one_more", 0, 0, 0, 1), mode="constant")
    right = g.add("neighbours", "Slice", longer, *after)
    shifted = g.add("ids_shifted", "Mul", left, g.number("left_factor", LEFT_FACTOR))
    prime = g.number("prime", PRIME)
    keys = g.add("pair_keys", "Mod", g.add("pair_ids", "Add", shifted, right), prime)
    high = g.add("high_product", "Mul", keys, g.number("bucket_factor", BUCKET_FACTOR))
    high = g.add("high", "Mod", high, prime)
    low = g.add("low_product", "Mul", keys, g.number("slot_factor", SLOT_FACTOR))
    low = g.add("low", "Mod", low, prime)
    count = g.number("buckets", len(pairs.displacements))
    slots = len(pairs.fingerprints)
    rest = g.add("high_rest", "Div", high, count)
    rest = g.add("strides_less_one", "Mod", rest, g.number("strides", max(slots - 1, 1)))
    stride = g.add("pair_strides", "Add", rest, g.number("one_stride", 1))
    numbers = g.constant("pair_displacements", pairs.displacements.astype(np.uint16))
    numbers = g.cast("displacements", numbers, TensorProto.INT64)
    bucket = g.add("pair_buckets", "Mod", high, count)
    displacement = g.add("pair_displacement", "Gather", numbers, bucket)
    moved = g.add("places", "Add", low, g.add("moves", "Mul", displacement, stride))
    slot = g.add("pair_slots", "Mod", moved, g.number("slots", slots))
    # The file's fingerprints begin with 1, since 0 marks an empty slot.
    prints = g.constant("pair_fingerprints", pairs.fingerprints.astype(np.uint16))
    prints = g.cast("fingerprints", prints, TensorProto.INT64)
    prints = g.add("fingerprints_from_0", "Sub", prints, g.number("one_print", 1))
    own = g.add("pair_prints", "Mod", low, g.number("print_modulus", FINGERPRINTS))
    is_own = g.add("is_own", "Equal", g.add("slot_prints", "Gather", prints, slot), own)
    # Padding, 0, stands behind the text, so only its last id has none behind it.
    has_right = g.cast("has_right", right, TensorProto.BOOL)
    return slot, g.add("is_pair", "And", is_own, has_right)


def _add_dense(
    g: GraphBuilder,
    name: str,
    dense: DenseWeights,
    values: str,
    output: str,
    *,
    packs: bool,
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
        numbers = g.cast(f"{name}_w_floats", _add_table(g, f"{name}_w", table))
        scales = g.constant(f"{name}_w_scales", table.scales)
        weight = g.add(f"{name}_w_float", "Mul", numbers, scales)
    else:
        weight = g.constant(f"{name}_w", dense.w)
    product = g.add(f"{name}_product", "MatMul", values, weight)
    return g.add(output, "Add", product, g.constant(f"{name}_b", dense.b))


def _add_probabilities(g: GraphBuilder, logits: str) -> None:
    """Add what turns logits [B, logits] into the graph's output [B, L]."""
    if g.config.multi_label:
        g.add(OUTPUT_NAME, "Sigmoid", logits)
    elif g.config.labels == 2:
        signs = g.constant("signs", [[-1, 1]], np.float32)
        g.add(OUTPUT_NAME, "Sigmoid", g.add("both_logits", "Mul", logits, signs))
    else:
        g.add(OUTPUT_NAME, "Softmax", logits, axis=1)


def _assemble(g: GraphBuilder) -> onnx.ModelProto:
    """Make a model of the collected nodes, with its input and output, IR version and opsets."""
    info = helper.make_tensor_value_info
    inputs = [info(INPUT_NAME, TensorProto.INT32, ["batch", g.length])]
    outputs = [info(OUTPUT_NAME, TensorProto.FLOAT, ["batch", g.config.labels])]
    graph = helper.make_graph(g.nodes, "edge_lstm", inputs, outputs, g.constants)
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(
        graph,
        producer_name=modelfile.PRODUCER,
        producer_version=__version__,
        opset_imports=opsets + [helper.make_opsetid(MICROSOFT_DOMAIN, 1)] * g.int8,
        # The onnx package's default is newer than old runtimes load (ONNX Runtime 1.16: up to 9).
        ir_version=helper.find_min_ir_version_for(opsets),
    )


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
