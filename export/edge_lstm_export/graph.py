"""Network weights → ONNX graph → model file.

The graph is built operator by operator with ``onnx.helper``: that is the shortest way to hand
``sequence_lens`` to the LSTM operator, to keep its weights as initializers (a quantizer finds nothing
else), and to see in one place what runs on the device. Shapes in comments: B batch, N length of the
input, T time steps that are run, E embedding, H hidden units, D directions, L labels.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_lstm import __version__, modelfile
from edge_lstm.answering import RiskCoverage
from edge_lstm.model_checks import GoldenRow
from edge_lstm.modelfile import INPUT_NAME, OUTPUT_NAME
from edge_lstm.text import Tokenizer
from edge_lstm_export.network import PAIR_LEFT, PAIR_RIGHT, PAIR_SHIFT, NetworkConfig
from edge_lstm_export.quantization import (
    Array,
    LstmLayer,
    add_sentinels,
    pad_head,
    quantize_columns,
    quantize_embedding,
    quantize_rows,
    quantize_table,
    quantize_weights,
    saturated_cells,
)
from edge_lstm_export.weights import GraphWeights

Precision = Literal["fp32", "int8"]

DEFAULT_OPSET = 17  # every ONNX Runtime since 1.16 reads it
MIN_OPSET, MAX_OPSET = 13, 21  # before 13, ReduceSum and Squeeze took their axes as attributes
MICROSOFT_DOMAIN = "com.microsoft"
# The maximum is taken over blocks of so many steps first: ONNX Runtime's ReduceMax over the first axis takes
# three times as long as over a middle one (1.32: 28 and 9 µs for 226 steps of 192 values). Not so the mean:
# the order in which a middle axis is added up follows the size of the batch, and a text's bits with it.
POOLING_BLOCK = 8
TO_THE_END = 2**31 - 1


@dataclass
class GraphBuilder:
    """Collects nodes and constants; every method returns the name of its output."""

    opset: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, name: str, value: Array) -> str:
        """Adds an initializer."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def ints(self, name: str, *values: int) -> str:
        """Adds an int64 vector, as shapes and axes are given; the same name twice is one constant."""
        if all(constant.name != name for constant in self.constants):
            self.constant(name, np.array(values, dtype=np.int64))
        return name

    def add(self, op_type: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Adds an operator with one output."""
        return self.add_many(op_type, inputs, [output], **attributes)[0]

    def reduce_max(self, value: str, output: str, *, axis: int = 0, keepdims: int = 0) -> str:
        """Adds a maximum over an axis, which became an input with opset 18."""
        if self.opset < 18:
            return self.add("ReduceMax", [value], output, axes=[axis], keepdims=keepdims)
        return self.add("ReduceMax", [value, self.ints(f"axis_{axis}", axis)], output, keepdims=keepdims)

    def add_many(
        self, op_type: str, inputs: Sequence[str], outputs: list[str], **attributes: Any
    ) -> list[str]:
        """Adds an operator with several outputs."""
        self.nodes.append(
            helper.make_node(op_type, inputs, outputs, name=outputs[0] or outputs[-1], **attributes)
        )
        return outputs


@dataclass(frozen=True)
class Description:
    """What a model file says of itself beside its weights."""

    config: NetworkConfig
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    training: dict[str, Any]
    quantization: dict[str, Any] | None = None
    golden: tuple[GoldenRow, ...] = ()
    abstention: RiskCoverage | None = None
    thresholds: tuple[float, ...] | None = None

    @property
    def format(self) -> str:
        """The lowest format version that says all this."""
        if self.thresholds is not None:
            return "3"
        return "1" if self.tokenizer.pieces is None and not self.config.ngrams else "2"


def build(
    weights: GraphWeights,
    config: NetworkConfig,
    length: int,
    precision: Precision,
    *,
    batch: int | None = None,
    opset: int = DEFAULT_OPSET,
    sentinels: bool = True,
) -> onnx.ModelProto:
    """The graph: input_ids int32 [B, length] → probabilities float32 [B, L].

    precision: of the weights; see quantization.py for what int8 does and promises. sentinels: False leaves
    them out of an int8 graph and breaks the first promise: only to measure what they cost.
    """
    g, int8 = GraphBuilder(opset), precision == "int8"
    sentinels = sentinels and int8
    block = pooling_block(config, length)
    steps, lengths = add_lengths(g, block)
    x = _add_embedding(g, weights.embedding, steps, int8=int8, sentinels=sentinels)  # T, B, E
    # From the second layer on, the input's scale must be still from the first step: there the
    # sentinels start saturated (h_1 = 1, not 0.76).
    saturated = sentinels and len(weights.layers) > 1
    layers = weights.layers
    if sentinels:
        layers = tuple(add_sentinels(a, input_parts=a.directions if n else 1) for n, a in enumerate(layers))
    last = ""
    for n, layer in enumerate(layers):
        y, last = _add_lstm(g, n, layer, x, lengths, int8=int8, saturated=saturated)
        x = add_flatten(g, n, y, layer) if n + 1 < len(layers) else y
    linear = "" if weights.pairs is None else _add_linear(g, config, weights.pairs, length, int8=int8)
    pooled = add_pooling(g, config, x, last, lengths, layers[-1], block)
    head, head_name = weights.head_weight, "head_w"
    if sentinels:
        head = pad_head(head, config.hidden, config.pooled_dim)
    if weights.ngrams is not None and weights.ngram_vectors is not None:
        sums = _add_ngram_sums(g, weights.ngrams, weights.ngram_vectors, int8=int8)
        pooled = add_ngram_mean(g, pooled, sums, lengths)
    if weights.ngrams is not None and int8:
        head_name = _add_int8_head(g, head)
    else:
        g.constant(head_name, head)
    add_head(g, config, pooled, head_name, weights.head_bias, linear)
    return assemble(g, config, length, batch=batch, domains=[MICROSOFT_DOMAIN] if int8 else [])


def _add_embedding(g: GraphBuilder, embedding: Array, steps: str, *, int8: bool, sentinels: bool) -> str:
    """Adds the look-up → the embedded steps: [T, B, E], two columns more with sentinels."""
    if not int8:
        return g.add("Gather", [g.constant("embedding", embedding), steps], "embedded")
    values, scale = quantize_embedding(embedding, sentinels=sentinels)
    gathered = g.add("Gather", [g.constant("embedding", values), steps], "embedded_int8")
    return g.add("DequantizeLinear", [gathered, g.constant("embedding_scale", scale)], "embedded")


def _add_lstm(
    g: GraphBuilder, n: int, layer: LstmLayer, x: str, lengths: str, *, int8: bool, saturated: bool
) -> tuple[str, str]:
    """Adds one LSTM operator, ``n`` its number → its outputs [T, D, B, H] and last states [D, B, H]."""
    w, r = layer.w, layer.r
    w_scale = r_scale = np.zeros(0)
    if int8:
        (w, w_scale), (r, r_scale) = quantize_weights(w), quantize_weights(r)
    inputs = [x, g.constant(f"lstm{n}_w", w), g.constant(f"lstm{n}_r", r), g.constant(f"lstm{n}_b", layer.b)]
    inputs.append(lengths)
    if int8:
        initial_c = _add_saturated_cells(g, lengths, layer) if saturated else ""
        inputs += ["", initial_c, ""]  # initial_h, initial_c, peepholes
        for name, scale in (("w", w_scale), ("r", r_scale)):
            inputs.append(g.constant(f"lstm{n}_{name}_scale", scale))
            inputs.append(g.constant(f"lstm{n}_{name}_zero", np.zeros_like(scale, dtype=np.int8)))
    y, last = g.add_many(
        "DynamicQuantizeLSTM" if int8 else "LSTM",
        inputs,
        [f"lstm{n}_y", f"lstm{n}_h"],
        **({"domain": MICROSOFT_DOMAIN} if int8 else {}),
        hidden_size=layer.hidden,
        direction="bidirectional" if layer.directions == 2 else "forward",
    )
    return y, last


def _add_saturated_cells(g: GraphBuilder, lengths: str, padded: LstmLayer) -> str:
    """Cell states at the start [D, B, H + 2], once for all layers of one shape."""
    directions, hidden = padded.directions, padded.hidden
    name = f"initial_c_{directions}_{hidden}"
    if any(node.name == name for node in g.nodes):
        return name
    rows = g.add("Shape", [lengths], f"{name}_rows")  # [B]
    ends = [g.ints(f"{name}_directions", directions), rows, g.ints(f"{name}_hidden", hidden)]
    shape = g.add("Concat", ends, f"{name}_shape", axis=0)
    return g.add("Expand", [g.constant(f"{name}_row", saturated_cells(padded)), shape], name)


def _add_linear(g: GraphBuilder, config: NetworkConfig, table: Array, length: int, *, int8: bool) -> str:
    """Adds the linear part [B, logits]. The sum of int8 weights is one of integers, which no order changes:
    in float32 too, up to 2^24.

    Cast and Mul make it a float: ONNX Runtime's optimizer carries a DequantizeLinear over the Transpose
    with a QuantizeLinear in between, and the sums come out wrong (1.32, at opset 21 it does not load).
    """
    values, scale = quantize_table(table) if int8 else (table, np.zeros(0))
    found = add_pair_weights(g, config, values)  # logits, B, 2T - 1
    exact_as_float = (2 * length - 1) * 127 <= 2**24
    if int8:
        wide = TensorProto.FLOAT if exact_as_float else TensorProto.INT32
        found = g.add("Cast", [found], "pair_weights_wide", to=wide)
    total = g.add("ReduceSum", [found, g.ints("axis_2", 2)], "pair_sums", keepdims=0)  # logits, B
    if int8:
        if not exact_as_float:
            total = g.add("Cast", [total], "pair_sums_float", to=TensorProto.FLOAT)
        total = g.add("Mul", [total, g.constant("pairs_scale", scale)], "pair_sums_scaled")
    return g.add("Transpose", [total], "linear", perm=[1, 0])  # B, logits


def _add_ngram_sums(g: GraphBuilder, ngrams: Array, vectors: Array, *, int8: bool) -> str:
    """Adds the sum of a text's n-gram vectors [B, width]. int8: ones and zeros times int8, added up in int32:
    exact, in any order, and on AVX2 too (two products of at most 127 fit the 16 bits in which it adds them).
    """
    held = add_ngrams(g, ngrams)
    if not int8:
        return g.add("MatMul", [held, g.constant("ngram_vectors", vectors)], "ngram_sums")
    values, scales = quantize_columns(vectors)  # a scale a column: logits differ in size
    bits = g.add("Cast", [held], "ngrams_held_uint8", to=TensorProto.UINT8)
    total = g.add("MatMulInteger", [bits, g.constant("ngram_vectors", values)], "ngram_sums_int")
    wide = g.add("Cast", [total], "ngram_sums_float", to=TensorProto.FLOAT)
    return g.add("Mul", [wide, g.constant("ngram_scales", scales)], "ngram_sums")


def _add_int8_head(g: GraphBuilder, head: Array) -> str:
    """A head [inputs, logits] of many labels is kept in int8, a scale an input, and multiplied as float32.

    ONNX Runtime computes Cast and Mul once, when it loads the file, and packs the product, as it does a
    constant: then a row has the same bits alone and in any batch. A DequantizeLinear stays in the graph, and
    with it a single row is multiplied in another order than several (1.32: up to 2e-5 apart).
    """
    values, scales = quantize_rows(head)
    wide = g.add("Cast", [g.constant("head_w", values)], "head_w_wide", to=TensorProto.FLOAT)
    return g.add("Mul", [wide, g.constant("head_w_scales", scales)], "head_w_float")


def pooling_block(config: NetworkConfig, length: int) -> int:
    """Steps that are pooled at a time: the steps that are run are a multiple of it.

    Networks with n-gram vectors are for short texts, where blocks cost more than they save.
    """
    if config.ngrams:
        return 1
    return POOLING_BLOCK if "max" in config.pooling and length % POOLING_BLOCK == 0 else 1


def add_lengths(g: GraphBuilder, block: int) -> tuple[str, str]:
    """Adds the operators that read each row's length → (ids of the steps that are run [T, B], lengths [B]).

    The matrix is cut to the batch's longest row first, rounded up to blocks, so that nothing behind it costs
    time. A row without any id counts as one step of padding: a length of 0 would make a mean over nothing.
    """
    one = g.constant("one", np.array(1, dtype=np.int32))
    token = g.add("Min", [INPUT_NAME, one], "is_token")  # padding is 0, every other id is at least 1
    counted = g.add("ReduceSum", [token, g.ints("axis_1", 1)], "row_lengths", keepdims=0)  # B
    lengths = g.add("Max", [counted, one], "lengths")
    longest = g.reduce_max(lengths, "longest_int", keepdims=1)
    if block > 1:
        size = g.constant("block", np.array(block, dtype=np.int32))
        rest = g.constant("block_less_one", np.array(block - 1, dtype=np.int32))
        blocks = g.add("Div", [g.add("Add", [longest, rest], "longest_and_rest"), size], "blocks")
        longest = g.add("Mul", [blocks, size], "longest_rounded")
    # int32, as the lengths are: a Slice takes its three numbers in one type.
    start, axis = (
        g.constant(f"cut_{name}", np.array([n], np.int32)) for name, n in (("start", 0), ("axis", 1))
    )
    cut = g.add("Slice", [INPUT_NAME, start, longest, axis], "ids")  # B, T
    return g.add("Transpose", [cut], "steps", perm=[1, 0]), lengths


def add_flatten(g: GraphBuilder, n: int, y: str, layer: LstmLayer) -> str:
    """An LSTM's output [T, D, B, H] → [T, B, D·H], the next layer's input."""
    if layer.directions == 1:
        return g.add("Squeeze", [y, g.ints("axis_1", 1)], f"lstm{n}_out")
    moved = g.add("Transpose", [y], f"lstm{n}_moved", perm=[0, 2, 1, 3])  # T, B, D, H
    shape = g.ints(f"lstm{n}_shape", 0, 0, layer.directions * layer.hidden)
    return g.add("Reshape", [moved, shape], f"lstm{n}_out")


def add_pooling(
    g: GraphBuilder,
    config: NetworkConfig,
    outputs: str,
    last: str,
    lengths: str,
    top: LstmLayer,
    block: int,
) -> str:
    """Adds the pooling → what the head reads: [B, pooled].

    outputs: [T, D, B, H] of the top layer, T a multiple of ``block`` (see :func:`pooling_block`), zero
    behind each row's end (ONNX Runtime's LSTM writes zeros there); last: [D, B, H]; lengths: int32 [B].
    """
    parts = [last] if config.pooling == "last" else []  # D, B, H each
    if "mean" in config.pooling:
        total = g.add("ReduceSum", [outputs, g.ints("axis_0", 0)], "total", keepdims=0)
        parts.append(g.add("Div", [total, add_lengths_column(g, lengths)], "mean"))
    if "max" in config.pooling:
        if block == 1:
            highest = g.reduce_max(outputs, "highest")
        else:
            # A step's D, B, H values as B, D·H, whose sizes need not be asked for (0 is the third of the
            # input's, B): the maximum does not mind which value is whose, and they are put right behind it.
            width = top.directions * top.hidden
            shape = g.ints("block_shape", -1, block, 0, width)
            blocks = g.add("Reshape", [outputs, shape], "output_blocks")  # T / block, block, B, D·H
            mixed = g.reduce_max(g.reduce_max(blocks, "block_highest", axis=1), "highest_mixed")
            highest = g.add(
                "Reshape", [mixed, g.ints("max_shape", top.directions, -1, top.hidden)], "highest"
            )
        zero = g.constant("zero_float", np.array(0, dtype=np.float32))
        parts.append(g.add("Max", [highest, zero], "max"))
    together = g.add("Concat", parts, "pooled_parts", axis=0) if len(parts) > 1 else parts[0]
    moved = g.add("Transpose", [together], "pooled_moved", perm=[1, 0, 2])  # B, parts · D, H
    width = len(parts) * top.directions * top.hidden
    return g.add("Reshape", [moved, g.ints("pooled_shape", 0, width)], "pooled")


def add_pair_weights(g: GraphBuilder, config: NetworkConfig, table: Array) -> str:
    """Adds what looks the table up → its name: [logits, B, 2T - 1], of the table's dtype, 0 for padding.

    table: [logits, rows], any dtype; reads the output ``ids`` of :func:`add_lengths`.
    """
    return g.add("Gather", [g.constant("pairs", table), _add_rows(g, config)], "pair_weights", axis=1)


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


def add_ngrams(g: GraphBuilder, ngrams: Array) -> str:
    """Adds the operator that finds a text's n-grams → float32 [B, n], 1 where it holds the n-gram, else 0.

    ngrams: int64 [n, 2], words first (see network.NGramVectors); reads the output ``ids`` of
    :func:`add_lengths`. Padding, 0, is part of no n-gram.
    """
    words = int((ngrams[:, 1] == 0).sum())
    pairs = ngrams[words:]
    pool = [*ngrams[:words, 0].tolist(), *pairs.ravel().tolist()]
    return g.add(
        "TfIdfVectorizer",
        ["ids"],
        "ngrams_held",
        min_gram_length=1 if words else 2,
        max_gram_length=2 if len(pairs) else 1,
        max_skip_count=0,
        mode="IDF",  # without weights: 1 for each n-gram that is there, however often
        ngram_counts=[0, words][: 2 if len(pairs) else 1],
        ngram_indexes=list(range(len(ngrams))),
        pool_int64s=pool,
    )


def add_ngram_mean(g: GraphBuilder, pooled: str, total: str, lengths: str) -> str:
    """Adds the n-grams' sum [B, width] over the square root of the length to what the head reads."""
    column = "lengths_float"
    if all(column not in node.output for node in g.nodes):
        column = add_lengths_column(g, lengths)
    mean = g.add("Div", [total, g.add("Sqrt", [column], "lengths_root")], "ngram_mean")
    return g.add("Concat", [pooled, mean], "head_inputs", axis=1)


