"""Which texts of a log are labelled by the teachers of few rows."""

from __future__ import annotations

import numpy as np
import pytest
from edge_lstm_export import further_texts
from edge_lstm_export.further_texts import choose_further
from edge_lstm_export.near_texts import near_first

LABELLED = ["a red door", "the green wall"]


def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(further_texts, "MOST_FURTHER", 50)
    monkeypatch.setattr(further_texts, "MOST_COMPARED", 300)


def test_of_a_long_log_a_part_is_read_whatever_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch)
    letters = "abcdefghijklmnopqrstuvwxyz"
    texts = [f"the text {a}{b}" for a in letters for b in letters]
    found = choose_further([*texts, *texts, *texts[:100]], LABELLED, (), seed=0)
    assert len(found.texts) == len(set(found.texts)) == 50
    assert list(found.texts) == sorted(found.texts, key=texts.index)
    assert found.texts == choose_further(texts, LABELLED, (), seed=0).texts
    assert found.texts != choose_further(texts, LABELLED, (), seed=1).texts
    assert set(found.texts) == set(choose_further(texts[::-1], LABELLED, (), seed=0).texts)
    (said,) = found.remarks("log.txt")
    assert said == f"of 1,452 texts of log.txt 50 are labelled, {found.near} of them near the labelled ones"


def test_of_a_long_log_those_near_the_labelled_texts_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch)
    near = [f"is the {colour} {thing} shut" for colour in "abcdefg" for thing in ("door", "wall", "gate")]
    far = [f"{a}{b}{a} {b}{a}{b} {a}{a}{b}" for a in "pqrstuvwxyz" for b in "klmnopqrst"]
    labelled = ["is the red door shut", "is the green wall shut", "is the old gate shut"]
    found = choose_further([*far, *near], labelled, (), seed=0)
    assert len(found.texts) == 50 and set(near) <= set(found.texts)
    assert found.near is not None and len(near) <= found.near < 50


def test_near_enough_is_as_near_as_the_labelled_texts_are_to_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the log is of their kind, a random part of nearly all of it is read."""
    rng = np.random.default_rng(0)
    words = [f"{a}{b}" for a in "bcdfg" for b in "aeiou"]
    texts = [" ".join(rng.choice(words, 6)) for _ in range(400)]
    order, near = near_first(texts[100:], texts[:100], seed=0)
    assert sorted(order) == list(range(300))
    assert near > 240 and (np.diff(order[:near]) > 0).all()
    copies, as_many = near_first(texts[100:], texts[:100] * 2, seed=0)
    assert as_many == near and (copies == order).all()


def test_texts_that_differ_in_numbers_alone_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch)
    orders = [f"the order {i} of {i} doors" for i in range(200)]
    others = ["the red house", "a red wall", "the green hedge"]
    found = choose_further([*orders, *others], LABELLED, (), seed=0)
    assert len(found.texts) == 4 and set(others) <= set(found.texts)


def test_texts_that_are_known_are_left_out_and_that_is_said() -> None:
    found = choose_further(["a red door", "the moon", "a new wall", "a new wall"], LABELLED, ["the moon"], 0)
    assert found.texts == ("a new wall",)
    (said,) = found.remarks("log.txt")
    assert said.startswith("note: 2 of 4 texts of log.txt stand among the labelled or the test texts; they")
    none = choose_further(["the moon"] * 3, LABELLED, ["the moon"], 0)
    assert none.texts == ()
    assert none.remarks("log.txt")[0].endswith("none is left to label")


@pytest.mark.parametrize(
    ("labelled", "log", "alike"),
    [
        (LABELLED, ["die rote Tür", "der grüne Wald", "nichts als Wald"], False),
        (LABELLED, ["外卖很好吃", "送餐太慢了"], False),
        (LABELLED, ["the bell", "no door"], True),
        (["外卖很好吃"], ["很慢"], True),
    ],
)
def test_a_log_of_another_language_is_noticed(labelled: list[str], log: list[str], alike: bool) -> None:
    said = choose_further(log, labelled, (), 0).remarks("log.txt")
    wanted = (
        "note: only 0% of the texts of log.txt share a word with the labelled ones; "
        "are they of the same language and kind?"
    )
    assert said == ([] if alike else [wanted])
