"""The benchmark: a whole run against peers that need no tool, and the report when some cannot take part."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import documents, environments, measure, picture, run, seed, table
from benchmarks.bars import all_bars, percent
from benchmarks.children import ROOT, Child, PeerError
from benchmarks.conditions import cpu_of
from benchmarks.entrants import Workplace
from benchmarks.environments import REQUIREMENTS, Environment, EnvironmentUnavailableError, ensure
from benchmarks.lineup import Contender, Conversion, own_files
from benchmarks.peaks import SEED_WORK, Peaks, work_of
from edge_lstm.modelfile import embedded_model, open_model

FAKE = "tests.end_to_end.fake_peer"
PEAKS = Peaks(2e11, 1e11, 1e11, 1e10, 32 * 2**10)
Report = dict[str, Any]


class ThisPython(Environment):
    """The running interpreter in place of an environment of a tool's own."""

    @property
    def python(self) -> Path:
        return Path(sys.executable)


def this_python(name: str, cache: Path) -> Environment:
    if name == "missing":
        raise EnvironmentUnavailableError("missing: no matching distribution")
    return ThisPython(name, cache)


def fake(name: str, **settings: Any) -> Contender:
    return Contender(name, "fake", FAKE, "seed.npz", **settings)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    cache = tmp_path_factory.mktemp("cache")
    weights = cache / "seed.npz"
    np.savez(weights, **seed.random_weights())  # type: ignore[arg-type]
    checkpoint = cache / "checkpoint"
    checkpoint.write_bytes(b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_LSTM_DATA", "")  # the examples, also where the archive is at hand
        place = Workplace(cache, documents.prepare(None, cache), weights, checkpoint)
    place.models.mkdir(parents=True)
    (place.models / "seed.npz").write_bytes(weights.read_bytes())
    return place


@pytest.fixture(scope="module")
def report(place: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A run of our embedded model, four fake peers of which two cannot take part, and a failing converter."""
    contenders = (
        *own_files([embedded_model()]),
        fake("steady"),
        fake("noisy", options={"noisy": "yes"}),
        fake("broken", options={"load": "fails"}),
        Contender("absent", "missing", FAKE, "seed.npz"),
        Contender("unconverted", "fake", FAKE, "nothing.onnx"),
    )
    output = tmp_path_factory.mktemp("results")
    settings = run.Settings(output, sample=40, rounds=2, passes=1, cold_starts=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_LSTM_DATA", "")
        patch.setattr(run, "_peaks", lambda: PEAKS)  # two seconds for each of five figures
        run.benchmark(
            place, settings, contenders, (Conversion(None, "benchmarks.nowhere", "weights"),), this_python
        )
    assert {path.name for path in output.iterdir()} == {
        "latest.json", "table.md", "latency.svg", "accuracy.svg", "batches.svg",
    }  # fmt: skip
    stored: Report = json.loads((output / "latest.json").read_text())
    assert (output / "table.md").read_text() == table.markdown(stored)
    for name, drawn in picture.all_of(stored).items():
        assert (output / name).read_text() == drawn
    return stored


def by_name(report: Report) -> dict[str, Any]:
    return {result["name"]: result for result in report["contenders"]}


def test_who_takes_part_is_measured_in_every_respect(report: Report) -> None:
    assert set(by_name(report)) == {"edge-lstm sentiment.int8.onnx", "steady", "noisy"}
    for result in report["contenders"]:
        assert result["latency"]["samples"] == 40 and result["latency"]["p50_ms"] > 0
        assert result["latency"]["p99_ms"] is None, "40 samples hold no 99th percentile"
        assert result["cold_start_ms"] > 0 and result["peak_mib"] > 10
        assert set(result["batches"]) == {"1", "8", "16", "32"}
        assert 0 <= result["accuracy"]["accuracy"] <= 1 and result["accuracy"]["texts"] == 46


def test_who_cannot_take_part_is_named_with_the_reason(report: Report) -> None:
    reasons = {skip["name"]: skip["reason"] for skip in report["skipped"]}
    assert set(reasons) == {"absent", "broken", "unconverted", "conversion, nowhere"}
    assert reasons["absent"] == "missing: no matching distribution"
    assert "OSError: seed.npz cannot be read" in reasons["broken"]
    assert "nothing.onnx" in reasons["unconverted"]
    assert "No module named benchmarks.nowhere" in reasons["conversion, nowhere"]
    written = table.markdown(report)
    assert all(f"- {name}: {reason}" in written for name, reason in reasons.items())


def test_a_tool_whose_answer_depends_on_the_batch_is_found_out(report: Report) -> None:
    found = by_name(report)
    for name in ("edge-lstm sentiment.int8.onnx", "steady"):
        assert all(one["differ"] == 0 for one in found[name]["same_answer"].values())
    assert found["noisy"]["same_answer"]["8"]["differ"] == 40
    assert found["noisy"]["same_answer"]["8"]["largest_difference"] == pytest.approx(0.007, rel=1e-3)
    written = table.markdown(report)
    assert written.count("yes, bit for bit") == 2 and written.count("labels flip") == 1


def test_a_second_run_takes_the_answers_from_the_cache_and_a_changed_file_does_not(
    place: Workplace, report: Report, tmp_path: Path
) -> None:
    kept = {path: path.stat().st_mtime_ns for path in (place.cache / "answers").iterdir()}
    settings = run.Settings(tmp_path, sample=40, answers_only=True)
    assert run.benchmark(place, settings, [fake("steady")], (), this_python) is None
    assert {path: path.stat().st_mtime_ns for path in (place.cache / "answers").iterdir()} == kept
    other = place.models / "other.npz"
    other.write_bytes(b"another file")
    run.benchmark(place, settings, [Contender("steady", "fake", FAKE, "other.npz")], (), this_python)
    assert len(list((place.cache / "answers").iterdir())) == len(kept) + 1


def test_the_bars_are_judged_by_the_measured_ratio(report: Report) -> None:
    fast = {"ratio": 7.0, "low": 6.5, "high": 7.5}
    ours, steady = report["contenders"][0], by_name(report)["steady"]
    peer = steady | {"name": "LiteRT int8", "times_the_first": fast}
    costs = {"the same width, two more": {"ratio": 1.05, "low": 1.01, "high": 1.09}}
    bars = {
        bar.asked: bar for bar in all_bars(report | {"contenders": [ours, peer], "cost_of_promises": costs})
    }
    assert bars["6 times as fast as LiteRT int8"].holds
    cost = bars["the promises cost under 3 % at the same width, two more"]
    assert not cost.holds and cost.measured == "+5.0 % (+1.0 to +9.0)"


def test_the_roofline_bar_is_that_of_the_file_that_comes_nearest(report: Report) -> None:
    ours = report["contenders"][0]
    one = {"texts_per_second": 100.0, "mean_tokens": 50.0}
    slow = ours | {"name": "slow", "batches": {"8": one, "16": one}}
    near = ours | {"name": "near", "batches": {"8": one, "16": one | {"texts_per_second": 200.0}}}
    bars = all_bars(report | {"contenders": [slow, near], "cost_of_promises": {}})
    [bar] = [bar for bar in bars if "roofline" in bar.asked]
    assert bar.measured.endswith("times in batches of 16 (near)")


def test_the_pictures_are_xml_and_name_every_tool(report: Report) -> None:
    for name, drawn in picture.all_of(report).items():
        words = " ".join(ET.fromstring(drawn).itertext())
        assert "steady" in words and "edge-lstm sentiment.int8" in words, name


def test_labels_of_a_crowded_picture_cover_neither_one_another_nor_a_circle() -> None:
    circles = [(100.0 + 6 * n, 200.0, 8.0) for n in range(8)]
    boxes = picture.place_labels([f"a tool named {n}" for n in range(8)], circles, (0, 0, 800, 400))
    for k, (left, lower, right, upper) in enumerate(boxes):
        assert all(right <= a or left >= c or upper <= b or lower >= d for a, b, c, d in boxes[k + 1 :])
        assert all(x + r <= left or x - r >= right or y + r <= lower or y - r >= upper for x, y, r in circles)


def test_a_fp32_peer_that_runs_another_network_is_reported(
    place: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.answers._PARITY_TEXTS", 1)
    settings = run.Settings(tmp_path, sample=16, answers_only=True)
    results: dict[str, Any] = {}
    sample = documents.cut(place.texts, tmp_path / "sample-16", 16)
    entrant = next(iter(run.entrants.find([fake("wrong", exact=True)], (), place, this_python)))
    assert isinstance(entrant, run.Entrant)
    run._answers(sample, settings, results, entrant)
    assert not results["wrong"]["parity"]["holds"]


def test_a_peer_that_dies_names_itself_and_the_log(place: Workplace, tmp_path: Path) -> None:
    contender = Contender("dead", "fake", "tests.end_to_end.no_such_module", "seed.npz")
    with pytest.raises(PeerError, match=r"dead: process ended with status 1; see .*peers\.log"):
        Child(contender, this_python("fake", tmp_path), place.models, place.texts, log=tmp_path / "peers.log")


def test_an_environment_that_pip_cannot_make_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pip = tmp_path / "environments" / "nothing" / "bin" / "pip"
    pip.parent.mkdir(parents=True)
    pip.write_text(
        "#!/bin/sh\necho Collecting nothing\necho 'ERROR: no wheel for this machine' >&2\nexit 1\n"
    )
    pip.chmod(0o755)
    monkeypatch.setitem(REQUIREMENTS, "nothing", ("nothing",))
    monkeypatch.setattr(environments.shutil, "rmtree", lambda *_, **__: None)
    monkeypatch.setattr(environments.sys, "executable", "true")  # in place of making the environment
    with pytest.raises(EnvironmentUnavailableError, match=r"^nothing: ERROR: no wheel for this machine$"):
        ensure("nothing", tmp_path)


def test_rows_are_cut_into_turns_of_whole_batches() -> None:
    assert measure.cut(range(10), 4, rounds=20) == [[0, 1, 2, 3], [5, 6, 7, 8]]
    assert measure.cut([3, 1, 2], 1, rounds=2) == [[3, 1], [2]]


def test_the_typical_time_of_a_text_forgets_an_interruption() -> None:
    quiet = np.full((3, 50), 1e6)
    disturbed = quiet.copy()
    disturbed[1] *= 100
    assert measure.ratio(disturbed, quiet) == {"ratio": 1.0, "low": 1.0, "high": 1.0}


def test_the_roofline_counts_the_seed_networks_products() -> None:
    assert work_of(open_model().network).multiply_adds > 0
    network = {"bidirectional": False, "hidden": 100, "embedding_dim": 32, "layers": 1}
    assert work_of(network) == SEED_WORK
    assert work_of(network | {"layers": 2, "bidirectional": True}).multiply_adds == 2 * (52_800 + 400 * 300)
    assert PEAKS.ns_per_token(SEED_WORK, 16) == pytest.approx(1e9 * 52_800 / 2e11)
    slow_cache = Peaks(2e11, 1e11, 1e9, 1e10, 32 * 2**10)  # then reading the weights decides, in a batch less
    assert slow_cache.ns_per_token(SEED_WORK, 1) == pytest.approx(52_800 - 32_768 + 32)
    assert slow_cache.ns_per_token(SEED_WORK, 16) == pytest.approx((52_800 - 32_768) / 16 + 32)


def test_texts_are_padded_on_the_left_and_lose_nothing(place: Workplace) -> None:
    ids, lengths = np.load(place.texts / "left.npy"), np.load(place.texts / "lengths.npy")
    assert ids.shape == (46, seed.LENGTH) and ids.max() < documents.NUM_WORDS
    assert (np.count_nonzero(ids, axis=1) == lengths).all()
    whole = lengths < seed.LENGTH  # longer texts lose their start
    assert (ids[np.arange(len(ids)), seed.LENGTH - lengths] == 1)[whole].all(), "the first id is the start"


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="the system call is Linux's on x86-64"
)
def test_amx_is_withheld_from_a_command_and_what_it_starts() -> None:
    # Where the CPU has no AMX, the kernel refuses the request too, but not with EPERM.
    asks = (
        "import ctypes, errno; ctypes.CDLL(None, use_errno=True).syscall(158, 0x1023, 18); "
        "assert ctypes.CDLL(None).getpid() > 0; print(errno.errorcode.get(ctypes.get_errno()))"
    )
    starts = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"
    withheld = [sys.executable, "-m", "benchmarks.without_amx"]
    for before, command, refused in (
        (withheld, ["-c", asks], True),
        (withheld, ["-c", starts, asks], True),
        ([], ["-c", asks], False),
    ):
        done = subprocess.run(
            [*before, sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert (done.stdout == "EPERM\n") is refused


def test_the_cpu_of_a_report_says_what_was_withheld() -> None:
    found = {"cpu": "Xeon", "cpus": 2, "features": ["avx2", "avx512_vnni"]}
    assert cpu_of(found) == "Xeon, 2 CPUs, avx2, avx512_vnni"  # reports of before
    assert cpu_of({**found, "withheld": ["amx_int8"]}).endswith("avx512_vnni (AMX withheld from every tool)")


def test_no_share_is_rounded_up() -> None:
    assert [percent(share) for share in (0.92676, 0.8888, 0.999999, 1.0)] == [
        "92.67",
        "88.88",
        "99.99",
        "100.00",
    ]
