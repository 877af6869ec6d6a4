"""SIGKILL, a full disk: nothing is half-written, a resumed run has the same bytes."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from commands import finished

pytestmark = pytest.mark.slow
PROGRAM = Path(__file__).with_name("train_faults.py")
KILLS = os.environ.get("EDGE_LSTM_KILLS", "5")


def faults(*arguments: str | Path) -> dict[str, int]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    line = [sys.executable, PROGRAM, *arguments]
    done = finished(line, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, int] = json.loads(done.stdout)
    return found


def test_a_killed_training_goes_on_behind_what_was_done_and_a_killed_turn_changes_no_file(
    tmp_path: Path,
) -> None:
    done = faults("steps", tmp_path)
    assert done["kills"] >= 9 and done["turns"] >= 3


def test_kills_at_random_moments_of_train_and_of_export(tmp_path: Path) -> None:
    # The program checks what each kill leaves; when kills come depends on the machine's load, and
    # the steps above have those that must come.
    assert faults("kills", tmp_path, "2", KILLS)["kills"] == int(KILLS)


@pytest.mark.skipif(os.geteuid() != 0, reason="root mounts file systems")
def test_a_full_disk_and_a_read_only_one(tmp_path: Path) -> None:
    done = faults("full", tmp_path)
    if "skipped" in done:
        pytest.skip("no file system can be mounted here")
    assert done["refused"] >= 2 and done["resumed"] >= 1 and done["fits_kb"]
