"""Checkpoint → model file, through every gate."""

from __future__ import annotations

from edge_lstm_export.onnx.codes import coded
from edge_lstm_export.onnx.draft import Draft
from edge_lstm_export.onnx.exporting import Exported, export
from edge_lstm_export.onnx.letter_pairs import with_codes
from edge_lstm_export.onnx.quantize import rounded_to_int8
from edge_lstm_export.onnx.rounding import unpacked
from edge_lstm_export.onnx.size import (
    FEWEST_SLOTS,
    excess,
    file_size,
    fitted_sizes,
    in_groups,
    ngram_bytes,
    pair_bytes,
    row_bytes,
    slots_in,
)
from edge_lstm_export.onnx.source import open_source, source_file
from edge_lstm_export.onnx.weights import SENTINELS

__all__ = [
    "FEWEST_SLOTS",
    "SENTINELS",
    "Draft",
    "Exported",
    "coded",
    "excess",
    "export",
    "file_size",
    "fitted_sizes",
    "in_groups",
    "ngram_bytes",
    "open_source",
    "pair_bytes",
    "rounded_to_int8",
    "row_bytes",
    "slots_in",
    "source_file",
    "unpacked",
    "with_codes",
]
