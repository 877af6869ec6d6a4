"""Typed questions on the device: a score is a number with an interval, wherever it is given."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cases import rows
from commands import Result, command, json_of
from model_files import compact, edited, loaded
from table_files import read_rows, write_jsonl

from edge_lstm import (
    Classifier,
    DataError,
    ModelFileError,
    RunOptions,
    ScoreOptions,
    ScorePrediction,
    score_files,
)
from edge_lstm.core.question import Question, yes_label
from edge_lstm.evaluation.one_label import ScaleMetrics

HERE = Path("stars.onnx")
GOOD = "A wonderful film, a joy."
BAD = "A boring waste of time."
ONE = RunOptions(workers=1)


def stars(labels: tuple[str, str] = ("1", "5"), **changes: str) -> bytes:
    """A score on two numbers: the texts of "pos" have the second one."""
    question = compact({"type": "score"})
    return edited({"labels": compact(labels), "question": question, **changes})


@pytest.fixture
def classifier() -> Classifier:
    return loaded(stars(), HERE.name)


def test_a_score_is_the_expected_value_with_the_central_80_percent() -> None:
    question = Question.of("score", ("10", "1", "2", "3", "4.5"))
    shares = [
        [0.1, 0.2, 0.3, 0.3, 0.1],
        [0.0, 0.05, 0.9, 0.05, 0.0],
        [0.05, 0.0, 0.0, 0.0, 0.95],
        [0.9, 0.1, 0.0, 0.0, 0.0],
    ]
    found = question.estimate(np.array(shares, np.float32))
    assert np.allclose(found.values, [3.15, 2.0, 4.775, 9.1], atol=1e-6)
    assert found.low.tolist() == [1, 2, 4.5, 1]
    assert found.high.tolist() == [4.5, 2, 4.5, 10]


@pytest.mark.parametrize(
    ("question", "labels"),
    rows(
        """
        {"type": "score"} | good bad
        {"type": "score"} | 1 1.0
        {"type": "score"} | 1 nan
        {"type": "score"} | 1 1e999
        {"type": "score", "yes": "1"} | 1 2
        {"type": "yes_no", "yes": "no"} | no yes
        {"type": "yes_no"} | no yes
        {"type": "yes_no", "yes": "b"} | a b
        {"type": "rank"} | 1 2
        {} | 1 2
        "score" | 1 2
        {"type": ["score"]} | 1 2
        """
    ),
)
def test_a_file_whose_labels_do_not_fit_its_question_is_refused(question: str, labels: str) -> None:
    with pytest.raises(ModelFileError, match="do not fit together"):
        loaded(edited({"labels": compact(labels.split()), "question": question}))


@pytest.mark.usefixtures("classifier")
def test_a_file_without_a_question_is_a_choice() -> None:
    (answer,) = loaded(edited({"labels": compact(["1", "5"])})).predict([GOOD])
    assert not isinstance(answer, ScorePrediction)
    assert "question" not in json_of("inspect", "-m", "m.onnx")
    assert json_of("inspect", "-m", "stars.onnx")["question"] == {"type": "score"}


@pytest.mark.usefixtures("classifier")
def test_predict_prints_the_number_first() -> None:
    asked = ("predict", "-m", "stars.onnx", GOOD)
    value, low, high, label, _, status = command(*asked).stdout.rstrip("\n").split("\t")
    assert 4 < float(value) < 5 and float(low) <= float(high) == 5
    assert (label, status) == ("5", "ok")
    shown = json_of(*asked)
    assert list(shown)[:4] == ["score", "low", "high", "label"]
    assert shown["score"] == pytest.approx(float(value), abs=1e-4)
    assert command(*asked, "--threshold", "1").stdout.startswith("\t\t\t\t")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_score_writes_a_number_with_its_interval(suffix: str, classifier: Classifier) -> None:
    Path("in.csv").write_text(f'text\n"{GOOD}"\n"{BAD}"\n')
    options = ScoreOptions(all_probabilities=True)
    summary = score_files("in.csv", f"out{suffix}", model=HERE, options=options)
    assert summary.labels == {"1": 1, "5": 1}
    written = read_rows(f"out{suffix}")
    names = "text score score_low score_high probability_1 probability_5 status error"
    assert list(written[0]) == names.split()
    for row, prediction in zip(written, classifier.predict([GOOD, BAD])):
        assert isinstance(prediction, ScorePrediction)
        shown = [float(row[name]) for name in ("score", "score_low", "score_high")]
        wanted = [prediction.value, prediction.low, prediction.high]
        assert shown == pytest.approx(wanted, abs=1e-6)


def test_an_abstained_row_has_no_number(classifier: Classifier) -> None:
    Path("in.txt").write_text(f"{GOOD}\nthe film\n")
    sure, unsure = classifier.predict([GOOD, "the film"])
    assert unsure.probability < sure.probability
    options = ScoreOptions(threshold=sure.probability)
    summary = score_files("in.txt", "out.jsonl", model=classifier, options=options)
    kept, empty = read_rows("out.jsonl")
    assert kept["score"] > 4 and kept["status"] == "ok"
    assert [empty[name] for name in ("score", "score_low", "score_high")] == [None] * 3
    assert (empty["status"], summary.below_threshold) == ("abstained", 1)
    answer = classifier.predict(["the film"], threshold=sure.probability)[0]
    assert isinstance(answer, ScorePrediction)
    assert [answer.label, answer.value, answer.low, answer.high] == [None] * 4


def test_the_next_best_number_is_no_answer(classifier: Classifier) -> None:
    Path("in.txt").write_text(GOOD)
    with pytest.raises(DataError, match="gives a score; leave --top out"):
        score_files("in.txt", "out.jsonl", model=classifier, options=ScoreOptions(top=2))


def evaluate(texts: list[str], labels: list[str], *options: str) -> Result:
    """stars.onnx on these texts."""
    rows = [{"text": text, "label": label} for text, label in zip(texts, labels)]
    write_jsonl("data.jsonl", rows)
    return command("evaluate", "data.jsonl", "-m", "stars.onnx", *options)


def test_a_score_a_step_away_is_within_one() -> None:
    """The step is the least distance of two levels; one side of a score or the other."""
    scale = Question.of("score", ("1", "2", "4"))
    probabilities = np.array([[0, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0.4, 0.6]], np.float32)
    truth = np.eye(3, dtype=bool)[[0, 2, 0, 0]]
    scores = ScaleMetrics.of(scale, probabilities, truth)
    assert scores.within_one == 2 / 4
    assert scores.mae == pytest.approx((1 + 2 + 0 + 2.2) / 4)


def test_evaluate_says_how_far_scores_are_from_the_truth(classifier: Classifier) -> None:
    """A level away, and the ends of the interval, count as within it."""
    texts = [GOOD, BAD, GOOD, "the film"]
    done = evaluate(texts, ["5.0", "1", "1", "5"], "--json")
    predictions = classifier.predict(texts)
    values = np.array([p.value for p in predictions])  # type: ignore[attr-defined]
    truth = np.array([5, 1, 1, 5])
    ends = np.array([(p.low, p.high) for p in predictions])  # type: ignore[attr-defined]
    within = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
    away = np.abs(values - truth)
    (shown,) = (model["score"] for model in json.loads(done.stdout)["models"])
    assert shown == {
        "mae": pytest.approx(away.mean()),
        "within_one": (away <= 4).mean(),
        "in_interval": within.mean(),
    }
    assert "mean abs. error" in command("evaluate", "data.jsonl", "-m", "stars.onnx").stdout


@pytest.mark.usefixtures("classifier")
@pytest.mark.parametrize("label", ["3", "6", "good"])
def test_a_label_beyond_the_scale_is_one_error(label: str) -> None:
    assert "rename the data's" in evaluate([GOOD, BAD], ["5", label]).error


@pytest.mark.parametrize(
    ("labels", "yes"),
    rows(
        """
        no yes | yes
        YES no | YES
        True False | True
        0 1 | 1
        yes true |
        yes Yes |
        no yes maybe |
        """
    ),
)
def test_two_labels_may_say_yes_and_no(labels: str, yes: str) -> None:
    assert yes_label(tuple(labels.split())) == (yes or None)
