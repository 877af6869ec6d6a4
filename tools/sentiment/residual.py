"""Give the network of a trained LSTM the n-grams that say what it leaves unsaid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from edge_lstm_export.checkpoint import Checkpoint
from edge_lstm_export.network import Examples, Network, predict_logits
from edge_lstm_export.options import SparseOptions
from edge_lstm_export.train.calibrate import Stack
from edge_lstm_export.train.components import assembled
from edge_lstm_export.train.sparse.ngrams import SparseData, choose_ngrams, fit_logistic
from torch.nn.functional import pad

from edge_lstm.core.text import OOV_ID

TRIES = 4  # for each n-gram that gets a vector


def with_ngrams(checkpoint: Checkpoint, learnt: Examples, slots: int) -> Checkpoint:
    """Choose n-grams and fit them to what the LSTM leaves of the targets.

    checkpoint: of a network without n-grams.
    slots: of word pairs.

    The scores in its record are left out: they were the LSTM's.
    """
    lstm = checkpoint.network
    logits = predict_logits(lstm, learnt).numpy()
    words = lstm.config.num_words - OOV_ID
    tries = TRIES * (words + slots)
    tried = SparseData(choose_ngrams(learnt, words, tries, learnt.targets), learnt, SparseOptions())
    features = fit_logistic(tried, logits).with_best_pairs(tried.held, slots).features
    part = fit_logistic(SparseData(features, learnt, SparseOptions()), logits)
    pairs = len(features.pairs)
    network = Network(replace(lstm.config, ngram_words=words, ngram_slots=pairs, ngram_dim=1))
    weights = lstm.state_dict()
    weights["head.weight"] = pad(weights["head.weight"], (0, 1))
    network.load_state_dict(weights, strict=False)
    stack = Stack(1, 1, np.zeros(1, np.float32))
    training = {**checkpoint.training, "validation": None, "test": None}
    return replace(checkpoint, network=assembled(network.eval(), stack, part), training=training)
