"""make teacher, then what make model trains of its labels: the recipes as they stand in the Makefile, on a
made archive and with made transformers."""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

pytest.importorskip("edge_lstm_export")
pytest.importorskip("transformers")

from edge_lstm_export.checkpoint import describe_checkpoint

ROOT = Path(__file__).parents[2]
SAID = {
    "pos": ["a fine joy", "warm and funny", "great fun"],
    "neg": ["a dull bore", "cold and flat", "no fun"],
}
OF = ["The plot is", "The acting was", "The music is", "It was", "The end is not", "The rest was never"]
REVIEWS = {"train/pos": 60, "train/neg": 60, "train/unsup": 40, "test/pos": 10, "test/neg": 10}


def review(rng: random.Random, label: str) -> str:
    """Twenty sentences, which is long enough for spans; at least twelve say what the label says."""
    every = [what for side in SAID.values() for what in side]
    said = [rng.choice(SAID[label] if i < 12 else every) for i in range(20)]
    rng.shuffle(said)
    return " ".join(f"{rng.choice(OF)} {what}, scene {rng.randrange(1000)}." for what in said)


def archive(path: Path) -> None:
    """As the Large Movie Review Dataset is packed."""
    rng = random.Random(0)
    with tarfile.open(path, "w:gz") as packed:
        for folder, count in REVIEWS.items():
            for i in range(count):
                label = folder.partition("/")[2]
                text = review(rng, label if label in SAID else rng.choice(sorted(SAID))).encode()
                member = tarfile.TarInfo(f"aclImdb/{folder}/{i}_{8 if label == 'pos' else 2}.txt")
                member.size = len(text)
                packed.addfile(member, io.BytesIO(text))


@pytest.mark.slow  # two transformers and a network are trained
@pytest.mark.skipif(not shutil.which("make") or os.name == "nt", reason="needs make and sh")
def test_teachers_label_and_a_student_learns_from_the_labels_alone(tmp_path: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "export"))
    from transformers_made import make_transformer

    words = " ".join([*OF, *SAID["pos"], *SAID["neg"], "scene"]).lower().split()
    small = make_transformer(tmp_path / "small", words)
    large = make_transformer(tmp_path / "large", words, layers=6)
    archive(tmp_path / "aclImdb_v1.tar.gz")
    command = tmp_path / "edge-lstm"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m edge_lstm "$@"\n')
    command.chmod(0o755)
    (tmp_path / "installed").touch()
    environment = {
        **os.environ,
        "EDGE_LSTM_DATA": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }

    def make(target: str, *more: str) -> None:
        given = {
            "BIN": tmp_path,
            "VENV": tmp_path,
            "MODEL_DIR": tmp_path,
            "LABELS": tmp_path / "labels.safetensors",
        }
        done = subprocess.run(
            ["make", target, *(f"{name}={value}" for name, value in given.items()), *more],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    make("teacher", f"TEACHER={small}", f"TEACHER_OF_SPANS={large}")
    labels = (tmp_path / "labels.safetensors").read_bytes()
    assert labels != (tmp_path / "everything.soft-labels.safetensors").read_bytes()
    shutil.rmtree(small)
    shutil.rmtree(large)
    make(str(tmp_path / "tiny.done"))
    assert (tmp_path / "labels.safetensors").read_bytes() == labels
    training = describe_checkpoint(tmp_path / "tiny.safetensors")["training"]
    taught = training["distillation"]
    assert training["preset"] == "tiny" and training["outcome"] == "finished"
    assert (taught["teacher"], taught["unlabelled_texts"]) == ("kept", REVIEWS["train/unsup"])
    # Four of a text, fewer where two are the same, and runs of words around "not" and "never".
    assert taught["spans"] > 2 * sum(REVIEWS[f"train/{part}"] for part in ("pos", "neg", "unsup"))
    assert taught["spans_anew"]["teacher"] == "large"
