"""What is said of the data before a training, and of a measured result."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from edge_lstm_export.train.calibrate import result_warnings, score
from edge_lstm_export.train.sources.dataset import Dataset, Split, make_split
from edge_lstm_export.train.sources.warnings import checked

LABELS = ("a", "b")


def split(*pairs: tuple[str, int], labels: tuple[str, ...] = LABELS) -> Split:
    texts, numbers = zip(*pairs)
    return make_split(texts, [(labels[number],) for number in numbers], labels, "data")


def warnings(train: Split, test: Split | None = None, labels: tuple[str, ...] = LABELS) -> str:
    return "\n".join(checked(Dataset("data", labels, train, test, "0", False)).warnings)


def test_what_often_spoils_a_training_is_said() -> None:
    assert warnings(split(*((f"text {i}", i % 2) for i in range(40))), split(("other", 0))) == ""
    few = split(*((f"text {i}", int(i > 85)) for i in range(90)), ("text 3", 1))
    said = warnings(few, split(("text 1", 0), ("new", 1)))
    assert "few training texts of b (5)" in said
    assert "2 training texts have duplicates with different labels: correct these" in said
    assert "1 test text is also a training text" in said
    twins = [
        warnings(few, labels=labels) for labels in (("A  B", "a b"), ("caf\u00e9", "cafe\u0301"))
    ]
    assert "'A  B' and 'a b' differ in capitals, spaces or Unicode form" in twins[0]
    assert "'caf\\xe9' and 'cafe\\u0301' differ" in twins[1]  # which look the same


def test_texts_that_differ_in_capitals_and_punctuation_only_are_duplicates() -> None:
    texts = [(f"Text {i}", i % 2) for i in range(1500)]
    repeated = split(*texts, *((f"text: {i}!", i % 2) for i in range(30)))
    found = checked(
        Dataset("data", LABELS, repeated, split(("TEXT 7.", 1), ("other", 0)), "0", False)
    )
    assert dict(found.checks) == {
        "repeated_texts": 30,
        "contradictory_texts": 0,
        "test_texts_in_training": 1,
    }
    assert "30 training texts (2.0%) are duplicates (ignoring case" in "\n".join(found.warnings)


# --- Of a result ----------------------------------------------------------------------------------


def said(answers: list[int], labels: list[int]) -> str:
    logits = torch.nn.functional.one_hot(torch.tensor(answers), 2).float() * 5
    measured: Any = score(logits, np.eye(2, dtype=np.bool_)[labels], ("no", "yes"))
    return "\n".join(result_warnings(measured))


def test_a_result_is_warned_of_where_answers_are_always_the_same() -> None:
    assert said([0, 1] * 500, [0, 1] * 500) == ""
    text = said([0] * 1000, [0] * 950 + [1] * 50)
    assert "not significantly better than always predicting no (95.0% against 95.0%)" in text
    assert "yes is never predicted" in text
