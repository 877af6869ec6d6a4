"""Networks with n-gram vectors: from texts to an int8 file that keeps the promises, whatever the labels."""

from __future__ import annotations

import copy
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from edge_lstm_export import gates, narrow_vectors, ngram_part, ngram_svm, short_teaching
from edge_lstm_export.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edge_lstm_export.datasets import Split
from edge_lstm_export.datasets.dataset import Dataset
from edge_lstm_export.evaluation import predict_logits
from edge_lstm_export.examples import Examples, one_hot
from edge_lstm_export.export import export_fp32, quantize_int8
from edge_lstm_export.fit import VocabularyOptions, new_network, prepare
from edge_lstm_export.gates import check_batches, network_probabilities, random_rows
from edge_lstm_export.made_texts import make_texts
from edge_lstm_export.narrow_vectors import carried_over, fit_narrow, merged, with_svm
from edge_lstm_export.network import Network, NetworkConfig
from edge_lstm_export.ngram_features import choose_ngrams, learn_features
from edge_lstm_export.ngram_part import (
    Lesson,
    answers_of,
    finish_ngram_part,
    learn_ngrams_from_all,
    part_logits,
    silence,
)
from edge_lstm_export.ngram_svm import (
    CrossFitted,
    Recipe,
    cross_fit,
    cross_fit_meanings,
    fit_bayes,
    fit_exact,
    fit_known_words,
    fit_linear,
)
from edge_lstm_export.presets import MOST_EXACT_LABELS, PRESETS, short_form
from edge_lstm_export.pretrained import Meanings
from edge_lstm_export.reading import suits_many_words, suits_ngrams
from edge_lstm_export.short_teaching import MADE_OF_EACH, made_examples
from edge_lstm_export.vocabulary import informative_marks, line_bytes, rare_words, words_and_pieces
from scipy import sparse

from edge_lstm.classifier import Classifier
from edge_lstm.errors import CheckError, DataError
from edge_lstm.modelfile import parse_model
from edge_lstm.text import Tokenizer


def made_texts(labels: int, each: int, seed: int = 0) -> tuple[list[str], list[int]]:
    """Texts of a few words that tell their label, among words that do not."""
    rng = random.Random(seed)
    rows = [
        (f"{rng.choice(['the', 'a', 'my'])} mark{y}er {rng.choice('xyz')}{rng.randrange(50)} of kind{y}s", y)
        for y in range(labels)
        for _ in range(each)
    ]
    rng.shuffle(rows)
    return [text for text, _ in rows], [label for _, label in rows]


def dataset(texts: list[str], labels: list[int]) -> Dataset:
    names = tuple(f"label{i}" for i in range(max(labels) + 1))
    return Dataset("made", names, Split(tuple(texts), np.array(labels)), None, "0")


def untrained(labels: int, rows: int = 400) -> Checkpoint:
    """A network for made texts with weights large enough to matter."""
    prepared = prepare(dataset(*made_texts(labels, 6)), VocabularyOptions(300, pieces=True))
    shape = NetworkConfig(
        embedding_dim=6, hidden=6, bidirectional=True, pooling="mean+max", ngrams=rows, ngram_dim=5
    )
    network = new_network(prepared, shape, seed=0).eval()
    with torch.no_grad():
        network.embedding.weight.mul_(10)
        network.head.weight.mul_(3)
    return Checkpoint(network, prepared.tokenizer, prepared.dataset.labels, {"data": "none"})


def test_a_graph_may_be_as_far_from_the_network_as_float32_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """banking77, one seed: 2.2e-4 on rows of hundreds of random ids, where PyTorch itself is as far off."""
    checkpoint = untrained(77)
    network, rows = checkpoint.network, random_rows(checkpoint.tokenizer)
    with torch.no_grad():
        network.head.weight.mul_(40)
    classifier = Classifier.from_model(parse_model(export_fp32(checkpoint).data, Path("fp32.onnx")))
    monkeypatch.setattr(gates, "NGRAM_PARITY_TOLERANCE", 0.0)
    worst = gates.check_parity(network, classifier, rows)
    exact = network_probabilities(copy.deepcopy(network).double(), rows)
    own = np.abs(network_probabilities(network, rows) - exact).max()
    assert 0 < worst <= gates.TIMES_OWN_ERROR * own < 1e-3
    with torch.no_grad():
        network.head.weight[3, 5] += 1
    with pytest.raises(CheckError, match="no file was written"):
        gates.check_parity(network, classifier, rows)


