"""A training that is repeated on the same machine makes the same files, however fast the machine was."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_train_command import write_csv
from train_command import run

SMALL = ("--hidden", "8", "--embedding", "8", "--epochs", "2", "--threads", "1")
AUTO = ("--preset", "auto", "--budget-kb", "100000", "--set", "features=pairs", "--teacher", "none")
FILES = ("m.safetensors", "fp32.onnx", "int8.onnx")


def digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}


def lines(source: Path, folder: Path, options: tuple[str, ...]) -> list[list[str]]:
    checkpoint, fp32, int8 = (str(folder / name) for name in FILES)
    return [
        ["train", str(source), "-o", checkpoint, *SMALL, *options],
        ["export", checkpoint, "-o", fp32],
        ["export", checkpoint, "-o", int8, "--quantize", "int8"],
    ]


@pytest.mark.parametrize("options", [(), AUTO], ids=["small", "auto"])
def test_a_training_that_is_repeated_has_the_same_sha256(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    """On a machine whose clock says that it is slower; in a process whose sets have another order."""
    source = write_csv(tmp_path / "d.csv", ["no", "yes"], 100)
    here, slow, anew = (tmp_path / name for name in ("here", "slow", "anew"))
    clock = time.perf_counter
    for folder, factor in ((here, 1), (slow, 1000)):
        monkeypatch.setattr(time, "perf_counter", lambda factor=factor: factor * clock())
        for command, *arguments in lines(source, folder, options):
            done = run(*arguments, command=command)
            assert done.returncode == 0, done.stderr
    assert digests(here) == digests(slow)
    if options:
        return
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    for line in lines(source, anew, options):
        subprocess.run([sys.executable, "-m", "edge_lstm", *line], env=environment, check=True)
    assert digests(here) == digests(anew)
