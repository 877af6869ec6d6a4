"""The trials of 'doctor': the imports, a model file, its golden rows, the other engine.

Any of them may end the process: some releases of ONNX Runtime die of an illegal instruction when
they are imported on a Raspberry Pi 4. So they run in a child process that reports after every
stage; the last report tells how far it got.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from edge_lstm.core.engine import Engine, chosen_engine
from edge_lstm.core.onnx_runtime import OnnxRuntime, available_providers
from edge_lstm.errors import EdgeLSTMError

# In the order of the run: each needs the stages before it.
STAGES = ("numpy", "onnxruntime", "model", "session", "golden", "engines")

# The child gets the parent's own search path, so that it finds the same packages.
_CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from edge_lstm.doctor.probe import main; main(sys.argv[2], sys.argv[3])"
)


@dataclass(frozen=True)
class Probe:
    """The reports of the stages.

    reports: the findings of each stage that passed.
    stage: the stage that failed; None if all passed.
    reason: the exception's type, the name of the signal that ended the process, ``timeout`` or
        ``exit``; empty if all passed.
    message: details of the reason.
    """

    reports: dict[str, dict[str, Any]]
    stage: str | None = None
    reason: str = ""
    message: str = ""


def run_probe(model: str | None, engine: Engine, *, timeout: float) -> Probe:
    """Run all stages in a child process.

    model: a path; None for the embedded model.
    timeout: in seconds.
    """
    command = [sys.executable, "-c", _CHILD, json.dumps(sys.path), model or "", engine.name]
    try:
        child = subprocess.run(
            command, check=False, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as expired:
        return _probe((expired.stdout or b"").splitlines(), "timeout")
    except OSError as error:
        return _probe([], "exit", f"cannot start a child process ({error.strerror})")
    lines = child.stdout.splitlines()
    code = child.returncode
    if code < 0:
        names = {number.value: number.name for number in signal.Signals}
        return _probe(lines, names.get(-code, f"signal {-code}"))
    last_words = child.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["nothing"]
    message = f"the child process ended with code {code}, saying: {last_words[0][:300]}"
    return _probe(lines, "exit" if code else "", message)


def run_probe_here(model: str | None, engine: Engine) -> Probe:
    """Run all stages in this process, for systems without child processes; a crash ends it."""
    return _probe(_guarded(model, engine))


def main(model: str, engine: str) -> None:
    """Run in the child process: print a line of JSON after each stage, at once."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected: no core file for it
    except ImportError:
        pass  # not on Windows
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # prints of a library must not mix with the reports
    for line in _guarded(model or None, chosen_engine(engine)):
        out.write(line + "\n")
        out.flush()


def _probe(lines: Iterable[str | bytes], reason: str = "", message: str = "") -> Probe:
    """Parse the reports of a process.

    reason, message: why the process ended, for when no report says what failed.
    """
    reports: dict[str, dict[str, Any]] = {}
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:  # a child that is killed may leave half a line
            break
        stage = entry.pop("stage")
        if "error" in entry:
            return Probe(reports, stage, entry["error"], entry["message"])
        reports[stage] = entry
    if not reason and len(reports) == len(STAGES):
        return Probe(reports)
    return Probe(reports, _next_stage(reports), reason or "exit", message)


def _next_stage(reports: Collection[str]) -> str:
    """Return the first stage without a report."""
    return next((stage for stage in STAGES if stage not in reports), STAGES[-1])


def _guarded(model: str | None, engine: Engine) -> Iterator[str]:
    """Yield the stages' reports as JSON; an exception becomes the report of its stage."""
    done = []
    try:
        for entry in _stages(model, engine):
            done.append(entry["stage"])
            yield json.dumps(entry)
    except Exception as error:  # a broken installation may raise anything; all are findings
        message = str(error).strip().splitlines() or [""]
        kind = "EdgeLSTMError" if isinstance(error, EdgeLSTMError) else type(error).__name__
        yield json.dumps({"stage": _next_stage(done), "error": kind, "message": message[0][:400]})


def _stages(model: str | None, engine: Engine) -> Iterator[dict[str, Any]]:
    """Run the stages and yield their reports."""
    import numpy as np

    yield {"stage": "numpy", "finding": f"numpy {np.__version__} imports"}

    version = ""
    finding = "onnxruntime is not needed by the native engine"
    if isinstance(engine, OnnxRuntime):
        import onnxruntime

        version = onnxruntime.__version__
        providers = ", ".join(available_providers().values())
        finding = f"onnxruntime {version} imports; providers: {providers}"
    yield {"stage": "onnxruntime", "finding": finding, "version": version}

    from edge_lstm.core.classifier import Classifier
    from edge_lstm.core.modelfile import open_model

    opened = open_model(model)
    size = f"{opened.precision}, {len(opened.data) / 1000:,.0f} kB"
    words = f"{len(opened.labels)} labels, {len(opened.tokenizer.words):,} words"
    yield {
        "stage": "model",
        "finding": f"{opened.path.name}: {size}, {words}",
        **opened.facts(),
        "labels": list(opened.labels),
        "vocabulary": len(opened.tokenizer.words),
    }

    classifier = Classifier(opened, engine)
    name = engine.name if isinstance(engine, OnnxRuntime) else classifier.runtime
    yield {"stage": "session", "finding": f"{name} loads the model"}

    together = classifier.probabilities_of([row.ids for row in opened.golden])
    rows = []
    for row, in_a_batch in zip(opened.golden, together):
        alone = classifier.probabilities_of([row.ids])[0]
        labels, probabilities = zip(*row.probabilities)
        alone = alone[list(labels)]
        in_a_batch = in_a_batch[list(labels)]
        expected = np.asarray(probabilities, dtype=np.float32)
        difference = float(np.abs(alone - expected).max())
        rows.append(
            {
                "text": row.text,
                "ids_match": opened.tokenizer.encode_text(row.text).ids == list(row.ids),
                "identical": bool((alone == expected).all()),
                "difference": difference if math.isfinite(difference) else 1.0,
                "same_in_a_batch": bool((alone == in_a_batch).all()),
            }
        )
    yield {"stage": "golden", "rows": rows}

    from edge_lstm.doctor import engines

    compared = engines.compare_engines(opened) if engines.both_installed() else None
    yield {"stage": "engines", "compared": compared}
