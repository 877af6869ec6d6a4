"""``edge-lstm latency``: what it measures, and what it does with what people type."""

import csv
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_lstm.errors import DataError, OutputError
from edge_lstm.latency import measure as measuring
from edge_lstm.latency.cold_start import _why
from edge_lstm.latency.measure import is_steady, measure
from edge_lstm.latency.recorder import BLOCKS, Block, CsvStream, Recorder
from edge_lstm.latency.result import Result, parse_result, to_result
from edge_lstm.latency.settings import Setting, Settings, parse_cpus, parse_numbers, parse_percent, parse_time
from edge_lstm.latency.statistics import MIN_CHUNKS, chunk_of, pass_length
from edge_lstm.latency.terminal import to_text
from edge_lstm.latency.texts import Sample, embedded_sample, shuffled_forever, texts_of_length
from edge_lstm.modelfile import embedded_model, open_model

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
    for word in ("cold start, ms", "imports", "load", "first", "a text, ms", "p50", "text→ids", "texts/s"):
        assert word in table


def test_p99_is_not_given_from_200_runs_and_the_runs_it_takes_are_said(finished: tuple[str, Result]) -> None:
    table, result = finished
    both = result.settings[0].both
    assert both.p99_us is None
    assert both.p50_us < both.p90_us <= both.p95_us <= both.max_us
    assert "p99 1,000" in table


def test_the_phases_add_up(finished: tuple[str, Result]) -> None:
    one = finished[1].settings[0]
    cold = one.cold_start
    assert cold.processes == 2
    parts = sum(phase.min for phase in cold.phases)
    assert 0 < parts <= cold.total_ms.max
    assert one.encode.mean_us + one.run.mean_us == pytest.approx(one.both.mean_us, rel=1e-4)
    assert one.both.p50_ci_us[0] <= one.both.p50_us <= one.both.p50_ci_us[1]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_is_that_of_a_fresh_process(finished: tuple[str, Result]) -> None:
    memory = finished[1].settings[0].memory
    assert 10 * 2**20 < memory.imported <= memory.loaded <= memory.steady <= memory.peak < 2**30


def test_every_text_of_the_sample_is_used_about_equally_often(finished: tuple[str, Result]) -> None:
    result = finished[1]
    used = np.bincount(result.settings[0].samples.text, minlength=result.texts.count)
    assert used.max() - used.min() <= 1


