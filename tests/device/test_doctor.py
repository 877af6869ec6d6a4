"""doctor: what it finds on healthy and on broken installations, models and machines."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from machines import files
from model_files import SMALL, edited
from test_cli import run

from edge_lstm import machine
from edge_lstm.doctor.checks import Check, Diagnosis, examine, package_checks
from edge_lstm.modelfile import embedded_model, open_model


@pytest.fixture
def model_with_golden_rows():
    """Writes a model with other golden rows."""

    def write(change) -> Path:
        model = open_model(SMALL)
        rows = [change(dataclasses.asdict(row)) for row in model.golden]
        path = Path("changed.onnx")
        path.write_bytes(edited({"golden": json.dumps([r for r in rows if r])}))
        return path

    return write


@pytest.fixture
def broken_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a module of the given source before the installed one."""

    def put(name: str, source: str) -> None:
        Path(f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(str(tmp_path))

    return put


def failed(diagnosis: Diagnosis) -> Check:
    assert not diagnosis.fit
    (check,) = [c for c in diagnosis.checks if c.state == "failed"]
    assert diagnosis.verdict == f"not fit: {check.finding}; {check.advice}"
    return check


def test_a_healthy_device_is_fit_for_the_embedded_model() -> None:
    assert examine(SMALL).fit  # of another text rule
    diagnosis = examine()
    assert diagnosis.fit and diagnosis.verdict.startswith("fit: ")
    assert diagnosis.golden_rows and all(row["ids_match"] for row in diagnosis.golden_rows)
    assert examine(in_process=True).checks == diagnosis.checks


def test_the_parent_never_imports_what_may_crash() -> None:
    code = (
        "import sys; from edge_lstm.cli import doctor as _; from edge_lstm.doctor.checks import "
        "examine;"
        "assert examine().fit; print([m for m in ('onnxruntime', 'numpy') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
        == "[]\n"
    )


@pytest.mark.parametrize(
    ("source", "finding", "advice"),
    [
        (
            "raise ModuleNotFoundError(\"No module named 'onnxruntime'\")",
            "No module",
            "install onnxruntime",
        ),
        ("raise ImportError('version `GLIBC_2.38 not found')", "GLIBC_2.38", "newer system"),
        (
            "raise ImportError('x.so: cannot enable executable stack')",
            "executable stack",
            "C library",
        ),
        ("import os; os._exit(3)", "code 3", "--in-process"),
        ("import os; os.write(1, b'{\\n'); raise OSError('no')", "OSError: no", "reinstall"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGILL)",
            "SIGILL",
            "pip install 'onnxruntime!=",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL", "memory"),
    ],
)
def test_a_broken_onnxruntime_is_a_finding(
    broken_package, source: str, finding: str, advice: str
) -> None:
    broken_package("onnxruntime", source)
    check = failed(examine())
    assert finding in check.finding and advice in str(check.advice)


def test_an_import_that_hangs_ends_at_the_time_limit(broken_package) -> None:
    broken_package("onnxruntime", "import threading; threading.Event().wait()")
    check = failed(examine(timeout=2))
    assert (
        check.name == "onnxruntime"
        and "too long" in check.finding
        and "--timeout" in str(check.advice)
    )


def test_where_no_child_process_can_start_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    check = failed(examine())
    assert "cannot start a child process" in check.finding and "--in-process" in str(check.advice)


def test_a_damaged_model_is_refused_and_the_rest_is_still_reported() -> None:
    path = Path("cut.onnx")
    path.write_bytes(embedded_model().read_bytes()[:20_000])
    diagnosis = examine(path)
    check = failed(diagnosis)
    assert check.name == "model" and "cut" in check.finding and "copy" in str(check.advice)
    assert {"numpy", "onnxruntime"} <= {c.name for c in diagnosis.checks if c.state == "ok"}


@pytest.mark.parametrize(
    "change", [{"probabilities": [[0, 1.0]]}, {"probabilities": [[0, 0.1]] * 9}, {"ids": [10**6]}]
)
def test_golden_rows_that_do_not_fit_the_model_are_a_finding(
    model_with_golden_rows, change: dict
) -> None:
    assert not examine(model_with_golden_rows(lambda row: {**row, **change})).fit
    check = failed(
        examine(model_with_golden_rows(lambda row: {**row, "text": row["text"] + " zebra"}))
    )
    assert check.name == "text rule"
    diagnosis = examine(model_with_golden_rows(lambda row: None))
    assert diagnosis.fit and diagnosis.verdict.endswith("see the warnings")
    assert [c.name for c in diagnosis.checks if c.state == "warning"] == ["golden rows"]


@pytest.mark.parametrize(
    ("difference", "features", "fit"),
    [(1e-6, "avx fma avx2", False), (9e-4, "avx", True), (2e-3, "avx", False)],
)
def test_exact_bits_are_asked_of_int8_on_x86_with_avx2_and_a_thousandth_elsewhere(
    model_with_golden_rows, tmp_path: Path, difference: float, features: str, fit: bool
) -> None:
    def other(row):
        (label, probability), *others = row["probabilities"]
        return {**row, "probabilities": [[label, probability + difference], *others]}

    root = files(tmp_path, {"proc/cpuinfo": f"processor\t: 0\nflags\t: {features}\n"})
    assert examine(model_with_golden_rows(other), root=root).fit is fit


@pytest.mark.parametrize(
    ("packages", "states"),
    [
        ({"onnxruntime": "1.16.3", "numpy": "2.4.6"}, ["failed"]),
        ({"onnxruntime": "1.16.3", "numpy": "1.26.4"}, []),
        ({"onnxruntime": "1.19.0", "numpy": "2.0.0rc1"}, []),
        ({"onnxruntime": "1.23.0", "onnxruntime-openvino": "1.22.0", "numpy": "2.1"}, ["warning"]),
        ({}, []),
    ],
)
def test_packages_that_do_not_fit_together_are_found(
    packages: dict[str, str], states: list[str]
) -> None:
    assert [check.state for check in package_checks(packages)] == states


RASPBERRY_PI_4 = {
    "proc/cpuinfo": "processor\t: 0\n"
    "Features\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\n"
    "CPU part\t: 0xd08\n\nprocessor\t: 1\nCPU part\t: 0xd08\n\nModel\t\t: Raspberry Pi 4 Model "
    "B Rev 1.4\n",
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "proc/meminfo": "MemTotal:        948280 kB\nMemAvailable:     71680 kB\n",
    "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "proc/self/cgroup": "0::/system.slice/edge.service\n",
    "sys/fs/cgroup/system.slice/edge.service/cpu.max": "50000 100000\n",
    "sys/fs/cgroup/system.slice/cpu.max": "max 100000\n",
    "sys/fs/cgroup/system.slice/edge.service/memory.max": "max\n",
    "sys/fs/cgroup/system.slice/memory.max": "268435456\n",
}


def test_a_raspberry_pi_is_described_from_its_own_files_and_warned_of(tmp_path: Path) -> None:
    diagnosis = examine(root=files(tmp_path, RASPBERRY_PI_4))
    assert [c.name for c in diagnosis.checks if c.state == "warning"] == ["cores", "memory"]
    found = diagnosis.machine
    assert (found.board, found.cpu) == ("Raspberry Pi 4 Model B Rev 1.4", "Cortex-A72")
    assert found.features == ("asimd",) and found.system == "Debian GNU/Linux 12 (bookworm)"
    assert (found.cpu_quota, found.memory_limit_bytes) == (0.5, 256 * 2**20)
    assert (found.memory_bytes, found.available_bytes) == (948280 * 1024, 70 * 2**20)
    silent = machine.this_machine("nothing")
    assert (silent.board, silent.features, silent.memory_bytes, silent.cpu_quota) == (
        None,
        (),
        None,
        None,
    )


def test_the_command_exits_with_0_when_fit_and_1_when_not() -> None:
    well = run("doctor")
    ill = run("doctor", "missing.onnx")
    assert (well.returncode, well.stderr, ill.returncode, ill.stderr) == (0, b"", 1, b"")
    lines = well.stdout.decode().splitlines()
    assert lines[-1].startswith("fit: ") and all(
        len(line) <= 80 for line in lines if "/" not in line
    )
    assert b"\nnot fit: no model file at" in ill.stdout
    answer = json.loads(run("doctor", "--json").stdout)
    assert answer["fit"] is True and answer["machine"]["bits"] in (32, 64)
    assert {"name", "state", "finding", "advice"} == set(answer["checks"][0])
