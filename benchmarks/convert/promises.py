"""The int8 file with and without the units that keep its promise about batches, to measure what they cost.

python -m benchmarks.convert.promises CHECKPOINT.safetensors FOLDER

Four files. The checkpoint's network with the sentinel units and without them: the same answers but for
rounding. And what the same two widths hold when used the other way: the wider one full of real units, the
narrower one with two of its units spent as sentinels. These two are untrained, which changes no time.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch
from edge_lstm_export import graph, quantization
from edge_lstm_export.checkpoint import Checkpoint, load_checkpoint
from edge_lstm_export.network import Network
from edge_lstm_export.weights import weights_from_network

from edge_lstm.atomic import write_atomically

SENTINELS = quantization.SENTINELS


def main(source: Path, folder: Path) -> None:
    """Write promises.{kept,dropped,dropped-wide,kept-narrow}.onnx."""
    trained = load_checkpoint(source)
    for name, checkpoint, sentinels in (
        ("kept", trained, True),
        ("dropped", trained, False),
        ("dropped-wide", widened(trained, SENTINELS), False),
        ("kept-narrow", widened(trained, -SENTINELS), True),
    ):
        write_atomically(int8_file(checkpoint, sentinels=sentinels), folder / f"promises.{name}.onnx")


def widened(checkpoint: Checkpoint, units: int) -> Checkpoint:
    """The same network, untrained, with so many more hidden units and embedding columns."""
    config = checkpoint.network.config
    torch.manual_seed(0)
    wider = replace(config, embedding_dim=config.embedding_dim + units, hidden=config.hidden + units)
    return replace(checkpoint, network=Network(wider).eval())


def int8_file(checkpoint: Checkpoint, *, sentinels: bool) -> bytes:
    """A model file's bytes. The gates of 'edge-lstm quantize' would refuse the one without sentinels."""
    config, tokenizer = checkpoint.network.config, checkpoint.tokenizer
    weights = weights_from_network(config, checkpoint.network.weights())
    model = graph.build(weights, config, tokenizer.length, "int8", sentinels=sentinels)
    quantized = quantization.quantized_description(config, sentinels=sentinels)
    description = graph.Description(config, tokenizer, checkpoint.labels, checkpoint.training, quantized)
    return graph.describe_in(model, description)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
