"""PyTorch's weights → the constants of a graph."""

from __future__ import annotations

import numpy as np

from edge_lstm_export.graph.pairs import NO_PAIRS, PairTable
from edge_lstm_export.graph.weights import Array, GraphWeights
from edge_lstm_export.train.network import Network, lstm_name


def weights_from_network(network: Network) -> GraphWeights:
    """PyTorch's weights → the graph's: gates reordered, both biases folded into one."""
    weights = network.weights()

    def gates(name: str) -> Array:
        """[D, 4H, …] in PyTorch's order (i, f, g, o) → ONNX's (i, o, f, c)."""
        names = [
            f"lstm.{lstm_name(direction)}.{name}_l0"
            for direction in range(network.config.directions)
        ]
        i, f, g, o = np.split(np.stack([weights[key] for key in names]), 4, axis=1)
        return np.concatenate([i, o, f, g], axis=1)

    pairs = NO_PAIRS
    if network.ngrams is not None:
        pairs = PairTable(weights["ngrams.displacements"], weights["ngrams.fingerprints"])
    bias = gates("bias_ih") + gates("bias_hh")
    return GraphWeights(
        weights["embedding.weight"],
        gates("weight_ih"),
        gates("weight_hh"),
        np.concatenate([bias, np.zeros_like(bias)], axis=1),
        weights["head.weight"].T,
        weights["head.bias"],
        weights.get("ngrams.vectors.weight", np.zeros((1, 0), np.float32))[1:],
        pairs,
    )
