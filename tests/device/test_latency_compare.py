"""``--compare``: what a release gate lets through and what it stops."""

import json
import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

from edge_lstm.errors import CheckError, DataError
from edge_lstm.latency.compare import Comparison, check, to_text
from edge_lstm.latency.compare import compare as compare_results
from edge_lstm.latency.measure import measure
from edge_lstm.latency.result import Result, to_result
from edge_lstm.latency.settings import Settings
from edge_lstm.modelfile import embedded_model


@pytest.fixture(scope="module")
def measured() -> dict:
    settings = Settings(
        models=(embedded_model(),), runs=200, cold_starts=0, warm_up_s=0, max_warm_up_blocks=1
    )
    return to_result(measure(settings)).to_dict()


def compare(old: dict, new: dict, limit: float | None = None) -> Comparison:
    """Two results as they are in their files."""
    return compare_results(Result.from_dict(old, "old"), Result.from_dict(new, "new"), limit)


def made(measured: dict, factor: float = 1.0, noise: float = 0.02, runs: int = 2000, seed: int = 0) -> dict:
    """A result whose every text takes 'factor' times its usual time, give or take noise."""
    document = deepcopy(measured)
    rng = np.random.default_rng(seed)
    texts = np.concatenate([rng.permutation(92) for _ in range(-(-runs // 92))])[:runs]
    run_us = (100 + 2.0 * texts) * factor * rng.lognormal(0, noise, runs)
    document["settings"][0]["samples"] = {
        "every": 1,
        "block_runs": 92,
        "text": texts.tolist(),
        "tokens": (texts + 1).tolist(),
        "encode_us": np.full(runs, 10.0 * factor).tolist(),
        "run_us": run_us.tolist(),
    }
    return document


@pytest.mark.parametrize(
    ("factor", "noise", "runs", "verdict", "failed"),
    [
        (1.0, 0.02, 2000, "no difference", False),
        (1.03, 0.02, 2000, "slower", False),  # slower, but within the 5 % allowed
        (1.10, 0.02, 2000, "too slow", True),
        (0.90, 0.02, 2000, "faster", False),
        (1.08, 0.60, 100, "undecided", False),  # beyond the limit, but so is the noise
    ],
)
def test_the_gate_stops_what_is_slower_beyond_the_limit_and_beyond_noise(
    measured: dict, factor: float, noise: float, runs: int, verdict: str, failed: bool
) -> None:
    result = compare(
        made(measured, noise=noise, runs=runs), made(measured, factor, noise, runs, seed=1), 0.05
    )
    (row,) = result.rows
    assert row.verdict == verdict
    assert bool(result.failed) == failed
    assert row.low <= row.ratio <= row.high
    assert max(map(len, to_text(result).splitlines())) <= 80


def test_without_a_limit_nothing_fails(measured: dict) -> None:
    check(compare(made(measured), made(measured, 3.0)))


def test_a_failed_gate_says_what_got_how_much_slower(measured: dict) -> None:
    with pytest.raises(
        CheckError, match=r"sentiment\.int8 is (49|50|51)\.\d% slower .* more than the 5\.0% allowed"
    ):
        check(compare(made(measured), made(measured, 1.5, seed=2), 0.05))


def test_a_renamed_model_is_compared_where_there_is_only_one(measured: dict) -> None:
    new = made(measured)
    new["settings"][0]["name"] = "sentiment-v2.int8"
    assert compare(made(measured), new).rows[0].name == "sentiment-v2.int8"


def test_other_texts_or_other_settings_do_not_compare(measured: dict) -> None:
    other = deepcopy(measured)
    other["texts"]["sha256"] = "0"
    with pytest.raises(DataError, match="different texts"):
        compare(measured, other)
    other = deepcopy(measured)
    other["settings"][0]["threads"] = 2
    with pytest.raises(DataError, match="share no setting"):
        compare(measured, other)
    with pytest.raises(DataError, match="too few"):
        compare(made(measured, runs=19), made(measured))


def test_another_machine_and_what_disturbed_either_run_are_noted(measured: dict) -> None:
    other = deepcopy(measured)
    other["machine"]["cpu"] = "Cortex-A72"
    other["versions"]["onnxruntime"] = "1.0.0"
    other["warnings"] = [{"code": "hot", "text": "the CPU reached 85 °C; cool it"}]
    notes = "\n".join(compare(other, measured).notes)
    for part in (
        "another CPU: Cortex-A72 then",
        "another onnxruntime: 1.0.0 then",
        "then: the CPU reached 85 °C",
    ):
        assert part in notes


def gate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(part for part in sys.path if part)
    return subprocess.run(
        [sys.executable, "-m", "edge_lstm", "latency", *arguments],
        capture_output=True, text=True, check=False, cwd=folder, encoding="utf-8",
        env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip


def test_the_command_exits_1_where_it_got_slower_and_0_where_not(measured: dict, tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(json.dumps(made(measured)), encoding="utf-8")
    (tmp_path / "new.json").write_text(json.dumps(made(measured, 1.5, seed=1)), encoding="utf-8")
    slower = gate(tmp_path, "--compare", "old.json", "new.json", "--fail-above", "5%")
    assert slower.returncode == 1
    assert "too slow" in slower.stdout
    assert slower.stderr.startswith("error: p50 of sentiment.int8 is ")
    faster = gate(tmp_path, "--compare", "new.json", "old.json", "--fail-above", "5%", "--json")
    assert (faster.returncode, faster.stderr) == (0, "")
    assert json.loads(faster.stdout)["rows"][0]["verdict"] == "faster"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--fail-above", "5%"], "give --compare"),
        (["--compare", "old.json", "old.json", "--fail-above", "x"], "expected a percentage"),
        (["--compare", "none.json", "old.json"], "cannot read none.json"),
        (["--compare", "junk.json", "old.json"], "not JSON"),
    ],
)
def test_wrong_options_are_one_line(measured: dict, tmp_path: Path, arguments: list[str], part: str) -> None:
    (tmp_path / "old.json").write_text(json.dumps(measured), encoding="utf-8")
    (tmp_path / "junk.json").write_bytes(b"\xff\x00")
    done = gate(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert part in done.stderr and done.stderr.count("\n") == 1
