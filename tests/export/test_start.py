"""A model file of edge-lstm that teaches, and one that a training starts from, as they are
typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import train
from edge_lstm_export.options import SourceFile
from edge_lstm_export.train.checkpoint import load_checkpoint
from edge_lstm_export.train.start import first_weights
from made import rows, words_of, write_csv
from model_files import DATA, SMALL, edited, message

from edge_lstm import onnx_file
from edge_lstm.layers import Lstm

QUICK = ("--preset", "tiny", "--epochs", "1")
# Words that the small model of tests/data knows, and labels that it does not.
PRAISE = words_of("good wonderful great brilliant moving funny lovely superb touching charming")
BLAME = words_of("bad dull boring awful terrible tedious weak silly worst poor")
OPINIONS = [
    (f"the {thing} is {word}", label)
    for label, words in (("yes", PRAISE), ("no", BLAME))
    for word in words
    for thing in words_of("film story plot")
]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "d.csv", rows(60))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "small.onnx").write_bytes(DATA)
    return tmp_path / "small.onnx"


def without_constant(name: bytes) -> bytes:
    """The small model, whole but for a constant of its graph."""
    fields = list(onnx_file._fields(onnx_file.parse(DATA).graph))
    kept = [
        (number, value)
        for number, value in fields
        if number != 5 or isinstance(value, int) or dict(onnx_file._fields(value))[8] != name
    ]
    assert len(kept) == len(fields) - 1
    return edited(graph=message(kept))


def test_a_training_starts_from_the_lstm_of_a_model_file(
    table: Path, file: Path, tmp_path: Path
) -> None:
    output = tmp_path / "m.safetensors"
    result = train(table, "-o", output, *QUICK, "--teacher", "none", "--start", file)
    assert result.returncode == 0, result.stderr
    checkpoint = load_checkpoint(output)
    config = checkpoint.network.config
    assert (config.embedding_dim, config.layers) == (14, (Lstm(30, True, "mean+max"),))
    lstm, _ = first_weights(SourceFile(str(file)), checkpoint.tokenizer)
    weights = checkpoint.network.weights()
    for name in (name for name in lstm if "weight" in name):  # one pass leaves them near
        assert np.corrcoef(lstm[name].ravel(), weights[name].ravel())[0, 1] > 0.9, name


def test_a_model_file_teaches_what_it_knows_whatever_its_labels(file: Path, tmp_path: Path) -> None:
    table, output = write_csv(tmp_path / "opinions.csv", OPINIONS), tmp_path / "m.safetensors"
    result = train(table, "-o", output, *QUICK, "--teacher", file)
    assert result.returncode == 0, result.stderr
    training = load_checkpoint(output).training
    weights = {teacher["name"]: teacher["weight"] for teacher in training["teachers"]}
    assert weights.keys() == {"linear", "model small.onnx"}
    assert weights["model small.onnx"] > weights["linear"]
    assert training["data"]["augmented_texts"] > 0 and training["teachers_accuracy"] > 0.9


@pytest.mark.parametrize("option", ["--start", "--teacher"])
def test_a_plan_means_the_file_that_it_was_made_with(
    table: Path, file: Path, tmp_path: Path, option: str
) -> None:
    shown = train(table, *QUICK, option, file, "--dry-run", "--json")
    plan = tmp_path / "plan.json"
    plan.write_text(shown.stdout)
    values = json.loads(shown.stdout)
    assert str(file) in {each["source"] for each in (values["start"], *values["teachers"])}
    assert train(table, "--dry-run", "--plan", plan).returncode == 0
    file.write_bytes(edited({"labels": json.dumps(["no", "yes"])}))
    for more in ("--dry-run", "--json"):
        refused = train(table, "-o", tmp_path / "m.safetensors", "--plan", plan, more)
        assert (
            "small.onnx was changed after the plan was made; make the plan again" in refused.error
        )
    file.unlink()
    refused = train(table, "-o", tmp_path / "m.safetensors", "--plan", plan)
    assert "no model file at" in refused.error and not list(tmp_path.glob("m.*"))


@pytest.mark.parametrize("option", ["--start", "--teacher"])
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "no model file at"),
        (b"text,label\n", "is not an ONNX file"),
        (DATA[:5000], "cut short or damaged"),
        (without_constant(b"lstm0_w"), "its graph has no constant 'lstm0_w'"),
    ],
    ids=["missing", "another file", "cut", "without an LSTM"],
)
def test_a_file_that_cannot_be_read_is_refused(
    table: Path, tmp_path: Path, option: str, data: bytes | None, said: str
) -> None:
    file = tmp_path / "other.onnx"
    if data is not None:
        file.write_bytes(data)
    refused = train(table, "-o", tmp_path / "m.safetensors", *QUICK, option, file)
    assert said in refused.error and not list(tmp_path.glob("m.*"))


def test_a_start_that_leaves_no_room_for_words_is_named(table: Path) -> None:
    refused = train(table, "--dry-run", "--preset", "tiny", "--start", "sentiment").error
    assert "an LSTM of 94 units" in refused and refused.endswith("give --preset small")
    assert train(table, "--dry-run", "--preset", "small", "--start", "sentiment").returncode == 0


def test_the_preset_seed_starts_from_no_file(table: Path) -> None:
    refused = train(table, "--dry-run", "--preset", "seed", "--start", SMALL).error
    assert "leave out --teacher, --start and --unlabelled" in refused
