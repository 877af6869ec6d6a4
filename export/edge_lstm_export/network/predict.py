"""Answers of a network, in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from edge_lstm_export.arrays import Floats
from edge_lstm_export.network.examples import Examples, sorted_batches
from edge_lstm_export.network.logits import probabilities
from edge_lstm_export.network.network import Network


def predict_logits(
    network: Network, examples: Examples, *, on_batch: Callable[[], None] = lambda: None
) -> Tensor:
    """Logits: [n, 1 or L], in the examples' order and of the weights' type.

    Leaves the network in evaluation mode. ``on_batch`` is called after each batch.
    """
    network.eval()
    logits = torch.empty(len(examples), network.config.logits, dtype=network.head.weight.dtype)
    with torch.no_grad():
        for rows in sorted_batches(examples.lengths, np.arange(len(examples)), 64):
            logits[torch.from_numpy(rows)] = network(*examples.padded(rows))
            on_batch()
    return logits


def predict_probabilities(network: Network, rows: Sequence[Sequence[int]]) -> Floats:
    """Return the network's probabilities for texts as ids: [n, L], of the weights' type."""
    examples = Examples.from_rows(rows, np.zeros((len(rows), network.config.labels), np.float32))
    return probabilities(predict_logits(network, examples), multi_label=network.config.multi_label)
