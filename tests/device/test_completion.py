"""Shell completion, as typer gives it: what the tabulator shows, and what it must not import."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from edge_lstm.cli import COMMANDS


def complete(line: str, *, program: str = "from edge_lstm.__main__ import main; main()") -> list[str]:
    """What bash offers for the last word of a line."""
    environment = {
        **os.environ,
        "_EDGE_LSTM_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    code = f"import sys; sys.argv = ['edge-lstm']; {program}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("edge-lstm ", list(COMMANDS)),
        ("edge-lstm pre", ["predict"]),
        ("edge-lstm predict --j", ["--json"]),
        ("edge-lstm explain --wo", ["--words"]),
        ("edge-lstm nonsense --j", []),
    ],
)
def test_a_word_is_completed(line: str, offered: list[str]) -> None:
    assert complete(line) == offered


def test_the_tabulator_waits_for_no_runtime() -> None:
    program = (
        "import atexit; from edge_lstm.cli import main; heavy = {'numpy', 'onnxruntime', 'rich', 'torch'}; "
        "atexit.register(lambda: print(*(heavy & set(sys.modules)))); main()"
    )
    assert complete("edge-lstm pre", program=program) == ["predict"]
