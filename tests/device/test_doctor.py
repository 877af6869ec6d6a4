"""doctor: what it finds on healthy and on broken installations, models and machines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from commands import command, json_of
from hostile import run_here
from machines import files
from model_files import DATA, SMALL, edited
from test_cli import run_and_imports

from edge_lstm import Classifier
from edge_lstm.doctor.checks import examine, package_checks
from edge_lstm.system import machine

Row = dict[str, Any]


def model_with_golden_rows(change: Callable[[Row], Row] | None) -> Path:
    """A model whose golden rows are others; None: it has none."""
    golden = Classifier.load(SMALL).model.golden if change else ()
    path = Path("changed.onnx")
    path.write_bytes(edited({"golden": json.dumps([change(asdict(row)) for row in golden])}))
    return path


@pytest.fixture
def broken_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], object]:
    """Puts an onnxruntime of the given source before the installed one."""
    monkeypatch.syspath_prepend(str(folder))
    return Path("onnxruntime.py").write_text


def failed(*arguments: str | Path) -> Row:
    """The only check that fails, by the command with these arguments."""
    diagnosis = json_of("doctor", *arguments)
    assert not diagnosis["fit"]
    (check,) = of_state("failed", diagnosis)
    assert diagnosis["verdict"] == f"not fit: {check['finding']}; {check['advice']}"
    return dict(check)


def of_state(state: str, diagnosis: Row) -> list[Row]:
    return [check for check in diagnosis["checks"] if check["state"] == state]


def test_a_healthy_device_is_fit_for_the_embedded_model() -> None:
    assert json_of("doctor", "-m", SMALL)["fit"]  # of another text rule
    diagnosis = json_of("doctor")
    assert diagnosis["fit"] and diagnosis["verdict"].startswith("fit: ")
    assert diagnosis["golden_rows"] and all(row["ids_match"] for row in diagnosis["golden_rows"])
    assert json_of("doctor", "--in-process")["checks"] == diagnosis["checks"]


def test_the_parent_never_imports_what_may_crash() -> None:
    _, imported = run_and_imports("doctor")
    assert not {"onnxruntime", "numpy"} & imported


@pytest.mark.parametrize(
    ("source", "finding", "advice"),
    [
        (
            "raise ModuleNotFoundError(\"No module named 'onnxruntime'\")",
            "No module",
            "install onnxruntime",
        ),
        ("raise ImportError('version `GLIBC_2.38 not found')", "GLIBC_2.38", "newer system"),
        ("raise ImportError('cannot enable executable stack')", "executable stack", "C library"),
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
    broken_package: Callable[[str], object], source: str, finding: str, advice: str
) -> None:
    broken_package(source)
    check = failed()
    assert finding in check["finding"] and advice in check["advice"]


def test_an_import_that_hangs_ends_at_the_time_limit(
    broken_package: Callable[[str], object],
) -> None:
    broken_package("import threading; threading.Event().wait()")
    # On a busy machine an earlier import may take too long.
    for seconds in (2, 10, 60):
        begun = time.monotonic()
        check = failed("--timeout", str(seconds))
        # Without the option, it is 60 seconds.
        assert seconds == 60 or time.monotonic() - begun < 60
        assert "too long" in check["finding"]
        if check["name"] == "onnxruntime":
            break
    assert check["name"] == "onnxruntime" and "--timeout" in check["advice"]


def test_where_no_child_process_can_start_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    check = failed()
    assert "cannot start a child process" in check["finding"] and "--in-process" in check["advice"]
    assert json_of("doctor", "--in-process")["fit"]


def test_an_engine_that_there_is_not_is_one_line() -> None:
    assert "the engine 'fast' is unknown" in command("doctor", "--engine", "fast").error


def test_a_damaged_model_is_refused_and_the_rest_is_still_reported() -> None:
    path = Path("cut.onnx")
    path.write_bytes(DATA[:20_000])
    check = failed("-m", path)
    assert check["name"] == "model" and "cut" in check["finding"] and "copy" in check["advice"]
    found = of_state("ok", json_of("doctor", "-m", path))
    assert {"numpy", "onnxruntime"} <= {check["name"] for check in found}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda row: {**row, "probabilities": [[0, 1.0]]}, "model"),
        (lambda row: {**row, "probabilities": [[0, 0.1]] * 9}, "model"),
        (lambda row: {**row, "ids": [10**6]}, "model"),
        (lambda row: {**row, "text": row["text"] + " zebra"}, "text rule"),
    ],
)
def test_golden_rows_that_do_not_fit_the_model_are_a_finding(
    change: Callable[[Row], Row], name: str
) -> None:
    assert failed("-m", model_with_golden_rows(change))["name"] == name


def test_a_model_without_golden_rows_is_fit_with_a_warning() -> None:
    diagnosis = json_of("doctor", "-m", model_with_golden_rows(None))
    assert diagnosis["fit"] and diagnosis["verdict"].endswith("see the warnings")
    assert [check["name"] for check in of_state("warning", diagnosis)] == ["golden rows"]


@pytest.mark.parametrize(
    ("difference", "features", "fit"),
    [(1e-6, "avx fma avx2", False), (9e-4, "avx", True), (2e-3, "avx", False)],
)
def test_exact_bits_are_asked_of_int8_on_x86_with_avx2_and_a_thousandth_elsewhere(
    folder: Path, difference: float, features: str, fit: bool
) -> None:
    def other(row: Row) -> Row:
        (label, probability), *others = row["probabilities"]
        return {**row, "probabilities": [[label, probability + difference], *others]}

    root = files(folder, {"proc/cpuinfo": f"processor\t: 0\nflags\t: {features}\n"})
    assert examine(model_with_golden_rows(other), root=root).fit is fit


@pytest.mark.parametrize(
    ("packages", "states"),
    [
        ({"onnxruntime": "1.23.0", "numpy": "2.1"}, []),
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


def test_a_raspberry_pi_is_described_from_its_own_files_and_warned_of(folder: Path) -> None:
    diagnosis = examine(root=files(folder, RASPBERRY_PI_4))
    assert [c.name for c in diagnosis.checks if c.state == "warning"] == ["cores", "memory"]
    found = diagnosis.machine
    assert (found.board, found.cpu) == ("Raspberry Pi 4 Model B Rev 1.4", "Cortex-A72")
    assert found.features == ("asimd",) and found.system == "Debian GNU/Linux 12 (bookworm)"
    assert (found.cpu_quota, found.memory_limit_bytes) == (0.5, 256 * 2**20)
    assert (found.memory_bytes, found.available_bytes) == (948280 * 1024, 70 * 2**20)
    silent = machine.this_machine(folder / "nothing")
    assert (silent.board, silent.features) == (None, ())
    assert silent.memory_bytes is silent.cpu_quota is None


def test_the_command_exits_with_0_when_fit_and_1_when_not() -> None:
    well = run_here(["doctor"])
    ill = run_here(["doctor", "-m", "missing.onnx"])
    assert (well.exit, well.err, ill.exit, ill.err) == (0, "", 1, "")
    lines = well.out.splitlines()
    assert lines[-1].startswith("fit: ")
    assert all(len(line) <= 80 for line in lines if "/" not in line)
    assert "\nnot fit: no model file at" in ill.out
    assert json_of("doctor")["machine"]["bits"] in (32, 64)
