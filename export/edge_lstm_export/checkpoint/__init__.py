"""What is kept in files: a trained network, the stages of a training."""

from __future__ import annotations

from edge_lstm_export.checkpoint.checkpoint import (
    Checkpoint,
    describe_checkpoint,
    is_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from edge_lstm_export.checkpoint.stages import LOOP, NOT_KEPT, TEACHERS, Stage, Stages, load_stages

__all__ = [
    "LOOP",
    "NOT_KEPT",
    "TEACHERS",
    "Checkpoint",
    "Stage",
    "Stages",
    "describe_checkpoint",
    "is_checkpoint",
    "load_checkpoint",
    "load_stages",
    "save_checkpoint",
]
