"""tools/wheels.py: the wheel that zig builds for this machine is whole, and installed like any
other."""

from __future__ import annotations

import base64
import csv
import hashlib
import platform
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.engine.conftest import MOST_BYTES, PROJECT, finished, kernels, zig

HERE = f"manylinux_2_17_{platform.machine()}"


@pytest.mark.slow
@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"), reason="tried where it can be installed"
)
def test_zig_builds_a_wheel_that_pip_installs(program: list[str], tmp_path: Path) -> None:
    if "ziglang" not in zig() or sys.platform != "linux":
        pytest.skip("no ziglang, or no Linux")
    tool = PROJECT / "tools" / "wheels.py"
    subprocess.run(
        [sys.executable, tool, "--only", HERE, tmp_path], check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith(f"-cp310-abi3-{HERE}.whl") and wheel.stat().st_size <= MOST_BYTES
    with zipfile.ZipFile(wheel) as file:
        (record,) = (name for name in file.namelist() if name.endswith("/RECORD"))
        rows = list(csv.reader(file.read(record).decode().splitlines()))
        assert {row[0] for row in rows} == set(file.namelist())
        for name, digest, size in rows[:-1]:
            data = file.read(name)
            told = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
            assert (digest, int(size)) == (f"sha256={told}", len(data)), name
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-index",
        "--target",
        tmp_path / "installed",
    ]
    subprocess.run([*pip, wheel], check=True)
    code = "import sys, edge_lstm_native as e; print(e.Model(sys.argv[1]).check()[0], e.kernels())"
    model = PROJECT / "edge_lstm" / "models" / "sentiment.int8.onnx"
    command = [sys.executable, "-S", "-c", code, model]
    run = finished(command, cwd=tmp_path / "installed")
    assert (run.stdout, run.returncode) == (f"0 {kernels(program)}\n", 0), run.stderr
