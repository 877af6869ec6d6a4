"""How long the LSTM of a plan will train on this machine."""

from __future__ import annotations

import time

import numpy as np

from edge_lstm.text import FIRST_WORD_ID
from edge_lstm_export.train.examples import Examples
from edge_lstm_export.train.loop import fit_network
from edge_lstm_export.train.network import Network, threads
from edge_lstm_export.train.plan import Plan
from edge_lstm_export.train.stats import DatasetStats

# Texts of the trial, whose steps take less than a second.
TRIED_TEXTS = 256  # tolerance: an estimate
MOST_TOKENS = 8_000  # tolerance: an estimate


def expected_seconds(plan: Plan, stats: DatasetStats) -> float:
    """Return the seconds of all epochs and folds, from one epoch on some random ids."""
    if not plan.network.hidden:
        return 0.0
    length = int(min(max(1.0, stats.mean_length), plan.text.length))
    count = max(plan.loop.batch_size, min(TRIED_TEXTS, MOST_TOKENS // length))
    rng = np.random.default_rng(0)
    ids = rng.integers(FIRST_WORD_ID, plan.network.num_words, (count, length))
    targets = np.full((count, plan.network.labels), 1 / plan.network.labels, np.float32)
    examples = Examples.from_rows(list(ids), targets)
    network = Network(plan.network.config, dropout=plan.network.dropout)
    loop = plan.loop
    one_epoch = type(loop)(epochs=1, batch_size=loop.batch_size, bfloat16=loop.bfloat16)
    with threads(1):
        # The first steps of a process load what the others share.
        fit_network(network, examples.subset(np.arange(2)), one_epoch, plan.seed)
        begin = time.perf_counter()
        fit_network(network, examples, one_epoch, plan.seed)
        per_text = (time.perf_counter() - begin) / count
    texts = stats.rows * (1 + plan.augmentation.texts_per_row) + plan.unlabelled
    # Each fold trains without itself; the final network trains on all.
    rounds = 1 + max(0, plan.validation.folds - 1)
    return per_text * texts * loop.epochs * rounds
