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
    """One pass over the training examples. Losses in nats, accuracies from 0 to 1, learning_rate at the end.
    calibrated_loss: of the validation part, as the two before it, after the best temperature."""

    epoch: int
    loss: float
    accuracy: float
    learning_rate: float
    seconds: float
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    calibrated_loss: float | None = None


def best_of(history: Sequence[EpochRecord]) -> EpochRecord | None:
    """The epoch with the lowest validation loss, the earliest of equals; without validation the last one.
    None before the first is complete."""
    if history and history[-1].calibrated_loss is None:
        return history[-1]
    return min(history, key=lambda record: record.calibrated_loss or 0.0, default=None)


def write_history(history: Sequence[EpochRecord], path: Path, **described: Any) -> None:
    """Writes the epochs as JSON, with whatever else describes the training."""
    best = best_of(history)
    content = described | {"best_epoch": best.epoch if best else None, "epochs": [*map(asdict, history)]}
    write_atomically(json.dumps(content, indent=1, ensure_ascii=False) + "\n", path)


def draw_history(history: Sequence[EpochRecord], path: Path, title: str) -> None:
    """Draws loss and accuracy over the epochs as a PNG. Imports matplotlib, which takes a second."""
    from matplotlib.figure import Figure  # without pyplot: needs no display

    best = best_of(history)
    epochs = [record.epoch for record in history]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy")):
        # Training texts are read with dropout, so their accuracy may lie below that of the validation texts.
        label = "training (with dropout)"
        axes.plot(epochs, [getattr(r, name) for r in history], "o-", color="#7a8ba0", label=label)
        validated = [getattr(r, f"validation_{name}") for r in history]
        if any(value is not None for value in validated):
            axes.plot(epochs, validated, "o-", color="#c8501e", label="validation")
        if best:
            axes.axvline(best.epoch, color="black", linewidth=0.8, linestyle=":", label="kept")
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    figure.suptitle(printable(title), fontsize=10)
    with open_atomically(path) as file:
        figure.savefig(file, format="png", dpi=120)
