"""Weights rounded to the values of the int8 file."""

from __future__ import annotations

import copy

import torch

from edge_lstm_export.graph.weights import to_int8
from edge_lstm_export.train.network import Network


def rounded_to_int8(network: Network) -> Network:
    """Return a copy whose weights have the values of the int8 file.

    These are the embedding, the LSTM, the n-gram vectors and the head.

    Then the fp32 and the int8 file differ by the LSTM's activations only: thresholds that are
    chosen on the rounded network hold for both. A second rounding changes nothing.
    """
    rounded = copy.deepcopy(network)
    with torch.no_grad():
        for name, values in rounded.named_parameters():
            if "bias" in name:
                continue
            axis = 0 if name.startswith(("head", "ngrams")) else None
            integers, scales = to_int8(values.numpy(), axis, reduced=name.startswith("lstm"))
            values.copy_(torch.from_numpy(integers * scales))
    return rounded
