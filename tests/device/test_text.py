"""Text → ids: the rule, the special ids, the status."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_lstm.text import FILTERS, Tokenizer, split_words, to_matrix

TOKENIZER = Tokenizer(("the", "film", "good", "don't", "straße", "хорошо"), length=8)


def keras_rule(text: str) -> list[str]:
    """The rule as the design words it, written the slow way."""
    text = text.lower()
    for character in FILTERS:
        text = text.replace(character, " ")
    return [word for word in text.split(" ") if word]


@given(st.text())
def test_words_follow_the_rule_for_any_text(text: str) -> None:
    assert split_words(text) == keras_rule(text)


def test_lone_surrogates_do_not_fail() -> None:
    assert split_words("a \ud800 b") == ["a", "\ud800", "b"]


@pytest.mark.parametrize(
    ("text", "ids", "status"),
    [
        ("The film", [1, 4, 5], "ok"),
        ("the<br />film\r\n", [1, 4, 2, 5], "ok"),
        ("don't", [1, 7], "ok"),
        ("STRASSE Straße ХОРОШО", [1, 2, 8, 9], "ok"),
        ("", [1], "empty"),
        (" \n\t ?!", [1], "empty"),
        ("qwxy zzy", [1, 2, 2], "unknown_words"),
        ("good " * 7, [1, *[6] * 7], "ok"),
        ("the " + "good " * 7, [4, *[6] * 7], "truncated"),
    ],
)
def test_ids_are_those_of_keras(text: str, ids: list[int], status: str) -> None:
    encoded = TOKENIZER.encode_text(text)
    assert (encoded.ids, encoded.status) == (ids, status)


def test_the_matrix_is_padded_on_the_right() -> None:
    matrix = to_matrix([TOKENIZER.encode_text(text).ids for text in ("the film", "")], 8)
    assert matrix.dtype == np.int32
    assert matrix.tolist() == [[1, 4, 5, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0]]


@given(st.lists(st.sampled_from(["good ", "film.", "qwxy", " ", "ΑΣ", "'", "x" * 40]), max_size=8))
def test_a_long_text_read_from_its_end_has_the_ids_of_the_whole(parts: list[str]) -> None:
    tokenizer = Tokenizer((*TOKENIZER.words, "ας"), length=8)
    text = "".join(parts) * 200
    assert tokenizer.encode_text(text) == tokenizer._encode(text)
