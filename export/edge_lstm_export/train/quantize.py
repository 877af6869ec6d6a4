"""Weights rounded to the values of the int8 file."""

from __future__ import annotations

import copy

import torch

from edge_lstm_export.graph.weights import rounded, to_int8
from edge_lstm_export.train.network import Network


def rounded_to_int8(network: Network) -> Network:
    """Return a copy whose embedding, LSTM, n-gram vectors and head have the values of the int8
    file.

    Then the fp32 and the int8 file differ by the LSTM's activations only: thresholds that are
    chosen on the rounded network hold for both. A second rounding changes nothing.
    """
    copied = copy.deepcopy(network)
    with torch.no_grad():
        for name, values in copied.named_parameters():
            if "bias" in name:
                continue
            if name.startswith("lstm"):
                integers, scales = to_int8(values.numpy()[None])
                values.copy_(torch.from_numpy(integers * scales)[0])
                continue
            # PyTorch has dense layers the other way round.
            is_head = name.startswith("head")
            weights = values.T if is_head else values
            axis = None
            if is_head:
                axis = 1
            elif name.startswith("ngrams"):
                axis = 0
            table = rounded(weights.numpy(), axis)
            weights.copy_(torch.from_numpy(table.values * table.scales))
    return copied
