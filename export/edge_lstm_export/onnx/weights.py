"""A network's constants as the graph holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_lstm_export.onnx.quantize import Array, LstmWeights, to_int8
from edge_lstm_export.train.options import NetworkConfig

if TYPE_CHECKING:
    import torch

    from edge_lstm_export.train.network import Network, Weights


@dataclass(frozen=True)
class GraphWeights:
    """The constants of an fp32 graph.

    embedding: float32 [ids, E]. head_weight: float32 [pooled + width, logits], first the rows that read the
    LSTM; head_bias: float32 [logits]. ngrams: int64 [n, 2], see network.NGramVectors, n may be 0; their
    vectors: float32 [n, width].
    """

    embedding: Array
    lstm: LstmWeights
    head_weight: Array
    head_bias: Array
    ngrams: Array
    ngram_vectors: Array


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
        weights.get("ngrams.ids", np.zeros((0, 2), np.int64)),
        weights.get("ngrams.vectors.weight", np.zeros((1, 0), np.float32))[1:],
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
