"""Each read, write, fsync and rename of a command's own files fails once, and large allocations:
one line of error, nothing lost, nothing half-written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import finished

HERE = Path(__file__).parent
# Command → the fewest faults that its run must have met.
FEWEST = {
    "score": {"read": 4, "write": 2, "fsync": 1, "rename": 1, "allocation": 2},
    "page": {"write": 1, "fsync": 1, "rename": 1, "allocation": 2},
    "export": {"read": 1, "write": 1, "fsync": 1, "rename": 1, "allocation": 5},
    "train": {"read": 10, "write": 8, "fsync": 8, "rename": 8, "allocation": 5},
    "turn": {"read": 10, "write": 9, "fsync": 9, "rename": 9, "allocation": 5},
}
SLOW = ("export", "train", "turn")


@pytest.mark.parametrize(
    "command",
    [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in FEWEST],
)
def test_each_operation_on_a_file_fails_once(command: str, tmp_path: Path) -> None:
    if not shutil.which("gcc") or sys.platform != "linux":
        pytest.skip("no C compiler (gcc), or no Linux")
    library = tmp_path / "io_faults.so"
    build = ["gcc", "-shared", "-fPIC", str(HERE / "io_faults.c"), "-o", str(library), "-ldl"]
    subprocess.run(build, check=True)
    folder = tmp_path / "runs"
    folder.mkdir()
    run = finished(
        [sys.executable, HERE / "io_faults.py", library, command, folder],
        env={**os.environ, "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr[-3000:]
    met = json.loads(run.stdout)
    assert all(met[name] >= fewest for name, fewest in FEWEST[command].items()), met
