"""Not a byte of a checkpoint, or of what an unfinished training keeps, changes unnoticed."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from edge_lstm_export.checkpoint import load_checkpoint
from train_command import run

from edge_lstm.errors import DataError

OPTIONS = ("--preset", "seed", "--epochs", "30", "--batch-size", "1", "--hidden", "8", "--embedding", "8")
DIGEST = re.compile(rb'\\"sha256\\": \\"[0-9a-f]{64}\\", ')


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a training that was killed in epoch 3, and the checkpoint of a shorter one."""
    folder = tmp_path_factory.mktemp("killed")
    rng = random.Random(0)
    words = [" ".join(rng.choices([f"word{i}" for i in range(40)], k=8)) for _ in range(60)]
    rows = [f"{text} {label},{label}" for text, label in zip(words, ["billing", "delivery"] * 30)]
    (folder / "d.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    short = run(folder / "d.csv", "-o", folder / "m.safetensors", *OPTIONS, "--epochs", "1")
    assert short.returncode == 0, short.stderr
    line = [sys.executable, "-m", "edge_lstm", "train", "d.csv", "-o", "k.safetensors", *OPTIONS]
    with subprocess.Popen(
        line, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("epoch 2/"):
            pass
        process.kill()
    assert process.returncode == -signal.SIGKILL
    (folder / ".k.safetensors.lock").unlink()
    return folder


def other_word(data: bytes) -> bytes:
    return data.replace(b"billing", b"bilking", 1)


def flipped_sign(data: bytes) -> bytes:
    """The first value of the head's bias with its sign changed."""
    size = int.from_bytes(data[:8], "little")
    name = "network.head.bias"
    last = 8 + size + json.loads(data[8 : 8 + size])[name]["data_offsets"][0] + 3
    return data[:last] + bytes([data[last] ^ 0x80]) + data[last + 1 :]


def zeros(data: bytes) -> bytes:
    """A block in the middle that the disk lost."""
    middle = len(data) // 2
    return data[:middle] + bytes(4096) + data[middle + 4096 :]


def no_digest(data: bytes) -> bytes:
    """As a file of before there was one."""
    rest = DIGEST.sub(b"", data[8:], count=1)
    size = int.from_bytes(data[:8], "little") - (len(data) - 8 - len(rest))
    return size.to_bytes(8, "little") + rest


@pytest.mark.parametrize("damage", [other_word, flipped_sign, zeros, no_digest])
def test_a_damaged_checkpoint_is_not_exported_and_a_damaged_state_is_not_resumed(
    killed: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    shutil.copytree(killed, tmp_path, dirs_exist_ok=True)
    for name in ("m.safetensors", "k.safetensors.partial"):
        whole = (tmp_path / name).read_bytes()
        assert damage(whole) != whole
        (tmp_path / name).write_bytes(damage(whole))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    files = (tmp_path / "d.csv", "-o", tmp_path / "k.safetensors")
    for done in (
        run(tmp_path / "m.safetensors", "-o", tmp_path / "m.onnx", command="export"),
        run(*files, *OPTIONS, "--resume"),
    ):
        assert done.returncode == 1
        assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
        assert "damaged" in done.stderr and "; " in done.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_change_of_any_byte_is_refused(killed: Path, tmp_path: Path) -> None:
    whole = (killed / "m.safetensors").read_bytes()
    assert load_checkpoint(killed / "m.safetensors").labels == ("billing", "delivery")
    rng, path = random.Random(0), tmp_path / "m.safetensors"
    for offset in [*range(200), *rng.sample(range(200, len(whole)), 600)]:
        other = rng.choice([byte for byte in range(256) if byte != whole[offset]])
        path.write_bytes(whole[:offset] + bytes([other]) + whole[offset + 1 :])
        with pytest.raises(DataError):
            load_checkpoint(path)
