"""Processes that score: no more than the work can use, and none of their states keeps the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_lstm import Classifier, EdgeLSTMError, ProviderError, score_files
from edge_lstm.scoring import files, pool


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    """What waits for ever fails."""

    def fail(*_: object) -> None:
        raise AssertionError("waits for a worker that says nothing")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(300)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of ten blocks."""
    monkeypatch.setattr(files, "BLOCK_ROWS", 4)
    return csv_file(tmp_path / "in.csv", 40)


def csv_file(path: Path, rows: int) -> Path:
    path.write_text("id,text\n" + "".join(f"{i},A wonderful film {i}\n" for i in range(rows)))
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def children() -> set[int]:
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    return {int(word) for word in listing.read_text().split()} if listing.exists() else set()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_model_that_cannot_be_loaded_is_one_error_and_leaves_nothing(
    tmp_path: Path, source: Path, workers: int
) -> None:
    with pytest.raises(ProviderError, match="'Warp' is not a CPU provider"):
        score_files(source, tmp_path / "out.csv", provider="Warp", workers=workers, checkpoint_seconds=0)
    assert names(tmp_path) == ["in.csv"]
    assert score_files(source, tmp_path / "out.csv", workers=workers).rows == 40


def test_a_model_that_cannot_be_loaded_is_an_error_without_a_row_too(tmp_path: Path) -> None:
    with pytest.raises(ProviderError):
        score_files(csv_file(tmp_path / "in.csv", 0), tmp_path / "out.csv", provider="Warp", workers=2)
    assert names(tmp_path) == ["in.csv"]


@pytest.mark.parametrize(
    ("rows", "processes"), [(0, 0), (3, 0), (8, 0), (9, 2), (16, 2), (20, 3), (40, 5), (80, 5)]
)
def test_no_more_processes_than_the_work_can_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, processes: int
) -> None:
    started = []

    class Counted(pool._Process):
        def __init__(self) -> None:
            super().__init__()
            started.append(self)

    monkeypatch.setattr(pool, "_Process", Counted)
    monkeypatch.setattr(files, "BLOCK_ROWS", 4)
    summary = score_files(csv_file(tmp_path / "in.csv", rows), tmp_path / "out.csv", workers=5)
    assert len(started) == processes
    assert summary.workers == max(1, processes)
    assert summary.rows == rows


def test_no_process_is_left(tmp_path: Path, source: Path) -> None:
    before = children()
    score_files(source, tmp_path / "out.csv", workers=3)
    assert children() == before


def test_blocks_larger_than_what_a_pipe_holds_go_both_ways(tmp_path: Path) -> None:
    text = tmp_path / "in.txt"
    text.write_bytes((b"!?" * 500 + b"\n") * 12_000)
    for workers in (1, 3):
        score_files(text, tmp_path / f"{workers}.csv", workers=workers)
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "3.csv").read_bytes()


def test_where_no_process_can_be_started_this_one_does_the_work(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_files(source, tmp_path / "expected.csv", workers=1)
    real, room = subprocess.Popen, 0

    def popen(*arguments: Any, **options: Any) -> Any:
        nonlocal room
        if not room:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        room -= 1
        return real(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    for allowed in (0, 1):
        room = allowed
        summary = score_files(source, tmp_path / "out.csv", workers=4)
        assert summary.workers == 1
        assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "expected.csv").read_bytes()


def test_a_worker_without_room_for_a_thread_takes_a_block_at_a_time(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_files(source, tmp_path / "expected.csv", workers=1)
    refuse = "import threading\ndef refuse(self): raise RuntimeError('no thread')\n"
    monkeypatch.setattr(pool, "_START", refuse + "threading.Thread.start = refuse\n" + pool._START)
    assert score_files(source, tmp_path / "out.csv", workers=2).workers == 2
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "expected.csv").read_bytes()


@pytest.mark.parametrize("seconds", [0, 0.02, 0.1, 0.3])
def test_a_worker_that_is_killed_while_it_starts_is_one_error(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    class Killed(pool._Process):
        def __init__(self) -> None:
            super().__init__()
            time.sleep(seconds)
            self._popen.kill()

    monkeypatch.setattr(pool, "_Process", Killed)
    with pytest.raises(EdgeLSTMError, match=r"a worker process was killed \(SIGKILL\)"):
        score_files(source, tmp_path / "out.csv", workers=2)
    assert names(tmp_path) == ["in.csv"]


def test_what_breaks_in_a_worker_is_raised_here_with_its_place(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = "import edge_lstm.modelfile\ndel edge_lstm.modelfile.parse_model\n"
    monkeypatch.setattr(pool, "_START", pool._START.replace("from", f"\n{broken}from", 1))
    with pytest.raises(ImportError, match="parse_model") as caught:
        score_files(source, tmp_path / "out.csv", workers=2)
    assert "in a worker process" in str(caught.value.__cause__)


@pytest.mark.parametrize("after_rows", [0, 4])
def test_a_worker_that_is_stopped_does_not_keep_whoever_ends_the_run(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, after_rows: int
) -> None:
    class Stopped(pool._Process):
        def __init__(self) -> None:
            super().__init__()
            if not after_rows:
                self._popen.send_signal(signal.SIGSTOP)

    class Ended(BaseException):
        pass

    def end(*_: object) -> None:
        raise Ended

    def stop(progress: object) -> None:
        for process in children():
            os.kill(process, signal.SIGSTOP)
        raise Ended

    monkeypatch.setattr(pool, "_Process", Stopped)
    monkeypatch.setattr(pool, "_BLOCKS_A_PROCESS", 1)
    before = signal.signal(signal.SIGUSR1, end)
    try:
        if not after_rows:
            subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -USR1 {os.getpid()}"]).wait  # noqa: B018
        with pytest.raises(Ended):
            score_files(source, tmp_path / "out.csv", workers=2, on_progress=stop)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_loaded_classifier_scores_as_its_file_does(tmp_path: Path, source: Path) -> None:
    score_files(source, tmp_path / "a.csv", workers=2)
    score_files(source, tmp_path / "b.csv", workers=1, model=Classifier.load())
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
