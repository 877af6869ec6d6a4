"""A peer's process seen from the orchestrator: start it, ask it, end it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.environments import Environment
from benchmarks.lineup import Contender

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parent.parent
# Set by some hosts for old builds of OpenBLAS; they would slow the newer one that the peers bring.
_NOT_PASSED_ON = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONPATH", "VIRTUAL_ENV")


class PeerError(Exception):
    """A peer answered with an error, or died; the message names the peer."""


class Child:
    """One contender's process with its model loaded. `started_ns` to `first_answer_ns` is its cold start."""

    def __init__(
        self, contender: Contender, environment: Environment, models: Path, documents: Path, *,
        threads: int = 1, cpu: int | None = None, log: Path,
    ) -> None:  # fmt: skip
        self._contender, self._log = contender, log
        command = [str(environment.python), "-m", contender.runner]
        if cpu is not None:
            command = ["taskset", "--cpu-list", str(cpu), *command]
        self.started_ns = time.perf_counter_ns()
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=process_environment(threads), text=True, bufsize=1,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        try:
            self.loaded = self.ask(
                cmd="load", model=str(models / contender.model), threads=threads, options=contender.options,
                documents=str(documents / contender.documents),
            )  # fmt: skip
        except PeerError:
            self.close()
            raise
        self.first_answer_ns = time.perf_counter_ns()

    def ask(self, **command: Any) -> Json:
        """Send one command and wait for its answer; raises PeerError."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            status = self._process.wait()
            raise PeerError(f"{self._contender.name}: process ended with status {status}; see {self._log}")
        answer: Json = json.loads(line)
        if "error" in answer:
            raise PeerError(f"{self._contender.name}: {answer['error']}")
        return answer

    def close(self) -> None:
        """End the process by closing its input; it is killed if it does not end within 10 s."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def process_environment(threads: int, *, keep_python_path: bool = False) -> dict[str, str]:
    """This process's environment with every thread pool that reads a variable held to `threads`.

    keep_python_path: for processes of this same Python; a peer must see its own packages only.
    """
    dropped = set(_NOT_PASSED_ON) - ({"PYTHONPATH"} if keep_python_path else set())
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return kept | dict.fromkeys(pools, str(threads)) | {"TF_CPP_MIN_LOG_LEVEL": "2"}
