"""``edge-lstm latency``: what it measures, and what it does with what people type."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from model_files import DATA

from edge_lstm.errors import DataError
from edge_lstm.latency.measure import Block, Measured, is_steady, measure
from edge_lstm.latency.result import Result, parse_result, to_result
from edge_lstm.latency.settings import Settings, parse_numbers, parse_percent, parse_time
from edge_lstm.latency.summary import to_text
from edge_lstm.latency.texts import Sample, shuffled_forever
from edge_lstm.modelfile import embedded_model

QUICK = {"runs": 40, "cold_starts": 0, "warm_up_s": 0.0, "max_warm_up_blocks": 1}


def latency(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge_lstm", "latency", *arguments],
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
        env={
            **os.environ,
            "PYTHONIOENCODING": "utf-8",
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        },
        cwd=cwd,
    )


@pytest.fixture(scope="module")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    copy = tmp_path_factory.mktemp("models") / "copy.onnx"
    shutil.copy(embedded_model(), copy)
    return embedded_model(), copy


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Result]:
    """One run of the command as a user types it → (standard output, result)."""
    path = tmp_path_factory.mktemp("latency") / "result.json"
    done = latency("--runs", "200", "--cold-starts", "2", "--output", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout, parse_result(path.read_text(encoding="utf-8"), str(path))


def test_the_table_fits_80_columns_and_shows_start_text_and_parts(finished: tuple[str, Result]) -> None:
    table, _ = finished
    assert max(map(len, table.splitlines())) <= 80
    for word in ("cold start, ms", "imports", "load", "first", "per text, ms", "p50", "text→ids", "texts/s"):
        assert word in table


def test_p99_is_not_given_from_200_runs_and_the_runs_it_takes_are_said(finished: tuple[str, Result]) -> None:
    table, result = finished
    both = result.settings[0].both
    assert both.p99_us is None
    assert both.p50_us < both.p90_us <= both.p95_us <= both.max_us
    assert "p99 needs at least 1,000 runs" in table


def test_the_phases_add_up(finished: tuple[str, Result]) -> None:
    one = finished[1].settings[0]
    assert len(one.cold_starts) == 2
    for start in one.cold_starts:
        phases = (start.python_ms, start.imports_ms, start.load_ms, start.first_ms)
        assert min(phases) > 0 and start.total_ms == pytest.approx(sum(phases))
    assert one.encode.mean_us + one.run.mean_us == pytest.approx(one.both.mean_us, rel=1e-4)
    assert one.both.p50_ci_us[0] <= one.both.p50_us <= one.both.p50_ci_us[1]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_is_that_of_a_fresh_process(finished: tuple[str, Result]) -> None:
    memory = finished[1].settings[0].memory
    assert 10 * 2**20 < memory.steady <= memory.peak < 2**30


def test_every_text_of_the_sample_is_used_about_equally_often(finished: tuple[str, Result]) -> None:
    result = finished[1]
    used = np.bincount(result.settings[0].samples.text, minlength=result.texts.count)
    assert used.max() - used.min() <= 1


def test_json_goes_to_standard_output_alone(tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("good\nbad film\nthe worst I ever saw\n", encoding="utf-8")
    done = latency("--runs", "20", "--cold-starts", "0", "--texts", str(texts), "--json")
    result = parse_result(done.stdout, "-")
    assert result.texts.count == 3
    assert result.settings[0].cold_starts == ()


def test_models_side_by_side_get_a_ratio_with_its_interval(two_models: tuple[Path, Path]) -> None:
    settings = Settings(models=two_models, **{**QUICK, "runs": 64 * 12})
    result = to_result(measure(settings))
    assert [one.name for one in result.settings] == ["sentiment.int8", "copy"]
    (ratio,) = result.ratios
    assert (ratio.name, ratio.against) == ("copy", "sentiment.int8")
    assert 0 < ratio.low <= ratio.value <= ratio.high
    assert "copy" in to_text(result)


def test_every_combination_of_a_sweep_is_measured_and_named() -> None:
    settings = Settings(models=(embedded_model(),), threads=(1, 2), batch_sizes=(1, 4), **QUICK)
    assert [one.name for one in settings.each] == ["t1 b1", "t1 b4", "t2 b1", "t2 b4"]
    result = to_result(measure(settings))
    by_name = {one.name: one for one in result.settings}
    assert by_name["t1 b4"].texts == by_name["t1 b1"].texts == by_name["t1 b4"].runs * 4
    assert by_name["t1 b4"].length_fit is None
    assert {ratio.against for ratio in result.ratios} == {"t1 b1"}
    assert max(map(len, to_text(result).splitlines())) <= 80


def test_batches_hold_texts_of_similar_length() -> None:
    settings = Settings(models=(embedded_model(),), batch_sizes=(8,), **{**QUICK, "runs": 64})
    for block in measure(settings).measured[0].blocks:
        # A block's texts are cut into batches from the shortest to the longest.
        tokens = block.rows[:, 1]
        assert len(tokens) == 12 and (np.diff(tokens) >= 0).all() and np.ptp(tokens) > 500


def test_batch_sizes_without_a_small_multiple_are_refused() -> None:
    with pytest.raises(DataError, match="divide each other"):
        Settings(models=(embedded_model(),), batch_sizes=(7, 64, 121))


def test_the_same_model_twice_is_refused() -> None:
    with pytest.raises(DataError, match="twice"):
        Settings(models=(embedded_model(), embedded_model()))


def test_warm_up_ends_when_the_median_is_steady() -> None:
    def blocks(times: list[int]) -> list[Block]:
        return [Block(0, np.array([[0, 1, 0, time]]), cpu_ns=1) for time in times]

    assert not is_steady(blocks([50] * 7))
    assert is_steady(blocks([90, 90] + [50, 51, 50, 49] * 2))
    assert not is_steady(blocks([80, 80, 80, 80, 70, 70, 70, 70]))


def test_orders_are_random_and_complete() -> None:
    order = shuffled_forever(10, random.Random(1))
    first, second = ([next(order) for _ in range(10)] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_a_result_survives_writing_and_reading(finished: tuple[str, Result]) -> None:
    assert parse_result(finished[1].dumps(), "x") == finished[1]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("20ms", 0.02), ("30m", 1800), ("2h", 7200), ("1.5", 1.5), ("10 min", 600)],
)
def test_times_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_time(text, "--duration") == seconds


def test_numbers_are_read_as_people_write_them() -> None:
    assert parse_numbers("1,2, 4,2", "--threads") == (1, 2, 4)
    assert parse_percent("5%", "x") == parse_percent("5", "x") == 0.05


def test_pauses_between_runs_are_kept_and_not_counted() -> None:
    settings = Settings(models=(embedded_model(),), interval_s=0.002, **{**QUICK, "runs": 64})
    result = measure(settings)
    assert result.seconds >= 64 * 0.002
    assert result.measured[0].total_ns / 1e9 <= result.seconds - 64 * 0.002


@pytest.mark.parametrize("data", [b"", b"\x00\xff\xfe\x80" * 50, b"\xff\xfeg\x00"])
def test_a_file_without_texts_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "texts.txt").write_bytes(data)
    done = latency("--texts", "texts.txt", "--runs", "20", "--cold-starts", "0", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: texts.txt ")


@pytest.mark.parametrize(
    ("data", "count", "longest"),
    [
        (b"x " * 200_000, 1, 600),
        ("ü\n".encode() * 5001, 5000, 2),
        (b"\xe9 good\n\nbad\n", 2, 2),  # the first is not UTF-8: no text
        (b"\n\n", 2, 1),
    ],
)
def test_odd_texts_are_measured(tmp_path: Path, data: bytes, count: int, longest: int) -> None:
    (tmp_path / "texts.txt").write_bytes(data)
    done = latency("--texts", "texts.txt", "--runs", "20", "--cold-starts", "0", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    texts = parse_result(done.stdout, "-").texts
    assert (texts.count, texts.tokens[2]) == (count, longest)


def test_a_long_run_keeps_whole_blocks_spread_over_it_the_same_of_every_setting() -> None:
    measured = Measured(None, None, [])  # type: ignore[arg-type]
    for number in range(5000):
        measured.add(Block(number, np.full((4, 4), number, dtype=np.int64), cpu_ns=1))
    numbers = np.array([block.number for block in measured.blocks])
    assert (measured.runs, measured.max_ns) == (20_000, 2 * 4999)
    assert 250 <= len(numbers) <= 512 and (np.diff(numbers) == measured.every).all() and numbers[-1] > 4900


def test_every_block_of_few_texts_holds_each_of_them_equally_often() -> None:
    settings = Settings(models=(embedded_model(),), **{**QUICK, "runs": 300})
    for texts in (3, 92):
        sample = Sample("made", tuple(f"good {i}" for i in range(texts)))
        (one,) = measure(settings, sample).measured
        assert len(one.blocks) > 2
        for block in one.blocks:
            assert len(block.rows) >= 64 and len(set(np.bincount(block.rows[:, 0], minlength=texts))) == 1


def test_ctrl_c_leaves_what_was_measured_until_then() -> None:
    def stop(what: str, part: float) -> None:
        if what == "measuring" and part > 0.2:
            raise KeyboardInterrupt

    settings = Settings(models=(embedded_model(),), **{**QUICK, "runs": 1000})
    result = to_result(measure(settings, progress=stop))
    assert 200 <= result.settings[0].runs < 400
    assert result.is_interrupted and "warning: interrupted" in to_text(result)


def test_a_model_of_ones_own_is_measured_with_its_own_examples(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(DATA)
    result = to_result(measure(Settings(models=(tmp_path / "mine.onnx",), **QUICK)))
    assert result.texts.source == "the examples in mine.onnx"
