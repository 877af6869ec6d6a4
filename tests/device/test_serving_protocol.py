"""The System One interface: what a request may hold, which questions a file answers, and how."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cases import rows

from edge_lstm import Prediction
from edge_lstm.core.question import Question, QuestionType
from edge_lstm.serving.protocol import (
    AskedQuestion,
    answer,
    columns_of,
    kind_of,
    option_of,
    read_decision,
    usual_labels,
)

NOUL: dict[str, Any] = {"type": "noul", "instructions": "Is it urgent?"}
CHOICE = {"type": "choice", "instructions": "Which team?", "criteria": {"b": None, "a": "words"}}
SCORE = {"type": "score", "instructions": "How angry?", "criteria": ["calm", "cross", "furious"]}


def question(raw: dict[str, Any]) -> AskedQuestion:
    body = {"state": "a text", "model": "any", "questions": {"q": raw}}
    return read_decision(body).questions[0]


def numbers(cell: str) -> tuple[int, ...] | None:
    return tuple(map(int, cell.split())) or None


@pytest.mark.parametrize(
    ("type_", "options", "kind", "labels", "columns"),
    rows(
        """
        choice | b a | choice | a b | 1 0
        choice | b a | choice | a c |
        choice | b a | choice | a b c |
        choice | b a | choice | A b |
        choice | yes no | yes_no | no yes | 1 0
        noul |  | yes_no | true false | 1 0
        noul |  | choice | true false |
        score | calm cross furious | score | 1 2 3 | 0 1 2
        score | calm cross furious | score | 1 2.5 10 | 0 1 2
        score | calm cross furious | score | 1 2 3 4 |
        score | calm cross furious | choice | 1 2 3 | 0 1 2
        score | calm cross furious | choice | 10 2 1 | 2 1 0
        score | low high | yes_no | 0 1 |
        score | calm cross furious | choice | furious calm cross | 1 2 0
        score | calm cross furious | choice | a b c |
        score | a a | choice | a b |
        score | b a b | choice | a b |
        """
    ),
)
def test_a_question_is_the_files_if_its_options_are(
    type_: str, options: str, kind: QuestionType, labels: str, columns: str
) -> None:
    criteria: Any = options.split()
    if type_ == "choice":
        criteria = dict.fromkeys(criteria)
    asked = question({"type": type_, "criteria": criteria} if criteria else NOUL)
    names = tuple(labels.split())
    assert columns_of(asked, kind_of(Question.of(kind, names), names)) == numbers(columns)


def said(*probabilities: float) -> Prediction:
    """What a file says, whose labels are numbers from 0."""
    names = map(str, range(len(probabilities)))
    return Prediction(None, max(probabilities), dict(zip(names, probabilities)), "ok", ())


def test_the_choice_is_the_best_label_before_its_probability_is_rounded() -> None:
    best = 0.5 + 1e-9
    told = answer(question(CHOICE), (1, 0), said(best, 1 - best))
    assert told["choice"] == "a" and told["probabilities"] == {"b": 0.5, "a": 0.5}


def test_answers_have_the_published_shape() -> None:
    expected = """
        [{"type": "noul", "noul": 0.75},
         {"type": "choice", "choice": "b", "confidence": 0.5,
          "probabilities": {"b": 0.75, "a": 0.25}},
         {"type": "score", "score": 1.5, "confidence": 0.25,
          "legend": {"0": "calm", "1": "cross", "2": "furious"},
          "probabilities": {"0": 0.0, "1": 0.5, "2": 0.5}}]
        """
    assert [
        answer(question(NOUL), (1, 0), said(0.75, 0.25)),
        answer(question(CHOICE), (1, 0), said(0.25, 0.75)),
        answer(question(SCORE), (0, 1, 2), said(0.0, 0.5, 0.5)),
    ] == json.loads(expected)


QUESTIONS = {"noul": NOUL, "choice": CHOICE, "score": SCORE}


@pytest.mark.parametrize(
    ("given", "option", "probability"),
    rows(
        """
        {"type": "noul", "noul": 0.75} | 1 | 0.75
        {"type": "noul", "noul": 0.25} | 0 | 0.75
        {"type": "choice", "choice": "a", "probabilities": {"a": 0.5}} | 1 | 0.5
        {"type": "choice", "choice": "a"} | 1 | null
        {"type": "score", "score": 1.6} | 2 | null
        """
    ),
)
def test_an_upstreams_answer_chooses_an_option(given: str, option: str, probability: str) -> None:
    answered = json.loads(given)
    asked = question(QUESTIONS[answered["type"]])
    assert option_of(asked, answered) == (int(option), json.loads(probability))


@pytest.mark.parametrize(
    ("asked", "logged"),
    [
        (NOUL, "no yes"),
        (CHOICE, "b a"),
        (SCORE, "0 1 2"),
        ({**SCORE, "criteria": ["5", "4", "3"]}, "5 4 3"),
    ],
)
def test_without_a_file_an_option_is_logged_by_its_name_or_its_number(
    asked: dict[str, Any], logged: str
) -> None:
    assert usual_labels(question(asked)) == tuple(logged.split())


@pytest.mark.parametrize(
    ("asked", "given"),
    rows(
        """
        noul | null
        noul | "yes"
        noul | {"type": "choice", "choice": "a"}
        noul | {"type": "noul", "noul": 1.5}
        noul | {"type": "noul", "noul": true}
        noul | {"type": "noul"}
        choice | {"type": "choice", "choice": "c"}
        choice | {"type": "choice", "choice": ["a"]}
        choice | {"type": "choice", "choice": "a", "probabilities": {"a": "high"}}
        score | {"type": "score", "score": 3}
        score | {"type": "score", "score": "1"}
        """
    ),
)
def test_another_answer_of_the_upstream_is_refused(asked: str, given: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        option_of(question(QUESTIONS[asked]), json.loads(given))
