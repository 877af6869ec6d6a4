"""Small networks with weights large enough to matter, and their checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from edge_lstm_export.checkpoint import Checkpoint
from edge_lstm_export.network import Network, NetworkConfig

from edge_lstm.text import Tokenizer

MakeCheckpoint = Callable[..., Checkpoint]

# These networks are tiny: a second thread only waits, and on a busy machine it spins.
torch.set_num_threads(1)


@pytest.fixture
def make_checkpoint() -> MakeCheckpoint:
    """A function that makes an untrained checkpoint: keyword arguments of NetworkConfig, and length."""

    def make(length: int = 60, oov_id: int | None = 2, **settings: Any) -> Checkpoint:
        torch.manual_seed(0)
        config = NetworkConfig(**{"num_words": 200, "embedding_dim": 6, "hidden": 10, **settings})
        network = Network(config).eval()
        with torch.no_grad():
            network.embedding.weight.mul_(10)
            network.head.weight.mul_(3)
            network.head.bias.uniform_(-0.5, 0.5)
        words = tuple(f"word{i}" for i in range(config.num_words - 4))
        labels = tuple(f"label{i}" for i in range(config.labels))
        return Checkpoint(network, Tokenizer(words, length, oov_id), labels, {"data": "none", "seed": 0})

    return make


@pytest.fixture
def encoder_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders of random weights teach as if they knew something: they would be left out."""
    from edge_lstm_export.short_teaching import ShortTeachers

    monkeypatch.setattr(ShortTeachers, "encoder_adds", lambda self, alone, say: True)
