"""Classifier: one answer for a text, whatever surrounds it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_files import EMBEDDED, SMALL
from table_files import read_rows

import edge_lstm
from edge_lstm import Classifier, DataError, Policy, Prediction

REVIEWS = [row["text"] for row in read_rows(EMBEDDED.with_name("reviews.csv"))]
CLASSIFIER = Classifier.load()
ALONE = CLASSIFIER.probabilities(REVIEWS, batch_size=1)


def test_probabilities_have_the_promised_shape() -> None:
    assert (ALONE.shape, ALONE.dtype) == ((len(REVIEWS), len(CLASSIFIER.labels)), np.float32)
    assert np.allclose(ALONE.sum(axis=1), 1)


@settings(max_examples=10)
@given(st.permutations(range(len(REVIEWS))), st.integers(1, 100))
def test_a_document_scores_the_same_alone_and_in_any_batch(
    order: list[int], batch_size: int
) -> None:
    together = CLASSIFIER.probabilities([REVIEWS[i] for i in order], batch_size=batch_size)
    assert np.array_equal(together, ALONE[order])


@settings(max_examples=20)
@given(st.lists(st.text(), max_size=4))
def test_any_text_gets_an_answer(texts: list[str]) -> None:
    answers = CLASSIFIER.predict(texts)
    assert len(answers) == len(texts)
    for answer in answers:
        assert answer.label in CLASSIFIER.labels
        assert answer.probability == max(answer.probabilities.values())
        assert list(answer.probabilities) == list(CLASSIFIER.labels)


def test_the_status_says_what_to_know_of_a_text() -> None:
    texts = ["A good film.", "", "!?", "qwxyzzy", "good " * 700]
    statuses = [answer.status for answer in Classifier.load(SMALL).predict(texts)]
    assert statuses == ["ok", "empty", "empty", "unknown_words", "truncated"]
    of_pieces = [a.status for a in CLASSIFIER.predict(["qwxyzzy", "…", "好"])]
    assert of_pieces == ["ok", "empty", "unknown_words"]


def test_the_best_labels_come_in_the_order_of_their_probabilities() -> None:
    for text in ("A wonderful film.", "Dull, and far too long!"):
        (answer,) = CLASSIFIER.predict([text])
        best, second = answer.top(2)
        assert [best] == answer.top(1) == [(answer.label, answer.probability)]
        assert dict([best, second]) == answer.probabilities and best[1] > second[1]


def test_equal_labels_keep_the_order_of_the_model_and_no_others_are_made_up() -> None:
    answer = Prediction("b", 0.5, {"a": 0.25, "b": 0.5, "c": 0.25}, "ok", ("b",))
    assert answer.top(3) == [("b", 0.5), ("a", 0.25), ("c", 0.25)]
    for k in (0, 4):
        with pytest.raises(DataError, match="from 1 to 3, the number of labels, not"):
            answer.top(k)
        with pytest.raises(DataError, match="from 1 to 2, the number of labels, not"):
            Policy.of(CLASSIFIER.model, top=k and 3)


def test_the_public_api_is_all_there() -> None:
    for name in edge_lstm.__all__:
        assert getattr(edge_lstm, name) is not None
    with pytest.raises(AttributeError):
        _ = edge_lstm.nothing


def test_every_error_is_one_type_that_a_program_can_catch() -> None:
    errors = [getattr(edge_lstm, name) for name in edge_lstm.__all__ if name.endswith("Error")]
    assert len(errors) > 8
    assert all(issubclass(error, edge_lstm.EdgeLSTMError) for error in errors)
    for error in (edge_lstm.NotAModelFileError, edge_lstm.NewerFormatError):
        assert issubclass(error, edge_lstm.ModelFileError)
    assert issubclass(edge_lstm.DamagedModelFileError, edge_lstm.ModelFileError)
