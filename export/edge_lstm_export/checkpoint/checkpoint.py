"""A checkpoint: weights and all else that a model is made of.

It is one safetensors file that runs no code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from edge_lstm.core.fields import Fields
from edge_lstm.core.layers import NetworkConfig
from edge_lstm.core.model_checks import labels_from, thresholds_from, tokenizer_from
from edge_lstm.core.question import ANY_CHOICE, Question
from edge_lstm.core.risk_coverage import RiskCoverage
from edge_lstm.core.text import Tokenizer, front_coded
from edge_lstm.errors import DataError
from edge_lstm_export.checkpoint.sealed import HEADER_BYTES, damage, read_sealed, write_sealed
from edge_lstm_export.network import Network
from edge_lstm_export.options import UNTUNED


@dataclass(frozen=True)
class Checkpoint:
    """A trained network with its tokenizer and labels.

    training: how it was made (data, seed, versions, metrics).
    plan: what was planned (options.py). Plain values, and no text of the data.
    thresholds: of a network that gives several labels per text, the probability from which on a
        text has each (UNTUNED until they are chosen); None elsewhere.
    abstention: the risk-coverage curve of texts that the network did not learn from; None without
        any.
    question: its type.
    fields: of a network that reads rows; None if it reads texts.
    """

    network: Network
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    training: dict[str, Any]
    plan: dict[str, Any] = field(default_factory=dict)
    thresholds: tuple[float, ...] | None = None
    abstention: RiskCoverage | None = None
    question: Question = ANY_CHOICE
    fields: Fields | None = None

    def as_text(self, row: Any) -> str:
        """Return what the text rule reads of a text, or of a row. Raise DataError."""
        return str(row) if self.fields is None else self.fields.read(row)

    def __post_init__(self) -> None:
        self.network.length = self.tokenizer.length
        if self.network.config.multi_label and self.thresholds is None:
            object.__setattr__(self, "thresholds", (UNTUNED,) * self.network.config.labels)


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint; it appears under its name only when complete."""
    tensors = {f"network.{name}": value for name, value in checkpoint.network.state_dict().items()}
    tokenizer = checkpoint.tokenizer
    curve = checkpoint.abstention
    description = {
        "network": checkpoint.network.config.to_dict(),
        "tokenizer": tokenizer.to_metadata(),
        "vocabulary": front_coded(tokenizer.entries),
        "labels": checkpoint.labels,
        "thresholds": checkpoint.thresholds,
        "abstention": None if curve is None else curve.to_dict(),
        "question": checkpoint.question.to_dict(),
        "training": checkpoint.training,
        "plan": checkpoint.plan,
    }
    if checkpoint.fields is not None:
        description["fields"] = checkpoint.fields.to_dict()
    write_sealed(tensors, description, path)


def is_checkpoint(path: Path) -> bool:
    """Return whether a file is of the format of checkpoints, whatever it holds and is called."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES + 1)
    return head[HEADER_BYTES:] == b"{"


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raise DataError if the file is missing, damaged or of another kind.
    """
    if not path.exists():
        raise DataError(f"no checkpoint at {path}; make one with 'edge-lstm train'")
    description, tensors = read_sealed(path)
    if "stages" in description:
        raise DataError(
            f"{path} belongs to an unfinished training; "
            "continue it with 'edge-lstm train ... --resume'"
        )
    with damage(path, "train it again"):
        return _checkpoint(description, tensors, path)


def _checkpoint(description: Any, tensors: Mapping[str, torch.Tensor], path: Path) -> Checkpoint:
    """Return the checkpoint of a file's contents.

    Raise DataError, ValueError, KeyError or TypeError.
    """
    weights = {name.removeprefix("network."): value for name, value in tensors.items()}
    config = NetworkConfig.from_dict(description["network"])
    for name in description["network"].keys() - config.to_dict().keys():
        raise ValueError(f"its network has no {name!r}")
    network = Network(config, blank=True)
    for name, value in weights.items():
        dtype = (
            torch.int64
            if name in ("ngrams.displacements", "ngrams.fingerprints")
            else torch.float32
        )
        if value.dtype != dtype or not torch.isfinite(value).all():
            raise ValueError(f"{name} is not all {dtype}, or holds values that are not numbers")
    starts = [
        (weights[f"lstms.{k}.h"], weights[f"lstms.{k}.c"])
        for k in range(len(config.lstms))
        if f"lstms.{k}.h" in weights
    ]
    if starts:
        network.set_starts(starts)
    network.load_state_dict(weights, assign=True)
    if network.ngrams is not None:
        network.ngrams.check()
    tokenizer = tokenizer_from(description["tokenizer"], description["vocabulary"])
    labels = labels_from(description["labels"])
    if (tokenizer.num_ids, len(labels)) != (config.num_words, config.labels):
        sizes = f"{config.num_words:,} ids and {config.labels} labels"
        raise ValueError(
            f"{tokenizer.num_ids:,} ids and {len(labels)} labels for a network of {sizes}"
        )
    thresholds = thresholds_from(description, labels) if config.multi_label else None
    training = description["training"]
    plan = description["plan"]
    curve = description["abstention"]
    if not isinstance(training, dict) or not isinstance(plan, dict):
        raise TypeError("its training and plan are not objects")
    curve = None if curve is None else RiskCoverage.from_dict(curve)
    question = Question.from_dict(description["question"], labels)
    fields = Fields.from_dict(description["fields"]) if "fields" in description else None
    return Checkpoint(
        network.eval(), tokenizer, labels, training, plan, thresholds, curve, question, fields
    )


def describe_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint's description as plain values."""
    checkpoint = load_checkpoint(path)
    labels = checkpoint.labels
    tokenizer = checkpoint.tokenizer
    thresholds = {}
    if checkpoint.thresholds:
        thresholds["thresholds"] = dict(zip(labels, checkpoint.thresholds))
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        "labels": list(labels),
        **thresholds,
        "question": checkpoint.question.to_dict(),
        **({} if checkpoint.fields is None else {"input": checkpoint.fields.to_dict()}),
        "vocabulary": {"words": len(tokenizer.words), "first": list(tokenizer.words[:10])},
        "length": tokenizer.length,
        "padding": checkpoint.network.padding_line,
        "network": checkpoint.network.config.to_dict(),
        "training": checkpoint.training,
        "plan": checkpoint.plan,
    }
