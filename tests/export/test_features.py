"""The n-gram part: what is read of a text, how its vectors are fitted, and that the network says
the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from edge_lstm_export.network.examples import Examples
from edge_lstm_export.network.network import Network
from edge_lstm_export.network.predict import predict_logits
from edge_lstm_export.options import (
    AugmentationOptions,
    NetworkOptions,
    SparseOptions,
    TextOptions,
)
from edge_lstm_export.train.calibrate import ComponentLogits, Stack
from edge_lstm_export.train.components import assembled
from edge_lstm_export.train.data.vocabulary import build_vocabulary
from edge_lstm_export.train.plan.decisions import make_plan
from edge_lstm_export.train.plan.stats import dataset_stats
from edge_lstm_export.train.sources.memory import dataset_from
from edge_lstm_export.train.sparse.component import fit_sparse
from edge_lstm_export.train.sparse.ngrams import (
    Features,
    SparseData,
    SparsePart,
    choose_ngrams,
    fit_logistic,
    fit_low_rank,
    fit_svm,
    with_characters,
    with_embeddings,
)
from made import prepare, rows

from edge_lstm.core.text import FIRST_WORD_ID, Tokenizer

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
    return with_characters(choose_ngrams(examples, words, slots), tokenizer, 2, {})


def answers(weights: SparsePart, features: Features, examples: Examples) -> Any:
    logits = weights.logits(examples)
    return (logits[:, 0] > 0).astype(int) if logits.shape[1] == 1 else logits.argmax(axis=1)


def test_every_word_has_a_vector_and_pairs_what_is_left() -> None:
    tokenizer, examples, features = read(2, 30)
    words = features.ids[: features.words]
    assert words[:, 0].tolist() == [*range(2, tokenizer.num_ids)] and not words[:, 1].any()
    is_empty = features.pairs[:, 0] == 0
    assert 0 < is_empty.sum() < len(is_empty) <= 100
    held = features.held(examples)
    assert set(held.data.tolist()) == {1.0} and held.shape == (60, len(features))
    # a pair of one text is none
    texts = np.asarray(held[:, features.words :].sum(axis=0))[0]
    assert (texts[~is_empty] >= 2).all() and not texts[is_empty].any()


def test_a_foreign_pair_that_the_table_takes_for_its_own_counts_in_training_too() -> None:
    tokenizer = Tokenizer(tuple(f"word{i}" for i in range(1000)))
    targets = np.eye(2, dtype=np.float32)[[0, 1] * 2]
    texts = ["word1 word2", "word3 word4"] * 2
    features = chosen(Examples.from_texts(tokenizer, texts, targets), 100, tokenizer)
    left, right = (part.ravel() for part in np.meshgrid(*[np.arange(4, 1004)] * 2))
    slots, is_own = features.table.find(left, right)
    foreign = np.flatnonzero(is_own & (features.pairs[slots, 0] != left))[0]
    text = f"word{left[foreign] - 4} word{right[foreign] - 4}"
    held = features.held(Examples.from_texts(tokenizer, [text], targets[:1]))
    assert held[0, features.words + slots[foreign]] == 1


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


def test_naive_bayes_adds_the_same_share_to_each_label_however_rare() -> None:
    _, examples, features = read(3, 30)
    rows = np.r_[0:90:3, 1:90:3, 2:20:3]  # the third label is rare
    seen = examples.subset(rows)
    # with several labels per text there is none
    alone = fit_svm(SparseData(features, seen, OPTIONS, multi_label=True)).logits(seen)
    added = fit_svm(SparseData(features, seen, OPTIONS)).logits(seen) - alone
    assert np.allclose(added.mean(axis=0), 0, atol=1e-4)
    assert np.allclose(added.std(axis=0), 0.3 * alone.std(axis=0), rtol=1e-3)


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
    worth = np.linalg.norm(whole.vectors, axis=1) * np.sqrt(data.held.getnnz(axis=0))
    of_pairs = dict(zip(map(tuple, features.pairs.tolist()), worth[features.words :]))
    of_pairs.pop((0, 0))
    kept = [*map(tuple, part.features.pairs[part.features.pairs[:, 0] > 0].tolist())]
    assert kept and {*kept} == {*sorted(of_pairs, key=of_pairs.__getitem__)[-len(kept) :]}
    vectors = dict(zip(map(tuple, features.pairs.tolist()), whole.vectors[features.words :]))
    for pair, vector in zip(part.features.pairs.tolist(), part.vectors[features.words :]):
        assert not any(pair) or np.array_equal(vector, vectors[tuple(pair)])


def test_vectors_of_a_lower_rank_learn_each_of_several_labels() -> None:
    tokenizer = Tokenizer(("one", "two", "none", "all"))
    texts = ["one all", "two all", "one two all", "none all"] * 400
    targets = np.array([["one" in text, "two" in text, False, True] for text in texts], np.float32)
    examples = Examples.from_texts(tokenizer, texts, targets)
    features = chosen(examples, 50, tokenizer)
    data = SparseData(features, examples, OPTIONS, multi_label=True)
    logits = fit_low_rank(data, 4, seed=0).logits(examples)
    assert np.array_equal(logits > 0, targets > 0.5)


def test_what_words_mean_counts_beside_the_ngrams_and_is_folded_into_their_vectors() -> None:
    tokenizer = Tokenizer.of_subwords(
        ("wave", "harbour", "basket", "till", "the", "tide", "queue"), ("x",)
    )
    texts = ["the wave", "harbour the wave", "basket", "the till basket"] * 5
    targets = np.eye(2, dtype=np.float32)[[0, 0, 1, 1] * 5]
    examples = Examples.from_texts(tokenizer, texts, targets)
    vectors = np.zeros((tokenizer.num_ids, 4), np.float32)
    vectors[FIRST_WORD_ID : FIRST_WORD_ID + 7, 0] = [1, 1, -1, -1, 0, 1, -1]
    features = with_embeddings(chosen(examples, 60, tokenizer), vectors)
    data = SparseData(features, examples, replace(OPTIONS, embeddings=1.5))
    new = Examples.from_texts(tokenizer, ["tide", "queue"], targets[:2])  # in no text
    for weights in (fit_svm(data), fit_logistic(data)):
        assert answers(weights, features, new).tolist() == [0, 1]


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


def test_misspelt_copies_change_what_subwords_say_and_no_word() -> None:
    dataset = dataset_from(*zip(*rows(60, ["kind01", "kind02"])))
    plan = make_plan(dataset_stats(dataset))
    vectors = []
    for typos in (0.0, 0.2):
        prepared = prepare(dataset, replace(plan, augmentation=AugmentationOptions(typos=typos)))
        vectors.append(fit_sparse(prepared.data, prepared.features).vectors)
    first_subword = FIRST_WORD_ID + len(prepared.data.tokenizer.words)
    is_word = (prepared.features.ids < first_subword).all(axis=1)
    is_same = vectors[0] == vectors[1]
    assert is_same[is_word].all() and not is_same[~is_word].all()
