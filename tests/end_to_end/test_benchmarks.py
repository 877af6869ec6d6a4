"""The benchmarks run on tiny inputs: against peers that need no tool, on a set made here, on plans alone."""

from __future__ import annotations

import csv
import json
import platform
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("edge_lstm_export")

from edge_lstm_export import make_plan
from edge_lstm_export.train.plan import Facts, Plan

from benchmarks import ablation, documents, picture, public_sets, run
from benchmarks.lineup import Contender, Conversion, own_files
from benchmarks.processes import ROOT, CannotTakePartError, Environment, Workplace
from edge_lstm.modelfile import embedded_model


class ThisPython(Environment):
    """The running interpreter in place of an environment of a tool's own."""

    @property
    def python(self) -> Path:
        return Path(sys.executable)


def this_python(name: str, cache: Path) -> Environment:
    if name == "missing":
        raise CannotTakePartError("missing: no matching distribution")
    return ThisPython(cache)


def fake(name: str, *options: str, environment: str = "fake", exact: bool = False) -> Contender:
    runner = ("tests.end_to_end.fake_peer",)
    return Contender(
        name, environment, runner, "seed.npz", options=dict.fromkeys(options, "yes"), exact=exact
    )


def test_a_run_measures_who_can_take_part_and_names_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_LSTM_DATA", "")  # the examples, also where the archive is at hand
    (weights := tmp_path / "seed.npz").write_bytes(b"weights")
    place = Workplace(tmp_path, documents.prepare(None, tmp_path), weights, ensure=this_python)
    place.models.mkdir(parents=True)
    shutil.copy(weights, place.models)
    ours, output = own_files([embedded_model()]), tmp_path / "results"
    peers = (fake(run.REFERENCE), fake("noisy", "noisy"), fake("wrong", "wrong", exact=True))
    absent = (fake("broken", "fails"), fake("absent", environment="missing"))
    settings = run.Settings(output, sample=40, rounds=2, passes=1, cold_starts=1)
    run.benchmark(place, settings, (*ours, *peers, *absent), (Conversion("nowhere", "fake"),))
    report = json.loads((output / "latest.json").read_text())
    results = {result["name"]: result for result in report["contenders"]}
    assert results.keys() == {ours[0].name, run.REFERENCE, "noisy", "wrong"}
    for result in results.values():
        assert result["latency"]["samples"] == 40 and result["latency"]["p50_ms"] > 0
        assert result["latency"]["p99_ms"] is None, "40 samples hold no 99th percentile"
        assert result["cold_start_ms"] > 0 and set(result["batches"]) == {"1", "8", "16", "32"}
    assert results[ours[0].name]["same_answer"]["8"]["differ"] == 0
    assert results["noisy"]["same_answer"]["8"]["differ"] == 40
    assert not results["wrong"]["parity"]["holds"]
    written = (output / "table.md").read_text()
    for name, reason in (
        ("absent", "missing: no matching distribution"),
        ("broken", "OSError: seed.npz cannot be read"),
        ("conversion, nowhere", "status 1: KeyError: 'nowhere'"),
    ):
        assert any(s["name"] == name and reason in s["reason"] for s in report["skipped"]), report["skipped"]
        assert f"- {name}: " in written
    drawn = picture.all_of(report)
    assert {path.name for path in output.iterdir()} == {"latest.json", "table.md", *drawn}


def test_scoring_runs_what_it_compares() -> None:
    command = [sys.executable, "-m", "benchmarks.scoring", "--short", "--rows", "20", "--rounds", "1"]
    done = subprocess.run([*command, "--only", "csv, workers: 1"], cwd=ROOT, capture_output=True, text=True)
    assert "| edge-lstm score, csv, workers: 1, onnxruntime |" in done.stdout, done.stderr


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="the system call is Linux's on x86-64"
)
def test_amx_is_withheld_from_what_a_command_starts() -> None:
    asks = (  # and says how that was refused
        "import ctypes, errno; ctypes.CDLL(None, use_errno=True).syscall(158, 0x1023, 18); "
        "assert ctypes.CDLL(None).getpid() > 0; print(errno.errorcode.get(ctypes.get_errno()))"
    )
    starts = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"
    line = [sys.executable, "-m", "benchmarks.without_amx", sys.executable, "-c", starts, asks]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    # Where the CPU has no AMX, the kernel refuses the request too, but not with EPERM.
    assert done.stdout == "EPERM\n"


def test_public_sets_keeps_a_run_and_does_not_make_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(0)
    (tmp_path / "made").mkdir()
    for name, count in (("train", 120), ("test", 30)):
        rows = [(f"{word}{word} thing {rng.randrange(9)}", word) for word in rng.choices("abc", k=count)]
        with (tmp_path / "made" / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
    results = tmp_path / "runs.jsonl"
    asked: list[Any] = ["made", "made:20", "--data", tmp_path, "--results", results]

    def lines(seeds: int) -> list[str]:
        arguments = [*asked, "--teachers", public_sets.SVM, "--seeds", seeds]
        monkeypatch.setattr(sys, "argv", ["public_sets", *map(str, arguments)])
        public_sets.main()
        return results.read_text().splitlines()

    first, second = lines(1), lines(2)
    assert (len(first), len(second)) == (2, 4) and second[:2] == first
    page = results.with_suffix(".md").read_text()
    assert "## Test splits, all rows" in page and "| made | 20 | **100.0** ± 0.0; 100.0; 0 s |" in page


FACTS = (
    Facts(1000, 6, english=0.9),
    Facts(200, 2, english=0.9, sentiment=(0.8, 0.6)),
    Facts(10_000, 77),
    Facts(5000, 2, unsegmented=True),
)


@pytest.mark.parametrize("idea", ablation.IDEAS)
def test_an_idea_turned_off_leaves_a_plan_that_can_run(idea: str) -> None:
    plans = [make_plan(facts) for facts in FACTS]
    without = [ablation.IDEAS[idea][0](plan, facts) for plan, facts in zip(plans, FACTS)]
    assert without != plans, "no data would show what it is worth"
    assert [Plan.from_dict(plan.to_dict()) for plan in without] == without
