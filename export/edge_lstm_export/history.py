"""The course of a training: one record an epoch, kept as JSON and as a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_lstm.atomic import open_atomically, write_atomically
from edge_lstm.printable import printable


@dataclass(frozen=True)
class EpochRecord:
    """One pass over the training examples. Losses in nats, accuracies from 0 to 1, learning_rate at
    the end; validation values are None where there is no validation part. calibrated_loss is the
    validation loss after the best temperature (None in what version 0.1 kept).
    """

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    calibrated_loss: float | None
    learning_rate: float
    seconds: float
    temperature: float | None = None

    @property
    def judged_by(self) -> float:
        """The loss that decides which epoch is best.

        After the temperature, since the kept weights get one anyway: without it, an epoch that classifies
        better but is too sure of itself loses to one that is merely modest.
        """
        return self.loss if self.calibrated_loss is None else self.calibrated_loss


def best_of(history: Sequence[EpochRecord]) -> EpochRecord | None:
    """The epoch with the lowest loss, the earliest of equals; None before the first is complete."""
    return min(history, key=lambda record: record.judged_by, default=None)


def write_history(history: Sequence[EpochRecord], path: Path, **described: Any) -> None:
    """Writes the epochs as JSON, with whatever else describes the training."""
    best = best_of(history)
    content = described | {
        "best_epoch": best.epoch if best else None,
        "epochs": [asdict(record) for record in history],
    }
    write_atomically(json.dumps(content, indent=1, ensure_ascii=False) + "\n", path)


def draw_history(history: Sequence[EpochRecord], path: Path, title: str) -> None:
    """Draws loss and accuracy over the epochs as a PNG. Imports matplotlib, which takes a second."""
    from matplotlib.figure import Figure  # without pyplot: needs no display

    best = best_of(history)
    epochs = [record.epoch for record in history]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy")):
        axes.plot(epochs, [getattr(r, name) for r in history], "o-", color="#7a8ba0", label="training")
        validated = [(r.epoch, getattr(r, f"validation_{name}")) for r in history]
        validated = [(epoch, value) for epoch, value in validated if value is not None]
        if validated:
            axes.plot(*zip(*validated), "o-", color="#c8501e", label="validation")
        if best:
            axes.axvline(best.epoch, color="black", linewidth=0.8, linestyle=":", label="kept")
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    figure.suptitle(printable(title), fontsize=10)
    with open_atomically(path) as file:
        figure.savefig(file, format="png", dpi=120)
