"""The README's first command: the whole road, on the checkpoint that is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edge_lstm import Classifier


def test_the_quickstart_goes_through_every_gate(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge_lstm", "quickstart"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "7. How fast is it here?" in done.stdout
    assert Classifier.load(tmp_path / "quickstart" / "sentiment.int8.onnx").labels == ("neg", "pos")
