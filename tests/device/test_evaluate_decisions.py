"""What evaluate says to who hands questions back: thresholds and curves."""

from __future__ import annotations

from typing import Any

import numpy as np
from model_files import SMALL

from edge_lstm.core.modelfile import ModelFile, open_model, parse_model
from edge_lstm.core.risk_coverage import SHOWN_RISKS, RiskCoverage
from edge_lstm.evaluation.report import tables
from edge_lstm.evaluation.result import Evaluation, ModelResult
from edge_lstm.html import Table

TEXTS = ["A wonderful film.", "Dull, and far too long!", "the film the film"]
MODEL = open_model()


def answers(n: int, wrong: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of n texts, float32 [n, 2], of which the least sure ones are wrong; the truth,
    bool [n, 2]."""
    highest = np.linspace(0.99, 0.51, n).astype(np.float32)
    truth = np.tile([True, False], (n, 1))
    truth[n - wrong :] = [False, True]
    return np.stack([highest, 1 - highest], axis=1), truth


def result(model: ModelFile, n: int = 2000, wrong: int = 200, **changes: Any) -> ModelResult:
    probabilities, truth = answers(n, wrong)
    values = {"probabilities": probabilities, "truth": truth, **changes}
    return ModelResult(model=model, name="m.onnx", labels=("neg", "pos"), **values)


def shown(one: ModelResult) -> Table:
    """The table of its operating points."""
    return next(table for table in tables(reported(one)) if "with abstention" in table.title)


def reported(*results: ModelResult) -> Evaluation:
    n = len(results[0].truth)
    return Evaluation(
        data="x",
        texts=("a",) * n,
        statuses={},
        results=results,
        comparisons=(),
        numbers=tuple(range(1, n + 1)),
    )


def test_thresholds_come_from_the_curve_of_the_file() -> None:
    curve = MODEL.abstention
    assert curve is not None
    points = result(MODEL).one_label.operating_points
    assert [point.abstain for point in points] == list(SHOWN_RISKS)
    assert [point.threshold for point in points] == [curve.threshold(s) for s in SHOWN_RISKS]
    confidence = answers(2000, 200)[0].max(axis=1)
    for point in points:
        assert point.answered == np.mean(confidence >= np.float32(point.threshold))
        assert not point.same_texts
    assert "from 25,000 texts (--data of the export)" in shown(result(MODEL)).note


def test_without_a_curve_they_come_from_the_evaluated_texts_and_this_is_said() -> None:
    plain = parse_model(SMALL.read_bytes(), SMALL)
    assert plain.abstention is None
    one = result(plain, same_texts=True)
    probabilities, truth = answers(2000, 200)
    own = RiskCoverage.from_predictions(probabilities, truth.argmax(axis=1), "")
    for point in one.one_label.operating_points:
        assert point.abstain is not None and point.wrong is not None
        assert point.threshold == own.threshold(point.abstain)
        assert point.wrong <= point.abstain and point.same_texts
    table = shown(one)
    assert all(row[3].endswith("*") for row in table.rows)
    assert "chosen on these texts" in table.note
