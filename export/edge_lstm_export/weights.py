"""A network's constants as the graph holds them: from PyTorch's weights, or out of an fp32 file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from edge_lstm.errors import DataError
from edge_lstm_export.network import Network, NetworkConfig, Weights, lstm_name
from edge_lstm_export.quantization import (
    Array,
    LstmLayer,
    quantize_columns,
    quantize_rows,
    quantize_table,
    quantize_weights,
)

if TYPE_CHECKING:
    from onnx import ModelProto  # a training needs none, and it takes a while to import


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


def round_to_int8(network: Network) -> None:
    """Rounds embedding, LSTM, n-gram vectors and the head beside them to what the int8 file will hold, as
    quantization.py scales them. Then the two files differ by the LSTM's activations only: what is chosen on
    the rounded network, thresholds for one, holds for both. Rounding again changes nothing.
    """
    with torch.no_grad():
        values, scale = quantize_table(network.embedding.weight.numpy())
        _set(network.embedding.weight, values * scale)
        for lstm in network.lstm.values():
            for name, parameter in lstm.named_parameters():
                if name.startswith("weight"):
                    values, scales = quantize_weights(parameter.numpy()[None])
                    _set(parameter, (values[0] * scales[0]).T)
        if network.ngrams is not None:
            values, scales = quantize_columns(network.ngrams.vectors.weight.numpy())
            _set(network.ngrams.vectors.weight, values * scales)
            values, scales = quantize_rows(network.head.weight.numpy().T)
            _set(network.head.weight, (values * scales).T)


def _set(parameter: torch.Tensor, values: Array) -> None:
    parameter.copy_(torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)))


def _onnx_gates(value: Array) -> Array:
    """[4H, …] in PyTorch's gate order (i, f, g, o) → ONNX's (i, o, f, c)."""
    i, f, g, o = np.split(value, 4)
    return np.concatenate([i, o, f, g])


def read_weights(model: ModelProto, config: NetworkConfig) -> GraphWeights:
    """The constants of an fp32 graph made by ``graph.build``. DataError where one is missing."""
    from onnx import numpy_helper

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


def _ngrams(model: ModelProto) -> Array:
    """What graph.add_ngrams was given: int64 [n, 2]. KeyError where the operator is missing."""
    from onnx import helper

    for node in model.graph.node:
        if node.op_type == "TfIdfVectorizer":
            values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            pool = np.array(values["pool_int64s"], dtype=np.int64)
            starts = values["ngram_counts"]
            words = len(pool)
            if values["max_gram_length"] == 2:
                words = starts[1]
            alone = np.stack([pool[:words], np.zeros(words, np.int64)], axis=1)
            return np.concatenate([alone, pool[words:].reshape(-1, 2)])
    raise KeyError("TfIdfVectorizer")