@pytest.mark.parametrize("labels", [2, 3, 40])
def test_the_int8_file_answers_as_the_network_and_the_same_in_every_batch(labels: int) -> None:
    checkpoint = untrained(labels)
    fp32 = parse_model(export_fp32(checkpoint).data, Path("fp32.onnx"))
    int8 = parse_model(quantize_int8(fp32).data, Path("int8.onnx"))
    assert int8.onnx.metadata["edge_lstm.format"] == "2"
    classifier = Classifier.from_model(int8)
    rows = random_rows(checkpoint.tokenizer, seed=3)
    check_batches(classifier, rows, seed=1)
    wanted = network_probabilities(checkpoint.network, rows)
    assert np.abs(wanted - classifier.probabilities_of(rows)).max() < 0.1
    assert int8.tokenizer == checkpoint.tokenizer


def test_an_ngram_counts_once_and_padding_is_none() -> None:
    network = Network(NetworkConfig(num_words=20, ngrams=4, ngram_dim=2))
    assert network.ngrams is not None
    network.ngrams.choose(np.array([[5, 0], [7, 0], [5, 7], [7, 5]]))
    ids = torch.tensor([[1, 5, 7, 5, 7, 0, 0], [1, 9, 9, 9, 9, 9, 5]])
    assert [sorted(set(row) - {0}) for row in network.ngrams.rows(ids).tolist()] == [[1, 2, 3, 4], [1]]
    lengths = torch.tensor([5, 7])
    alone = network.ngrams(ids[:1, :5], lengths[:1])
    assert torch.allclose(network.ngrams(ids, lengths)[:1], alone)


def test_the_checkpoint_keeps_its_ngrams_and_pieces(tmp_path: Path) -> None:
    checkpoint, path = untrained(3), tmp_path / "m.safetensors"
    save_checkpoint(checkpoint, path)
    again = load_checkpoint(path)
    assert again.tokenizer == checkpoint.tokenizer
    rows = random_rows(checkpoint.tokenizer)
    assert np.array_equal(
        network_probabilities(again.network, rows), network_probabilities(checkpoint.network, rows)
    )


@pytest.mark.parametrize("ids", [[[7, 0], [5, 0]], [[5, 0], [5, 0]], [[5, 0], [5, 999]], [[5, 0], [-1, 0]]])
def test_ngrams_that_cannot_be_are_refused(tmp_path: Path, ids: list[list[int]]) -> None:
    network = Network(NetworkConfig(num_words=20, ngrams=2, ngram_dim=2))
    assert network.ngrams is not None
    network.ngrams.choose(np.array(ids))
    save_checkpoint(Checkpoint(network, Tokenizer(("a",), pieces=("b",)), ("x", "y"), {}), tmp_path / "m")
    with pytest.raises(DataError, match="its n-grams are not in order"):
        load_checkpoint(tmp_path / "m")


