"""A repeated training has the same sha256, and not a byte of a checkpoint changes unnoticed."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import command, train
from conftest import Trained
from edge_lstm_export.options import TrainingRequest
from edge_lstm_export.train.checkpoint import load_checkpoint, save_checkpoint
from edge_lstm_export.train.loop import Callbacks
from edge_lstm_export.train.run import Job, run_job
from made import make_checkpoint

from edge_lstm.errors import DataError

OPTIONS = ("--preset", "tiny", "--epochs", "2")


def test_a_training_that_is_repeated_has_the_same_sha256(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine whose clock says that it is slower; in a process whose sets have another
    order."""
    clock = time.perf_counter
    monkeypatch.setattr(time, "perf_counter", lambda: 1000 * clock())
    assert train(trained.rows, "-o", tmp_path / "slow.safetensors", *OPTIONS).returncode == 0
    output = tmp_path / "new.safetensors"
    line = [sys.executable, "-m", "edge_lstm", "train", trained.rows, "-o", output, *OPTIONS]
    subprocess.run(line, env={**os.environ, "PYTHONHASHSEED": "1"}, check=True, capture_output=True)
    for name in ("slow", "new"):
        assert (tmp_path / f"{name}.safetensors").read_bytes() == trained.checkpoint.read_bytes()
    for name in ("a.onnx", "b.onnx"):
        done = command("export", trained.checkpoint, "-o", tmp_path / name, "--quantize", "int8")
        assert done.returncode == 0
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def other_name(data: bytes) -> bytes:
    """Another preset in the plan, which stands in a checkpoint and in an unfinished training."""
    return data.replace(b"tiny", b"tidy", 1)


def flipped_sign(data: bytes) -> bytes:
    """The first value of the head's bias with its sign changed."""
    size = int.from_bytes(data[:8], "little")
    tensors = json.loads(data[8 : 8 + size])
    bias = next(tensors[name] for name in tensors if name.endswith("head.bias"))
    last = 8 + size + bias["data_offsets"][0] + 3
    return data[:last] + bytes([data[last] ^ 0x80]) + data[last + 1 :]


def zeros(data: bytes) -> bytes:
    """A block in the middle that the disk lost."""
    middle = len(data) // 2
    return data[:middle] + bytes(4096) + data[middle + 4096 :]


def cut(data: bytes) -> bytes:
    return data[:-9]


@pytest.mark.parametrize("damage", [other_name, flipped_sign, zeros, cut])
def test_what_is_damaged_is_not_exported_and_not_resumed(
    trained: Trained, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    job = Job(
        (str(trained.rows),), tmp_path / "k.safetensors", request=TrainingRequest("tiny", epochs=2)
    )
    with pytest.raises(KeyboardInterrupt):
        run_job(job, Callbacks(on_epoch=stop))
    shutil.copy(trained.checkpoint, tmp_path / "m.safetensors")
    for name in ("m.safetensors", "k.safetensors.partial"):
        whole = (tmp_path / name).read_bytes()
        assert damage(whole) != whole
        (tmp_path / name).write_bytes(damage(whole))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    resumed = train(trained.rows, "-o", job.output, *OPTIONS, "--resume")
    for done in (command("export", tmp_path / "m.safetensors", "-o", tmp_path / "m.onnx"), resumed):
        assert "was changed after" in done.error or "cut short" in done.error
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_change_of_any_byte_is_refused(tmp_path: Path) -> None:
    path, rng = tmp_path / "m.safetensors", random.Random(0)
    save_checkpoint(make_checkpoint(ngram_words=15, ngram_slots=15, ngram_dim=1), path)
    whole = path.read_bytes()
    for offset in [*range(200), *rng.sample(range(200, len(whole)), 400)]:
        other = rng.choice([byte for byte in range(256) if byte != whole[offset]])
        path.write_bytes(whole[:offset] + bytes([other]) + whole[offset + 1 :])
        with pytest.raises(DataError):
            load_checkpoint(path)
