"""The System One interface: typed questions about a state in, answers with probabilities out.

A question is a ``noul`` (yes or no), a ``choice`` of named options or a ``score`` on levels. Pure
functions; docs/how-to/serve.md describes the JSON. decisions_api.py puts another dialect into this.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import NoneType
from typing import Any

from edge_lstm.checked import finite, unrepeated
from edge_lstm.core import question as typed
from edge_lstm.core.decide import Prediction
from edge_lstm.core.fields import RowText
from edge_lstm.errors import RequestError
from edge_lstm.printable import Number, json_text, shorten

NOUL = "noul"
CHOICE = "choice"
SCORE = "score"
TYPES = (NOUL, CHOICE, SCORE)

# Of a request. A body of many empty texts is short, and they take time.
MAX_TEXTS = 1000

# The usage of an answer without an upstream.
NO_TOKENS: dict[str, Any] = {"input_tokens": 0, "output_tokens": 0}

# Digits of a probability in an answer: more than a float32 holds.
_DIGITS = 7


# Made once: json.loads makes one for each call that has an option.
# The numbers of a request keep their digits: a model compares them as they are written.
_REQUEST = json.JSONDecoder(
    parse_float=Number, parse_int=Number, parse_constant=finite, object_pairs_hook=unrepeated
)
# A client's library reads the numbers of a reply.
REPLY = json.JSONDecoder(parse_float=finite, parse_constant=finite, object_pairs_hook=unrepeated)


@dataclass(frozen=True)
class AskedQuestion:
    """A question of a request.

    name: as the client calls it.
    type: one of TYPES.
    options: the names of the options of a choice, or the texts of the levels of a score.
    raw: the question as it came, for the upstream.
    """

    name: str
    type: str
    options: tuple[str, ...]
    raw: dict[str, Any]


@dataclass(frozen=True)
class Decision:
    """A request with a text and questions about it.

    text: what the files read of the state; its row is an object's JSON, for files with fields.
    state: as it came, for the upstream.
    model: the name of the upstream's model; None if the client named none.
    """

    text: RowText
    questions: tuple[AskedQuestion, ...]
    state: Any
    model: str | None


@dataclass(frozen=True)
class AnswerKind:
    """The kind of answers that a model file gives.

    type: one of TYPES.
    labels: of the file.
    order: the columns of no and yes, or of numbers from the lowest; of other labels none.
    """

    type: str
    labels: tuple[str, ...]
    order: tuple[int, ...]

    @cached_property
    def columns(self) -> dict[str, int]:
        """The column of each label."""
        return {label: column for column, label in enumerate(self.labels)}


def parse_json(data: bytes, decoder: json.JSONDecoder = _REQUEST) -> Any:
    """Parse a body of strict JSON. Raises RequestError."""
    try:
        return decoder.decode(data.decode())
    except RecursionError:
        reason = "it is nested too deeply"
    # Bytes that are not UTF-8, and in a reply integers of thousands of digits, are ones too.
    except ValueError as error:
        reason = str(error)[:100]
    raise RequestError(
        f"the body is not JSON ({reason}); send a JSON object", status=400, kind="invalid_json"
    )


def read_decision(body: Any) -> Decision:
    """Read the body of ``POST /v1/systemone``. Raises RequestError."""
    body = _object(body)
    if body.get("assets"):
        raise RequestError(
            "this server cannot read images; send a text as the state, without assets"
        )
    model = body.get("model")
    if type(model) not in (str, NoneType):
        raise RequestError("model must be a string; any name will do")
    asked = body.get("questions")
    if not isinstance(asked, dict) or not asked:
        raise RequestError("questions must be an object with at least one question by its name")
    questions = tuple(_question(name, raw) for name, raw in asked.items())
    state = body.get("state")
    text = _text(state)
    row = text_of(state) if isinstance(state, dict) else text
    return Decision(RowText.of(text, row), questions, state, model)


def parse_texts(data: bytes) -> list[RowText]:
    """Parse the body of ``POST /predict``: ``{"texts": [...]}``, with texts or objects of fields.

    Raises RequestError.
    """
    body = _object(parse_json(data))
    texts = body.get("texts")
    if not isinstance(texts, list) or not {*map(type, texts)} <= {str, dict}:
        raise RequestError("texts must be a list of strings, or of objects of fields")
    if len(texts) > MAX_TEXTS:
        raise RequestError(f"a request may have at most {MAX_TEXTS:,} texts, not {len(texts):,}")
    return [RowText.of(text, text) for text in map(text_of, texts)]


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise RequestError("the body must be a JSON object")
    return body


def _text(state: Any) -> str:
    """Return the text of a state.

    What holds nothing but texts is read as these: an object with one, a list of texts or of the
    parts that Vercel's AI SDK sends. Another object or list is its JSON.
    """
    if type(state) not in (str, dict, list):
        raise RequestError("state must be a text, an object or a list")
    parts: list[Any] = state if isinstance(state, list) else [state]
    if isinstance(state, dict) and len(state) == 1:
        parts = list(state.values())
    texts = [part["text"] if _is_text(part) else part for part in parts]
    if {*map(type, texts)} == {str}:
        return "\n".join(texts)
    return text_of(state)


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and part.keys() == {"type", "text"} and part["type"] == "text"


def text_of(value: Any) -> str:
    """Return a text as it is, and another value as its JSON."""
    return str(value) if isinstance(value, str) else json_text(value)


def _question(name: str, raw: Any) -> AskedQuestion:
    if not isinstance(raw, dict) or raw.get("type") not in TYPES:
        raise _wrong(name, f"its type must be one of {', '.join(TYPES)}")
    kind = raw["type"]
    criteria = raw.get("criteria")
    options: tuple[str, ...] = ()
    if kind == NOUL:
        if criteria is not None and not isinstance(criteria, dict):
            raise _wrong(name, "the criteria of a noul must be an object")
    elif not isinstance(criteria, dict if kind == CHOICE else list) or not criteria:
        wanted = "an object of options" if kind == CHOICE else "a list of levels"
        raise _wrong(name, f"the criteria of a {kind} must be {wanted}")
    else:
        options = tuple(map(text_of, criteria))
    return AskedQuestion(name, kind, options, raw)


def _wrong(name: str, what: str) -> RequestError:
    return RequestError(f"question {shorten(name)}: {what}")


def answer_kind(asked: typed.Question, labels: Sequence[str]) -> AnswerKind:
    """Return the kind of answers of a file.

    asked: the file's question.
    labels: one of them is its answer.
    """
    columns = range(len(labels))
    if asked.type == typed.YES_NO:
        order = sorted(columns, key=lambda column: labels[column] == asked.yes)
        return AnswerKind(NOUL, tuple(labels), tuple(order))
    numbers = [each for each in map(typed.number, labels) if each is not None]
    order = sorted(columns, key=numbers.__getitem__) if len(numbers) == len(labels) else []
    kind = SCORE if asked.type == typed.SCORE else CHOICE
    return AnswerKind(kind, tuple(labels), tuple(order))


def columns_of(question: AskedQuestion, kind: AnswerKind) -> tuple[int, ...] | None:
    """Return the column of each of a question's options; None if the file has other options.

    A noul has the options no and yes. Levels of a score may be described in other words than
    the file's numbers, whatever it was trained as; there must be as many.
    """
    if NOUL == question.type == kind.type:
        return kind.order
    if question.type == NOUL:
        return None
    columns = [kind.columns.get(option, -1) for option in question.options]
    if sorted(columns) == list(range(len(kind.labels))):
        return tuple(columns)
    is_scale = question.type == SCORE and kind.type != NOUL
    return kind.order if is_scale and len(question.options) == len(kind.order) else None


def answer(
    question: AskedQuestion, columns: Sequence[int], prediction: Prediction
) -> dict[str, Any]:
    """Return the answer to a question.

    columns: from columns_of.
    prediction: the file's.
    """
    probabilities = [*prediction.probabilities.values()]
    shares = [round(probabilities[column], _DIGITS) for column in columns]
    if question.type == NOUL:
        return {"type": NOUL, "noul": shares[1]}
    # Among the unrounded ones.
    ((best, highest),) = prediction.top(1)
    highest = round(highest, _DIGITS)
    count = len(shares)
    # How far the best option stands out: 0 if all are equally probable, 1 if it is certain.
    confidence = (count * highest - 1) / (count - 1) if count > 1 else 1.0
    confidence = round(min(max(confidence, 0.0), 1.0), _DIGITS)
    if question.type == CHOICE:
        return {
            "type": CHOICE,
            "choice": question.options[columns.index([*prediction.probabilities].index(best))],
            "confidence": confidence,
            "probabilities": dict(zip(question.options, shares)),
        }
    expected = sum(level * share for level, share in enumerate(shares)) / sum(shares)
    levels = [str(level) for level in range(count)]
    return {
        "type": SCORE,
        "score": round(expected, _DIGITS),
        "confidence": confidence,
        "legend": dict(zip(levels, question.options)),
        "probabilities": dict(zip(levels, shares)),
    }


def usual_labels(question: AskedQuestion) -> tuple[str, ...]:
    """Return the label that stands for each option of a question without a file.

    A noul has no and yes. A score has the texts of its levels if these are numbers, and else
    numbers from 0.
    """
    if question.type == NOUL:
        return ("no", "yes")
    if question.type == CHOICE or None not in map(typed.number, question.options):
        return question.options
    return tuple(map(str, range(len(question.options))))


def option_of(question: AskedQuestion, given: Any) -> tuple[int, float | None]:
    """Return the option that an upstream's answer chooses, and its probability if there is one.

    A noul has the options no and yes. A score is its nearest level, without a probability.

    Raises ValueError if the answer does not answer the question.
    """
    if not isinstance(given, dict) or given.get("type") != question.type:
        raise ValueError(f"it is not a {question.type}")
    if question.type == NOUL:
        share = _number(given.get("noul"), 1)
        return (1, share) if share >= 0.5 else (0, 1 - share)
    if question.type == SCORE:
        return round(_number(given.get("score"), len(question.options) - 1)), None
    chosen = given.get("choice")
    if chosen not in question.options:
        raise ValueError("its choice is not one of the options")
    place = question.options.index(chosen)
    probabilities = given.get("probabilities")
    if not isinstance(probabilities, dict) or chosen not in probabilities:
        return place, None
    return place, _number(probabilities[chosen], 1)


def _number(value: Any, most: float) -> float:
    if type(value) not in (int, float) or not 0 <= value <= most:
        raise ValueError(f"its value is not a number from 0 to {most}")
    return float(value)
