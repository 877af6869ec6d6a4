"""Teachers, which label texts without labels: see base.py."""

from __future__ import annotations

from edge_lstm_export.train.teachers.base import (
    Teacher,
    accuracy,
    accuracy_gain,
    cross_fit,
    log_loss_gain,
    stacked,
)
from edge_lstm_export.train.teachers.linear import LinearTeacher
from edge_lstm_export.train.teachers.load import Teachers, ask_teachers
from edge_lstm_export.train.teachers.model import model_teacher
from edge_lstm_export.train.teachers.transformer import check_encoder

__all__ = [
    "LinearTeacher",
    "Teacher",
    "Teachers",
    "accuracy",
    "accuracy_gain",
    "ask_teachers",
    "check_encoder",
    "cross_fit",
    "log_loss_gain",
    "model_teacher",
    "stacked",
]
