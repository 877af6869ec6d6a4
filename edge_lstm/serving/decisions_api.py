"""OpenAI's Decisions API, as its beta has it: read and written by way of System One.

Its ``predicate`` is a noul. Questions, options and answers are lists there. A question that nobody
answers is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge_lstm.errors import RequestError
from edge_lstm.serving.protocol import (
    CHOICE,
    NO_TOKENS,
    NOUL,
    SCORE,
    AskedQuestion,
    Decision,
    text_of,
)

PATH = "/v1/decisions"
REFUSAL = "refusal"

_PREDICATE = "predicate"

# The key of a question's options, and the key of an option's name.
_KEYS = {CHOICE: ("choices", "value"), SCORE: ("levels", "label")}


def read_body(body: Any) -> dict[str, Any]:
    """Return the body of a request as System One has it. Raises RequestError."""
    asked = body.get("questions") if isinstance(body, dict) else None
    if not isinstance(asked, list):
        raise RequestError("the body must be a JSON object with an input and a list of questions")
    questions = {}
    for place, each in enumerate(asked, 1):
        try:
            questions[each["name"]] = _read_question(each)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise RequestError(
                f"question {place} must have a name, and be a predicate, a choice or a score: a "
                "choice has choices with a value each, a score has levels with a label each"
            ) from None
    if len(questions) < len(asked):
        raise RequestError("two questions have the same name; give each a name of its own")
    return {**body, "state": _read_input(body.get("input")), "questions": questions}


def _read_input(given: Any) -> str:
    """Return the texts of a user's messages. A conversation of several roles is its JSON."""
    messages = given if isinstance(given, list) else [{"role": "user", "content": given}]
    try:
        texts = [_text(each.get("content", each.get("output", ""))) for each in messages]
        is_one = all(each.get("role") == "user" for each in messages)
    except (AttributeError, KeyError, TypeError):
        raise RequestError(
            "input must be a text, or a list of messages with texts or JSON; this server cannot "
            "read images"
        ) from None
    return "\n".join(texts) if is_one else text_of(given)


def _text(content: Any) -> str:
    """Return a text, or the texts and JSON of a list of parts."""
    parts = content if isinstance(content, list) else [{"text": content}]
    if any(type(part.get("text", "")) is not str for part in parts):
        raise TypeError
    return "\n".join(text_of(part["data"]) if "data" in part else part["text"] for part in parts)


def _read_question(asked: dict[str, Any]) -> dict[str, Any]:
    kind = asked["type"]
    instructions = _text(asked.get("instructions", ""))
    if type(asked["name"]) is not str:
        raise TypeError
    if kind == _PREDICATE:
        return {"type": NOUL, "instructions": instructions}
    key, name = _KEYS[kind]
    criteria = {option[name]: option.get("description") for option in asked[key]}
    # A value may be true or false.
    are_names = {*map(type, criteria)} <= {str, bool}
    if not are_names or len({*map(text_of, criteria)}) < len(asked[key]):
        raise ValueError
    if kind == SCORE and any(criteria.values()):
        instructions += f"\n{text_of(criteria)}"
    options = criteria if kind == CHOICE else [*criteria]
    return {"type": kind, "instructions": instructions, "criteria": options}


def write_body(decision: Decision, body: dict[str, Any]) -> dict[str, Any]:
    """Return the body of an answer. A question without one is refused."""
    answers = body["answers"]
    written = [
        {"name": each.name, **_write_answer(each, answers.get(each.name))}
        for each in decision.questions
    ]
    return {**body, "answers": written, "usage": _write_usage(body["usage"])}


def _write_answer(question: AskedQuestion, given: dict[str, Any] | None) -> dict[str, Any]:
    if given is None:
        return {"type": REFUSAL}
    if question.type == NOUL:
        return {"type": _PREDICATE, "probability": given["noul"]}
    options = _options(question)
    value = given[question.type]
    if question.type == CHOICE:
        value = options[value]["value"]
    shares = given.get("probabilities")
    listed = [
        {**option, "probability": shares[key]}
        for key, option in options.items()
        if isinstance(shares, dict) and key in shares
    ]
    return {
        "type": question.type,
        question.type: value,
        "confidence": given.get("confidence", 0.0),
        "probabilities": listed,
    }


def _options(question: AskedQuestion) -> dict[str, dict[str, Any]]:
    """Return the options as an answer lists them, by their keys in an answer of System One."""
    if question.type == CHOICE:
        return {text_of(value): {"value": value} for value in question.raw["criteria"]}
    return {
        str(level): {"value": level, "label": label} for level, label in enumerate(question.options)
    }


def _write_usage(usage: Any) -> dict[str, Any]:
    given = {**NO_TOKENS, **usage} if isinstance(usage, dict) else NO_TOKENS
    return {
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": sum(each for each in given.values() if isinstance(each, int)),
        **given,
    }


def write_error(status: int, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return the status and the body of an error; sure answers next to it are left out."""
    error = body["error"]
    status = 400 if status == 422 else status
    kind = "invalid_request_error" if status < 500 else "server_error"
    return status, {"error": {**error, "type": kind, "param": None, "code": error["type"]}}


def write_request(decision: Decision, questions: Sequence[AskedQuestion]) -> dict[str, Any]:
    """Return the body of a request to an upstream."""
    return {"input": decision.text, "questions": [_write_question(each) for each in questions]}


def _write_question(question: AskedQuestion) -> dict[str, Any]:
    criteria: Any = question.raw.get("criteria")
    # The interface insists on instructions.
    instructions = text_of(question.raw.get("instructions") or question.name)
    written: dict[str, Any] = {"name": question.name, "type": question.type}
    if isinstance(criteria, list):
        written["levels"] = [{"label": option} for option in question.options]
    elif question.type == CHOICE:
        written["choices"] = [
            {"value": value, "description": text_of(hint or value)}
            for value, hint in criteria.items()
        ]
    else:
        written["type"] = _PREDICATE
        instructions += f"\n{text_of(criteria)}" if criteria else ""
    return {**written, "instructions": instructions}


def read_answers(questions: Sequence[AskedQuestion], body: Any) -> dict[str, Any]:
    """Return an upstream's answers as System One has them, or REFUSAL.

    Raises KeyError or TypeError if one is missing or of another shape.
    """
    given = {each["name"]: each for each in body["answers"]}
    return {each.name: _read_answer(each, given[each.name]) for each in questions}


def _read_answer(question: AskedQuestion, given: dict[str, Any]) -> Any:
    if given["type"] == REFUSAL:
        return REFUSAL
    if question.type == NOUL:
        return {"type": NOUL, "noul": given["probability"]}
    found = {text_of(each["value"]): each["probability"] for each in given["probabilities"]}
    value = given[question.type]
    options = list(_options(question))
    answer = {
        "type": question.type,
        question.type: text_of(value) if question.type == CHOICE else value,
        "confidence": given["confidence"],
        "probabilities": {key: found[key] for key in options},
    }
    if question.type == SCORE:
        answer["legend"] = dict(zip(options, question.raw["criteria"]))
    return answer
