"""Texts for the teachers to label: those of a log that are chosen, and those made of the labelled
ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from edge_lstm_export.train.data.transfer import augment, misspell
from edge_lstm_export.train.sources.read import choose_unlabelled

LEFT_OUT = {"a red door", "the green wall", "the moon"}


def choose(texts: Sequence[str], seed: int = 0) -> tuple[tuple[str, ...], list[str]]:
    return choose_unlabelled(texts, LEFT_OUT, seed, "log.txt", most=50)


def test_of_a_long_log_a_part_is_read_whatever_is_repeated() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    texts = [f"the text {a}{b}" for a in letters for b in letters]
    chosen, (said,) = choose([*texts, *texts, *texts[:100]])
    assert len(chosen) == len(set(chosen)) == 50
    assert chosen == choose(texts)[0] == choose(texts[::-1])[0] != choose(texts, seed=1)[0]
    assert said == "a random 50 of 1,452 texts of log.txt are used"


def test_texts_that_differ_in_numbers_alone_are_one() -> None:
    orders = [f"the order {i} of {i} doors" for i in range(95)]
    others = ["the red house", "a red wall", "the green hedge"]
    chosen, _ = choose([*orders, *others])
    assert len(chosen) == 4 and set(others) <= set(chosen)


def test_texts_that_are_known_are_left_out_and_that_is_said() -> None:
    chosen, (said,) = choose(["a red door", "the moon", "a new wall", "a new wall"])
    assert chosen == ("a new wall",)
    assert "2 of 4 texts of log.txt are labelled or test texts: not used" in said
    none, remarks = choose(["the moon"] * 3)
    assert none == () and remarks[0].endswith("none is left to label")


TEXTS = ["one two three four five six", "seven eight nine ten", "eleven twelve", "alone", "   "]
FOLD = np.array([0, 0, 1, 1, 1])


def made(variants: int, seed: int = 0, texts: Sequence[str] = TEXTS, fold: object = FOLD) -> Any:
    return augment(texts, np.asarray(fold), variants, seed)


def test_a_made_text_is_new_and_of_words_of_one_fold() -> None:
    texts, folds = made(30)
    assert texts == made(30)[0] != made(30, seed=1)[0]
    assert made(3, texts=[], fold=[])[0] == made(0)[0] == ()
    assert len(texts) == len(set(texts)) == len(folds) and not set(texts) & set(TEXTS)
    mixed = 0
    for text, fold in zip(texts, folds):
        words = {*text.split()}
        sources = [{*TEXTS[row].split()} for row in np.flatnonzero(fold == FOLD)]
        assert words <= set.union(*sources)
        mixed += not any(words <= own for own in sources)
    assert mixed


def test_in_an_unsegmented_script_characters_are_the_words() -> None:
    texts = ["外卖很好吃下次还来", "送餐太慢了不会再点"]
    found = made(20, texts=texts, fold=[0, 0])[0]
    assert len(found) > 20 and all(" " not in text and len(text) < 20 for text in found)


def test_some_letters_are_wrong_and_no_space_is() -> None:
    (wrong,) = misspell(["the door of a wall " * 200], 0.05, seed=0)
    assert [wrong] == misspell(["the door of a wall " * 200], 0.05, seed=0) and wrong.count(
        " "
    ) == 1000
    assert (
        0.1
        < np.mean([word not in {"the", "door", "of", "a", "wall"} for word in wrong.split()])
        < 0.2
    )
