"""Texts made from labelled ones: what they hold, and which rows they tell something of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_lstm_export import reading
from edge_lstm_export.datasets import Split
from edge_lstm_export.datasets.dataset import Dataset
from edge_lstm_export.fit import VocabularyOptions
from edge_lstm_export.job import TrainingJob
from edge_lstm_export.made_texts import (
    FEWEST,
    FEWEST_NEAR,
    MOST,
    MOST_NEAR,
    NOTHING_MADE,
    WANTED,
    WANTED_OF_MANY,
    Made,
    make_texts,
    variants_of,
    with_near_words,
)
from edge_lstm_export.pretrained import Meanings

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


@pytest.mark.parametrize(
    ("rows", "each"), [(0, MOST), (50, MOST), (200, 20), (5_000, FEWEST), (8_000, 2), (30_000, 1)]
)
def test_few_rows_get_many_variants(rows: int, each: int) -> None:
    assert variants_of(rows) == each


class NoWords:
    """An encoder's words that are near none and mean nothing."""

    def share_of(self, texts: Sequence[str]) -> float:
        return 1.0

    def near(self, words: Sequence[str], without: Sequence[str], most: int) -> tuple[str, ...]:
        return ()

    def beside(self, words: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return {}

    def of_ids(self, words: Sequence[str], ids: int) -> Meanings:
        return Meanings(np.zeros((ids, 4), np.float32), np.zeros(ids, np.float32))


@pytest.mark.parametrize(
    ("labels", "log", "few", "encoder", "each", "near"),
    [
        (17, False, 2000, True, WANTED_OF_MANY // 340, [min(MOST_NEAR, WANTED_OF_MANY // 340)]),
        (17, True, 2000, True, WANTED // 340, []),
        (17, False, 300, True, WANTED // 340, []),
        (16, False, 2000, True, WANTED // 320, [WANTED // 320]),
        (16, False, 300, True, MOST, [MOST_NEAR]),
        (16, True, 300, True, WANTED // 320, []),
        (16, False, 300, False, WANTED // 320, [WANTED // 320]),
    ],
)
def test_what_teaches_and_how_many_rows_decide_how_many_texts_are_made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    labels: int,
    log: bool,
    few: int,
    encoder: bool,
    each: int,
    near: list[int],
) -> None:
    of_rows: list[int] = []
    of_words: list[int] = []

    def made_of_rows(texts: Sequence[str], group: object, each: int, seed: int) -> Made:
        of_rows.append(each)
        return NOTHING_MADE

    def made_of_words(made: Made, texts: Sequence[str], near: object, each: int, seed: int) -> Made:
        of_words.append(each)
        return made

    monkeypatch.setattr(reading, "make_texts", made_of_rows)
    monkeypatch.setattr(reading, "with_near_words", made_of_words)
    monkeypatch.setattr(reading, "FEW_TEXTS", few)
    monkeypatch.setattr("edge_lstm_export.teacher.encoder_words.words_of", lambda encoder: NoWords())
    monkeypatch.setattr("edge_lstm_export.teacher.embedded.words", NoWords)
    names = tuple(f"label{i}" for i in range(labels))
    split = Split(tuple(f"text {i} of some" for i in range(20 * labels)), np.arange(20 * labels) % labels)
    job = TrainingJob(
        "tickets.csv",
        tmp_path / "m.safetensors",
        validation_share=0.0,
        unlabelled="log.txt" if log else None,
    )
    teacher: Any = object() if encoder else None  # no text is read here; the embedded model without one
    reading.prepare_texts(
        job,
        Dataset("tickets", names, split, None, "0"),
        VocabularyOptions(pieces=True),
        ["a line of a log"] * log,
        teacher,
        sentiment=not encoder,
    )
    assert (of_rows, of_words) == ([each], near)


def test_words_are_exchanged_for_near_ones_and_nothing_else_is() -> None:
    texts = ["How far, friend?", "alone", "外卖很好吃"]
    asked: list[str] = []

    def near(words: Sequence[str]) -> dict[str, tuple[str, ...]]:
        asked.extend(words)
        return {"far": ("distant", "remote"), "how": ("why",)}

    before = make_texts(texts, np.zeros(3, np.int64), 5, seed=0)
    made = with_near_words(before, texts, near, MOST_NEAR, seed=0)
    assert asked == ["alone", "far", "friend", "how"]
    count = len(before.texts)
    assert made.texts[:count] == before.texts and 0 < len(made.texts) - count <= MOST_NEAR
    found = made.texts[count:]
    assert set(found) <= {
        f"{how} {far} friend?" for how in ("How", "why") for far in ("far,", "distant", "remote")
    }
    assert "How far, friend?" not in found
    assert (made.sources[count:] == 0).all()
    assert with_near_words(before, texts, near, MOST_NEAR, seed=0).texts == made.texts


def test_without_near_words_nothing_is_made_of_them() -> None:
    before = make_texts(TEXTS, GROUP, 5, seed=0)
    assert with_near_words(before, TEXTS, lambda words: {}, MOST_NEAR, seed=0) is before
    assert with_near_words(before, [], lambda words: {}, MOST_NEAR, seed=0) is before


def test_many_rows_have_near_words_too() -> None:
    texts = [f"number {i} far far far far" for i in range(3_000)]
    before = make_texts(texts, np.zeros(3_000, np.int64), 1, seed=0)
    near = {"far": ("distant", "remote", "away")}
    made = with_near_words(before, texts, lambda words: near, FEWEST_NEAR, seed=0)
    each = np.bincount(made.sources[len(before.texts) :, 0], minlength=3_000)
    assert each.max() == FEWEST_NEAR and each.mean() > 2  # some are drawn as they were