def add_lengths_column(g: GraphBuilder, lengths: str) -> str:
    """int32 [B] → float32 [B, 1]."""
    column = g.add("Unsqueeze", [lengths, g.ints("axis_1", 1)], "lengths_column")
    return g.add("Cast", [column], "lengths_float", to=TensorProto.FLOAT)


def add_head(
    g: GraphBuilder, config: NetworkConfig, pooled: str, head_weight: str, head_bias: Array, linear: str
) -> None:
    """Adds dense head and probabilities. head_weight: the name of a float32 [inputs, logits]; linear:
    [B, logits], or "" where there is none."""
    product = g.add("MatMul", [pooled, head_weight], "head_product")
    logits = g.add("Add", [product, g.constant("head_b", head_bias)], "logits")  # B, logits
    if linear:
        logits = g.add("Add", [logits, linear], "logits_and_linear")
    if config.several:
        g.add("Sigmoid", [logits], OUTPUT_NAME)
    elif config.labels == 2:
        signs = g.constant("signs", np.array([[-1, 1]], dtype=np.float32))
        g.add("Sigmoid", [g.add("Mul", [logits, signs], "both_logits")], OUTPUT_NAME)  # B, 2
    else:
        g.add("Softmax", [logits], OUTPUT_NAME, axis=1)


