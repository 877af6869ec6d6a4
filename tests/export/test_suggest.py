"""Which texts to label next: unsure ones, different ones, and no labelled one."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from commands import command
from edge_lstm_export.suggest import POOL, Suggestions, suggest, write_suggestions

from edge_lstm import Classifier
from edge_lstm.errors import DataError

PLACES = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "haven", "inlet", "jetty"]


def model(sure: dict[str, float]) -> Classifier:
    """Answers a text with the probability of yes that is given for its first word, else 0.99."""

    def probabilities(texts: Sequence[str]) -> Any:
        yes = np.array([sure.get(text.split()[0], 0.99) for text in texts], np.float32)
        return np.stack([1 - yes, yes], axis=1)

    return cast(Classifier, SimpleNamespace(labels=("no", "yes"), probabilities=probabilities))


def test_the_least_sure_texts_come_first_with_the_predicted_label() -> None:
    texts = ["clear as day", "doubtful case", "maybe tomorrow", "obvious thing"]
    suggestions = suggest(model({"doubtful": 0.5, "maybe": 0.7}), texts, 2)
    assert suggestions == Suggestions([("doubtful case", "no"), ("maybe tomorrow", "yes")], 4, 4)


def test_no_two_say_the_same_and_none_is_labelled() -> None:
    texts = [f"doubtful whether the parcel number {i} has arrived" for i in range(30)]
    texts += [
        "doubtful about the invoice",
        "clear",
        "Doubtful about the invoice!",
        "labelled one already",
    ]
    answers = model({"doubtful": 0.5, "labelled": 0.5})
    chosen = [
        text for text, _ in suggest(answers, texts, 20, labelled=["Labelled one, already"]).rows
    ]
    assert (
        sum("parcel" in text for text in chosen) == sum("invoice" in text for text in chosen) == 1
    )
    assert not any("already" in text for text in chosen) and len(chosen) == 3


def test_each_kind_of_unsure_text_is_asked_for_before_a_second() -> None:
    texts = [f"doubtful {place} parcel {place * 4}" for place in PLACES]
    texts += [f"doubtful invoice {place * 3} charged" for place in PLACES]
    two = [text for text, _ in suggest(model({"doubtful": 0.5}), texts, 2).rows]
    assert sorted("parcel" in text for text in two) == [False, True]
    assert len(suggest(model({"doubtful": 0.5}), texts, 100).rows) > 15


def test_neither_the_order_nor_the_number_of_texts_matters() -> None:
    texts = [f"text {i:x}{i * 7919:o}" for i in range(POOL + 500)]
    first = suggest(model({}), texts, 3)
    second = suggest(model({}), texts[::-1], 3)
    assert first == second
    assert (first.texts, first.classified, len(first.rows)) == (POOL + 500, POOL, 3)


@pytest.mark.parametrize("texts", [[], [" ", ""], ["seen", "SEEN!"]])
def test_nothing_to_choose_from_is_one_line(texts: list[str]) -> None:
    with pytest.raises(DataError, match="every text is empty or labelled already; give"):
        suggest(model({}), texts, 3, labelled=["seen"])


def test_texts_of_any_script_are_written_whole() -> None:
    texts = ["好吃", 'a "quoted", text\nof two lines', "half \ud800 a character"]
    write_suggestions(suggest(model({}), texts, 3), Path("out.csv"))
    with Path("out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["text"] for row in rows} == {*texts[:2], "half \ufffd a character"}


def test_the_command_reads_a_log_and_writes_what_train_reads() -> None:
    log = Path("log.txt")
    output = Path("to_label.csv")
    log.write_text(
        "a wonderful film\nthe worst of all\nneither good nor bad\nA wonderful film.\n\n"
    )
    left = Path(".to_label.csv.0123cdef.partial")  # by a run that was killed
    left.touch()
    os.utime(left, (0, 0))
    line = ("suggest", "-m", "sentiment", log, "-n", "2", "-o", output)
    said = command(*line).stdout
    assert "2 of 3 distinct texts" in " ".join(said.split()) and not left.exists()
    rows = list(csv.DictReader(output.open(encoding="utf-8")))
    assert len(rows) == 2 and {row["label"] for row in rows} <= {"pos", "neg"}
    output.write_text("text,label\nmine,neg\n")
    assert "may hold your labels; give another -o" in command(*line).error
    assert output.read_text() == "text,label\nmine,neg\n"
