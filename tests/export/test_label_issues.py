"""Labels that look wrong are found, and none are where there are none."""

from __future__ import annotations

from typing import Any

import numpy as np
from edge_lstm_export.train.data import Dataset, Split
from edge_lstm_export.train.label_issues import HEADER, label_issues
from made import several_rows

NAMES = ("fruit", "metal", "water")
TELLING = (("apple", "pear", "plum"), ("iron", "steel", "zinc"), ("river", "lake", "sea"))


def made(count: int, flipped: float = 0.0, seed: int = 0) -> tuple[Split, Any]:
    """Texts of three labels, and which of their labels are wrong: bool [count]."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, count)
    texts = [
        " ".join(
            rng.permutation([*(f"filler{i}" for i in rng.integers(0, 60, 8)), *rng.choice(TELLING[y], 2)])
        )
        for y in truth
    ]
    wrong = rng.random(count) < flipped
    return Split(tuple(texts), one_hot(np.where(wrong, (truth + 1) % 3, truth))), wrong


def one_hot(labels: Any, count: int = 3) -> Any:
    return np.eye(count, dtype=np.bool_)[labels]


def find(data: Split, *, several: bool = False, labels: tuple[str, ...] = NAMES) -> list[Any]:
    rows = label_issues(Dataset("", labels, data, None, "", several), long=False, seed=0)
    return [dict(zip(HEADER, row)) for row in rows]


def test_right_labels_are_not_suspected() -> None:
    assert len(find(made(600)[0])) < 9


def test_wrong_labels_are_found_the_most_suspicious_first() -> None:
    data, wrong = made(600, flipped=0.15)
    issues = find(data)
    places = np.array([row["row"] - 1 for row in issues])
    assert wrong[places].mean() > 0.9 and wrong[places].sum() > 0.75 * wrong.sum()
    truth = (data.labels.argmax(axis=1) - wrong) % 3
    for row, place in zip(issues, places.tolist()):
        assert row["text"] == data.texts[place] and row["why"] == "prediction"
        assert not wrong[place] or row["likely_label"] == NAMES[truth[place]]
    odds = [float(row["label_probability"]) - float(row["likely_probability"]) for row in issues]
    assert (np.diff(odds) >= -2e-4).all()
    assert find(data) == issues, "the same data give the same suspects"


def test_of_several_labels_those_are_found_that_are_missing_or_too_many() -> None:
    table = several_rows(400)
    names = ("anger", "fear", "joy")
    truth = np.array([[name in label.split("|") for name in names] for _, label in table])
    given = truth.copy()
    wrong = np.arange(0, 400, 16)
    given[wrong, wrong // 16 % 3] ^= True
    data = Split(tuple(text for text, _ in table), given)
    issues = [row for row in find(data, several=True, labels=names) if row["why"] == "prediction"]
    caught = [row for row in issues if row["row"] - 1 in wrong]
    assert len(caught) > 0.8 * len(issues) and len(caught) > 0.7 * len(wrong)
    for row in caught:
        expected = [name for name, has in zip(names, truth[row["row"] - 1]) if has]
        assert row["likely_label"] == "|".join(expected)


def test_few_texts_are_not_judged_and_rare_labels_are_left_out() -> None:
    assert find(made(40, flipped=0.2)[0]) == []
    data, _ = made(200)
    labels = np.concatenate([np.pad(data.labels, ((0, 0), (0, 3))), one_hot([3, 4], 6)])
    rare = Split((*data.texts, "a b", "c d"), labels)
    assert not {201, 202} & {row["row"] for row in find(rare, labels=(*NAMES, "x", "y", "z"))}
