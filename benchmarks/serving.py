"""``edge-lstm serve`` beside a bare Starlette echo: requests per second, p50, p99 and memory.

    python -m benchmarks.serving [MODEL ...] [--connections 16] [--requests 20000] [--rounds 3]

Each server is pinned to one core, the clients to the others. Servers take turns, round by round, so
that a busy moment meets all alike. A figure is that of each server's fastest round, which other
work on the machine disturbs least. The echo sends the body back as it came. The texts are the first
words of the package's reviews. CPU is the server's own time per request, which other work disturbs
less than its requests per second. Memory is the server's resident set after the first round and
after the last: it must not grow.

``serve (engine)``: the question of a file, by each engine. ``5 questions``: five names for the
file, all asked at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from benchmarks.table import markdown_table
from edge_lstm.core.modelfile import embedded_model, open_model
from edge_lstm.models import example_texts

ECHO = """
import sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

async def echo(request):
    return Response(await request.body(), media_type="application/json")

app = Starlette(routes=[Route("/v1/systemone", echo, methods=["POST"])])
uvicorn.run(app, port=int(sys.argv[1]), log_level="critical", access_log=False)
"""
FIRST_PORT = 18100
WARM_UP = 500  # requests before the first round
WORDS = 12  # of a text: a short question, such as a ticket's first line


@dataclass
class Server:
    """A server under test.

    name: in the table.
    command: starts it.
    port: on which it answers.
    questions: names that a request asks.
    """

    name: str
    command: list[str]
    port: int
    questions: tuple[str, ...] = ("q",)
    per_second: list[float] = field(default_factory=list)
    latencies: list[list[float]] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)


class Client(asyncio.Protocol):
    """A connection that sends the next request when the answer is there."""

    def __init__(self, requests: Sequence[bytes], count: int) -> None:
        self.requests = requests
        self.left = count
        self.data = b""
        self.times: list[float] = []
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.send()

    def send(self) -> None:
        """Send a request, or end."""
        if not self.left:
            self.transport.close()
            self.done.set_result(self.times)
            return
        self.left -= 1
        self.began = time.perf_counter()
        self.transport.write(self.requests[self.left % len(self.requests)])

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer."""
        self.data += data
        head, end, body = self.data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        if end and length and len(body) >= int(length[1]):
            assert head.startswith(b"HTTP/1.1 200"), self.data
            self.times.append(time.perf_counter() - self.began)
            self.data = b""
            self.send()


def requests(names: Sequence[str], labels: Sequence[str]) -> list[bytes]:
    """Return a request for each review."""
    question = {"type": "choice", "instructions": "Which?", "criteria": dict.fromkeys(labels)}
    made = []
    for text in example_texts():
        state = " ".join(text.split()[:WORDS])
        body = {"model": "any", "state": state, "questions": dict.fromkeys(names, question)}
        data = json.dumps(body).encode()
        head = (
            "POST /v1/systemone HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
            f"content-length: {len(data)}\r\n\r\n"
        )
        made.append(head.encode() + data)
    return made


async def load(port: int, made: Sequence[bytes], connections: int, count: int) -> list[float]:
    """Send requests on connections. → the seconds of each."""
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(
            lambda: Client(made, count // connections), "127.0.0.1", port
        )
        clients.append(client)
    times = await asyncio.gather(*[client.done for client in clients])
    return [each for part in times for each in part]


def megabytes(process: int) -> float:
    """Return the resident set of a process."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1000 if found else 0.0


def cpu_seconds(process: int) -> float:
    """Return the CPU time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(port: int) -> None:
    """Return when a server listens."""
    until = time.monotonic() + 60
    while True:
        try:
            asyncio.run(asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 1))
        except OSError:
            assert time.monotonic() < until, f"nobody listens on {port}"
            time.sleep(0.05)
        else:
            return


def servers(model: Path) -> list[Server]:
    """Return the servers to compare."""
    found = [Server("Starlette echo", [sys.executable, "-c", ECHO], FIRST_PORT)]
    names = tuple(f"q{i}" for i in range(1, 6))
    for engine in ("onnxruntime", "native"):
        if engine == "native" and find_spec("edge_lstm_native") is None:
            continue
        for asked in (("q",), names):
            what = f"serve ({engine})" if asked == ("q",) else f"serve ({engine}), 5 questions"
            port = FIRST_PORT + len(found)
            models = [word for name in asked for word in ("-m", f"{name}={model}")]
            command = [sys.executable, "-m", "edge_lstm", "serve", *models, "--engine", engine]
            found.append(Server(what, [*command, "--port", str(port)], port, asked))
    # The echo's port is its only argument.
    found[0].command.append(str(FIRST_PORT))
    return found


def measure(server: Server, process: int, made: Sequence[bytes], asked: argparse.Namespace) -> None:
    """Send a round of requests, and keep its figures."""
    cpu = cpu_seconds(process)
    began = time.perf_counter()
    times = asyncio.run(load(server.port, made, asked.connections, asked.requests))
    server.per_second.append(len(times) / (time.perf_counter() - began))
    server.cpu.append((cpu_seconds(process) - cpu) / len(times))
    server.latencies.append(sorted(times))
    server.megabytes.append(megabytes(process))


def row(server: Server, echo: float) -> list[str]:
    """Return the figures of the fastest round. echo: requests per second of the echo."""
    best = server.per_second.index(max(server.per_second))
    times = server.latencies[best]
    return [
        server.name,
        f"{server.per_second[best]:,.0f}",
        f"{server.per_second[best] / echo:.2f}",
        f"{1e6 * min(server.cpu):.0f}",
        f"{1000 * statistics.median(times):.2f}",
        f"{1000 * times[int(0.99 * len(times))]:.2f}",
        f"{server.megabytes[0]:.0f} → {server.megabytes[-1]:.0f}",
    ]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", type=Path, default=embedded_model())
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="servers whose name has this, and the echo")
    asked = parser.parse_args()
    labels = open_model(asked.model).labels
    echo, *others = servers(asked.model)
    compared = [echo, *(server for server in others if asked.only in server.name)]
    core, *free = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    # A child inherits the core.
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = [subprocess.Popen(server.command, **quiet) for server in compared]
    try:
        os.sched_setaffinity(0, set(free) or {core})
        made = [requests(server.questions, labels) for server in compared]
        for server, of_server in zip(compared, made):
            wait_for(server.port)
            asyncio.run(load(server.port, of_server, asked.connections, WARM_UP))
        for _ in range(asked.rounds):
            for server, process, of_server in zip(compared, processes, made):
                measure(server, process.pid, of_server, asked)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
    header = ("server", "requests/s", "of the echo", "CPU µs", "p50 ms", "p99 ms", "MB")
    print(markdown_table(header, [row(server, max(echo.per_second)) for server in compared]))


if __name__ == "__main__":
    main()
