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

import pytest
from test_score import csv_file, names

from edge_lstm import Classifier, DataError, EdgeLSTMError, ProviderError, RunOptions, score_files
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
def source(tmp_path: Path) -> Path:
    """A file of ten chunks."""
    return csv_file(tmp_path / "in.csv", [TEXT] * 40)


def run(workers: int, **options: object) -> RunOptions:
    return RunOptions(workers=workers, chunk_rows=4, **options)  # type: ignore[arg-type]


def children() -> set[int]:
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    return {int(word) for word in listing.read_text().split()} if listing.exists() else set()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("rows", [0, 40])
def test_a_model_that_cannot_be_loaded_is_one_error_and_leaves_nothing(
    tmp_path: Path, rows: int, workers: int
) -> None:
    source = csv_file(tmp_path / "in.csv", [TEXT] * rows)
    with pytest.raises(ProviderError, match="'Warp' is not a CPU provider"):
        score_files(
            source, tmp_path / "out.csv", run=run(workers, provider="Warp", checkpoint_seconds=0)
        )
    assert names(tmp_path) == ["in.csv"]


@pytest.mark.parametrize(
    ("rows", "processes"), [(0, 1), (3, 1), (12, 1), (16, 2), (40, 5), (80, 5)]
)
def test_no_more_processes_than_the_work_can_use(tmp_path: Path, rows: int, processes: int) -> None:
    before = children()
    summary = score_files(
        csv_file(tmp_path / "in.csv", [TEXT] * rows), tmp_path / "out.csv", run=run(5)
    )
    assert (summary.workers, summary.rows) == (processes, rows)
    assert children() == before, "none is left"


def test_a_few_large_documents_are_work_for_several_processes(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text(f"{TEXT} {' ' * 2**21}\n" * 3)
    run = RunOptions(workers=2)
    assert score_files(path, tmp_path / "out.csv", run=run).workers == 2


@pytest.mark.parametrize(
    ("name", "text", "rows", "chunk_rows"),
    [
        ("text", b"good" + b" " * 1_000, 6_000, None),  # chunks larger than what a pipe holds
        # results larger than a slot of the shared memory
        ("n" * (SLOT_BYTES // 200), b"good", 2_000, 200),
        ("text", b"good" + b" " * SLOT_BYTES, 4, 1),  # rows larger than one
    ],
)
def test_chunks_of_any_size_go_both_ways(
    tmp_path: Path, name: str, text: bytes, rows: int, chunk_rows: int | None
) -> None:
    (tmp_path / "in.csv").write_bytes(name.encode() + (b"\n" + text) * rows)
    for workers in (1, 2):
        options = RunOptions(workers=workers, chunk_rows=chunk_rows)
        assert (
            score_files(tmp_path / "in.csv", tmp_path / f"{workers}.jsonl", run=options).workers
            == workers
        )
    assert (tmp_path / "1.jsonl").read_bytes() == (tmp_path / "2.jsonl").read_bytes()


def test_workers_that_are_spawned_give_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks and results that are larger than a pipe holds go both ways at once."""
    monkeypatch.setattr(pool, "IS_FORK", False)
    source = csv_file(tmp_path / "in.csv", ["good" + " " * 1_000] * 8_000)
    before = children()
    for workers in (1, 2):
        output = tmp_path / f"{workers}.jsonl"
        assert score_files(source, output, run=RunOptions(workers=workers)).workers == workers
    assert (tmp_path / "1.jsonl").read_bytes() == (tmp_path / "2.jsonl").read_bytes()
    assert len(children() - before) <= 1, "multiprocessing's resource tracker stays"


@pytest.mark.parametrize(("room", "processes"), [(0, 1), (1, 1), (3, 2)])
def test_no_more_processes_than_the_system_has_room_for(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, room: int, processes: int
) -> None:
    score_files(source, tmp_path / "expected.csv", run=RunOptions(workers=1))
    real = os.fork
    before = children()

    def fork() -> int:
        if len(children() - before) == room:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return real()

    monkeypatch.setattr(os, "fork", fork)
    assert score_files(source, tmp_path / "out.csv", run=run(4)).workers == processes
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "expected.csv").read_bytes()
    assert children() == before


def score_alone(source: Path, output: Path) -> None:
    assert score_files(source, output, run=run(2)).workers == 1


def test_a_process_that_may_have_no_children_does_the_work(tmp_path: Path, source: Path) -> None:
    context = multiprocessing.get_context("fork")
    process = context.Process(target=score_alone, args=(source, tmp_path / "out.csv"), daemon=True)
    process.start()
    process.join()
    assert process.exitcode == 0
    assert (tmp_path / "out.csv").exists()


def test_two_runs_in_two_threads(tmp_path: Path, source: Path) -> None:
    score_files(source, tmp_path / "expected.csv", run=RunOptions(workers=1))
    before = children()
    outputs = [tmp_path / f"{i}.csv" for i in range(8)]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda output: score_files(source, output, run=run(2)), outputs))
    expected = (tmp_path / "expected.csv").read_bytes()
    assert [output.read_bytes() for output in outputs] == [expected] * 8
    assert children() == before


def fail(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda: fail(DataError("the row; mend it")), DataError, "^the row; mend it$"),
        (lambda: fail(MemoryError()), EdgeLSTMError, "more than its share of the memory"),
        (lambda: fail(KeyError("unforeseen")), KeyError, "^'unforeseen'$"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), EdgeLSTMError, "^a worker process was kill"),
        (lambda: os._exit(0), EdgeLSTMError, "^a worker process was killed"),
    ],
    ids=["bad rows", "no memory", "a bug", "killed", "ended"],
)
def test_the_end_of_a_worker_is_one_error_and_leaves_nothing(
    tmp_path: Path,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[], object],
    error: type[Exception],
    text: str,
) -> None:
    before = children()
    real = Worker.score

    def score(self: Worker, chunk: object) -> object:
        if chunk.first == 20:  # type: ignore[attr-defined]
            act()
        return real(self, chunk)  # type: ignore[arg-type]

    monkeypatch.setattr(Worker, "score", score)
    with pytest.raises(error, match=text):
        score_files(source, tmp_path / "out.csv", run=run(2))
    assert children() == before
    assert names(tmp_path) == ["in.csv"]


def test_under_a_limit_of_address_space_workers_start(tmp_path: Path, source: Path) -> None:
    pages = Path("/proc/self/statm").read_text().split()[0]
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (int(pages) * resource.getpagesize() + 2**27, limits[1]))
    try:
        options = RunOptions(workers=10, chunk_rows=2)
        assert score_files(source, tmp_path / "out.csv", run=options).workers == 10
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def test_a_worker_that_is_stopped_does_not_keep_whoever_ends_the_run(tmp_path: Path) -> None:
    source = csv_file(tmp_path / "in.csv", [TEXT] * 4_000)
    before = children()

    def stop(_: object) -> None:
        for process in children() - before:
            os.kill(process, signal.SIGSTOP)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_files(source, tmp_path / "out.csv", run=run(2), on_progress=stop)
    assert children() == before


def test_a_loaded_classifier_scores_as_its_file_does(tmp_path: Path, source: Path) -> None:
    score_files(source, tmp_path / "a.csv", run=run(2))
    score_files(source, tmp_path / "b.csv", model=Classifier.load(), run=run(1))
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
