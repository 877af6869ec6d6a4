"""Labels that look wrong are found, and none are where there are none."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from edge_lstm_export import label_issues as module
from edge_lstm_export.datasets import Split
from edge_lstm_export.label_issues import (
    Limits,
    confident_disagreement,
    find_label_issues,
    write_label_issues,
)

NAMES = ("fruit", "metal", "water")
TELLING = (("apple", "pear", "plum"), ("iron", "steel", "zinc"), ("river", "lake", "sea"))


def made(count: int, flipped: float = 0.0, seed: int = 0) -> tuple[Split, np.ndarray]:
    """Texts of three labels, and which of their labels are wrong: bool [count]."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, count)
    texts = []
    for label in truth:
        words = [f"filler{i}" for i in rng.integers(0, 60, 8)] + [
            str(w) for w in rng.choice(TELLING[label], 2)
        ]
        texts.append(" ".join(rng.permutation(words)))
    wrong = rng.random(count) < flipped
    return Split(tuple(texts), np.where(wrong, (truth + 1) % 3, truth)), wrong


def test_right_labels_are_not_suspected() -> None:
    data, _ = made(900)
    found = find_label_issues(data, 3, say=print)
    assert (found.judged, found.wrong) == (900, 0.0)
    assert len(found.rows) < 9
    assert found.warning(data, NAMES, None) is None


def test_wrong_labels_are_found_and_their_share_is_told() -> None:
    data, wrong = made(900, flipped=0.15)
    found = find_label_issues(data, 3, say=print)
    assert wrong[found.rows].mean() > 0.9
    assert wrong[found.rows].sum() > 0.8 * wrong.sum()
    assert found.interval is not None and found.interval.low < wrong.mean() < found.interval.high
    truth = (data.labels - wrong) % 3
    assert (found.likely == truth[found.rows])[wrong[found.rows]].all()
    said = found.warning(data, NAMES, None)
    assert said is not None and "of the labels look wrong" in said and "--suspects FILE" in said


def test_the_share_is_told_where_only_one_label_is_wrong() -> None:
    data, wrong = made(1500, flipped=0.3, seed=1)
    labels = np.where(wrong & (data.labels != 1), (data.labels + 2) % 3, data.labels)  # only fruit → metal
    found = find_label_issues(Split(data.texts, labels), 3, say=print)
    share = (wrong & (data.labels == 1)).mean()
    assert 0.08 < share < 0.12
    assert found.interval is not None and found.interval.low < share < found.interval.high


def test_the_most_suspicious_come_first() -> None:
    data, _ = made(900, flipped=0.15)
    found = find_label_issues(data, 3, say=print)
    margins = found.probabilities[:, 1] - found.probabilities[:, 0]
    assert (np.diff(margins) <= 0).all() and (margins > 0).all()


def test_a_label_is_judged_by_what_is_usual_for_it() -> None:
    # Of label 1 the models are never surer than 0.4, so 0.4 is no reason to suspect it; 0.1 is.
    answers = np.array([[0.9, 0.1]] * 4 + [[0.6, 0.4]] * 4 + [[0.95, 0.05]], dtype=np.float32)
    rows, likely = confident_disagreement(answers, np.array([0, 0, 0, 0, 1, 1, 1, 1, 1]))
    assert (rows.tolist(), likely.tolist()) == ([8], [0])


def test_the_same_data_give_the_same_suspects() -> None:
    data, _ = made(600, flipped=0.1)
    one, other = (find_label_issues(data, 3, say=print) for _ in range(2))
    assert one.rows.tolist() == other.rows.tolist()


def test_many_texts_are_sampled_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLE", Limits(10**9, 3 * 550))
    monkeypatch.setattr(module, "BLOCK", Limits(10**9, 3 * 650))
    data, wrong = made(1300, flipped=0.15)
    said: list[str] = []
    sampled = find_label_issues(data, 3, say=said.append)
    assert said == ["labels: a sample of 434 of 1,300 texts is checked"]
    assert sampled.judged == 434
    said.clear()
    whole = find_label_issues(data, 3, every_text=True, say=said.append)
    assert said == ["labels: checking part 1 of 2", "labels: checking part 2 of 2"]
    assert whole.judged == 1300
    assert wrong[whole.rows].sum() > 0.8 * wrong.sum()


def test_few_texts_are_not_judged_and_rare_labels_are_left_out() -> None:
    few = find_label_issues(made(40)[0], 3, say=print)
    assert (few.judged, few.wrong, len(few.rows)) == (0, None, 0)
    some = find_label_issues(made(200, flipped=0.2)[0], 3, say=print)
    assert (some.judged, some.wrong) == (200, None), "enough to list, too few to estimate"
    data, _ = made(600)
    rare = Split((*data.texts, "a b", "c d"), np.append(data.labels, [3, 4]))
    assert find_label_issues(rare, 6, say=print).judged == 600


def test_the_list_begins_with_contradictions_side_by_side(tmp_path: Path) -> None:
    data, _ = made(700, flipped=0.1)
    again = Split((*data.texts, "Same words, here", "same words here"), np.append(data.labels, [0, 2]))
    part = again.subset(np.arange(100, 702))
    found = find_label_issues(part, 3, every_text=True, say=print)
    write_label_issues(part, NAMES, found, tmp_path / "s.csv")
    with (tmp_path / "s.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["row"], r["label"], r["why"]) for r in rows[:2]] == [
        ("701", "fruit", "contradiction"),
        ("702", "water", "contradiction"),
    ]
    for row in rows[2:]:
        assert row["why"] == "prediction"
        assert again.texts[int(row["row"]) - 1] == row["text"]
        assert float(row["label_probability"]) < float(row["likely_probability"])
    assert len({row["row"] for row in rows}) == len(rows) > 0.06 * 600
    assert [path.name for path in tmp_path.iterdir()] == ["s.csv"]
