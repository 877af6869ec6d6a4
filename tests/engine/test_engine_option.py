"""--engine native: the commands and Classifier with edge-lstm-native in the place of ONNX
Runtime."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_lstm import Classifier, DataError, MissingPackageError, RunOptions, score_files
from edge_lstm.scoring import Progress
from tests.engine.conftest import PROJECT, finished, importable
from tests.model_files import SMALL, edited, graph_with

TEXTS = ["A wonderful film.", "", "Never again: dull, flat and far too long."]


@pytest.fixture
def native(installed: Path) -> Iterator[None]:
    """This process finds the package."""
    with importable(installed):
        yield


def command(
    *arguments: object, path: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """edge-lstm in a process that finds the package under ``path``."""
    found = os.pathsep.join(map(str, [*([path] if path else []), PROJECT, PROJECT / "export"]))
    return finished(
        [sys.executable, "-m", "edge_lstm", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": found, **variables},
    )


def together(*folders: Path) -> Path:
    """Folders of packages, as one value of PYTHONPATH."""
    return Path(os.pathsep.join(map(str, folders)))


def checks(told: str) -> dict[str, dict[str, str]]:
    """The checks of doctor --json, by name."""
    return {check["name"]: check for check in json.loads(told)["checks"]}


@pytest.mark.usefixtures("native")
def test_it_is_taken_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ONNX Runtime" in Classifier.load().runtime
    assert "native engine" in pickle.loads(pickle.dumps(Classifier.load(engine="native"))).runtime
    monkeypatch.setenv("EDGE_LSTM_ENGINE", "native")
    assert "native engine" in Classifier.load().runtime
    default = Classifier.load(engine="onnxruntime")
    assert "ONNX Runtime" in pickle.loads(pickle.dumps(default)).runtime
    assert "ONNX Runtime" in Classifier(default.model).runtime  # exports ask nobody
    monkeypatch.setenv("EDGE_LSTM_ENGINE", "tvm")
    with pytest.raises(DataError, match="EDGE_LSTM_ENGINE=tvm is unknown; choose onnxruntime, "):
        Classifier.load()


@pytest.mark.parametrize("name", ["native:CPU", "onnxruntime:", "CPU", "", "Native"])
def test_an_unknown_engine_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="is unknown; choose onnxruntime, onnxruntime:NAME or nati"):
        Classifier.load(engine=name)


@pytest.mark.parametrize(
    "name", ["onnxruntime:CPU", "onnxruntime:cpu", "onnxruntime:CPUExecutionProvider"]
)
def test_an_execution_provider_may_be_spelt_as_onnx_runtime_does(name: str) -> None:
    assert Classifier.load(engine=name).predict(TEXTS) == Classifier.load().predict(TEXTS)


def test_without_the_package_one_line_says_how_to_install_it() -> None:
    with pytest.raises(MissingPackageError, match=r"pip install ./engine/python"):
        Classifier.load(engine="native")
    run = command("predict", "--engine", "native", "good")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.count("\n") == 1 and "pip install ./engine/python" in run.stderr


COMMANDS = """
predict good
score REVIEWS -o OUT
evaluate REVIEWS
explain good
latency -m MODEL --runs 20 --cold-starts 0
doctor
"""


def test_commands_work_without_onnx_runtime(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ModuleNotFoundError(name='onnxruntime')\n")
    files = {
        "MODEL": SMALL,
        "REVIEWS": PROJECT / "examples" / "reviews.csv",
        "OUT": tmp_path / "out.csv",
    }
    for line in COMMANDS.strip().splitlines():
        words = [files.get(word, word) for word in line.split()]
        run = command(*words, path=together(tmp_path, installed), EDGE_LSTM_ENGINE="native")
        assert run.returncode == 0, (line, run.stderr)


def test_the_option_and_the_variable_choose_it(installed: Path) -> None:
    asked = command("predict", "--engine", "native", "--json", *TEXTS, path=installed)
    by_variable = command("predict", "--json", *TEXTS, path=installed, EDGE_LSTM_ENGINE="native")
    usual = command("predict", "--json", *TEXTS)
    assert asked.stdout == by_variable.stdout and not asked.stderr
    labels = [
        [json.loads(line)["label"] for line in run.stdout.splitlines()] for run in (asked, usual)
    ]
    assert labels[0] == labels[1]


def test_the_option_counts_more_than_the_variable() -> None:
    """Without the package, so that a process that took the variable's engine would fail."""
    quick = ("-m", SMALL, "--runs", 20, "--cold-starts", 1)
    run = command("latency", "--engine", "onnxruntime", *quick, "--json", EDGE_LSTM_ENGINE="native")
    assert json.loads(run.stdout)["settings"][0]["engine"] == "onnxruntime", run.stderr


def test_doctor_says_which_engine_and_runs_the_golden_rows(installed: Path) -> None:
    run = command("doctor", "--engine", "native", "--json", path=installed)
    found = checks(run.stdout)
    assert run.returncode == 0 and "the native engine (" in found["session"]["finding"]
    assert all(found[name]["state"] == "ok" for name in ("golden rows", "batches", "engines"))


def test_doctor_says_whether_both_engines_answer_alike(installed: Path, tmp_path: Path) -> None:
    # The graph of this file does another thing than its metadata say, which no reader can see.
    two = tmp_path / "two.onnx"
    two.write_bytes(edited(graph=graph_with(b"Sqrt", b"Sigmoid")))
    for engine in ([], ["--engine", "native"]):
        run = command("doctor", "-m", two, "--json", *engine, path=installed)
        found = checks(run.stdout)
        assert run.returncode == 1 and found["engines"]["state"] == "failed"
        assert "differ by" in found["engines"]["finding"]
        assert "do not use" in found["engines"]["advice"]
    found = checks(command("doctor", "-m", SMALL, "--json", path=installed).stdout)
    assert found["engines"]["state"] == "ok" and "agree within" in found["engines"]["finding"]
    assert "engines" not in checks(command("doctor", "-m", SMALL, "--json").stdout)


def test_a_broken_engine_that_was_not_asked_for_is_no_failure(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "onnxruntime.py").write_text(
        "import os, signal; os.kill(os.getpid(), signal.SIGILL)\n"
    )
    found = together(tmp_path, installed)
    run = command("doctor", "--engine", "native", path=found)
    assert run.returncode == 0 and "SIGILL" in run.stdout


@pytest.mark.usefixtures("native")
def test_a_run_of_another_version_of_it_is_not_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which may give other bits."""
    source = tmp_path / "in.txt"
    source.write_text("good\n" * 1000)
    run = RunOptions(engine="native", workers=1, chunk_rows=100, checkpoint_seconds=0)

    def stop(progress: Progress) -> None:
        if progress.summary.rows > 500:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_files(source, tmp_path / "out.csv", run=run, on_progress=stop)
    monkeypatch.setattr("edge_lstm_native.__version__", "0.9")
    with pytest.raises(DataError, match=r"the engine was .* and is .native 0.9"):
        score_files(source, tmp_path / "out.csv", run=replace(run, resume=True))
