"""Does this device run a model, and run it right? The checks, the verdict, and what to do.

Standard library only: numpy and ONNX Runtime, which may be what is broken, are tried in a child
process (probe.py).
"""

from __future__ import annotations

import re
import signal
import sysconfig
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from platform import python_implementation, python_version
from typing import Any, Literal

from edge_lstm import __version__
from edge_lstm.doctor.probe import STAGES, Probe, run_probe, run_probe_here
from edge_lstm.machine import Machine, this_machine

DEFAULT_TIMEOUT = 60.0  # seconds; the slowest import seen, from a worn SD card, takes about 10
TOLERANCE = 1e-3  # of a probability, where a CPU's own order of arithmetic shows (ARM, x86 without AVX2)
# With these, ONNX Runtime's int8 product and its tanh and sigmoid give the same bits on every x86 CPU.
EXACT_FEATURES = {"avx2", "fma"}
LITTLE_MEMORY = 100 * 2**20  # a process with ONNX Runtime and a model of 1 MB takes about 60 MiB
PACKAGES = ("onnxruntime", "numpy", "typer", "pyarrow")

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Check:
    """One finding: what was looked at, how it is, and what to do about it where it is not well."""

    name: str
    state: State
    finding: str
    advice: str | None = None


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """All that was found out. fit: no check failed; verdict: one line that says so, or says what to do."""

    fit: bool
    verdict: str
    machine: Machine
    python: str
    packages: dict[str, str]
    checks: tuple[Check, ...]
    model: dict[str, Any] | None
    golden_rows: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Plain values, for ``edge-lstm doctor --json``."""
        return asdict(self)


def examine(
    model: Path | None = None,
    *,
    provider: str = "CPUExecutionProvider",
    timeout: float = DEFAULT_TIMEOUT,
    in_process: bool = False,
    root: Path = Path("/"),
) -> Diagnosis:
    """Looks at the machine and the installation, loads the model and runs its golden rows.

    model: a model file, None for the embedded one.
    timeout: seconds for the child process; in_process: no child process, a crash ends this one.
    root: where the system's files are read (for tests).

    Raises nothing for what it finds, however broken: that is its answer.
    """
    machine = this_machine(root)
    packages = installed_packages()
    path = None if model is None else str(model)
    probe = run_probe_here(path, provider) if in_process else run_probe(path, provider, timeout=timeout)
    checks = (*_machine_checks(machine), *_package_checks(packages), *_probe_checks(probe, machine, packages))
    fit = all(check.state != "failed" for check in checks)
    facts = probe.reports.get("model")
    return Diagnosis(
        fit=fit,
        verdict=_verdict(checks, facts),
        machine=machine,
        python=f"{python_implementation()} {python_version()}",
        packages=packages,
        checks=checks,
        model=facts,
        golden_rows=probe.reports.get("golden", {}).get("rows", []),
    )


def installed_packages() -> dict[str, str]:
    """Name → version of the packages that matter, and of every build of ONNX Runtime."""
    versions = {"edge-lstm": __version__}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"] or ""
        if name.startswith("onnxruntime-"):  # -openvino, -gpu, ...: all install the module onnxruntime
            versions[name] = distribution.version
    return versions


def _verdict(checks: tuple[Check, ...], facts: dict[str, Any] | None) -> str:
    failed = [check for check in checks if check.state == "failed"]
    if failed:
        return f"not fit: {failed[0].finding}; {failed[0].advice}"
    name = Path(facts["path"]).name if facts else "the model"
    warned = any(check.state == "warning" for check in checks)
    return f"fit: this device runs {name} and gives its answers" + ("; mind the warnings" if warned else "")


def _machine_checks(machine: Machine) -> list[Check]:
    checks = []
    if machine.bits == 64:
        checks.append(Check("64 bits", "ok", f"64-bit Python on {machine.architecture}"))
    else:
        checks.append(
            Check(
                "64 bits",
                "warning",
                f"32-bit Python on {machine.architecture}: onnxruntime has no packages for it",
                "install a 64-bit system image",
            )
        )
    usable = min(machine.usable_cores, machine.cpu_quota or machine.usable_cores)
    if usable < 1:
        checks.append(
            Check(
                "cores",
                "warning",
                f"the control group allows {usable:g} of a CPU: answers come in bursts",
                "raise its CPU quota, or measure with 'edge-lstm latency' in the same group",
            )
        )
    free = min(
        (x for x in (machine.available_bytes, machine.memory_limit_bytes) if x is not None), default=None
    )
    if free is not None and free < LITTLE_MEMORY:
        checks.append(
            Check(
                "memory",
                "warning",
                f"{free / 2**20:.0f} MiB to use, a process takes about 60 MiB",
                "stop other programs or add swap",
            )
        )
    return checks


def _package_checks(packages: dict[str, str]) -> list[Check]:
    checks = []
    onnxruntime, numpy = packages.get("onnxruntime", ""), packages.get("numpy", "")
    if onnxruntime and numpy and _major_minor(onnxruntime) < (1, 19) and _major_minor(numpy) >= (2, 0):
        finding = f"onnxruntime {onnxruntime} was built for numpy 1 and crashes with numpy {numpy}"
        advice = "pip install --upgrade onnxruntime, or pip install 'numpy<2'"
        checks.append(Check("packages", "failed", finding, advice))
    builds = [name for name in packages if name.startswith("onnxruntime")]
    if len(builds) > 1:
        finding = f"{' and '.join(builds)} are installed and overwrite each other's files"
        advice = f"keep one: pip uninstall {' '.join(builds)}, then install the one you want"
        checks.append(Check("packages", "warning", finding, advice))
    return checks


def _major_minor(version: str) -> tuple[int, int]:
    numbers = [int(number) for number in re.findall(r"\d+", version)] + [0, 0]
    return numbers[0], numbers[1]


def _probe_checks(probe: Probe, machine: Machine, packages: dict[str, str]) -> list[Check]:
    """The stages that passed, in order, then the one that failed."""
    checks = []
    reports = probe.reports
    if "numpy" in reports:
        checks.append(Check("numpy", "ok", f"numpy {reports['numpy']['version']} imports"))
    if "onnxruntime" in reports:
        runtime = reports["onnxruntime"]
        checks.append(
            Check(
                "onnxruntime",
                "ok",
                f"onnxruntime {runtime['version']} imports; providers: {', '.join(runtime['providers'])}",
            )
        )
    if "model" in reports:
        model = reports["model"]
        checks.append(
            Check(
                "model",
                "ok",
                f"{Path(model['path']).name}: {model['precision']}, {model['bytes'] / 1000:,.0f} kB, "
                f"{len(model['labels'])} labels, {model['vocabulary']:,} words",
            )
        )
    if "session" in reports:
        checks.append(Check("session", "ok", f"{reports['session']['provider']} loads the model"))
    if "golden" in reports:
        checks += _golden_checks(reports, machine)
    if probe.stage is not None:
        checks.append(_failure(probe, machine, packages))
    return checks


def _golden_checks(reports: dict[str, dict[str, Any]], machine: Machine) -> list[Check]:
    """The file's own test: the same ids, the same answers, and the same answer alone and in a batch."""
    rows = reports["golden"]["rows"]
    if not rows:
        advice = "export it again to have its answers checked"
        return [Check("golden rows", "warning", "the model file carries no golden rows", advice)]
    n = len(rows)
    checks = []
    wrong_ids = sum(not row["ids_match"] for row in rows)
    if wrong_ids:
        finding = f"{wrong_ids} of {n} golden texts are encoded to other ids than the file's"
        advice = "reinstall edge-lstm (pip install --force-reinstall edge-lstm) or export the model again"
        checks.append(Check("text rule", "failed", finding, advice))
    else:
        checks.append(Check("text rule", "ok", f"{n} of {n} golden texts are encoded to the file's ids"))
    checks.append(_answers_check(reports, machine))
    apart = sum(not row["same_in_a_batch"] for row in rows)
    if reports["model"]["precision"] == "int8" and apart:
        finding = f"{apart} of {n} golden texts have another answer in a batch than alone"
        checks.append(Check("batches", "failed", finding, _REINSTALL_OTHER.format(**_versions(reports))))
    elif not apart:
        checks.append(Check("batches", "ok", "the same bits alone and in a batch"))
    return checks


