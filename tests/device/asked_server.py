"""A service of ``serve`` with its files, its upstream and its log, asked without sockets."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from model_files import compact, edited
from table_files import read_rows

from edge_lstm.core.onnx_runtime import OnnxRuntime
from edge_lstm.serving.app import App
from edge_lstm.serving.log import DecisionLog
from edge_lstm.serving.models import Models, Settings
from edge_lstm.serving.service import HandBack, Service
from edge_lstm.serving.upstream import Upstream

httpx = pytest.importorskip("httpx")

SURE = "A wonderful film."
UNSURE = "the film"
TEAM = {"type": "choice", "instructions": "Which team?", "criteria": {"billing": "", "returns": ""}}
URGENT = {"type": "noul", "instructions": "Is it urgent?"}
# From 0.9 on none of 400 answers is wrong.
CURVE = compact({"data": "d", "texts": 1000, "points": [[0.0, 1000, 120], [0.9, 400, 0]]})
Handler = Callable[[Any], Any]


def team_file(labels: tuple[str, str] = ("returns", "billing")) -> Path:
    """A file that answers SURE with the second label at 0.95, and UNSURE with the first at 0.66."""
    path = Path("team.onnx")
    new = Path("new.onnx")
    new.write_bytes(edited({"labels": compact(labels), "abstention": CURVE}))
    new.replace(path)
    return path


def loaded(files: dict[str, Path], **settings: float) -> Models:
    """The files as serve opens them."""
    return Models(files, Settings(OnnxRuntime(), **settings))


class Server:
    """A service with its files, its upstream and its log, asked without sockets."""

    def __init__(
        self,
        handler: Handler | None = None,
        *,
        names: tuple[str, ...] = ("team",),
        shadow: float = 0.0,
        seconds: float = 60,
        log: str = "decisions.jsonl",
        url: str = "https://up.example",
    ) -> None:
        self.file = team_file()
        self.log = Path(log)
        self.lines: list[str] = []
        self.asked: list[Any] = []
        hand_back = None
        if handler is not None:

            async def answer(request: Any) -> Any:
                self.asked.append(request)
                response = handler(request)
                return await response if asyncio.iscoroutine(response) else response

            transport = httpx.MockTransport(answer)
            upstream = Upstream(url, seconds=seconds, transport=transport)
            hand_back = HandBack(upstream, DecisionLog(self.log), shadow)
        models = loaded(dict.fromkeys(names, self.file), abstain=0.02)
        self.service = Service(models, hand_back, report=self.lines.append)
        self.app = App(self.service)

    def answer_with(self, files: dict[str, Path], **settings: float) -> None:
        """Take other files."""
        self.service.models = loaded(files, **settings)
        self.service._batcher._classify = self.service.models.classify

    def refresh(self) -> None:
        """Look whether a file was changed."""
        asyncio.run(self.service.refresh())

    def count(self, name: str, *labels: str) -> float:
        """A metric's value."""
        return self.service.metrics.value(name, *labels)

    def decide(self, state: Any, **questions: Any) -> Any:
        return self.ask("/v1/systemone", json={"state": state, "questions": questions})

    def answers(self, state: Any, **questions: Any) -> dict[str, Any]:
        response = self.decide(state, **questions)
        assert response.status_code == 200
        return dict(response.json()["answers"])

    def choice(self) -> str:
        """The team of a text that the file is sure of."""
        return str(self.answers(SURE, team=TEAM)["team"]["choice"])

    def get(self, path: str) -> Any:
        response = self.ask(path, "GET")
        return response.text if path == "/metrics" else response.json()

    def ask(self, path: str, method: str = "POST", **request: Any) -> Any:
        """One response; what was begun behind it is complete."""

        async def one() -> Any:
            response = await self.client().request(method, path, **request)
            await asyncio.gather(*self.service._shadows)
            return response

        return asyncio.run(one())

    def client(self) -> Any:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://test")

    def logged(self) -> list[dict[str, Any]]:
        return read_rows(self.log)


def replied(**answers: Any) -> Handler:
    return lambda request: httpx.Response(
        200, json={"model": "large-1", "answers": answers, "usage": {"input_tokens": 7}}
    )


def urgent(share: float) -> dict[str, Any]:
    return {"type": "noul", "noul": share}


RETURNS = {"type": "choice", "choice": "returns", "probabilities": {"returns": 0.8}}


def error_of(response: Any, status: int) -> dict[str, Any]:
    """The error of a response: JSON on one line, without a traceback."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert "\n" not in response.text and "Traceback" not in response.text
    error: dict[str, Any] = response.json()["error"]
    return error


async def hang(request: Any) -> Any:
    await asyncio.Event().wait()


def refuse(request: Any) -> Any:
    raise httpx.ConnectError("Connection refused")


def compressed(request: Any) -> Any:
    body = gzip.compress(json.dumps({"answers": {"team": RETURNS, "urgent": urgent(1)}}).encode())
    return httpx.Response(200, content=body, headers={"content-encoding": "gzip"})


FAILURES: dict[str, Handler] = {
    "unreachable": refuse,
    "timeout": hang,
    "status_500": lambda request: httpx.Response(500, text="oops"),
    "status_302": lambda request: httpx.Response(302, headers={"location": "https://other"}),
    "not_json": lambda request: httpx.Response(200, html="<h1>Bad gateway</h1>"),
    "too_long": lambda request: httpx.Response(200, content=b" " * (4 * 2**20 + 1)),
    "compressed": compressed,
    "shape": lambda request: httpx.Response(200, json=["urgent"]),
    "shape of answers": lambda request: httpx.Response(200, json={"answers": {}}),
    "shape of an answer": replied(urgent={"type": "noul", "noul": 7}),
    "not_json but for NaN": lambda request: httpx.Response(
        200, content=b'{"answers": {"urgent": {"type": "noul", "noul": NaN}}}'
    ),
    "not_json but for infinity": lambda request: httpx.Response(
        200, content=b'{"answers": {"urgent": {"type": "noul", "noul": 1}}, "usage": 1e999}'
    ),
}
