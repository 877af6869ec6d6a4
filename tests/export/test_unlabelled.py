"""Texts for the teachers to label: those of a log that are chosen, and those made of the labelled ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from edge_lstm_export.train import unlabelled
from edge_lstm_export.train.augment import AugmentedTexts, augment
from edge_lstm_export.train.options import Augmentation
from edge_lstm_export.train.unlabelled import choose_unlabelled

LABELLED = ["a red door", "the green wall"]


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unlabelled, "MOST_TEXTS", 50)
    monkeypatch.setattr(unlabelled, "MOST_COMPARED", 300)


@pytest.mark.usefixtures("_few")
def test_of_a_long_log_a_part_is_read_whatever_is_repeated() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    texts = [f"the text {a}{b}" for a in letters for b in letters]
    found = choose_unlabelled([*texts, *texts, *texts[:100]], LABELLED, (), 0)
    assert len(found.texts) == len(set(found.texts)) == 50
    assert list(found.texts) == sorted(found.texts, key=texts.index)
    assert found.texts == choose_unlabelled(texts, LABELLED, (), 0).texts
    assert found.texts != choose_unlabelled(texts, LABELLED, (), 1).texts
    assert set(found.texts) == set(choose_unlabelled(texts[::-1], LABELLED, (), 0).texts)
    (said,) = found.remarks("log.txt")
    assert said.startswith(f"of 1,452 texts of log.txt 50 are labelled, {found.similar} of them similar to")


@pytest.mark.usefixtures("_few")
def test_of_a_long_log_those_similar_to_the_labelled_texts_are_read() -> None:
    near = [f"is the {colour} {thing} shut" for colour in "abcdefg" for thing in ("door", "wall", "gate")]
    far = [f"{a}{b}{a} {b}{a}{b} {a}{a}{b}" for a in "pqrstuvwxyz" for b in "klmnopqrst"]
    labelled = ["is the red door shut", "is the green wall shut", "is the old gate shut"]
    found = choose_unlabelled([*far, *near], labelled, (), 0)
    assert len(found.texts) == 50 and set(near) <= set(found.texts)
    assert found.similar is not None and len(near) <= found.similar < 50


@pytest.mark.usefixtures("_few")
def test_texts_that_differ_in_numbers_alone_are_one() -> None:
    orders = [f"the order {i} of {i} doors" for i in range(200)]
    others = ["the red house", "a red wall", "the green hedge"]
    found = choose_unlabelled([*orders, *others], LABELLED, (), 0)
    assert len(found.texts) == 4 and set(others) <= set(found.texts)


def test_texts_that_are_known_are_left_out_and_that_is_said() -> None:
    found = choose_unlabelled(
        ["a red door", "the moon", "a new wall", "a new wall"], LABELLED, ["the moon"], 0
    )
    assert found.texts == ("a new wall",)
    (said,) = found.remarks("log.txt")
    assert "2 of 4 texts of log.txt are among the labelled or the test texts; they" in said
    none = choose_unlabelled(["the moon"] * 3, LABELLED, ["the moon"], 0)
    assert none.texts == () and none.remarks("log.txt")[0].endswith("none is left to label")


TEXTS = ["one two three four five six", "seven eight nine ten", "eleven twelve", "alone", "   "]
FOLD = np.array([0, 0, 1, 1, 1])


def made(variants: int, seed: int = 0, texts: Sequence[str] = TEXTS, fold: object = FOLD) -> AugmentedTexts:
    return augment(texts, np.asarray(fold), Augmentation(variants), None, seed)


def test_a_made_text_is_new_and_of_words_of_one_fold() -> None:
    found = made(30)
    assert found.texts and len(found.texts) == len(set(found.texts)) == len(found.fold)
    assert not set(found.texts) & set(TEXTS)
    mixed = 0
    for text, fold in zip(found.texts, found.fold):
        sources = [{*TEXTS[row].split()} for row in np.flatnonzero(fold == FOLD)]
        words = {*text.split()}
        assert words <= set.union(*sources)
        mixed += not any(words <= own for own in sources)
    assert mixed


def test_the_seed_decides_and_nothing_asked_for_is_nothing_made() -> None:
    assert made(5).texts == made(5).texts != made(5, seed=1).texts
    assert made(0).texts == () and len(made(0).fold) == 0
    assert augment([], np.zeros(0, np.int64), Augmentation(3, 3), lambda words: {}, 0).texts == ()


def test_in_an_unsegmented_script_characters_are_the_words() -> None:
    texts = ["外卖很好吃下次还来", "送餐太慢了不会再点"]
    found = made(20, texts=texts, fold=[0, 0]).texts
    assert len(found) > 20 and all(" " not in text and len(text) < 20 for text in found)


def test_words_are_replaced_by_near_ones_and_nothing_else_is() -> None:
    texts = ["How far, friend?", "alone", "外卖很好吃"]
    asked: list[str] = []

    def synonyms(words: Sequence[str]) -> dict[str, tuple[str, ...]]:
        asked.extend(words)
        return {"far": ("distant", "remote"), "how": ("why",)}

    found = augment(texts, np.array([0, 1, 2]), Augmentation(0, 20), synonyms, 0)
    assert asked == ["alone", "far", "friend", "how"]
    assert 0 < len(found.texts) <= 20 and (found.fold == 0).all()
    expected = {f"{how} {far} friend?" for how in ("How", "why") for far in ("far,", "distant", "remote")}
    assert set(found.texts) <= expected - {texts[0]}