_REINSTALL_OTHER = "try another release: pip install 'onnxruntime!={onnxruntime}'"


def _versions(reports: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: reports[name]["version"] for name in ("numpy", "onnxruntime") if name in reports}


def exact_bits_expected(precision: str, provider: str, machine: Machine) -> bool:
    """Whether this CPU promises an int8 file's probabilities bit for bit, rather than within TOLERANCE."""
    on_cpu_provider = provider.lower().startswith("cpu")
    return precision == "int8" and on_cpu_provider and set(machine.features) >= EXACT_FEATURES


def _answers_check(reports: dict[str, dict[str, Any]], machine: Machine) -> Check:
    rows = reports["golden"]["rows"]
    n, largest = len(rows), max(row["difference"] for row in rows)
    identical = sum(row["identical"] for row in rows)
    exact = exact_bits_expected(reports["model"]["precision"], reports["session"]["provider"], machine)
    if identical == n:
        return Check("golden rows", "ok", f"{n} of {n} answers are the file's, bit for bit")
    finding = f"{identical} of {n} answers are the file's bits, the largest difference is {largest:.1g}"
    if exact or largest > TOLERANCE:
        expected = "the same bits" if exact else f"at most {TOLERANCE:g}"
        advice = f"this CPU should give {expected}; " + _REINSTALL_OTHER.format(**_versions(reports))
        return Check("golden rows", "failed", finding, advice)
    return Check("golden rows", "ok", f"{finding} ({TOLERANCE:g} is allowed on this CPU)")


