"""Ctrl-C and SIGTERM before the work begins: the exit code that a shell expects, and not a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import finished

from edge_lstm.system import signals

# Command → the modules at whose import a signal comes. The two signals in turn: which one it is,
# and where it comes, have nothing to do with each other.
MOMENTS = {
    "predict x": ["edge_lstm.cli", "typer", "numpy", "onnxruntime"],
    "explain x": ["edge_lstm.explain"],
    "evaluate ../x.csv": ["edge_lstm.cli.evaluate"],
    "score ../x.csv -o y.csv": ["edge_lstm.cli.score"],
    "latency --runs 1": ["edge_lstm.cli.latency", "onnxruntime"],
    "inspect": ["edge_lstm.core.modelfile"],
    "doctor": ["subprocess"],
    "train ../x.csv -o m.safetensors": ["edge_lstm_export.cli.train", "torch"],
    "export m.safetensors -o m.onnx": ["edge_lstm_export.cli.export"],
    "--help": ["typer.core"],
}
SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Sends the signal to its own process at the import of a module, as if it had been sent from
# outside.
HOOK = """
import importlib.abc, os, sys
class Hook(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == os.environ.get("SIGNAL_AT"):
            os.environ["SIGNAL_AT"] = ""
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))
sys.meta_path.insert(0, Hook())
"""


@pytest.mark.parametrize(
    ("number", "line", "module"),
    [
        (SIGNALS[i % 2], *moment)
        for i, moment in enumerate(
            (line, module) for line, modules in MOMENTS.items() for module in modules
        )
    ],
)
def test_a_signal_during_an_import_ends_the_command_without_a_word(
    number: int, line: str, module: str, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(HOOK)
    (tmp_path / "x.csv").write_text("text,label\ngood,pos\nbad,neg\n")
    folder = tmp_path / "work"
    folder.mkdir()
    path = os.pathsep.join([str(tmp_path), *(p for p in sys.path if p)])
    environment = {
        **os.environ,
        "PYTHONPATH": path,
        "SIGNAL_AT": module,
        "SIGNAL": str(int(number)),
    }
    command = [sys.executable, "-m", "edge_lstm", *line.split()]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120, env=environment)
    assert (done.returncode, done.stderr) == (128 + number, b""), done
    assert list(folder.iterdir()) == []


def test_a_signal_that_is_ignored_stays_so() -> None:
    # As under nohup, or in the background of a script.
    code = (
        "import signal; from edge_lstm.system.signals import handle_signals; handle_signals(); "
        "print(*(signal.getsignal(n) == signal.SIG_IGN for n in (signal.SIGINT, signal.SIGTERM)))"
    )
    shell = f"trap '' INT TERM; exec '{sys.executable}' -c '{code}'"
    done = finished(["bash", "-c", shell])
    assert done.stdout.split() == ["True", "True"], done.stderr


def test_handlers_that_a_library_sets_are_put_back() -> None:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    with signals.kept():
        signal.signal(signal.SIGTERM, lambda number, frame: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert {number: signal.getsignal(number) for number in SIGNALS} == before
