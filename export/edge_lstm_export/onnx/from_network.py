"""PyTorch's weights → the constants of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edge_lstm.core.layers import NetworkConfig
from edge_lstm_export.arrays import Array
from edge_lstm_export.network import NO_PAIRS, Network, PairTable, Weights, lstm_name
from edge_lstm_export.onnx.weights import DenseWeights, GraphWeights, LstmWeights


def weights_from_network(network: Network, rows: Sequence[Sequence[int]] = ()) -> GraphWeights:
    """PyTorch's weights → the graph's.

    rows: token ids of typical texts, by whose values an int8 graph is rounded. Without any, it
        rounds each weight to the nearest number.
    """
    constants = constants_of(network.weights(), network.config)
    if not rows or not constants.lstms:
        return constants
    values = network.recorded(rows)
    *dense, head = (
        replace(layer, inputs=inputs)
        for layer, inputs in zip([*constants.dense, constants.head], values.dense)
    )
    lstms = [
        replace(layer, outputs=outputs) for layer, outputs in zip(constants.lstms, values.outputs)
    ]
    return replace(constants, lstms=lstms, dense=dense, head=head, ids=values.ids)


def zeros_of(config: NetworkConfig) -> GraphWeights:
    """Return zeros for all weights of a network."""
    shapes = Network(config, blank=True).state_dict()
    zeros = {name: np.zeros(value.shape, np.float32) for name, value in shapes.items()}
    return constants_of(zeros, config)


def constants_of(weights: Weights, config: NetworkConfig) -> GraphWeights:
    """PyTorch's weights, by its names → the graph's."""
    pairs = NO_PAIRS
    if config.ngrams:
        pairs = PairTable(weights["ngrams.displacements"], weights["ngrams.fingerprints"])
    return GraphWeights(
        weights["embedding.weight"],
        [_lstm(weights, f"lstms.{k}.", layer.directions) for k, layer in enumerate(config.lstms)],
        [_dense(weights, f"dense.{j}.") for j in range(len(config.dense))],
        _dense(weights, "head."),
        weights.get("ngrams.vectors.weight", np.zeros((1, 0), np.float32))[1:],
        pairs,
    )


def _lstm(weights: Weights, prefix: str, directions: int) -> LstmWeights:
    """Reorder the gates, and fold both biases into one."""

    def gates(name: str) -> Array:
        """[D, 4H, …] in PyTorch's order (i, f, g, o) → ONNX's (i, o, f, c)."""
        names = [f"{prefix}{lstm_name(direction)}.{name}_l0" for direction in range(directions)]
        i, f, g, o = np.split(np.stack([weights[key] for key in names]), 4, axis=1)
        return np.concatenate([i, o, f, g], axis=1)

    first = None
    if f"{prefix}h" in weights:
        first = np.stack([weights[f"{prefix}h"], weights[f"{prefix}c"]])
    return LstmWeights(
        gates("weight_ih"),
        gates("weight_hh"),
        gates("bias_ih") + gates("bias_hh"),
        first,
    )


def _dense(weights: Weights, prefix: str) -> DenseWeights:
    return DenseWeights(weights[f"{prefix}weight"].T, weights[f"{prefix}bias"])
