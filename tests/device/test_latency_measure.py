"""``edge-lstm latency``: what it measures, and what it does with what people type."""

import json
import shutil
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from commands import command, json_of
from model_files import SMALL

from edge_lstm import Classifier
from edge_lstm.core.modelfile import embedded_model, open_model
from edge_lstm.latency import measure as measuring
from edge_lstm.latency.cold_start import ColdStart, Memory
from edge_lstm.latency.measure import measure
from edge_lstm.latency.recording import Block, is_steady
from edge_lstm.latency.settings import Sample, Settings, texts_of

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


def test_every_setting_runs_the_same_texts_of_a_block_and_each_text_equally_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: dict[int, list[tuple[str, tuple[int, ...]]]] = {}
    run_block = measuring.run_block

    def noted(recording: Any, sample: Any, number: int, chosen: Any) -> Any:
        ran.setdefault(number, []).append((recording.setting.name, tuple(chosen)))
        return run_block(recording, sample, number, chosen)

    monkeypatch.setattr(measuring, "run_block", noted)
    texts = tuple(f"good film {i}" for i in range(40))
    settings = {**QUICK, "runs": 800, "batch_sizes": (1, 2)}
    result = measure(Settings(models=ONE, **settings), Sample("made", texts))
    # Its warm-up has no time to become steady.
    assert "unsteady" in [warning.code for warning in result.warnings]
    blocks = [turns[-2:] for turns in ran.values()]
    assert len(blocks) >= 10
    for (_, first), (_, second) in blocks:
        assert first == second
        assert sorted(first) == sorted([*range(40)] * 2)
    # In random order: of the texts, and of the settings.
    assert len({first for (_, first), _ in blocks}) == len(blocks)
    assert len({name for (name, _), _ in blocks}) == 2


def test_a_block_has_64_texts_or_all_of_them() -> None:
    settings = Settings(models=ONE, **QUICK)
    assert [settings.block_texts(texts) for texts in (5000, 64, 40, 200)] == [64, 64, 80, 200]


def test_memory_is_read_after_a_thousand_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def process(model: Path, engine: Any, texts: Any, batch_size: int = 1) -> Any:
        asked.append(len(texts))
        return ColdStart(1, 1, 1, 1), Memory(2, 3)

    monkeypatch.setattr(measuring, "fresh_process", process)
    settings = {**QUICK, "cold_starts": 3}
    measure(Settings(models=ONE, **settings), Sample("made", ("good film",) * 1100))
    assert asked == [1, 1, 1, 1000]


def test_the_conditions_are_read_before_after_and_each_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    read: list[float] = []

    def later() -> float:
        now[0] += 20
        return now[0]

    def state() -> Any:
        read.append(now[0])
        return before()

    before = measuring.state
    monkeypatch.setattr(measuring.time, "perf_counter", later)
    monkeypatch.setattr(measuring, "state", state)
    measure(Settings(models=ONE, **{**QUICK, "runs": 2000}))
    gaps = [second - first for first, second in pairwise(read)]
    assert read[0] == 0 and len(read) > 5 and max(gaps[1:]) <= 80


def test_the_embedded_model_is_measured_on_the_packages_reviews() -> None:
    sample = texts_of(open_model(embedded_model()))
    assert sample.source == "the package's reviews" and len(sample.texts) > 64


def test_a_run_is_timed_from_text_to_ids_and_from_ids_to_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    classifier = Classifier.load(SMALL)
    clock = iter([100, 105, 112])
    monkeypatch.setattr(measuring.time, "perf_counter_ns", lambda: next(clock))
    assert measuring.time_run(classifier, ["good film"], 1) == (3, 5, 7)


def test_a_duration_counts_instead_of_runs() -> None:
    options = ("--runs", "1", "--cold-starts", "0", "--duration", "1.5")
    assert json_of("latency", "-m", SMALL, *options)["seconds"] >= 1.5


def test_each_option_reaches_the_measurement() -> None:
    few = ("-m", SMALL, "--runs", "20", "--cold-starts", "0")
    settings = json_of("latency", *few, "--threads", "1,2")["settings"]
    assert [(one["name"], one["threads"]) for one in settings] == [("t1", 1), ("t2", 2)]
    assert "the engine 'fast' is unknown" in command("latency", *few, "--engine", "fast").error
    Path("t.csv").write_text("first,other\ngood,bad film\n")
    texts = ("--texts", "t.csv", "--text-column", "other")
    assert json_of("latency", *few, *texts)["texts"]["tokens"][2] == 3
    assert command("latency", *few, "--report", "r.html").returncode == 0
    assert Path("r.html").read_text().startswith("<!doctype html>")


def test_a_measurement_that_ctrl_c_ended_says_so_by_its_exit_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(self: Any, what: str, part: float) -> None:
        if what == "measuring" and part > 0.2:
            raise KeyboardInterrupt

    monkeypatch.setattr("edge_lstm.cli.progress.ProgressLine.draw", stop)
    done = command("latency", "-m", SMALL, "--runs", "1000", "--cold-starts", "0")
    assert done.returncode == 130 and "interrupted" in done.stdout