def test_json_goes_to_standard_output_alone(tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("good\nbad film\nthe worst I ever saw\n", encoding="utf-8")
    done = latency("--runs", "20", "--cold-starts", "0", "--data", str(texts), "--json")
    result = parse_result(done.stdout, "-")
    assert result.texts.count == 3
    assert result.settings[0].cold_start is None


@pytest.mark.parametrize(
    ("code", "stderr", "says"),
    [
        (-9, b"", "signal 9; run 'edge-lstm doctor'"),
        (1, b"Traceback ...\nValueError: x\n", "exit code 1 ValueError: x; run"),
        (
            -2,
            b"OpenBLAS blas_thread_init: pthread_create failed for thread 1\nKeyboardInterrupt\n",
            "no thread",
        ),
    ],
)
def test_a_fresh_process_that_fails_is_told_in_its_last_words(code: int, stderr: bytes, says: str) -> None:
    assert says in _why(code, stderr)


def test_models_side_by_side_get_a_ratio_with_its_interval(two_models: tuple[Path, Path]) -> None:
    settings = Settings(models=two_models, **{**QUICK, "runs": 64 * 12})
    result = to_result(measure(settings, embedded_sample()))
    assert [one.name for one in result.settings] == ["sentiment.int8", "copy"]
    (ratio,) = result.ratios
    assert (ratio.name, ratio.against) == ("copy", "sentiment.int8")
    assert 0 < ratio.low <= ratio.value <= ratio.high
    assert "copy" in to_text(result)


def test_settings_take_turns_in_random_order_over_the_same_texts(
    two_models: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[tuple[str, list[int]]] = []
    run_block = measuring._run_block

    def watch(one: measuring.Measured, pool: list[str], chosen: list[int], interval: float) -> Block:
        turns.append((one.setting.name, list(chosen)))
        return run_block(one, pool, chosen, interval)

    monkeypatch.setattr(measuring, "_run_block", watch)
    measure(Settings(models=two_models, **{**QUICK, "runs": 64 * 16}), embedded_sample())
    steady = turns[2:]  # one block each of warm-up
    pairs = list(zip(steady[::2], steady[1::2]))
    assert all(a[0] != b[0] and a[1] == b[1] for a, b in pairs)
    assert len({a[0] for a, _ in pairs}) == 2  # not always the same first


def test_every_combination_of_a_sweep_is_measured_and_named() -> None:
    settings = Settings(models=(embedded_model(),), threads=(1, 2), batch_sizes=(1, 4), **QUICK)
    assert [one.name for one in settings.each] == ["t1 b1", "t1 b4", "t2 b1", "t2 b4"]
    result = to_result(measure(settings, embedded_sample()))
    by_name = {one.name: one for one in result.settings}
    assert by_name["t1 b4"].texts == by_name["t1 b1"].texts == by_name["t1 b4"].runs * 4
    assert by_name["t1 b4"].length_fit is None
    assert {ratio.against for ratio in result.ratios} == {"t1 b1"}
    assert max(map(len, to_text(result).splitlines())) <= 80


def test_batches_hold_texts_of_similar_length() -> None:
    settings = Settings(models=(embedded_model(),), batch_sizes=(8,), **{**QUICK, "runs": 64})
    samples = measure(settings, embedded_sample()).measured[0].recorder.samples()
    # A block's texts are cut into batches from the shortest to the longest.
    blocks = samples.tokens.reshape(-1, settings.block_texts // 8)
    assert len(blocks) == 8
    assert (np.diff(blocks, axis=1) >= 0).all() and (np.ptp(blocks, axis=1) > 500).all()


def test_a_length_sweep_runs_texts_of_exactly_that_length() -> None:
    tokenizer = open_model().tokenizer
    for length in (1, 2, 37, 600):
        made = texts_of_length(embedded_sample(), tokenizer, length, 20, seed=0)
        assert {len(tokenizer.encode_text(text).ids) for text in made.texts} == {length}
    assert len(set(made.texts)) > 10
    with pytest.raises(DataError, match="1 to 600"):
        texts_of_length(embedded_sample(), tokenizer, 601, 20, seed=0)


def test_batch_sizes_without_a_small_multiple_are_refused() -> None:
    with pytest.raises(DataError, match="divide each other"):
        _ = Settings(models=(embedded_model(),), batch_sizes=(7, 64, 121)).block_texts


def test_the_same_model_twice_is_refused() -> None:
    with pytest.raises(DataError, match="twice"):
        Settings(models=(embedded_model(), embedded_model()))


def test_ctrl_c_leaves_what_was_measured_until_then(monkeypatch: pytest.MonkeyPatch) -> None:
    run_block, count = measuring._run_block, iter(range(100))

    def stop_at_five(*arguments: object) -> Block:
        if next(count) == 5:
            raise KeyboardInterrupt
        return run_block(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(measuring, "_run_block", stop_at_five)
    result = measure(Settings(models=(embedded_model(),), **{**QUICK, "runs": 10_000}), embedded_sample())
    result = to_result(result)
    assert result.settings[0].runs == 4 * 64  # the first block was warm-up
    assert [mark.code for mark in result.distrust][:1] == ["interrupted"]


def test_warm_up_ends_when_the_median_is_steady() -> None:
    assert not is_steady([5.0] * 7)
    assert is_steady([9.0, 9.0] + [5.0, 5.1, 5.0, 4.9] * 2)
    assert not is_steady([8.0, 8.0, 8.0, 8.0, 7.0, 7.0, 7.0, 7.0])


@pytest.mark.parametrize("blocks", [1, 10, 500, 5000])
def test_samples_stay_bounded_and_spread_over_the_whole_run(blocks: int) -> None:
    recorder = Recorder(block_texts=4, pass_runs=4, capacity=100)
    for i in range(blocks):
        recorder.add(Block(np.full((4, 4), i, dtype=np.int64), cpu_ns=1, started_ns=i))
    samples = recorder.samples()
    assert recorder.runs == blocks * 4
    assert min(blocks * 4, 50) <= len(samples.text) <= 100
    assert samples.text.max() >= 0.9 * (blocks - 1)
    assert recorder.max_ns == 2 * (blocks - 1)


@pytest.mark.parametrize("texts", [1, 3, 92, 300])
def test_what_is_kept_of_a_long_run_are_whole_passes_over_the_texts(texts: int) -> None:
    order = shuffled_forever(texts, random.Random(0))
    recorder = Recorder(block_texts=64, pass_runs=texts, capacity=2000)
    for number in range(500):
        rows = [[next(order), 7, number, 1] for _ in range(64)]
        recorder.add(Block(np.array(rows, dtype=np.int64), cpu_ns=1, started_ns=number))
    kept = recorder.samples()
    assert recorder.runs == 32_000 and recorder.every >= 16
    assert len(kept.text) <= 2000 or texts > 1000
    assert pass_length(kept.text) == texts
    chunks = chunk_of(len(kept.text), pass_length(kept.text))
    if len(kept.text) // texts >= MIN_CHUNKS:
        whole = [np.sort(kept.text[chunks == i]) for i in range(int(chunks[-1]))]
        assert all((chunk == np.arange(texts)).all() for chunk in whole)
    assert kept.encode_us.min() * 1e3 < 32 and kept.encode_us.max() * 1e3 > 450  # from begin to end
    assert list(recorder.block_times()) == list(range(500))


def test_a_run_of_many_blocks_keeps_a_thousand_block_times_spread_over_it() -> None:
    recorder = Recorder(block_texts=1, pass_runs=1)
    block = Block(np.ones((1, 4), dtype=np.int64), cpu_ns=1, started_ns=0)
    for _ in range(5000):
        recorder.add(block)
    numbers = np.array(list(recorder.block_times()))
    assert 500 <= len(numbers) <= BLOCKS and (np.diff(numbers) == 8).all() and numbers[-1] > 4980


def test_a_long_run_reports_medians_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "MINUTE_S", 0.0)  # a minute ends with every block
    settings = Settings(models=(embedded_model(),), **{**QUICK, "runs": 64 * 5})
    result = to_result(measure(settings, embedded_sample()))
    one = result.settings[0]
    assert [minute.runs for minute in one.minutes] == [64] * 5
    assert one.trend is not None
    assert "5 minutes" in to_text(result)


def test_orders_are_random_and_complete() -> None:
    order = shuffled_forever(10, random.Random(1))
    first, second = ([next(order) for _ in range(10)] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_a_result_survives_writing_and_reading(finished: tuple[str, Result]) -> None:
    assert parse_result(finished[1].dumps(), "x") == finished[1]


def test_a_table_without_unicode_is_ascii(finished: tuple[str, Result]) -> None:
    to_text(finished[1], unicode=False).encode("ascii")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("20ms", 0.02), ("30m", 1800), ("2h", 7200), ("1.5", 1.5), ("10 min", 600)],
)
def test_times_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_time(text, "--duration") == seconds


def test_numbers_and_cpus_are_read_as_people_write_them() -> None:
    assert parse_numbers("1,2, 4,2", "--threads") == (1, 2, 4)
    assert parse_cpus("0,2-4") == (0, 2, 3, 4)
    assert parse_percent("5%", "x") == parse_percent("5", "x") == 0.05


def test_a_setting_carries_its_name() -> None:
    (setting,) = Settings(models=(embedded_model(),)).each
    assert setting == Setting("sentiment.int8", embedded_model(), 1, 1, "CPUExecutionProvider", None)


def test_no_texts_are_refused() -> None:
    with pytest.raises(DataError, match="no texts"):
        measure(Settings(models=(embedded_model(),)), Sample("nothing", ()))


def test_every_run_is_streamed_to_a_file_as_csv(tmp_path: Path) -> None:
    settings = Settings(models=(embedded_model(),), batch_sizes=(1, 4), **QUICK)
    with CsvStream(tmp_path / "samples.csv") as stream:
        result = measure(settings, embedded_sample(), stream=stream)
    with (tmp_path / "samples.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for one in result.measured:
        mine = [row for row in rows if row["setting"] == one.setting.name]
        assert len(mine) == one.recorder.runs
        assert all((row["text"] == "") == (one.setting.batch_size > 1) for row in mine)
        total = sum(float(row["encode_us"]) + float(row["run_us"]) for row in mine)
        assert total == pytest.approx(one.recorder.total_ns / 1e3, rel=1e-3)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_under_the_stream_is_an_error_that_names_it() -> None:
    block = Block(np.ones((4, 4), dtype=np.int64), cpu_ns=1, started_ns=0)
    with (
        pytest.raises(OutputError, match="no space left for /dev/full"),
        CsvStream(Path("/dev/full")) as stream,
    ):
        stream.write(Settings(models=(embedded_model(),)).each[0], block)


def test_pauses_between_runs_are_kept_and_not_counted() -> None:
    settings = Settings(models=(embedded_model(),), interval_s=0.002, **{**QUICK, "runs": 64})
    result = measure(settings, embedded_sample())
    assert result.seconds >= 64 * 0.002
    assert result.measured[0].recorder.total_ns / 1e9 <= result.seconds - 64 * 0.002


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="pinning needs Linux")
def test_pinning_holds_for_the_whole_measurement_and_is_recorded() -> None:
    cpu = min(os.sched_getaffinity(0))
    done = latency("--runs", "20", "--cold-starts", "0", "--pin", str(cpu), "--json")
    result = parse_result(done.stdout, "-")
    assert result.plan.pin == result.machine.affinity == (cpu,)


@pytest.mark.parametrize("data", [b"", b"\x00\xff\xfe\x80" * 50, b"\xff\xfeg\x00"])
def test_a_file_without_texts_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "texts.txt").write_bytes(data)
    done = latency("--data", "texts.txt", "--runs", "20", "--cold-starts", "0", cwd=tmp_path)
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
    done = latency("--data", "texts.txt", "--runs", "20", "--cold-starts", "0", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    texts = parse_result(done.stdout, "-").texts
    assert (texts.count, texts.tokens.max) == (count, longest)
