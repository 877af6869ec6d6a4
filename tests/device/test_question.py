"""Typed questions on the device: a score is a number with an interval, wherever it is given."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import rows
from hostile import run_here
from model_files import compact, edited

from edge_lstm import (
    Classifier,
    DataError,
    ModelFileError,
    RunOptions,
    ScoreOptions,
    ScorePrediction,
    score,
    score_files,
)
from edge_lstm.core.modelfile import parse_model
from edge_lstm.core.question import Question, yes_label
from edge_lstm.describe import describe
from edge_lstm.evaluation.evaluate import evaluate
from edge_lstm.evaluation.one_label import ScaleMetrics
from edge_lstm.evaluation.report import report
from edge_lstm.metrics import spearman
from edge_lstm.tables.labelled import LabelledTexts

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
    HERE.write_bytes(stars())
    return Classifier.load(HERE)


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
    data = edited({"labels": compact(labels.split()), "question": question})
    with pytest.raises(ModelFileError, match="do not fit together"):
        parse_model(data, HERE)


def test_a_file_without_a_question_is_a_choice() -> None:
    model = parse_model(edited({"labels": compact(["1", "5"])}), HERE)
    assert model.question == Question()
    assert "question" not in describe(model)
    assert describe(parse_model(stars(), HERE))["question"] == {"type": "score"}


def test_a_prediction_has_its_number(classifier: Classifier) -> None:
    good, bad = classifier.predict([GOOD, BAD])
    assert isinstance(good, ScorePrediction) and isinstance(bad, ScorePrediction)
    assert good.value == pytest.approx(1 + 4 * good.probabilities["5"], abs=1e-6)
    assert bad.value is not None and good.value is not None and bad.value < 2 < good.value
    assert (bad.low, good.high) == (1.0, 5.0)
    unsure = classifier.predict([GOOD], threshold=1.0)[0]
    assert isinstance(unsure, ScorePrediction)
    assert (unsure.value, unsure.low, unsure.high, unsure.label) == (None, None, None, None)


def test_predict_prints_the_number_first(classifier: Classifier) -> None:
    asked = ["predict", "-m", "stars.onnx", GOOD]
    value, low, high, label, _, status = run_here(asked).out.rstrip("\n").split("\t")
    assert 4 < float(value) < 5 and float(low) <= float(high) == 5
    assert (label, status) == ("5", "ok")
    shown = json.loads(run_here([*asked, "--json"]).out)
    assert list(shown)[:4] == ["score", "low", "high", "label"]
    assert shown["score"] == pytest.approx(float(value), abs=1e-4)
    assert run_here([*asked, "--threshold", "1"]).out.startswith("\t\t\t\t")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_score_writes_a_number_with_its_interval(suffix: str, classifier: Classifier) -> None:
    Path("in.csv").write_text(f'text\n"{GOOD}"\n"{BAD}"\n')
    options = ScoreOptions(all_probabilities=True)
    summary = score_files("in.csv", f"out{suffix}", model=HERE, options=options)
    assert summary.labels == {"1": 1, "5": 1}
    with Path(f"out{suffix}").open() as file:
        lines: Any = csv.DictReader(file) if suffix == ".csv" else map(json.loads, file)
        written = list(lines)
    names = "text score score_low score_high probability_1 probability_5 status error"
    assert list(written[0]) == names.split()
    for row, prediction in zip(written, classifier.predict([GOOD, BAD])):
        assert isinstance(prediction, ScorePrediction)
        shown = [float(row[name]) for name in ("score", "score_low", "score_high")]
        wanted = [prediction.value, prediction.low, prediction.high]
        assert shown == pytest.approx(wanted, abs=1e-6)


def test_an_abstained_row_has_no_number(classifier: Classifier) -> None:
    (row,) = score([GOOD], model=classifier, options=ScoreOptions(threshold=1.0))
    assert row.status == "abstained"
    assert [row["score"], row["score_low"], row["score_high"]] == [None, None, None]


def test_the_next_best_number_is_no_answer(classifier: Classifier) -> None:
    with pytest.raises(DataError, match="gives a score; leave --top out"):
        next(score([GOOD], model=classifier, options=ScoreOptions(top=2)))


def test_evaluate_says_how_far_scores_are_from_the_truth(classifier: Classifier) -> None:
    texts = [GOOD, BAD, GOOD, "the film"]
    evaluation = evaluate([classifier], LabelledTexts(texts, [("5.0",), ("1",), ("1",), ("5",)]))
    (result,) = evaluation.results
    assert result.one_label.score is not None
    values = np.array([p.value for p in classifier.predict(texts)])  # type: ignore[attr-defined]
    truth = np.array([5, 1, 1, 5])
    away = np.abs(values - truth)
    assert result.one_label.score.mae == pytest.approx(away.mean())
    assert result.one_label.score.spearman == pytest.approx(spearman(values, truth))
    assert result.one_label.score.within_one == (away <= 4).mean()
    shown = result.to_json()["score"]
    assert list(shown) == ["mae", "spearman", "within_one", "in_interval"]
    assert "Spearman" in report(evaluation)


def test_a_level_and_the_ends_of_the_interval_count_as_within_it() -> None:
    sure = np.array([[0, 1], [1, 0]], np.float32)
    truth = np.array([[False, True], [False, True]])  # the second is one level away
    found = ScaleMetrics.of(Question.of("score", ("1", "5")), sure, truth)
    assert (found.mae, found.within_one, found.in_interval) == (2.0, 1.0, 0.5)


@pytest.mark.parametrize("label", ["3", "6", "good", "nan"])
def test_a_label_beyond_the_scale_is_one_error(label: str, classifier: Classifier) -> None:
    labelled = LabelledTexts([GOOD, BAD], [("5",), (label,)])
    with pytest.raises(DataError, match=f"map them: --label-map {label}=LABEL"):
        evaluate([classifier], labelled)


def test_spearman_is_the_correlation_of_ranks() -> None:
    first = np.array([1.0, 2.0, 2.0, 9.0])
    assert spearman(first, first**3) == pytest.approx(1)
    assert spearman(first, -first) == pytest.approx(-1)
    # Ranks 1, 2.5, 2.5, 4 against 2, 1, 3, 4.
    assert spearman(first, np.array([5.0, 4.0, 6.0, 7.0])) == pytest.approx(3 / math.sqrt(4.5 * 5))
    assert spearman(first, np.ones(4)) is None
    assert spearman(np.ones(1), np.ones(1)) is None
