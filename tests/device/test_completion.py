"""Shell completion, as typer gives it: what the tabulator shows, and what it must not import."""

from __future__ import annotations

import pytest
from commands import COMMANDS
from test_cli import run_and_imports


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("edge-lstm ", COMMANDS),
        ("edge-lstm pre", ["predict"]),
        ("edge-lstm explain --la", ["--label"]),
        ("edge-lstm predict m.onnx --abs", ["--abstain"]),
        ("edge-lstm nonsense --j", []),
    ],
)
def test_a_word_is_completed_and_waits_for_no_runtime(line: str, offered: list[str]) -> None:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    shown, imported = run_and_imports(_EDGE_LSTM_COMPLETE="complete_bash", **words)
    assert shown.split() == offered
    assert not {"numpy", "onnxruntime", "rich", "torch"} & imported
