"""Ctrl-C and SIGTERM before the work begins: the exit code that a shell expects, and not a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

DEVICE = ["edge_lstm.cli", "typer", "typer.main", "numpy", "numpy.linalg", "onnxruntime"]
COMMANDS: dict[str, tuple[list[str], list[str]]] = {
    "predict": (["predict", "x"], DEVICE),
    "explain": (["explain", "x"], ["typer", "onnxruntime", "edge_lstm.explain"]),
    "evaluate": (["evaluate", "../x.csv"], ["edge_lstm.cli.evaluate", "numpy"]),
    "score": (["score", "../x.csv", "-o", "y.csv"], ["edge_lstm.cli.score", "numpy"]),
    "latency": (["latency", "--runs", "1"], ["edge_lstm.cli.latency", "numpy", "onnxruntime"]),
    "inspect": (["inspect"], ["edge_lstm.cli.inspect", "edge_lstm.modelfile"]),
    "doctor": (["doctor"], ["edge_lstm.cli.doctor", "subprocess"]),
    "train": (["train", "../x.csv", "-o", "m.safetensors"], ["edge_lstm_export.cli.train", "numpy", "torch"]),
    "export": (["export", "m.safetensors", "-o", "m.onnx"], ["edge_lstm_export.cli.export", "torch"]),
    "help": (["--help"], ["edge_lstm.cli", "typer.core"]),
}
# Sends the signal to its own process at the import of a module, as if it had been sent from outside.
HOOK = """
import importlib.abc, os, sys
class Hook(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == os.environ.get("SIGNAL_AT"):
            os.environ["SIGNAL_AT"] = ""
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))
sys.meta_path.insert(0, Hook())
"""


# The signals in turn: at which import one comes, and which one it is, have nothing to do with each other.
MOMENTS = [(name, module) for name, (_, modules) in COMMANDS.items() for module in modules]
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize(
    ("name", "module", "number"),
    [(name, module, SIGNALS[i % 2]) for i, (name, module) in enumerate(MOMENTS)],
    ids=[f"{name}-{module}" for name, module in MOMENTS],
)
def test_a_signal_during_an_import_ends_the_command_without_a_word(
    name: str, module: str, number: int, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(HOOK)
    (tmp_path / "x.csv").write_text("text,label\ngood,pos\nbad,neg\n")
    folder = tmp_path / "work"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "edge_lstm", *COMMANDS[name][0]],
        cwd=folder,
        capture_output=True,
        timeout=120,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(tmp_path), *(p for p in sys.path if p)]),
            "SIGNAL_AT": module,
            "SIGNAL": str(int(number)),
        },
    )
    assert (done.returncode, done.stderr) == (128 + number, b""), done
    assert list(folder.iterdir()) == []


def test_a_signal_that_is_ignored_stays_so() -> None:
    # As under nohup, or in the background of a script.
    shell = f"trap '' INT TERM; exec {sys.executable} -c '{IGNORED}'"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True"], done.stderr


IGNORED = (
    "import signal; from edge_lstm.signals import handle_signals; handle_signals(); "
    "print(*(signal.getsignal(n) == signal.SIG_IGN for n in (signal.SIGINT, signal.SIGTERM)))"
)


def test_what_the_tests_start_hears_ctrl_c_in_the_background_of_a_script() -> None:
    child = "import signal; print(signal.getsignal(signal.SIGINT) == signal.default_int_handler)"
    code = f'import conftest, subprocess, sys; subprocess.run([sys.executable, "-c", "{child}"])'
    shell = f"trap \"\" INT; exec {sys.executable} -c '{code}'"
    tests = Path(__file__).parents[1]
    done = subprocess.run(["bash", "-c", shell], cwd=tests, capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr
