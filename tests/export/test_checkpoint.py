"""A repeated training has the same sha256, and not a byte of a checkpoint changes unnoticed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import command, train
from conftest import Trained
from edge_lstm_export.checkpoint.checkpoint import load_checkpoint, save_checkpoint
from edge_lstm_export.onnx.exporting import export
from edge_lstm_export.options import TrainingRequest
from edge_lstm_export.train.run import Job
from made import make_checkpoint, stop_after_an_epoch

from edge_lstm.errors import DataError

OPTIONS = ("--preset", "tiny", "--epochs", "2")


# A clock that says that the machine is slower; sets have another order in each process.
SLOW = """
import time
clock = time.perf_counter
time.perf_counter = lambda: 1000 * clock()
from edge_lstm.cli import main
main()
"""


def test_a_training_and_an_export_that_are_repeated_give_the_same_bytes(
    trained: Trained, tmp_path: Path
) -> None:
    again = tmp_path / "again.safetensors"
    line = [sys.executable, "-c", SLOW, "train", trained.rows, "-o", again, *OPTIONS]
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    subprocess.run(line, env=environment, check=True, capture_output=True)
    assert again.read_bytes() == trained.checkpoint.read_bytes()
    files = [export(load_checkpoint(path), quantize="int8") for path in (again, trained.checkpoint)]
    assert files[0].data == files[1].data


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


@pytest.fixture(scope="module")
def unfinished(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is kept of a training that was interrupted."""
    folder = tmp_path_factory.mktemp("unfinished")
    request = TrainingRequest("tiny", epochs=2)
    job = Job((str(trained.rows),), folder / "m.safetensors", request=request)
    stop_after_an_epoch(job)
    return job.partial


@pytest.mark.parametrize("damage", [other_name, flipped_sign, zeros, cut])
def test_what_is_damaged_is_not_exported_and_not_resumed(
    trained: Trained, unfinished: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    checkpoint = tmp_path / "m.safetensors"
    partial = tmp_path / "k.safetensors.partial"
    checkpoint.write_bytes(damage(trained.checkpoint.read_bytes()))
    partial.write_bytes(damage(unfinished.read_bytes()))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for done in (
        command("export", checkpoint, "-o", tmp_path / "m.onnx"),
        train(trained.rows, "-o", tmp_path / "k.safetensors", *OPTIONS, "--resume"),
    ):
        assert "was changed after" in done.error or "cut short" in done.error
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_change_of_any_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_checkpoint(make_checkpoint(ngram_words=15, ngram_slots=15, ngram_dim=1), path)
    whole = path.read_bytes()
    rng = random.Random(0)
    for offset in [*range(0, 200, 5), *rng.sample(range(200, len(whole)), 100)]:
        other = whole[offset] ^ rng.randrange(1, 256)
        path.write_bytes(whole[:offset] + bytes([other]) + whole[offset + 1 :])
        with pytest.raises(DataError):
            load_checkpoint(path)
