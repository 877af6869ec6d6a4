"""Texts made from labelled ones: of their words only, in any script, labelled by whatever labels texts."""

import numpy as np
import pytest
from edge_lstm_export.made_texts import made_and_labelled, make_texts

from edge_lstm.errors import DataError

TEXTS = ["the parcel has not arrived yet", "please cancel my order now", "这个菜很好吃", ""]


def test_made_texts_hold_words_of_the_texts_and_follow_the_seed() -> None:
    made = make_texts(TEXTS, 20, seed=0)
    assert len(made) == 80
    assert made == make_texts(TEXTS, 20, seed=0)
    assert made != make_texts(TEXTS, 20, seed=1)
    words = {word for text in TEXTS[:2] for word in text.split()} | set(TEXTS[2])
    for text in made[:40]:
        assert text
        assert {part for word in text.split() for part in ([word] if word.isascii() else word)} <= words
    assert any("parcel" in text and "order" in text for text in made[:40])
    assert make_texts(TEXTS, 0, seed=0) == []


def test_a_script_without_spaces_is_taken_apart_by_characters() -> None:
    made = make_texts([TEXTS[2]], 30, seed=0)
    assert all(" " not in text and set(text) <= set(TEXTS[2]) for text in made)
    assert len({len(text) for text in made}) > 2


def test_the_labels_are_the_teachers_and_no_text_comes_twice() -> None:
    def teacher(texts: list[str]) -> np.ndarray:
        return np.array([[float("parcel" not in t), float("parcel" in t)] for t in texts], np.float32)

    made, labels = made_and_labelled(TEXTS, 10, 0, teacher)  # type: ignore[arg-type]
    assert len(made) == len(set(made)) == len(labels)
    assert not set(made) & set(TEXTS)
    assert [bool(row[1]) for row in labels] == ["parcel" in text for text in made]
    assert made_and_labelled(["word"], 5, 0, teacher)[0] == []  # type: ignore[arg-type]


@pytest.mark.parametrize("each", [-1, 101])
def test_how_many_are_made_has_limits(each: int) -> None:
    with pytest.raises(DataError, match="made must be from 0 to 100"):
        make_texts(TEXTS, each, seed=0)