def test_a_checkpoint_keeps_the_letters_of_misspelt_words(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    tokenizer = Tokenizer(("film",), pieces=("f",), letters="film")
    save_checkpoint(Checkpoint(Network(NetworkConfig(num_words=20)), tokenizer, ("x", "y"), {}), path)
    assert load_checkpoint(path).tokenizer == tokenizer


def test_misspelt_words_without_pieces_are_refused() -> None:
    with pytest.raises(DataError, match="pieces=yes"):
        VocabularyOptions(300, misspelt=True)


def test_misspelt_texts_are_read_as_those_that_are_spelt_right() -> None:
    texts, labels = made_texts(3, 40)
    texts = [f"{text} wonderful" for text in texts]
    vocabulary = VocabularyOptions(300, pieces=True, misspelt=True)
    prepared, word = prepare(dataset(texts, labels), vocabulary, validation_share=0), "wonderful"
    assert prepared.tokenizer.encode_text(word + "e") == prepared.tokenizer.encode_text(word)
    plain = prepare(dataset(texts, labels), replace(vocabulary, misspelt=False), validation_share=0)
    assert plain.tokenizer.encode_text(word + "e") != plain.tokenizer.encode_text(word)
    assert (plain.tokenizer.letters, plain.tokenizer.words) == ("", prepared.tokenizer.words)
    spaceless = [f"好吃的菜{'一二三四'[y]}很快送到 good" if y else "太慢了不好吃 bad" for y in labels]
    chinese = prepare(dataset(spaceless, labels), vocabulary, validation_share=0)
    assert chinese.tokenizer.letters == ""


def test_the_vectors_are_the_linear_model_with_the_parts_of_words_in_them() -> None:
    texts, labels = made_texts(3, 30)
    words, pieces, _ = words_and_pieces(texts, 200)
    tokenizer = Tokenizer(words, pieces=pieces)
    examples = Examples.from_texts(tokenizer, texts, one_hot(labels, 3))
    features, truth = (
        learn_features(choose_ngrams(examples, 500, tokenizer.num_ids), tokenizer),
        np.array(labels),
    )
    found = cross_fit(examples, features, truth, 3, seed=0)
    assert found.accuracy == 1.0
    vectors = fit_exact(examples, features, truth, 3, found.recipe)
    logits = vectors.logits(features.held(examples), examples.lengths)
    assert (logits.argmax(axis=1) == truth).all()
    # A word that no training text holds is read by its parts.
    other = Examples.from_texts(tokenizer, ["marker2 kind2"], one_hot([2], 3))
    assert vectors.logits(features.held(other), other.lengths).argmax() == 2


def test_naive_bayes_stands_beside_the_svm_where_texts_are_few() -> None:
    x = sparse.csr_matrix(np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 1, 1], [0, 1, 0, 1]], np.float32))
    labels = np.array([0, 0, 1, 2])
    for count in (2, 3, 4):  # the last of four has no text
        weights, bias = fit_bayes(x, labels.clip(max=count - 1), count)
        scores = x @ weights + bias
        assert np.isfinite(scores).all()
        if count > 2:
            assert scores[:, :3].argmax(axis=1).tolist() == labels.tolist()
        else:
            assert ((scores[:, 0] > 0) == (labels > 0)).all()
    alone, _ = fit_linear(x, labels, 3, Recipe(0.5, 1.0))
    both, _ = fit_linear(x, labels, 3, Recipe(0.5, 1.0, bayes=1.0))
    assert not np.allclose(both, alone)


def test_cross_validation_chooses_what_naive_bayes_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, labels = made_texts(3, 20)
    rng = np.random.default_rng(0)
    truth = np.where(rng.random(len(labels)) < 0.3, rng.integers(0, 3, len(labels)), labels)
    words, pieces, _ = words_and_pieces(texts, 300)
    tokenizer = Tokenizer(words, pieces=pieces)
    examples = Examples.from_texts(tokenizer, texts, one_hot(truth, 3))
    features = learn_features(choose_ngrams(examples, 500, tokenizer.num_ids), tokenizer)
    monkeypatch.setattr(ngram_svm, "FEW_TEXTS", 0)
    chosen = cross_fit(examples, features, truth, 3, seed=0)
    alone = []
    for share in ngram_svm.BAYES_SHARES:
        monkeypatch.setattr(ngram_svm, "BAYES_SHARES", (share,))
        alone.append(cross_fit(examples, features, truth, 3, seed=0))
    assert chosen.accuracy == max(found.accuracy for found in alone)
    assert chosen.recipe in [found.recipe for found in alone]


