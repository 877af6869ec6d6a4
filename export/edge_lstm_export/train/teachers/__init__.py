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
from edge_lstm_export.train.teachers.classifier import ClassifierTeacher, label_texts
from edge_lstm_export.train.teachers.linear import LinearTeacher
from edge_lstm_export.train.teachers.load import Teachers, ask_teachers
from edge_lstm_export.train.teachers.model import model_teacher
from edge_lstm_export.train.teachers.transformer import with_teacher_kind

__all__ = [
    "ClassifierTeacher",
    "LinearTeacher",
    "Teacher",
    "Teachers",
    "accuracy",
    "accuracy_gain",
    "ask_teachers",
    "cross_fit",
    "label_texts",
    "log_loss_gain",
    "model_teacher",
    "stacked",
    "with_teacher_kind",
]
