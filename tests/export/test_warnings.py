"""What is said of the data before a training, and of a measured result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from edge_lstm_export.train.calibrate import log_probabilities, score
from edge_lstm_export.train.data import Dataset, Split, make_split
from edge_lstm_export.train.warnings import checked, result_warnings
from made import dataset

from edge_lstm.errors import DataError

LABELS = ("a", "b")


def split(*pairs: tuple[str, int], labels: tuple[str, ...] = LABELS) -> Split:
    texts, numbers = zip(*pairs)
    return make_split(texts, [(labels[number],) for number in numbers], labels, "data")


def warnings(train: Split, test: Split | None = None, labels: tuple[str, ...] = LABELS) -> str:
    return "\n".join(checked(Dataset("data", labels, train, test, "0", False)).warnings)


def test_plenty_of_balanced_texts_need_no_warning() -> None:
    many = split(*((f"text {i}", i % 2) for i in range(2000)))
    assert warnings(many, split(("other", 0), ("texts", 1))) == ""


def test_what_often_spoils_a_training_is_said() -> None:
    few = split(*((f"text {i}", int(i > 85)) for i in range(90)), ("text 3", 1))
    said = warnings(few, split(("text 1", 0), ("new", 1)))
    assert "only 91 training texts" in said
    assert "few training texts of b (5)" in said
    assert "labels are out of balance (a 94.5% to b 5.5%)" in said
    assert "2 training texts repeat one with other labels: decide which are right (--suspects FILE" in said
    assert "1 test texts are training texts too" in said
    assert "'nan' may stand for a missing one" in warnings(few, labels=("a", "nan"))
    assert "a b and A  B differ in capitals, spaces or Unicode form" in warnings(few, labels=("a b", "A  B"))
    twins = warnings(few, labels=("caf\u00e9", "cafe\u0301"))
    assert "'caf\\xe9' and 'cafe\\u0301' differ" in twins  # which look the same
    three = split(*((f"text {i}", i % 3) for i in range(90)), labels=("a", "b", "a| b"))
    joined = "the label a| b looks like several: if it is, add --label-separator '|'"
    assert joined in warnings(three, labels=("a", "b", "a| b"))
    assert "looks like several" not in warnings(three, labels=("a", "b", "a|c"))
    several = dataset([(f"text {i}", "ab"[i % 2]) for i in range(60)], several=True)
    assert "no text has several labels" in "\n".join(checked(several).warnings)


def test_texts_that_differ_in_capitals_and_punctuation_only_are_duplicates() -> None:
    texts = [(f"Text {i}", i % 2) for i in range(1500)]
    repeated = split(*texts, *((f"text: {i}!", i % 2) for i in range(30)))
    found = checked(Dataset("data", LABELS, repeated, split(("TEXT 7.", 1), ("other", 0)), "0", False))
    assert dict(found.checks) == {"repeated_texts": 30, "contradictory_texts": 0, "test_texts_in_training": 1}
    assert "30 training texts (2.0%) repeat another but for capitals" in "\n".join(found.warnings)


def test_texts_that_are_all_the_same_train_nothing() -> None:
    with pytest.raises(DataError, match=r"all 9 training texts of data are the same .*--text-column"):
        warnings(split(*(("Same text" + "!" * i, i % 2) for i in range(9))))


# --- Of a result --------------------------------------------------------------------------------------------


def said(answers: list[int], labels: list[int], **more: Any) -> str:
    logits = torch.nn.functional.one_hot(torch.tensor(answers), 2).float() * 5
    return of_logits(logits, labels, **more)


def of_logits(logits: torch.Tensor, labels: Any, **more: Any) -> str:
    truth = np.eye(2, dtype=np.bool_)[labels]
    probabilities = log_probabilities(logits).exp().numpy()
    measured: Any = score(logits, truth, ("no", "yes"))
    return "\n".join(result_warnings(measured, probabilities, truth, **more))


def test_a_good_result_on_many_texts_needs_no_word() -> None:
    assert said([0, 1] * 500, [0, 1] * 500) == ""


def test_few_texts_are_said_with_their_interval() -> None:
    # Wilson's interval of 10 right ones of 10 is 72.2 % to 100 %.
    assert "100% ± 14 points in validation on 10 texts: collect more" in said([0, 1] * 5, [0, 1] * 5)
    assert "in cross-validation on 10" in said([0, 1] * 5, [0, 1] * 5, cross_validated=True)


def test_a_prediction_that_is_always_the_same_is_said() -> None:
    text = said([0] * 1000, [0] * 950 + [1] * 50)
    assert "not shown to be better than always predicting no (95.0% against 95.0%)" in text
    assert "yes is never predicted" in text


def test_a_rare_label_gets_a_threshold_that_finds_more_of_it() -> None:
    probability = np.concatenate([np.linspace(0.0, 0.2, 950), np.linspace(0.15, 0.55, 50)])
    logits = torch.from_numpy(np.log(np.stack([1 - probability, probability + 1e-9], axis=1))).float()
    text = of_logits(logits, np.array([0] * 950 + [1] * 50))
    assert "yes is rare: predicting it from a probability of 0.21 on gives it an F1 of 9" in text
    assert "no is rare" not in text
