"""The System One interface: what a request may hold, which questions a file answers, and how."""

from __future__ import annotations

from typing import Any

import pytest
from cases import rows

from edge_lstm.core.question import Question, QuestionType
from edge_lstm.serving.protocol import (
    AskedQuestion,
    answer_kind,
    columns_of,
    read_decision,
)

NOUL: dict[str, Any] = {"type": "noul", "instructions": "Is it urgent?"}


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
    assert columns_of(asked, answer_kind(Question.of(kind, names), names)) == numbers(columns)
