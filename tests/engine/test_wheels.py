"""The distributions of the engine: edge-lstm-native, as pip and zig build it, and npm's package."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from email import message_from_bytes
from pathlib import Path

import pytest

from edge_lstm import __version__
from tests.engine.conftest import ENGINE, MOST_BYTES, PROJECT, finished, kernels, zig
from tests.model_files import EMBEDDED

HERE = f"manylinux_2_17_{platform.machine()}"


def files_of(folder: Path) -> set[str]:
    """The files in a folder, and in folders in it."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_wheel_is_described_and_holds_no_sources(installed: Path) -> None:
    package = {name for name in files_of(installed) if name.startswith("edge_lstm_native/")}
    assert {Path(name).suffix for name in package} == {".py", ".pyi", ".so", ".typed"}
    (described,) = installed.glob("*.dist-info/METADATA")
    metadata = message_from_bytes(described.read_bytes())
    assert metadata["Version"] == __version__
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload().startswith("# edge-lstm-native")
    (licence,) = installed.glob("*.dist-info/licenses/LICENSE")
    assert licence.read_text() == (PROJECT / "LICENSE").read_text()


@pytest.mark.skipif(not shutil.which("npm"), reason="no npm")
def test_npm_packs_the_module_with_its_license_and_nothing_else(tmp_path: Path) -> None:
    folder = ENGINE / "js"
    npm = [shutil.which("npm"), "pack", "--dry-run", "--json", "--cache", str(tmp_path)]
    run = finished(npm, cwd=folder)
    assert run.returncode == 0 and "warn" not in run.stderr, run.stderr
    (packed,) = json.loads(run.stdout)
    listed = json.loads((folder / "package.json").read_text())["files"]
    told = {file["path"] for file in packed["files"]}
    assert told == {*listed, "package.json", "README.md", "LICENSE"}
    assert (folder / "LICENSE").read_text() == (PROJECT / "LICENSE").read_text()


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
    command = [sys.executable, "-S", "-c", code, EMBEDDED]
    run = finished(command, cwd=tmp_path / "installed")
    assert (run.stdout, run.returncode) == (f"0 {kernels(program)}\n", 0), run.stderr
