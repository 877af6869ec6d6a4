"""The table of pairs: every pair has a slot of its own, and the graph finds what the table
finds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from edge_lstm_export.network.examples import Examples
from edge_lstm_export.network.pairs import (
    PairTable,
    table_of,
)
from edge_lstm_export.network.predict import predict_probabilities
from edge_lstm_export.train.sparse.ngrams import Features
from made import classifier_of, make_checkpoint

from edge_lstm.core.text import to_matrix


def drawn(count: int, ids: int = 16_000) -> np.ndarray:
    """int64 [count, 2], different pairs."""
    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(1, ids, (2 * count, 2)), axis=0)
    return rng.permutation(pairs)[:count]


def test_a_table_is_nearly_full_and_the_same_each_time() -> None:
    pairs, others = np.split(drawn(100_000), [20_000])
    table, own = table_of(pairs, 10**6)
    assert 20_000 <= len(own) < 20_100
    assert (own[:, 0] > 0).sum() > 0.99 * len(pairs)
    assert 90 <= len(table_of(pairs, 100)[1]) <= 100, "no more than there is room for"
    kept = own[:, 0] > 0
    slots, found = table.find(*own[kept].T)
    assert found.all() and np.array_equal(slots, np.flatnonzero(kept))
    assert {*map(tuple, own[kept].tolist())} <= {*map(tuple, pairs.tolist())}
    assert not table.find(pairs[:, 0], 0 * pairs[:, 1])[1].any(), "a pair with padding"
    again, _ = table_of(pairs, 10**6)
    assert (again.displacements == table.displacements).all()
    found = table.find(others[:, 0], others[:, 1])[1]
    assert found.mean() < 0.005, "one in 255 of those that are not in it"


@pytest.mark.parametrize("words", [0, 198])
@pytest.mark.parametrize("counts", [(1,), (8, 14, 17), tuple(range(20, 35))], ids=str)
def test_file_and_training_count_what_the_network_counts_alone_and_in_any_batch(
    counts: tuple[int, ...], words: int
) -> None:
    """What an n-gram counts by its occurrences: tests/engine/test_engine.py."""
    shape = {"ngram_words": words, "ngram_slots": 300, "ngram_dim": 1}
    checkpoint = make_checkpoint(300, ngram_counts=counts, **shape)
    rng = np.random.default_rng(2)
    rows = [[1, *rng.integers(2, 200, size).tolist()] for size in (1, 2, 3, 30, 59)]
    rows += [[1], [1, 199, 199], [4, 5, 6, 7, 4], [4, 4], [4] * 3, [4] * 4]
    rows += [[4] * 256]  # a byte would count it as none
    classifier = classifier_of(checkpoint)
    answers = classifier.probabilities_of(rows)
    assert np.array_equal(answers, classifier.probabilities_of(rows, batch_size=1))
    assert np.abs(answers - predict_probabilities(checkpoint.network, rows)).max() < 1e-5

    ngrams = checkpoint.network.ngrams
    table = PairTable(ngrams.pairs.displacements.numpy(), ngrams.pairs.fingerprints.numpy())
    places = np.zeros((len(table.fingerprints), 2), np.int64)
    features = Features(words, table, places, counts=counts)
    held = features.held(Examples.from_rows(rows, np.zeros((len(rows), 2), np.float32)))
    counted = ngrams.occurrences(torch.from_numpy(to_matrix(rows, 300).astype(np.int64)))
    for learnt, row, adds in zip(held.toarray(), *(part.numpy() for part in counted)):
        expected = np.bincount(row, adds, minlength=len(learnt) + 1)[1:]
        assert np.allclose(learnt * counts[0], expected)
