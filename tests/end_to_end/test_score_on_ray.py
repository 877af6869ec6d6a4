"""``--engine ray``: the local engine's rows and bits, also when a node dies in the middle."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_lstm import DataError, OutputError, ReadOptions, RunOptions, ScoreOptions, score_files
from edge_lstm.system import signals

pytestmark = pytest.mark.cluster

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")

from ray.cluster_utils import Cluster  # noqa: E402

from edge_lstm.scoring.ray import score_on_cluster  # noqa: E402

TEXTS = [
    "A wonderful film.",
    "Dull, and far too long!",
    "",
    "xqzzy wvvx",
    'He said "no"\nand left.',
]
FILES = 6


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that does no work and a node of two CPUs."""
    with signals.kept():
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        made.add_node(num_cpus=2)
        ray.init(address=made.address, log_to_driver=False, logging_level="error")
        yield made
        ray.shutdown()
        made.shutdown()


def make_inputs(folder: Path, rows: int) -> Path:
    folder.mkdir()
    for number in range(FILES):
        with (folder / f"part-{number:02d}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "text"])
            writer.writerows([i, f"{TEXTS[i % 5]} {number}"] for i in range(rows))
    return folder


def outputs(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.*"))}


def test_resume_keeps_what_the_same_run_has_done(cluster: Any, tmp_path: Path) -> None:
    source = make_inputs(tmp_path / "in", 20)
    target = tmp_path / "out"
    score_on_cluster(source, target)
    before = outputs(target)
    expected = tmp_path / "expected"
    expected.mkdir()
    for path in source.iterdir():
        score_files(path, expected / path.name)
    assert before == outputs(expected)
    with pytest.raises(OutputError, match="is not an empty folder; continue with --resume"):
        score_on_cluster(source, target)
    run = RunOptions(resume=True)
    # As after an interruption: a file is missing, one has changed since.
    (target / "part-03.csv").unlink()
    with (source / "part-05.csv").open("a") as file:
        file.write("20,late\n")
    summary = score_on_cluster(source, target, run=run)
    assert summary.rows == FILES * 20 + 1
    assert summary.resumed_at == (FILES - 2) * 20
    after = outputs(target)
    assert after.pop("part-05.csv").count(b"\n") > before.pop("part-05.csv").count(b"\n")
    assert after == before
    other = score_on_cluster(source, target, run=run, options=ScoreOptions(threshold=1.0))
    assert (other.resumed_at, other.below_threshold) == (0, FILES * 20 + 1), (
        "another run keeps nothing"
    )


def test_other_formats_and_error_rows(cluster: Any, tmp_path: Path) -> None:
    source = make_inputs(tmp_path / "in", 10)
    (source / "part-00.csv").write_text("id,text\n1\n2,fine\n")
    summary = score_on_cluster(source, tmp_path / "out", format="jsonl")
    assert summary.errors == 1
    [problem] = summary.first_errors
    assert (Path(problem.source).name, problem.row) == ("part-00.csv", 1)
    score_files(source / "part-04.csv", tmp_path / "one.jsonl")
    assert (tmp_path / "out" / "part-04.jsonl").read_bytes() == (
        tmp_path / "one.jsonl"
    ).read_bytes()


def test_a_file_that_cannot_be_read_ends_the_run_with_its_name(
    cluster: Any, tmp_path: Path
) -> None:
    source = make_inputs(tmp_path / "in", 10)
    (source / "part-02.csv").write_bytes(b"")
    with pytest.raises(DataError, match=r"part-02.csv is empty"):
        score_on_cluster(source, tmp_path / "out")


@pytest.mark.slow
def test_a_job_resumes_after_a_node_and_its_driver_are_killed(cluster: Any, tmp_path: Path) -> None:
    rows = 1_000
    source = make_inputs(tmp_path / "in", rows)
    target = tmp_path / "out"
    expected = tmp_path / "expected"
    expected.mkdir()
    for path in source.iterdir():
        score_files(path, expected / path.name)
    command = [sys.executable, "-m", "edge_lstm", "score", source, "-o", target, "--engine"]
    node = cluster.add_node(num_cpus=1)
    with subprocess.Popen([*command, f"ray:{cluster.address}"], stderr=subprocess.PIPE) as driver:
        while driver.poll() is None and len(outputs(target)) < 2:
            time.sleep(0.01)
        assert driver.poll() is None, driver.stderr and driver.stderr.read()
        cluster.remove_node(node, allow_graceful=False)
        driver.kill()
    summary = score_on_cluster(source, target, run=RunOptions(resume=True))
    assert summary.rows == FILES * rows
    assert outputs(target) == outputs(expected)


def test_before_a_cluster_is_started_it_is_known_that_there_is_nothing_to_do(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.csv.partial").write_text("id,text\n1,good\n")
    with pytest.raises(DataError, match="holds no text, CSV"):
        score_on_cluster(tmp_path, tmp_path / "out", reading=ReadOptions(format="csv"))
    with pytest.raises(DataError, match="workers must be at least 1, not -1"):
        score_on_cluster(tmp_path, tmp_path / "out", run=RunOptions(workers=-1))
    assert not (tmp_path / "out").exists()
