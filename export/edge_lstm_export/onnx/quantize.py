"""Weights rounded to the values of the int8 file."""

from __future__ import annotations

import copy

import numpy as np
import torch

from edge_lstm_export.network import Network
from edge_lstm_export.onnx.lstm_rounding import to_int8
from edge_lstm_export.onnx.rounding import metric_of, rounded


def rounded_to_int8(network: Network) -> Network:
    """Return a copy whose weights have the values of the int8 file.

    These are the embedding, the LSTM, the n-gram vectors and the head.

    Then the fp32 and the int8 file differ by the LSTM's activations only: thresholds that are
    chosen on the rounded network hold for both. A second rounding changes nothing.
    """
    copied = copy.deepcopy(network)
    readers = [
        value
        for name, value in network.weights().items()
        if name.startswith("lstms.0.") and name.endswith("weight_ih_l0")
    ]
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
            axis = metric = None
            if is_head:
                axis = 1
            elif name.startswith("ngrams"):
                axis = 0
            elif name.startswith("embedding") and readers:
                metric = metric_of(np.stack(readers))
            table = rounded(weights.numpy(), axis, metric=metric)
            weights.copy_(torch.from_numpy(table.values * table.scales))
    return copied
