"""Texts that are longer than a model reads, in windows."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from commands import command, json_of
from hypothesis import given
from hypothesis import strategies as st
from table_files import read_rows, write_jsonl

from edge_lstm import Classifier, DataError, ScoreOptions, score_files
from edge_lstm.core.windows import combine, cut

SHORT = "A wonderful film."
LONG = "Dull, and far too long! " * 300 + "A wonderful film. " * 300


@given(st.text(st.sampled_from("ab  é漢🎉\n"), max_size=300), st.integers(1, 40))
def test_windows_are_the_text_in_whole_characters(text: str, most: int) -> None:
    windows = cut(text.encode(), most)
    assert "".join(window.decode() for window in windows) == text
    assert all(0 < len(window) <= 2 * most + 3 for window in windows)


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        ("aa bb cc dd", "aa bb| cc| dd"),
        ("aaaaaaaaaaaaaa", "aaaaa|aaaaa|aaaa"),
        ("aaaaa bbb", "aaaaa| bbb"),
        ("漢漢", "漢|漢"),
    ],
)
def test_windows_have_about_one_size_and_end_before_a_space(text: str, windows: str) -> None:
    assert b"|".join(cut(text.encode(), 5)).decode() == windows


def test_a_text_that_is_read_to_its_end_has_the_same_answer(classifier: Classifier) -> None:
    texts = [SHORT, "", "漢字", LONG]
    plain = classifier.predict(texts)
    in_windows = classifier.predict(texts, windows=True)
    assert in_windows[:3] == plain[:3]
    assert (plain[3].status, in_windows[3].status) == ("truncated", "ok")
    assert classifier.predict([SHORT], windows=True) == plain[:1]


def test_the_beginning_counts(classifier: Classifier) -> None:
    dull = classifier.probabilities([LONG], windows=True)[0]
    fine = classifier.probabilities([LONG.replace("Dull", "Fine")], windows=True)[0]
    assert np.abs(dull - fine).max() > 0.01
    end = classifier.probabilities([LONG])[0]
    assert (classifier.probabilities([LONG.replace("Dull", "Fine")])[0] == end).all()


@pytest.mark.parametrize("text", ["!? " * 9_000 + "good", "w" * 30_000, "漢" * 9_000])
def test_a_window_that_has_too_many_tokens_is_cut_again(classifier: Classifier, text: str) -> None:
    (answer,) = classifier.predict([text], windows=True)
    assert answer.status != "truncated"
    assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-6)


def test_the_logits_of_windows_are_averaged_by_their_bytes() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [1, 0]], np.float32)
    first, second = combine(probabilities, [100, 300, 5], [0, 0, 1], is_multi_label=False)
    odds = 9**0.25 * 0.25**0.75
    assert first == pytest.approx([odds / (1 + odds), 1 / (1 + odds)], rel=1e-6)
    assert second == pytest.approx([1, 0], abs=1e-6)
    several = combine(probabilities[:2], [100, 300], [0, 0], is_multi_label=True)
    assert several[0] == pytest.approx(first, rel=1e-6)


def test_windows_and_unfamiliar_exclude_each_other(classifier: Classifier) -> None:
    with pytest.raises(DataError, match="--windows and --unfamiliar exclude each other"):
        classifier.predict([SHORT], windows=True, unfamiliar=0.05)


def test_evaluate_measures_what_score_and_predict_answer(classifier: Classifier) -> None:
    texts = [SHORT, LONG, LONG.replace("Dull", "Fine"), ""]
    labels = ["pos", "neg", "pos", "neg"]
    write_jsonl("a.jsonl", [{"text": text, "label": label} for text, label in zip(texts, labels)])
    options = ScoreOptions(windows=True, all_probabilities=True)
    score_files("a.jsonl", "out.jsonl", model=classifier, options=options)
    rows = read_rows("out.jsonl")
    predicted = classifier.predict(texts, windows=True)
    assert [row["edge_lstm_label"] for row in rows] == [p.label for p in predicted]
    asked = ("evaluate", "a.jsonl", "-m", "sentiment")
    measured = json_of(*asked, "--windows")
    losses = [-math.log(p.probabilities[label]) for p, label in zip(predicted, labels)]
    assert measured["models"][0]["log_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert measured["statuses"] == {"ok": 3, "empty": 1}
    assert json_of(*asked)["statuses"] == {"ok": 1, "truncated": 2, "empty": 1}
    Path("other.txt").write_text("other\n")
    said = command(*asked, "--windows", "--foreign", "other.txt").error
    assert "--windows and --foreign exclude each other" in said
