"""``edge-lstm score`` ended from outside at any moment: it ends at once, without a word of
Python's."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from commands import finished

COMMAND = [sys.executable, "-m", "edge_lstm", "score"]
HANGS = 60  # seconds: nothing here takes so long
ENDED = {130, 143, -signal.SIGINT, -signal.SIGTERM}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Work for three processes, for longer than any test waits."""
    path = tmp_path_factory.mktemp("source") / "in.csv"
    path.write_text(
        "id,text\n" + "".join(f"{i},A wonderful film {i % 7}\n" for i in range(400_000))
    )
    return path


@contextmanager
def started(command: Sequence[str | Path]) -> Iterator[subprocess.Popen[bytes]]:
    """A process group of its own, which hears Ctrl-C as on a terminal, and is gone at the end."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    with process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def end_of(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Exit code and what was said; nothing of it is Python's own."""
    try:
        _, error = process.communicate(timeout=HANGS)
    except subprocess.TimeoutExpired:
        pytest.fail("it hangs")
    said = error.decode()
    for word in ("Traceback", "Error:", "Exception", "Warning", "leaked"):
        assert word not in said, said
    return process.returncode, said


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    """Waits for two of them."""
    listing = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None:
        found = [int(word) for word in listing.read_text().split()]
        if len(found) >= 2:
            return found
        time.sleep(0.001)
    pytest.fail("it ended without a worker")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_all_of_its_processes_at_any_moment(
    tmp_path: Path, source: Path, number: signal.Signals
) -> None:
    chance = random.Random(number)
    for _ in range(3):
        with started(
            [*COMMAND, source, "-o", tmp_path / "out.csv", "-w", "3", "--resume"]
        ) as process:
            workers_of(process)
            time.sleep(chance.uniform(0, 0.5))
            os.killpg(process.pid, number)
            code, said = end_of(process)
        assert code in ENDED
        assert said.startswith("interrupted; continue with the same command and --resume")
        assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("seconds", "second"), [(0, signal.SIGINT), (0.01, signal.SIGTERM), (0.05, signal.SIGINT)]
)
def test_twice(tmp_path: Path, source: Path, second: signal.Signals, seconds: float) -> None:
    with started([*COMMAND, source, "-o", tmp_path / "out.csv", "-w", "2"]) as process:
        workers_of(process)
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(seconds)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, second)
        code, _ = end_of(process)
    assert code in ENDED


@pytest.mark.parametrize("seconds", [0, 0.5])
def test_with_a_worker_that_is_stopped(tmp_path: Path, source: Path, seconds: float) -> None:
    with started([*COMMAND, source, "-o", tmp_path / "out.csv", "-w", "2"]) as process:
        workers = workers_of(process)
        time.sleep(seconds)
        os.kill(workers[0], signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        code, _ = end_of(process)
    assert code in ENDED


# A daemon thread that scores with two workers when the interpreter ends.
DAEMON = """
import threading
from edge_lstm import RunOptions, score_files
go = threading.Event()
run = RunOptions(workers=2, chunk_rows=500, checkpoint_seconds=None)
def score():
    score_files("in.csv", "out.csv", run=run, on_progress=lambda _: go.set())
threading.Thread(target=score, daemon=True).start()
go.wait()
"""


def test_a_program_ends_while_a_daemon_thread_scores(tmp_path: Path, source: Path) -> None:
    (tmp_path / "in.csv").symlink_to(source)
    command = [sys.executable, "-c", DAEMON]
    ended = finished(command, cwd=tmp_path, timeout=HANGS)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
