"""Cold start and memory, measured in fresh processes.

The parent notes the time and starts Python anew; the child reports the time at each step. Both read
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
from typing import TYPE_CHECKING  # noqa: E402

if TYPE_CHECKING:
    from edge_lstm.core.engine import Engine

TIMEOUT_S = 900  # a fresh process under emulation takes a minute; beyond this it hangs


@dataclass(frozen=True)
class ColdStart:
    """The phases of one fresh process, in ms.

    python_ms: Python starts.
    imports_ms: it imports the package.
    load_ms: it loads the model.
    first_ms: it answers the first text.
    """

    python_ms: float
    imports_ms: float
    load_ms: float
    first_ms: float

    @property
    def total_ms(self) -> float:
        """Time from the start of the process to its first answer."""
        return self.python_ms + self.imports_ms + self.load_ms + self.first_ms


@dataclass(frozen=True)
class Memory:
    """Memory of a fresh process, in bytes.

    steady: resident after all texts.
    peak: the largest resident size of the process so far.

    Both are None on systems other than Linux, which do not report them.
    """

    steady: int | None
    peak: int | None


def fresh_process(
    model: Path, engine: Engine, texts: Sequence[str], batch_size: int = 1
) -> tuple[ColdStart, Memory]:
    """Start a process and let it answer the texts, the first one alone.

    model: the model file.
    texts: at least one.
    batch_size: texts per run, after the first.

    Raise ProviderError if the process fails or takes longer than TIMEOUT_S.
    """
    import subprocess  # not above: the child does not need it, and its import would be timed

    from edge_lstm.errors import ProviderError

    # The same import path as here, so that the child runs this very package.
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; "
        "from edge_lstm.latency.cold_start import child; child()"
    )
    request = [str(model), engine.name, engine.threads, list(texts), batch_size]
    started = time.monotonic_ns()
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
            f"a cold start took over {TIMEOUT_S} s; run 'edge-lstm doctor'"
        ) from None
    if done.returncode:
        raise ProviderError(f"a fresh process failed: {_why(done.returncode, done.stderr)}")
    answer = json.loads(done.stdout)
    spans = [answer["entered"] - started, *answer["spans"]]
    return ColdStart(*(span / 1e6 for span in spans)), Memory(*answer["memory"])


def _why(code: int, stderr: bytes) -> str:
    """Return how a process ended, by its exit code and last line, and the advice."""
    last = stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"{how} {last}".rstrip() + "; run 'edge-lstm doctor'"


def child() -> None:
    """Load, answer, and report on standard output; called in the fresh process."""
    from edge_lstm.core.classifier import Classifier
    from edge_lstm.core.engine import chosen_engine
    from edge_lstm.core.modelfile import open_model
    from edge_lstm.system.machine import read_text, sizes

    imported = time.monotonic_ns()
    model, name, threads, texts, batch_size = json.load(sys.stdin.buffer)
    engine = chosen_engine(name).with_threads(threads)
    begun = time.monotonic_ns()
    classifier = Classifier(open_model(model), engine)
    loaded = time.monotonic_ns()
    classifier.predict(texts[:1])
    answered = time.monotonic_ns()
    for start in range(0, len(texts), batch_size):
        classifier.predict(texts[start : start + batch_size], batch_size=batch_size)
    # Not ru_maxrss: on Linux a child inherits the value of its parent.
    memory = sizes(read_text(Path("/proc/self/status")))
    # The spans leave out imported → begun: a program has no request to read.
    spans = [imported - _ENTERED, loaded - begun, answered - loaded]
    json.dump(
        {
            "entered": _ENTERED,
            "spans": spans,
            "memory": [memory.get("VmRSS"), memory.get("VmHWM")],
        },
        sys.stdout,
    )
