"""``edge-lstm train``, as it is typed: what it writes, what it says, what it refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from commands import command, train
from conftest import Trained
from edge_lstm_export.train.checkpoint import load_checkpoint, save_checkpoint
from made import make_checkpoint, rows, write_csv

from edge_lstm.cli import app

ROOT = Path(__file__).parents[2]
QUICK = ("--preset", "tiny", "--epochs", "1", "--teacher", "none")
MADE = {"m.safetensors", "m.history.json"}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- What it leaves and says ----------------------------------------------------------------------


def test_sixty_texts_are_enough_to_try(trained: Trained) -> None:
    assert trained.result.returncode == 0, trained.result.stderr
    checkpoint = load_checkpoint(trained.checkpoint)
    assert checkpoint.labels == ("sea", "shop")
    assert checkpoint.training["validation"]["accuracy"] > 0.8
    assert names(trained.checkpoint.parent) == {*MADE, "rows.csv"}
    history = json.loads(trained.checkpoint.with_name("m.history.json").read_text())
    assert len(history["epochs"]) == checkpoint.training["epochs"] == 2
    assert history["training"] == checkpoint.training


def test_results_are_on_standard_output_and_fit_a_terminal(trained: Trained) -> None:
    out = trained.result.stdout
    err = trained.result.stderr
    said = " ".join(out.split())  # lines are wrapped, by the length of the folder's name
    assert "cross-validated accuracy" in said and "60 texts, folds" in said and "time: " in said
    assert "epoch 1 " in err and "epoch 1 " not in out
    assert err.splitlines()[0].split() == ["source", "rows.csv"]
    assert (
        "\nteachers         none (sentiment tried" in err
        and "\nfile             at most 60 kB" in err
    )
    shown = [line for line in out.splitlines() if not line.startswith(("history", "/"))]
    assert max(map(len, shown)) <= 80
    assert "\x1b" not in out + err


def test_the_checkpoint_tells_how_it_was_made(trained: Trained) -> None:
    training = load_checkpoint(trained.checkpoint).training
    assert training["data"]["name"] == "rows.csv" and len(training["data"]["sha256"]) == 64
    assert training["cross_validated"] and training["test"] is None
    assert training["validation"]["texts"] == 60 and training["data"]["validation_texts"] == 0
    assert [teacher["name"] for teacher in training["teachers"]] == []
    assert (training["preset"], training["seed"], training["outcome"]) == ("tiny", 0, "finished")
    assert training["temperature"] > 0 and training["parts"]["ngrams"] > 0
    assert all(f"note: {warning}" in trained.result.stderr for warning in training["warnings"])
    shown = json.loads(command("inspect", trained.checkpoint, "--json").stdout)
    assert shown["plan"]["teachers"] == []
    assert shown["training"] == training


def test_a_test_file_is_measured_and_gives_no_word(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "d.csv", rows(60))
    test = write_csv(
        tmp_path / "t.csv", [("a wave neverseen neverseen", "sea"), ("a till", "shop")]
    )
    result = train(source, "-o", tmp_path / "m.safetensors", "--test", test, *QUICK)
    assert result.returncode == 0 and "test accuracy" in result.stdout
    checkpoint = load_checkpoint(tmp_path / "m.safetensors")
    assert checkpoint.training["test"]["texts"] == 2
    assert "neverseen" not in checkpoint.tokenizer.words


@pytest.mark.parametrize(
    "labels", [["1", "2.5", "10"], [f"label{i:02}" for i in range(17)]], ids=len
)
def test_three_labels_and_seventeen_of_two_files_and_json(
    tmp_path: Path, labels: list[str]
) -> None:
    table = sorted(rows(85, labels), key=lambda row: labels.index(row[1]))
    one = write_csv(tmp_path / "a.csv", table[:40])
    other = write_csv(tmp_path / "b.csv", table[40:])
    result = train(one, other, "-o", tmp_path / "m.safetensors", "--json", *QUICK)
    assert result.returncode == 0, result.stderr
    training = json.loads(result.stdout)
    assert training["data"]["name"] == "a.csv + b.csv"
    assert list(training["data"]["train_texts"]) == labels
    assert list(training["validation"]["labels"]) == labels
    config = load_checkpoint(tmp_path / "m.safetensors").network.config
    assert (config.logits, config.ngram_dim) == (len(labels), min(len(labels), 16))
    assert training.pop("linear_model")["macro_f1"] == 1
    assert training == load_checkpoint(tmp_path / "m.safetensors").training
    assert "epoch" not in result.stderr


def test_a_log_is_labelled_without_the_texts_that_are_known(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "d.csv", rows(60))
    test = write_csv(tmp_path / "t.csv", rows(10, seed=7))
    log = write_csv(
        tmp_path / "log.csv", [*rows(40, seed=5), *rows(5), *rows(3, seed=7)], ("text",)
    )
    more = ("--preset", "tiny", "--epochs", "1", "--test", test, "--unlabelled", log)
    result = train(source, "-o", tmp_path / "m.safetensors", *more)
    assert result.returncode == 0, result.stderr
    training = load_checkpoint(tmp_path / "m.safetensors").training
    assert training["data"]["unlabelled_texts"] == len({text for text, _ in rows(40, seed=5)})
    assert training["data"]["train_texts"] == {"sea": 30, "shop": 30}
    assert training["test"]["accuracy"] >= 0.9
    assert "8 of 48 texts" in result.stderr


def test_the_plan_and_the_training_say_which_columns_were_read(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "d.csv", rows(60), ("text", "topic"))
    planned = train(source, "--dry-run")
    assert re.search("^columns +text 'text', label 'topic'$", planned.stdout, re.MULTILINE), (
        planned.stdout
    )
    trained = train(source, "-o", tmp_path / "m.safetensors", *QUICK)
    assert "\ncolumns          text 'text', label 'topic'\n" in trained.stderr
    other = write_csv(tmp_path / "e.csv", rows(60), ("body", "label"))
    both = " ".join(train(source, "--test", other, "--dry-run").stdout.split())
    assert "columns text 'text', label 'topic'; text 'body', label 'label'" in both


@pytest.mark.parametrize(
    "arguments",
    [
        ("d.csv", "--label-column", "topics"),
        ("d.csv", "--text-column", "txt"),
        ("d.csv", "--label-columns", "text,joy"),
        ("missing.csv",),
        ("d.csv", "--test", "id.csv"),
        ("d.csv", "--unlabelled", "missing.csv"),
        ("id.csv",),
    ],
    ids=" ".join,
)
def test_what_is_wrong_with_files_and_columns_is_said_before_pytorch_is_imported(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    write_csv(tmp_path / "d.csv", rows(60), ("text", "topic"))
    (tmp_path / "id.csv").write_text("id,text,topic\n1,a,b\n")
    typed = ["train", *arguments, "-o", "m.safetensors"]
    program = f"""
