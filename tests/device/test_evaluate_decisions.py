"""What evaluate says to who hands questions back: thresholds, costs, and agreement by week."""

from __future__ import annotations

import json
import re
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import rows
from hostile import run_here
from model_files import SMALL, edited, multi_label
from pages import Page

from edge_lstm import Classifier, DataError
from edge_lstm.answering import SHOWN_RISKS, RiskCoverage
from edge_lstm.charts import HEIGHT, WIDTH
from edge_lstm.cli import run
from edge_lstm.evaluation.evaluate import evaluate
from edge_lstm.evaluation.report import report, tables
from edge_lstm.evaluation.result import Evaluation, Result
from edge_lstm.html import Table
from edge_lstm.modelfile import ModelFile, open_model, parse_model
from edge_lstm.serving.decisions import DecisionLog
from edge_lstm.tables.labelled import LabelledTexts, LabelOptions, read_labelled

TEXTS = ["A wonderful film.", "Dull, and far too long!", "the film the film"]
MODEL = open_model()


def answers(n: int, wrong: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of n texts, float32 [n, 2], of which the least sure ones are wrong; the truth,
    bool [n, 2]."""
    highest = np.linspace(0.99, 0.51, n).astype(np.float32)
    truth = np.tile([True, False], (n, 1))
    truth[n - wrong :] = [False, True]
    return np.stack([highest, 1 - highest], axis=1), truth


def result(model: ModelFile, n: int = 2000, wrong: int = 200, **changes: Any) -> Result:
    probabilities, truth = answers(n, wrong)
    values = {"probabilities": probabilities, "truth": truth, **changes}
    return Result(model=model, name="m.onnx", labels=("neg", "pos"), **values)


def shown(one: Result, **more: Any) -> Table:
    """The table of its operating points."""
    n = len(one.truth)
    evaluation = Evaluation(
        data="x", texts=("a",) * n, statuses={}, results=(one,), comparisons=(), **more
    )
    return next(table for table in tables(evaluation) if "with abstention" in table.title)


def test_thresholds_come_from_the_curve_of_the_file() -> None:
    curve = MODEL.abstention
    assert curve is not None
    points = result(MODEL).operating_points
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
    for point in one.operating_points:
        assert point.abstain is not None and point.wrong is not None
        assert point.threshold == own.threshold(point.abstain)
        assert point.wrong <= point.abstain and point.same_texts
    table = shown(one)
    assert all(row[3].endswith("*") for row in table.rows)
    assert "chosen on these texts" in table.note


def test_a_share_that_the_texts_are_too_few_to_show_is_named() -> None:
    plain = parse_model(SMALL.read_bytes(), SMALL)
    table = shown(result(plain, 100, 0, same_texts=True))
    assert [row[0] for row in table.rows] == [0.05, 0.1]
    assert "from 100 texts (the evaluated texts), too few for 1%, 2%." in table.note


def test_the_threshold_that_is_asked_for_has_a_row() -> None:
    shares = [point.abstain for point in result(MODEL, abstain=0.03).operating_points]
    assert shares == [0.01, 0.02, 0.03, 0.05, 0.1]
    last = result(MODEL, threshold=0.7).operating_points[-1]
    assert (last.abstain, last.threshold) == (None, 0.7)


@pytest.fixture(autouse=True)
def labelled_texts(folder: Path) -> None:
    """t.csv, labelled texts with times of two weeks."""
    Path("t.csv").write_text(
        "text,label,time\n"
        f"{TEXTS[0]},pos,2026-03-01T23:59:59Z\n"  # a Sunday
        f'"{TEXTS[1]}",neg,2026-03-02T00:30:00+02:00\n'  # Sunday in UTC
        f'"{TEXTS[1]}",pos,2026-03-02\n'
        f"{TEXTS[2]},neg,1772755200\n"  # Friday, 6 March
    )


def as_json(*arguments: str) -> dict[str, Any]:
    return json.loads(run_here(["evaluate", *arguments, "--json"]).out)


@pytest.mark.parametrize("price", [0.5, 0])
def test_a_month_costs_the_price_of_what_is_handed_back(price: float) -> None:
    costs = ["--price", str(price), "--per-month", "1000"]
    (model,) = as_json("t.csv", *costs)["models"]
    assert len(model["operating_points"]) == len(SHOWN_RISKS)
    for point in model["operating_points"]:
        assert point["month"] == pytest.approx(1000 * price * (1 - point["answered"]))
    out = " ".join(run_here(["evaluate", "t.csv", *costs]).out.split())
    assert "cost per month" in out and f"all 1,000 questions cost {1000 * price:.2f}" in out


def test_a_price_that_no_threshold_can_have_says_how_few_texts_there_are() -> None:
    priced = ["evaluate", str(SMALL), "t.csv", "--price", "1", "--per-month", "5"]
    out = " ".join(run_here(priced).out.split())
    assert "from 4 texts (the evaluated texts), too few for 1%, 2%, 5%, 10%." in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    rows(
        """
        --price 1 t.csv | go together
        --per-month 5 t.csv | go together
        --price nan --per-month 5 t.csv | 0 or more
        --price inf --per-month 5 t.csv | 0 or more
        --price -1 --per-month 5 t.csv | 0 or more
        --price 1 --per-month 5 several.onnx t.csv | several labels per text; leave --price
        t.csv --time-column when | no column 'when'
        t.csv --time-column label | t.csv row 1: pos in 'label' is not a time; give a date
        lines.txt --time-column time | no column 'time'
        """
    ),
)
def test_what_cannot_be_priced_or_dated_is_one_line(arguments: str, said: str) -> None:
    Path("several.onnx").write_bytes(edited(multi_label((0.5, 0.5))))
    Path("lines.txt").write_text("__label__pos a film\n")
    with pytest.raises(DataError, match=said):
        run(["evaluate", *arguments.split()])


def test_agreement_is_shown_by_week_in_utc() -> None:
    (model,) = as_json("t.csv", "--time-column", "time")["models"]
    right = [p.label == t for p, t in zip(Classifier.load().predict(TEXTS[1:]), ["pos", "neg"])]
    first, second = model["weeks"]
    assert (first["monday"], first["texts"], first["agreement"]) == ("2026-02-23", 2, 1.0)
    assert (second["monday"], second["texts"]) == ("2026-03-02", 2)
    assert second["agreement"] == np.mean(right)
    asked = ["evaluate", "t.csv", "--time-column", "3", "--threshold", "0.9"]
    assert "\nweek of " in run_here(asked).out


def test_the_log_of_serve_has_such_a_column() -> None:
    Path("team.onnx").write_bytes(MODEL.data)
    log = DecisionLog(Path("decisions.jsonl"))
    log.write(TEXTS[0], {"team": ("pos", 0.9)}, model="large", answered={})
    log.close()
    values = as_json("-m", "team=team.onnx", "decisions.jsonl", "--time-column", "time")
    (week,) = values["team"]["models"][0]["weeks"]
    assert (date.today() - date.fromisoformat(week["monday"])).days in range(-1, 9)  # noqa: DTZ011
    assert week["agreement"] == 1.0


@pytest.mark.parametrize("value", ["", "1772755200000", "yesterday", "-5", "2026-13-01", "nan"])
def test_a_value_that_is_no_time_is_an_error_with_its_row(value: str) -> None:
    Path("x.csv").write_text(f"text,label,time\na,pos,2026-03-01\nb,neg,{value}\n")
    with pytest.raises(DataError, match=r"x\.csv row 2: .* is not a time"):
        read_labelled("x.csv", options=LabelOptions(time_column="time"))


@pytest.mark.needs("pyarrow")
def test_times_of_parquet_have_types() -> None:
    import pyarrow as pa
    from pyarrow import parquet

    day = datetime(2026, 3, 1, 23, 30, tzinfo=timezone.utc)
    table = pa.table({"text": ["a", "b"], "label": ["x", "y"], "time": [day, day]})
    parquet.write_table(table, "x.parquet")
    read = read_labelled("x.parquet", options=LabelOptions(time_column="time"))
    assert read.dates == [date(2026, 3, 1)] * 2


def test_texts_without_a_column_of_times_have_no_weeks() -> None:
    evaluation = evaluate(
        [Classifier.from_model(MODEL)], LabelledTexts(list(TEXTS), [("pos",)] * 3)
    )
    assert evaluation.dates is None
    assert not any("by week" in table.title for table in tables(evaluation))


@pytest.mark.parametrize(("n", "share"), [(1, 0), (1, 1), (40, 0.5), (2000, 0.5)])
def test_the_report_draws_reliability_and_coverage_on_the_paper(n: int, share: float) -> None:
    one = result(MODEL, n, int(share * n))
    page = report(
        Evaluation(data="x", texts=("a",) * n, statuses={}, results=(one, one), comparisons=())
    )
    reliability, coverage = re.findall(r"<svg .*?</svg>", page, re.DOTALL)
    assert 'aria-label="reliability diagram"' in reliability
    assert 'aria-label="risk-coverage curve"' in coverage
    for drawing in (reliability, coverage):
        points = " ".join(re.findall(r'points="([^"]*)"', drawing)).replace(",", " ").split()
        across = [*re.findall(r'\bc?x[12]?="([^"]*)"', drawing), *points[::2]]
        down = [*re.findall(r'\bc?y[12]?="([^"]*)"', drawing), *points[1::2]]
        assert across and all(0 <= float(x) <= WIDTH for x in across)
        assert down and all(0 <= float(y) <= HEIGHT for y in down)
    # Every bin of the diagram, for each of the two models; a point of the curve for full coverage.
    assert reliability.count("<circle") == 2 * sum(bool(each.count) for each in one.bins)
    assert coverage.count('stroke-width="2.0"') == 2
    assert Page(page).loads_and_runs_nothing()


def test_a_model_of_several_labels_has_no_such_curves() -> None:
    several = parse_model(edited(multi_label((0.5, 0.5))), Path("several.onnx"))
    texts = LabelledTexts(list(TEXTS), [("pos",), (), ("neg", "pos")], multi_label=True)
    assert "<svg" not in report(evaluate([Classifier.from_model(several)], texts))
