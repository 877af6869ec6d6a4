"""What is said of a measured result."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from edge_lstm_export.datasets.warnings import best_threshold, result_warnings
from edge_lstm_export.evaluation import log_probabilities, score
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score


def said(answers: list[int], labels: list[int], names: tuple[str, ...] = ("no", "yes")) -> str:
    logits = torch.nn.functional.one_hot(torch.tensor(answers), len(names)).float() * 5
    return joined(logits, np.array(labels), names)


def joined(logits: torch.Tensor, labels: npt.NDArray[np.int64], names: tuple[str, ...]) -> str:
    probabilities = log_probabilities(logits).exp().numpy()
    return "\n".join(result_warnings(score(logits, labels, names), probabilities, labels))


def test_a_good_result_on_many_texts_needs_no_word() -> None:
    assert said([0, 1] * 500, [0, 1] * 500) == ""


def test_few_texts_are_said_with_their_interval() -> None:
    # Wilson's interval of 10 right ones of 10 is 72.2 % to 100 %.
    assert "holds 10 texts: its accuracy is known to ±14 points only" in said([0, 1] * 5, [0, 1] * 5)


def test_an_answer_that_is_always_the_same_is_said() -> None:
    text = said([0] * 1000, [0] * 950 + [1] * 50)
    assert "not shown to be better than always answering no (95.0% against 95.0%)" in text
    assert "yes is never the answer" in text


def test_a_rare_label_gets_a_threshold_that_finds_more_of_it() -> None:
    probability = np.concatenate([np.linspace(0.0, 0.2, 950), np.linspace(0.15, 0.55, 50)])
    labels = np.array([0] * 950 + [1] * 50)
    logits = torch.from_numpy(np.log(np.stack([1 - probability, probability + 1e-9], axis=1))).float()
    text = joined(logits, labels, ("no", "yes"))
    assert "yes is rare: answering it from a probability of 0.21 on gives it an F1 of 9" in text
    assert "no is rare" not in text


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.2, 0.5, 0.9])), min_size=1, max_size=30))
def test_no_threshold_has_a_better_f1_than_the_best(rows: list[tuple[bool, float]]) -> None:
    truth = np.array([True, *(t for t, _ in rows)])
    values = np.array([0.5, *(p for _, p in rows)], dtype=np.float32)
    threshold, found = best_threshold(truth, values)
    scores = {float(t): f1_score(truth, values >= t) for t in np.unique(values)}
    assert found == pytest.approx(max(scores.values())) == pytest.approx(scores[threshold])


def test_rare_labels_count_as_much_in_the_mean_f1() -> None:
    logits = torch.tensor([[5.0, 0.0]] * 100)
    measured = score(logits, np.array([0] * 95 + [1] * 5), ("no", "yes"))
    assert measured.macro_f1 == (2 * 95 / 195) / 2
    assert measured.to_dict()["macro_f1"] == round(95 / 195, 6)
