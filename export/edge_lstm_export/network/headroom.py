"""Headroom: how far an LSTM's units stay below the largest output that any unit can have.

An int8 file scales the LSTM's activations by two sentinel units, which run to the ends of the range
(see onnx/weights.py). A unit that came as far as they do could set the scale itself, and an answer
would depend on the texts of its batch. Training keeps every unit away from there, and export does
where rounding, or a text that training did not know, drives one nearer: both multiply its output
gate's weights by less than 1.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

import numpy as np
import torch

from edge_lstm.core.text import OOV_ID, Tokenizer
from edge_lstm.errors import DataError
from edge_lstm.models import example_texts
from edge_lstm_export.arrays import Bools, Ints
from edge_lstm_export.network.examples import Examples, sorted_batches
from edge_lstm_export.network.network import Network

Rows = list[list[int]]
# Below the largest output; many times what the export asks for, since other texts drive units
# farther than the tried ones.
MARGIN = 1e-4
MOST_TIMES = 50  # after which nothing is left of a float32 weight
BATCH = 128  # texts that are tried at once


def random_rows(tokenizer: Tokenizer, *, seed: int = 0) -> Rows:
    """Return token ids that try the graph.

    Lengths are 1, 2, N - 1, N, one cut from N + 1, and some between.
    """
    rng = np.random.default_rng(seed)
    n = tokenizer.length
    drawn = rng.integers(1, n + 1, size=11).tolist()
    sizes = [*sorted({1, min(2, n), max(1, n - 1), n, *drawn}), n + 1]
    first = min(OOV_ID, tokenizer.num_ids - 1)
    return _kept(
        tokenizer, (rng.integers(first, tokenizer.num_ids, size=size - 1) for size in sizes)
    )


def typical_rows(tokenizer: Tokenizer, *, seed: int = 0) -> Rows:
    """Return random token ids that resemble texts: most are short, and most words are frequent.

    Tokenizers give a frequent word a low id. By Zipf's law its frequency is as the inverse of it.
    """
    rng = np.random.default_rng(seed)
    ids = np.arange(min(OOV_ID, tokenizer.num_ids - 1), tokenizer.num_ids)
    shares = 1 / np.arange(1, len(ids) + 1)
    shares /= shares.sum()
    sizes = np.exp(rng.uniform(0, np.log(tokenizer.length), size=64)).astype(int)
    return _kept(tokenizer, (rng.choice(ids, size=size, p=shares) for size in sizes))


def _kept(tokenizer: Tokenizer, rows: Iterable[Ints]) -> Rows:
    """Return the ids that a network reads of texts of these ids."""
    return [list(tokenizer.kept(tokenizer.with_start(row.tolist()))) for row in rows]


def text_rows(tokenizer: Tokenizer, texts: Sequence[str]) -> Rows:
    """Token ids of real texts."""
    return [tokenizer.encode_text(text).ids for text in texts]


def tried_rows(tokenizer: Tokenizer) -> Rows:
    """Token ids of the texts that every export tries, whatever the training learnt from."""
    return random_rows(tokenizer) + text_rows(tokenizer, example_texts())


def spread(lengths: Sequence[int] | Ints, most: int) -> Ints:
    """Return the texts to try: int64, every k-th.

    lengths: tokens of each text.
    most: tokens in all, about.
    """
    every = max(1, -(-int(np.sum(lengths)) // most))
    return np.arange(0, len(lengths), every)


def with_headroom(network: Network, learnt: Examples, rows: Rows) -> Network:
    """Return a network whose units keep away from the largest output.

    learnt: examples that the network was trained on; of many, a sample is tried.
    rows: more token ids.

    Raise DataError if a weight is not finite.
    """
    if not network.is_finite():
        raise DataError(
            "the training left weights that are not finite numbers; lower the learning_rate"
        )
    if not network.layers:
        return network
    network = copy.deepcopy(network)
    closed = never_closed(network)
    targets = np.zeros((len(rows), learnt.targets.shape[1]), np.float32)
    sample = learnt.subset(spread(learnt.lengths, 300_000))  # ids
    tried = sample.joined(Examples.from_rows(rows, targets))
    every = sorted_batches(tried.lengths, np.arange(len(tried)), BATCH)
    batches = every
    while batches:
        near = [
            [(room < MARGIN).numpy() for room in network.room(*tried.padded(batch))]
            for batch in batches
        ]
        again = [batch for batch, units in zip(batches, near) if any(map(np.any, units))]
        if again:
            close(network, [np.any(units, axis=0) for units in zip(*near)], closed)
        elif len(batches) < len(every):  # closed units change the other texts a little, too
            again = every
        batches = again
    return network


def never_closed(network: Network) -> list[Ints]:
    """Return how often each unit was closed, int64 [directions, units] for each LSTM: never."""
    return [np.zeros((each.directions, each.units), np.int64) for each in network.config.lstms]


def units_closed(closed: Sequence[Ints]) -> int:
    """Return how many units were closed."""
    return sum(int((times > 0).sum()) for times in closed)


def close(network: Network, units: Sequence[Bools], closed: Sequence[Ints]) -> None:
    """Close the output gates of some units in place, more if they were closed before.

    units: for each LSTM bool [directions, units]. closed: int64 of the same shapes, times that each
        was closed; counted on.
    """
    factors = []
    for of_layer, times in zip(units, closed):
        times += of_layer
        # Its square the second time, and so on.
        factors.append(np.where(of_layer, 0.9**times, 1.0).astype(np.float32))
    network.scale_output_gates([torch.from_numpy(values) for values in factors])
