"""serve, as a process: many connections, its end, its clients; a file that is replaced."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.needs("uvicorn", "httpx")
for package in ("uvicorn", "httpx"):
    pytest.importorskip(package)

from cases import rows  # noqa: E402
from commands import command  # noqa: E402
from model_files import SMALL, compact, edited  # noqa: E402
from table_files import read_rows  # noqa: E402

SURE = "A wonderful film."
TEAM = {"type": "choice", "criteria": {"billing": None, "returns": None}}
SERVE_PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "serve.md"
DEADLINE = 60  # seconds after which a test fails that waits for the server


@dataclass
class Process:
    """A server of its own."""

    popen: subprocess.Popen[str]
    port: int
    file: Path

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)

    def choice(self) -> str:
        answer = self.decide()
        assert "answers" in answer, answer
        return str(answer["answers"]["team"]["choice"])

    def decide(self) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        body = {"state": SURE, "questions": {"team": TEAM}}
        connection.request("POST", "/v1/systemone", json.dumps(body))
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def end(self) -> str:
        """End it as a service manager does. → the lines that it wrote."""
        self.popen.terminate()
        _, lines = self.popen.communicate(timeout=DEADLINE)
        assert self.popen.returncode == 0, lines
        return lines


@contextmanager
def started(folder: Path, *options: str, code: str = "") -> Iterator[Process]:
    """A server. code: that it runs first."""
    file = folder / "team.onnx"
    models = [] if "--upstream" in options else ["-m", str(file)]
    if models:
        file.write_bytes(edited({"labels": '["returns","billing"]'}))
    start = f"{code}\nfrom edge_lstm.__main__ import main\nmain()"
    line = [sys.executable, "-c", start, "serve", *models, "--port", "0", *options]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as popen:
        assert popen.stderr is not None
        try:
            if models:
                assert popen.stderr.readline() == "team: choice: returns, billing\n"
            address = re.search(r"http://127\.0\.0\.1:(\d+)", popen.stderr.readline())
            assert address
            yield Process(popen, int(address[1]), file)
        finally:
            if popen.poll() is None:
                popen.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with started(tmp_path_factory.mktemp("serve")) as process:
        yield process
        assert process.end() == "ended\n"


def status_of(connection: socket.socket) -> int:
    """The status of a response."""
    return int(connection.recv(2**16).split()[1])


def test_bytes_that_are_no_http_get_status_400(server: Process) -> None:
    with server.connect() as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert status_of(connection) == 400


def test_a_request_over_the_limit_of_connections_gets_status_503(tmp_path: Path) -> None:
    limit = "from edge_lstm.serving import server; server.MAX_CONNECTIONS = 4"
    with started(tmp_path, code=limit) as process, ExitStack() as others:
        for _ in range(4):
            others.enter_context(process.connect())
        connection = others.enter_context(process.connect())
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert status_of(connection) == 503
    from edge_lstm.serving.server import MAX_CONNECTIONS

    assert f"from {MAX_CONNECTIONS} open ones on" in SERVE_PAGE.read_text()


@pytest.mark.skipif(os.name == "nt", reason="Windows ends the process at once")
def test_a_request_that_does_not_come_does_not_keep_the_server_from_its_end(
    tmp_path: Path,
) -> None:
    halves = [b"POST /predict HTTP/1.1\r\n", b"Host: a\r\nContent-Length: 9\r\n\r\n{"]
    with started(tmp_path, "--timeout", "1") as process, ExitStack() as slow:
        for sent in (b"", halves[0], b"".join(halves)):
            slow.enter_context(process.connect()).sendall(sent)
        assert process.choice() == "billing"
        assert process.end() == "ended\n"


def test_a_server_without_files_passes_on_and_logs_until_the_upstream_is_gone(
    tmp_path: Path,
) -> None:
    log = Path("decisions.jsonl")
    with started(tmp_path) as behind:
        upstream = ["--upstream", f"http://127.0.0.1:{behind.port}", "--log", str(log)]
        with started(tmp_path, *upstream, "--timeout", "5") as server:
            assert server.choice() == "billing"
            assert behind.end() == "ended\n"
            answer = server.decide()
            assert answer["error"]["type"] == "upstream_unavailable"
            assert (answer["error"]["questions"], answer["answers"]) == (["team"], {})
            assert server.end() == "ended\n"
    (line,) = read_rows(log)
    assert (line["text"], line["team"], line["model"]) == (SURE, "billing", "edge-lstm")


def test_a_replaced_file_is_taken_over_and_a_damaged_one_is_not(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        assert process.choice() == "billing"
        process.file.write_bytes(b"\x08 damaged")
        assert process.popen.stderr is not None
        refused = process.popen.stderr.readline()
        assert refused.startswith("team: the changed file is refused, the old one goes on: ")
        assert process.choice() == "billing"
        new = Path("new.onnx")
        new.write_bytes(edited({"labels": '["billing","returns"]'}))
        new.replace(process.file)
        until = time.monotonic() + DEADLINE
        while process.choice() != "returns":
            assert time.monotonic() < until
        lines = process.end()
        assert lines == f"team: took over the changed {process.file}\nended\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_ctrl_c_is_an_ordinary_end(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        process.popen.send_signal(signal.SIGINT)
        _, lines = process.popen.communicate(timeout=DEADLINE)
        assert (process.popen.returncode, lines) == (0, "ended\n")


@pytest.mark.parametrize(
    ("options", "said"),
    rows(
        f"""
        --log x.jsonl | add --upstream
        --shadow 0.5 | add --upstream
        --upstream up.example | is not the URL of a service
        --upstream ftp://up.example | is not the URL of a service
        --upstream https:// | is not the URL of a service
        --upstream http://up.example:99999 | is not the URL of a service
        --upstream http://[ | is not the URL of a service
        -m none.onnx | no model file at none.onnx
        -m a=none.onnx -m a=other.onnx | the name a
        -m a= | names no file
        -m a$b.onnx | needs a name
        -m sentiment --abstain 2 | above 0 and below 1
        -m m={SMALL} --abstain 0.02 | no risk-coverage curve
        -m sentiment --engine fast | the engine 'fast' is unknown
        --upstream http://u.example --log none/x.jsonl | cannot write
        -m sentiment -m m=x.onnx --upstream http://u.example --log x.onnx | x.onnx
        --host 256.0.0.1 | cannot listen
        """
    ),
)
def test_a_wrong_option_is_one_line(options: str, said: str) -> None:
    assert said in command("serve", *options.split()).error


def test_each_option_reaches_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_lstm.serving import server

    calls: list[Any] = []
    monkeypatch.setattr(server, "listen", lambda *address: calls.append(address))
    monkeypatch.setattr(server, "serve", lambda *given: calls.append(given))
    curve = {"data": "d", "texts": 1000, "points": [[0.0, 1000, 120], [0.9, 400, 0]]}
    file = Path("team.onnx")
    file.write_bytes(edited({"abstention": compact({**curve, "unfamiliar": [[0.05, 1.0]]})}))

    plain = ("serve", "-m", str(file), "--upstream", "http://u.example")
    said = command(*plain).stderr
    assert said.startswith("note: team never hands back an answer; --abstain SHARE makes it do so")
    address, (service, _, seconds) = calls
    assert (address, seconds) == (("127.0.0.1", 8000), 10.0)
    policy = service.models.served["team"].policy
    assert (policy.threshold or 0, policy.unfamiliar) == (0, None)
    assert (service._hand_back.log, service._hand_back.shadow) == (None, 0.0)
    assert service._hand_back.upstream._seconds == 10.0

    calls.clear()
    options = "--host ::1 --port 81 --abstain 0.02 --unfamiliar 0.05 --shadow 0.5 --timeout 3"
    said = command(*plain, *options.split(), "--log", "x.jsonl").stderr
    assert "never hands back" not in said
    address, (service, _, seconds) = calls
    assert (address, seconds) == (("::1", 81), 3.0)
    policy = service.models.served["team"].policy
    assert policy.threshold == pytest.approx(0.9) and policy.unfamiliar is not None
    assert (service._hand_back.log.path, service._hand_back.shadow) == (Path("x.jsonl"), 0.5)
    assert service._hand_back.upstream._seconds == 3.0


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_a_log_that_everybody_can_read_is_told_at_the_start(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.touch()
    log.chmod(0o644)
    upstream = ("--upstream", "http://127.0.0.1:9", "--log", log)
    said = command("serve", *upstream, "--host", "256.0.0.1").stderr
    assert said.startswith(f"note: every user of this machine can read {log}")


def test_a_port_that_is_taken_is_one_line(server: Process) -> None:
    assert "choose another --port" in command("serve", "--port", str(server.port)).error


def test_the_parts_of_an_answer_are_sent_at_once() -> None:
    from edge_lstm.serving.server import listen

    with (
        listen("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as connection,
    ):
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
