"""Processes that score: no more than the work can use, and none of their states keeps the
parent."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from test_score import csv_file, names

from edge_lstm import DataError, EdgeLSTMError, ProviderError, RunOptions, score_files
from edge_lstm.scoring import pool
from edge_lstm.scoring.pool import SLOT_BYTES
from edge_lstm.scoring.worker import Worker

TEXT = "A wonderful film"


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    """What waits for ever fails."""
    before = signal.signal(
        signal.SIGALRM, lambda *_: pytest.fail("waits for a worker that says nothing")
    )
    signal.alarm(100)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def source() -> str:
    """A file of ten chunks."""
    return csv_file("in.csv", [TEXT] * 40)


def run(workers: int, **options: object) -> RunOptions:
    return RunOptions(workers=workers, chunk_rows=4, **options)  # type: ignore[arg-type]


def children() -> set[int]:
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    return {int(word) for word in listing.read_text().split()} if listing.exists() else set()


@pytest.mark.parametrize(("workers", "rows"), [(1, 40), (2, 0), (2, 40)])
def test_a_model_that_cannot_be_loaded_is_one_error_and_leaves_nothing(
    workers: int, rows: int
) -> None:
    source = csv_file("in.csv", [TEXT] * rows)
    with pytest.raises(ProviderError, match="WARP is not a CPU provider"):
        score_files(
            source, "out.csv", run=run(workers, engine="onnxruntime:Warp", checkpoint_seconds=0)
        )
    assert names() == ["in.csv"]


@pytest.mark.parametrize(("rows", "processes"), [(0, 1), (12, 1), (16, 2), (40, 5), (80, 5)])
def test_no_more_processes_than_the_work_can_use(rows: int, processes: int) -> None:
    before = children()
    summary = score_files(csv_file("in.csv", [TEXT] * rows), "out.csv", run=run(5))
    assert (summary.workers, summary.rows) == (processes, rows)
    assert children() == before, "none is left"


def test_a_few_large_documents_are_work_for_several_processes() -> None:
    Path("in.txt").write_text(f"{TEXT} {' ' * 2**21}\n" * 3)
    assert score_files("in.txt", "out.csv", run=RunOptions(workers=2)).workers == 2


@pytest.mark.parametrize(
    ("is_fork", "name", "text", "rows", "chunk_rows"),
    [
        (True, "text", b"good" + b" " * 1_000, 2_000, 500),  # chunks larger than what a pipe holds
        (False, "text", b"good" + b" " * 1_000, 2_000, 500),
        # results larger than a slot of the shared memory
        (True, "n" * (SLOT_BYTES // 100), b"good", 800, 100),
        (True, "text", b"good" + b" " * SLOT_BYTES, 3, 1),  # rows larger than one
    ],
    ids=["chunks", "chunks, spawned", "results", "rows"],
)
def test_chunks_of_any_size_go_both_ways(
    monkeypatch: pytest.MonkeyPatch,
    is_fork: bool,
    name: str,
    text: bytes,
    rows: int,
    chunk_rows: int,
) -> None:
    monkeypatch.setattr(pool, "IS_FORK", is_fork)
    Path("in.csv").write_bytes(name.encode() + (b"\n" + text) * rows)
    before = children()
    for workers in (1, 2):
        options = RunOptions(workers=workers, chunk_rows=chunk_rows)
        assert score_files("in.csv", f"{workers}.jsonl", run=options).workers == workers
    assert Path("1.jsonl").read_bytes() == Path("2.jsonl").read_bytes()
    # multiprocessing's resource tracker stays.
    assert len(children() - before) <= (not is_fork)


@pytest.mark.parametrize(("room", "processes"), [(0, 1), (1, 1), (3, 2)])
def test_no_more_processes_than_the_system_has_room_for(
    source: str, monkeypatch: pytest.MonkeyPatch, room: int, processes: int
) -> None:
    score_files(source, "expected.csv", run=run(1))
    real = os.fork
    before = children()

    def fork() -> int:
        if len(children() - before) == room:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return real()

    monkeypatch.setattr(os, "fork", fork)
    assert score_files(source, "out.csv", run=run(4)).workers == processes
    assert Path("out.csv").read_bytes() == Path("expected.csv").read_bytes()
    assert children() == before


def score_alone() -> None:
    assert score_files("in.csv", "out.csv", run=run(2)).workers == 1


def test_a_process_that_may_have_no_children_does_the_work(source: str) -> None:
    process = multiprocessing.get_context("fork").Process(target=score_alone, daemon=True)
    process.start()
    process.join()
    assert process.exitcode == 0
    assert Path("out.csv").exists()


def test_two_runs_in_two_threads(source: str) -> None:
    score_files(source, "expected.csv", run=run(1))
    before = children()
    outputs = [f"{i}.csv" for i in range(4)]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda name: score_files(source, name, run=run(2)), outputs))
    assert {Path(name).read_bytes() for name in outputs} == {Path("expected.csv").read_bytes()}
    assert children() == before


KILLED = "^a worker process was killed, perhaps out of memory; continue with --resume and fewer "


def fail(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda: fail(DataError("the row; mend it")), DataError, "^the row; mend it$"),
        (lambda: fail(MemoryError()), EdgeLSTMError, "more than its share of the memory"),
        (lambda: fail(KeyError("unforeseen")), KeyError, "^'unforeseen'$"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), EdgeLSTMError, KILLED),
        (lambda: os._exit(0), EdgeLSTMError, KILLED),
    ],
    ids=["bad rows", "no memory", "a bug", "killed", "ended"],
)
def test_the_end_of_a_worker_is_one_error_and_leaves_nothing(
    source: str,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[], object],
    error: type[Exception],
    text: str,
) -> None:
    before = children()
    real = Worker.score

    def score(self: Worker, chunk: Any) -> object:
        if chunk.first == 20:
            act()
        return real(self, chunk)

    monkeypatch.setattr(Worker, "score", score)
    with pytest.raises(error, match=text):
        score_files(source, "out.csv", run=run(2))
    assert children() == before
    assert names() == ["in.csv"]


def test_under_a_limit_of_address_space_workers_start(source: str) -> None:
    pages = Path("/proc/self/statm").read_text().split()[0]
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (int(pages) * resource.getpagesize() + 2**27, limits[1]))
    try:
        options = RunOptions(workers=10, chunk_rows=2)
        assert score_files(source, "out.csv", run=options).workers == 10
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
