"""The benchmarks run on tiny inputs: on a set made here, on plans alone."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest

from tests.commands import finished

pytest.importorskip("edge_lstm_export")

from edge_lstm_export import make_plan
from edge_lstm_export.options import Plan
from edge_lstm_export.train.plan.stats import DatasetStats, TeacherTrial

from benchmarks import (
    ablation,
    decisions,
    other_texts,
    public_sets,
    sets,
    standard,
)
from benchmarks.comparison import ROOT
from tests.model_files import edited


@pytest.mark.parametrize("name", sorted({*sets.SETS, *other_texts.SENTENCES, *other_texts.NEITHER}))
def test_a_set_that_is_missing_is_named_with_its_address(tmp_path: Path, name: str) -> None:
    with pytest.raises(SystemExit, match=r"; it is from \S+\.\w+/.*; --data names the folder"):
        sets.read(tmp_path / name / "train.csv")


@pytest.mark.parametrize("rows", [None, 30])
def test_a_stream_is_answered_by_the_file_or_by_its_teacher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int | None
) -> None:
    # The file is sure of the first kind of text, and answers otherwise than the teacher.
    kinds = {"A wonderful film": "a", "the film": "c"}
    (tmp_path / "made").mkdir()
    for name, count in (("train", 120), ("test", 30)):
        made = [(f"{text} {i}", label) for i in range(count // 2) for text, label in kinds.items()]
        with (tmp_path / "made" / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *made])
    curve = {"data": "d", "texts": 1000, "points": [[0.0, 1000, 500], [0.8, 400, 0]]}
    learnt = []

    def train(log: Any, folder: Path) -> Path:
        learnt.append(len(log))
        file = folder / "m.onnx"
        file.write_bytes(edited({"labels": '["a","b"]', "abstention": json.dumps(curve)}))
        return file

    monkeypatch.setattr(decisions, "train", train)
    stream = decisions.Stream("made", rows, (40, 70))
    first, second = decisions.follow(stream, tmp_path)
    count = 120 - (rows or 0)
    assert (first.questions, first.came, second.came) == (40, 30, count - 70)
    assert 0 < first.answered == first.wrong < first.came
    assert [first.questions, second.questions] == learnt == [40, 70]
    assert (first.test, first.test_answered, first.test_wrong, first.oracle) == (30, 15, 15, 0)
    assert first.teacher_right == 1.0 and first.right == 0.0
    shown = decisions.table([first, second]).splitlines()
    sent = 40 + first.came - first.answered + second.came - second.answered
    assert f" {sent:,} " in shown[-1] and "0.800" in shown[-1]


def test_scoring_runs_what_it_compares() -> None:
    options = "--short --rows 20 --rounds 1 --formats csv --workers 1 --engines onnxruntime"
    command = [sys.executable, "-m", "benchmarks.scoring", *options.split()]
    done = finished(command, cwd=ROOT)
    assert "| csv, workers: 1, onnxruntime |" in done.stdout, done.stderr


def test_every_published_figure_stands_on_the_page_with_a_source_that_exists() -> None:
    cell = public_sets.Cell("subj", "10-fold", "default", "small", 0)
    page = standard.page({cell: public_sets.Figures(0.9, 0.9, 278, 1)}, standard.published())
    assert (
        "| Subj, subjectivity | accuracy | – | **90.0** (278 kB) | – | – | CNN on word2vec 93.4 ["
        in page
    )
    measured = {*standard.SETS, *standard.TOPICS, *standard.FEW}
    assert {figure.set for figure in standard.published()} <= measured
    assert {figure.source for figure in standard.published()} <= {*standard.SOURCES}


STATS = (
    DatasetStats(1000, 6, english=0.9),
    DatasetStats(200, 2, english=0.9, trial=TeacherTrial("sentiment", True, "tried")),
    DatasetStats(10_000, 77),
    DatasetStats(700, 77),
    DatasetStats(5000, 2, unsegmented=True),
)


@pytest.mark.parametrize("idea", ablation.IDEAS)
def test_an_idea_turned_off_leaves_a_plan_that_can_run(idea: str) -> None:
    plans = [make_plan(stats) for stats in STATS]
    without = [ablation.IDEAS[idea](plan, stats) for plan, stats in zip(plans, STATS)]
    assert without != plans, "no data would show what it is worth"
    assert [Plan.from_dict(plan.to_dict()) for plan in without] == without


def test_the_code_of_every_idea_that_is_in_is_there() -> None:
    page = (Path(ablation.__file__).parent / "decisions.md").read_text(encoding="utf-8")
    table = page.partition("## Ideas that are in")[2].partition("## Ideas that are out")[0]
    places = re.findall(r"`((?:train|network)\.[\w.]+)`", table)
    assert places
    for place in places:
        assert resolve_name(f"edge_lstm_export.{place}"), place
