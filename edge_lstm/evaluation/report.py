"""An evaluation as tables and notes, for the terminal; its mistakes as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_lstm.core.risk_coverage import SHOWN_RISKS, USUAL_SHARE
from edge_lstm.evaluation.one_label import OneLabel
from edge_lstm.evaluation.result import Comparison, Evaluation, ModelResult
from edge_lstm.html import Cell, Row, Table
from edge_lstm.printable import LABEL_JOINT, counted
from edge_lstm.system.atomic import write_atomically
from edge_lstm.tables.csv import csv_text

SIGNIFICANT = 0.05  # a difference is significant if McNemar's p value is below
MATRIX_WIDTH = 60  # columns of text that the labels of a confusion matrix may take


def texts_line(evaluation: Evaluation) -> str:
    """Return how many texts were evaluated: ``60 texts of test.csv (1 empty, 59 ok)``."""
    counts = sorted(evaluation.statuses.items())
    statuses = ", ".join(f"{count:,} {status}" for status, count in counts)
    multi_label = (
        f", {evaluation.labels_per_text:.2f} labels per text" if evaluation.multi_label else ""
    )
    missing = counted(evaluation.left_out, "row")
    left_out = f"; {missing} without a label left out" if evaluation.left_out else ""
    texts = counted(len(evaluation.texts), "text")
    return f"{texts} of {evaluation.data}{multi_label} ({statuses}){left_out}"


def tables(evaluation: Evaluation) -> Iterator[Table]:
    """Yield the tables of the models, of each one's labels and confusions, of each comparison."""
    yield _models(evaluation)
    if (scales := _scales(evaluation)).rows:
        yield scales
    for result in evaluation.results:
        if result.one_label and result.one_label.operating_points:
            yield _operating_points(result.name, result.one_label)
    if (foreign := _foreign(evaluation)).rows:
        yield foreign
    for result in evaluation.results:
        yield _labels(result)
        if result.one_label is None:
            continue
        width = sum(len(label) + 2 for label in result.labels)
        show = _confusions if width <= MATRIX_WIDTH else _confused_pairs
        yield show(result, result.one_label.confusion)
    for comparison in evaluation.comparisons:
        yield _comparison(evaluation, comparison)


def _models(evaluation: Evaluation) -> Table:
    """Return a row for each model."""
    header = ("model", "size", "accuracy", "95 % interval", "log loss", "cal. error")
    if evaluation.multi_label:
        header = ("model", "size", "micro F1", "macro F1", "exact match", "log loss")
    rows = []
    for result in evaluation.results:
        size = _size(result)
        scores = result.scores
        loss = f"{result.log_loss:.4f}"
        exact = scores.subset_accuracy
        row: Row = (result.name, size, scores.micro_f1, scores.macro_f1, exact, loss)
        if result.one_label is not None:
            error = result.one_label.calibration_error
            row = (result.name, size, exact, result.interval, loss, error)
        rows.append(row)
    return Table(header, rows)


def _scales(evaluation: Evaluation) -> Table:
    """Return a row for each model that gives scores: how far they are from the truth."""
    rows = [
        (result.name, f"{score.mae:.4f}", score.within_one, score.in_interval)
        for result in evaluation.results
        if result.one_label is not None and (score := result.one_label.score) is not None
    ]
    return Table(
        ("model", "mean abs. error", "within one step", "in the interval"), rows, title="scores"
    )


def _operating_points(name: str, one_label: OneLabel) -> Table:
    """Return a row for each share of wrong answers that may be allowed.

    An asterisk marks a threshold that was chosen on these texts.
    """
    curve = one_label.curve
    header = ("allowed", "threshold", "answered", "wrong", "95 % interval")
    rows = []
    for point in one_label.operating_points:
        wrong: Cell = point.wrong
        if point.same_texts and point.wrong is not None:
            wrong = f"{point.wrong:.2%}*"
        threshold = f"{point.threshold:.6g}"
        rows.append([point.abstain, threshold, point.answered, wrong, point.wrong_interval])
    missing = [f"{share:.0%}" for share in SHOWN_RISKS if curve.operating_point(share) is None]
    too_few = f", too few for {', '.join(missing)}" if missing else ""
    notes = [f"Thresholds from {counted(curve.texts, 'text')} ({curve.data}){too_few}."]
    if any(point.same_texts for point in one_label.operating_points):
        notes.append("* the threshold was chosen on these texts; on others more may be wrong.")
    return Table(
        header,
        rows,
        " ".join(notes),
        title=f"{name} with abstention: answered, and wrong among these",
    )


def _foreign(evaluation: Evaluation) -> Table:
    """Return a row for each model that read foreign texts: how well it tells them apart."""
    found = f"found with --unfamiliar {USUAL_SHARE}"
    header = ("model", "AUROC", "found at 1 % lost", found, "lost")
    rows = [
        (result.name, f"{scores.auroc:.4f}", scores.recall, scores.found, scores.lost)
        for result in evaluation.results
        if (scores := result.foreign) is not None
    ]
    return Table(header, rows, title=f"{len(evaluation.foreign):,} foreign texts against these")


