"""The vocabulary is that of the training texts, in one order whatever theirs is."""

from __future__ import annotations

import random

import numpy as np
import pytest
from edge_lstm_export.datasets import Split
from edge_lstm_export.datasets.dataset import Dataset
from edge_lstm_export.fit import VocabularyOptions, prepare
from edge_lstm_export.vocabulary import adopted, count_words, letters_of, most_frequent
from hypothesis import given
from hypothesis import strategies as st

from edge_lstm.errors import DataError
from edge_lstm.text import Tokenizer

TEXTS = ["the film", "The end", "a film, the", "b"]


def test_words_are_ranked_by_frequency_then_alphabet() -> None:
    assert most_frequent(count_words(TEXTS), 5000) == ("the", "film", "a", "b", "end")


def test_num_words_is_the_bound_of_the_ids() -> None:
    words = most_frequent(count_words(TEXTS), 7)
    assert words == ("the", "film", "a")
    assert Tokenizer(words).num_ids == 7


def test_a_vocabulary_is_no_larger_than_the_words_there_are() -> None:
    assert Tokenizer(most_frequent(count_words(TEXTS), 5000)).num_ids == 4 + 5


def test_skipped_words_make_room_for_the_next() -> None:
    assert most_frequent(count_words(TEXTS), 6, skip_top=1) == ("film", "a")
    assert adopted(("the", "film", "a"), 5000, skip_top=2) == ("a",)


@given(st.lists(st.text("abc ", max_size=12), max_size=20), st.randoms())
def test_the_order_of_the_texts_does_not_matter(texts: list[str], rng: random.Random) -> None:
    texts = [*texts, "word"]
    shuffled = rng.sample(texts, len(texts))
    assert most_frequent(count_words(texts), 9) == most_frequent(count_words(shuffled), 9)


def test_nothing_left_is_refused() -> None:
    with pytest.raises(DataError, match="hold no words"):
        most_frequent(count_words(["", "!!"]), 5000)
    with pytest.raises(DataError, match="skip-top"):
        most_frequent(count_words(TEXTS), 5000, skip_top=5)
    with pytest.raises(DataError, match="num-words"):
        most_frequent(count_words(TEXTS), 4)


def test_the_words_to_be_unknown_in_new_texts_are_foretold() -> None:
    rng = random.Random(0)
    names = [f"w{i}" for i in range(4000)]
    texts = [" ".join(rng.choices(names, [1 / (i + 1) for i in range(4000)], k=12)) for _ in range(1200)]
    seen, new = texts[:600], texts[600:]
    data = Dataset("d", ("a", "b"), Split(tuple(seen), np.arange(600) % 2), None, "0")
    for num_words in (300, 5000):  # words cut off, and words never seen
        prepared = prepare(data, VocabularyOptions(num_words))
        counts = [prepared.tokenizer.count_words(text) for text in new]
        unknown = 1 - sum(known for _, known in counts) / sum(words for words, _ in counts)
        assert unknown == pytest.approx(prepared.unknown_words, rel=0.15)


def test_the_letters_of_misspelt_words_are_those_of_scripts_that_spell() -> None:
    words = (
        "film",
        "don't",
        "1990s",
        "фильм",
        "فيلم",
        "हिन्दी",
        "日本語",
        "ไทย",
        "영화관람",
        "ሰላም",
        "❤\ufe0f",
        "🎬",
        "!",
    )
    assert letters_of(words) == "".join(sorted({*"filmdonts", *"фильм", *"فيلم", *"हिन्दी"}))
