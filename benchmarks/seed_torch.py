"""The seed network as a PyTorch module: what the PyTorch peers run and the exporters trace."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks import seed


class SeedNetwork(nn.Module):
    """ids int64 [batch, 600] → probability of the positive label, float32 [batch, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(seed.VOCABULARY, seed.EMBEDDING)
        self.lstm = nn.LSTM(seed.EMBEDDING, seed.HIDDEN, batch_first=True)
        self.head = nn.Linear(seed.HIDDEN, 1)

    def forward(self, ids: Tensor) -> Tensor:
        states, _ = self.lstm(self.embedding(ids))  # [batch, 600, 100]
        return torch.sigmoid(self.head(states[:, -1]))


def from_weights(path: Path) -> SeedNetwork:
    """The network in evaluation mode with the weights of an .npz."""
    network = SeedNetwork()
    state = {name: torch.from_numpy(array) for name, array in seed.load(path).items()}
    # Keras has one bias where PyTorch has two.
    network.load_state_dict(state | {"lstm.bias_hh_l0": torch.zeros(4 * seed.HIDDEN)})
    return network.eval()
