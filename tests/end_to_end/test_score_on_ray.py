"""``--engine ray``: the local engine's rows and bits, also when a node dies in the middle."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_lstm import DataError, OutputError, ScoreOptions, score_files, signals

pytestmark = pytest.mark.cluster

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")

from ray.cluster_utils import Cluster  # noqa: E402

from edge_lstm.scoring.ray import NOTES, score_on_cluster  # noqa: E402

TEXTS = ["A wonderful film.", "Dull, and far too long!", "", "xqzzy wvvx", 'He said "no"\nand left.']
FILES = 12


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that does no work and a node of one CPU; a test may add another node."""
    with signals.kept():
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        made.add_node(num_cpus=1)
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


def test_a_node_that_dies_loses_nothing_and_doubles_nothing(cluster: Any, tmp_path: Path) -> None:
    rows = 4_000
    source = make_inputs(tmp_path / "in", rows)
    target = tmp_path / "out"
    cluster.add_node(num_cpus=1)
    killed = None

    def nodes() -> list[str]:
        return [json.loads(note.read_text())["node"] for note in (target / NOTES).glob("part-*.json")]

    def kill_the_first_that_worked(progress: Any) -> None:
        nonlocal killed
        if killed is None:
            killed = nodes()[0]
            [node] = [node for node in cluster.worker_nodes if node.node_id == killed]
            cluster.remove_node(node, allow_graceful=False)

    summary = score_on_cluster(source, target, workers=2, on_progress=kill_the_first_that_worked)
    assert killed is not None
    assert set(nodes()) > {killed}, "the node died too late to matter"
    assert summary.rows == FILES * rows
    expected = tmp_path / "expected"
    expected.mkdir()
    for path in source.iterdir():
        score_files(path, expected / path.name, workers=1)
    assert outputs(target) == outputs(expected)


def test_resume_keeps_what_is_done_and_refuses_another_run(cluster: Any, tmp_path: Path) -> None:
    source = make_inputs(tmp_path / "in", 20)
    target = tmp_path / "out"
    score_on_cluster(source, target)
    before = outputs(target)
    with pytest.raises(OutputError, match="is not empty; go on with --resume"):
        score_on_cluster(source, target)
    with pytest.raises(DataError, match="cannot resume: the options"):
        score_on_cluster(source, target, resume=True, options=ScoreOptions(threshold=0.5))
    # As after an interruption: two files are missing, one has changed since.
    for name in ("part-03", "part-07"):
        (target / f"{name}.csv").unlink()
        (target / NOTES / f"{name}.csv.json").unlink()
    with (source / "part-05.csv").open("a") as file:
        file.write("20,late\n")
    summary = score_on_cluster(source, target, resume=True)
    assert summary.rows == FILES * 20 + 1
    assert summary.resumed_at == (FILES - 3) * 20
    after = outputs(target)
    assert after.pop("part-05.csv").count(b"\n") > before.pop("part-05.csv").count(b"\n")
    assert after == before


@pytest.mark.parametrize("target_format", ["jsonl", "parquet"])
def test_formats_errors_and_uris(cluster: Any, tmp_path: Path, target_format: Any) -> None:
    source = make_inputs(tmp_path / "in", 10)
    (source / "part-00.csv").write_text("id,text\n1\n2,fine\n")
    target = tmp_path / "out"
    summary = score_on_cluster(f"file://{source}", f"file://{target}", format=target_format)
    assert summary.errors == 1
    [problem] = summary.first_errors
    assert (problem.source, problem.row) == ("part-00.csv", 1)
    score_files(source / "part-04.csv", tmp_path / f"one.{target_format}", workers=1)
    written = (target / f"part-04.{target_format}").read_bytes()
    assert written == (tmp_path / f"one.{target_format}").read_bytes()


def test_a_file_that_cannot_be_read_ends_the_run_with_its_name(cluster: Any, tmp_path: Path) -> None:
    source = make_inputs(tmp_path / "in", 10)
    (source / "part-02.csv").write_bytes(b"")
    with pytest.raises(DataError, match=r"^part-02.csv is empty"):
        score_on_cluster(source, tmp_path / "out")


def test_before_a_cluster_is_started_it_is_known_that_there_is_nothing_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.csv.partial").write_text("id,text\n1,good\n")
    with pytest.raises(DataError, match="holds no text, CSV"):
        score_on_cluster(tmp_path, tmp_path / "out", input_format="csv")
    with pytest.raises(DataError, match="at least 1 worker is needed, not -1"):
        score_on_cluster(tmp_path, tmp_path / "out", workers=-1)
    assert not (tmp_path / "out").exists()
