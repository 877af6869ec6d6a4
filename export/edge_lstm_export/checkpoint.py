"""A checkpoint: weights and everything needed to rebuild, in one safetensors file that runs no code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from edge_lstm.atomic import write_atomically
from edge_lstm.errors import DataError
from edge_lstm.text import Tokenizer
from edge_lstm_export.network import Network, NetworkConfig

CHECKPOINT_FORMAT = 1
_KEY = "edge_lstm_checkpoint"


@dataclass(frozen=True)
class Checkpoint:
    """A trained network with its tokenizer and labels.

    training: how it was made (data, digest, seed, options, versions, metrics), plain values.
    state: tensors beside the weights that a resumed training needs (optimizer moments, random state);
        empty in a finished checkpoint.
    """

    network: Network
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    training: dict[str, Any]
    state: Mapping[str, torch.Tensor] = field(default_factory=dict)


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Writes a checkpoint; it appears under its name only when complete."""
    tensors = {
        f"network.{name}": value.contiguous() for name, value in checkpoint.network.state_dict().items()
    }
    tensors |= {f"state.{name}": value.contiguous() for name, value in checkpoint.state.items()}
    description = {
        "format": CHECKPOINT_FORMAT,
        "network": checkpoint.network.config.to_dict(),
        "words": checkpoint.tokenizer.words,
        "length": checkpoint.tokenizer.length,
        "oov_id": checkpoint.tokenizer.oov_id,
        "labels": checkpoint.labels,
        "training": checkpoint.training,
    }
    data = save(tensors, {_KEY: json.dumps(description, ensure_ascii=False)})
    write_atomically(data, path, parents=True)


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint. Raises DataError where the file is missing, damaged or of another kind."""
    if not path.is_file():
        raise DataError(f"no checkpoint at {path}; make one with 'edge-lstm train'")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} is no checkpoint, or cut short ({error}); train it again") from None
    if _KEY not in metadata:
        raise DataError(
            f"{path} is a safetensors file of another project; give a checkpoint of 'edge-lstm train'"
        )
    try:
        described = json.loads(metadata[_KEY])
        if described["format"] > CHECKPOINT_FORMAT:
            raise DataError(
                f"{path} was written by a newer version; upgrade with 'pip install -U edge-lstm-export'"
            )
        network = Network(NetworkConfig.from_dict(described["network"]))
        network.load_state_dict(_with_prefix(tensors, "network."))
        tokenizer = Tokenizer(tuple(described["words"]), described["length"], described["oov_id"])
        labels, training = tuple(described["labels"]), described["training"]
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:200]
        raise DataError(
            f"{path}: its description does not fit its weights ({reason}); train it again"
        ) from None
    return Checkpoint(network.eval(), tokenizer, labels, training, _with_prefix(tensors, "state."))


def _with_prefix(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def describe_checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint says of itself, with its parameter table, as plain values."""
    checkpoint = load_checkpoint(path)
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        "labels": list(checkpoint.labels),
        "vocabulary": {
            "words": len(checkpoint.tokenizer.words),
            "first": list(checkpoint.tokenizer.words[:10]),
        },
        "length": checkpoint.tokenizer.length,
        "network": checkpoint.network.config.to_dict(),
        "training": checkpoint.training,
        "layers": [
            {"layer": layer, "output_shape": shape, "parameters": count}
            for layer, shape, count in checkpoint.network.parameter_table()
        ],
    }
