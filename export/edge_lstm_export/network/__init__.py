"""The network in PyTorch: layers, input, answers."""

from __future__ import annotations

from edge_lstm_export.network.examples import Examples, cropped, random_batches, shuffled_batches
from edge_lstm_export.network.headroom import (
    MARGIN,
    MOST_TIMES,
    Rows,
    close,
    never_closed,
    spread,
    text_rows,
    tried_rows,
    typical_rows,
    units_closed,
    with_headroom,
)
from edge_lstm_export.network.logits import (
    count_correct,
    cross_entropy,
    fit_temperature,
    probabilities,
    soft_cross_entropy,
    two_columns,
)
from edge_lstm_export.network.network import Network, Weights, lstm_name, settled_rows, threads
from edge_lstm_export.network.optimizer import adamw
from edge_lstm_export.network.pairs import (
    BUCKET_FACTOR,
    FINGERPRINTS,
    LEFT_FACTOR,
    NO_PAIRS,
    PRIME,
    SLOT_FACTOR,
    SLOTS_PER_BUCKET,
    PairTable,
    buckets_of,
    table_of,
)
from edge_lstm_export.network.predict import predict_logits, predict_probabilities

__all__ = [
    "BUCKET_FACTOR",
    "FINGERPRINTS",
    "LEFT_FACTOR",
    "MARGIN",
    "MOST_TIMES",
    "NO_PAIRS",
    "PRIME",
    "SLOTS_PER_BUCKET",
    "SLOT_FACTOR",
    "Examples",
    "Network",
    "PairTable",
    "Rows",
    "Weights",
    "adamw",
    "buckets_of",
    "close",
    "count_correct",
    "cropped",
    "cross_entropy",
    "fit_temperature",
    "lstm_name",
    "never_closed",
    "predict_logits",
    "predict_probabilities",
    "probabilities",
    "random_batches",
    "settled_rows",
    "shuffled_batches",
    "soft_cross_entropy",
    "spread",
    "table_of",
    "text_rows",
    "threads",
    "tried_rows",
    "two_columns",
    "typical_rows",
    "units_closed",
    "with_headroom",
]
