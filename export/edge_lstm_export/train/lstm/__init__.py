"""The LSTM: its first weights, its training."""

from __future__ import annotations

from edge_lstm_export.train.lstm.component import fit_lstm, lstm_examples
from edge_lstm_export.train.lstm.history import EpochRecord, best_of, write_history
from edge_lstm_export.train.lstm.loop import SILENT, Callbacks, LoopResult
from edge_lstm_export.train.lstm.start import (
    LstmShape,
    check_shape,
    first_values,
    first_weights,
    lstm_shape,
)

__all__ = [
    "SILENT",
    "Callbacks",
    "EpochRecord",
    "LoopResult",
    "LstmShape",
    "best_of",
    "check_shape",
    "first_values",
    "first_weights",
    "fit_lstm",
    "lstm_examples",
    "lstm_shape",
    "write_history",
]
