"""The reliability diagram and the risk-coverage curve of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt

from edge_lstm import metrics
from edge_lstm.evaluation.one_label import OneLabel
from edge_lstm.evaluation.result import ModelResult
from edge_lstm.html.charts import Chart
from edge_lstm.html.page import SERIES, figure

MOST_POINTS = 300  # of a curve

# A model's results and its colour.
Shown = tuple[ModelResult, OneLabel, str]

RELIABILITY = (
    "Reliability: how often answers with a given probability are right. On the grey line, the two "
    "are equal. A larger dot stands for more texts; the line through it is the 95 % interval."
)
COVERAGE = (
    "Coverage: the share of wrong answers if only the most probable ones are given. Each dot is a "
    "threshold in a table below; the first model's dots are labelled with the share they allow."
)


def curves(results: Sequence[ModelResult]) -> Iterator[str]:
    """Yield both drawings with their captions, as HTML.

    results: with one label per text. Those beyond the number of colours are left out.
    """
    shown = [
        (result, result.one_label, colour)
        for result, colour in zip(results, SERIES)
        if result.one_label is not None
    ]
    yield '<div class="row">'
    yield figure(_reliability(shown), RELIABILITY)
    yield figure(_coverage(shown), COVERAGE)
    yield "</div>"


def _reliability(shown: Sequence[Shown]) -> str:
    chart = Chart("reliability diagram", "probability, %", "right, %", (100, 100))
    chart.line([(0, 0), (100, 100)], "muted", width=1)
    for result, one_label, colour in shown:
        for each in one_label.calibration:
            if each.count:
                x = 100 * each.confidence
                right = round(each.accuracy * each.count)
                interval = metrics.wilson_interval(right, each.count)
                chart.line([(x, 100 * interval.low), (x, 100 * interval.high)], colour, width=1)
                # Of a bin that has all texts it is nine pixels.
                radius = 9.0 * sqrt(each.count / len(result.truth))
                chart.dot(x, 100 * each.accuracy, colour, max(2.0, radius))
    return chart.svg()


def _coverage(shown: Sequence[Shown]) -> str:
    lines = []
    for result, _, _ in shown:
        line = metrics.risk_coverage(result.confidence, result.correct)
        # The risk of the first few texts is noise, and would set the axis.
        line = line[line[:, 0] >= 0.05]
        lines.append(line)
    # The axis shows at least one per cent.
    highest = max(0.01, *(float(line[:, 1].max()) for line in lines))
    chart = Chart(
        "risk-coverage curve", "answered, %", "wrong among these, %", (100, 110 * highest)
    )
    for (_, one_label, colour), line in zip(shown, lines):
        # Counted from the end, so that full coverage is a point.
        step = -(-len(line) // MOST_POINTS)
        chart.line((100 * line[::-step]).tolist(), colour)
        last = -1.0
        for point in one_label.operating_points:
            if point.wrong is None:
                continue
            x = 100 * point.answered
            y = 100 * point.wrong
            chart.dot(x, y, colour)
            # Of the coverage, between two labels.
            if colour == SERIES[0] and point.abstain and point.answered - last > 0.08:
                chart.label(x, y, f"{100 * point.abstain:g} %")
                last = point.answered
    return chart.svg()
