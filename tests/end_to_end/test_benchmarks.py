"""The benchmarks: a whole run side by side against peers that need no tool, its report and pictures; the
public sets' draws, results and page; the ablation's plans."""

from __future__ import annotations

import csv
import itertools
import json
import platform
import random
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("edge_lstm_export")

from edge_lstm_export import make_plan
from edge_lstm_export.train.plan import Facts, Plan

from benchmarks import (
    ablation,
    accuracy,
    documents,
    measure,
    picture,
    public_sets,
    run,
    table,
)
from benchmarks.lineup import Contender, Conversion, own_files
from benchmarks.processes import (
    ROOT,
    CannotTakePartError,
    Child,
    Entrant,
    Environment,
    Workplace,
)
from benchmarks.public_sets import SVM, Cell, Figures
from benchmarks.sets import ALL, draw
from benchmarks.table import percent
from edge_lstm.modelfile import embedded_model

FAKE = ("tests.end_to_end.fake_peer",)
Report = dict[str, Any]


class ThisPython(Environment):
    """The running interpreter in place of an environment of a tool's own."""

    @property
    def python(self) -> Path:
        return Path(sys.executable)


def this_python(name: str, cache: Path) -> Environment:
    if name == "missing":
        raise CannotTakePartError("missing: no matching distribution")
    return ThisPython(cache)


def fake(name: str, *options: str, **settings: Any) -> Contender:
    return Contender(name, "fake", FAKE, "seed.npz", options=dict.fromkeys(options, "yes"), **settings)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    cache = tmp_path_factory.mktemp("cache")
    weights = cache / "seed.npz"
    weights.write_bytes(b"weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_LSTM_DATA", "")  # the examples, also where the archive is at hand
        place = Workplace(cache, documents.prepare(None, cache), weights, ensure=this_python)
    place.models.mkdir(parents=True)
    (place.models / "seed.npz").write_bytes(weights.read_bytes())
    return place


