"""The course of a training: one record an epoch, kept as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_lstm.atomic import write_atomically
from edge_lstm.printable import duration


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


class EpochLines:
    """The epochs of a training as lines for a person, fewer than 80 characters each.

    total: how many there are at most; None: not known.
    """

    def __init__(self, total: int | None) -> None:
        self.total = total
        self._seconds: list[float] = []  # one for each complete epoch

    def which(self, record: EpochRecord) -> str:
        """``epoch 6 of 14``."""
        return f"epoch {record.epoch} of {self.total}" if self.total else f"epoch {record.epoch}"

    def left(self, done: float) -> str:
        """Return how long the other epochs take, if none of them is left out.

        The text is empty if that is unknown.

        done: epochs that are complete, and the part of the one under way.
        """
        if not (self._seconds and self.total) or done >= self.total:
            return ""
        mean = sum(self._seconds) / len(self._seconds)
        return f"  at most {duration((self.total - done) * mean)} left"

    def complete(self, record: EpochRecord, *, details: bool = False) -> str:
        """Return the line of an epoch that is complete.

        details: its losses and its time.
        """
        self._seconds.append(record.seconds)
        loss = record.validation_loss
        accuracy = record.validation_accuracy
        has_validation = loss is not None and accuracy is not None
        if details:
            validation = f"  validation {loss:.4f}  {accuracy:.2%}" if has_validation else ""
            measured = f"loss {record.loss:.4f}  accuracy {record.accuracy:.2%}{validation}"
            return f"{self.which(record)}  {measured}  {record.seconds:.0f} s"
        measured = f"training accuracy {record.accuracy:.2%}"
        if has_validation:
            measured = f"accuracy {record.accuracy:.2%}  validation {accuracy:.2%}"
        line = f"{self.which(record)}  {measured}"
        return line + self.left(record.epoch)


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
