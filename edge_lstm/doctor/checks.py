"""The checks of a device, the verdict and the advice.

Standard library only: numpy and ONNX Runtime may be broken, so a child process tries them
(probe.py).
"""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from platform import python_implementation, python_version
from typing import Any, Literal

from edge_lstm._version import __version__
from edge_lstm.core.engine import Engine
from edge_lstm.core.native import Native
from edge_lstm.core.onnx_runtime import OnnxRuntime
from edge_lstm.doctor.engines import ADVICE
from edge_lstm.doctor.probe import Probe, run_probe, run_probe_here
from edge_lstm.system.machine import Machine, this_machine

# Differences of a probability that are allowed. Some CPUs (ARM, x86 without AVX2) have an order of
# arithmetic of their own, which shows in the answers.
TOLERANCE = 1e-3
# The same between ONNX Runtime and the native engine, on other CPUs.
APART = 1e-6
# With these, ONNX Runtime's int8 product and its tanh and sigmoid give the same bits on every x86
# CPU.
EXACT_FEATURES = {"avx2", "fma"}
LITTLE_MEMORY = 100 * 2**20  # a process with ONNX Runtime and a model of 1 MB takes about 60 MiB

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Check:
    """One finding.

    name: the subject of the check.
    state: ``ok``, ``warning`` or ``failed``.
    finding: what was found, in a line.
    advice: what to do; None if the state is ``ok``.
    """

    name: str
    state: State
    finding: str
    advice: str | None = None

    @property
    def line(self) -> str:
        """The finding and the advice, for a person."""
        return f"{self.finding}; {self.advice}" if self.advice else self.finding


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """The result of all checks.

    fit: whether no check failed.
    verdict: one line for a person, with advice if a check failed.
    machine: the facts of the machine.
    python: implementation and version.
    packages: name → version.
    checks: all findings.
    model: facts of the model file; None if it could not be read.
    golden_rows: the answers to the golden rows; empty if the trials did not get that far.
    """

    fit: bool
    verdict: str
    machine: Machine
    python: str
    packages: dict[str, str]
    checks: tuple[Check, ...]
    model: dict[str, Any] | None
    golden_rows: list[dict[str, Any]]


def examine(
    model: Path | None = None,
    engine: Engine = OnnxRuntime(),
    *,
    timeout: float = 60.0,
    in_process: bool = False,
    root: Path = Path("/"),
) -> Diagnosis:
    """Look at the machine and the installation, load the model and run its golden rows.

    model: a model file; None for the embedded one.
    timeout: limit of the child process, in seconds; a worn SD card makes it slow.
    in_process: start no child process, so that a crash ends this one.
    root: the folder with the system's files (for tests).

    A broken installation raises nothing: it is a finding.
    """
    machine = this_machine(root)
    packages = installed_packages()
    path = None if model is None else str(model)
    probe = run_probe_here(path, engine) if in_process else run_probe(path, engine, timeout=timeout)
    checks = (
        *_machine_checks(machine),
        *package_checks(packages),
        *_probe_checks(probe, engine, machine, packages),
    )
    facts = probe.reports.get("model")
    return Diagnosis(
        fit=all(check.state != "failed" for check in checks),
        verdict=_verdict(checks, facts),
        machine=machine,
        python=f"{python_implementation()} {python_version()}",
        packages=packages,
        checks=checks,
        model=facts,
        golden_rows=probe.reports.get("golden", {}).get("rows", []),
    )