@pytest.fixture(scope="module")
def report(place: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A run of our embedded model, six fake peers, three of which cannot, and a failing converter."""
    contenders = (
        *own_files([embedded_model()]),
        fake(run.REFERENCE),
        fake("noisy", "noisy"),
        fake("wrong", "wrong", exact=True),
        fake("broken", "fails"),
        Contender("absent", "missing", FAKE, "seed.npz"),
        Contender("unconverted", "fake", FAKE, "nothing.onnx"),
    )
    output = tmp_path_factory.mktemp("results")
    settings = run.Settings(output, sample=40, rounds=2, passes=1, cold_starts=1)
    run.benchmark(place, settings, contenders, (Conversion("nowhere", "fake"),))
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
    assert set(by_name(report)) == {"edge-lstm sentiment.int8.onnx", run.REFERENCE, "noisy", "wrong"}
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
    assert "status 1: KeyError: 'nowhere'" in reasons["conversion, nowhere"]
    written = table.markdown(report)
    assert all(f"- {name}: {reason}" in written for name, reason in reasons.items())


def test_a_tool_whose_answer_depends_on_the_batch_is_found_out(report: Report) -> None:
    results = by_name(report)
    for name in ("edge-lstm sentiment.int8.onnx", run.REFERENCE):
        assert all(compared["differ"] == 0 for compared in results[name]["same_answer"].values())
    assert results["noisy"]["same_answer"]["8"]["differ"] == 40
    assert results["noisy"]["same_answer"]["8"]["largest_difference"] == pytest.approx(0.007, rel=1e-3)
    written = table.markdown(report)
    assert written.count("yes, bit for bit") == 3 and written.count("labels flip") == 1


def test_a_fp32_tool_that_runs_another_network_is_reported(report: Report) -> None:
    assert not by_name(report)["wrong"]["parity"]["holds"]
    assert "**Not the seed network's answers**: wrong." in table.markdown(report)


def test_a_peer_that_dies_names_itself_and_the_log(place: Workplace) -> None:
    contender = Contender("dead", "fake", ("tests.end_to_end.no_such_module",), "seed.npz")
    with pytest.raises(CannotTakePartError, match=r"dead: process ended with status 1; see .*peers\.log"):
        Child(Entrant(contender, place), place.texts)


def test_the_typical_time_of_a_text_forgets_an_interruption() -> None:
    quiet = np.full((3, 50), 1e6)
    disturbed = quiet.copy()
    disturbed[1] *= 100
    assert measure.ratio(disturbed, quiet) == {"ratio": 1.0, "low": 1.0, "high": 1.0}


def test_texts_are_padded_on_the_left_and_lose_nothing(place: Workplace) -> None:
    ids, lengths = np.load(place.texts / "left.npy"), np.load(place.texts / "lengths.npy")
    assert ids.shape == (46, documents.LENGTH) and ids.max() < documents.NUM_WORDS
    assert (np.count_nonzero(ids, axis=1) == lengths).all()
    whole = lengths < documents.LENGTH  # longer texts lose their start
    first = ids[np.arange(len(ids)), documents.LENGTH - lengths]
    assert (first == 1)[whole].all(), "the first id is the start"


# Asks for AMX, and says how that was refused; and starts a process that does.
ASKS = (
    "import ctypes, errno; ctypes.CDLL(None, use_errno=True).syscall(158, 0x1023, 18); "
    "assert ctypes.CDLL(None).getpid() > 0; print(errno.errorcode.get(ctypes.get_errno()))"
)
STARTS = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="the system call is Linux's on x86-64"
)
@pytest.mark.parametrize("before", [[], ["-c", STARTS]], ids=["itself", "what it starts"])
def test_amx_is_withheld_from_a_command_and_what_it_starts(before: list[str]) -> None:
    # Where the CPU has no AMX, the kernel refuses the request too, but not with EPERM.
    line = [sys.executable, *before, *(["-c"] if not before else []), ASKS]
    for withheld, refused in (([sys.executable, "-m", "benchmarks.without_amx"], True), ([], False)):
        done = subprocess.run([*withheld, *line], cwd=ROOT, capture_output=True, text=True, check=True)
        assert (done.stdout == "EPERM\n") is refused


def test_no_share_is_rounded_up() -> None:
    shares = (0.92676, 0.8888, 0.999999, 1.0)
    assert [percent(share) for share in shares] == ["92.67", "88.88", "99.99", "100.00"]


# --- The presets --------------------------------------------------------------------------------------------


def preset(name: str, *shares: float) -> dict[str, Any]:
    files = [
        {
            "sha256": "0" * 64,
            "bytes": 300_000,
            "accuracy": share,
            "interval": [share - 0.004, share + 0.004],
            "log_loss": 0.25,
            "calibration_error": 0.01,
            "other_texts": {"SST-2": share - 0.1, "edited": 0.6},
            "training": {"seed": seed},
        }
        for seed, share in enumerate(shares)
    ]
    times = {"words": 30.0, "alone": 120.0, "batches": 60.0, "batch_size": 16}
    return {"name": name, "files": files, **times}


def test_the_presets_page_has_means_and_ends_of_the_seeds(report: Report) -> None:
    rows = [preset("small", 0.91, 0.92), preset("seed", 0.8917)]
    presets = {"conditions": report["conditions"]["before"], "texts": 25_000, "presets": rows}
    page = accuracy.page(presets)
    assert "| small | 300 kB | **91.50 %** (91.00 to 92.00) | 2 | 90.60 to 91.40 | 0.2500 | 1.00% |" in page
    assert "| seed | 300 kB | **89.17 %** | 1 |" in page
    assert "| preset | SST-2 | edited |" in page and "| small | 81.5 | 60.0 |" in page
    words = " ".join(ET.fromstring(picture.presets(presets)).itertext())
    assert "small: 91.50 %, 300 kB, 120 µs" in words


# --- Public sets --------------------------------------------------------------------------------------------

TRAIN = [f"{label} word {i}" for i, label in enumerate("aabbbbbbcc" * 6)], list("aabbbbbbcc" * 6)


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """A folder with a set whose words tell its labels."""
    rng = random.Random(0)
    (tmp_path / "made").mkdir()
    for name, count in (("train", 120), ("test", 30)):
        rows = [(f"{word}{word} thing {rng.randrange(9)}", word) for word in rng.choices("abc", k=count)]
        with (tmp_path / "made" / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
    return tmp_path


def test_a_draw_has_every_label_and_is_decided_by_its_seed() -> None:
    assert draw(TRAIN, ALL, 0) is TRAIN
    texts, labels = draw(TRAIN, "5", 0)
    assert len(set(texts)) == 5 and set(labels) == {"a", "b", "c"}
    assert (texts, labels) == draw(TRAIN, "5", 0) != draw(TRAIN, "5", 1)
    assert draw(TRAIN, "1", 0)[1] == draw(TRAIN, "1/label", 0)[1], "one of each label at least"
    assert Counter(draw(TRAIN, "4/label", 0)[1]) == {"a": 4, "b": 4, "c": 4}


def public(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["public_sets", *map(str, arguments)])
    public_sets.main()


def test_a_run_is_kept_and_not_made_again(sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = sets / "runs.jsonl"
    asked = ["made", "made:20", "--data", sets, "--teachers", SVM, "--results", results]
    public(monkeypatch, *asked, "--seeds", 1)
    first = results.read_text()
    assert len(first.splitlines()) == 2
    public(monkeypatch, *asked, "--seeds", 2)
    assert results.read_text().startswith(first) and len(results.read_text().splitlines()) == 4
    page = results.with_suffix(".md").read_text()
    assert "## Test splits, all rows" in page and "| made | 20 | **100.0** ± 0.0; 100.0; 0 s |" in page


def test_the_page_gives_means_and_marks_what_has_one_seed() -> None:
    runs = {
        Cell(name, ALL, teacher, False, "small", 0.0, seed): Figures(0.9 + seed / 50, 0.8, 270, 20)
        for name, teacher, seed in itertools.product(("one", "two"), ("none", "default"), (0, 1))
        if (name, teacher, seed) != ("two", "none", 1)
    }
    row_of_means = public_sets.page(runs).splitlines()[-1]
    assert "| one | all | **91.0** ± 1.4; 80.0; 270 kB, 20 s |" in public_sets.page(runs)
    assert "| **90.0**†; 80.0; 270 kB, 20 s |" in public_sets.page(runs)
    assert row_of_means.startswith("| **mean** |  | **90.5**; 80.0; 270 kB, 20 s | **91.0**;")


# --- The ablation -------------------------------------------------------------------------------------------

FACTS = (
    Facts(1000, 6, english=0.9),
    Facts(200, 2, english=0.9, sentiment=(0.8, 0.6)),
    Facts(10_000, 77),
    Facts(5000, 2, unsegmented=True),
)


@pytest.mark.parametrize("idea", ablation.IDEAS)
def test_an_idea_turned_off_leaves_a_plan_that_can_run(idea: str) -> None:
    off = ablation.IDEAS[idea][0]
    plans = [make_plan(facts) for facts in FACTS]
    without = [off(plan, facts) for plan, facts in zip(plans, FACTS)]
    assert without != plans, "no data would show what it is worth"
    for plan in without:
        assert Plan.from_dict(plan.to_dict()) == plan
        assert Plan.from_dict(plan.to_dict()) == plan


def test_the_table_has_the_gain_of_each_idea() -> None:
    runs: ablation.Runs = {("sst2", "200", seed, ""): (0.8 + seed / 10, 9.0) for seed in (0, 1)}
    runs |= {("sst2", "200", seed, "n-grams"): (0.77 + seed / 10, 5.0) for seed in (0, 1)}
    (row,) = (line for line in ablation.table(runs).splitlines() if line.startswith("| n-grams |"))
    assert row.startswith("| n-grams | +3.0 ± 0.0 | – |") and "| +4.0 ± 0.0 |" in row