_DOING = {
    "numpy": "importing numpy",
    "onnxruntime": "importing onnxruntime",
    "model": "opening the model file",
    "session": "loading the model into ONNX Runtime",
    "golden": "running the golden rows",
}


def _failure(probe: Probe, machine: Machine, packages: dict[str, str]) -> Check:
    stage = probe.stage or STAGES[0]
    what, name = _DOING[stage], {"golden": "golden rows"}.get(stage, stage)
    version = packages.get("numpy" if stage == "numpy" else "onnxruntime", "")
    if probe.error == "EdgeLSTMError":  # its text says both, what is wrong and what to do
        finding, _, advice = (probe.message or "").rpartition("; ")
        return Check(name, "failed", finding or advice, advice if finding else "give another file")
    if probe.timed_out:
        advice = "try again with a longer --timeout; a worn SD card or too little memory does this"
        return Check(name, "failed", f"{what} took too long", advice)
    if probe.signal is not None:
        signal_name = _signal_name(probe.signal)
        return Check(
            name,
            "failed",
            f"{what} ended the process with {signal_name}",
            _signal_advice(signal_name, stage, version),
        )
    if probe.error is not None:
        finding = f"{what} fails ({probe.error}: {probe.message})"
        return Check(name, "failed", finding, _error_advice(probe, stage, machine, version))
    advice = "run 'edge-lstm doctor --in-process'"
    return Check(name, "failed", probe.message or f"{what} failed", advice)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _signal_advice(signal_name: str, stage: str, version: str) -> str:
    package = "numpy" if stage == "numpy" else "onnxruntime"
    if signal_name == "SIGILL":
        known = "" if stage == "numpy" else " (1.21.0 does so on a Raspberry Pi 4, 1.20.1 and 1.21.1 do not)"
        return (
            f"{package} {version} uses an instruction that this CPU lacks{known}; "
            f"install another release: pip install '{package}!={version}'"
        )
    if signal_name == "SIGINT" and stage == "numpy":  # what OpenBLAS does where a thread does not start
        return "there is no room for its threads: raise the limit of processes (ulimit -u, pids.max)"
    if signal_name == "SIGKILL":
        return "the system ended it, most likely for lack of memory: stop other programs or add swap"
    return f"reinstall it: pip install --force-reinstall --no-cache-dir {package}"


def _error_advice(probe: Probe, stage: str, machine: Machine, version: str) -> str:
    package = "numpy" if stage == "numpy" else "onnxruntime"
    message = probe.message or ""
    if stage == "golden":
        return "its golden rows do not fit the model: export it again"
    if probe.error == "ModuleNotFoundError" and f"'{package}'" in message:
        if machine.bits == 32:
            return "there is none for 32-bit systems: install a 64-bit system image"
        if "musl" in str(sysconfig.get_config_var("SOABI")):
            return "there is none for musl (Alpine): use a system with glibc, such as Debian"
        return f"install it: pip install {package}"
    if "GLIBC" in message:
        return f"it was built for a newer system: pip install '{package}<{version}', or upgrade the system"
    if "executable stack" in message:
        return f"this release does not load on this system's C library: pip install '{package}!={version}'"
    if "_ARRAY_API" in message or "numpy" in message:
        return "the two packages do not fit together: pip install --upgrade onnxruntime numpy"
    return f"reinstall it: pip install --force-reinstall --no-cache-dir {package}"
