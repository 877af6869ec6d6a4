"""score(): rows of a program in, the same rows with their answers out, whatever the rows are."""

from __future__ import annotations

from collections import UserDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_lstm import Classifier, DataError, ScoredRow, ScoreOptions, score


@pytest.mark.parametrize(
    "rows",
    ["a.csv", b"a.csv", Path("a.csv"), {"text": "wonderful"}, 5, None],
    ids=lambda rows: type(rows).__name__,
)
def test_what_is_no_rows_is_refused(rows: Any, classifier: Classifier) -> None:
    with pytest.raises(DataError, match=r"the rows are .*; give a list"):
        score(rows, model=classifier)


def test_a_table_is_refused_for_going_through_it_gives_names(classifier: Classifier) -> None:
    class Frame:
        columns = ("text",)

        def __iter__(self) -> Any:
            return iter(self.columns)

    with pytest.raises(DataError, match="the rows are a Frame; give its text column"):
        score(Frame(), model=classifier)  # type: ignore[arg-type]


@pytest.mark.parametrize("window", [1, 2])
@pytest.mark.parametrize(
    "rows",
    [
        [{"review": "wonderful"}, "awful", {"review": "dull", "id": 3}, None, {"other": "x"}],
        [{"text": "wonderful"}, {"text": "awful", "label": "mine"}, {"text": "dull", "status": 1}],
        [],
    ],
)
def test_the_window_changes_no_answer(rows: list[Any], window: int, classifier: Classifier) -> None:
    answers = list(score(rows, model=classifier, window=window))
    assert answers == list(score(rows, model=classifier)) and len(answers) == len(rows)


def test_a_text_among_mappings_is_the_value_of_their_text_column(classifier: Classifier) -> None:
    rows = list(score([{"review": "dull"}, "wonderful"], model=classifier))
    assert [(row["review"], row["status"]) for row in rows] == [("dull", "ok"), ("wonderful", "ok")]


def test_no_value_of_a_later_row_is_overwritten(classifier: Classifier) -> None:
    mine = {"text": "wonderful", "label": "mine"}
    first, second = score([{"text": "wonderful"}, mine], model=classifier)
    assert first["label"] in ("neg", "pos")
    assert second["raw"] == mine
    assert (second["label"], second["status"]) == (None, "error")
    assert second["error"] == (
        "the row has a key 'label', which the first row does not have; rename it"
    )
    # Without the column there is nothing to overwrite.
    *_, kept = score(
        [{"text": "wonderful"}, mine], model=classifier, options=ScoreOptions(keep=("text",))
    )
    assert (kept["label"], kept["status"]) == (first["label"], "ok")


MISSING = [None, float("nan"), np.float64("nan"), 5, b"bytes", ["a"], np.datetime64("NaT")]


@pytest.mark.parametrize("value", MISSING, ids=repr)
def test_a_row_that_is_no_text_is_an_error_row(value: Any, classifier: Classifier) -> None:
    rows = list(score(["wonderful", value, {"text": value}], model=classifier))
    assert [row["status"] for row in rows] == ["ok", "error", "error"]
    assert rows[1]["error"] == rows[2]["error"]


@pytest.mark.parametrize(
    "texts",
    [
        np.array(["wonderful", "awful"]),
        np.array(["wonderful", "awful"], dtype=object),
        iter(("wonderful", "awful")),
        {"wonderful": 1, "awful": 2}.keys(),
    ],
    ids=lambda texts: type(texts).__name__,
)
def test_texts_of_other_kinds_of_sequence(texts: Any, classifier: Classifier) -> None:
    assert [row["label"] for row in score(texts, model=classifier)] == ["pos", "neg"]


def test_rows_may_be_any_mapping_with_keys_of_any_kind(classifier: Classifier) -> None:
    assert next(score([UserDict({"text": "wonderful", 7: 8})], model=classifier))[7] == 8
    assert next(score([{5: "wonderful"}], model=classifier))["status"] == "ok"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{}], "the first row has no columns"),
        ([{"a": "x", "b": "y"}], "the first row has the columns 'a', 'b'"),
        ([{"text": "x", "label": 1, "edge_lstm_label": 2}], "rename it, or leave it out"),
    ],
)
def test_a_first_row_that_does_not_say_where_the_text_is_is_refused(
    rows: list[Any], message: str, classifier: Classifier
) -> None:
    with pytest.raises(DataError, match=message):
        next(score(rows, model=classifier))


def test_rows_that_fail_fail_where_they_are_and_none_is_answered_twice(
    classifier: Classifier,
) -> None:
    def rows() -> Any:
        yield "wonderful"
        raise OSError("the database went away")

    answers = score(rows(), model=classifier, window=1)
    assert next(answers)["label"] == "pos"
    with pytest.raises(OSError, match="went away"):
        next(answers)


def test_a_scored_row_has_typed_fields_and_is_the_row_of_a_file_as_a_mapping(
    classifier: Classifier,
) -> None:
    rows = [{"label": "mine", "text": "wonderful"}, {"label": "x", "text": None}]
    options = ScoreOptions(all_probabilities=True, top=2)
    first, second = score(rows, model=classifier, options=options)
    assert isinstance(first, ScoredRow)
    assert (first.label, first.status, first.error, first.own) == ("pos", "ok", None, rows[0])
    assert first.probabilities is not None and first.probability == first.probabilities["pos"]
    names = "label probability label_2 p_2 probability_neg probability_pos status error"
    assert list(first) == ["label", "text", *(f"edge_lstm_{name}" for name in names.split())]
    assert (first["label"], first["edge_lstm_label_2"]) == ("mine", "neg")
    assert (second.label, second.probability, second.probabilities) == (None, None, None)
    assert list(dict(second).values()) == ["x", *[None] * 7, "error", "no 'text'"]
