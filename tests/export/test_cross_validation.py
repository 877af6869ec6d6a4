"""Few texts: all of them are learnt from, and each is judged by a network that did not learn from it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from edge_lstm_export import cross_validation
from edge_lstm_export.cross_validation import FOLDS, cross_validate, folds_of, in_both_readings
from edge_lstm_export.datasets import Split
from edge_lstm_export.datasets.dataset import Dataset
from edge_lstm_export.examples import Examples
from edge_lstm_export.fit import Prepared, VocabularyOptions, new_network, prepare
from edge_lstm_export.network import Network, NetworkConfig
from edge_lstm_export.ngram_part import Finished, Lesson, PartLogits
from edge_lstm_export.ngram_svm import Vectors
from edge_lstm_export.presets import TrainingOptions

SHAPE = NetworkConfig(embedding_dim=4, hidden=3, pooling="mean+max", ngrams=300, ngram_dim=4)
OPTIONS = TrainingOptions(epochs=2, batch_size=8)


def beginning(texts: list[str], labels: list[int], names: tuple[str, ...]) -> tuple[Prepared, Network]:
    data = Dataset("made", names, Split(tuple(texts), np.array(labels)), None, "0")
    prepared = prepare(data, VocabularyOptions(300, pieces=True), validation_share=0)
    return prepared, new_network(prepared, SHAPE, 0)


def test_texts_of_the_same_words_are_in_one_fold_and_labels_are_spread() -> None:
    texts = [f"text {i // 2}" if i % 2 else f"Text {i // 2}!" for i in range(60)]
    split = Split(tuple(texts), np.array([i // 2 % 2 for i in range(60)]))
    fold = folds_of(split, FOLDS, seed=0)
    assert (fold[::2] == fold[1::2]).all()
    for k in range(FOLDS):
        assert split.labels[fold == k].mean() == 0.5


def test_a_text_is_judged_by_a_network_that_did_not_see_its_label() -> None:
    """Two labels drawn by lot: who learnt a text by heart would be right, who did not is right by chance."""
    rng = np.random.default_rng(0)
    texts = [f"word{i} thing{i} place{i}" for i in range(60)]
    labels = rng.integers(0, 2, 60).tolist()
    prepared, network = beginning(texts, labels, ("a", "b"))
    said: list[str] = []
    found = cross_validate(prepared, network, replace(OPTIONS, epochs=30), None, said.append)
    assert found is not None
    assert len(said) == FOLDS
    for logits in (found.lstm, found.ngrams):
        assert ((logits[:, 0] > 0) == np.array(labels)).mean() < 0.75


def test_every_part_of_a_lesson_is_judged() -> None:
    """The SVM beside the n-grams, and vectors of many labels that learn the labelled texts too."""
    texts = [f"word{i % 17} thing{i % 17} place{i}" for i in range(170)]
    prepared, network = beginning(texts, [i % 17 for i in range(170)], tuple(f"label{i}" for i in range(17)))
    seen: list[Examples] = []

    def lesson(rows: Any, *, labelled: bool) -> Lesson:
        own = prepared.train_examples.subset(rows)
        unsure = replace(own, targets=np.full_like(own.targets, 1 / 17))
        seen.append(own)
        return Lesson(own, unsure, None, labelled=own if labelled else None)

    found = [
        cross_validate(
            prepared, network, OPTIONS, None, lambda _: None, lesson=partial(lesson, labelled=both)
        )
        for both in (False, True)
    ]
    right = [(one.ngrams.argmax(axis=1) == prepared.train.labels).mean() for one in found if one is not None]
    assert len(seen) == 2 * FOLDS
    assert right[0] < 0.1 and right[1] > 0.4

    prepared, network = beginning([text[:5] + text for text in texts[:34]], [0, 1] * 17, ("a", "b"))
    assert network.ngrams is not None
    wide = Vectors(
        np.ones((len(network.ngrams.ids), 1), np.float32), np.eye(1, dtype=np.float32), np.zeros(1)
    )

    def with_svm(rows: Any) -> Lesson:
        own = prepared.train_examples.subset(rows)
        return Lesson(own, own, None, wide, wide)

    judged = cross_validate(prepared, network, OPTIONS, None, lambda _: None, lesson=with_svm)
    assert judged is not None and judged.svm is not None
    assert (judged.svm == judged.ngrams).all() and judged.svm.all()


def test_words_of_one_text_are_pieces_to_who_does_not_know_it() -> None:
    texts = [f"good thing {'abcdefgh'[i] * 3}" for i in range(8)] + ["bad thing aab"] * 2
    data = Dataset("made", ("a", "b"), Split(tuple(texts), np.array([0] * 8 + [1] * 2)), None, "0")
    usual = prepare(data, VocabularyOptions(300, pieces=True), validation_share=0)
    prepared = prepare(data, VocabularyOptions(300, pieces=True, rare=True), validation_share=0)
    assert usual.train_as_new is usual.train_examples and prepared.rare == 8
    assert set(prepared.tokenizer.words) - set(usual.tokenizer.words) == {c * 3 for c in "abcdefgh"}
    assert prepared.unknown_words == usual.unknown_words  # what a next text brings
    entries = ["", "", "", "", *prepared.tokenizer.words, *(prepared.tokenizer.pieces or ())]
    known, new = prepared.train_examples, prepared.train_as_new
    first = slice(*known.offsets[:2])
    assert [entries[i] for i in known.ids[first]] == ["", "good", "thing", "aaa"]
    as_pieces = [entries[i] for i in new.ids[slice(*new.offsets[:2])]]
    assert as_pieces[:3] == ["", "good", "thing"] and "".join(as_pieces) == "goodthingaaa"
    assert len(as_pieces) > 4
    both = in_both_readings(prepared, known)
    assert len(both) == 2 * len(known)
    assert in_both_readings(usual, usual.train_examples) is usual.train_examples


def test_the_texts_left_out_are_read_as_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"good thing {'abcdefgh'[i] * 3}" for i in range(8)] + [
        f"bad thing a{'bcde'[i]}" for i in range(4)
    ]
    data = Dataset("made", ("a", "b"), Split(tuple(texts), np.array([0] * 8 + [1] * 4)), None, "0")
    prepared = prepare(data, VocabularyOptions(300, pieces=True, rare=True), validation_share=0)
    read: list[set[int]] = []
    answered = cross_validation.part_logits

    def part_logits(*arguments: Any, **named: Any) -> PartLogits:
        read.append(set(arguments[2].ids.tolist()))
        return answered(*arguments, **named)

    monkeypatch.setattr(cross_validation, "part_logits", part_logits)
    assert cross_validate(prepared, new_network(prepared, SHAPE, 0), OPTIONS, None, lambda _: None)
    words = range(4, 4 + len(prepared.tokenizer.words))
    rare = set(words[len(words) - prepared.rare :])
    assert rare & set(prepared.train_examples.ids.tolist())
    assert len(read) == FOLDS and not any(rare & ids for ids in read)


@pytest.mark.parametrize(
    ("texts", "labels"),
    [(["one text"] * 12, [0, 1] * 6), (["good", "bad"], [0, 1])],
    ids=["all the same", "two"],
)
def test_where_a_fold_leaves_nothing_there_is_no_answer(texts: list[str], labels: list[int]) -> None:
    assert cross_validate(*beginning(texts, labels, ("a", "b")), OPTIONS, None, lambda _: None) is None


def test_a_label_of_one_text_has_none_to_learn_from_in_its_fold() -> None:
    texts = [f"good thing {i}" for i in range(8)] + [f"bad thing {i}" for i in range(8)] + ["a rare one"]
    prepared, network = beginning(texts, [0] * 8 + [1] * 8 + [2], ("good", "bad", "rare"))
    found = cross_validate(prepared, network, OPTIONS, None, lambda _: None)
    assert found is not None
    assert np.isfinite(found.ngrams).all()
    assert found.ngrams[-1].argmax() != 2


def test_the_parts_are_added_as_they_were_weighed() -> None:
    vectors = Vectors(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32), np.zeros(1, np.float32))
    parts = PartLogits(*(np.full((1, 1), value, np.float32) for value in (1.0, 10.0, 0.0)))
    finished = Finished(vectors, 0.5, 2.0, np.array([0.25], np.float32), None, None)
    assert parts.together(finished).tolist() == [[7.25]]
