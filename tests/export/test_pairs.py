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
    PRIME,
    PairTable,
    buckets_of,
    pair_keys,
    table_of,
)
from edge_lstm_export.onnx.from_network import weights_from_network
from edge_lstm_export.onnx.graph import build
from edge_lstm_export.train.sparse.ngrams import Features
from hypothesis import given
from hypothesis import strategies as st
from made import make_checkpoint
from onnx import helper
from onnxruntime import InferenceSession

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
    assert len(table.displacements) == buckets_of(len(own))
    kept = {*pair_keys(*own[own[:, 0] > 0].T).tolist()}
    keys = pair_keys(first, second)
    assert len(kept) >= 0.95 * len(np.unique(keys)) - 1 and kept <= {*keys.tolist()}
    is_kept = np.isin(keys, [*kept])
    assert found[is_kept].all() and (pair_keys(*own[slots[is_kept]].T) == keys[is_kept]).all()
    assert ((table.fingerprints == 0) == (own[:, 0] == 0)).all()
    for with_padding in ((first, 0 * second), (0 * first, second)):
        assert not table.find(*with_padding)[1].any()


def test_of_two_pairs_with_one_key_the_first_has_the_vector() -> None:
    # 2^31 is 1 more than the modulus: 16,384 · 2^17 more is 1 more.
    pairs = np.array([[20_000, 7], [3_616, 8], [5, 6]])
    assert pair_keys(20_000, 7) == pair_keys(3_616, 8) < PRIME
    table, own = table_of(pairs, 100)
    slots, found = table.find(pairs[:, 0], pairs[:, 1])
    assert found.all() and slots[0] == slots[1] != slots[2]
    assert own[slots[1]].tolist() == [20_000, 7]


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


@pytest.mark.parametrize("int8", [False, True], ids=["fp32", "int8"])
@pytest.mark.parametrize("words", [0, 100, 198])
@pytest.mark.parametrize("counts", [(1,), (8, 14, 17), tuple(range(20, 35))], ids=str)
def test_the_graph_counts_what_network_and_training_count_alone_and_in_any_batch(
    counts: tuple[int, ...], words: int, int8: bool
) -> None:
    """What an n-gram counts by its occurrences: tests/engine/test_engine.py."""
    settings = {"ngram_words": words, "ngram_slots": 300, "ngram_dim": 1}
    network = make_checkpoint(300, ngram_counts=counts, **settings).network
    model = build(weights_from_network(network), network.config, 300, int8=int8, long=False)
    # What the vectors of the n-grams are multiplied by.
    present = next(node.input[0] for node in model.graph.node if "MatMul" in node.op_type)
    model.graph.output.append(helper.make_empty_tensor_value_info(present))
    session = InferenceSession(model.SerializeToString())
    rng = np.random.default_rng(2)
    rows = [[1, *rng.integers(2, 200, size).tolist()] for size in (1, 2, 3, 30, 59)]
    rows += [[], [1], [1, 199, 199], [4, 5, 6, 7, 4], [4, 4], [4] * 3, [4] * 4]
    rows += [[4] * 256]  # a byte would count it as none
    ids = to_matrix(rows, 300)
    (found,) = session.run([present], {"input_ids": ids})
    for row, together in zip(ids, found):
        (alone,) = session.run([present], {"input_ids": row[None]})
        assert np.array_equal(alone[0], together)

    found = found[:, 2:]  # two columns stand for what is no n-gram
    ngrams = network.ngrams
    in_network = ngrams.occurrences(torch.from_numpy(ids.astype(np.int64)))
    for counted, row, adds in zip(found, *(part.numpy() for part in in_network)):
        assert (counted == np.bincount(row, adds, minlength=len(counted) + 1)[1:]).all()
    table = PairTable(ngrams.pairs.displacements.numpy(), ngrams.pairs.fingerprints.numpy())
    places = np.zeros((len(table.fingerprints), 2), np.int64)
    features = Features(words, table, places, counts=counts)
    held = features.held(Examples.from_rows(rows, np.zeros((len(rows), 2), np.float32)))
    assert np.allclose(held.toarray() * counts[0], found)
    is_repeated = found[-1] > 0
    assert is_repeated.sum() == (2 if words else 1)
    assert (found[-1][is_repeated] == counts[-1]).all()