def _labels(result: ModelResult) -> Table:
    """Return a row for each label; the last is the mean, macro F1."""
    header = ["label", "precision", "recall", "F1", "texts"]
    rows: list[list[Cell]] = [
        [row.label, row.precision, row.recall, row.f1, row.support] for row in result.scores.labels
    ]
    rows.append(["mean", "", "", result.scores.macro_f1, ""])
    if result.thresholds is not None:
        thresholds = [f"{threshold:.3f}" for threshold in result.thresholds]
        header.insert(1, "threshold")
        for row, threshold in zip(rows, [*thresholds, ""]):
            row.insert(1, threshold)

    note = ""
    if result.one_label is not None and result.one_label.auroc is not None:
        note = f"AUROC {result.one_label.auroc:.4f}"
    return Table(header, rows, note, title=f"{result.name} by label")


def _confusions(result: ModelResult, confusion: npt.NDArray[np.int64]) -> Table:
    """Return a row for each true label and a column for each predicted one."""
    rows = [[label, *counts] for label, counts in zip(result.labels, confusion.tolist())]
    return Table(
        ("true label", *result.labels),
        rows,
        title=f"{result.name}: texts by true label (row) and predicted label (column)",
    )


def _confused_pairs(result: ModelResult, confusion: npt.NDArray[np.int64]) -> Table:
    """Return the most frequent confusions: true label, predicted label, texts."""
    mistakes = confusion.copy()
    np.fill_diagonal(mistakes, 0)
    pairs = np.argwhere(mistakes).tolist()
    pairs.sort(key=lambda pair: -mistakes[tuple(pair)])
    rows = []
    for true, predicted in pairs[:20]:
        rows.append((result.labels[true], result.labels[predicted], int(mistakes[true, predicted])))
    return Table(
        ("true label", "predicted", "texts"),
        rows,
        text=(0, 1),
        title=f"{result.name}: most frequent confusions",
    )


def _comparison(evaluation: Evaluation, comparison: Comparison) -> Table:
    """Return the comparison of the second model with the first, as names and values."""
    test = comparison.test
    interval = comparison.interval
    texts = counted(len(evaluation.texts), "text")
    verdict = "a significant" if test.exact_p < SIGNIFICANT else "no significant"
    span = f"{interval.low * 100:+.2f} to {interval.high * 100:+.2f}"
    correct = (
        f"{test.only_second_right:,} by it alone, {test.only_first_right:,} by the other alone"
    )
    measure = "exact match" if evaluation.multi_label else "accuracy"
    rows = [
        (measure, f"{comparison.difference * 100:+.2f} points, 95 % interval {span}"),
        ("McNemar", f"p = {test.exact_p:.2g}, {verdict} difference"),
        ("correct", correct),
        ("labels", f"differ for {comparison.disagreements:,} of {texts}"),
        ("probabilities", f"differ by at most {comparison.largest_change:.2g}"),
    ]
    if evaluation.multi_label:
        rows.insert(0, ("micro F1", f"{comparison.micro_f1 * 100:+.2f} points"))
    return Table(
        ("", ""), rows, text=(0, 1), title=f"{comparison.second} against {comparison.first}"
    )


def write_mistakes(evaluation: Evaluation, path: Path) -> None:
    """Write the first model's mistakes as CSV, the most confident first.

    The columns:
    row: the number of the text's row in the data, from 1.
    label: the true one, by the model's name for it; correct it if it is wrong.
    predicted: the model's label.
    probability: see ModelResult.confidence.
    text: the whole text.

    Several labels are joined by LABEL_JOINT. Spreadsheets recognize UTF-8 by the byte order mark.
    Raise OutputError.
    """
    result = evaluation.results[0]
    rows = [("row", "label", "predicted", "probability", "text")]
    for i in _confident_mistakes(result).tolist():
        true, predicted = _label_names(result, i)
        probability = f"{result.confidence[i]:.4f}"
        rows.append((str(evaluation.numbers[i]), true, predicted, probability, evaluation.texts[i]))
    write_atomically(csv_text(rows).encode("utf-8-sig"), path)


def _confident_mistakes(result: ModelResult) -> npt.NDArray[np.int64]:
    """Return int64 [mistakes], the rows of the wrong texts, the most confident first."""
    wrong = np.flatnonzero(~result.correct)
    return wrong[np.argsort(-result.confidence[wrong], kind="stable")]


def _label_names(result: ModelResult, text: int) -> tuple[str, str]:
    """Return the true and the predicted labels of one text, each as one cell."""
    labels = np.array(result.labels, dtype=object)
    true = LABEL_JOINT.join(labels[result.truth[text]])
    predicted = LABEL_JOINT.join(labels[result.predicted[text]])
    return true, predicted


def _size(result: ModelResult) -> str:
    return f"{len(result.model.data) / 1000:,.0f} kB"
