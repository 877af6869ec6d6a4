"""None of these: which texts get no answer so that few answers are wrong, and how every command
says so."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import command, json_of
from hypothesis import given
from hypothesis import strategies as st
from model_files import SMALL, curve, edited, loaded
from table_files import read_rows, write_jsonl

from edge_lstm import (
    Classifier,
    DamagedModelFileError,
    DataError,
    Policy,
    ScoreOptions,
    score_files,
)
from edge_lstm.core.decide import decide
from edge_lstm.core.risk_coverage import (
    MOST_POINTS,
    RiskCoverage,
    binomial_cdf,
    is_abstained,
)
from edge_lstm.core.text import texts_digest

TEXTS = [
    "A wonderful film.",
    "Dull, and far too long!",
    "the film the film",
    "",
    "not bad, not good",
]
LABELS = ["pos", "pos", "neg", "neg", "neg"]
# From 0.9 on none of 400 answers is wrong: at most 0.6 % with 90 % confidence. Below, a fifth is.
POINTS = ((0.0, 1000, 120), (0.9, 400, 0))


def answers(highest: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of two labels with these highest ones, of the first label, and the true
    labels."""
    return np.stack([highest, 1 - highest], axis=1).astype(np.float32), (~right).astype(np.int64)


def with_curve(*points: tuple[float, int, int], **more: Any) -> Classifier:
    return loaded(edited({"abstention": curve(*points or POINTS, **more)}))


def threshold(classifier: Classifier, **asked: float) -> float:
    return Policy.of(classifier.model, **asked).threshold


def operating_points(texts: list[str], labels: list[str], *options: str) -> list[dict[str, Any]]:
    """What evaluate says of m.onnx on these texts."""
    rows = [{"text": text, "label": label} for text, label in zip(texts, labels)]
    write_jsonl("data.jsonl", rows)
    (model,) = json_of("evaluate", "data.jsonl", "-m", "m.onnx", *options)["models"]
    return list(model["operating_points"])


@given(st.lists(st.tuples(st.floats(0.5, 1, width=32), st.booleans()), min_size=1, max_size=80))
def test_a_point_counts_the_texts_that_its_threshold_answers(
    rows: list[tuple[float, bool]],
) -> None:
    likely, rights = map(np.array, zip(*rows))
    probabilities, truth = answers(likely.astype(np.float32), rights)
    curve = RiskCoverage.from_predictions(probabilities, truth, "some texts")
    assert curve.points[0].answered == curve.texts == len(rows)
    assert len(curve.points) <= MOST_POINTS + 1
    for point in curve.points:
        answered = ~is_abstained(probabilities.max(axis=1), point.threshold)
        assert (point.answered, point.wrong) == (answered.sum(), (answered & ~rights).sum())
    assert RiskCoverage.from_dict(json.loads(json.dumps(curve.to_dict()))) == curve


def test_the_threshold_is_the_lowest_that_the_texts_show_to_be_enough() -> None:
    classifier = with_curve((0.0, 1000, 200), (0.6, 900, 30), (0.7, 800, 9), (0.8, 500, 1))
    # 9 of 800 are 1.1 %, with 90 % confidence at most 1.8 %; 30 of 900 are 3.3 %, and at most 4.2
    # %.
    wanted = {0.25: 0.0, 0.043: 0.6, 0.041: 0.7, 0.018: 0.7, 0.017: 0.8, 0.008: 0.8}
    assert {share: threshold(classifier, abstain=share) for share in wanted} == wanted
    with pytest.raises(DataError, match=r"only for 0.0078 or more; ask for that"):
        threshold(classifier, abstain=0.007)


@given(st.integers(1, 60), st.integers(0, 60), st.sampled_from([0.001, 0.05, 0.5, 0.9]))
def test_the_binomial_distribution_is_the_sum_of_its_terms(n: int, most: int, p: float) -> None:
    most = min(most, n)
    terms = (math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(most + 1))
    assert binomial_cdf(most, n, p) == pytest.approx(math.fsum(terms), rel=1e-9)


