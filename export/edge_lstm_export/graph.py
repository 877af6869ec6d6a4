"""Network weights → ONNX graph → model file.

The graph is built operator by operator with ``onnx.helper``: that is the shortest way to hand
``sequence_lens`` to the LSTM operator, to keep its weights as initializers (a quantizer finds nothing
else), and to see in one place what runs on the device. Shapes in comments: B batch, N length of the
input, T time steps that are run, E embedding, H hidden units, D directions, L labels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_lstm import __version__, modelfile
from edge_lstm.model_checks import GoldenRow
from edge_lstm.modelfile import INPUT_NAME, OUTPUT_NAME
from edge_lstm.text import Tokenizer
from edge_lstm_export.network import PAIR_LEFT, PAIR_RIGHT, PAIR_SHIFT, NetworkConfig, Weights, lstm_name

Array = npt.NDArray[Any]

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
class LstmLayer:
    """One LSTM operator's constants, all directions, gates in ONNX's order (input, output, forget, cell).

    w: float32 [D, 4H, inputs]; r: float32 [D, 4H, H]; b: float32 [D, 8H] (second half zero).
    """

    w: Array
    r: Array
    b: Array

    @property
    def directions(self) -> int:
        """1 or 2."""
        return int(self.w.shape[0])

    @property
    def hidden(self) -> int:
        """Units per direction."""
        return int(self.r.shape[2])


@dataclass(frozen=True)
class GraphWeights:
    """The constants of an fp32 graph: embedding float32 [ids, E], one entry per LSTM layer, the head
    (weight float32 [pooled, logits], bias float32 [logits]), and the linear part's table float32
    [logits, rows], where the network has one; n-grams (int64 [n, 2], see network.NGramVectors) and their
    vectors (float32 [n, width]), where it has some. The head reads the LSTM's values, then the n-grams'."""

    embedding: Array
    layers: tuple[LstmLayer, ...]
    head_weight: Array
    head_bias: Array
    pairs: Array | None = None
    ngrams: Array | None = None
    ngram_vectors: Array | None = None


@dataclass(frozen=True)
class Description:
    """What a model file says of itself beside its weights."""

    config: NetworkConfig
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    training: dict[str, Any]
    quantization: dict[str, Any] | None = None
    golden: tuple[GoldenRow, ...] = ()


def weights_from_network(config: NetworkConfig, weights: Weights) -> GraphWeights:
    """PyTorch's weights → the graph's: gates reordered, both biases folded into one."""
    layers = []
    for layer in range(config.layers):
        w, r, b = [], [], []
        for direction in range(config.directions):
            prefix = f"lstm.{lstm_name(layer, direction)}"
            w.append(_onnx_gates(weights[f"{prefix}.weight_ih_l0"]))
            r.append(_onnx_gates(weights[f"{prefix}.weight_hh_l0"]))
            bias = weights[f"{prefix}.bias_ih_l0"] + weights[f"{prefix}.bias_hh_l0"]
            b.append(np.concatenate([_onnx_gates(bias), np.zeros_like(bias)]))
        layers.append(LstmLayer(np.stack(w), np.stack(r), np.stack(b)))
    pairs = weights["pairs.weight"].T if config.pair_buckets else None
    return GraphWeights(
        weights["embedding.weight"],
        tuple(layers),
        weights["head.weight"].T,
        weights["head.bias"],
        pairs,
        weights["ngrams.ids"] if config.ngrams else None,
        weights["ngrams.vectors.weight"][1:] if config.ngrams else None,
    )


def _onnx_gates(value: Array) -> Array:
    """[4H, …] in PyTorch's gate order (i, f, g, o) → ONNX's (i, o, f, c)."""
    i, f, g, o = np.split(value, 4)
    return np.concatenate([i, o, f, g])


def build_fp32(
    weights: GraphWeights,
    config: NetworkConfig,
    length: int,
    *,
    batch: int | None = None,
    opset: int = DEFAULT_OPSET,
) -> onnx.ModelProto:
    """The fp32 graph: input_ids int32 [B, length] → probabilities float32 [B, L]."""
    g = GraphBuilder(opset)
    steps, lengths = add_lengths(g, pooling_block(config, length))
    x = g.add("Gather", [g.constant("embedding", weights.embedding), steps], "embedded")  # T, B, E
    last = ""
    for n, layer in enumerate(weights.layers):
        inputs = [
            x,
            g.constant(f"lstm{n}_w", layer.w),
            g.constant(f"lstm{n}_r", layer.r),
            g.constant(f"lstm{n}_b", layer.b),
            lengths,
        ]
        y, last = g.add_many(
            "LSTM",
            inputs,
            [f"lstm{n}_y", f"lstm{n}_h"],
            hidden_size=layer.hidden,
            direction=direction_of(layer),
        )
        x = add_flatten(g, n, y, layer) if n + 1 < len(weights.layers) else y
    linear = ""
    if weights.pairs is not None:
        found = add_pair_weights(g, config, weights.pairs)  # logits, B, 2T - 1
        total = g.add("ReduceSum", [found, g.ints("axis_2", 2)], "pair_sums", keepdims=0)  # logits, B
        linear = g.add("Transpose", [total], "linear", perm=[1, 0])  # B, logits
    block = pooling_block(config, length)
    pooled = add_pooling(g, config, x, last, lengths, weights.layers[-1], block)
    if weights.ngrams is not None and weights.ngram_vectors is not None:
        held = add_ngrams(g, weights.ngrams)
        total = g.add("MatMul", [held, g.constant("ngram_vectors", weights.ngram_vectors)], "ngram_sums")
        pooled = add_ngram_mean(g, pooled, total, lengths)
    add_head(g, config, pooled, g.constant("head_w", weights.head_weight), weights.head_bias, linear)
    return assemble(g, config, length, batch=batch)


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
    end = g.add("Cast", [longest], "longest", to=TensorProto.INT64)
    cut = g.add("Slice", [INPUT_NAME, g.ints("start_0", 0), end, g.ints("axis_1", 1)], "ids")  # B, T
    return g.add("Transpose", [cut], "steps", perm=[1, 0]), lengths


def direction_of(layer: LstmLayer) -> str:
    """ONNX's name for the layer's directions."""
    return "bidirectional" if layer.directions == 2 else "forward"


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
    if block > 1:
        sizes = g.add("Shape", [outputs], "step_sizes", start=1) if g.opset >= 15 else _sizes(g, outputs)
        shape = g.add("Concat", [g.ints("in_blocks", -1, block), sizes], "block_shape", axis=0)
        outputs = g.add("Reshape", [outputs, shape], "output_blocks")  # T / block, block, D, B, H
    if "max" in config.pooling:
        highest = outputs if block == 1 else g.reduce_max(outputs, "block_highest", axis=1)
        zero = g.constant("zero_float", np.array(0, dtype=np.float32))
        parts.append(g.add("Max", [g.reduce_max(highest, "highest"), zero], "max"))
    together = g.add("Concat", parts, "pooled_parts", axis=0) if len(parts) > 1 else parts[0]
    moved = g.add("Transpose", [together], "pooled_moved", perm=[1, 0, 2])  # B, parts · D, H
    width = len(parts) * top.directions * top.hidden
    return g.add("Reshape", [moved, g.ints("pooled_shape", 0, width)], "pooled")


def _sizes(g: GraphBuilder, outputs: str) -> str:
    """The sizes of all axes but the first, where Shape cannot be asked for a part (before opset 15)."""
    whole = g.add("Shape", [outputs], "output_sizes")
    ends = [g.ints("start_1", 1), g.ints("end_4", 4)]
    return g.add("Slice", [whole, *ends, g.ints("axis_0", 0)], "step_sizes")


def add_pair_weights(g: GraphBuilder, config: NetworkConfig, table: Array) -> str:
    """Adds what looks the table up → its name: [logits, B, 2T - 1], of the table's dtype, 0 for padding.

    table: [logits, rows], any dtype; reads the output ``ids`` of :func:`add_lengths`. GatherElements on a
    flat list of rows, where a Gather would do: ONNX Runtime's Gather copies row by row, which takes twice as
    long where a row is one byte.
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
    if config.labels == 2:
        positive = g.add("Sigmoid", [logits], "positive")
        negative = g.add(
            "Sub", [g.constant("one_float", np.array(1, dtype=np.float32)), positive], "negative"
        )
        g.add("Concat", [negative, positive], OUTPUT_NAME, axis=1)
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
    """Writes the description into the model's metadata → the model file's bytes."""
    values = {
        modelfile.KEY_DIGEST: modelfile.UNSEALED,
        modelfile.KEY_FORMAT: "1"
        if description.tokenizer.pieces is None and not description.config.ngrams
        else "2",
        modelfile.KEY_TOKENIZER: _json(description.tokenizer.to_metadata()),
        modelfile.KEY_VOCABULARY: "\n".join(
            (*description.tokenizer.words, *(description.tokenizer.pieces or ()))
        ),
        modelfile.KEY_LABELS: _json(description.labels),
        modelfile.KEY_NETWORK: _json(description.config.to_dict()),
        modelfile.KEY_TRAINING: _json(description.training),
        modelfile.KEY_GOLDEN: _json([vars(row) for row in description.golden]),
        modelfile.KEY_GRAPH_SHA256: hashlib.sha256(
            model.graph.SerializeToString(deterministic=True)
        ).hexdigest(),
    }
    if description.quantization is not None:
        values[modelfile.KEY_QUANTIZATION] = _json(description.quantization)
    del model.metadata_props[:]
    helper.set_model_props(model, values)
    return modelfile.seal(model.SerializeToString(deterministic=True))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
