"""``edge-lstm latency``: what it measures, and what it does with what people type."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from commands import command, json_of
from model_files import SMALL

from edge_lstm.latency.measure import measure
from edge_lstm.latency.recording import Block, is_steady
from edge_lstm.latency.settings import Settings

QUICK = {"runs": 40, "cold_starts": 0, "warm_up_s": 0.0, "max_warm_up_blocks": 1}
ONE = (SMALL,)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any]:
    """One run of the command as a user types it → (standard output, the file it wrote)."""
    path = tmp_path_factory.mktemp("latency") / "result.json"
    runs = ("--runs", "200", "--cold-starts", "2")
    done = command("latency", "-m", SMALL, *runs, "--output", path)
    assert done.returncode == 0, done.stderr
    return done.stdout, with_names(path.read_text(encoding="utf-8"))


def with_names(text: str) -> Any:
    """A result, whose values have names."""
    return json.loads(text, object_hook=lambda values: SimpleNamespace(**values))


def test_the_table_fits_80_columns_and_shows_start_text_and_parts(
    measured: tuple[str, Any],
) -> None:
    table, _ = measured
    assert max(map(len, table.splitlines())) < 80
    assert "cold start, ms" in table and "per text, ms" in table
    assert {"imports", "load", "first", "p50", "text→ids", "texts"} <= {*table.split()}


def test_p99_is_not_given_from_200_runs_and_the_runs_it_takes_are_said(
    measured: tuple[str, Any],
) -> None:
    table, result = measured
    both = result.settings[0].both
    assert both.p99_us is None
    assert both.p50_us < both.p90_us <= both.p95_us <= both.max_us
    assert "p99 needs at least 1,000 runs" in table


def test_the_phases_add_up(measured: tuple[str, Any]) -> None:
    one = measured[1].settings[0]
    assert len(one.cold_starts) == 2
    for start in one.cold_starts:
        assert min(start.python_ms, start.imports_ms, start.load_ms, start.first_ms) > 0
    assert one.encode.mean_us + one.run.mean_us == pytest.approx(one.both.mean_us, rel=1e-4)
    low, high = one.both.p50_ci_us  # of medians of blocks: on a busy machine, p50 may lie outside
    assert 0 < low <= high <= one.both.max_us
    assert len(one.by_text) == measured[1].texts.count  # every text was run


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_is_that_of_a_fresh_process(measured: tuple[str, Any]) -> None:
    memory = measured[1].settings[0].memory
    assert 10 * 2**20 < memory.steady <= memory.peak < 2**30


def test_every_combination_is_measured_in_turn_named_and_compared_with_the_first() -> None:
    shutil.copy(SMALL, "small.onnx")
    shutil.copy(SMALL, "copy.onnx")
    options = ("--batch-size", "1,4", "--runs", "320", "--cold-starts", "0", "--json")
    done = command("latency", "-m", "small.onnx", "-m", "copy.onnx", *options)
    first, batches, *others = result = with_names(done.stdout).settings
    assert [one.name for one in result] == ["small b1", "small b4", "copy b1", "copy b4"]
    assert batches.texts == first.texts == batches.runs * 4
    assert batches.length_fit is None and batches.by_text == [] and first.ratio is None
    for one in (batches, *others):
        assert 0 < one.ratio.low <= one.ratio.value <= one.ratio.high


def test_warm_up_ends_when_the_median_is_steady() -> None:
    def blocks(times: list[int]) -> list[Block]:
        return [Block(0, np.array([[0, 1, 0, time]]), cpu_ns=1) for time in times]

    assert not is_steady(blocks([50] * 7))
    assert is_steady(blocks([90, 90] + [50, 51, 50, 49] * 2))
    assert not is_steady(blocks([80, 80, 80, 80, 70, 70, 70, 70]))


def test_empty_texts_are_measured_and_what_is_no_text_is_left_out() -> None:
    Path("texts.txt").write_bytes(b"\xe9 good\n\nbad\n")
    options = ("-m", SMALL, "--texts", "texts.txt", "--runs", "20", "--cold-starts", "0")
    texts = json_of("latency", *options)["texts"]
    assert (texts["count"], texts["tokens"][2]) == (2, 2)
    Path("texts.txt").write_text("ü\n" * 5001)
    assert json_of("latency", *options)["texts"]["count"] == 5000


@pytest.mark.parametrize("data", [b"", b"\x00\xff\xfe\x80" * 50])
def test_no_text_is_one_line(data: bytes) -> None:
    Path("texts.txt").write_bytes(data)
    assert "texts.txt " in command("latency", "--texts", "texts.txt").error


def test_ctrl_c_leaves_what_was_measured_until_then() -> None:
    def stop(what: str, part: float) -> None:
        if what == "measuring" and part > 0.2:
            raise KeyboardInterrupt

    result = measure(Settings(models=ONE, **{**QUICK, "runs": 1000}), progress=stop)
    assert 200 <= result.settings[0].runs < 400
    assert result.is_interrupted and "interrupted" in result.warnings[0].text


def test_a_model_of_ones_own_is_measured_with_its_own_examples() -> None:
    result = json_of("latency", "-m", SMALL, "--runs", "40", "--cold-starts", "0")
    assert result["texts"]["source"] == f"the golden rows of {SMALL.name}"
    (one,) = result["settings"]
    # A block, and no process.
    assert (one["runs"], one["cold_starts"], one["memory"]) == (64, [], None)
