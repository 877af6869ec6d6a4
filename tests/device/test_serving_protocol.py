"""The System One interface: what a request may hold, which questions a file answers, and how."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge_lstm.errors import RequestError
from edge_lstm.question import Question as FileQuestion
from edge_lstm.question import QuestionType
from edge_lstm.serving.protocol import (
    Question,
    answer,
    columns_of,
    kind_of,
    label_of,
    parse_decision,
    parse_texts,
)

NOUL = {"type": "noul", "instructions": "Is it urgent?"}
CHOICE = {"type": "choice", "instructions": "Which team?", "criteria": {"b": None, "a": "words"}}
SCORE = {"type": "score", "instructions": "How angry?", "criteria": ["calm", "cross", "furious"]}


def question(raw: dict[str, Any]) -> Question:
    body = {"state": "a text", "model": "any", "questions": {"q": raw}}
    return parse_decision(json.dumps(body).encode()).questions[0]


@pytest.mark.parametrize(
    ("kind", "labels", "served", "order"),
    [
        ("choice", ("neg", "pos"), "choice", (0, 1)),
        ("choice", ("yes", "no"), "choice", (0, 1)),
        ("yes_no", ("yes", "no"), "noul", (1, 0)),
        ("yes_no", ("False", "True"), "noul", (0, 1)),
        ("yes_no", ("0", "1"), "noul", (0, 1)),
        ("choice", ("1", "2", "3"), "choice", (0, 1, 2)),
        ("score", ("3", "1", "2"), "score", (1, 2, 0)),
        ("score", ("1", "10", "2.5"), "score", (0, 2, 1)),
    ],
)
def test_the_question_of_a_file_says_which_type_of_question_it_answers(
    kind: QuestionType, labels: tuple[str, ...], served: str, order: tuple[int, ...]
) -> None:
    found = kind_of(FileQuestion.of(kind, labels), labels)
    assert (found.type, found.order) == (served, order)


@pytest.mark.parametrize(
    ("raw", "kind", "labels", "columns"),
    [
        (CHOICE, "choice", ("a", "b"), (1, 0)),
        (CHOICE, "choice", ("a", "c"), None),
        (CHOICE, "choice", ("a", "b", "c"), None),
        (CHOICE, "choice", ("A", "b"), None),
        (NOUL, "yes_no", ("true", "false"), (1, 0)),
        (NOUL, "choice", ("true", "false"), None),
        (SCORE, "score", ("1", "2", "3"), (0, 1, 2)),
        (SCORE, "score", ("1", "2.5", "10"), (0, 1, 2)),
        (SCORE, "score", ("1", "2", "3", "4"), None),
        (SCORE, "choice", ("1", "2", "3"), None),
        (SCORE, "choice", ("furious", "calm", "cross"), (1, 2, 0)),
        (SCORE, "choice", ("a", "b", "c"), None),
        ({**CHOICE, "criteria": {"yes": None, "no": None}}, "yes_no", ("no", "yes"), (1, 0)),
        ({**SCORE, "criteria": ["a", "a"]}, "choice", ("a", "b"), None),
        ({**SCORE, "criteria": ["b", "a", "b"]}, "choice", ("a", "b"), None),
    ],
)
def test_a_question_is_the_files_if_its_options_are(
    raw: dict[str, Any],
    kind: QuestionType,
    labels: tuple[str, ...],
    columns: tuple[int, ...] | None,
) -> None:
    assert columns_of(question(raw), kind_of(FileQuestion.of(kind, labels), labels)) == columns


def test_answers_have_the_published_shape() -> None:
    assert answer(question(NOUL), (1, 0), [0.75, 0.25]) == {"type": "noul", "noul": 0.75}
    assert answer(question(CHOICE), (1, 0), [0.25, 0.75]) == {
        "type": "choice",
        "choice": "b",
        "confidence": 0.5,
        "probabilities": {"b": 0.75, "a": 0.25},
    }
    assert answer(question(SCORE), (0, 1, 2), [0.0, 0.5, 0.5]) == {
        "type": "score",
        "score": 1.5,
        "confidence": 0.25,
        "legend": {"0": "calm", "1": "cross", "2": "furious"},
        "probabilities": {"0": 0.0, "1": 0.5, "2": 0.5},
    }


@pytest.mark.parametrize(
    ("raw", "given", "label"),
    [
        (NOUL, {"type": "noul", "noul": 0.75}, ("yes", 0.75)),
        (NOUL, {"type": "noul", "noul": 0.25}, ("no", 0.75)),
        (CHOICE, {"type": "choice", "choice": "a", "probabilities": {"a": 0.5}}, ("a", 0.5)),
        (CHOICE, {"type": "choice", "choice": "a"}, ("a", None)),
        (SCORE, {"type": "score", "score": 1.6}, ("2", None)),
    ],
)
def test_an_upstreams_answer_stands_for_a_label(
    raw: dict[str, Any], given: Any, label: tuple[str, float | None]
) -> None:
    assert label_of(question(raw), given) == label


@pytest.mark.parametrize(
    ("raw", "given"),
    [
        (NOUL, None),
        (NOUL, "yes"),
        (NOUL, {"type": "choice", "choice": "a"}),
        (NOUL, {"type": "noul", "noul": 1.5}),
        (NOUL, {"type": "noul", "noul": True}),
        (NOUL, {"type": "noul"}),
        (CHOICE, {"type": "choice", "choice": "c"}),
        (CHOICE, {"type": "choice", "choice": ["a"]}),
        (CHOICE, {"type": "choice", "choice": "a", "probabilities": {"a": "high"}}),
        (SCORE, {"type": "score", "score": 3}),
        (SCORE, {"type": "score", "score": "1"}),
    ],
)
def test_another_answer_of_the_upstream_is_refused(raw: dict[str, Any], given: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        label_of(question(raw), given)


def body(**changes: Any) -> bytes:
    return json.dumps({"state": "a text", "questions": {"q": NOUL}, **changes}).encode()


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        (b"", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b"\xff{}", 400, "not JSON"),
        (b'{"state": NaN}', 400, "NaN"),
        (b'{"state": ' + b"9" * 5000 + b"}", 400, "not JSON"),
        (b"[" * 100_000, 400, "nested"),
        (b"[]", 422, "JSON object"),
        (body(state=None), 422, "state must be"),
        (body(state=True), 422, "state must be"),
        (body(model=1), 422, "model must be"),
        (body(assets={"i": {}}), 422, "images"),
        (body(questions={}), 422, "questions must be"),
        (body(questions=[NOUL]), 422, "questions must be"),
        (body(questions={str(i): NOUL for i in range(101)}), 422, "100 questions"),
        (body(questions={"q": None}), 422, "its type must be"),
        (body(questions={"q": {"type": "box"}}), 422, "its type must be"),
        (body(questions={"q": {"type": ["noul"]}}), 422, "its type must be"),
        (body(questions={"q": {"type": "choice"}}), 422, "an object of options"),
        (body(questions={"q": {"type": "choice", "criteria": ["a"]}}), 422, "an object of options"),
        (body(questions={"q": {"type": "score", "criteria": {"0": "a"}}}), 422, "a list of levels"),
        (body(questions={"q": {"type": "score", "criteria": []}}), 422, "a list of levels"),
        (body(questions={"q": {"type": "noul", "criteria": "x"}}), 422, "must be an object"),
        (
            body(
                questions={"q": {"type": "choice", "criteria": {str(i): None for i in range(256)}}}
            ),
            422,
            "255 options, not 256",
        ),
    ],
)
def test_a_bad_request_gets_one_line(data: bytes, status: int, said: str) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        parse_decision(data)
    assert caught.value.status == status
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 250


def test_a_state_of_objects_or_lists_is_read_as_its_json() -> None:
    assert parse_decision(body(state={"subject": "Zürich"})).text == '{"subject": "Zürich"}'
    assert parse_decision(body(state=["a", 1])).text == '["a", 1]'


@pytest.mark.parametrize("texts", [None, "one", [1], [""] * 1001])
def test_predict_takes_a_list_of_texts(texts: Any) -> None:
    with pytest.raises(RequestError, match="texts"):
        parse_texts(json.dumps({"texts": texts}).encode())
    assert parse_texts(b'{"texts": ["a", ""]}') == ["a", ""]
