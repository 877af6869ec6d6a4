"""Each option of a command, and each argument of the classifier, does what its help says."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from commands import command, json_of
from model_files import SMALL, compact, curve, edited, loaded, multi_label
from table_files import write_jsonl
from test_score import interrupt

from edge_lstm import (
    Classifier,
    DataError,
    OnnxRuntime,
    Policy,
    ReadOptions,
    RunOptions,
    score_files,
)
from edge_lstm.scoring import pool
from edge_lstm.tables import open_inputs

TEXTS = ["A wonderful film.", "Dull, and far too long!", "the film", "good " * 700]
NOTES = ["awful", "wonderful", "dull", "good"]
# A threshold for 2 %, and a score of unfamiliar texts that some of TEXTS exceed.
CURVE = curve((0.0, 1000, 120), (0.9, 400, 0), unfamiliar=[[0.05, 0.5]])


@pytest.fixture
def model() -> Classifier:
    """m.onnx, beside in.csv, whose columns mood and again hold the labels of the model."""
    with Path("in.csv").open("w", newline="") as file:
        rows = zip("1234", TEXTS, NOTES, ["pos", "neg", "pos", "pos"], ["neg", "pos", "neg", "neg"])
        csv.writer(file).writerows([["id", "text", "note", "mood", "again"], *rows])
    return loaded(edited({"abstention": CURVE}))


def scored(*options: str, file: str = "in.csv") -> list[dict[str, str]]:
    """The rows that score writes to standard output."""
    done = command("score", file, "-m", "m.onnx", *options)
    assert done.returncode == 0, done.stderr
    return [*csv.DictReader(io.StringIO(done.stdout, newline=""))]


# --- score ----------------------------------------------------------------------------------------


def test_score_writes_a_file_or_standard_output_with_or_without_a_summary(
    model: Classifier,
) -> None:
    shown = command("score", "in.csv", "-m", "m.onnx")
    assert shown.stderr.startswith("4 rows in ") and shown.stdout.startswith("id,text,note,")
    to_file = command("score", "in.csv", "-m", "m.onnx", "-o", "o.csv", "-q")
    assert (to_file.stdout, to_file.stderr) == ("", "")
    assert Path("o.csv").read_bytes().decode() == shown.stdout
    as_json = command("score", "in.csv", "-m", "m.onnx", "--output-format", "jsonl").stdout
    assert [json.loads(line)["id"] for line in as_json.splitlines()] == [*"1234"]


def test_score_reads_the_column_the_format_and_the_encoding_that_are_named(
    model: Classifier,
) -> None:
    labels = [answer.label for answer in model.predict(NOTES)]
    assert [row["label"] for row in scored("--text-column", "note")] == labels
    assert [row["label"] for row in scored("--text-column", "3")] == labels
    Path("in.csv").rename("in.log")
    assert len(scored("--input-format", "csv", file="in.log")) == 4
    Path("old.csv").write_bytes("text\nschön\n".encode("cp1252"))
    assert scored("--encoding", "cp1252", file="old.csv")[0]["text"] == "schön"


def test_score_writes_the_columns_that_are_asked_for(model: Classifier) -> None:
    assert [*scored("--only-columns", "label,id")[0]] == ["id", "label"]
    second = [answer.top(2)[1][0] for answer in model.predict(TEXTS)]
    assert [row["label_2"] for row in scored("--top", "2")] == second
    every = [float(row["probability_pos"]) for row in scored("--all-probabilities")]
    assert every == pytest.approx(model.probabilities(TEXTS)[:, 1], rel=1e-6)
    Path("m.onnx").write_bytes(edited({"labels": compact(["no", "yes"])}))
    assert {row["label"] for row in scored()} <= {"no", "yes"}


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("--abstain 0.02", {"abstain": 0.02}),
        ("--threshold 0.95", {"threshold": 0.95}),
        ("--unfamiliar 0.05", {"unfamiliar": 0.05}),
        ("--windows", {"windows": True}),
    ],
)
def test_score_and_predict_decide_as_the_classifier_does(
    model: Classifier, line: str, asked: dict[str, Any]
) -> None:
    answers = model.predict(TEXTS, **asked)
    plain = model.predict(TEXTS)
    assert [a.status for a in answers] != [a.status for a in plain]
    assert [row["status"] for row in scored(*line.split())] == [a.status for a in answers]
    assert [row["label"] or None for row in scored(*line.split())] == [a.label for a in answers]
    if "windows" in asked:
        assert answers[:3] == plain[:3], "the others keep their bits"
    else:
        said = command("predict", "-m", "m.onnx", *line.split(), *TEXTS).stdout
        assert [row.split("\t")[-1] for row in said.splitlines()] == [a.status for a in answers]
    decided = model.classify(TEXTS, Policy.of(model.model, **asked)).predictions
    assert decided == answers


def test_no_more_workers_start_than_are_asked_for(
    model: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "available_cores", lambda: 3)
    Path("long.csv").write_text("text\n" + f"{TEXTS[0]}\n" * 60_000)

    def fork() -> int:
        raise AssertionError("a process more")

    monkeypatch.setattr(os, "fork", fork)
    command("score", "long.csv", "-o", "o.csv", "-m", "m.onnx", "--workers", "1")
    assert score_files("long.csv", "o.csv", model=model, run=RunOptions(workers=1)).workers == 1
    with pytest.raises(AssertionError, match="a process more"):
        score_files("long.csv", "o.csv", model=model)


def test_score_goes_on_where_an_interrupted_run_stopped(model: Classifier) -> None:
    Path("long.csv").write_text("text\n" + "good\n" * 20_000)
    run = RunOptions(workers=1, checkpoint_seconds=0)
    interrupt(score_files, "long.csv", "o.csv", after=2, model=model, run=run)
    line = ("score", "long.csv", "-o", "o.csv", "-m", "m.onnx")
    assert "has an unfinished run; continue with --resume" in command(*line).error
    assert "16,384 of them before the interruption" in command(*line, "--resume").stderr
    assert Path("o.csv").read_text().count("\n") == 20_001


@pytest.mark.parametrize("seconds", [-0.001, float("nan")])
def test_seconds_that_cannot_be_are_refused(model: Classifier, seconds: float) -> None:
    with pytest.raises(DataError, match="checkpoint_seconds must be 0 or more, not"):
        score_files("in.csv", "o.csv", model=model, run=RunOptions(checkpoint_seconds=seconds))


@pytest.mark.parametrize("line", ["score in.csv", "predict x", "evaluate in.csv", "explain x"])
def test_an_engine_is_the_one_that_is_named(model: Classifier, line: str) -> None:
    assert "engine 'spark' is unknown; choose" in command(*line.split(), "--engine", "spark").error


# --- predict, explain, inspect --------------------------------------------------------------------


def test_predict_explain_and_inspect_take_another_model(model: Classifier) -> None:
    Path("m.onnx").write_bytes(edited({"labels": compact(["no", "yes"])}))
    assert command("predict", "-m", "m.onnx", TEXTS[0]).stdout.startswith("yes\t")
    assert json_of("explain", "-m", "m.onnx", TEXTS[0])["label"] == "yes"
    assert json_of("explain", "-m", "m.onnx", TEXTS[0], "--label", "no")["label"] == "no"
    assert command("explain", "-m", "m.onnx", TEXTS[0]).stdout.startswith("yes  ")
    assert json_of("inspect", "-m", "m.onnx")["labels"] == ["no", "yes"]
    assert command("inspect", "-m", "m.onnx").stdout.startswith("model         m.onnx: ")
    assert command("inspect", "-m", "m.onnx", "--card").stdout.startswith("---\n")
    assert "exclude each other" in command("inspect", "--card", "--json").error


# --- evaluate -------------------------------------------------------------------------------------


def evaluated(*options: str, file: str = "in.csv", name: str = "m.onnx") -> Any:
    return json_of("evaluate", file, "-m", name, *options)


def test_evaluate_reads_the_columns_the_format_and_the_encoding_that_are_named(
    model: Classifier,
) -> None:
    right = [answer.label for answer in model.predict(TEXTS)]
    moods = ["pos", "neg", "pos", "pos"]
    found = evaluated("--label-column", "mood")
    shares = [a == b for a, b in zip(right, moods)]
    assert found["models"][0]["accuracy"] == sum(shares) / 4
    of_notes = [answer.label for answer in model.predict(NOTES)]
    found = evaluated("--label-column", "mood", "--text-column", "note")
    assert found["models"][0]["accuracy"] == sum(a == b for a, b in zip(of_notes, moods)) / 4
    assert found["statuses"] == {"ok": 4}
    Path("in.csv").rename("in.log")
    assert evaluated("--label-column", "mood", "--input-format", "csv", file="in.log")["texts"] == 4
    Path("old.csv").write_bytes("text,label\nschön,pos\n".encode("cp1252"))
    assert evaluated("--encoding", "cp1252", file="old.csv")["texts"] == 1
    assert "with abstention" in command("evaluate", "old.csv", "--encoding", "cp1252").stdout


def test_evaluate_reads_several_labels_of_a_text(model: Classifier) -> None:
    Path("two.onnx").write_bytes(edited(multi_label((0.4, 0.6))))
    Path("joined.csv").write_text("text,label\ngood,pos/neg\nbad,neg\n")
    found = evaluated("--label-separator", "/", file="joined.csv", name="two.onnx")
    assert found["labels_per_text"] == 1.5
    Path("flags.csv").write_text("text,neg,pos\ngood,1,1\nbad,0,0\n")
    found = evaluated("--indicator-columns", "neg,pos", file="flags.csv", name="two.onnx")
    assert (found["labels_per_text"], found["texts"]) == (1, 2)


def test_evaluate_measures_what_is_asked_for(model: Classifier) -> None:
    asked = ("--label-column", "mood")
    thresholds = [p["threshold"] for p in evaluated(*asked)["models"][0]["operating_points"]]
    more = evaluated(*asked, "--threshold", "0.97")["models"][0]["operating_points"]
    assert [point["threshold"] for point in more] == [*thresholds, 0.97]
    shares = [
        point["abstain"]
        for point in evaluated(*asked, "--abstain", "0.04")["models"][0]["operating_points"]
    ]
    assert 0.04 in shares
    assert evaluated(*asked)["statuses"] == {"ok": 3, "truncated": 1}
    assert evaluated(*asked, "--windows")["statuses"] == {"ok": 4}
    Path("other.txt").write_text("def parse(x): return x\n")
    assert "foreign" not in evaluated(*asked)["models"][0]
    found = evaluated(*asked, "--foreign", "other.txt")["models"][0]["foreign"]
    assert set(found) == {"auroc", "recall", "found", "lost"}
    command("evaluate", "in.csv", "-m", "m.onnx", *asked, "--mistakes", "m.csv")
    assert Path("m.csv").read_text("utf-8-sig").startswith("row,label,predicted,probability,text\n")
    two = ("evaluate", "in.csv", "-m", "m.onnx", "-m", str(SMALL), *asked)
    assert "--mistakes is for one model" in command(*two, "--mistakes", "m.csv").error
    assert "a name that ends in .csv" in command(*two[:4], *asked, "--mistakes", "m.txt").error


# --- Python ---------------------------------------------------------------------------------------


def test_a_run_takes_as_many_texts_as_its_batch_size() -> None:
    sizes: list[int] = []

    class Engine(OnnxRuntime):
        def open(self, model: Any) -> Any:
            real = super().open(model)

            def run(ids: Any) -> Any:
                sizes.append(len(ids))
                return real.run(ids)

            return SimpleNamespace(run=run)

    classifier = Classifier(Classifier.load(SMALL).model, Engine())
    texts = [f"film {i}" for i in range(7)]
    ids = [[1, 2, 3]] * 7
    for ask, given in (
        (classifier.probabilities, texts),
        (classifier.predict, texts),
        (classifier.classify, texts),
        (classifier.probabilities_of, ids),
    ):
        sizes.clear()
        ask(given, batch_size=3)  # type: ignore[operator]
        assert sizes == [3, 3, 1]
        sizes.clear()
        ask(given)  # type: ignore[operator]
        assert sizes == [7]
    assert Classifier.load(engine=Engine()).engine == Engine()


def test_probabilities_in_windows_are_those_of_predict(classifier: Classifier) -> None:
    text = "Dull. " * 700
    read = classifier.probabilities([text], windows=True)[0]
    (answer,) = classifier.predict([text], windows=True)
    assert read.tolist() == pytest.approx([*answer.probabilities.values()])
    assert not np.array_equal(read, classifier.probabilities([text])[0])


def test_ids_that_are_already_there_are_not_made_again(classifier: Classifier) -> None:
    encoded = classifier.encode([TEXTS[0]])
    decisions = classifier.classify(["Dull, dull, dull."], encoded=encoded)
    assert decisions.predictions == classifier.predict([TEXTS[0]])


def test_reading_finds_the_label_the_format_and_the_fields_that_are_named() -> None:
    Path("a.log").write_text("words,mood\ngood,pos\n")
    named = ReadOptions(label_column="mood", format="csv")
    (row,) = open_inputs(["a.log"], options=named).rows()
    assert row.text == "good"
    write_jsonl("a.jsonl", [{"text": "x", "n": 1}])
    assert [
        row.text for row in open_inputs(["a.jsonl"], options=ReadOptions(fields=())).rows()
    ] == ['{"text": "x", "n": 1}']
