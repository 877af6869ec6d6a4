"""``edge-lstm train``, as it is typed: what it writes, what it says, what it refuses."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import COMMANDS, finished, help_of, inspected, parameters, train
from conftest import Trained
from made import checkpoint_file, rows, write_csv

ROOT = Path(__file__).parents[2]
QUICK = ("--preset", "tiny", "--epochs", "1", "--teacher", "none")
MADE = {"m.safetensors", "m.history.json"}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- What it leaves and says ----------------------------------------------------------------------


def test_sixty_texts_are_enough_to_try(trained: Trained) -> None:
    assert trained.result.returncode == 0, trained.result.stderr
    training = inspected(trained.checkpoint)["training"]
    assert training["validation"]["accuracy"] > 0.8 and training["validation"]["texts"] == 60
    assert names(trained.checkpoint.parent) == {*MADE, "rows.csv"}
    history = json.loads(trained.checkpoint.with_name("m.history.json").read_text())
    assert len(history["epochs"]) == training["epochs"] == 2
    assert history["training"] == training


def test_results_are_on_standard_output_and_fit_a_terminal(trained: Trained) -> None:
    out = trained.result.stdout
    err = trained.result.stderr
    said = " ".join(out.split())  # lines are wrapped, by the length of the folder's name
    assert "cross-validated accuracy" in said and "60 texts, folds" in said
    assert "training " in err and "training " not in out
    assert err.splitlines()[0].split() == ["source", "rows.csv"]
    assert " teachers none (sentiment tried" in " ".join(err.split())
    assert " max_kilobytes 60 (preset tiny" in " ".join(err.split())
    shown = [line for line in out.splitlines() if not line.startswith(("history", "/"))]
    assert max(map(len, shown)) <= 80


def test_the_checkpoint_tells_how_it_was_made(trained: Trained) -> None:
    shown = inspected(trained.checkpoint)
    training = shown["training"]
    assert training["data"]["name"] == "rows.csv" and len(training["data"]["sha256"]) == 64
    assert training["cross_validated"] and training["test"] is None and not training["teachers"]
    assert (training["preset"], training["seed"], training["outcome"]) == ("tiny", 0, "finished")
    assert training["temperature"] > 0 and training["parts"]["ngrams"] > 0
    assert all(f"note: {warning}" in trained.result.stderr for warning in training["warnings"])
    assert shown["plan"]["teachers"] == []


@pytest.mark.parametrize(
    "labels", [["1", "2.5", "10"], [f"label{i:02}" for i in range(17)]], ids=len
)
def test_three_labels_and_seventeen_of_two_files_and_json(labels: list[str]) -> None:
    table = sorted(rows(85, labels), key=lambda row: labels.index(row[1]))
    one = write_csv("a.csv", table[:40])
    other = write_csv("b.csv", table[40:])
    result = train(one, other, "-o", "m.safetensors", "--json", *QUICK)
    training = json.loads(result.stdout)
    assert training["data"]["name"] == "a.csv + b.csv"
    assert list(training["data"]["train_texts"]) == labels
    assert list(training["validation"]["labels"]) == labels
    assert training.pop("linear_model")["macro_f1"] == 1
    shown = inspected("m.safetensors")
    assert training == shown["training"]
    assert shown["network"]["ngram_dim"] == min(len(labels), 16)
    assert "epoch" not in result.stderr


def test_a_test_file_and_a_log_are_read_without_the_texts_that_are_known() -> None:
    """What is in the test file alone gives no word, and no text to label."""
    source = write_csv("d.csv", rows(60))
    unseen = ("a wave neverseen neverseen", "sea")
    test = write_csv("t.csv", [*rows(9, seed=7), unseen])
    known = [*rows(5), *rows(3, seed=7)]
    log = write_csv("log.csv", [*rows(40, seed=5), *known], ("text",))
    more = ("--preset", "tiny", "--epochs", "1", "--test", test, "--unlabelled", log)
    result = train(source, "-o", "m.safetensors", *more)
    assert "test accuracy" in result.stdout and "8 of 48 texts" in result.stderr
    training = inspected("m.safetensors")["training"]
    data = training["data"]
    assert data["unlabelled_texts"] == len({text for text, _ in rows(40, seed=5)})
    assert data["train_texts"] == {"sea": 30, "shop": 30}
    assert training["test"]["texts"] == 10 and training["test"]["accuracy"] >= 0.9
    written = Path("m.safetensors").read_bytes()
    assert b"harbour" in written and b"neverseen" not in written


def test_the_plan_says_which_columns_are_read() -> None:
    source = write_csv("d.csv", rows(60), ("text", "topic"))
    shown = train(source, "--dry-run").stdout
    assert re.search("^columns +text 'text', label 'topic'$", shown, re.MULTILINE), shown
    other = write_csv("e.csv", rows(60), ("body", "label"))
    both = " ".join(train(source, "--test", other, "--dry-run").stdout.split())
    assert "columns text 'text', label 'topic'; text 'body', label 'label'" in both


WRONG = [
    "d.csv --label-column topics",
    "d.csv --indicator-columns text,joy",
    "missing.csv",
    "d.csv --test id.csv",
    "d.csv --unlabelled missing.csv",
    "id.csv",
]
# Runs each line of its arguments as a command; then prints which of the large modules it imported.
LINES = """
import contextlib, sys
from edge_lstm.cli import main
for line in sys.argv[1:]:
    sys.argv = ["edge-lstm", "train", *line.split(), "-o", "m.safetensors"]
    with contextlib.suppress(SystemExit):
        main()
