"""What a network gets beside gradient steps: word vectors, and a fitted table of words and word pairs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from edge_lstm_export import linear_part
from edge_lstm_export.evaluation import predict_logits, soft_cross_entropy
from edge_lstm_export.examples import Examples, one_hot
from edge_lstm_export.linear_part import (
    begin_linear_part,
    count_matrix,
    finish_linear_part,
    fit_table,
)
from edge_lstm_export.network import Network, NetworkConfig
from edge_lstm_export.word_vectors import FEWEST_TOKENS, SPREAD, word_vectors

CONFIG = NetworkConfig(num_words=40, embedding_dim=4, hidden=6, pooling="mean+max", pair_buckets=997)


def examples_of(rows: list[list[int]], labels: list[int], count: int = 2) -> Examples:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Examples(np.concatenate(rows).astype(np.int32), offsets, one_hot(labels, count))


def negated(texts: int, seed: int) -> Examples:
    """Texts whose label is told by a pair alone: 10 before 11 or before 12, both in every text."""
    rng = np.random.default_rng(seed)
    rows, labels = [], []
    for i in range(texts):
        label = i % 2
        pairs = [[10, 11], [13, 12]] if label else [[10, 12], [13, 11]]
        noise = rng.integers(20, 40, (3, 2)).tolist()
        rows.append([1, *noise[0], *pairs[0], *noise[1], *pairs[1], *noise[2]])
        labels.append(label)
    return examples_of(rows, labels)


def test_counts_are_what_the_network_adds_up() -> None:
    torch.manual_seed(0)
    network = Network(CONFIG).eval()
    assert network.pairs is not None
    with torch.no_grad():
        network.pairs.weight[1:].normal_()
    examples = examples_of([[1, 5, 6, 5, 6], [1], [1, 9, 9, 9]], [0, 1, 0])
    counts = count_matrix(examples, CONFIG)
    assert counts.sum(axis=1).ravel().tolist() == [[9.0, 1.0, 7.0]]
    ids, _ = examples.padded(np.arange(3))
    by_network = network.linear(ids).detach().numpy()
    np.testing.assert_allclose(counts @ network.pairs.weight.numpy(), by_network, atol=1e-5)


def test_a_table_tells_texts_apart_that_hold_the_same_words() -> None:
    table = fit_table(negated(400, 0), CONFIG)
    other = negated(200, 1)
    logits = count_matrix(other, CONFIG) @ table.weights + table.intercept
    assert ((logits[:, 0] > 0) == (other.targets[:, 1] > 0.5)).mean() > 0.98
    assert not table.weights[0].any()
    # The words alone do not: every text holds the same telling ones.
    alone = dataclasses.replace(CONFIG, pair_buckets=1)
    table = fit_table(negated(400, 0), alone)
    logits = count_matrix(other, alone) @ table.weights + table.intercept
    assert ((logits[:, 0] > 0) == (other.targets[:, 1] > 0.5)).mean() < 0.7


def test_a_table_of_few_texts_is_sure_of_what_it_saw() -> None:
    few, other = negated(60, 0), negated(200, 1)
    table = fit_table(few, CONFIG)
    logits = (count_matrix(other, CONFIG) @ table.weights + table.intercept)[:, 0]
    assert ((logits > 0) == (other.targets[:, 1] > 0.5)).mean() > 0.98
    # The logit of a target that counts as 0.95 is 2.94; the penalty of a large corpus would leave 2.
    assert np.median(np.abs(logits)) > 2.5


@pytest.mark.parametrize("labels", [2, 3])
def test_both_parts_weighed_are_better_than_the_lstm_alone(labels: int) -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)

    def texts(count: int) -> Examples:
        which = rng.integers(0, labels, count)
        return examples_of([[1, *rng.integers(20, 40, 6), 10 + w] for w in which], which.tolist(), labels)

    train, validation = texts(300), texts(100)
    network = Network(dataclasses.replace(CONFIG, labels=labels)).eval()
    before = float(
        soft_cross_entropy(predict_logits(network, validation), torch.from_numpy(validation.targets))
    )
    begin_linear_part(network, train)
    finished = finish_linear_part(network, train, validation)
    logits = predict_logits(network, validation)
    assert float(soft_cross_entropy(logits, torch.from_numpy(validation.targets))) < before / 2
    assert finished.linear > 0
    assert network.pairs is not None and not network.pairs.weight[0].any()


def test_a_few_validation_texts_do_not_weigh_the_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_part, "FEW", 0)  # test_small_data.py is about few training texts
    torch.manual_seed(0)
    network = Network(CONFIG).eval()
    examples = negated(400, 0)
    begin_linear_part(network, examples)
    finished = finish_linear_part(network, examples, negated(4, 1))
    assert finished.lstm == pytest.approx(1, abs=0.2)
    assert finished.linear == pytest.approx(0.5, abs=0.2)


def test_words_of_one_use_get_vectors_side_by_side() -> None:
    rng = np.random.default_rng(0)
    # Ids 10 to 14 stand among 30 to 39, ids 15 to 19 among 40 to 49.
    rows = []
    for i in range(2 * FEWEST_TOKENS // 20):
        side = i % 2
        row = rng.integers(30 + 10 * side, 40 + 10 * side, 20)
        row[::4] = rng.integers(10 + 5 * side, 15 + 5 * side, 5)
        rows.append(row.tolist())
    examples = examples_of(rows, [0] * len(rows))
    vectors = word_vectors(examples, num_words=60, dim=4, seed=0)
    assert vectors is not None and vectors.shape == (61, 4)
    np.testing.assert_allclose(np.linalg.norm(vectors[10:20], axis=1), SPREAD * 2, rtol=1e-4)
    same = vectors[10:15] @ vectors[10:15].T
    other = vectors[10:15] @ vectors[15:20].T
    assert same.min() > other.max()
    assert np.isnan(vectors[[0, 1, 2, 5, 60]]).all()  # no words, or never seen
    again = word_vectors(examples, num_words=60, dim=4, seed=0)
    assert np.array_equal(vectors, again, equal_nan=True)


def test_few_texts_give_no_word_vectors() -> None:
    assert word_vectors(examples_of([[1, 5, 6]], [0]), num_words=60, dim=4, seed=0) is None
