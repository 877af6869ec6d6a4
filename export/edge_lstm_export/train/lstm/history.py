"""The course of a training: one record an epoch, kept as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_lstm.system.atomic import write_atomically


@dataclass(frozen=True)
class EpochRecord:
    """One pass over the training examples.

    Losses in nats, accuracies from 0 to 1, learning_rate at the end.

    calibrated_loss: of the validation part, as the two before it, after the best temperature.
    """

    epoch: int
    loss: float
    accuracy: float
    learning_rate: float
    seconds: float
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    calibrated_loss: float | None = None


def best_of(history: Sequence[EpochRecord]) -> EpochRecord | None:
    """Return the epoch with the lowest validation loss, the earliest of equals.

    Without validation it is the last one.

    None before the first is complete.
    """
    if history and history[-1].calibrated_loss is None:
        return history[-1]
    return min(history, key=lambda record: record.calibrated_loss or 0.0, default=None)


def write_history(history: Sequence[EpochRecord], path: Path, **described: Any) -> None:
    """Write the epochs as JSON, with whatever else describes the training."""
    best = best_of(history)
    content = described | {
        "best_epoch": best.epoch if best else None,
        "epochs": [*map(asdict, history)],
    }
    write_atomically(json.dumps(content, indent=1, ensure_ascii=False) + "\n", path)
