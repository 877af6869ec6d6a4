"""fp32 graph → int8 graph that keeps the two promises: one answer in every batch, on every x86 CPU.

The LSTM becomes ONNX Runtime's ``com.microsoft.DynamicQuantizeLSTM``. It scales activations by the
smallest and largest value of the whole batch, so a text's answer would depend on its neighbours.
**Sentinel units** hold that scale still: two embedding columns carry the ends of the range in every
row, and two hidden units per direction run to +1 and -1, which bounds every other output of an LSTM at
every step (|h_t| <= tanh(t), since |c_t| <= t; the sentinels reach that bound). Nothing reads them.

**Reduced range**: LSTM weights use [-64, 64]. AVX2 without VNNI adds two products of uint8 and int8 in
16 bits with saturation (``vpmaddubsw``): 2 · 255 · 64 = 32,640 still fits, 2 · 255 · 127 does not.

The linear part's weights are int8 too, added up as integers: exact, so in any order and on any CPU.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edge_lstm.errors import DataError
from edge_lstm_export.graph import (
    MICROSOFT_DOMAIN,
    Array,
    GraphBuilder,
    GraphWeights,
    LstmLayer,
    add_flatten,
    add_head,
    add_lengths,
    add_ngram_mean,
    add_ngrams,
    add_pair_weights,
    add_pooling,
    assemble,
    direction_of,
    pooling_block,
)
from edge_lstm_export.network import NetworkConfig

WEIGHT_LIMIT = 64  # reduced range, see above
SENTINELS = 2
SATURATED = 20.0  # sigmoid and tanh of it are 1 to the last bit of float32
GATE_SIGNS = ((1, 1, 1, 1), (1, 1, 1, -1))  # gates (input, output, forget, cell): h → +1, h → -1


def quantized_description(config: NetworkConfig, *, sentinels: bool = True) -> dict[str, object]:
    """What the model file says of its quantization."""
    linear = {"linear": "int8, symmetric per tensor; sums in int32"} if config.pair_buckets else {}
    promises = ["same bits in every batch"] if sentinels else []
    return {
        "precision": "int8",
        "lstm": f"int8 weights, symmetric per tensor, range ±{WEIGHT_LIMIT}; uint8 activations",
        "embedding": "int8, symmetric per tensor",
        "head": "int8 weights, symmetric per input; float32 products" if config.ngrams else "float32",
        **linear,
        **({"ngrams": "int8, symmetric per column; sums in int32"} if config.ngrams else {}),
        "sentinel_units": SENTINELS if sentinels else 0,
        "promises": [*promises, "same bits on every x86 CPU with AVX2 or later"],
    }


def read_weights(model: onnx.ModelProto, config: NetworkConfig) -> GraphWeights:
    """The constants of an fp32 graph made by ``graph.build_fp32``. DataError where one is missing."""
    found: Mapping[str, Array] = {c.name: numpy_helper.to_array(c) for c in model.graph.initializer}
    try:
        layers = tuple(
            LstmLayer(found[f"lstm{n}_w"], found[f"lstm{n}_r"], found[f"lstm{n}_b"])
            for n in range(config.layers)
        )
        return GraphWeights(
            found["embedding"],
            layers,
            found["head_w"],
            found["head_b"],
            found["pairs"] if config.pair_buckets else None,
            _ngrams(model) if config.ngrams else None,
            found["ngram_vectors"] if config.ngrams else None,
        )
    except KeyError as error:
        raise DataError(
            f"the graph has no constant {error}; quantize an fp32 file made by 'edge-lstm export'"
        ) from None


def _ngrams(model: onnx.ModelProto) -> Array:
    """What graph.add_ngrams was given: int64 [n, 2]. KeyError where the operator is missing."""
    for node in model.graph.node:
        if node.op_type == "TfIdfVectorizer":
            values = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            pool = np.array(values["pool_int64s"], dtype=np.int64)
            starts = values["ngram_counts"]
            words = len(pool)
            if values["max_gram_length"] == 2:
                words = starts[1]
            alone = np.stack([pool[:words], np.zeros(words, np.int64)], axis=1)
            return np.concatenate([alone, pool[words:].reshape(-1, 2)])
    raise KeyError("TfIdfVectorizer")


def build_int8(
    weights: GraphWeights,
    config: NetworkConfig,
    length: int,
    *,
    batch: int | None,
    opset: int,
    sentinels: bool = True,
) -> onnx.ModelProto:
    """The int8 graph: same input and output as the fp32 one.

    sentinels: False leaves them out and breaks the first promise: only to measure what they cost.
    """
    g = GraphBuilder(opset)
    block = pooling_block(config, length)
    steps, lengths = add_lengths(g, block)
    values, scale = quantize_embedding(weights.embedding, sentinels=sentinels)
    gathered = g.add("Gather", [g.constant("embedding", values), steps], "embedded_int8")  # T, B, E + 2
    x = g.add("DequantizeLinear", [gathered, g.constant("embedding_scale", scale)], "embedded")
    # From the second layer on, the input's scale must be still from the first step: there the
    # sentinels start saturated (h_1 = 1, not 0.76).
    start = sentinels and len(weights.layers) > 1
    last = ""
    for n, layer in enumerate(weights.layers):
        parts = 1 if n == 0 else layer.directions
        padded = add_sentinels(layer, input_parts=parts) if sentinels else layer
        w, w_scale = quantize_weights(padded.w)
        r, r_scale = quantize_weights(padded.r)
        inputs = [
            x,
            g.constant(f"lstm{n}_w", w),
            g.constant(f"lstm{n}_r", r),
            g.constant(f"lstm{n}_b", padded.b),
            lengths,
            "",  # initial_h
            _initial_c(g, lengths, padded) if start else "",
            "",  # peepholes
            g.constant(f"lstm{n}_w_scale", w_scale),
            g.constant(f"lstm{n}_w_zero", np.zeros_like(w_scale, dtype=np.int8)),
            g.constant(f"lstm{n}_r_scale", r_scale),
            g.constant(f"lstm{n}_r_zero", np.zeros_like(r_scale, dtype=np.int8)),
        ]
        y, last = g.add_many(
            "DynamicQuantizeLSTM",
            inputs,
            [f"lstm{n}_y", f"lstm{n}_h"],
            domain=MICROSOFT_DOMAIN,
            hidden_size=padded.hidden,
            direction=direction_of(padded),
        )
        x = add_flatten(g, n, y, padded) if n + 1 < len(weights.layers) else y
    top, head = weights.layers[-1], weights.head_weight
    if sentinels:
        blocks, width = config.pooled_dim // top.hidden, config.pooled_dim
        head = np.concatenate([_pad_blocks(head[:width], blocks, top.hidden, axis=0), head[width:]])
        top = add_sentinels(top, input_parts=1)
    linear = "" if weights.pairs is None else _add_linear(g, config, weights.pairs)
    pooled = add_pooling(g, config, x, last, lengths, top, block)
    if weights.ngrams is not None and weights.ngram_vectors is not None:
        pooled = _add_ngrams(g, pooled, weights.ngrams, weights.ngram_vectors, lengths)
        head_weight = _add_head_weight(g, head)
    else:
        head_weight = g.constant("head_w", head)
    add_head(g, config, pooled, head_weight, weights.head_bias, linear)
    return assemble(g, config, length, batch=batch, domains=[MICROSOFT_DOMAIN])


def _add_linear(g: GraphBuilder, config: NetworkConfig, table: Array) -> str:
    """The linear part [B, logits]; the sum of int8 weights is one of integers, which no order changes.

    Cast and Mul make it a float: ONNX Runtime's optimizer carries a DequantizeLinear over the Transpose
    with a QuantizeLinear in between, and the sums come out wrong (1.32, at opset 21 it does not load).
    """
    values, scale = quantize_table(table)
    found = g.add("Cast", [add_pair_weights(g, config, values)], "pair_weights_int", to=TensorProto.INT32)
    total = g.add("ReduceSum", [found, g.ints("axis_2", 2)], "pair_sums", keepdims=0)  # logits, B
    wide = g.add("Cast", [total], "pair_sums_float", to=TensorProto.FLOAT)
    scaled = g.add("Mul", [wide, g.constant("pairs_scale", scale)], "pair_sums_scaled")
    return g.add("Transpose", [scaled], "linear", perm=[1, 0])  # B, logits


def _add_ngrams(g: GraphBuilder, pooled: str, ngrams: Array, vectors: Array, lengths: str) -> str:
    """The n-gram part beside what the head reads. Ones and zeros times int8, added up in int32: exact, in any
    order, and on AVX2 too (two products of at most 127 fit the 16 bits in which it adds them)."""
    scales = np.stack([_scale(column, 127) for column in vectors.T])  # one a column: logits differ in size
    values = np.clip(np.rint(vectors / scales), -127, 127).astype(np.int8)
    held = g.add("Cast", [add_ngrams(g, ngrams)], "ngrams_held_uint8", to=TensorProto.UINT8)
    total = g.add("MatMulInteger", [held, g.constant("ngram_vectors", values)], "ngram_sums_int")
    wide = g.add("Cast", [total], "ngram_sums_float", to=TensorProto.FLOAT)
    scaled = g.add("Mul", [wide, g.constant("ngram_scales", scales)], "ngram_sums")
    return add_ngram_mean(g, pooled, scaled, lengths)


def _add_head_weight(g: GraphBuilder, head: Array) -> str:
    """A head [inputs, logits] of many labels is kept in int8, a scale an input, and multiplied as float32.

    ONNX Runtime computes Cast and Mul once, when it loads the file, and packs the product, as it does a
    constant: then a row has the same bits alone and in any batch. A DequantizeLinear stays in the graph, and
    with it a single row is multiplied in another order than several (1.32: up to 2e-5 apart).
    """
    scales = np.stack([_scale(row, 127) for row in head])[:, None]
    values = np.clip(np.rint(head / scales), -127, 127).astype(np.int8)
    wide = g.add("Cast", [g.constant("head_w", values)], "head_w_wide", to=TensorProto.FLOAT)
    return g.add("Mul", [wide, g.constant("head_w_scales", scales)], "head_w_float")


def quantize_table(table: Array) -> tuple[Array, Array]:
    """float32, any shape → (int8 of that shape, scale float32 scalar)."""
    scale = _scale(table, 127)
    return np.clip(np.rint(table / scale), -127, 127).astype(np.int8), scale


def quantize_embedding(embedding: Array, *, sentinels: bool = True) -> tuple[Array, Array]:
    """float32 [ids, E] → (int8 [ids, E + 2], scale float32 scalar); [ids, E] without sentinels.

    The last two columns are the sentinels 127 and -128. With both ends in every row the operator's own
    scale is exactly this one (range / 255, zero at 128), so its rounding changes nothing more.
    """
    values, scale = quantize_table(embedding)
    if not sentinels:
        return values, scale
    ends = np.tile(np.array([127, -128], dtype=np.int8), (len(values), 1))
    return np.concatenate([values, ends], axis=1), scale


def quantize_weights(weights: Array) -> tuple[Array, Array]:
    """float32 [D, 4H, inputs] → (int8 [D, inputs, 4H] as the operator wants it, scale float32 [D])."""
    scales = np.stack([_scale(direction, WEIGHT_LIMIT) for direction in weights])
    values = np.clip(np.rint(weights / scales[:, None, None]), -WEIGHT_LIMIT, WEIGHT_LIMIT)
    return values.astype(np.int8).transpose(0, 2, 1), scales


def _scale(values: Array, limit: int) -> Array:
    largest = float(np.abs(values).max())
    return np.array(largest / limit if largest > 0 else 1.0, dtype=np.float32)


def add_sentinels(layer: LstmLayer, *, input_parts: int) -> LstmLayer:
    """A layer with two more hidden units per direction and columns for the sentinels of its input.

    input_parts: blocks that the input is made of, each with sentinels of its own at its end (the
    embedding, or one block per direction of the layer before).
    """
    hidden = layer.hidden
    w = _pad_blocks(
        _pad_blocks(layer.w, 4, hidden, axis=1), input_parts, layer.w.shape[2] // input_parts, axis=2
    )
    r = _pad_blocks(_pad_blocks(layer.r, 4, hidden, axis=1), 1, hidden, axis=2)
    b = _pad_blocks(layer.b, 8, hidden, axis=1)
    wide = hidden + SENTINELS
    for k, signs in enumerate(GATE_SIGNS):
        for gate, sign in enumerate(signs):
            b[:, gate * wide + hidden + k] = sign * SATURATED
    return LstmLayer(w, r, b)


def _pad_blocks(value: Array, blocks: int, size: int, *, axis: int) -> Array:
    """Appends two zeros to each of the equal blocks that an axis is made of."""
    pieces = np.split(value, blocks, axis=axis)
    assert pieces[0].shape[axis] == size
    widths = [(0, SENTINELS if a == axis else 0) for a in range(value.ndim)]
    return np.concatenate([np.pad(piece, widths) for piece in pieces], axis=axis)


def _initial_c(g: GraphBuilder, lengths: str, padded: LstmLayer) -> str:
    """Cell states at the start [D, B, H + 2]: saturated for the sentinels, 0 for the others."""
    directions, hidden = padded.directions, padded.hidden
    name = f"initial_c_{directions}_{hidden}"
    if any(node.name == name for node in g.nodes):
        return name
    row = np.zeros((directions, 1, hidden), dtype=np.float32)
    row[:, :, -2], row[:, :, -1] = SATURATED, -SATURATED
    rows = g.add("Shape", [lengths], f"{name}_rows")  # [B]
    ends = [g.ints(f"{name}_directions", directions), rows, g.ints(f"{name}_hidden", hidden)]
    shape = g.add("Concat", ends, f"{name}_shape", axis=0)
    return g.add("Expand", [g.constant(f"{name}_row", row), shape], name)
