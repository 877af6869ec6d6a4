"""An evaluation as one HTML page, and its mistakes as a CSV file to correct and to train on."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_lstm import __version__
from edge_lstm.atomic import write_atomically
from edge_lstm.charts import coverage_chart, reliability_chart
from edge_lstm.evaluation import summary
from edge_lstm.evaluation.evaluate import Evaluation, Result
from edge_lstm.html import figure, page, swatch, table

MATRIX_LABELS = 16  # more labels, and the page shows the most frequent confusions instead of the matrix
SHOWN_TEXTS = 25  # of mistakes and disagreements
EXCERPT = 240  # characters of a text that are shown
MISTAKE_COLUMNS = ("row", "label", "predicted", "probability", "text")


def write_mistakes(evaluation: Evaluation, path: Path) -> int:
    """Write the first model's mistakes as CSV, the surest first. → how many.

    row: the text's number in the data, from 1. label: the true one, by the model's name for it; correct it
    where it is wrong. predicted: the model's. probability: see Result.confidence. Several labels are joined
    by LABEL_JOINT. Spreadsheets take the file for UTF-8 by its byte order mark. Raise OutputError.
    """
    result = evaluation.results[0]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(MISTAKE_COLUMNS)
    wrong = _surest_mistakes(result).tolist()
    for i in wrong:
        names = (summary.label_names(result, matrix, i) for matrix in (result.truth, result.predicted))
        writer.writerow([i + 1, *names, f"{result.confidence[i]:.4f}", evaluation.texts[i]])
    write_atomically(buffer.getvalue().encode("utf-8-sig", "replace"), path)
    return len(wrong)


def report(evaluation: Evaluation) -> str:
    """The page: HTML that loads nothing and runs no script. It holds the texts it shows."""
    names = " and ".join(result.name for result in evaluation.results)
    return page(f"{names} on {evaluation.data}", _body(evaluation, names))


def _body(evaluation: Evaluation, title: str) -> Iterator[str]:
    results = evaluation.results
    names = [result.name for result in results]
    yield f"<h1>{escape(title)}</h1>"
    yield f'<p class="muted">evaluated on {escape(summary.texts_line(evaluation))}</p>'
    models = summary.models_table(evaluation, names)
    rows = [(swatch(i) + escape(name), *map(escape, cells)) for i, (name, *cells) in enumerate(models.rows)]
    yield table(models.header, rows, numbers=range(1, len(models.header)))
    abstention = summary.abstention_table(evaluation, names)
    if abstention.rows:
        yield _table(abstention)
    lines = summary.notes(evaluation, names)
    lines += [f"{r.name}, from its training: {warning}" for r in results for warning in r.training_warnings]
    yield f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"
    for result in results:
        yield f"<h2>{escape(result.name)} by label</h2>"
        yield _table(summary.labels_table(result))
        if not evaluation.several:
            yield from _one_label(result)
    for comparison in evaluation.comparisons:
        yield f"<h2>{escape(comparison.second)} against {escape(comparison.first)}</h2>"
        yield _table(summary.Table(("", ""), list(summary.comparison_rows(evaluation, comparison))), ())
    for result in results:
        yield from _mistakes(evaluation, result)
    files = " ".join(f"{escape(r.name)}: sha256 {r.model.sha256()}." for r in results)
    yield f"<footer>edge-lstm {__version__}, {escape(results[0].runtime)}. {files}</footer>"


def _one_label(result: Result) -> Iterator[str]:
    """Confusions, calibration and abstention, which only one label per text has."""
    if len(result.labels) <= MATRIX_LABELS:
        yield "<h3>Texts by true label (row) and predicted label (column)</h3>"
        yield _confusion_matrix(result)
    else:
        yield "<h3>Most frequent confusions</h3>" + _table(summary.confused_pairs_table(result), (2,))
    yield '<div class="figures">'
    yield figure(
        reliability_chart(result.bins, len(result.labels)),
        "Accuracy of the predictions of each probability. On the line, the probability is what it says; "
        "orange: the model is too sure; light blue: it is not sure enough. Mean gap: "
        f"{result.calibration_error:.2%} (expected calibration error, {len(result.bins)} bins).",
    )
    yield figure(
        coverage_chart(result.confidence, result.correct, result.answered),
        "Accuracy where only the surest predictions are used and a person does the rest."
        + (" Dashed: the texts that are answered here." if result.threshold else ""),
    )
    yield "</div>"


def _confusion_matrix(result: Result) -> str:
    """Each cell has the tint of its share of the row."""
    cells = summary.confusion_table(result)
    shares = result.confusion / np.maximum(result.confusion.sum(axis=1, keepdims=True), 1)
    # A square root keeps the few mistakes of a good model visible.
    opacity = 0.8 * np.sqrt(shares)
    rows = [
        (escape(name), *(_cell(count, i == j, opacity[i, j]) for j, count in enumerate(counts)))
        for i, (name, *counts) in enumerate(cells.rows)
    ]
    return table(cells.header, rows, numbers=range(1, len(cells.header)))


def _cell(count: str, is_right: bool, opacity: float) -> str:
    rgb = "37,99,168" if is_right else "217,119,43"  # GOOD and BAD of html.py
    return f'<span class="cell" style="background:rgba({rgb},{opacity:.2f})">{count}</span>'


def _mistakes(evaluation: Evaluation, result: Result) -> Iterator[str]:
    wrong = _surest_mistakes(result)
    yield f"<h2>Mistakes of {escape(result.name)}</h2>"
    if not len(wrong):
        yield "<p>None.</p>"
        return
    yield (
        f'<p class="muted">{len(wrong):,} texts, at most {SHOWN_TEXTS} shown, the surest first: look here '
        "for wrong labels in the data, and for what the model cannot read (irony, negation, …).</p>"
    )
    cells = []
    for i in wrong[:SHOWN_TEXTS].tolist():
        true, label = (
            escape(summary.label_names(result, matrix, i)) or _NONE
            for matrix in (result.truth, result.predicted)
        )
        predicted = label if evaluation.several else f"{label}&nbsp;{result.confidence[i]:.1%}"
        text = evaluation.texts[i] if evaluation.texts[i].strip() else "(empty)"
        excerpt = text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…"
        cells.append((f"{i + 1:,}", true, predicted, f'<span class="text">{escape(excerpt)}</span>'))
    yield table(("text", "label", "predicted", ""), cells, numbers=(0,))


_NONE = '<span class="muted">(none)</span>'


def _surest_mistakes(result: Result) -> npt.NDArray[np.int64]:
    """int64 [mistakes], the rows of the texts that are wrong, the surest first."""
    wrong = np.flatnonzero(~result.correct)
    return np.asarray(wrong[np.argsort(-result.confidence[wrong], kind="stable")])


def _table(cells: summary.Table, numbers: Sequence[int] | None = None) -> str:
    """A table of plain text; all columns but the first hold numbers where none are named."""
    columns = range(1, len(cells.header)) if numbers is None else numbers
    return table(cells.header, (tuple(map(escape, row)) for row in cells.rows), numbers=columns)
