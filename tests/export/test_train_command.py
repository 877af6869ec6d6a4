"""``edge-lstm train``, as it is typed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import warnings
from csv import reader
from pathlib import Path

import pytest
import torch
from edge_lstm_export import pipeline
from edge_lstm_export.checkpoint import load_checkpoint
from edge_lstm_export.job import TrainingJob
from train_command import Result, run

from edge_lstm.text import split_words

SMALL = ("--hidden", "12", "--embedding", "8", "--threads", "1")


def write_csv(path: Path, labels: list[str], count: int, seed: int = 0) -> Path:
    rng = random.Random(seed)
    rows = ["text,label"]
    for i in range(count):
        label = labels[i % len(labels)]
        words = [f"word{rng.randrange(30)}" for _ in range(rng.randint(2, 12))] + [f"about{label}"]
        rng.shuffle(words)
        rows.append(f"{' '.join(words)},{label}")
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("data") / "reviews.csv", ["no", "yes"], 100)


@pytest.fixture(scope="module")
def trained(csv: Path) -> tuple[Path, Result]:
    output = csv.with_name("model.safetensors")
    return output, run(csv, "-o", output, *SMALL)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(path).network.state_dict()


def same(one: Path, other: Path) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one).values(), weights(other).values()))


def test_a_hundred_texts_are_enough_to_try(trained: tuple[Path, Result]) -> None:
    output, result = trained
    assert result.returncode == 0, result.stderr
    checkpoint = load_checkpoint(output)
    assert checkpoint.labels == ("no", "yes")
    assert checkpoint.training["validation"]["accuracy"] > 0.7
    assert "only 100 training texts" in result.stderr


def test_results_are_on_standard_output_and_fit_a_terminal(
    trained: tuple[Path, Result],
) -> None:
    _, result = trained
    assert "trainable parameters" in result.stdout
    assert "cross-validated accuracy" in result.stdout
    assert "100 texts)" in result.stdout
    assert "epoch 1/" in result.stderr
    assert "epoch 1/" not in result.stdout
    table = [line for line in result.stdout.splitlines() if not line.startswith(("history", "checkpoint"))]
    assert max(map(len, table)) <= 80
    assert "\x1b" not in result.stdout + result.stderr


def test_history_and_learning_curve_lie_beside_the_checkpoint(
    trained: tuple[Path, Result],
) -> None:
    output, _ = trained
    names = sorted(path.name for path in output.parent.iterdir())
    made = ["history.json", "history.png", "safetensors"]
    assert names == [*(f"model.{name}" for name in made), "reviews.csv"]
    history = json.loads(output.with_name("model.history.json").read_text())
    assert len(history["epochs"]) == load_checkpoint(output).training["epochs"]


def test_the_checkpoint_tells_how_it_was_made(
    trained: tuple[Path, Result],
) -> None:
    training = load_checkpoint(trained[0]).training
    assert training["data"]["name"] == "reviews.csv"
    assert len(training["data"]["sha256"]) == 64
    assert training["cross_validated"]
    assert training["validation"]["texts"] == 100
    assert training["test"] is None
    assert training["preset"] == "small"
    assert training["distillation"]["teacher"] == "svm"
    assert training["seed"] == training["options"]["seed"] == 0
    assert training["versions"]["torch"] == torch.__version__
    assert training["temperature"] > 0


def test_other_words_are_read_as_their_parts_beside_word_pairs_too(tmp_path: Path, csv: Path) -> None:
    output = tmp_path / "m.safetensors"
    long = ("--set", "features=pairs", "--set", "pieces=yes", "--num-words", "50", "--epochs", "1")
    assert run(csv, "-o", output, *long, *SMALL).returncode == 0
    trained = load_checkpoint(output)
    assert trained.network.config.pair_buckets and trained.tokenizer.pieces
    pieces = range(4 + len(trained.tokenizer.words), trained.tokenizer.num_ids)
    assert set(pieces).intersection(trained.tokenizer.encode_text("wordabout").ids)
    refused = run(csv, "-o", output, *long, "--set", "words=telling", *SMALL)
    assert refused.returncode == 1 and "leave pieces=yes out" in refused.stderr


def test_the_vocabulary_holds_no_word_of_the_test_texts_alone(tmp_path: Path, csv: Path) -> None:
    test = tmp_path / "test.csv"
    test.write_text("text,label\nnever seen word1,yes\nword2,no\n")
    output = tmp_path / "m.safetensors"
    assert run(csv, "--test", test, "--epochs", "1", "-o", output, *SMALL).returncode == 0
    words = set(load_checkpoint(output).tokenizer.words)
    assert words == set(split_words(csv.read_text().replace(",no", "").replace(",yes", ""))) - {
        "text",
        "label",
    }


def test_the_same_seed_gives_the_same_weights(tmp_path: Path, csv: Path) -> None:
    one, other, third = (tmp_path / f"{name}.safetensors" for name in "abc")
    for output, seed in ((one, 3), (other, 3), (third, 4)):
        assert run(csv, "-o", output, "--epochs", "2", "--seed", str(seed), *SMALL).returncode == 0
    assert same(one, other)
    assert not same(one, third)


def test_five_labels_and_json(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "news.csv", list("edcba"), 120)
    result = run(data, "-o", tmp_path / "m.safetensors", "--json", "--pooling", "mean", *SMALL)
    assert result.returncode == 0, result.stderr
    read = json.loads(result.stdout)
    assert list(read["validation"]["labels"]) == list("abcde")
    assert load_checkpoint(tmp_path / "m.safetensors").network.config.labels == 5


def test_the_vocabulary_options_reach_the_tokenizer(tmp_path: Path, csv: Path) -> None:
    output = tmp_path / "m.safetensors"
    options = ("--num-words", "10", "--skip-top", "2", "--drop-unknown", "--length", "7", "--epochs", "1")
    assert run(csv, "-o", output, "--no-test", *options, *SMALL).returncode == 0
    checkpoint = load_checkpoint(output)
    tokenizer = checkpoint.tokenizer
    assert (len(tokenizer.words), tokenizer.oov_id, tokenizer.length) == (6, None, 7)
    assert not {"aboutno", "aboutyes"} & set(tokenizer.words), "the two most frequent words"
    assert checkpoint.network.embedding.num_embeddings == 11
    assert checkpoint.training["test"] is None


def test_without_a_validation_part_nothing_is_calibrated(tmp_path: Path, csv: Path) -> None:
    output = tmp_path / "m.safetensors"
    result = run(csv, "-o", output, "--validation", "0", "--test-share", "0", "--epochs", "2", *SMALL)
    assert "not calibrated" in result.stdout
    training = load_checkpoint(output).training
    assert (training["temperature"], training["validation"], training["test"]) == (1.0, None, None)
    assert sum(training["data"]["train_texts"].values()) == 100


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_with_a_usable_checkpoint_and_resume_goes_on(
    tmp_path: Path, csv: Path, number: signal.Signals
) -> None:
    straight, broken = tmp_path / "straight.safetensors", tmp_path / "broken.safetensors"
    options = ("--epochs", "10", "--patience", "10", "--batch-size", "1", "--validation", "0.1", *SMALL)
    arguments = [sys.executable, "-m", "edge_lstm", "train", str(csv), "-o", str(broken), *options]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("epoch 2/"):
            pass
        process.send_signal(number)
        _, messages = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert "--resume" in messages
    assert load_checkpoint(broken).training["outcome"] == "interrupted"
    partial = tmp_path / "broken.safetensors.partial"
    assert partial.exists()

    again = run(csv, "-o", broken, *options)
    assert again.returncode == 1
    assert "--resume" in again.stderr
    other = run(csv, "-o", broken, "--resume", *options, "--learning-rate", "0.5")
    assert other.returncode == 1
    assert "another learning_rate" in other.stderr
    resumed = run(csv, "-o", broken, "--resume", *options)
    assert resumed.returncode == 0, resumed.stderr
    assert not partial.exists()
    assert run(csv, "-o", straight, *options).returncode == 0
    assert same(straight, broken)


def test_a_training_that_is_killed_outright_goes_on_to_the_same_weights(tmp_path: Path, csv: Path) -> None:
    straight, broken = tmp_path / "straight.safetensors", tmp_path / "broken.safetensors"
    options = ("--epochs", "8", "--patience", "8", "--batch-size", "1", "--validation", "0.1", *SMALL)
    arguments = [sys.executable, "-m", "edge_lstm", "train", str(csv), "-o", str(broken), *options]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("epoch 3/"):
            pass
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not broken.exists(), "nothing half-trained under the model's name"
    resumed = run(csv, "-o", broken, "--resume", *options)
    assert resumed.returncode == 0, resumed.stderr
    assert "epoch 1/" not in resumed.stderr
    assert run(csv, "-o", straight, *options).returncode == 0
    assert same(straight, broken)


def test_what_is_odd_is_said_and_kept_with_the_model(trained: tuple[Path, Result]) -> None:
    output, result = trained
    training = load_checkpoint(output).training
    assert any("only 100 training texts" in warning for warning in training["warnings"])
    assert all(f"note: {warning}" in result.stderr for warning in training["warnings"])
    assert training["data"]["checks"]["contradictory_texts"] == 0
    assert training["data"]["unknown_words"] == 0, "every word occurs often"
    history = json.loads(output.with_name("model.history.json").read_text())
    assert history["training"]["warnings"] == training["warnings"]


def test_suspicious_labels_are_listed_on_request(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "d.csv", ["no", "yes"], 700)
    lines = data.read_text().splitlines()
    wrong = range(3, 700, 11)  # these rows say "about…" one label and have the other
    for row in wrong:
        text, _, label = lines[row].partition(",")
        lines[row] = f"{text},{'no' if label == 'yes' else 'yes'}"
    data.write_text("\n".join(lines) + "\n")
    listed = tmp_path / "suspects.csv"
    result = run(data, "-o", tmp_path / "m.safetensors", "--epochs", "1", "--suspects", listed, *SMALL)
    assert result.returncode == 0, result.stderr
    assert "of the labels look wrong" in result.stderr and f"correct the texts that {listed}" in result.stderr
    found = list(reader(listed.open(newline="")))
    assert found[0][:3] == ["row", "label", "likely_label"]
    rows = [int(row[0]) for row in found[1:]]
    caught = set(rows) & set(wrong)
    assert len(caught) > 0.5 * len(wrong)  # a tenth of them is in the test part, which is not looked at
    assert len(caught) > 0.9 * len(rows)
    for row, label, likely, *_, text in found[1:]:
        assert lines[int(row)] == f"{text},{label}"
        assert {label, likely} == {"no", "yes"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "d.csv"),
        ("text,label\n", "no labelled row"),
        ("text,label\na b,x\nc d,x\n", "one label, x"),
        ("text,label\na b,x\nc d,\ne,y\n", "no label in 'label'; remove or label the row"),
        ("text,label\n" + "".join(f"a {i},{i}\n" for i in range(10_000)), "10,000 different labels"),
        ("text,label\n" + "".join(f"a {i},{i / 8}\n" for i in range(90)), "90 different labels"),
        ("text,label\n" + "".join(f"Same,{i % 2}\n" for i in range(50)), "training texts of d.csv hold the"),
        ("text,label\n" + "".join(f"!,{i % 2}\n" for i in range(50)), "training texts of d.csv hold the"),
    ],
)
def test_data_that_cannot_train_get_one_line(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "d.csv").write_text(content)
    result = run(tmp_path / "d.csv", "-o", tmp_path / "m.safetensors", *SMALL)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert expected in result.stderr and "; " in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["d.csv"]


def test_labels_that_are_numbers_train(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "d.csv", ["1", "2.5", "10"], 90)
    output = tmp_path / "m.safetensors"
    assert run(data, "-o", output, "--epochs", "1", *SMALL).returncode == 0
    assert load_checkpoint(output).labels == ("1", "2.5", "10")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["missing.csv", "-o", "m.safetensors"], "no file or folder missing.csv"),
        (["{csv}", "-o", "m.onnx"], "must end in .safetensors"),
        (["{csv}", "-o", "m.safetensors", "--preset", "best"], "choose one of seed"),
        (["{csv}", "-o", "m.safetensors", "--pooling", "median"], "pooling must be one of"),
        (["{csv}", "-o", "m.safetensors", "--validation", "1"], "--validation must be"),
        (["{csv}", "-o", "m.safetensors", "--resume"], "no unfinished training"),
        (["{csv}", "-o", "m.safetensors", "--device", "cuda:9"], "use --device cpu"),
        (["{csv}", "-o", "m.safetensors", "--word-index", "{csv}"], "not a JSON file"),
        (["{csv}", "-o", "m.safetensors", "--label-column", "stars"], "stars"),
        (["{csv}", "-o", "{csv}/m.safetensors"], "cannot write"),
        (["{csv}", "-o", "m.safetensors", "--suspects", "no/s.csv"], "no folder no; make it first"),
        (["imdb", "-o", "m.safetensors", "--data-dir", "."], "aclImdb_v1.tar.gz"),
    ],
)
def test_wrong_input_gets_one_line_and_leaves_nothing(
    tmp_path: Path, csv: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*[part.format(csv=csv) for part in arguments])
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert expected in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused_before_the_training(tmp_path: Path, csv: Path) -> None:
    tmp_path.chmod(0o500)
    result = run(csv, "-o", tmp_path / "m.safetensors")
    assert "cannot write" in result.stderr
    assert "epoch" not in result.stderr


def test_settings_are_set_by_name_and_as_the_options_they_were(tmp_path: Path, csv: Path) -> None:
    one, other = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    options = ("--epochs", "1", "--preset", "seed", "--threads", "1")
    by_name = ("hidden=12", "embedding_dim=8", "drop-unknown=yes", "learning-rate=0.01", "validation=0.2")
    assert run(csv, "-o", one, *options, "--set", "hidden=x").returncode == 2
    wrong = run(csv, "-o", one, *options, "--set", by_name[1])
    assert wrong.returncode == 2 and "do you mean embedding?" in wrong.stderr
    by_name = ("hidden=12", "embedding=8", "drop-unknown=yes", "learning_rate=0.01", "validation=0.2")
    sets = [part for line in by_name for part in ("--set", line)]
    assert run(csv, "-o", one, *options, *sets).returncode == 0
    old = ("--hidden", "12", "--embedding", "8", "--drop-unknown", "--learning-rate", "0.01")
    assert run(csv, "-o", other, *options, *old, "--validation", "0.2").returncode == 0
    assert same(one, other)
    config = load_checkpoint(one).network.config
    assert (config.hidden, config.embedding_dim) == (12, 8)
    assert load_checkpoint(one).tokenizer.oov_id is None


def test_the_help_shows_what_people_use_and_the_rest_is_listed() -> None:
    shown, listed = run("--help").stdout, run("--preset", "base", "--list-settings").stdout
    assert "--epochs" in shown and "--learning-rate" not in shown
    assert "hidden=N" in listed and "preset base" in listed
    assert ["bidirectional=yes|no", "yes"] in [line.split()[:2] for line in listed.splitlines()]


def test_no_warning_of_a_linear_model_reaches_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """scikit-learn's, of five lines, where a model is ended before its optimum."""
    from sklearn.exceptions import ConvergenceWarning

    def ended_early(job: TrainingJob, watcher: object) -> None:
        warnings.warn("lbfgs failed to converge", ConvergenceWarning, stacklevel=1)

    monkeypatch.setattr(pipeline, "_run", ended_early)
    job = TrainingJob("rows.csv", tmp_path / "m.safetensors")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        pipeline.run_job(job, object())  # type: ignore[arg-type]
    assert not seen
