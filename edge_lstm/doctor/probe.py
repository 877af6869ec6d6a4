"""What 'doctor' tries out: the imports, a model file, its golden rows, the other engine.

Any of it may end the process: some releases of ONNX Runtime die of an illegal instruction when they
are imported on a Raspberry Pi 4. So it runs in a child process that reports after every stage, and
the last report tells how far it came.
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

from edge_lstm.errors import EdgeLSTMError

# In this order; each needs the ones before it.
STAGES = ("numpy", "onnxruntime", "model", "session", "golden", "engines")

# The child gets the parent's own search path, so that it finds the same packages.
_CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from edge_lstm.doctor.probe import main; main(sys.argv[2], sys.argv[3])"
)


@dataclass(frozen=True)
class Probe:
    """How far it came.

    reports: what each finished stage found out.
    stage: the stage that failed, None where all passed. Then reason is the exception's type, the
    name of the signal that ended the process, ``timeout``, or ``exit``; message: more of it.
    """

    reports: dict[str, dict[str, Any]]
    stage: str | None = None
    reason: str = ""
    message: str = ""


def run_probe(model: str | None, provider: str, *, timeout: float) -> Probe:
    """Run all stages in a child process that has ``timeout`` seconds. model: a path, None for the
    embedded one."""
    command = [sys.executable, "-c", _CHILD, json.dumps(sys.path), model or "", provider]
    try:
        child = subprocess.run(
            command, check=False, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as expired:
        return _probe((expired.stdout or b"").splitlines(), "timeout")
    except OSError as error:
        return _probe([], "exit", f"cannot start a child process ({error.strerror})")
    lines, code = child.stdout.splitlines(), child.returncode
    if code < 0:
        names = {number.value: number.name for number in signal.Signals}
        return _probe(lines, names.get(-code, f"signal {-code}"))
    last_words = child.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["nothing"]
    message = f"the child process ended with code {code}, saying: {last_words[0][:300]}"
    return _probe(lines, "exit" if code else "", message)


def run_probe_here(model: str | None, provider: str) -> Probe:
    """The same in this process, where child processes are impossible; a crash ends it."""
    return _probe(_guarded(model, provider))


def main(model: str, provider: str) -> None:
    """The child process: a line of JSON on standard output for each stage, at once."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected: no core file for it
    except ImportError:
        pass  # not on Windows
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not mix with the reports
    for line in _guarded(model or None, provider):
        out.write(line + "\n")
        out.flush()


def _probe(lines: Iterable[str | bytes], reason: str = "", message: str = "") -> Probe:
    """The reports; where none says what failed, ``reason`` says why the process ended."""
    reports: dict[str, dict[str, Any]] = {}
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:  # the last may be cut short where the child was killed
            break
        stage = entry.pop("stage")
        if "error" in entry:
            return Probe(reports, stage, entry["error"], entry["message"])
        reports[stage] = entry
    if not reason and len(reports) == len(STAGES):
        return Probe(reports)
    return Probe(reports, _next_stage(reports), reason or "exit", message)


def _next_stage(reports: Collection[str]) -> str:
    return next((stage for stage in STAGES if stage not in reports), STAGES[-1])


def _guarded(model: str | None, provider: str) -> Iterator[str]:
    """The stages' reports as JSON; an exception becomes the last one, under the name of its
    stage."""
    done = []
    try:
        for entry in _stages(model, provider):
            done.append(entry["stage"])
            yield json.dumps(entry)
    except Exception as error:  # a broken installation raises anything; all of it is a finding
        message = str(error).strip().splitlines() or [""]
        kind = "EdgeLSTMError" if isinstance(error, EdgeLSTMError) else type(error).__name__
        yield json.dumps({"stage": _next_stage(done), "error": kind, "message": message[0][:400]})


def _stages(model: str | None, provider: str) -> Iterator[dict[str, Any]]:
    import numpy as np

    yield {"stage": "numpy", "finding": f"numpy {np.__version__} imports"}

    from edge_lstm.native import NATIVE

    version, finding = "", "onnxruntime is not needed by the native engine"
    if provider != NATIVE:
        import onnxruntime

        from edge_lstm.classifier import available_providers

        version = onnxruntime.__version__
        finding = f"onnxruntime {version} imports; providers: {', '.join(available_providers())}"
    yield {"stage": "onnxruntime", "finding": finding, "version": version}

    from edge_lstm.classifier import Classifier
    from edge_lstm.modelfile import open_model

    opened = open_model(model)
    yield {
        "stage": "model",
        "finding": f"{opened.path.name}: {opened.precision}, {len(opened.data) / 1000:,.0f} kB, "
        f"{len(opened.labels)} labels, {len(opened.tokenizer.words):,} words",
        **opened.facts(),
        "labels": list(opened.labels),
        "vocabulary": len(opened.tokenizer.words),
    }

    classifier = Classifier.from_model(opened, provider=provider)
    name = classifier.runtime if provider == NATIVE else provider
    yield {"stage": "session", "finding": f"{name} loads the model", "provider": provider}

    together = classifier.probabilities_of([row.ids for row in opened.golden])
    rows = []
    for row, in_a_batch in zip(opened.golden, together):
        alone = classifier.probabilities_of([row.ids])[0]
        expected = np.asarray(row.probabilities, dtype=np.float32)
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

    compared = engines.compare(opened) if engines.both_installed() else None
    yield {"stage": "engines", "compared": compared}
