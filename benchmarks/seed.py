"""The seed network, the one that every peer runs: shapes, weights, and its arithmetic in plain numpy.

ids [batch, 600] → Embedding(5001, 32) → LSTM(100) over all 600 steps → Dense(1, sigmoid).
Weights bear PyTorch's names and gate order (i, f, g, o); `lstm.bias_hh_l0` is 0, since Keras has one bias.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VOCABULARY, EMBEDDING, HIDDEN, LENGTH = 5001, 32, 100, 600
SHAPES: dict[str, tuple[int, ...]] = {
    "embedding.weight": (VOCABULARY, EMBEDDING),
    "lstm.weight_ih_l0": (4 * HIDDEN, EMBEDDING),
    "lstm.weight_hh_l0": (4 * HIDDEN, HIDDEN),
    "lstm.bias_ih_l0": (4 * HIDDEN,),
    "head.weight": (1, HIDDEN),
    "head.bias": (1,),
}
MULTIPLY_ADDS_PER_TOKEN = 4 * HIDDEN * (EMBEDDING + HIDDEN)  # 52,800: the two products of a step

Weights = dict[str, NDArray[np.float32]]


def random_weights(seed: int = 7) -> Weights:
    """Weights of a trained network's scale, for trying the peers without a checkpoint."""
    generator = np.random.default_rng(seed)
    scale = {"embedding.weight": 0.2, "lstm.weight_ih_l0": 0.4, "lstm.weight_hh_l0": 0.15, "head.weight": 0.5}
    weights: Weights = {
        name: generator.normal(0.0, scale.get(name, 0.1), shape).astype(np.float32)
        for name, shape in SHAPES.items()
    }
    weights["lstm.bias_ih_l0"][HIDDEN : 2 * HIDDEN] += 1.0  # Keras starts the forget gate's bias at 1
    return weights


def load(path: Path) -> Weights:
    """Weights from an .npz; raises ValueError where a name or shape is not the seed's."""
    with np.load(path) as stored:
        weights = {name: stored[name].astype(np.float32) for name in stored.files if name in SHAPES}
    found = {name: array.shape for name, array in weights.items()}
    if found != SHAPES:
        raise ValueError(f"{path}: expected the seed network's arrays {SHAPES}, found {found}")
    return weights


def probabilities(weights: Weights, ids: NDArray[np.int32]) -> NDArray[np.float64]:
    """The answer every peer must give: float64 [batch], all 600 steps in double precision."""
    wide = {name: array.astype(np.float64) for name, array in weights.items()}
    hidden = cell = np.zeros((len(ids), HIDDEN))
    for step in range(ids.shape[1]):
        embedded = wide["embedding.weight"][ids[:, step]]
        gates = embedded @ wide["lstm.weight_ih_l0"].T + hidden @ wide["lstm.weight_hh_l0"].T
        gates += wide["lstm.bias_ih_l0"]
        into, forget, candidate, out = np.split(gates, 4, axis=1)
        cell = _sigmoid(forget) * cell + _sigmoid(into) * np.tanh(candidate)
        hidden = _sigmoid(out) * np.tanh(cell)
    answer: NDArray[np.float64] = _sigmoid(hidden @ wide["head.weight"][0] + wide["head.bias"][0])
    return answer


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    squashed: NDArray[np.float64] = 0.5 * (1.0 + np.tanh(0.5 * x))
    return squashed