def test_options_of_abstention_that_cannot_be_are_one_line() -> None:
    classifier = with_curve()
    for asked, says in (
        ({"abstain": 0.02, "threshold": 0.5}, "--abstain and --threshold exclude each other"),
        ({"abstain": 0.02, "threshold": 0.0}, "--abstain and --threshold exclude each other"),
        ({"abstain": 0.0}, "--abstain must be above 0 and below 1, not 0; for 2 %, give 0.02"),
        ({"abstain": 1.0}, "--abstain must be above 0 and below 1, not 1"),
        ({"threshold": 1.001}, "the threshold must be from 0 to 1, not 1.001"),
        ({"threshold": -0.001}, "the threshold must be from 0 to 1, not -0.001"),
    ):
        with pytest.raises(DataError, match=says):
            classifier.predict(TEXTS, **asked)
    assert {p.status for p in classifier.predict(TEXTS, threshold=1.0)} == {"abstained"}


def test_the_promise_is_kept_on_texts_that_did_not_choose_the_threshold() -> None:
    rng = np.random.default_rng(0)
    true_shares = []
    for _ in range(200):
        highest = 1 - 0.5 * rng.random(1000) ** 1.5
        curve = RiskCoverage.from_predictions(*answers(highest, rng.random(1000) < highest), "")
        point = curve.operating_point(0.05)
        if point is None:
            continue
        # An answer of probability p is right with probability p; p has this distribution.
        new = 1 - 0.5 * rng.random(20_000) ** 1.5
        true_shares.append(float((1 - new[new >= point.threshold]).mean()))
    assert len(true_shares) >= 190
    assert np.mean(np.array(true_shares) > 0.05) <= 0.15
    assert np.mean(np.array(true_shares) > 1.25 * 0.05) <= 0.02
    assert np.mean(true_shares) > 0.03  # and not by answering next to nothing


@pytest.mark.parametrize(
    "changes",
    """
    {"points": []}
    {"points": {"0": 1}}
    {"points": [[0.0, 1000]]}
    {"points": [[0.0, 999, 120]]}
    {"points": [[0.5, 1000, 120], [0.5, 400, 0]]}
    {"points": [[0.0, 1000, 120], [0.9, 400, 121]]}
    {"points": [[0.0, 1000, 120], [0.9, 400.0, 0]]}
    {"points": [[0.0, 1000, 120], [1.1, 400, 0]]}
    {"texts": "1000"}
    {"data": null}
    {"default": 1.0}
    {"default": true}
    {"sha256": 5}
    """.strip().splitlines(),
)
def test_a_curve_that_does_not_fit_together_is_a_damaged_file(changes: str) -> None:
    with pytest.raises(DamagedModelFileError, match=r"do not fit together|digest"):
        with_curve(**json.loads(changes))


def test_a_text_below_the_threshold_gets_no_label_and_says_so() -> None:
    classifier = with_curve()
    sure = classifier.predict(TEXTS)
    assert sure == Classifier.load(SMALL).predict(TEXTS)  # the curve changes nothing by itself
    asked = classifier.predict(TEXTS, abstain=0.02)
    assert {p.label is None for p in asked} == {True, False}
    for before, after in zip(sure, asked):
        if before.probability < 0.9:
            assert (after.label, after.status) == (None, "abstained")
            assert after.top(1) == [(before.label, before.probability)]
        else:
            assert after == before
    by_default = with_curve(default=0.02)
    assert by_default.predict(TEXTS) == asked == classifier.predict(TEXTS, threshold=0.9)
    assert by_default.predict(TEXTS, threshold=0) == sure
    assert (threshold(by_default), threshold(by_default, abstain=0.2)) == (0.9, 0.0)


