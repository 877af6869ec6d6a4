"""The n-gram part, and linear models."""

from __future__ import annotations

from edge_lstm_export.train.sparse.component import (
    choose_features,
    fit_sparse,
    with_codes,
    within_size,
)
from edge_lstm_export.train.sparse.linear import (
    SVM_C,
    Baseline,
    counters,
    fit_baselines,
    svm_weights,
)
from edge_lstm_export.train.sparse.ngrams import Features, SparsePart

__all__ = [
    "SVM_C",
    "Baseline",
    "Features",
    "SparsePart",
    "choose_features",
    "counters",
    "fit_baselines",
    "fit_sparse",
    "svm_weights",
    "with_codes",
    "within_size",
]