def assemble(
    g: GraphBuilder, config: NetworkConfig, length: int, *, batch: int | None, domains: Sequence[str] = ()
) -> onnx.ModelProto:
    """Collected nodes → a model with its input and output, IR version and opsets."""
    rows: int | str = "batch" if batch is None else batch
    graph = helper.make_graph(
        g.nodes,
        "edge_lstm",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.INT32, [rows, length])],
        [helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, [rows, config.labels])],
        g.constants,
    )
    opsets = [helper.make_opsetid("", g.opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(
        graph,
        producer_name=modelfile.PRODUCER,
        producer_version=__version__,
        opset_imports=opsets,
        # The lowest that the opset allows: the onnx package's default is newer than old runtimes load
        # (ONNX Runtime 1.16 reads up to 9).
        ir_version=helper.find_min_ir_version_for([helper.make_opsetid("", g.opset)]),
    )


def describe_in(model: onnx.ModelProto, description: Description) -> bytes:
    """Writes the description into the model's metadata → the model file's bytes, with their digest."""
    values = {
        modelfile.KEY_FORMAT: description.format,
        modelfile.KEY_TOKENIZER: _json(description.tokenizer.to_metadata()),
        modelfile.KEY_VOCABULARY: "\n".join(
            (*description.tokenizer.words, *(description.tokenizer.pieces or ()))
        ),
        modelfile.KEY_LABELS: _json(description.labels),
        **(
            {}
            if description.thresholds is None
            else {modelfile.KEY_SEVERAL: _json({"thresholds": description.thresholds})}
        ),
        modelfile.KEY_NETWORK: _json(description.config.to_dict()),
        modelfile.KEY_TRAINING: _json(description.training),
        modelfile.KEY_GOLDEN: _json([vars(row) for row in description.golden]),
    }
    if description.abstention is not None:
        values[modelfile.KEY_ABSTENTION] = _json(description.abstention.to_dict())
    if description.quantization is not None:
        values[modelfile.KEY_QUANTIZATION] = _json(description.quantization)
    del model.metadata_props[:]
    helper.set_model_props(model, values)
    return modelfile.seal(model.SerializeToString(deterministic=True))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