def test_score_leaves_the_label_of_an_unsure_row_out_and_keeps_the_next_ones() -> None:
    classifier = with_curve()
    write_jsonl("in.jsonl", [*TEXTS, None])
    options = ScoreOptions(abstain=0.02, top=2)
    summary = score_files("in.jsonl", "out.jsonl", model=classifier, options=options)
    answers = classifier.predict(TEXTS, abstain=0.02)
    expected = [[p.label, p.status, p.top(2)[1][0]] for p in answers] + [[None, "error", None]]
    names = ("label", "status", "label_2")
    assert [[row[name] for name in names] for row in read_rows("out.jsonl")] == expected
    assert summary.below_threshold == sum(p.label is None for p in answers) > 0
    assert (summary.statuses["abstained"], summary.errors) == (summary.below_threshold, 1)


def test_evaluate_reports_what_is_answered_and_what_of_it_is_wrong() -> None:
    classifier = with_curve()
    probabilities = classifier.probabilities(TEXTS)
    answered = probabilities.max(axis=1) >= np.float32(0.9)
    wrong = answered & (np.array(classifier.labels)[probabilities.argmax(axis=1)] != LABELS)
    points = operating_points(TEXTS, LABELS, "--abstain", "0.02")
    (said,) = (point for point in points if point["abstain"] == 0.02)
    assert (said["threshold"], said["answered"]) == (0.9, answered.mean())
    assert said["wrong"] == wrong.sum() / answered.sum() > 0
    assert said["wrong_interval"]["low"] < said["wrong"] < said["wrong_interval"]["high"]
    shares = [point["abstain"] for point in operating_points(TEXTS, LABELS, "--abstain", "0.03")]
    assert shares == [0.01, 0.02, 0.03, 0.05, 0.1]
    last = operating_points(TEXTS, LABELS, "--threshold", "1")[-1]
    assert (last["answered"], last["wrong"]) == (0, None)


@pytest.mark.parametrize(
    ("texts", "same"),
    [
        # The order of the texts and their capitals make no other texts of them.
        ([text.upper() for text in reversed(TEXTS)], True),
        ([*TEXTS[:4], "Another text."], False),
    ],
)
def test_a_threshold_that_is_measured_where_it_was_found_is_marked(
    texts: list[str], same: bool
) -> None:
    with_curve(sha256=texts_digest(TEXTS))
    points = operating_points(texts, LABELS, "--abstain", "0.02")
    assert points and all(point["same_texts"] is same for point in points)
    shown = command("evaluate", "data.jsonl", "-m", "m.onnx", "--abstain", "0.02").stdout
    assert ("was chosen on these texts" in " ".join(shown.split())) is ("%*" in shown) is same


def test_the_commands_honour_the_curve() -> None:
    predictions = with_curve(default=0.02).predict(TEXTS)
    assert command("predict", "-m", "m.onnx", *TEXTS).stdout == "".join(
        f"{p.label or ''}\t{p.probability:.6f}\t{p.status}\n" for p in predictions
    )
    assert json_of("predict", "-m", "m.onnx", "--top", "1", TEXTS[2])["label"] is None
    shown = json_of("inspect", "-m", "m.onnx")["abstention"]
    assert (shown["default"], shown["texts"]) == (0.02, 1000)
    assert shown["wrong"][0] == {"at most": 0.01, "threshold": 0.9, "answered": 0.4}
    Path("data.csv").write_text('text,label\n"the film",pos\n')
    assert "with abstention" in command("evaluate", "data.csv", "-m", "m.onnx").stdout


def test_equal_labels_stay_in_order_and_an_unsure_text_is_abstained_whatever_its_status() -> None:
    """As test_native_score.py has it of the native engine."""
    rows = np.array([[0.5, 0.5], [0.25, 0.75], [0.7, 0.3], [np.nan] * 2, [0.6, 0.4]], np.float32)
    read = bytes([0, 1, 3, 4, 6])
    for top in (1, 2):
        policy = Policy(top=top, threshold=0.7)
        decisions = decide(with_curve().model, policy, rows.tobytes(), read)
        found = [decisions.answers, decisions.statuses, *(best for best, _ in decisions.ranks)]
        assert [np.frombuffer(each, np.int32).tolist() for each in found] == [
            [2, 1, 0, 2, 2],
            [5, 1, 3, 4, 5],
            [0, 1, 0, 2, 0],
            [1, 0, 1, 2, 1],
        ][: 2 + top]
