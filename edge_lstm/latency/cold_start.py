"""Cold start and memory, each in a fresh process: what a user waits for, and what the device must hold.

The parent notes the time, starts Python anew, and the child reports the time at each step; both read
the same monotonic clock of the machine. :func:`child` runs in the new process.
"""

from __future__ import annotations

import time

_ENTERED = time.monotonic_ns()  # before anything else is imported: Python itself has started

import json  # noqa: E402
import sys  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

TIMEOUT_S = 900  # a fresh process under emulation takes a minute; beyond this it hangs


@dataclass(frozen=True)
class ColdStart:
    """One fresh process, in ms: Python starts, imports, loads the model, answers its first text."""

    python_ms: float
    imports_ms: float
    load_ms: float
    first_ms: float

    @property
    def total_ms(self) -> float:
        """Start of the process → first answer."""
        return self.python_ms + self.imports_ms + self.load_ms + self.first_ms


@dataclass(frozen=True)
class Memory:
    """Memory of a fresh process, in bytes: resident after all texts, and the most it ever was. None where the
    system does not say (only Linux does).
    """

    steady: int | None
    peak: int | None


def cold_start(model: Path, threads: int, provider: str, text: str) -> ColdStart:
    """Starts a process, asks it for one answer, and takes the times. Raises ProviderError."""
    started = time.monotonic_ns()
    answer = _ask({"model": str(model), "threads": threads, "provider": provider, "texts": [text]})
    return ColdStart((answer["entered"] - started) / 1e6, *(span / 1e6 for span in answer["spans"]))


def memory_of(model: Path, threads: int, provider: str, batch_size: int, texts: Sequence[str]) -> Memory:
    """Starts a process, lets it answer all texts, and reads its memory. Raises ProviderError."""
    request = {"model": str(model), "threads": threads, "provider": provider}
    answer = _ask({**request, "texts": list(texts), "batch_size": batch_size})
    return Memory(*answer["memory"])


def _ask(request: dict[str, Any]) -> dict[str, Any]:
    import subprocess  # not needed, and not to be paid for, in the child

    from edge_lstm.errors import ProviderError

    # The same import path as here, so that the child runs this very package.
    code = f"import sys; sys.path[:] = {sys.path!r}; from edge_lstm.latency.cold_start import child; child()"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ProviderError(
            f"a fresh process gave no answer in {TIMEOUT_S} s; run 'edge-lstm doctor'"
        ) from None
    if done.returncode:
        raise ProviderError(f"a fresh process failed: {_why(done.returncode, done.stderr)}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _why(code: int, stderr: bytes) -> str:
    """The exit code and the last words of a process → what a person can do about it."""
    lines = stderr.decode("utf-8", "replace").strip().splitlines() or [""]
    if any("pthread_create failed" in line for line in lines):  # OpenBLAS, which then sends itself SIGINT
        return "the system lets it start no thread; raise the limit of processes (ulimit -u, pids.max)"
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"{how} {lines[-1]}".rstrip() + "; run 'edge-lstm doctor'"


def child() -> None:
    """In the fresh process: load, answer, report on standard output."""
    from edge_lstm.classifier import Classifier
    from edge_lstm.modelfile import open_model

    imported = time.monotonic_ns()
    request = json.load(sys.stdin.buffer)
    texts = request["texts"]
    begun = time.monotonic_ns()
    opened = open_model(request["model"])
    classifier = Classifier.from_model(opened, threads=request["threads"], provider=request["provider"])
    loaded = time.monotonic_ns()
    classifier.predict(texts[:1])
    answered = time.monotonic_ns()
    size = request.get("batch_size", 1)
    for start in range(0, len(texts), size):
        classifier.predict(texts[start : start + size], batch_size=size)
    memory = [_resident("VmRSS"), _resident("VmHWM")]
    # The spans leave out imported → begun: reading the request is the parent's business.
    spans = [imported - _ENTERED, loaded - begun, answered - loaded]
    json.dump({"entered": _ENTERED, "spans": spans, "memory": memory}, sys.stdout)


def _resident(key: str) -> int | None:
    """VmRSS or VmHWM of this process in bytes. Not ru_maxrss: Linux hands that on from the parent."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None