def test_few_texts_do_not_choose_the_regularisation_and_many_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least log loss of some hundred noisy texts is that of the strongest, which is right least often."""
    texts, labels = made_texts(3, 20)
    rng = np.random.default_rng(0)
    truth = np.where(rng.random(len(labels)) < 0.5, rng.integers(0, 3, len(labels)), labels)
    words, pieces, _ = words_and_pieces(texts, 300)
    tokenizer = Tokenizer(words, pieces=pieces)
    examples = Examples.from_texts(tokenizer, texts, one_hot(truth, 3))
    features = learn_features(choose_ngrams(examples, 500, tokenizer.num_ids), tokenizer)
    few = cross_fit(examples, features, truth, 3, seed=0).recipe
    assert (few.c, few.bayes) == (ngram_svm.FEW_C, 1.0)
    assert cross_fit(examples, features, truth, 3, 0, (0.5,)).recipe.c == 0.5
    monkeypatch.setattr(ngram_svm, "FEW_TEXTS", 0)
    monkeypatch.setattr(ngram_svm, "BAYES_SHARES", (1.0,))
    assert cross_fit(examples, features, truth, 3, seed=0).recipe.c == min(ngram_svm.REGULARISATIONS)


def test_a_pair_has_the_characters_around_its_space_too() -> None:
    tokenizer = Tokenizer(("is", "a", "not", "好吃"), pieces=("x",))
    ngrams = np.array([[4, 0], [5, 0], [7, 0], [1, 4], [4, 5], [6, 5], [7, 4]], np.int64)
    features = learn_features(ngrams, tokenizer)
    borders = features.with_borders.parts[:, features.parts.shape[1] :].toarray()
    assert not borders[: features.words].any()  # of words none
    _, start, is_a, not_a, chinese = borders[features.words - 1 :]
    # "is a" and "not a" share " a"; each has characters of its own; between Chinese characters is no space.
    assert (is_a @ not_a, is_a.sum(), start.sum(), chinese.sum()) == (1, 5, 5, 0)
    assert features.with_borders.keys is features.keys


@pytest.mark.parametrize("by_border", [True, False])
def test_cross_validation_chooses_whether_borders_are_read(
    monkeypatch: pytest.MonkeyPatch, by_border: bool
) -> None:
    """Labels are told by the last letter of a word before the first of the next, in pairs that come up
    twice; or by a word, where they are noise."""
    rng = np.random.default_rng(0)
    letters = "bcdfghjklmnp"
    halves = [
        ["".join(rng.choice(list(letters), 4)) + end for end in "ab" for _ in range(40)] for _ in range(2)
    ]
    texts, labels = [], []
    for _ in range(150):
        left, right = rng.integers(0, 80, 2)
        label = int((left < 40) == (right < 40))
        words = [halves[0][left], halves[1][right][::-1]]
        texts += [" ".join(words)] * 2
        labels += [label] * 2
    if not by_border:
        labels = rng.integers(0, 2, len(texts)).tolist()
        texts = [f"{text} {'good' if label else 'bad'}" for text, label in zip(texts, labels)]
    words, pieces, _ = words_and_pieces(texts, 400)
    tokenizer = Tokenizer(words, pieces=pieces)
    examples = Examples.from_texts(tokenizer, texts, one_hot(labels, 2))
    features = learn_features(choose_ngrams(examples, 1000, tokenizer.num_ids), tokenizer)
    monkeypatch.setattr(ngram_svm, "FEWEST_FOR_BORDERS", len(texts))
    found = cross_fit(examples, features, np.array(labels), 2, seed=0)
    assert found.recipe.borders is by_border
    assert found.accuracy > 0.8
    assert not cross_fit(examples, features, np.array(labels), 2, 0, (0.5,)).recipe.borders
    monkeypatch.setattr(ngram_svm, "FEWEST_FOR_BORDERS", len(texts) + 1)
    assert not cross_fit(examples, features, np.array(labels), 2, seed=0).recipe.borders


def test_an_svm_of_known_words_says_nothing_of_pieces_and_of_words_of_one_text() -> None:
    texts = ["good zq", "good here", "bad zq", "bad there", "good once", "bad zz"]
    labels = np.array([1, 1, 0, 0, 1, 0])
    tokenizer = Tokenizer(("good", "bad", "here", "once"), pieces=("z", "q", "t"))
    examples = Examples.from_texts(tokenizer, texts, one_hot(labels.tolist(), 2))
    features = learn_features(choose_ngrams(examples, 100, tokenizer.num_ids), tokenizer)
    found = fit_known_words(examples, features, labels, 2, Recipe(0.5, 1.0, bayes=1.0), 4)
    words = {int(key) for key in features.keys[: features.words][found.vectors[: features.words].any(axis=1)]}
    assert words == {4, 5}  # "good" and "bad"
    pairs = features.keys[features.words :][found.vectors[features.words :].any(axis=1)]
    assert {tuple(map(int, divmod(pair, 2**31))) for pair in pairs} == {(1, 4), (1, 5)}  # behind the start
    logits = found.logits(features.held(examples), examples.lengths)
    assert ((logits[:, 0] > 0) == labels).all()
    alone = fit_known_words(examples, features, labels, 2, Recipe(0.5, 1.0), 4)
    assert (alone.vectors == found.vectors).all()


@pytest.mark.parametrize("count", [2, 3])
def test_an_svm_of_known_words_is_zero_where_there_are_none(count: int) -> None:
    texts, labels = ["qa", "qb", "qc", "qd", "qe", "qf"], [i % count for i in range(6)]
    tokenizer = Tokenizer(("other",), pieces=("q", *"abcdef"))
    examples = Examples.from_texts(tokenizer, texts, one_hot(labels, count))
    features = learn_features(choose_ngrams(examples, 100, tokenizer.num_ids), tokenizer)
    found = fit_known_words(examples, features, np.array(labels), count, Recipe(0.5, 1.0), 1)
    logits = found.logits(features.held(examples), examples.lengths)
    assert logits.shape == (6, 1 if count == 2 else 3) and not logits.any()


def test_an_svm_beside_the_ngrams_comes_into_the_same_vectors() -> None:
    texts, labels = made_texts(3, 20)
    prepared = prepare(dataset(texts, labels), VocabularyOptions(300, pieces=True), validation_share=0)
    network = new_network(prepared, NetworkConfig(300, 8, 8, ngrams=500, ngram_dim=3), seed=0)
    assert network.ngrams is not None
    silence(network)
    network.eval()
    examples, truth, tokenizer = prepared.train_examples, np.array(labels), prepared.tokenizer
    features = learn_features(network.ngrams.ids.numpy(), tokenizer)
    one = fit_exact(examples, features, truth, 3, Recipe(0.1, 1.0, 1.0))
    svm = fit_known_words(examples, features, truth, 3, Recipe(0.5, 1.0), len(tokenizer.words))
    lesson = Lesson(examples, examples, None, one, svm)
    judged = part_logits(network, lesson, examples, features, 0)
    finished = finish_ngram_part(network, lesson, judged, features, 0)
    assert finished.svm
    assert finished.to_dict()["svm"] == round(finished.svm, 4)
    together = judged.together(finished)
    assert np.abs(predict_logits(network, examples).numpy() - together).max() < 1e-4
    assert np.abs(answers_of(judged, len(examples)) - together).max() < 1e-4


def test_many_labels_are_learnt_from_the_labelled_texts_and_from_all_of_them() -> None:
    texts, labels = made_texts(20, 8)
    prepared = prepare(dataset(texts, labels), VocabularyOptions(300, pieces=True), validation_share=0)
    network = new_network(prepared, NetworkConfig(300, 8, 8, ngrams=500, ngram_dim=12), seed=0).eval()
    assert network.ngrams is not None
    silence(network)
    tokenizer, own = prepared.tokenizer, prepared.train_examples
    unsure = replace(own, targets=(0.5 * own.targets + 0.025).astype(np.float32))
    every = own.joined(unsure)
    features = learn_features(network.ngrams.ids.numpy(), tokenizer)
    first = fit_narrow(every, features, 12, 0, passes=narrow_vectors.EPOCHS_OF_ALL)
    second = fit_narrow(own, features, 12, 0)
    lesson, of_all = Lesson(every, every, None, labelled=own), Lesson.of(every, None)
    found = part_logits(network, lesson, own, features, 0)
    expected = merged(first, second, own, features).logits(features.held(own), own.lengths)
    assert (found.ngrams == expected).all()
    assert (found.ngrams != part_logits(network, of_all, own, features, 0).ngrams).any()
    finished = finish_ngram_part(network, lesson, found, features, 0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    learn_ngrams_from_all(network, finished, lesson, features, 1.0, 0)
    after = network.state_dict()
    assert all((value - before[name]).abs().max() < 1e-6 for name, value in after.items())  # the same texts
    learn_ngrams_from_all(network, finished, of_all, features, 1.0, 0)
    assert (network.state_dict()["head.weight"] - before["head.weight"]).abs().max() > 1e-3


def test_a_text_left_out_is_read_as_a_new_one() -> None:
    texts, labels = made_texts(3, 20)
    words, pieces, _ = words_and_pieces(texts, 300)
    tokenizer, truth = Tokenizer(words, pieces=pieces), np.array(labels)
    examples = Examples.from_texts(tokenizer, texts, one_hot(labels, 3))
    features = learn_features(choose_ngrams(examples, 500, tokenizer.num_ids), tokenizer)
    other = examples.subset(np.roll(np.arange(len(texts)), len(texts) // 3))  # as if of other labels
    assert cross_fit(examples, features, truth, 3, seed=0).accuracy == 1.0
    assert cross_fit(examples, features, truth, 3, seed=0, as_new=other).accuracy < 0.5


def test_many_labels_share_narrow_vectors() -> None:
    texts, labels = made_texts(30, 20)
    words, pieces, _ = words_and_pieces(texts, 300)
    tokenizer = Tokenizer(words, pieces=pieces)
    examples = Examples.from_texts(tokenizer, texts, one_hot(labels, 30))
    features = learn_features(choose_ngrams(examples, 500, tokenizer.num_ids), tokenizer)
    vectors = fit_narrow(examples, features, 12, seed=0)
    assert vectors.vectors.shape[1] == 12
    logits = vectors.logits(features.held(examples), examples.lengths)
    assert (logits.argmax(axis=1) == np.array(labels)).mean() > 0.98


@pytest.mark.parametrize("width", [24, 12])
def test_narrow_vectors_hold_an_svm_too(width: int) -> None:
    """As many directions as labels hold all of both, fewer what differs most."""
    texts, labels = made_texts(20, 8)
    words, pieces, _ = words_and_pieces(texts, 300)
    tokenizer = Tokenizer(words, pieces=pieces)
    examples = Examples.from_texts(tokenizer, texts, one_hot(labels, 20))
    features = learn_features(choose_ngrams(examples, 500, tokenizer.num_ids), tokenizer)
    narrow = fit_narrow(examples, features, width, seed=0)
    both = with_svm(narrow, examples, features, np.array(labels))
    assert (both.vectors.shape, both.head.shape) == (narrow.vectors.shape, narrow.head.shape)
    held, lengths = features.held(examples), examples.lengths
    svm = fit_exact(examples, features, np.array(labels), 20, Recipe(0.5, 1.0))
    centred = [
        logits - bias - (logits - bias).mean(axis=1, keepdims=True)
        for logits, bias in ((part.logits(held, lengths), part.bias) for part in (narrow, svm, both))
    ]
    mean = (centred[0] + centred[1] * centred[0].std() / centred[1].std()) / 2
    assert np.abs(centred[2] - mean).max() < (1e-3 if width > 20 else 0.5 * np.abs(mean).max())
    assert (both.logits(held, lengths).argmax(axis=1) == labels).mean() > 0.98


@pytest.mark.parametrize(
    ("name", "labels", "wordy"),
    [
        ("tiny", 6, False),
        ("small", 2, False),
        ("small", 77, False),
        ("small", 150, False),
        ("tiny", 6, True),
        ("medium", 6, True),
        ("small", 2, True),
        ("small", 16, True),
    ],
)
@pytest.mark.parametrize("letter", ["w", "ж", "ก"], ids=["1 byte", "2 bytes", "3 bytes"])
def test_a_file_stays_in_its_presets_budget_with_any_labels_in_any_script(
    name: str, labels: int, wordy: bool, letter: str
) -> None:
    base = PRESETS[name]
    assert base.short is not None
    rng = random.Random(1)
    words = [f"{rng.randrange(10**6):x}{letter * 5}" for _ in range(15_000)]
    bytes_of_a_word = 1 + len(words[0].encode())
    num_words = short_form(base, labels, wordy=wordy, word_bytes=bytes_of_a_word).network.num_words
    texts = [" ".join(rng.choices(words, k=12)) for _ in range(6000)]
    data = dataset(texts, [i % labels for i in range(6000)])
    prepared = prepare(data, VocabularyOptions(num_words, pieces=True))
    entries = (*prepared.tokenizer.words, *(prepared.tokenizer.pieces or ()))
    shape = short_form(
        base, labels, prepared.tokenizer.num_ids, wordy=wordy, word_bytes=line_bytes(entries, 8)
    ).network
    assert not wordy or shape.ngrams >= prepared.tokenizer.num_ids  # every word has its vector
    network = new_network(prepared, shape, 0)
    fp32 = parse_model(export_fp32(Checkpoint(network, prepared.tokenizer, data.labels, {})).data, Path("m"))
    provenance = 2_000 + 220 * labels  # of a training, which this network has not had
    assert len(quantize_int8(fp32, max_drop=100).data) + provenance <= base.short.kb * 1000


def test_a_network_that_is_gone_on_from_leaves_its_own_room_for_ngrams() -> None:
    base = PRESETS["small"]
    wordy = short_form(base, 3, wordy=True)
    ids = wordy.network.num_words
    kept = short_form(base, 3, ids, shape=wordy.network).network
    assert kept.ngrams == short_form(base, 3, ids, wordy=True).network.ngrams > ids
    assert kept.ngrams > short_form(base, 3, ids).network.ngrams


def test_narrow_vectors_begin_with_those_of_fewer_labels() -> None:
    texts, labels = made_texts(20, 12)
    prepared = prepare(dataset(texts, labels), VocabularyOptions(300, pieces=True), validation_share=0)
    of_old = [i for i, label in enumerate(labels) if label < 18]
    every = Examples.from_texts(prepared.tokenizer, texts, one_hot(np.array(labels), 20))
    first = Examples.from_texts(
        prepared.tokenizer, [texts[i] for i in of_old], one_hot(np.array([labels[i] for i in of_old]), 18)
    )
    num_ids = prepared.tokenizer.num_ids
    old_ngrams, ngrams = choose_ngrams(first, 500, num_ids), choose_ngrams(every, 500, num_ids)
    old = fit_narrow(first, learn_features(old_ngrams, prepared.tokenizer), 12, seed=0)
    begin = carried_over(old, old_ngrams, ngrams, 20)
    assert begin is not None
    assert carried_over(old, old_ngrams, ngrams, MOST_EXACT_LABELS) is None
    features = learn_features(ngrams, prepared.tokenizer)
    held = features.held(every)
    before = old.logits(learn_features(old_ngrams, prepared.tokenizer).held(first), first.lengths)
    assert np.allclose(begin.logits(held, every.lengths)[of_old, :18], before, atol=1e-4)
    assert (begin.head[18:] == 0).all()
    assert (begin.vectors == 0).all(axis=1).any()  # a pair that only texts of the new labels have
    answers = fit_narrow(every, features, 12, seed=0, begin=begin).logits(held, every.lengths)
    right = answers.argmax(axis=1) == np.array(labels)
    assert right[of_old].mean() > 0.95 and right.mean() > 0.9


def test_what_suits_ngrams_is_said() -> None:
    short, long = ["good film"] * 4, ["a good film indeed " * 30] * 4
    assert suits_ngrams(dataset(short, [0, 1, 0, 1])) == "a text has 2 words on average"
    assert suits_ngrams(dataset(long, [0, 1, 0, 1])) is None
    assert suits_ngrams(dataset(long, [0, 1, 2, 1])) == "there are 3 labels"
    spaceless = suits_ngrams(dataset(["好吃 " * 200] * 4, [0, 1, 0, 1]))
    assert spaceless == "words have no spaces between them"


def test_pieces_are_learnt_from_words_and_from_scripts_without_spaces() -> None:
    verbs = ["walk", "talk", "look", "jump", "paint", "cook", "sort", "mend"]
    texts = [f"{verb}{ending}" for verb in verbs for ending in ("ing", "ed", "s")] * 3
    words, pieces, share = words_and_pieces(texts, 400)
    assert "walking" in words
    assert "ing" in pieces
    assert set("walkingteds") <= set(pieces)
    assert share == 0
    meals = ["这个菜", "那碗汤", "他的面", "你的饭", "我的茶"]
    texts = [f"{meal}{how}好吃" for meal in meals for how in ("很", "不", "真")]
    words, pieces, share = words_and_pieces(texts, 40)
    assert share == 1
    assert {"好", "吃"} <= set(pieces)
    assert any("好吃" in piece for piece in pieces)


def test_words_that_occur_once_are_known_where_asked_for_and_come_last() -> None:
    texts = ["walking far", "walking home", "talked of 0790412345", "这个菜很好吃 walking far"]
    words, pieces, _ = words_and_pieces(texts, 500)
    assert words == ("walking", "far")
    assert rare_words(texts, words, "") == 0
    with_rare, more_pieces, _ = words_and_pieces(texts, 500, rare=True)
    assert with_rare == ("walking", "far", "home", "of", "talked")  # neither a number nor a phrase
    assert rare_words(texts, with_rare, "") == 3
    assert set(more_pieces) <= set(pieces)
    alone, _, _ = words_and_pieces(["one", "two"], 100, rare=True)
    assert (alone, rare_words(["one", "two"], alone, "")) == (("one", "two"), 0)  # nothing else is there


def test_pieces_take_the_room_that_few_words_leave() -> None:
    texts = ["walking talking looking", "walked talked looked"] * 2
    words, pieces, _ = words_and_pieces(texts, 500)
    assert len(words) == 6
    # Those too that stand in a longer one in every word: a word that no text holds is read by them.
    assert {"alk", "king", "ked", "ing", "ed"} <= set(pieces)


def test_marks_that_tell_labels_apart_are_words() -> None:
    texts = ["great!" if i % 2 else "fine." for i in range(200)] + ["so, so" for _ in range(100)]
    labels = [i % 2 for i in range(300)]
    assert informative_marks(texts, labels, 2) == "!."


def test_a_word_of_ten_thousand_letters_is_no_entry_of_the_vocabulary() -> None:
    words, pieces, _ = words_and_pieces(["x" * 10_000, "good film", "good day"], 100)
    assert max(map(len, (*words, *pieces))) <= 60
    words, _, _ = words_and_pieces(["x" * 10_000, "y" * 10_000], 100)  # nothing else is there
    assert max(map(len, words)) <= 60


def test_many_words_suit_few_labels_of_texts_with_spaces() -> None:
    texts = ["a good one", "a bad one"] * 17
    assert suits_many_words(dataset(texts, [0, 1] * 17))
    assert suits_many_words(dataset(texts, [i % 16 for i in range(34)]))
    assert not suits_many_words(dataset(texts, [i % 17 for i in range(34)]))
    assert not suits_many_words(dataset(["好吃", "太慢了", "a good one"] * 4, [0, 1, 0] * 4))


def test_a_made_text_is_labelled_by_who_did_not_learn_from_its_sources(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts, labels = made_texts(3, 40)
    fold = np.arange(len(texts)) % 3  # the labels would have a say in it
    monkeypatch.setattr(short_teaching, "folds_of", lambda *_: fold)
    shape = NetworkConfig(embedding_dim=6, hidden=6, pooling="mean+max", ngrams=400, ngram_dim=5)

    def made_of(labels: list[int]) -> Examples:
        data = dataset(texts, labels)
        prepared = prepare(data, VocabularyOptions(300, pieces=True), validation_share=0)
        return made_examples(prepared, new_network(prepared, shape, seed=0), Recipe(0.5, 1.0), seed=0)

    found = made_of(labels)
    assert len(texts) < len(found) <= 3 * len(texts)
    assert np.allclose(found.targets.sum(axis=1), 1)
    assert np.bincount(found.targets.argmax(axis=1), minlength=3).min() > len(texts) / 2
    # Other labels of one part change the answers to what was made of the other parts alone.
    own = make_texts(texts, fold, MADE_OF_EACH, 0).of(np.flatnonzero(fold == 0))
    changed = made_of([(label + 1) % 3 if k == 0 else label for label, k in zip(labels, fold)])
    differs = np.abs(changed.targets - found.targets).max(axis=1) > 1e-3
    assert not differs[own].any()
    assert np.delete(differs, own).mean() > 0.9


def test_the_lstm_is_expected_to_be_worth_more_where_it_learnt_from_more() -> None:
    one = np.zeros((1, 3), np.float32)  # a text that tells nothing
    judged = ngram_part.PartLogits(one, one, np.full((1, 3), 1 / 3, np.float32))
    shares = [ngram_part.weigh(judged, texts)[0] for texts in (200, 1000, 9000)]
    assert shares == pytest.approx([0.015, 0.075, 0.15], abs=1e-6)


def test_an_svm_beside_the_teachers_is_expected_to_count() -> None:
    one = np.zeros((1, 3), np.float32)  # a text that tells nothing
    judged = ngram_part.PartLogits(one, one, np.full((1, 3), 1 / 3, np.float32), soft=True, svm=one)
    assert ngram_part.weigh(judged, 9000)[:3] == pytest.approx(ngram_part.BESIDE_SVM, abs=1e-6)
    alone = ngram_part.weigh(replace(judged, svm=None), 9000)
    assert alone[:3] == pytest.approx((0.15, 0.85, 0.0), abs=1e-6)


def test_what_words_mean_is_tried_with_the_c_and_the_borders_that_were_found_without() -> None:
    texts = [f"{left} {right}" for left in ("one", "two", "six") for right in ("more", "less")] * 4
    labels = np.array([i % 2 for i in range(len(texts))])
    words, pieces, _ = words_and_pieces(texts, 100)
    tokenizer = Tokenizer(words, pieces=pieces)
    examples = Examples.from_texts(tokenizer, texts, one_hot(labels.tolist(), 2))
    vectors = np.random.default_rng(0).normal(size=(tokenizer.num_ids, 4)).astype(np.float32)
    meanings = Meanings(vectors, np.ones(tokenizer.num_ids, np.float32))
    features = learn_features(choose_ngrams(examples, 100, tokenizer.num_ids), tokenizer, meanings)
    for recipe in (Recipe(7.0, 1.0, 1.0, borders=True), Recipe(0.25, 1.0, 1.0)):
        plain = CrossFitted(np.full((len(texts), 2), 0.5, np.float32), recipe, 0.5)
        found = cross_fit_meanings(plain, examples, features, labels, 2, seed=0)
        assert (found.recipe.c, found.recipe.borders) == (recipe.c, recipe.borders)
        assert found.recipe.meanings == ngram_svm.MEANT_OF_FEW
        assert plain.or_surer(found, labels) is found and found.or_surer(plain, labels) is found
