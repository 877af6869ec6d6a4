"""Texts made from labelled ones: what they hold, and which rows they tell something of."""

from __future__ import annotations

import numpy as np
import pytest
from edge_lstm_export.made_texts import FEWEST, MOST, make_texts, variants_of

TEXTS = ["one two three four five six", "seven eight nine ten", "eleven twelve", "alone", "   "]
GROUP = np.array([0, 0, 1, 1, 1])


def test_a_made_text_holds_words_of_its_sources_alone_and_is_new() -> None:
    made = make_texts(TEXTS, GROUP, 30, seed=0)
    assert made.texts and len(made.texts) == len(set(made.texts)) == len(made.sources)
    assert not set(made.texts) & set(TEXTS)
    for text, sources in zip(made.texts, made.sources):
        allowed = {word for row in sources for word in TEXTS[row].split()}
        assert set(text.split()) <= allowed


def test_only_texts_of_one_group_are_mixed_and_some_are() -> None:
    made = make_texts(TEXTS, GROUP, 30, seed=0)
    first, second = made.sources.T
    assert (GROUP[first] == GROUP[second]).all()
    assert (first != second).any()


def test_texts_of_some_rows_need_no_other_row() -> None:
    made = make_texts(TEXTS, GROUP, 30, seed=0)
    of_first = made.of(np.array([0]))
    assert len(of_first)
    assert (made.sources[of_first] == 0).all()
    assert len(made.of(np.array([0, 1]))) > len(of_first)
    assert not len(made.of(np.array([], dtype=np.int64)))


def test_the_seed_decides() -> None:
    one, same, other = (make_texts(TEXTS, GROUP, 5, seed).texts for seed in (0, 0, 1))
    assert one == same != other


def test_without_spaces_characters_are_the_words() -> None:
    texts = ["外卖很好吃下次还来", "送餐太慢了不会再点"]
    made = make_texts(texts, np.zeros(2, np.int64), 20, seed=0)
    assert len(made.texts) > 20
    assert all(" " not in text and len(text) < 20 for text in made.texts)


@pytest.mark.parametrize(("rows", "each"), [(0, MOST), (50, MOST), (200, 20), (5_000, FEWEST)])
def test_few_rows_get_many_variants(rows: int, each: int) -> None:
    assert variants_of(rows) == each
