"""``latency --compare``: what a release gate lets through and what it stops."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from test_cli import run

from edge_lstm.errors import CheckError, DataError
from edge_lstm.latency.compare import Comparison, check
from edge_lstm.latency.compare import compare as compare_results
from edge_lstm.latency.measure import measure
from edge_lstm.latency.result import parse_result
from edge_lstm.latency.settings import Settings
from edge_lstm.modelfile import embedded_model


@pytest.fixture(scope="module")
def measured() -> dict:
    settings = Settings(models=(embedded_model(),), runs=20, cold_starts=0, warm_up_s=0, max_warm_up_blocks=1)
    return json.loads(measure(settings).dumps())


def compare(old: dict, new: dict, limit: float | None = None) -> Comparison:
    """Two results as they are in their files."""
    return compare_results(*(parse_result(json.dumps(each), "x") for each in (old, new)), limit)


def made(measured: dict, p50: float = 100.0, noise: float = 1.0) -> dict:
    """A result with this median, in µs, give or take the noise."""
    document = deepcopy(measured)
    document["settings"][0]["both"] |= {"p50_us": p50, "p50_ci_us": [p50 - noise, p50 + noise]}
    document["warnings"] = []
    return document


@pytest.mark.parametrize(
    ("p50", "noise", "verdict"),
    [
        (100, 1, "no difference"),
        (103, 1, "slower"),  # but within the 5 % allowed
        (110, 1, "too slow"),
        (90, 1, "faster"),
        (108, 9, "undecided"),  # beyond the limit, but so is the noise
    ],
)
def test_the_gate_stops_what_is_slower_beyond_the_limit_and_beyond_noise(
    measured: dict, p50: float, noise: float, verdict: str
) -> None:
    result = compare(made(measured), made(measured, p50, noise), 5)
    (row,) = result.rows
    assert row.verdict == verdict
    assert row.low <= row.ratio <= row.high
    if verdict != "too slow":
        check(result)


def test_a_failed_gate_says_what_got_how_much_slower_and_without_a_limit_none_fails(measured: dict) -> None:
    message = r"sentiment\.int8 is 50\.0% slower .*48\.\d% to .*more than the 5 % allowed"
    with pytest.raises(CheckError, match=message):
        check(compare(made(measured), made(measured, 150), 5))
    check(compare(made(measured), made(measured, 300)))


def test_a_renamed_model_is_compared_where_there_is_only_one(measured: dict) -> None:
    new = made(measured)
    new["settings"][0]["name"] = "sentiment-v2.int8"
    assert compare(made(measured), new).rows[0].name == "sentiment-v2.int8"


def changed(document: dict, *keys: Any) -> dict:
    """A copy in which the value of the last key is another."""
    *path, last, value = keys
    place = document = deepcopy(document)
    for key in path:
        place = place[key]
    place[last] = value
    return document


def test_what_does_not_compare_is_one_line(measured: dict) -> None:
    old = made(measured)
    for new, limit, says in (
        (changed(old, "texts", "sha256", "0"), 5, "different texts"),
        (changed(old, "settings", 0, "threads", 2), 5, "share no setting"),
        (changed(old, "settings", 0, "both", "p50_ci_us", None), 5, "too few"),
        (old, float("nan"), "must be 0 or more"),
        (old, -5, "must be 0 or more"),
    ):
        with pytest.raises(DataError, match=says):
            compare(old, new, limit)


def test_another_machine_and_what_disturbed_either_run_are_noted(measured: dict) -> None:
    other = changed(made(measured), "machine", "cpu", "Cortex-A72")
    other["warnings"] = [{"code": "hot", "text": "the CPU reached 85 °C; cool it"}]
    assert compare(other, made(measured)).notes == (
        f"the CPU differs: Cortex-A72 then, {measured['machine']['cpu']} now",
        "then: the CPU reached 85 °C; cool it",
    )


def test_the_command_exits_1_where_it_got_slower_and_0_where_not(measured: dict, tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(json.dumps(made(measured)), encoding="utf-8")
    new.write_text(json.dumps(made(measured, 150)), encoding="utf-8")
    slower = run("latency", "--compare", str(old), str(new), "--fail-above", "5")
    assert slower.returncode == 1 and b"too slow" in slower.stdout
    assert slower.stderr.startswith(b"error: p50 of sentiment.int8 is ")
    assert max(map(len, slower.stdout.decode().splitlines())) < 80
    faster = run("latency", "--compare", str(new), str(old), "--fail-above", "5", "--json")
    assert (faster.returncode, faster.stderr) == (0, b"")
    assert json.loads(faster.stdout)["rows"][0]["verdict"] == "faster"
