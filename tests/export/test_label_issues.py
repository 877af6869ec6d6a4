"""Labels that look wrong are found, and none are where there are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from edge_lstm_export.train.data import Split
from edge_lstm_export.train.label_issues import LabelIssues, find_label_issues
from edge_lstm_export.train.options import LinearOptions
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


def find(data: Split, *, several: bool = False, every_text: bool = False, say: Any = print) -> LabelIssues:
    return find_label_issues(data, LinearOptions(), several=several, seed=0, every_text=every_text, say=say)


@pytest.fixture(scope="module")
def noisy() -> tuple[Split, Any, LabelIssues]:
    data, wrong = made(600, flipped=0.15)
    return data, wrong, find(data)


def test_right_labels_are_not_suspected() -> None:
    data, _ = made(600)
    found = find(data)
    assert (found.judged, found.wrong) == (600, 0.0) and len(found.rows) < 9
    assert found.warning(data, NAMES, None) is None


def test_wrong_labels_are_found_and_their_share_is_told(noisy: tuple[Split, Any, LabelIssues]) -> None:
    data, wrong, found = noisy
    assert wrong[found.rows].mean() > 0.9 and wrong[found.rows].sum() > 0.75 * wrong.sum()
    assert found.interval is not None and found.interval.low < wrong.mean() < found.interval.high
    truth = one_hot((data.labels.argmax(axis=1) - wrong) % 3)
    assert (found.likely == truth[found.rows])[wrong[found.rows]].all()
    said = found.warning(data, NAMES, None)
    assert said is not None and "of the labels look wrong" in said and "--suspects FILE" in said
    assert (np.diff(found.chances[:, 1] - found.chances[:, 0]) <= 1e-6).all(), "the most suspicious first"
    assert found.to_dict()["suspicious_texts"] == len(found.rows)
    assert find(data).rows.tolist() == found.rows.tolist(), "the same data give the same suspects"


def test_of_several_labels_those_are_found_that_are_missing_or_too_many() -> None:
    table = several_rows(400)
    names = ("anger", "fear", "joy")
    truth = np.array([[name in label.split("|") for name in names] for _, label in table])
    given = truth.copy()
    wrong = np.arange(0, 400, 16)
    given[wrong, wrong // 16 % 3] ^= True
    found = find(Split(tuple(text for text, _ in table), given), several=True)
    assert found.wrong is None and found.warning(Split((), given[:0]), names, None) is None
    caught = np.isin(found.rows, wrong)
    assert caught.mean() > 0.8 and caught.sum() > 0.7 * len(wrong)
    assert (found.likely == truth[found.rows])[caught].all()


def test_few_texts_are_not_judged_and_rare_labels_are_left_out() -> None:
    few = find(made(40)[0])
    assert (few.judged, few.wrong, len(few.rows)) == (0, None, 0)
    some = find(made(200, flipped=0.2)[0])
    assert (some.judged, some.wrong) == (200, None), "enough to list, too few to estimate"
    data, _ = made(200)
    labels = np.concatenate([np.pad(data.labels, ((0, 0), (0, 3))), one_hot([3, 4], 6)])
    assert find(Split((*data.texts, "a b", "c d"), labels)).judged == 200
