"""What a peer's process hears and answers: one JSON command a line in, one JSON answer a line out.

    {"cmd": "load", "model": PATH, "documents": PATH, "threads": 1, "options": {}}
        → {"load_ns": …, "first_ns": …, "version": "…", "facts": {}}
    {"cmd": "run", "batch": 8, "rows": [3, 1, …]}
        → {"ns": [one a call], "cpu_ns": all calls together}
    {"cmd": "probabilities", "batch": 1, "rows": [0, …], "output": PATH}
        → {"rows": n}, and float32 [n] in the .npy
    {"cmd": "memory"}
        → {"peak_kib": …, "resident_kib": …}

The process ends when its input does. Only the standard library and numpy are imported here, so that the
cold start and the memory of a peer are its own.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Json = dict[str, Any]
Documents = NDArray[np.int32] | list[str]  # ids [n, 600], or one text a row for the peers that take text


class Runner(Protocol):
    """One tool: how it opens its model and how it answers a batch."""

    distribution: str  # its name on the package index, for the version

    def load(self, model: Path, threads: int, options: dict[str, str]) -> Json:
        """Open the model; returns facts worth reporting, such as the precision that is really used."""
        ...

    def prepare(self, documents: Documents, rows: list[int]) -> Any:
        """These rows in the form that the tool takes. Not timed, since a tokenizer would give that form."""
        ...

    def predict(self, batch: Any) -> NDArray[np.float32]:
        """Probability of the positive label, float32 [batch]. Timed."""
        ...


def serve(runner: Runner) -> None:
    """Answer commands until standard input closes."""
    # A tool that prints must not break the protocol: its standard output becomes standard error.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    session = _Session(runner)
    for line in sys.stdin:
        try:
            answer = session.answer(json.loads(line))
        except Exception as error:  # whatever a tool throws, the parent decides what becomes of the peer
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class _Session:
    """A loaded runner and the documents it is asked about."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._documents: Documents = []

    def answer(self, command: Json) -> Json:
        return {
            "load": self._load,
            "run": self._run,
            "probabilities": self._probabilities,
            "memory": _memory,
        }[command["cmd"]](command)

    def _load(self, command: Json) -> Json:
        self._documents = _read_documents(Path(command["documents"]))
        started = time.perf_counter_ns()
        facts = self._runner.load(Path(command["model"]), command["threads"], command.get("options", {}))
        loaded = time.perf_counter_ns()
        self._runner.predict(self._runner.prepare(self._documents, [0]))
        answered = time.perf_counter_ns()
        return {
            "load_ns": loaded - started,
            "first_ns": answered - loaded,
            "version": _version(self._runner.distribution),
            "facts": facts,
        }

    def _run(self, command: Json) -> Json:
        batches = list(self._batches(command))
        samples: list[int] = []
        gc.disable()  # as timeit does: a collection belongs to no call
        cpu = time.process_time_ns()
        for batch in batches:
            started = time.perf_counter_ns()
            self._runner.predict(batch)
            samples.append(time.perf_counter_ns() - started)
        cpu = time.process_time_ns() - cpu
        gc.enable()
        return {"ns": samples, "cpu_ns": cpu}

    def _probabilities(self, command: Json) -> Json:
        answers = np.concatenate([self._runner.predict(batch) for batch in self._batches(command)])
        np.save(command["output"], answers.astype(np.float32))
        return {"rows": len(answers)}

    def _batches(self, command: Json) -> Iterator[Any]:
        rows, size = command["rows"], command["batch"]
        for start in range(0, len(rows), size):
            yield self._runner.prepare(self._documents, rows[start : start + size])


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "from source"  # importable without being installed, as in a checkout


def _read_documents(path: Path) -> Documents:
    if path.suffix == ".npy":
        ids: NDArray[np.int32] = np.load(path)
        return ids
    lines = path.read_text(encoding="utf-8").split("\n")  # splitlines cuts at characters within a text
    return lines[:-1]


def _memory(_: Json) -> Json:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {"peak_kib": int(status["VmHWM"].split()[0]), "resident_kib": int(status["VmRSS"].split()[0])}
