"""serve, without sockets: what the files answer, what is handed back, and what clients get."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.needs("httpx")
httpx = pytest.importorskip("httpx")

from asked_server import (  # noqa: E402
    CURVE,
    FAILURES,
    RETURNS,
    SURE,
    TEAM,
    UNSURE,
    URGENT,
    Server,
    error_of,
    refuse,
    replied,
    urgent,
)
from cases import raw as raw_bytes  # noqa: E402
from cases import rows  # noqa: E402
from model_files import compact, edited, multi_label  # noqa: E402

from edge_lstm.errors import OutputError  # noqa: E402

BODY = json.dumps({"state": SURE, "questions": {"team": TEAM}}).encode()


def test_a_sure_answer_is_given_here_and_nothing_is_sent() -> None:
    server = Server(replied())
    response = server.decide(SURE, team=TEAM).json()
    answer = response["answers"]["team"]
    assert answer["choice"] == "billing" and answer["probabilities"]["billing"] > 0.9
    assert response["model"] == "edge-lstm"
    assert server.asked == [] and server.logged() == []


def test_an_unsure_answer_is_the_upstreams_with_the_clients_own_key() -> None:
    server = Server(replied(team=RETURNS))
    body = {"state": {"text": UNSURE}, "model": "m", "questions": {"team": TEAM}}
    key = "Bearer mine ü".encode("latin-1")
    headers = {"authorization": key, "cookie": "secret=1"}
    sent = {**body, "metadata": {"user": "a name"}}
    response = server.ask("/v1/systemone", json=sent, headers=headers).json()
    assert (response["model"], response["answers"]) == ("large-1", {"team": RETURNS})
    assert response["usage"] == {"input_tokens": 7}
    (request,) = server.asked
    assert str(request.url) == "https://up.example/v1/systemone"
    assert (b"authorization", key) in request.headers.raw
    assert "cookie" not in request.headers
    assert request.headers["accept-encoding"] == "identity"
    assert json.loads(request.content) == body
    (line,) = server.logged()
    assert line.pop("time")
    reason = line.pop("because")["team"]
    assert (reason["why"], reason["chance"], reason["label"]) == ("abstained", 1, "returns")
    assert line == {
        "text": UNSURE,
        "model": "large-1",
        "team": "returns",
        "team_probability": 0.8,
    }


def test_only_what_is_not_sure_is_handed_back() -> None:
    server = Server(replied(urgent=urgent(0.25)))
    answers = server.answers(SURE, urgent=URGENT, team=TEAM)
    assert list(answers) == ["urgent", "team"]
    assert (answers["urgent"], answers["team"]["choice"]) == (urgent(0.25), "billing")
    assert list(json.loads(server.asked[0].content)["questions"]) == ["urgent"]
    (line,) = server.logged()
    assert (line["urgent"], line["urgent_probability"]) == ("no", 0.75) and "team" not in line


def test_a_question_with_other_options_than_the_files_is_handed_back() -> None:
    other = {**TEAM, "criteria": {"billing": "", "returns": "", "none": ""}}
    none = {"type": "choice", "choice": "none"}
    assert Server(replied(team=none)).answers(SURE, team=other) == {"team": none}


def test_without_an_upstream_other_questions_and_unsure_answers_are_errors() -> None:
    server = Server()
    error = error_of(server.decide(SURE, urgent=URGENT), 422)
    assert error["type"] == "unknown_question" and "team (choice: returns, billing)" in str(error)
    error = error_of(server.decide(UNSURE, team=TEAM), 503)
    assert error["type"] == "not_sure" and error["questions"] == ["team"]


def test_a_text_unlike_the_training_texts_is_handed_back() -> None:
    curve = {**json.loads(CURVE), "unfamiliar": [[0.05, 0.0]]}
    server = Server(replied(team=RETURNS))
    server.file.write_bytes(
        edited({"labels": '["returns","billing"]', "abstention": compact(curve)})
    )
    server.answer_with({"team": server.file}, unfamiliar=0.05)
    for text in (SURE, "", "zzz"):
        assert server.answers(text, team=TEAM) == {"team": RETURNS}


@pytest.mark.parametrize("reason", FAILURES)
def test_without_the_upstreams_answer_the_rest_gets_503_and_the_sure_ones(reason: str) -> None:
    server = Server(FAILURES[reason], seconds=0.05)
    response = server.decide(SURE, team=TEAM, urgent=URGENT)
    error = error_of(response, 503)
    assert error["questions"] == ["urgent"]
    assert response.json()["answers"]["team"]["choice"] == "billing"
    assert server.logged() == []
    # An unsure answer of a file is never given as one.
    response = server.decide(UNSURE, team=TEAM)
    assert error_of(response, 503) and response.json()["answers"] == {}
    # A sure one needs no upstream.
    assert server.choice() == "billing"
    kind = reason.partition(" ")[0]
    assert server.count("upstream_failures_total", kind) == 2


def test_a_refusal_that_is_about_the_clients_key_reaches_the_client() -> None:
    said = {"detail": "bad key"}

    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(429, json=said, headers={"retry-after": "7"})

    response = Server(handler).decide(UNSURE, team=TEAM)
    error = error_of(response, 429)
    assert error["upstream"] == said and response.headers["retry-after"] == "7"


@pytest.mark.parametrize("later", ["demain →".encode(), b"", b"7\n"])
def test_a_header_that_cannot_be_passed_on_is_left_out(later: bytes) -> None:
    server = Server(lambda _: httpx.Response(429, headers={b"retry-after": later}))
    response = server.decide(UNSURE, team=TEAM)
    assert error_of(response, 429)["reason"] == "status_429"
    assert "retry-after" not in response.headers and server.lines == []


def test_a_share_of_the_sure_answers_is_compared_with_the_upstreams() -> None:
    server = Server(replied(team=RETURNS), shadow=1.0)
    assert server.choice() == "billing"
    (line,) = server.logged()
    reason = line["because"]["team"]
    assert (line["team"], reason["label"]) == ("returns", "billing")
    assert (reason["why"], reason["chance"]) == ("shadow", 1.0)
    assert reason["sha256"] == server.service.models.served["team"].sha256
    metrics = server.get("/metrics")
    assert 'edge_lstm_shadow_total{question="team"} 1' in metrics
    assert 'edge_lstm_shadow_disagreements_total{question="team"} 1' in metrics


def test_a_checked_answer_is_logged_with_the_chance_of_its_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server(replied(team=RETURNS), shadow=0.25)
    for drawn in (0.25, 0.2, 0.9):
        monkeypatch.setattr("random.random", lambda drawn=drawn: drawn)
        server.choice()
    (line,) = server.logged()
    assert (line["because"]["team"]["why"], line["because"]["team"]["chance"]) == ("shadow", 0.25)


def test_a_request_with_an_unsure_question_is_compared_whole_and_keeps_the_sure_answer() -> None:
    server = Server(replied(team=RETURNS, urgent=urgent(1)), shadow=1.0)
    answers = server.answers(SURE, team=TEAM, urgent=URGENT)
    assert (answers["team"]["choice"], answers["urgent"]) == ("billing", urgent(1))
    (line,) = server.logged()
    assert {name: each["why"] for name, each in line["because"].items()} == {
        "team": "shadow",
        "urgent": "no file",
    }


def test_a_comparison_that_fails_costs_the_client_nothing() -> None:
    server = Server(refuse, shadow=1.0)
    assert server.choice() == "billing"
    assert server.count("upstream_failures_total", "unreachable") == 1


def test_metrics_show_the_drift_and_no_name_that_a_client_makes_up() -> None:
    server = Server(replied(urgent=urgent(1), team=RETURNS))
    server.decide(SURE, team=TEAM, urgent=URGENT)
    server.decide(UNSURE, team=TEAM)
    metrics = server.ask("/metrics", "GET")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    expected = """
        edge_lstm_answers_total{question="team",source="file"} 1
        edge_lstm_answers_total{question="team",source="upstream"} 1
        edge_lstm_answers_total{question="other",source="upstream"} 1
        edge_lstm_labels_total{question="team",label="billing"} 1
        edge_lstm_statuses_total{question="team",status="abstained"} 1
        edge_lstm_requests_total{path="/v1/systemone",status="200"} 2
        edge_lstm_request_seconds_bucket{le="+Inf"} 2
    """
    assert {line.strip() for line in expected.strip().split("\n")} <= {*metrics.text.split("\n")}
    assert "urgent" not in metrics.text


def test_a_file_without_a_threshold_for_the_share_is_refused() -> None:
    server = Server()
    server.file.write_bytes(edited({"labels": '["returns","billing"]'}))
    server.refresh()
    assert "no risk-coverage curve" in server.lines[0]


def test_requests_that_come_at_once_are_classified_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server()
    sizes = []
    classify = server.service._batcher._classify

    def counted(texts: Any, names: Any) -> Any:
        sizes.append(len(texts))
        return classify(texts, names)

    monkeypatch.setattr(server.service._batcher, "_classify", counted)

    async def all_at_once() -> list[Any]:
        client = server.client()
        texts = [SURE, "Dull, and far too long!"] * 10
        bodies = [{"state": text, "questions": {"team": TEAM}} for text in texts]
        requests = [client.post("/v1/systemone", json=body) for body in bodies]
        # A file that is read again meanwhile keeps nobody waiting.
        *responses, _ = await asyncio.gather(*requests, server.service.refresh())
        return responses

    chosen = [each.json()["answers"]["team"]["choice"] for each in asyncio.run(all_at_once())]
    assert chosen == ["billing", "returns"] * 10
    assert sum(sizes) == 20 and len(sizes) < 10


def test_a_changed_file_of_the_same_size_is_taken_over() -> None:
    server = Server()
    assert server.choice() == "billing"
    changed = edited({"labels": '["billing","returns"]', "abstention": CURVE})
    assert len(changed) == server.file.stat().st_size
    server.file.write_bytes(changed)
    server.refresh()
    assert server.choice() == "returns"


@pytest.mark.skipif(os.name == "nt", reason="needs pipes with names")
def test_a_file_that_became_a_pipe_is_refused_at_once() -> None:
    server = Server()
    os.mkfifo("pipe")
    Path("pipe").replace(server.file)
    server.refresh()
    assert "the old one goes on: cannot read team.onnx: it is a pipe" in server.lines[0]
    server.refresh()
    assert len(server.lines) == 1  # it is said once
    assert server.choice() == "billing"


@pytest.mark.parametrize(
    ("content", "encoding", "status", "kind"),
    [
        (b"{", "", 400, "invalid_json"),
        (b" " * 10_000_000, "", 413, "too_large"),
        (b"{}", "br", 415, "unsupported_encoding"),
        (b"{}", "GZIP", 415, "unsupported_encoding"),
    ],
    ids=["no JSON", "too long", "Brotli", "gzip"],
)
def test_a_bad_body_gets_one_error(content: bytes, encoding: str, status: int, kind: str) -> None:
    server = Server()
    headers = {"content-encoding": encoding} if encoding else {}
    response = server.ask("/v1/systemone", content=content, headers=headers)
    assert error_of(response, status)["type"] == kind
    assert server.lines == []


def post(server: Server, messages: list[dict[str, Any]]) -> list[Any]:
    """What the application sends for a body that comes in these messages."""
    coming = iter([{"type": "http.request", **message} for message in messages])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(coming, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/systemone", "headers": []}
    asyncio.run(server.app(scope, receive, send))  # type: ignore[arg-type]
    return sent


def test_a_body_may_come_in_parts_and_a_client_go_away() -> None:
    server = Server()
    parts = [{"body": BODY[i : i + 9], "more_body": True} for i in range(0, len(BODY), 9)]
    start, answered = post(server, [*parts, {}])
    assert start["status"] == 200
    assert json.loads(answered["body"])["answers"]["team"]["choice"] == "billing"
    assert post(server, parts) == [] and server.lines == []
    # What is too long is read to its end, so that its client gets the error.
    long = [{"body": b" " * 2**20, "more_body": True}] * 3
    start, refused = post(server, [*long, {}])
    assert start["status"] == 413 and b"too_large" in refused["body"]
    assert post(server, long) == []


def test_a_body_may_say_that_it_is_not_encoded() -> None:
    headers = {"content-encoding": "identity"}
    response = Server().ask("/v1/systemone", content=BODY, headers=headers)
    assert response.json()["answers"]["team"]["choice"] == "billing"


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("GET", "/predict", 405)]
)
def test_another_path_or_method_gets_one_error(method: str, path: str, status: int) -> None:
    assert error_of(Server().ask(path, method), status)["type"] == "not_found"


def test_a_path_may_end_with_a_slash() -> None:
    server = Server()
    response = server.ask("/v1/systemone/", content=BODY)
    assert response.json()["answers"]["team"]["choice"] == "billing"
    assert server.get("/health/")["status"] == "ok"
    error = error_of(server.ask("/v1/decisions/", content=b"{"), 400)
    assert error["type"] == "invalid_request_error"
    assert server.count("requests_total", "/v1/systemone", "200") == 1


def test_a_failure_of_the_server_shows_neither_traceback_nor_text() -> None:
    server = Server()

    def fail(texts: Any, names: Any) -> Any:
        raise RuntimeError("a secret place")

    server.service._batcher._classify = fail
    response = server.decide(SURE, team=TEAM)
    assert error_of(response, 500)["type"] == "internal_error"
    assert "secret" not in response.text
    assert server.lines == ["a request failed: RuntimeError: a secret place"]


def test_an_error_of_the_event_loop_is_reported_once() -> None:
    server = Server()

    async def serve() -> None:
        steps = iter(["lifespan.startup", "lifespan.shutdown"])
        error = {"message": "cannot accept", "exception": OSError("too many open files")}

        async def receive() -> Any:
            step = next(steps)
            if step == "lifespan.shutdown":
                for _ in range(2):
                    asyncio.get_running_loop().call_exception_handler(error)
            return {"type": step}

        async def send(message: Any) -> None:
            pass

        await server.app({"type": "lifespan"}, receive, send)  # type: ignore[arg-type]

    asyncio.run(serve())
    assert server.lines == ["cannot accept: too many open files"]


def test_predict_gives_every_files_prediction() -> None:
    server = Server(names=("team", "again"))
    predictions = server.ask("/predict", json={"texts": [SURE, UNSURE]}).json()["predictions"]
    assert [[each["team"]["label"], each["again"]["status"]] for each in predictions] == [
        ["billing", "ok"],
        [None, "abstained"],
    ]
    assert server.ask("/predict", json={"texts": []}).json() == {"predictions": []}


def test_a_file_of_several_labels_answers_predict_alone() -> None:
    Path("many.onnx").write_bytes(edited(multi_label([0.5, 0.5])))
    server = Server()
    server.answer_with({"many": Path("many.onnx")}, abstain=0.02)
    (prediction,) = server.ask("/predict", json={"texts": [SURE]}).json()["predictions"]
    assert prediction["many"]["labels"] == ["pos"]
    choice = {"type": "choice", "criteria": {"neg": "", "pos": ""}}
    error_of(server.decide(SURE, many=choice), 422)


def test_models_and_health_name_the_questions() -> None:
    server = Server()
    (model,) = server.get("/v1/models")["models"]
    assert (model["name"], model["description"]) == ("team", "choice: returns, billing")
    assert model["labels"] == ["returns", "billing"] and len(model["release_date"]) == 10
    assert server.get("/health")["questions"] == ["team"]


def test_models_are_listed_as_openais_client_reads_them() -> None:
    server = Server(names=("team", "again"))
    listing = server.get("/v1/models")
    assert listing["object"] == "list"
    assert [(each["id"], each["object"]) for each in listing["data"]] == [
        ("team", "model"),
        ("again", "model"),
    ]
    assert {"created", "owned_by"} <= listing["data"][0].keys()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("billing", "with these options (missing: returns); ask team"),
        ("billing returns a b c d e f", "with these options (too many: a, b, c, d, e, f); ask"),
        ("billing refund", "with these options (missing: returns; too many: refund); ask team"),
    ],
)
def test_options_that_do_not_fit_a_file_are_all_named(options: str, says: str) -> None:
    choice = {"type": "choice", "criteria": dict.fromkeys(options.split(), "")}
    assert says in error_of(Server().decide(SURE, team=choice), 422)["message"]


@pytest.mark.parametrize(
    ("there", "kept"),
    [
        (b'{"text": "no line end"}', b'{"text": "no line end"}\n'),
        (b'{"text": "a"}\n{"time": "2026', b'{"text": "a"}\n'),
        (b'{"time": "2026', b""),
        (b'{"time": "2026"}', b'{"time": "2026"}\n'),
    ],
)
def test_a_line_that_was_cut_short_by_a_kill_is_removed(there: bytes, kept: bytes) -> None:
    path = Path("decisions.jsonl")
    path.write_bytes(there)
    Server(refuse)
    assert path.read_bytes() == kept


def test_the_log_grows_by_whole_lines() -> None:
    server = Server(replied(team=RETURNS))
    body = json.dumps({"state": "a\ud800\n", "questions": {"team": TEAM}})
    server.ask("/v1/systemone", content=body.encode())
    moved = server.log.rename("log.1")
    server.decide(UNSURE, team=TEAM)
    assert json.loads(moved.read_text())["text"] == "a?\n"
    line = json.loads(server.log.read_text())
    assert (line["text"], line["team"], line["team_probability"]) == (UNSURE, "returns", 0.8)
    assert os.name == "nt" or server.log.stat().st_mode & 0o777 == 0o600


def test_a_log_is_written_by_one_server() -> None:
    first = Server(refuse)
    with pytest.raises(OutputError, match="another server writes"):
        Server(refuse)
    asyncio.run(first.service.close())
    Server(refuse)


def test_questions_whose_columns_have_one_name_keep_their_labels() -> None:
    given = {"x": ("yes", 0.5), "x_probability": ("no", 0.5)}
    answers = {
        name: {"type": "choice", "choice": label, "probabilities": {label: share}}
        for name, (label, share) in given.items()
    }
    server = Server(replied(**answers))
    question = {"type": "choice", "criteria": {"yes": None, "no": None}}
    for names in ([*given], [*given][::-1]):
        server.decide(UNSURE, **dict.fromkeys(names, question))
    for line in server.logged():
        assert (line["x"], line["x_probability"]) == ("yes", "no")


def test_a_line_that_has_no_room_leaves_no_part() -> None:
    resource = pytest.importorskip("resource")
    server = Server(replied(team=RETURNS))
    server.decide(UNSURE, team=TEAM)
    whole = server.log.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 20, limits[1]))
    try:
        assert server.decide(UNSURE, team=TEAM).status_code == 200
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert server.log.read_bytes() == whole and "cannot write" in server.lines[0]
    server.decide(UNSURE, team=TEAM)
    assert [line["team"] for line in server.logged()] == ["returns"] * 2


def level(score: float) -> dict[str, Any]:
    return {"type": "score", "score": score, "probabilities": {}}


ASKED = {
    "noul": URGENT,
    "choice": {"type": "choice", "criteria": {"b": None, "a": "words"}},
    "score": {"type": "score", "criteria": ["calm", "cross", "furious"]},
    "grade": {"type": "score", "criteria": ["5", "4", "3"]},
}


@pytest.mark.parametrize(
    ("asked", "given", "logged"),
    rows(
        """
        noul | {"noul": 0.75} | "yes", 0.75
        noul | {"noul": 0.25} | "no", 0.75
        choice | {"choice": "a", "probabilities": {"a": 0.5}} | "a", 0.5
        choice | {"choice": "a"} | "a"
        score | {"score": 1.6} | "2"
        grade | {"score": 1.6} | "3"
        noul | null |
        noul | "yes" |
        noul | {"type": "choice", "noul": 0.75} |
        noul | {"noul": 1.5} |
        noul | {"noul": true} |
        noul | {} |
        choice | {"choice": "c"} |
        choice | {"choice": ["a"]} |
        choice | {"choice": "a", "probabilities": {"a": "high"}} |
        score | {"score": 3} |
        score | {"score": "1"} |
        """
    ),
)
def test_an_answer_of_the_upstream_is_logged_as_an_option_or_refused(
    asked: str, given: str, logged: str
) -> None:
    question = ASKED[asked]
    answer = json.loads(given)
    if isinstance(answer, dict):
        answer = {"type": question["type"], **answer}
    server = Server(replied(q=answer))
    response = server.decide(UNSURE, q=question)
    if not logged:
        assert error_of(response, 503)["reason"] == "shape" and server.logged() == []
        return
    (line,) = server.logged()
    told = [line["q"], *([line["q_probability"]] if line.get("q_probability") else [])]
    assert told == json.loads(f"[{logged}]")


@pytest.mark.parametrize("trained_as", ["score", "choice"])
def test_the_log_has_the_files_labels(trained_as: str) -> None:
    asked = compact({"type": trained_as})
    Path("stars.onnx").write_bytes(
        edited({"labels": '["5","1"]', "question": asked, "abstention": CURVE})
    )
    Path("late.onnx").write_bytes(
        edited({"labels": '["True","False"]', "question": '{"type":"yes_no","yes":"True"}'})
    )
    server = Server(replied(stars=level(0.9), late=urgent(0.75)), shadow=1.0)
    server.answer_with({"stars": Path("stars.onnx"), "late": Path("late.onnx")})
    server.decide(SURE, stars={"type": "score", "criteria": ["bad", "good"]}, late=URGENT)
    (line,) = server.logged()
    assert (line["stars"], line["late"]) == ("5", "True")
    assert [line["because"][name]["label"] for name in ("stars", "late")] == ["1", "False"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_stops_no_answer() -> None:
    server = Server(replied(team=RETURNS), log="/dev/full")
    for _ in range(2):
        assert server.decide(UNSURE, team=TEAM).status_code == 200
    assert len(server.lines) == 1 and "No space left" in server.lines[0]
    assert server.count("log_failures_total") == 2


@pytest.mark.parametrize(
    ("url", "address"),
    rows(
        """
        https://a.example | https://a.example/v1/systemone
        http://localhost:9/api/ | http://localhost:9/api/v1/systemone
        https://a.example/v1/systemone | https://a.example/v1/systemone
        https://a.example/v1/decisions/ | https://a.example/v1/decisions
        https://a.example/api/v1/decisions | https://a.example/api/v1/decisions
        """
    ),
)
def test_the_upstream_is_named_with_or_without_its_path(url: str, address: str) -> None:
    server = Server(replied(urgent=urgent(1)), url=url)
    server.decide(SURE, urgent=URGENT)
    assert str(server.asked[0].url) == address


@pytest.mark.parametrize(
    ("status", "said", "data"),
    rows(
        rf"""
        400 | not JSON |
        400 | not JSON | {{
        400 | not JSON | \xff{{}}
        400 | NaN | {{"state": NaN}}
        422 | state must be | {{"state": {"9" * 5000}, "questions": {{"q": {{"type": "noul"}}}}}}
        400 | nested | {"[" * 100_000}
        422 | JSON object | []
        422 | state must be | {{"state": null, "questions": {{"q": {{"type": "noul"}}}}}}
        422 | state must be | {{"state": true, "questions": {{"q": {{"type": "noul"}}}}}}
        """
    ),
)
def test_a_bad_request_gets_one_line(status: str, said: str, data: str) -> None:
    refused(raw_bytes(data), int(status), said)


@pytest.mark.parametrize(
    ("said", "changes"),
    rows(
        """
        model must be | {"model": 1}
        images | {"assets": {"i": {}}}
        questions must be | {"questions": {}}
        questions must be | {"questions": [{"type": "noul"}]}
        its type must be | {"questions": {"q": null}}
        its type must be | {"questions": {"q": {"type": "box"}}}
        its type must be | {"questions": {"q": {"type": ["noul"]}}}
        an object of options | {"questions": {"q": {"type": "choice"}}}
        an object of options | {"questions": {"q": {"type": "choice", "criteria": ["a"]}}}
        a list of levels | {"questions": {"q": {"type": "score", "criteria": {"0": "a"}}}}
        a list of levels | {"questions": {"q": {"type": "score", "criteria": []}}}
        must be an object | {"questions": {"q": {"type": "noul", "criteria": "x"}}}
        """
    ),
)
def test_a_request_that_asks_for_what_there_is_not_gets_one_line(said: str, changes: str) -> None:
    asked = {"state": SURE, "questions": {"q": URGENT}, **json.loads(changes)}
    refused(json.dumps(asked).encode(), 422, said)


def refused(data: bytes, status: int, said: str) -> None:
    message = error_of(Server().ask("/v1/systemone", content=data), status)["message"]
    assert said in message and len(message) < 250


@pytest.mark.parametrize(
    ("state", "text"),
    rows(
        r"""
        {"subject": "Zürich"} | Zürich
        ["a"] | a
        [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}] | a\nb
        {"type": "text", "text": "a"} | a
        {"subject": "Zürich", "size": 1} | {"subject": "Zürich", "size": 1}
        {"a": 1} | {"a": 1}
        ["a", 1] | ["a", 1]
        [{"user": "a"}, {"agent": "b"}] | [{"user": "a"}, {"agent": "b"}]
        [{"type": "text", "text": 1}] | [{"type": "text", "text": 1}]
        [{"type": "image", "text": "a"}] | [{"type": "image", "text": "a"}]
        [] | []
        {} | {}
        """
    ),
)
def test_a_state_that_holds_nothing_but_texts_is_read_as_these_and_another_as_its_json(
    state: str, text: str
) -> None:
    server = Server(replied(urgent=urgent(1)))
    server.decide(json.loads(state), urgent=URGENT)
    assert server.logged()[0]["text"] == text.replace(r"\n", "\n")


@pytest.mark.parametrize("texts", [None, "one", [1], [""] * 1001])
def test_predict_takes_a_list_of_texts(texts: Any) -> None:
    error = error_of(Server().ask("/predict", json={"texts": texts}), 422)
    assert "texts" in error["message"]


def test_as_much_as_the_limits_say_is_answered() -> None:
    server = Server()
    texts = {"texts": [""] * 1000}
    assert len(server.ask("/predict", json=texts).json()["predictions"]) == 1000
    largest = BODY.ljust(2**20)
    assert server.ask("/v1/systemone", content=largest).status_code == 200
    error = error_of(server.ask("/v1/systemone", content=largest + b" "), 413)
    assert "1,048,576 bytes" in error["message"]
