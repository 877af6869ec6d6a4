"""Headroom: how far an LSTM's units stay below the largest output that any unit can have.

An int8 file scales the LSTM's activations by two sentinel units, which run to the ends of the range (see
onnx/weights.py). A unit that came as far as they do could set the scale itself, and an answer would depend on
the texts of its batch. Training keeps every unit away from there, and export does where rounding, or a text
that training did not know, drives one nearer: both multiply its output gate's weights by less than 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from edge_lstm.errors import DataError
from edge_lstm.models import embedded_reviews
from edge_lstm.text import OOV_ID, START_ID, Tokenizer
from edge_lstm_export.train.data import Ints
from edge_lstm_export.train.examples import Examples, sorted_batches
from edge_lstm_export.train.network import Network

Rows = list[list[int]]
# Many times what export asks of an int8 file, since other texts drive units farther than the tried ones.
LEAST_ROOM = 1e-4
LESS_OPEN = 0.9  # a unit's output gate is multiplied by it, by its square the second time, and so on
MOST_TIMES = 50  # after which nothing is left of a float32 weight
MOST_TOKENS = 300_000  # of training texts that are tried: a few percent of the training of so many
_BATCH = 128


def random_rows(tokenizer: Tokenizer, *, seed: int = 0) -> Rows:
    """Token ids that try the graph: lengths 1, 2, N - 1, N and one cut from N + 1, and some between."""
    rng, n = np.random.default_rng(seed), tokenizer.length
    sizes = [*sorted({1, min(2, n), max(1, n - 1), n, *rng.integers(1, n + 1, size=11).tolist()}), n + 1]
    ids = [rng.integers(OOV_ID, tokenizer.num_ids, size=size - 1).tolist() for size in sizes]
    return [[START_ID, *row][-n:] for row in ids]


def text_rows(tokenizer: Tokenizer, texts: Sequence[str]) -> Rows:
    """Token ids of real texts."""
    return [tokenizer.encode_text(text).ids for text in texts]


def tried_rows(tokenizer: Tokenizer) -> Rows:
    """Token ids of the texts that every export tries, whatever the training learnt from."""
    return random_rows(tokenizer) + text_rows(tokenizer, embedded_reviews())


def spread(lengths: Sequence[int] | Ints, most: int) -> Ints:
    """lengths: tokens of each text → int64, the texts to try: every k-th, so that they have about ``most``
    tokens or fewer."""
    every = max(1, -(-int(np.sum(lengths)) // most))
    return np.arange(0, len(lengths), every)


def leave_room(network: Network, learnt: Examples, rows: Rows) -> int:
    """Close output gates until no unit comes within LEAST_ROOM of what it could reach → how many units that
    took. learnt: what the network was trained on, of which many texts are a sample; rows: more token ids.

    Nothing is tried if no text at all could bring a unit that near. Raises DataError for weights not finite.
    """
    if not network.is_finite():
        raise DataError("the training left weights that are not finite numbers; lower the learning_rate")
    closed = np.zeros((network.config.directions, network.config.hidden), np.int64)
    if bool((network.least_room() >= LEAST_ROOM).all()):
        return 0
    targets = np.zeros((len(rows), learnt.targets.shape[1]), np.float32)
    tried = learnt.subset(spread(learnt.lengths, MOST_TOKENS)).joined(Examples.from_rows(rows, targets))
    every = sorted_batches(tried, np.arange(len(tried)), _BATCH)
    batches = every
    while batches:
        near = [(network.room(*tried.padded(batch)) < LEAST_ROOM).numpy() for batch in batches]
        again = [batch for batch, units in zip(batches, near) if units.any()]
        if again:
            close(network, np.any(near, axis=0), closed)
        elif len(batches) < len(every):  # what was closed changes the other texts a little, too
            again = every
        batches = again
    return int((closed > 0).sum())


def close(network: Network, units: np.ndarray, closed: Ints) -> None:
    """Close the output gates of some units in place: the more, the more often they were closed before.

    units: bool [directions, hidden]; closed: int64 of the same shape, how often each was closed, which is
    counted on.
    """
    closed += units
    network.scale_output_gates(torch.from_numpy(np.where(units, LESS_OPEN**closed, 1.0).astype(np.float32)))