print([name for name in ("torch", "sklearn", "scipy", "onnx") if name in sys.modules])
"""


def test_what_is_wrong_with_files_and_columns_is_said_before_pytorch_is_imported() -> None:
    write_csv("d.csv", rows(60), ("text", "topic"))
    Path("id.csv").write_text("id,text,topic\n1,a,b\n")
    process = [sys.executable, "-c", LINES, *WRONG]
    done = subprocess.run(process, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stdout
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == len(WRONG), done.stderr
    assert all(" column" in line or "missing.csv" in line for line in errors), errors


# --- Stopped and continued ------------------------------------------------------------------------

LONG = ("--preset", "tiny", "--epochs", "6", "--teacher", "none")


def until(line: str, *arguments: str | Path) -> tuple[int, str]:
    """A training that SIGTERM ends after this line on standard error."""
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_lstm", "train", *arguments],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    with process:
        said = [""]
        while not said[-1].startswith(line):
            said.append(process.stderr.readline())
            assert said[-1], said
        process.send_signal(signal.SIGTERM)
        _, messages = process.communicate(timeout=120)
    return process.returncode, messages


def test_a_signal_stops_it_and_resume_goes_on_to_the_same_bytes() -> None:
    source = write_csv("d.csv", rows(60))
    assert train(source, "-o", "straight.safetensors", *LONG).returncode == 0
    expected = Path("straight.safetensors").read_bytes()
    folder = Path("stopped")
    folder.mkdir()
    command = (source, "-o", folder / "m.safetensors", *LONG)
    checkpoint_file(folder / "m.safetensors")
    earlier = (folder / "m.safetensors").read_bytes()
    code, messages = until("training ", *command)
    assert code == 128 + signal.SIGTERM
    said = "interrupted; continue with the same command and --resume"
    assert messages.splitlines()[-1].startswith(said)
    assert names(folder) == {"m.safetensors", "m.safetensors.partial"}
    assert (folder / "m.safetensors").read_bytes() == earlier, "it stays until there is a new one"
    assert "continue with --resume" in train(*command).error
    other = train(*command, "--resume", "--seed", "5")
    assert "cannot resume: seed was 0 and is 5; " in other.error
    resumed = train(*command, "--resume")
    assert resumed.returncode == 0 and "epoch 1 " not in resumed.stderr
    assert names(folder) == MADE and (folder / "m.safetensors").read_bytes() == expected
    history = json.loads((folder / "m.history.json").read_text())
    assert [epoch["epoch"] for epoch in history["epochs"]] == [*range(1, 7)]


def test_a_plan_that_nobody_reads_to_its_end_is_no_error() -> None:
    lines = "".join(f"word{i} word{i + 1},{'ab'[i % 2]}\n" for i in range(60))
    Path("d.csv").write_text(f"text,label\n{lines}")
    line = 'set -o pipefail; "$0" -m edge_lstm train d.csv --dry-run | true'
    done = finished(["/bin/bash", "-c", line, sys.executable])
    assert done.returncode == 0, done.stderr


# --- Refused --------------------------------------------------------------------------------------


def test_all_commands_have_few_options_and_arguments() -> None:
    assert sum(len(parameters(name)) for name in COMMANDS) <= 155 + len(COMMANDS)  # --help


def test_the_options_are_few_and_in_groups() -> None:
    assert len({*parameters("train")} - {"--output", "--json", "--help"}) <= 25
    assert {"Data:", "Model:", "Teachers:", "Run:"} <= {*help_of("train").splitlines()}


def test_what_errors_advise_is_an_option_that_there_is() -> None:
    """Of what is said of a training: those of train itself, or of the command that is named in the
    line."""
    known = {*parameters("train")}
    others = {name: parameters(name) for name in ("export", "score", "serve")}
    unknown = []
    for path in sorted((ROOT / "export" / "edge_lstm_export" / "train").rglob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            named = [others[name] for name in others if f"{name} --" in line]
            found = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)) - known.union(*named)
            unknown += [f"{path.name}:{number}: {option}" for option in found]
    assert not unknown
