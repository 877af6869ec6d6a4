"""A model that teaches, and one that a training starts from, as they are typed: a model file of
edge-lstm, or a checkpoint of a network that was imported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import inspected, train
from edge_lstm_export.checkpoint import load_checkpoint, save_checkpoint
from edge_lstm_export.importing import Imported, ImportedModel, model
from edge_lstm_export.importing.checkpoint import checkpoint_of
from edge_lstm_export.importing.words import rule_of
from edge_lstm_export.options import SourceFile
from edge_lstm_export.train.lstm.start import first_weights
from made import rows, words_of, write_csv
from model_files import DATA, edited

from edge_lstm.core.text import FIRST_WORD_ID, Tokenizer

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
def table() -> Path:
    return write_csv("d.csv", rows(60))


@pytest.fixture
def file() -> Path:
    Path("small.onnx").write_bytes(DATA)
    return Path("small.onnx")


def imported(
    *, lstms: int = 1, hard_sigmoid: float | None = None, hidden_dense: int = 0
) -> Imported:
    """A network of elsewhere that reads its padding in front, with random weights.

    It tells praise from blame, since their vectors are opposite.
    """
    rng = np.random.default_rng(1)  # so that praise and blame are on two sides of a half
    words = {word: i for i, word in enumerate((*PRAISE, *BLAME, "wave"), 1)}
    signs = np.array([0.1, *[1] * len(PRAISE), *[-1] * len(BLAME), 0.5], "f")

    def drawn(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.5, shape).astype("f")

    def lstm(inputs: int, k: int) -> model.LSTM:
        weights = drawn(1, 28, inputs), drawn(1, 28, 7), drawn(1, 28)
        return model.LSTM(f"lstm{k}", *weights, hard_sigmoid)

    layers = (
        model.Embedding("embedding", signs[:, None] * drawn(5)),
        *(lstm(7 if k else 5, k) for k in range(lstms)),
        model.Pooling("lstm", "last"),
        *(model.Dense("hidden", drawn(7, 7), drawn(7), "relu") for _ in range(hidden_dense)),
        model.Dense("dense", drawn(7, 1), drawn(1), "sigmoid"),
    )
    reading = model.Reading(20, "front")
    return Imported(ImportedModel.of(layers, reading, "a test"), rule_of(words), ("no", "yes"), ())


@pytest.fixture
def checkpoint() -> Path:
    path = Path("imported.safetensors")
    save_checkpoint(checkpoint_of(imported()), path)
    return path


@pytest.mark.parametrize("source", ["file", "checkpoint"])
def test_a_training_starts_from_the_lstm_of_a_model(
    table: Path, request: pytest.FixtureRequest, source: str
) -> None:
    path = request.getfixturevalue(source)
    output = Path("m.safetensors")
    result = train(table, "-o", output, *QUICK, "--teacher", "none", "--start", path)
    assert result.returncode == 0, result.stderr
    network = inspected(output)["network"]
    (layer,) = network["layers"]
    shapes = {"file": (14, 30, True), "checkpoint": (5, 7, False)}
    assert (network["embedding_dim"], layer["lstm"], layer["bidirectional"]) == shapes[source]
    assert (layer["gives"], network["padding"]) == ("mean+max", "none")
    started = load_checkpoint(output)
    lstm, _ = first_weights(SourceFile(str(path)), started.tokenizer)
    weights = started.network.weights()
    for name in (name for name in lstm if "weight" in name):  # one pass leaves them near
        assert np.corrcoef(lstm[name].ravel(), weights[name].ravel())[0, 1] > 0.9, name


@pytest.mark.parametrize("source", ["file", "checkpoint"])
def test_a_model_teaches_what_it_knows_whatever_its_labels(
    request: pytest.FixtureRequest, source: str
) -> None:
    path = request.getfixturevalue(source)
    table = write_csv("opinions.csv", OPINIONS)
    output = Path("m.safetensors")
    result = train(table, "-o", output, *QUICK, "--teacher", path)
    assert result.returncode == 0, result.stderr
    training = inspected(output)["training"]
    weights = {teacher["name"]: teacher["weight"] for teacher in training["teachers"]}
    assert weights.keys() == {"linear", f"model {path.name}"}
    assert weights[f"model {path.name}"] > 0.5
    assert training["data"]["augmented_texts"] > 0 and training["teachers_accuracy"] > 0.9


def test_the_layers_behind_the_first_lstm_are_left_out_of_a_start() -> None:
    path = Path("stacked.safetensors")
    save_checkpoint(checkpoint_of(imported(lstms=2, hidden_dense=1)), path)
    tokenizer = Tokenizer.of_subwords(("wave", "elsewhere"))
    lstm, vectors = first_weights(SourceFile(str(path)), tokenizer)
    weights = load_checkpoint(path).network.weights()
    assert {name.split(".")[1] for name in lstm} == {"0"}
    for name, values in lstm.items():
        assert np.array_equal(values, weights[name]), name
    row = len(PRAISE) + len(BLAME) + 1  # of "wave" in the imported embedding
    assert np.array_equal(vectors[FIRST_WORD_ID], weights["embedding.weight"][row])


@pytest.mark.parametrize(
    ("source", "damage", "said"),
    [
        ("checkpoint", lambda data: data[:-9], "holds no checkpoint, or is cut short"),
        (
            "checkpoint",
            lambda data: data.replace(b"lstms.0", b"lstms.9"),
            "was changed after it was written",
        ),
        ("checkpoint", lambda data: b"weights", "is not an ONNX file"),
        ("checkpoint", lambda data: b"", "is empty"),
        ("file", lambda data: data[:5000], "cut short or damaged"),
    ],
    ids=["cut", "changed", "a text", "empty", "cut ONNX"],
)
def test_a_damaged_model_neither_teaches_nor_starts(
    table: Path,
    request: pytest.FixtureRequest,
    source: str,
    damage: Callable[[bytes], bytes],
    said: str,
) -> None:
    path = request.getfixturevalue(source)
    path.write_bytes(damage(path.read_bytes()))
    for option in ("--start", "--teacher"):
        assert said in train(table, "--dry-run", *QUICK, option, path).error


def test_gates_that_trainings_do_not_make_start_nothing_and_the_line_says_what_does(
    table: Path,
) -> None:
    path = Path("old.safetensors")
    save_checkpoint(checkpoint_of(imported(hard_sigmoid=0.2)), path)
    refused = train(table, "-o", "m.safetensors", *QUICK, "--start", path).error
    assert "hard sigmoid" in refused and refused.endswith("use it as --teacher instead of --start")
    taught = train(table, *QUICK, "--teacher", path, "--dry-run")
    assert taught.returncode == 0, taught.stderr


@pytest.mark.parametrize("option", ["--start", "--teacher"])
def test_a_training_does_not_replace_the_model_that_it_learns_from(
    table: Path, checkpoint: Path, option: str
) -> None:
    refused = train(table, "-o", checkpoint, *QUICK, option, checkpoint)
    assert "is one of the inputs" in refused.error


@pytest.mark.parametrize("option", ["--start", "--teacher"])
def test_a_plan_means_the_file_that_it_was_made_with(table: Path, file: Path, option: str) -> None:
    plan = Path("plan.json")
    plan.write_text(train(table, *QUICK, option, file, "--dry-run", "--json").stdout)
    planned = (table, "-o", "m.safetensors", "--plan", plan)
    assert train(*planned, "--dry-run").returncode == 0
    file.write_bytes(edited({"labels": json.dumps(["no", "yes"])}))
    said = "small.onnx was changed after the plan was made; make the plan again"
    assert said in train(*planned, "--dry-run").error and said in train(*planned).error
    file.unlink()
    assert "no model file at" in train(*planned).error


def test_a_start_that_leaves_no_room_for_words_is_named(table: Path) -> None:
    refused = train(table, "--dry-run", "--preset", "tiny", "--start", "sentiment").error
    assert "an LSTM of 94 units" in refused and refused.endswith("give --preset small")
    assert train(table, "--dry-run", "--preset", "small", "--start", "sentiment").returncode == 0
