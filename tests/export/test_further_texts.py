"""Which texts of a log are labelled by the teachers of few rows."""

from __future__ import annotations

import pytest
from edge_lstm_export import further_texts
from edge_lstm_export.further_texts import choose_further

LABELLED = ["a red door", "the green wall"]


def test_of_a_long_log_a_random_part_is_read_whatever_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(further_texts, "MOST_FURTHER", 50)
    texts = [f"the text {i}" for i in range(500)]
    found = choose_further([*texts, *texts, *texts[:100]], LABELLED, (), seed=0)
    assert len(found.texts) == len(set(found.texts)) == 50
    assert list(found.texts) == sorted(found.texts, key=texts.index)
    assert found.texts == choose_further(texts, LABELLED, (), seed=0).texts
    assert found.texts != choose_further(texts, LABELLED, (), seed=1).texts
    assert set(found.texts) == set(choose_further(texts[::-1], LABELLED, (), seed=0).texts)
    assert found.remarks("log.txt") == ["of 1,100 texts of log.txt a random 50 are labelled"]


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
