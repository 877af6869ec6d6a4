"""The vocabulary is that of the training texts, in one order whatever theirs is, and of pretrained
words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from edge_lstm_export import TrainingRequest, make_plan
from edge_lstm_export.options import TextOptions
from edge_lstm_export.train.data.pretrained import english
from edge_lstm_export.train.data.vocabulary import (
    build_vocabulary,
    informative_marks,
    words_and_subwords,
)
from edge_lstm_export.train.fit import fit
from edge_lstm_export.train.plan.planning import known_stats
from edge_lstm_export.train.plan.stats import dataset_stats
from made import Rows, dataset, words_of

from edge_lstm.errors import DataError

TEXTS = ["the film", "The end", "a film, the", "b"]
KERAS = TextOptions("keras", 30)


def test_keras_ranks_words_by_frequency_then_alphabet() -> None:
    few = build_vocabulary(TEXTS, (), KERAS, 7)
    assert (few.words, few.num_ids) == (("the", "film", "a"), 7)
    found = build_vocabulary(TEXTS, ["unread"], KERAS, 5000)
    assert (found.words, found.pieces, found.length) == (("the", "film", "a", "b", "end"), (), 30)


@pytest.mark.parametrize("rule", ["keras", "subwords"])
def test_texts_without_a_word_are_refused(rule: Any) -> None:
    with pytest.raises(DataError, match="hold no words"):
        build_vocabulary(["", "!!" if rule == "keras" else " "], (), TextOptions(rule), 50)


def test_subwords_are_learnt_from_words_and_from_unsegmented_scripts() -> None:
    verbs = ["walk", "talk", "look", "jump", "paint", "cook", "sort", "mend"]
    texts = [f"{verb}{ending}" for verb in verbs for ending in ("ing", "ed", "s")] * 3
    words, subwords = words_and_subwords(texts, 400)
    assert "walking" in words and "ing" in subwords and set("walkingteds") <= set(subwords)
    meals = ["这个菜", "那碗汤", "他的面", "你的饭", "我的茶"]
    praise = [f"{meal}{how}好吃" for meal in meals for how in ("很", "不", "真")]
    # room for parts that are read three times, too
    words, subwords = words_and_subwords(praise, 400)
    assert {"好", "吃", "菜", "很好吃"} <= set(subwords) and not any(
        "个菜" in part for part in subwords
    )


def test_marks_that_tell_labels_apart_are_words() -> None:
    texts = ["great!" if i % 2 else "fine." for i in range(200)] + ["so, so"] * 100
    labels = np.eye(2, dtype=np.bool_)[np.arange(300) % 2]
    assert informative_marks(texts, labels) == "!."
    found = build_vocabulary(texts, (), TextOptions(), 50, marks="!.")
    assert {"!", "."} <= set(found.words) and "," not in found.words


@pytest.mark.parametrize("rule", ["keras", "subwords"])
def test_what_could_not_be_read_and_control_characters_are_in_no_vocabulary(rule: Any) -> None:
    texts = [
        "caf\ufffd good film",
        "caf\ufffd goo\ud800d film \x08\x1f",
        "caf\ufffd \ufffd\ufffdfilm good good\x01day",
    ] * 3
    found = build_vocabulary(texts, (), TextOptions(rule), 60).entries
    assert {"good", "film"} <= {*found} and ("caf" in found or rule == "keras")
    assert not any("\ufffd" in entry or min(entry) < " " for entry in found)


def test_a_word_of_ten_thousand_letters_is_no_entry() -> None:
    for others in (["good film", "good day"], ["y" * 10_000]):
        words, subwords = words_and_subwords(["x" * 10_000, *others], 100)
        assert max(map(len, (*words, *subwords))) <= 60


FOOD = words_of(
    "apple banana lemon cherry peach mango grape melon berry plum olive coconut potato tomato "
    "carrot "
    "onion cabbage bean corn rice bread butter cheese honey sugar pepper salt soup salad sauce "
    "cake "
    "pie"
)
CITY = words_of(
    "paris london berlin madrid rome vienna moscow tokyo delhi cairo boston chicago dublin prague "
    "warsaw lisbon athens budapest seoul beijing shanghai sydney melbourne toronto montreal denver "
    "seattle houston dallas atlanta munich hamburg"
)


def about(part: slice) -> Rows:
    return [
        (f"number {7 * i % 10} was {word} again", label)
        for label, words in (("food", FOOD), ("city", CITY))
        for i, word in enumerate(words[part])
    ]


def test_the_table_knows_which_words_are_alike() -> None:
    known = english()
    assert len(set(known.words)) == len(known.words) > 20_000
    assert all(word.isalpha() and word.isascii() and word[1:] for word in known.words)
    terrible, horrible, paris, unknown = known.vectors(["terrible", "horrible", "paris", "xyzzy"])
    assert np.linalg.norm(terrible) == pytest.approx(1, abs=1e-5) and not unknown.any()
    assert terrible @ horrible > 0.6 > 0.2 > terrible @ paris
    assert known.share_of(["a terrible soup"]) == 1.0 and known.share_of(["外卖很好吃"]) == 0


def test_words_that_no_row_holds_are_known_by_what_they_mean() -> None:
    data = dataset(about(slice(20)))
    data = replace(data, test=dataset(about(slice(20, None))).train)
    stats = known_stats(dataset_stats(data), data, TrainingRequest())
    plan = make_plan(stats, TrainingRequest("tiny", "none", epochs=1, validation=0.0))
    assert stats.english > 0.9 and plan.word_table == "english" and plan.vocabulary.expansion
    plain = replace(plan, word_table="none", vocabulary=replace(plan.vocabulary, expansion=False))
    results = [fit(data, plan), fit(data, plain)]
    with_it, without = (result.checkpoint.training["test"]["accuracy"] for result in results)
    assert with_it > 0.75 > without
