"""Training split → the seed network's weights, learned as Keras's example learns them.

python -m benchmarks.convert.seed TEXTS WEIGHTS.npz

Padding stands on the left, nothing masks it, and the answer is the last state. Batches hold texts of similar
length and drop most of their common padding: after 64 steps of it the state does not move any more.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks import seed
from benchmarks.seed_torch import SeedNetwork

EPOCHS, BATCH, PEAK_RATE, DROPOUT = 5, 64, 3e-3, 0.2
PADDING_KEPT = 64


def main(texts: Path, output: Path) -> None:
    """Train, a line an epoch, and write the .npz."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ids, lengths = np.load(texts / "train-left.npy"), np.load(texts / "train-lengths.npy")
    truth = torch.from_numpy(np.load(texts / "train-labels.npy").astype(np.float32))
    network = initialised()
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters)
    steps = EPOCHS * -(-len(ids) // BATCH)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps + 1, pct_start=0.15)
    for epoch in range(EPOCHS):
        total = 0.0
        for rows in batches(lengths, np.random.default_rng(epoch)):
            start = max(0, seed.LENGTH - int(lengths[rows].max()) - PADDING_KEPT)
            logits = training_logits(network, torch.from_numpy(ids[rows, start:].astype(np.int64)))
            loss = nn.functional.binary_cross_entropy_with_logits(logits, truth[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            rates.step()
            total += loss.item() * len(rows)
        print(f"epoch {epoch + 1} of {EPOCHS}: loss {total / len(ids):.4f}", flush=True)
    state = network.state_dict()
    partial = output.with_name(f".{output.name}")
    np.savez(partial, **{name: state[name].numpy() for name in seed.SHAPES})
    partial.replace(output)


def initialised() -> SeedNetwork:
    """Keras's starting values: uniform embedding, Glorot and orthogonal weights, forget gates open."""
    network = SeedNetwork()
    nn.init.uniform_(network.embedding.weight, -0.05, 0.05)
    nn.init.xavier_uniform_(network.lstm.weight_ih_l0)
    nn.init.orthogonal_(network.lstm.weight_hh_l0)
    nn.init.zeros_(network.lstm.bias_ih_l0)
    nn.init.zeros_(network.lstm.bias_hh_l0).requires_grad_(False)  # Keras has one bias
    with torch.no_grad():
        network.lstm.bias_ih_l0[seed.HIDDEN : 2 * seed.HIDDEN] = 1.0
    return network


def training_logits(network: SeedNetwork, ids: Tensor) -> Tensor:
    """ids int64 [batch, steps] → logits [batch], with dropout of embedding columns and of the last state."""
    embedded = network.embedding(ids)
    embedded = nn.functional.dropout1d(embedded.transpose(1, 2), DROPOUT).transpose(1, 2)
    states, _ = network.lstm(embedded)
    logits: Tensor = network.head(nn.functional.dropout(states[:, -1], DROPOUT))[:, 0]
    return logits


def batches(lengths: NDArray[np.int32], order: np.random.Generator) -> list[NDArray[np.int64]]:
    """All rows in batches of similar length (never the same ones twice), in random order."""
    blurred = np.argsort(lengths + order.normal(0, 8, len(lengths)))
    cut = [blurred[start : start + BATCH] for start in range(0, len(blurred), BATCH)]
    return [cut[k] for k in order.permutation(len(cut))]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
