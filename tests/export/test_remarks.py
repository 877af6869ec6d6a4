"""What is said of a measured result."""

from __future__ import annotations

import numpy as np
import torch
from edge_lstm_export.evaluation import measure
from edge_lstm_export.remarks import remarks


def said(answers: list[int], labels: list[int], names: tuple[str, ...] = ("no", "yes")) -> str:
    logits = torch.nn.functional.one_hot(torch.tensor(answers), len(names)).float() * 5
    return "\n".join(remarks(measure(logits, np.array(labels), names)))


def test_a_good_result_on_many_texts_needs_no_word() -> None:
    assert said([0, 1] * 500, [0, 1] * 500) == ""


def test_few_texts_are_said_with_their_interval() -> None:
    # Wilson's interval of 10 right ones of 10 is 72.2 % to 100 %.
    assert "holds 10 texts: its accuracy is known to ±14 points only" in said([0, 1] * 5, [0, 1] * 5)


def test_an_answer_that_is_always_the_same_is_said() -> None:
    text = said([0] * 1000, [0] * 950 + [1] * 50)
    assert "not shown to be better than always answering no (95.0% against 95.0%)" in text
    assert "yes is never the answer" in text


def test_rare_labels_count_as_much_in_the_mean_f1() -> None:
    logits = torch.tensor([[5.0, 0.0]] * 100)
    measured = measure(logits, np.array([0] * 95 + [1] * 5), ("no", "yes"))
    assert measured.macro_f1 == (2 * 95 / 195) / 2
    assert measured.to_dict()["macro_f1"] == round(95 / 195, 6)
