"""The table of pairs: every pair has a slot of its own, and the graph finds what the table
finds."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from edge_lstm_export.network.examples import Examples
from edge_lstm_export.network.pairs import (
    NO_PAIRS,
    PairTable,
    pair_keys,
    table_of,
)
from edge_lstm_export.network.predict import predict_probabilities
from edge_lstm_export.train.sparse.ngrams import Features
from hypothesis import given
from hypothesis import strategies as st
from made import classifier_of, make_checkpoint

from edge_lstm.core.text import to_matrix

IDS = st.integers(1, 131_070)


def drawn(count: int, ids: int = 16_000) -> np.ndarray:
    """int64 [count, 2], different pairs."""
    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(1, ids, (2 * count, 2)), axis=0)
    return rng.permutation(pairs)[:count]


@given(st.lists(st.tuples(IDS, IDS), max_size=60, unique=True))
def test_nearly_every_pair_finds_its_slot_and_no_pair_with_padding_any(pairs: list) -> None:
    listed = np.array(pairs, np.int64).reshape(-1, 2)
    first, second = listed.T
    table, own = table_of(listed, 1000)
    if not pairs:
        assert table == NO_PAIRS and len(own) == 0
        return
    slots, found = table.find(first, second)
    kept = {*pair_keys(*own[own[:, 0] > 0].T).tolist()}
    keys = pair_keys(first, second)
    assert len(kept) >= 0.9 * len(np.unique(keys)) - 2 and kept <= {*keys.tolist()}
    is_kept = np.isin(keys, [*kept])
    assert found[is_kept].all() and (pair_keys(*own[slots[is_kept]].T) == keys[is_kept]).all()
    assert ((table.fingerprints == 0) == (own[:, 0] == 0)).all()
    for with_padding in ((first, 0 * second), (0 * first, second)):
        assert not table.find(*with_padding)[1].any()


@pytest.mark.parametrize("most", [0, 1, 2, 3, 7, 100, 400])
def test_of_the_first_pairs_nearly_all_stay_if_not_all_find_room(most: int) -> None:
    pairs = drawn(500)
    table, own = table_of(pairs, most)
    assert len(own) == len(table.fingerprints) <= most
    assert len(own) > 0.9 * most or most < 100
    kept = own[own[:, 0] > 0].tolist()
    assert len(kept) >= 0.95 * len(own) or most < 100
    assert {*map(tuple, kept)} <= {*map(tuple, pairs[: len(own)].tolist())}


def test_a_table_is_nearly_full_the_same_each_time_and_made_in_a_moment() -> None:
    pairs = drawn(20_000)
    start = time.process_time()
    table, own = table_of(pairs, 10**6)
    assert time.process_time() - start < 4  # a table of this size takes half a second
    assert 20_000 <= len(own) < 20_100 and table.displacements.max() < 256
    assert (own[:, 0] > 0).sum() > 0.99 * len(pairs)
    again, _ = table_of(pairs, 10**6)
    assert (again.displacements == table.displacements).all()
    rng = np.random.default_rng(1)
    others = rng.integers(1, 16_000, (10**5, 2))
    slots, found = table.find(others[:, 0], others[:, 1])
    foreign = found & (own[slots] != others).any(axis=1)
    assert 300 <= foreign.sum() <= 500, "one in 255"


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