import sys
sys.argv = ["edge-lstm", *{typed!r}]
try:
    from edge_lstm.cli import main
    main()
finally:
    print([name for name in ("torch", "sklearn", "scipy", "onnx") if name in sys.modules])
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout == "[]\n", done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and (" column" in line or "missing.csv" in line)


# --- Stopped and continued ------------------------------------------------------------------------

LONG = ("--preset", "tiny", "--epochs", "25", "--teacher", "none")


def until(source: Path, output: Path, line: str, number: int) -> tuple[int, str]:
    """A training that a signal ends after this line on standard error."""
    arguments = [
        sys.executable,
        "-m",
        "edge_lstm",
        "train",
        str(source),
        "-v",
        "-o",
        str(output),
        *LONG,
    ]
    with subprocess.Popen(
        arguments, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        said = [""]
        while not said[-1].startswith(line):
            said.append(process.stderr.readline())
            assert said[-1], said
        process.send_signal(number)
        _, messages = process.communicate(timeout=120)
    return process.returncode, messages


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """(source, the bytes of its undisturbed training)."""
    folder = tmp_path_factory.mktemp("straight")
    source = write_csv(folder / "d.csv", rows(60))
    assert train(source, "-o", folder / "m.safetensors", *LONG).returncode == 0
    return source, (folder / "m.safetensors").read_bytes()


def test_a_signal_stops_it_and_resume_goes_on_to_the_same_bytes(
    tmp_path: Path, straight: tuple[Path, bytes]
) -> None:
    source, expected = straight
    output = tmp_path / "m.safetensors"
    save_checkpoint(make_checkpoint(), output)
    earlier = output.read_bytes()
    code, messages = until(source, output, "epoch 2 ", signal.SIGTERM)
    assert code == 128 + signal.SIGTERM
    assert messages.splitlines()[-1].startswith(
        "interrupted; continue with the same command and --resume"
    )
    assert names(tmp_path) == {"m.safetensors", "m.safetensors.partial"}
    assert output.read_bytes() == earlier, "an earlier model stays until there is a new one"
    assert "continue with --resume" in train(source, "-o", output, *LONG).error
    other = train(source, "-o", output, "--resume", *LONG, "--seed", "5")
    assert "cannot resume: seed was 0 and is 5; " in other.error and other.returncode == 1
    other = train(write_csv(tmp_path / "e.csv", rows(60, seed=8)), "-o", output, "--resume", *LONG)
    assert "cannot resume: data was " in other.error
    (tmp_path / "e.csv").unlink()
    resumed = train(source, "-o", output, "--resume", *LONG)
    assert resumed.returncode == 0 and "epoch 1 " not in resumed.stderr
    assert names(tmp_path) == MADE and output.read_bytes() == expected
    history = json.loads((tmp_path / "m.history.json").read_text())
    assert [epoch["epoch"] for epoch in history["epochs"]] == [*range(1, 26)]


def test_a_training_that_is_killed_outright_goes_on_to_the_same_bytes(
    tmp_path: Path, straight: tuple[Path, bytes]
) -> None:
    source, expected = straight
    code, _ = until(source, tmp_path / "m.safetensors", "epoch 3 ", signal.SIGKILL)
    assert code == -signal.SIGKILL and not (tmp_path / "m.safetensors").exists()
    resumed = train(source, "-o", tmp_path / "m.safetensors", "--resume", *LONG)
    assert resumed.returncode == 0, resumed.stderr
    assert names(tmp_path) == MADE and (tmp_path / "m.safetensors").read_bytes() == expected


# --- Refused --------------------------------------------------------------------------------------


def test_a_standard_output_that_is_full_costs_no_model(tmp_path: Path, trained: Trained) -> None:
    line = [sys.executable, "-m", "edge_lstm", "train", trained.rows, *QUICK]
    line += ["-o", tmp_path / "m.safetensors"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "m.safetensors is complete" in done.stderr.splitlines()[-1]
    assert names(tmp_path) == MADE


def options(name: str) -> set[str]:
    group: Any = typer.main.get_command(app)
    shown = group.get_command(typer.Context(group), name)
    return {
        option for parameter in shown.params for option in parameter.opts if option.startswith("--")
    }


def test_nothing_stays_in_the_folder_of_temporary_files(tmp_path: Path, trained: Trained) -> None:
    """In a process of its own: only the first training of a process imports PyTorch's compiler."""
    (folder := tmp_path / "temporary").mkdir()
    output = tmp_path / "m.safetensors"
    options = ["--preset", "tiny", "--epochs", "1", "--teacher", "none"]
    line = [sys.executable, "-m", "edge_lstm", "train", trained.rows, "-o", output, *options]
    environment = {**os.environ, "TMPDIR": str(folder)}
    environment.pop("TORCHINDUCTOR_CACHE_DIR", None)  # which PyTorch sets in this process
    done = subprocess.run(line, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == []


def test_the_options_are_few_and_in_groups() -> None:
    assert len(options("train") - {"--output", "--json"}) <= 20
    group: Any = typer.main.get_command(app)
    shown = group.get_command(typer.Context(group), "train").params
    panels = {getattr(parameter, "rich_help_panel", None) for parameter in shown}
    assert {"Data", "Model", "Teachers", "Run"} <= panels
    assert all(option in train("--help").stdout for option in options("train"))


def test_what_errors_advise_is_an_option_that_there_is() -> None:
    """Of what is said of a training: those of train itself, or of the command that is named in the
    line."""
    known = options("train") | {"--help"}
    unknown = []
    for path in sorted((ROOT / "export" / "edge_lstm_export" / "train").rglob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            others = [options(name) for name in ("export", "score") if f"{name} --" in line]
            found = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)) - known.union(*others)
            unknown += [f"{path.name}:{number}: {option}" for option in found]
    assert not unknown
