"""Readers of labelled texts, one module a kind of source; ``read`` chooses among them."""

from __future__ import annotations

from edge_lstm_export.train.sources.dataset import Dataset, Split, few_groups, folds_of, hold_out
from edge_lstm_export.train.sources.fields import ALL, field_options, rows_of
from edge_lstm_export.train.sources.imdb import read_reviews
from edge_lstm_export.train.sources.memory import dataset_from
from edge_lstm_export.train.sources.read import check_sources, read_dataset
from edge_lstm_export.train.sources.warnings import checked, scale_notes

__all__ = [
    "ALL",
    "Dataset",
    "Split",
    "check_sources",
    "checked",
    "dataset_from",
    "few_groups",
    "field_options",
    "folds_of",
    "hold_out",
    "read_dataset",
    "read_reviews",
    "rows_of",
    "scale_notes",
]
