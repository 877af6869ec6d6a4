"""How a network came about: plain values for the checkpoint and the model file."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import Any

import torch

from edge_lstm import __version__
from edge_lstm.metrics import SetScores
from edge_lstm_export.train.calibrate import Calibration, result_warnings
from edge_lstm_export.train.data import LabelledRows, TrainingData
from edge_lstm_export.train.lstm import LoopResult, best_of
from edge_lstm_export.train.sources import Dataset

FOLDS = ("folds", "group folds")  # names of rows that folds judge


@dataclass(frozen=True)
class Measured:
    """Figures that only the training tells.

    parameters: numbers that were trained.
    """

    loop: LoopResult
    calibration: Calibration
    test: SetScores | None = None
    parameters: int = 0


def provenance(dataset: Dataset, data: TrainingData, measured: Measured) -> dict[str, Any]:
    """Return how a network came about, as a checkpoint holds it.

    No clock is read.
    """
    best = best_of(measured.loop.history)
    calibration = measured.calibration
    scores = calibration.scores
    rows = data.rows
    transfer = data.transfer
    predictions = data.predictions
    teachers = [
        {
            "name": member.name,
            "weight": round(member.weight, 3),
            "accuracy": round(member.accuracy, 4),
        }
        for member in (predictions.members if predictions else ())
    ]
    groups = {"group_column": dataset.group_column, "groups": dataset.groups}
    return {
        "data": {
            "name": dataset.name,
            "sha256": dataset.digest,
            "train_texts": dict(zip(dataset.labels, rows.learnt.counts())),
            "validation_texts": len(rows.validation),
            "test_texts": len(dataset.test or ()),
            **(groups if dataset.group_column else {}),
            "unlabelled_texts": transfer.from_log,
            "augmented_texts": len(transfer.texts) - transfer.from_log,
            "checks": dict(dataset.checks),
        },
        "preset": data.plan.preset,
        "seed": data.plan.seed,
        "parameters": measured.parameters,
        "teachers": teachers,
        "teachers_accuracy": round(predictions.accuracy, 4) if predictions else None,
        "outcome": measured.loop.outcome,
        "epochs": len(measured.loop.history),
        "best_epoch": best.epoch if best else None,
        "validation": scores.to_dict() if scores else None,
        "cross_validated": scores is not None and not len(rows.validation),
        "test": measured.test.to_dict() if measured.test else None,
        "held_out": _held_out(dataset, rows, measured),
        "parts": {
            "lstm": round(calibration.stack.lstm, 4),
            "ngrams": round(calibration.stack.sparse, 4),
        },
        "temperature": round(calibration.temperature, 6),
        "warnings": [*dataset.warnings, *result_warnings(scores)],
        "versions": {
            "edge-lstm": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    }


def _held_out(dataset: Dataset, rows: LabelledRows, measured: Measured) -> dict[str, str]:
    """Return what judged the network: the names of cli.display.HELD_OUT."""
    held_out: dict[str, str] = {}
    if measured.test is not None:
        held_out["test"] = dataset.test_rows
    if measured.calibration.scores is not None:
        by_rows, by_groups = ("random", "groups") if len(rows.validation) else FOLDS
        held_out["validation"] = by_groups if dataset.group_column else by_rows
    return held_out
