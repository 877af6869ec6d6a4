"""The n-gram part: what is read of a text, how its vectors are fitted, and that the network says
the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from edge_lstm_export.network.examples import Examples
from edge_lstm_export.network.network import Network
from edge_lstm_export.network.predict import predict_logits
from edge_lstm_export.options import (
    NetworkOptions,
    SparseOptions,
    TextOptions,
)
from edge_lstm_export.train.calibrate import ComponentLogits, Stack
from edge_lstm_export.train.components import assembled
from edge_lstm_export.train.data.vocabulary import build_vocabulary
from edge_lstm_export.train.sparse.ngrams import (
    Features,
    SparseData,
    SparsePart,
    choose_ngrams,
    fit_logistic,
    fit_low_rank,
    fit_svm,
    with_characters,
)
from made import rows

from edge_lstm.core.text import Tokenizer

OPTIONS = SparseOptions()


def read(labels: int, each: int, slots: int = 100) -> tuple[Tokenizer, Examples, Features]:
    table = rows(labels * each, [f"kind{i:02}" for i in range(labels)])
    texts, names = zip(*table)
    truth = np.array([int(name[-2:]) for name in names])
    tokenizer = build_vocabulary(texts, (), TextOptions(), 400)
    examples = Examples.from_texts(tokenizer, texts, np.eye(labels, dtype=np.float32)[truth])
    return tokenizer, examples, chosen(examples, slots, tokenizer)


def chosen(examples: Examples, slots: int, tokenizer: Tokenizer) -> Features:
    words = tokenizer.num_ids - 2
    return with_characters(choose_ngrams(examples, words, slots), tokenizer, 2)


def answers(weights: SparsePart, features: Features, examples: Examples) -> Any:
    logits = weights.logits(examples)
    return (logits[:, 0] > 0).astype(int) if logits.shape[1] == 1 else logits.argmax(axis=1)


@pytest.mark.parametrize(
    ("fit", "labels"), [("svm", 2), ("svm", 3), ("logistic", 2), ("low rank", 3)]
)
def test_each_fit_tells_texts_apart_that_it_has_not_seen(fit: str, labels: int) -> None:
    tokenizer, examples, features = read(labels, 40)
    seen = examples.subset(np.arange(60))
    new = examples.subset(np.arange(60, len(examples)))
    data = SparseData(features, seen, OPTIONS)
    if fit == "low rank":
        weights = fit_low_rank(data, 8, seed=0)
        assert np.array_equal(weights.vectors, fit_low_rank(data, 8, seed=0).vectors)
    else:
        weights = fit_logistic(data) if fit == "logistic" else fit_svm(data)
        assert weights.vectors.shape == (len(features), data.outputs)
    assert (answers(weights, features, new) == new.targets.argmax(axis=1)).mean() >= 0.9
    # A word that no text holds is read by its characters.
    other = Examples.from_texts(tokenizer, ["ofkind01 filler99"], new.targets[:1])
    assert fit == "low rank" or answers(weights, features, other).tolist() == [1]


def test_a_fit_beside_logits_learns_what_they_leave_and_keeps_what_says_it() -> None:
    _, examples, features = read(2, 30)
    data = SparseData(features, examples, OPTIONS)
    truth = examples.targets[:, 1:] > 0.5
    known = np.where(truth, 20, -20).astype(np.float32)
    assert np.abs(fit_logistic(data, known).vectors).max() < 1e-3
    weights = fit_logistic(data, -known / 10)  # wrong logits are outweighed
    assert np.array_equal(weights.logits(examples) - known / 10 > 0, truth)


def test_the_pairs_that_say_most_stay_with_their_vectors() -> None:
    _, examples, features = read(3, 30)
    data = SparseData(features, examples, OPTIONS)
    whole = fit_svm(data)
    part = whole.with_best_pairs(data.held, 5)
    assert part.features.words == features.words and len(part.features.pairs) == 5

    def vectors_of(fitted: SparsePart) -> dict[tuple[int, int], Any]:
        pairs = map(tuple, fitted.features.pairs.tolist())
        return {pair: v for pair, v in zip(pairs, fitted.vectors[features.words :]) if any(pair)}

    worth = np.linalg.norm(whole.vectors, axis=1) * np.sqrt(data.held.getnnz(axis=0))
    of_pair = dict(zip(map(tuple, features.pairs.tolist()), worth[features.words :]))
    vectors = vectors_of(whole)
    by_worth = sorted(vectors, key=of_pair.__getitem__)
    kept = vectors_of(part)
    # A small table finds no place for one or two of them.
    assert len(kept) >= 3 and kept.keys() <= {*by_worth[-5:]}
    assert all(np.array_equal(kept[pair], vectors[pair]) for pair in kept)


@pytest.mark.parametrize("labels", [2, 20])
def test_the_network_answers_as_both_parts_together(labels: int) -> None:
    tokenizer, examples, features = read(labels, 6)
    data = SparseData(features, examples, OPTIONS)
    weights = fit_svm(data) if labels < 20 else fit_low_rank(data, 8, 0)
    torch.manual_seed(0)
    shape = {
        "ngram_words": features.words,
        "ngram_slots": len(features.pairs),
        "ngram_dim": weights.vectors.shape[1],
    }
    network = Network(
        NetworkOptions(tokenizer.num_ids, 4, 5, True, "mean+max", labels, **shape).config
    ).eval()
    network.ngrams.choose(features.table)
    lstm = predict_logits(network, examples).numpy()
    parts = ComponentLogits(lstm, weights.logits(examples), examples.targets)
    stack = Stack(0.3, 1.7, np.linspace(-1, 1, lstm.shape[1]).astype(np.float32))
    network = assembled(network, stack, weights)
    np.testing.assert_allclose(
        predict_logits(network, examples).numpy(), stack.logits(parts), atol=2e-4
    )
