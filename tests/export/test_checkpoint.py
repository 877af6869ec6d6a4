"""A repeated training has the same sha256, and not a byte of a checkpoint changes unnoticed."""

from __future__ import annotations

import random
from pathlib import Path

from commands import command, train
from conftest import Trained
from edge_lstm_export import TrainingRequest
from edge_lstm_export.train.job import Job
from made import checkpoint_file, make_checkpoint, stop_after_an_epoch, write_csv

EXAMPLE = Path(__file__).parents[2] / "examples" / "tiny.safetensors"  # of an earlier version
OPTIONS = ("--preset", "tiny", "--epochs", "2")


def test_an_unfinished_training_that_was_changed_is_not_resumed(trained: Trained) -> None:
    request = TrainingRequest("tiny", epochs=2)
    job = Job((str(trained.rows),), Path("m.safetensors"), request=request)
    stop_after_an_epoch(job)
    data = job.partial.read_bytes()
    middle = len(data) // 2
    for damaged in (
        data.replace(b"tiny", b"tidy", 1),
        data[:middle] + bytes([data[middle] ^ 0x80]) + data[middle + 1 :],
        data[:middle] + bytes(4096) + data[middle + 4096 :],  # a block that the disk lost
    ):
        job.partial.write_bytes(damaged)
        done = train(trained.rows, "-o", job.output, *OPTIONS, "--resume")
        assert "was changed after" in done.error
        assert job.partial.read_bytes() == damaged


def test_a_change_of_any_byte_is_refused() -> None:
    made = make_checkpoint(ngram_words=15, ngram_slots=15, ngram_dim=1)
    path = checkpoint_file("m.safetensors", made)
    whole = path.read_bytes()
    rng = random.Random(0)
    for offset in [*range(0, 200, 10), *rng.sample(range(200, len(whole)), 50)]:
        other = whole[offset] ^ rng.randrange(1, 256)
        path.write_bytes(whole[:offset] + bytes([other]) + whole[offset + 1 :])
        assert command("inspect", "-m", path).error


def test_a_checkpoint_of_an_earlier_version_is_exported_and_trained_from() -> None:
    assert command("export", EXAMPLE, "-o", "m.onnx", "--quantize", "int8").returncode == 0
    answers = [command("predict", "-m", "m.onnx", text).stdout[:3] for text in ("great", "awful")]
    assert answers == ["pos", "neg"]
    rows = write_csv("d.csv", [("great film", "pos"), ("awful film", "neg")] * 20)
    options = ("--preset", "tiny", "--epochs", "1")
    assert train(rows, "-o", "n.safetensors", "--start", EXAMPLE, *options).returncode == 0
