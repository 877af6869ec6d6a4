"""Every SOURCE of labelled text → :class:`Dataset`: texts with labels, in training and test."""

from edge_lstm_export.datasets.dataset import Dataset, Split, hold_out
from edge_lstm_export.datasets.sources import SOURCES, DataOptions, read_dataset

__all__ = ["SOURCES", "DataOptions", "Dataset", "Split", "hold_out", "read_dataset"]
