"""explain: what each word did to an answer."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import pytest
from commands import command, json_of
from hostile import run_here
from hypothesis import given
from hypothesis import strategies as st
from model_files import SMALL, edited, loaded, multi_label
from test_cli import run_and_imports

from edge_lstm import Classifier
from edge_lstm.core.text import KERAS
from edge_lstm.explain import explain
from edge_lstm.metrics import SMALLEST_PROBABILITY

CLASSIFIER = Classifier.load(SMALL)  # a word that it does not know is unknown, and not its pieces
LABELS = CLASSIFIER.labels
TEXT = "Dull, and long... what a WONDERFUL film!\nI loved it; qwxyz said so."


def log_odds(text: str, label: str) -> float:
    answer = CLASSIFIER.predict([text])[0].probabilities
    return math.log(answer[label] / sum(p for name, p in answer.items() if name != label))


@given(st.text())
def test_word_spans_are_where_the_words_of_the_rule_stand(text: str) -> None:
    found = [text[start:end] for start, end in KERAS.spans(text)]
    assert len(found) == len([word.decode() for word in KERAS.split(text)])
    if "Σ" not in text:  # a capital sigma is lower-cased by what follows it
        assert [word.lower() for word in found] == [word.decode() for word in KERAS.split(text)]


def explained(text: str, *options: str) -> Any:
    return json_of("explain", "-m", SMALL, text, *options)


@pytest.mark.parametrize("label", [None, *LABELS])
def test_the_effect_of_a_word_is_what_leaving_it_out_of_the_text_changes(
    label: str | None,
) -> None:
    found = explained(TEXT, *(["--label", label] if label else []))
    answer = CLASSIFIER.predict([TEXT])[0]
    name = found["label"]
    assert name == label or (answer.label and found["predicted"] == answer.label)
    assert found["probabilities"] == answer.probabilities and found["status"] == "ok"
    assert [word["text"] for word in found["words"]] == re.findall(r"\w+", TEXT)
    for word in found["words"]:
        assert word["text"] == TEXT[word["start"] : word["end"]]
        without = TEXT[: word["start"]] + " " + TEXT[word["end"] :]
        assert word["probability"] == CLASSIFIER.predict([without])[0].probabilities[name]
        change = log_odds(TEXT, name) - log_odds(without, name)
        assert word["effect"] == pytest.approx(change, abs=1e-5)


def test_a_text_without_words_has_no_parts_and_unknown_words_are_marked() -> None:
    for text in ("", " \n", "...", "<>"):
        found = explained(text)
        assert (found["words"], found["status"]) == ([], "empty")
    assert [word["known"] for word in explained("good qwxyz")["words"]] == [True, False]


def test_of_a_text_too_long_only_the_part_that_is_read_has_effects() -> None:
    length = CLASSIFIER.model.tokenizer.length
    text = " ".join(["terrible"] * 30 + ["wonderful"] * length)
    found = explained(text)
    assert found["status"] == "truncated"
    assert [word["read"] for word in found["words"]] == [False] * 30 + [True] * length
    assert not any(word["effect"] for word in found["words"][:30])
    # Leaving out the last word lets the last "terrible" in, as it would in the text itself.
    (without,) = CLASSIFIER.predict([text.removesuffix(" wonderful")])
    assert found["words"][-1]["probability"] == without.probabilities[found["label"]]


@pytest.mark.parametrize("rest", [0.0, 1e-6])
def test_effects_stay_finite_and_exact_where_the_model_is_sure(rest: float) -> None:
    class Sure(Classifier):
        def probabilities_of(self, rows: Any, *, batch_size: int = 16) -> Any:
            sure = np.array([1.0, rest], np.float32)
            return np.stack([sure if len(row) > 2 else sure[::-1] for row in rows])

    found = explain(Sure(CLASSIFIER.model), "two words")
    log_odds = -math.log(max(rest, SMALLEST_PROBABILITY))
    assert [word.effect for word in found.words] == pytest.approx([2 * log_odds] * 2)


def test_with_several_labels_an_effect_is_on_having_the_label_or_not() -> None:
    class Both(Classifier):
        def probabilities_of(self, rows: Any, *, batch_size: int | None = None) -> Any:
            return np.array([[0.75, 0.9] if len(row) > 2 else [0.5, 0.9] for row in rows], "f")

    found = explain(Both(loaded(edited(multi_label([0.5, 0.5]))).model), "two words", label="neg")
    assert [word.effect for word in found.words] == pytest.approx([math.log(3)] * 2)


def test_the_words_that_moved_it_most_come_first_in_either_direction() -> None:
    found = explain(CLASSIFIER, TEXT)
    effects = [word.effect for word in found.strongest(100)]
    moving = [word.effect for word in found.words if word.effect]
    assert effects == sorted(moving, key=abs, reverse=True)
    assert min(moving) < 0 < max(moving)
    assert found.strongest(2) == found.strongest(100)[:2]
    for label in LABELS:  # the strongest speaks for one label, and against the other
        found = explain(CLASSIFIER, TEXT, label=label)
        first, second, *_ = found.strongest(2)
        assert abs(found.strength(first)) == 1
        assert found.strength(second) == second.effect / abs(first.effect)
    said = command("explain", "-m", SMALL, TEXT, "--label", "neg").stdout.splitlines()
    (line,) = (each for each in said if "WONDERFUL" in each)
    assert line.split()[0].startswith("-") and line.split()[-1].strip("-") == ""


def test_the_command_is_plain_through_a_pipe_fits_80_columns_and_waits_for_no_rich() -> None:
    shown, imported = run_and_imports("explain", TEXT + " And one more sentence " * 9)
    assert "\x1b" not in shown and max(map(len, shown.splitlines())) < 80
    assert "rich" not in imported


def test_the_command_answers_in_json_and_reads_standard_input() -> None:
    answer = json.loads(run_here(["explain", TEXT, "--json"]).out)
    assert answer["words"][0]["text"] == "Dull"
    read = run_here(["explain"], TEXT.encode() + b"\n")
    assert read.out == run_here(["explain", TEXT]).out


def test_a_text_that_would_steer_the_terminal_does_not() -> None:
    assert "\x1b" not in run_here(["explain", "good\x1b[31m"]).out
