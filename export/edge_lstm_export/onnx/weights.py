"""A network's constants as the graph holds them: from PyTorch's weights, or out of an fp32 file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_lstm.errors import DataError
from edge_lstm_export.onnx.quantize import Array, LstmWeights, to_int8
from edge_lstm_export.train.options import NetworkConfig

if TYPE_CHECKING:  # they take a while to import: a training needs no onnx, quantizing a file no PyTorch
    import torch
    from onnx import ModelProto

    from edge_lstm_export.train.network import Network, Weights


@dataclass(frozen=True)
class GraphWeights:
    """The constants of an fp32 graph.

    embedding: float32 [ids, E]. head_weight: float32 [pooled + width, logits], first the rows that read the
    LSTM; head_bias: float32 [logits]. ngrams, if any: int64 [n, 2], see network.NGramVectors; their vectors:
    float32 [n, width].
    """

    embedding: Array
    lstm: LstmWeights
    head_weight: Array
    head_bias: Array
    ngrams: Array | None = None
    ngram_vectors: Array | None = None


def weights_from_network(config: NetworkConfig, weights: Weights) -> GraphWeights:
    """PyTorch's weights → the graph's: gates reordered, both biases folded into one."""
    from edge_lstm_export.train.network import lstm_name

    def gates(name: str) -> Array:
        """[D, 4H, …] in PyTorch's order (i, f, g, o) → ONNX's (i, o, f, c)."""
        names = [f"lstm.{lstm_name(direction)}.{name}_l0" for direction in range(config.directions)]
        i, f, g, o = np.split(np.stack([weights[key] for key in names]), 4, axis=1)
        return np.concatenate([i, o, f, g], axis=1)

    bias = gates("bias_ih") + gates("bias_hh")
    b = np.concatenate([bias, np.zeros_like(bias)], axis=1)
    return GraphWeights(
        weights["embedding.weight"],
        LstmWeights(gates("weight_ih"), gates("weight_hh"), b),
        weights["head.weight"].T,
        weights["head.bias"],
        weights["ngrams.ids"] if config.ngrams else None,
        weights["ngrams.vectors.weight"][1:] if config.ngrams else None,
    )


def round_to_int8(network: Network) -> None:
    """Round embedding, LSTM, n-gram vectors and head in place to what the int8 file will hold.

    Then the two files differ by the LSTM's activations only: what is chosen on the rounded network,
    thresholds for one, holds for both. Rounding again changes nothing.
    """
    import torch

    tables: list[tuple[torch.Tensor, int | None]] = [
        (network.embedding.weight, None),
        (network.head.weight, 0),
    ]
    if network.ngrams is not None:
        tables.append((network.ngrams.vectors.weight, 0))
    with torch.no_grad():
        for table, axis in tables:
            table.copy_(torch.from_numpy(np.multiply(*to_int8(table.numpy(), axis))))
        for name, weight in network.lstm.named_parameters():
            if ".weight" in name:
                weight.copy_(torch.from_numpy(np.multiply(*to_int8(weight.numpy(), reduced=True))))


def read_weights(model: ModelProto, config: NetworkConfig) -> GraphWeights:
    """The constants of an fp32 graph made by ``graph.build``. DataError where one is missing."""
    from onnx import numpy_helper

    constants: dict[str, Array] = {c.name: numpy_helper.to_array(c) for c in model.graph.initializer}
    try:
        return GraphWeights(
            constants["embedding"],
            LstmWeights(constants["lstm_w"], constants["lstm_r"], constants["lstm_b"]),
            constants["head_w"],
            constants["head_b"],
            _read_ngrams(model) if config.ngrams else None,
            constants["ngram_vectors"] if config.ngrams else None,
        )
    except KeyError as error:
        advice = "quantize an fp32 file made by 'edge-lstm export'"
        raise DataError(f"the graph has no constant {error}; {advice}") from None


def _read_ngrams(model: ModelProto) -> Array:
    """The n-grams that graph.build was given: int64 [n, 2]. KeyError where the operator is missing."""
    from onnx import helper

    for node in model.graph.node:
        if node.op_type == "TfIdfVectorizer":
            values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            pool = np.array(values["pool_int64s"], dtype=np.int64)
            words = values["ngram_counts"][1] if values["max_gram_length"] == 2 else len(pool)
            alone = np.stack([pool[:words], np.zeros(words, np.int64)], axis=1)
            return np.concatenate([alone, pool[words:].reshape(-1, 2)])
    raise KeyError("TfIdfVectorizer")
