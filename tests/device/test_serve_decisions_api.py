"""serve, asked by clients of OpenAI's Decisions API, and with such a service as the upstream."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

pytestmark = pytest.mark.needs("httpx")
httpx = pytest.importorskip("httpx")

from asked_server import (  # noqa: E402
    CURVE,
    FAILURES,
    RETURNS,
    SURE,
    UNSURE,
    URGENT,
    Handler,
    Server,
    error_of,
    replied,
    urgent,
)
from asked_server import TEAM as SYSTEMONE_TEAM  # noqa: E402
from cases import raw as raw_bytes  # noqa: E402
from cases import rows  # noqa: E402
from model_files import edited  # noqa: E402

PATH = "/v1/decisions"
BOTH = pytest.mark.parametrize("path", [PATH, "/v1/systemone"])
TEAM = {
    "name": "team",
    "type": "choice",
    "instructions": "Which team?",
    "choices": [{"value": "billing", "description": "Money."}, {"value": "returns"}],
}
LATE = {"name": "late", "type": "predicate", "instructions": "It is late."}
STARS = {
    "name": "stars",
    "type": "score",
    "instructions": "How good?",
    "levels": [{"label": "bad", "description": "Nobody buys it."}, {"label": "good"}],
}
LEVELS = {"type": "score", "criteria": ["bad", "good"]}  # as System One asks
USAGE = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}


def files(server: Server) -> None:
    """Let it answer all three questions: SURE is late with 0.95, and a 5 of 1 and 5."""
    labels = {"stars": '["1","5"]', "late": '["no","yes"]'}
    asked = {"stars": '{"type":"score"}', "late": '{"type":"yes_no","yes":"yes"}'}
    paths = {"team": server.file}
    for name in labels:
        paths[name] = server.file.with_name(f"{name}.onnx")
        values = {"labels": labels[name], "question": asked[name], "abstention": CURVE}
        paths[name].write_bytes(edited(values))
    server.answer_with(paths, abstain=0.02)


def decided(server: Server, text: Any, *questions: dict[str, Any]) -> Any:
    body = {"model": "m", "input": text, "questions": questions}
    response = server.ask(PATH, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def of_decisions(handler: Handler, **options: Any) -> Server:
    """A server whose upstream is a Decisions API."""
    return Server(handler, url=f"https://up.example{PATH}", **options)


def listed(*answers: Any) -> Handler:
    body = {"model": "large-2", "answers": answers, "usage": USAGE}
    return lambda request: httpx.Response(200, json=body)


def chosen(value: Any, **shares: float) -> dict[str, Any]:
    probabilities = [{"value": key, "probability": share} for key, share in shares.items()]
    return {
        "name": "team",
        "type": "choice",
        "choice": value,
        "confidence": 0.4,
        "probabilities": probabilities,
    }


TO_RETURNS = chosen("returns", billing=0.25, returns=0.75)


def test_sure_answers_have_the_published_shape_and_the_order_of_the_questions() -> None:
    server = Server()
    files(server)
    body = decided(server, SURE, LATE, TEAM, STARS)
    late, team, stars = body["answers"]
    share = late.pop("probability")
    assert 0.9 < share < 1 and late == {"name": "late", "type": "predicate"}
    rest = round(1 - share, 7)
    confidence = pytest.approx(2 * share - 1, abs=1e-6)
    assert team == {
        "name": "team",
        "type": "choice",
        "choice": "billing",
        "confidence": confidence,
        "probabilities": [
            {"value": "billing", "probability": share},
            {"value": "returns", "probability": rest},
        ],
    }
    assert stars == {
        "name": "stars",
        "type": "score",
        "score": pytest.approx(share, abs=1e-6),
        "confidence": confidence,
        "probabilities": [
            {"value": 0, "label": "bad", "probability": rest},
            {"value": 1, "label": "good", "probability": share},
        ],
    }
    asked = {"late": URGENT, "team": SYSTEMONE_TEAM, "stars": LEVELS}
    score = {"type": "score", "score": pytest.approx(share, abs=1e-6), "confidence": confidence}
    choice = {"type": "choice", "choice": "billing", "confidence": confidence}
    assert server.answers(SURE, **asked) == {
        "late": {"type": "noul", "noul": share},
        "team": {**choice, "probabilities": {"billing": share, "returns": rest}},
        "stars": {
            **score,
            "legend": {"0": "bad", "1": "good"},
            "probabilities": {"0": rest, "1": share},
        },
    }
    assert body["model"] == "edge-lstm"
    assert body["usage"] == {
        "input_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 0,
    }


def test_without_an_upstream_an_unsure_answer_is_a_refusal() -> None:
    server = Server()
    assert decided(server, UNSURE, TEAM)["answers"] == [{"name": "team", "type": "refusal"}]
    assert server.count("answers_total", "team", "refused") == 1
    assert server.count("answers_total", "team", "upstream") == 0
    # No file has this question: a mistake, and no matter of being sure.
    error = error_of(server.ask(PATH, json={"input": SURE, "questions": [LATE]}), 400)
    assert (error["type"], error["code"]) == ("invalid_request_error", "unknown_question")


def test_a_choice_of_true_and_false_is_answered_by_these() -> None:
    server = Server(names=("late",))
    server.file.write_bytes(edited({"labels": '["false","true"]', "abstention": CURVE}))
    server.answer_with({"late": server.file}, abstain=0.02)
    choices = [{"value": True}, {"value": False}]
    (answer,) = decided(server, SURE, {**LATE, "type": "choice", "choices": choices})["answers"]
    assert answer["choice"] is True
    assert [each["value"] for each in answer["probabilities"]] == [True, False]


def test_an_upstream_of_system_one_answers_a_client_of_the_decisions_api() -> None:
    stars = {"type": "score", "score": 0.9, "probabilities": {"0": 0.1, "1": 0.9}}
    server = Server(replied(late=urgent(0.25), team=RETURNS, stars=stars))
    body = decided(server, UNSURE, LATE, TEAM, STARS)
    answered = """
        [{"name": "late", "type": "predicate", "probability": 0.25},
         {"name": "team", "type": "choice", "choice": "returns", "confidence": 0.0,
          "probabilities": [{"value": "returns", "probability": 0.8}]},
         {"name": "stars", "type": "score", "score": 0.9, "confidence": 0.0,
          "probabilities": [{"value": 0, "label": "bad", "probability": 0.1},
                            {"value": 1, "label": "good", "probability": 0.9}]}]
        """
    assert body["answers"] == json.loads(answered)
    assert (body["model"], body["usage"]["total_tokens"]) == ("large-1", 7)
    (request,) = server.asked
    asked = r"""
        {"late": {"type": "noul", "instructions": "It is late."},
         "team": {"type": "choice", "instructions": "Which team?",
                  "criteria": {"billing": "Money.", "returns": null}},
         "stars": {"type": "score",
                   "instructions": "How good?\n{\"bad\": \"Nobody buys it.\", \"good\": null}",
                   "criteria": ["bad", "good"]}}
        """
    sent = {"model": "m", "state": UNSURE, "questions": json.loads(asked)}
    assert json.loads(request.content) == sent


def test_an_upstream_of_the_decisions_api_answers_a_client_of_system_one() -> None:
    late = {"name": "urgent", "type": "predicate", "probability": 0.25}
    levels = [{"value": 0, "label": "x", "probability": 0.25}]
    levels.append({"value": 1, "label": "y", "probability": 0.75})
    stars = {"name": "stars", "type": "score", "score": 0.75, "confidence": 0.5}
    server = of_decisions(listed({**stars, "probabilities": levels}, late, TO_RETURNS))
    asked = {
        "urgent": {**URGENT, "criteria": {"true": "Now."}},
        "stars": LEVELS,
        "team": {**SYSTEMONE_TEAM, "criteria": {"billing": "Money.", "returns": ""}},
    }
    response = server.decide({"text": UNSURE}, **asked).json()
    answered = """
        {"urgent": {"type": "noul", "noul": 0.25},
         "stars": {"type": "score", "score": 0.75, "confidence": 0.5,
                   "legend": {"0": "bad", "1": "good"}, "probabilities": {"0": 0.25, "1": 0.75}},
         "team": {"type": "choice", "choice": "returns", "confidence": 0.4,
                  "probabilities": {"billing": 0.25, "returns": 0.75}}}
        """
    assert response["answers"] == json.loads(answered)
    assert (response["model"], response["usage"]) == ("large-2", USAGE)
    (request,) = server.asked
    assert str(request.url) == "https://up.example/v1/decisions"
    sent = json.loads(request.content)
    assert sent["input"] == UNSURE
    first, second, third = sent["questions"]
    assert first["type"] == "predicate" and '"Now."' in first["instructions"]
    assert second["levels"] == [{"label": "bad"}, {"label": "good"}]
    assert third["choices"][0] == {"value": "billing", "description": "Money."}
    assert [each["name"] for each in sent["questions"]] == ["urgent", "stars", "team"]
    assert all(each["instructions"] for each in sent["questions"])
    (line,) = server.logged()
    told = [line[name] for name in ("text", "urgent", "stars", "team", "team_probability")]
    assert told == [UNSURE, "no", "1", "returns", 0.75]


def test_a_refusal_of_the_upstream_reaches_the_client_and_not_the_log() -> None:
    refusal = {"name": "team", "type": "refusal"}
    yes = {"name": "urgent", "type": "predicate", "probability": 1.0}
    server = of_decisions(listed(refusal, yes))
    asked = {**LATE, "name": "urgent"}
    assert decided(server, UNSURE, TEAM, asked)["answers"] == [refusal, yes]
    # System One has no refusals.
    response = server.decide(UNSURE, team=SYSTEMONE_TEAM, urgent=URGENT)
    error = error_of(response, 503)
    assert (error["type"], error["questions"]) == ("not_sure", ["team"])
    assert response.json()["answers"] == {"urgent": urgent(1)}
    assert ["team" in line for line in server.logged()] == [False, False]
    decided(server, UNSURE, TEAM)
    assert len(server.logged()) == 2
    # A sure answer that is compared is given, refused or not.
    compared = of_decisions(listed(refusal), shadow=1.0, log="compared.jsonl")
    assert decided(compared, SURE, TEAM)["answers"][0]["choice"] == "billing"
    assert compared.count("shadow_total", "team") == 0


def test_without_the_upstreams_answer_the_client_gets_503() -> None:
    server = of_decisions(FAILURES["status_500"])
    response = server.ask(PATH, json={"input": UNSURE, "questions": [{**LATE, "name": "urgent"}]})
    error = error_of(response, 503)
    assert (error["type"], error["questions"]) == ("server_error", ["urgent"])
    assert response.json().keys() == {"error"} and server.logged() == []


SHARES = TO_RETURNS["probabilities"]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [1],
        {"name": "team"},
        {"name": "team", "type": "predicate", "probability": 1},
        {"name": "team", "type": "choice", "choice": "returns", "confidence": 1},
        {**TO_RETURNS, "choice": "x"},
        {**TO_RETURNS, "choice": ["returns"]},
        {**TO_RETURNS, "probabilities": SHARES[:1]},
        {**TO_RETURNS, "probabilities": [1]},
        {**TO_RETURNS, "probabilities": [{**each, "probability": 7} for each in SHARES]},
        {"name": ["team"], "type": "refusal"},
        {"name": None, "type": "refusal"},
    ],
)
def test_another_answer_of_the_upstream_is_refused(answer: Any) -> None:
    server = of_decisions(listed(answer))
    response = server.ask(PATH, json={"input": UNSURE, "questions": [TEAM]})
    assert error_of(response, 503)["reason"] == "shape"


@pytest.mark.parametrize(
    ("given", "text"),
    rows(
        r"""
        "a" | a
        [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}] | a\nb
        [{"role": "user", "content": [{"type": "input_text", "text": "ä"}]}] | ä
        [{"role": "user", "content": [{"type": "input_json", "data": {"n": 1}}]}] | {"n": 1}
        [{"role": "system", "content": "a"}] | [{"role": "system", "content": "a"}]
        [{"type": "function_call", "name": "f"}] | [{"type": "function_call", "name": "f"}]
        """
    ),
)
def test_an_input_is_read_as_its_texts_and_a_conversation_as_its_json(
    given: str, text: str
) -> None:
    server = Server(replied(late=urgent(1)))
    decided(server, json.loads(given), LATE)
    (line,) = server.logged()
    assert line["text"] == text.replace(r"\n", "\n")


@pytest.mark.parametrize(
    ("said", "questions"),
    rows(
        """
        list of questions | null
        list of questions | {"team": {"type": "predicate"}}
        1 must have a name | [null]
        1 must have a name | [{"type": "predicate"}]
        1 must have a name | [{"name": "q", "type": "noul"}]
        1 must have a name | [{"name": "q", "type": ["choice"]}]
        1 must have a name | [{"name": "q", "type": "choice"}]
        1 must have a name | [{"name": "q", "type": "choice", "choices": "ab"}]
        1 must have a name | [{"name": "q", "type": "choice", "choices": [{"value": 1}]}]
        1 must have a name | [{"name": "q", "type": "choice", "choices": [{"value": []}]}]
        1 must have a name | [{"name": "q", "type": "choice", "choices": [SAME, SAME]}]
        1 must have a name | [{"name": "q", "type": "choice", "choices": [SAME, {"value": true}]}]
        1 must have a name | [{"name": "q", "type": "score", "levels": ["a", "b"]}]
        1 must have a name | [{"name": "q", "type": "predicate", "instructions": {}}]
        1 must have a name | [{"name": 1, "type": "predicate"}]
        1 must have a name | [{"name": ["q"], "type": "predicate"}]
        the same name | [{"name": "q", "type": "predicate"}, {"name": "q", "type": "predicate"}]
        at least one question | []
        """
    ),
)
def test_a_bad_question_gets_one_error(said: str, questions: str) -> None:
    questions = questions.replace("SAME", '{"value": "true"}')
    refused(f'{{"input": "a", "questions": {questions}}}'.encode(), said)


@pytest.mark.parametrize(
    ("said", "data"),
    rows(
        rf"""
        not JSON |
        not JSON | \xff{{}}
        NaN | {{"input": NaN}}
        nested | {"[" * 100_000}
        JSON object | []
        input must be | {{"questions": [LATE]}}
        input must be | {{"input": 1, "questions": [LATE]}}
        input must be | {{"input": ["a"], "questions": [LATE]}}
        input must be | {{"input": [{{"role": "user", "content": null}}], "questions": [LATE]}}
        images | {{"input": [{{"role": "user", "content": [IMAGE]}}], "questions": [LATE]}}
        images | {{"input": [{{"role": "tool", "output": [IMAGE]}}], "questions": [LATE]}}
        model must be | {{"input": "a", "model": 1, "questions": [LATE]}}
        """
    ),
)
def test_a_bad_request_gets_one_error(said: str, data: str) -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
    data = data.replace("LATE", json.dumps(LATE)).replace("IMAGE", json.dumps(image))
    refused(raw_bytes(data), said)


def refused(data: bytes, said: str) -> None:
    server = Server()
    error = error_of(server.ask(PATH, content=data), 400)
    assert error["type"] == "invalid_request_error" and error["param"] is None
    assert said in error["message"] and len(error["message"]) < 250
    assert server.lines == []


def test_names_and_texts_with_lone_surrogates_are_answered() -> None:
    answered = json.dumps({"answers": {"\ud800": urgent(1)}})
    server = Server(lambda request: httpx.Response(200, text=answered))
    asked = json.dumps({"input": "\ud800", "questions": [{**LATE, "name": "\ud800"}]})
    response = server.ask(PATH, content=asked.encode())
    assert response.json()["answers"][0]["probability"] == 1
    assert server.get("/metrics") and server.lines == []


@BOTH
def test_a_body_of_any_depth_is_answered_or_gets_one_error(path: str) -> None:
    server = Server(replied(team=RETURNS))
    statuses = set()
    for depth in range(800, 1000):
        deep = "[" * depth + "]" * depth
        hints = f'{{"type": "choice", "criteria": {{"billing": {deep}, "returns": ""}}}}'
        questions = f'{{"team": {hints}}}'
        if path == PATH:
            choices = f'[{{"value": "billing", "description": {deep}}}, {{"value": "returns"}}]'
            questions = f'[{{"name": "team", "type": "choice", "choices": {choices}}}]'
        body = f'{{"state": "{UNSURE}", "input": "{UNSURE}", "questions": {questions}}}'
        statuses.add(server.ask(path, content=body.encode()).status_code)
    assert statuses <= {200, 400} and server.lines == []


BODY = """{"state": "a", "input": "a", "questions": QUESTIONS}"""
ASKED = {
    PATH: '[{"name": "team", "type": "choice", "choices": [{"value": "a", "description": HINT}]}]',
    "/v1/systemone": '{"team": {"type": "choice", "criteria": {"a": HINT}}}',
}


@BOTH
@pytest.mark.parametrize("hint", ["-Infinity", "NaN", '{"a": 1, "a": 2}', '"\ud800', "'a'", "1 2"])
def test_what_is_no_strict_json_gets_one_error(path: str, hint: str) -> None:
    body = BODY.replace("QUESTIONS", ASKED[path].replace("HINT", hint))
    server = Server()
    error = error_of(server.ask(path, content=body.encode("utf-8", "surrogatepass")), 400)
    assert error.get("code", error["type"]) == "invalid_json" and len(error["message"]) < 250
    assert server.lines == []


@BOTH
def test_a_body_of_100_megabytes_gets_one_error(path: str) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 2**20

    server = Server()
    error = error_of(server.ask(path, content=parts()), 413)
    assert error.get("code", error["type"]) == "too_large" and server.lines == []