def installed_packages() -> dict[str, str]:
    """Return name → version of the packages that matter, and of every build of ONNX Runtime."""
    versions = {"edge-lstm": __version__}
    for name in ("onnxruntime", "edge-lstm-native", "numpy", "typer", "pyarrow"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"] or ""
        # Builds such as -openvino and -gpu install the module onnxruntime, too.
        if name.startswith("onnxruntime-"):
            versions[name] = distribution.version
    return versions


def package_checks(packages: dict[str, str]) -> Iterator[Check]:
    """Yield a finding for packages that do not fit together. packages: name → version."""
    builds = [name for name in packages if name.startswith("onnxruntime")]
    if len(builds) > 1:
        finding = f"{' and '.join(builds)} are installed and overwrite each other's files"
        advice = f"keep one: pip uninstall {' '.join(builds)}, then install the one you want"
        yield Check("packages", "warning", finding, advice)


def _verdict(checks: tuple[Check, ...], facts: dict[str, Any] | None) -> str:
    """Return one line for a person. facts: of the model file, None if it could not be read."""
    failed = [check for check in checks if check.state == "failed"]
    if failed:
        return f"not fit: {failed[0].line}"
    name = Path(facts["path"]).name if facts else "the model"
    has_warning = any(check.state == "warning" for check in checks)
    warnings = "; see the warnings" if has_warning else ""
    return f"fit: this device runs {name} correctly{warnings}"


def _machine_checks(machine: Machine) -> Iterator[Check]:
    """Yield the findings about the system, the CPU and the memory."""
    python = f"{machine.bits}-bit Python on {machine.architecture}"
    if machine.bits == 64:
        yield Check("64 bits", "ok", python)
    else:
        finding = f"{python}: onnxruntime has no packages for it"
        yield Check("64 bits", "warning", finding, "install a 64-bit system image")
    usable = min(machine.usable_cores, machine.cpu_quota or machine.usable_cores)
    if usable < 1:
        finding = f"the control group allows {usable:g} of a CPU: latency varies"
        advice = "raise its CPU quota, or measure with 'edge-lstm latency' in the same group"
        yield Check("cores", "warning", finding, advice)
    sizes = (machine.available_bytes, machine.memory_limit_bytes)
    available = min((size for size in sizes if size is not None), default=LITTLE_MEMORY)
    if available < LITTLE_MEMORY:
        finding = f"{available / 2**20:.0f} MiB of memory available, a process needs about 60 MiB"
        yield Check("memory", "warning", finding, "stop other programs or add swap")


def _probe_checks(
    probe: Probe, engine: Engine, machine: Machine, packages: dict[str, str]
) -> Iterator[Check]:
    """Yield the findings of the stages that passed, in order, then of the one that failed."""
    for stage, report in probe.reports.items():
        if stage == "golden":
            yield from _golden_checks(probe.reports, engine, machine)
        elif stage == "engines":
            yield from engine_checks(report["compared"], machine)
        else:
            yield Check(stage, "ok", report["finding"])
    if probe.stage is not None:
        yield _failure(probe, probe.stage, machine, packages)


def _golden_checks(
    reports: dict[str, dict[str, Any]], engine: Engine, machine: Machine
) -> Iterator[Check]:
    """Yield the findings of the file's own test, its golden rows.

    The device must give them the ids of the file, the answers of the file, and the same answers
    alone and in a batch.
    """
    rows = reports["golden"]["rows"]
    if not rows:
        advice = "export it again to check its answers"
        yield Check("golden rows", "warning", "the model file has no golden rows", advice)
        return
    n = len(rows)
    is_int8 = reports["model"]["precision"] == "int8"
    version = reports["onnxruntime"]["version"]
    other_release = f"try another release: pip install 'onnxruntime!={version}'"

    if wrong_ids := sum(not row["ids_match"] for row in rows):
        finding = f"{wrong_ids} of {n} golden rows get other token ids than in the file"
        advice = "install edge-lstm again, or export the model again"
        yield Check("text rule", "failed", finding, advice)
    else:
        yield Check("text rule", "ok", f"{n} of {n} golden rows get the token ids of the file")

    largest = max(row["difference"] for row in rows)
    identical = sum(row["identical"] for row in rows)
    # The promise of int8 on ONNX Runtime's CPU provider; elsewhere TOLERANCE holds.
    is_exact = is_int8 and engine == OnnxRuntime() and set(machine.features) >= EXACT_FEATURES
    finding = f"{identical} of {n} answers are bit-identical to the file's"
    others = f"{finding}, the others within {largest:.1g}"
    if identical == n:
        yield Check("golden rows", "ok", finding)
    elif is_exact or largest > TOLERANCE:
        expected = "the same bits" if is_exact else f"at most {TOLERANCE:g}"
        advice = f"this CPU should give {expected}; {other_release}"
        yield Check("golden rows", "failed", others, advice)
    else:
        where = "with this engine" if isinstance(engine, Native) else "on this CPU"
        yield Check("golden rows", "ok", f"{others} ({TOLERANCE:g} is allowed {where})")

    apart = sum(not row["same_in_a_batch"] for row in rows)
    if not apart:
        yield Check("batches", "ok", "answers are bit-identical alone and in a batch")
    elif is_int8:
        finding = f"{apart} of {n} golden rows get another answer in a batch than alone"
        yield Check("batches", "failed", finding, other_release)


def engine_checks(compared: dict[str, Any] | None, machine: Machine) -> Iterator[Check]:
    """Yield whether both engines answer alike. compared: the result of engines.compare_engines."""
    if compared is None:
        return
    difference = compared["difference"]
    allowed = APART if set(machine.features) >= EXACT_FEATURES else TOLERANCE
    if difference <= allowed:
        finding = f"ONNX Runtime and the native engine agree within {difference:.1g}"
        yield Check("engines", "ok", f"{finding} ({compared['texts']} texts)")
    else:
        finding = f"ONNX Runtime and the native engine differ by {difference:.2g} of a probability"
        yield Check("engines", "failed", finding, ADVICE)


_DOING = {
    "numpy": "importing numpy",
    "onnxruntime": "importing onnxruntime",
    "model": "opening the model file",
    "session": "loading the model",
    "golden": "running the golden rows",
    "engines": "comparing the engines",
}
# A failed stage, "STAGE REASON: MESSAGE (BITS, C library)" → advice, by the first pattern in it.
_ADVICE = {
    "^[a-z]+ timeout": (
        "try again with a longer --timeout; a worn SD card or too little memory does this"
    ),
    "^[a-z]+ exit": "run 'edge-lstm doctor --in-process'",
    "SIGILL": (
        "it has an instruction that this CPU lacks; try another: pip install '{package}!={version}'"
    ),
    # OpenBLAS sends itself this signal if it cannot start a thread.
    "SIGINT": (
        "there is no room for its threads: raise the limit of processes (ulimit -u, pids.max)"
    ),
    "SIGKILL": (
        "the system ended it, most likely for lack of memory: stop other programs or add swap"
    ),
    "^golden [A-Z][a-z]": "export the model again: its golden rows do not fit it",
    "No module named '{package}'.*(32 bits|musl)": (
        "there is none for 32 bits or musl: use --engine native"
    ),
    "No module named '{package}'": "install it: pip install {package}",
    "GLIBC": (
        "it was built for a newer system: pip install '{package}<{version}', or upgrade the system"
    ),
    "executable stack": ("this system's C library refuses it: pip install '{package}!={version}'"),
    "_ARRAY_API|Error.*numpy": (
        "the packages do not fit together: pip install --upgrade onnxruntime numpy"
    ),
    "": "reinstall it: pip install --force-reinstall --no-cache-dir {package}",
}


def _failure(probe: Probe, stage: str, machine: Machine, packages: dict[str, str]) -> Check:
    """Return the finding of the stage that failed, with advice."""
    name = "golden rows" if stage == "golden" else stage
    doing = _DOING[stage]
    reason = probe.reason
    message = probe.message
    if reason == "EdgeLSTMError":  # its text has both, the finding and the advice
        finding, _, advice = message.rpartition("; ")
        if not finding:
            return Check(name, "failed", advice, "give another file")
        return Check(name, "failed", finding, advice)
    if reason == "timeout":
        finding = f"{doing} took too long"
    elif reason == "exit":
        finding = message or f"{doing} failed"
    elif reason.lower().startswith("sig"):
        finding = f"{doing} ended the process with {reason}"
    else:
        finding = f"{doing} fails ({reason}: {message})"
    package = "numpy" if stage == "numpy" else "onnxruntime"
    values = {"package": package, "version": packages.get(package, "")}
    system = f"{machine.bits} bits, {sysconfig.get_config_var('SOABI')}"
    failure = f"{stage} {reason}: {message} ({system})"
    advice = next(_ADVICE[each] for each in _ADVICE if re.search(each.format(**values), failure))
    # The engines are compared only in passing: the model runs even if the other engine is broken.
    state: State = "warning" if stage == "engines" else "failed"
    return Check(name, state, finding, advice.format(**values))
