"""The command line: one line for an error, results on standard output, nothing imported in vain."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import COMMANDS, finished
from hostile import run_here
from model_files import SMALL

from edge_lstm import Classifier, DataError


def run_and_imports(*arguments: str, **env: str) -> tuple[str, set[str]]:
    """(standard output of a command that succeeds, the packages that it imports)"""
    command = [sys.executable, "-X", "importtime", "-m", "edge_lstm", *arguments]
    done = finished(command, env={**os.environ, **env})
    assert done.returncode == 0, done.stderr
    imported = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines()]
    return done.stdout, {name.partition(".")[0] for name in imported} | set(imported)


def test_help_lists_every_command_and_imports_no_runtime() -> None:
    shown, imported = run_and_imports("--help")
    assert "edge_lstm" in imported and not {"onnxruntime", "numpy", "torch", "onnx"} & imported
    for name in COMMANDS:
        assert f"\n  {name} " in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_fits_a_terminal(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = run_here([name, "--help"])
    assert done.exit == 0 or "pip install 'edge-lstm[train]'" in done.err, done.err
    assert all(len(line) <= 80 for line in done.out.splitlines())


def test_predict_answers_arguments_lines_and_json_alike(classifier: Classifier) -> None:
    texts = ["A wonderful film.", "Dull, dull, dull.", ""]
    wanted = classifier.predict(texts)
    by_argument = run_here(["predict", *texts])
    lines = [line.split("\t") for line in by_argument.out.splitlines()]
    assert lines == [[w.label, f"{w.probability:.6f}", w.status] for w in wanted]
    for end in ("\n", "\r\n"):
        by_line = run_here(["predict"], (end.join(texts) + end).encode())
        assert (by_line.out, by_line.err) == (by_argument.out, "")
    unfinished = run_here(["predict"], "\n".join(texts[:2]).encode())
    assert unfinished.out.splitlines() == by_argument.out.splitlines()[:2]
    as_json = run_here(["predict", "--json", *texts]).out.splitlines()
    assert [json.loads(line) for line in as_json] == [w.to_json() for w in wanted]


def test_predict_gives_the_next_best_labels_too(classifier: Classifier) -> None:
    (wanted,) = classifier.predict(["A wonderful film."])
    (first, p), (second, q) = wanted.top(2)
    asked = ["predict", "--top", "2", "A wonderful film."]
    assert run_here(asked).out == f"{first}\t{p:.6f}\t{second}\t{q:.6f}\tok\n"
    as_json = json.loads(run_here([*asked, "--json"]).out)
    assert [(row["label"], row["probability"]) for row in as_json["top"]] == wanted.top(2)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("inspect MODEL", "model         small.onnx: "),
        ("doctor --in-process MODEL", "fit: this device runs small.onnx correctly"),
        ("page MODEL", "page.html: "),
        ("latency MODEL --runs 2 --cold-starts 0", "small.onnx"),
        pytest.param(
            "serve MODEL MODEL",
            "two models have the name small",
            marks=pytest.mark.needs("uvicorn", "httpx"),
        ),
    ],
)
def test_a_command_that_takes_no_texts_takes_its_model_as_an_argument(
    folder: Path, monkeypatch: pytest.MonkeyPatch, line: str, says: str
) -> None:
    monkeypatch.chdir(folder)
    shutil.copy(SMALL, "small.onnx")
    done = run_here(line.replace("MODEL", "small.onnx").split())
    assert says in done.out + done.err


def test_a_text_that_is_the_name_of_a_file_is_classified_with_a_note(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    alone = run_here(["predict", "good.csv", "x" * 5000])
    assert alone.err == ""
    (folder / "good.csv").write_text("text\nbad\n")
    noted = run_here(["predict", "good.csv", "x" * 5000])
    assert noted.out == alone.out
    note = (
        "note: good.csv is a file, but its name is read as the text; "
        "'edge-lstm score good.csv' reads what is in it\n"
    )
    assert noted.err == note and run_here(["explain", "good.csv"]).err == note


def buffered() -> dict[str, str]:
    """The environment of a process whose output to a pipe Python holds back."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def test_each_line_is_answered_before_the_next_is_read() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "edge_lstm", "predict"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=buffered(),
    ) as process:
        for _ in range(3):
            process.stdin.write(b"a good film\n")
            process.stdin.flush()
            assert process.stdout.readline().startswith((b"pos\t", b"neg\t"))
        process.stdin.close()
        assert process.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_whoever_starts_it_ignores_stays_ignored(number: signal.Signals) -> None:
    """As nohup, or a shell that runs a job in the background, has it."""
    name = number.name.removeprefix("SIG")
    line = f"trap '' {name}; exec \"$0\" -m edge_lstm predict"
    with subprocess.Popen(
        ["/bin/sh", "-c", line, sys.executable], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        for _ in range(2):
            process.stdin.write(b"a good film\n")
            process.stdin.flush()
            assert process.stdout.readline().startswith(b"pos\t")
            process.send_signal(number)
        process.stdin.close()
        assert process.wait() == 0


def test_debug_lets_the_error_out_with_its_traceback() -> None:
    with pytest.raises(DataError, match="no model file"):
        run_here(["predict", "-m", "missing.onnx", "x", "--debug"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["predict", "--engin", "x"], "Possible options: --engine"),
        (["evalaute"], "No such command 'evalaute'. Did you mean 'evaluate'?"),
        (["nonsense"], "No such command 'nonsense'."),
        (["predict", "--top", "0", "x"], "--top"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_names_what_was_meant(
    arguments: list[str], says: str
) -> None:
    done = run_here(arguments)
    assert (done.exit, done.out) == (2, "")
    assert says in done.err


def test_a_reader_that_goes_away_is_no_error() -> None:
    line = "yes 'a good film' | head -2000 | \"$0\" -m edge_lstm predict | head -1"
    done = subprocess.run(["/bin/sh", "-c", line, sys.executable], capture_output=True)
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 1


def without(folder: Path, *packages: str) -> str:
    """A path for PYTHONPATH, with which these packages are not installed."""
    (folder / "sitecustomize.py").write_text(
        "import sys, importlib.abc\n"
        "class Hide(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {packages!r}:\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Hide())\n"
    )
    return os.pathsep.join([str(folder), *(part for part in sys.path if part)])


@pytest.mark.parametrize("line", ["train", "export --help"])
def test_workstation_commands_say_how_to_install_them(line: str, folder: Path) -> None:
    command = [sys.executable, "-m", "edge_lstm", *line.split()]
    environment = {**os.environ, "PYTHONPATH": without(folder, "torch", "onnx")}
    done = finished(command, env=environment)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "pip install 'edge-lstm[train]'" in done.stderr
