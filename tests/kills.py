"""Runs of ``score`` that SIGKILL ends at random moments, and that are resumed."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

# INPUT OUTPUT WORKERS [PROVIDER]
DRIVER = """
import sys
from edge_lstm import RunOptions, score_files
run = RunOptions(workers=int(sys.argv[3]), chunk_rows=100, resume=True, checkpoint_seconds=0,
                 engine=[*sys.argv, "onnxruntime"][4])
score_files(sys.argv[1], sys.argv[2], run=run)
"""


def kill_at_random_moments(
    source: Path,
    kills: int,
    target: str,
    seed: int,
    *,
    engine: str = "onnxruntime",
    environ: dict[str, str] | None = None,
) -> None:
    """Run and resume with SIGKILL at ``kills`` random moments; whatever is complete has the right
    bytes.

    target: the suffix of the output. environ: of the processes.
    """
    folder = source.parent
    whole = folder / f"whole.{target}"
    out = folder / f"out.{target}"
    (folder / "driver.py").write_text(DRIVER)
    driver = [sys.executable, folder / "driver.py", source]
    started = time.monotonic()
    subprocess.run([*driver, whole, "1", engine], check=True, env=environ)
    duration = time.monotonic() - started
    chance = random.Random(seed)
    while kills:
        with subprocess.Popen([*driver, out, chance.choice("12"), engine], env=environ) as process:
            try:
                assert process.wait(chance.uniform(0.2, duration)) == 0
            except subprocess.TimeoutExpired:
                process.kill()  # the parent alone: its workers must notice by themselves
                kills -= 1
        if out.exists():
            assert out.read_bytes() == whole.read_bytes()
            out.unlink()
    subprocess.run([*driver, out, "1", engine], check=True, env=environ)
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [source.name, "driver.py", whole.name, out.name]
    )
