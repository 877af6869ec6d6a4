"""A machine without ONNX Runtime: what starts all the same, and what is said of the engine that is
there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import finished

Run = Callable[..., subprocess.CompletedProcess[str]]
MISSING = 'raise ModuleNotFoundError("No module named \'onnxruntime\'", name="onnxruntime")\n'


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A function: arguments → edge-lstm, finished, in a process that finds no onnxruntime."""
    Path("onnxruntime.py").write_text(MISSING)
    found = os.pathsep.join(
        [str(tmp_path), os.environ.get("PYTHONPATH", ""), str(Path(__file__).parents[2])]
    )

    def edge_lstm(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": found, "PYTHONSAFEPATH": "1", **variables}
        command = [sys.executable, "-m", "edge_lstm", *arguments]
        return finished(command, env=environment, cwd=tmp_path)

    return edge_lstm


@pytest.mark.parametrize(
    "arguments", [("--version",), ("--help",), ("predict", "--help"), ("inspect",)]
)
def test_nothing_imports_it_at_the_start(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout


@pytest.mark.parametrize(
    "arguments",
    [("predict", "good"), ("score", "rows.txt"), ("evaluate", "rows.csv"), ("latency",)],
)
def test_one_line_says_that_the_engine_is_there(run: Run, arguments: tuple[str, ...]) -> None:
    Path("rows.txt").write_text("good\n")
    Path("rows.csv").write_text("text,label\ngood,pos\n")
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr.startswith("error: onnxruntime is not installed;")
        and done.stderr.count("\n") == 1
    )
    assert "--engine native, or EDGE_LSTM_ENGINE=native" in done.stderr


def test_doctor_says_so_too(run: Run) -> None:
    done = run("doctor")
    assert done.returncode == 1 and "No module named 'onnxruntime'" in " ".join(done.stdout.split())
