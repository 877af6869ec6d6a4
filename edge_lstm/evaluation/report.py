"""An evaluation as tables and notes, the same for terminal and page; the HTML page; its mistakes as
CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_lstm._version import __version__
from edge_lstm.answering import USUAL_SHARE
from edge_lstm.atomic import write_atomically
from edge_lstm.evaluation.evaluate import Bools, Comparison, Evaluation, Result
from edge_lstm.html import Table, Tinted, items, page, table
from edge_lstm.metrics import Interval
from edge_lstm.printable import counted
from edge_lstm.text import LABEL_JOINT, well_formed

SIGNIFICANT = 0.05  # of McNemar's mid-p value
# more labels, and the page shows the most frequent confusions instead of the matrix
MATRIX_LABELS = 16
SHOWN_PAIRS = 20  # of confused labels
SHOWN_TEXTS = 25  # of mistakes
EXCERPT = 240  # characters of a text that are shown
MISTAKE_COLUMNS = ("row", "label", "predicted", "probability", "text")


def texts_line(evaluation: Evaluation) -> str:
    """``60 texts of test.csv (1 empty, 59 ok)``."""
    statuses = ", ".join(
        f"{count:,} {status}" for status, count in sorted(evaluation.statuses.items())
    )
    several = f", {evaluation.labels_per_text:.2f} labels per text" if evaluation.several else ""
    return f"{counted(len(evaluation.texts), 'text')} of {evaluation.data}{several} ({statuses})"


def tables(evaluation: Evaluation) -> Iterator[Table]:
    """Of the models, of each one's labels and confusions, and of each comparison."""
    yield _models(evaluation)
    if any(result.abstention for result in evaluation.results):
        yield _abstentions(evaluation)
    if any(result.foreign for result in evaluation.results):
        yield _foreign(evaluation)
    for result in evaluation.results:
        yield _labels(result)
        if not evaluation.several:
            yield (
                _confusions(result)
                if len(result.labels) <= MATRIX_LABELS
                else _confused_pairs(result)
            )
    for comparison in evaluation.comparisons:
        yield _comparison(evaluation, comparison)


def _models(evaluation: Evaluation) -> Table:
    """A row for each model; below them, whether it knows the words of the texts."""
    rows = []
    for result in evaluation.results:
        size, accuracy, loss = (
            f"{len(result.model.data) / 1000:,.0f} kB",
            result.accuracy,
            result.log_loss,
        )
        if evaluation.several:
            f1 = f"{result.scores.micro_f1:.2%}", f"{result.scores.macro_f1:.2%}"
            rows.append((result.name, size, *f1, f"{accuracy:.2%}", f"{loss:.4f}"))
        else:
            span, calibration = _span(result.interval), f"{result.calibration_error:.2%}"
            rows.append((result.name, size, f"{accuracy:.2%}", span, f"{loss:.4f}", calibration))
    note = " ".join(
        f"{result.name}: {result.oov.note}." for result in evaluation.results if result.oov
    )
    if evaluation.several:
        return Table(
            ("model", "size", "micro F1", "macro F1", "exact match", "log loss"), rows, note
        )
    return Table(
        ("model", "size", "accuracy", "95 % interval", "log loss", "cal. error"), rows, note
    )


def _abstentions(evaluation: Evaluation) -> Table:
    """A row for each model that abstains; a ``*`` marks a threshold that was chosen on these
    texts."""
    rows, note = [], ""
    for result in evaluation.results:
        row = result.abstention
        if row is None:
            continue
        wrong, span = "–", "–"
        if row.wrong is not None and row.wrong_interval is not None:
            wrong, span = f"{row.wrong:.2%}{'*' * row.same_texts}", _span(row.wrong_interval)
        allowed = "–" if row.abstain is None else f"{row.abstain:.2%}"
        rows.append(
            (result.name, allowed, f"{row.threshold:.6g}", f"{row.answered:.2%}", wrong, span)
        )
        if row.same_texts:
            note = "* the threshold was chosen on these texts; on others more may be wrong"
    header = ("model", "allowed", "threshold", "answered", "wrong", "95 % interval")
    return Table(header, rows, note, title="with abstention")


def _foreign(evaluation: Evaluation) -> Table:
    """A row for each model: how well it tells the texts from foreign ones."""
    rows = []
    for result in evaluation.results:
        if (row := result.foreign) is not None:
            at_threshold = [
                "–" if share is None else f"{share:.2%}" for share in (row.found, row.lost)
            ]
            rows.append((result.name, f"{row.auroc:.4f}", f"{row.recall:.2%}", *at_threshold))
    header = (
        "model",
        "AUROC",
        "found at 1 % lost",
        f"found with --unfamiliar {USUAL_SHARE}",
        "lost",
    )
    return Table(header, rows, title=f"{len(evaluation.foreign):,} foreign texts against these")


def _labels(result: Result) -> Table:
    """A row for each label, the last their mean (macro F1)."""
    thresholds = [f"{value:.3f}" for value in result.thresholds or ()]
    rows: list[tuple[str, ...]] = []
    for i, row in enumerate(result.scores.labels):
        scores = f"{row.precision:.2%}", f"{row.recall:.2%}", f"{row.f1:.2%}", f"{row.support:,}"
        rows.append((row.label, *thresholds[i : i + 1], *scores))
    rows.append(("mean", *[""] * bool(thresholds), "", "", f"{result.scores.macro_f1:.2%}", ""))
    header = ("label", *["threshold"] * bool(thresholds), "precision", "recall", "F1", "texts")
    note = ""
    if (gate := result.gate) is not None:
        recalls = ", ".join(
            f"{recall:.2%} {name}" for name, recall in zip(result.labels, gate.recalls)
        )
        note = f"AUROC {gate.auroc:.4f}; recall at 1 % false alarms: {recalls}"
    return Table(header, rows, note, title=f"{result.name} by label")


def _confusions(result: Result) -> Table:
    """A row for each true label, a column for each predicted one, with the tint of its share of the
    row."""
    confusion = result.confusion
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    # a square root keeps the few mistakes of a good model visible
    tints = (80 * np.sqrt(shares)).tolist()
    rows = [
        (label, *(Tinted(f"{count:,}", int(i != j), tints[i][j]) for j, count in enumerate(counts)))
        for i, (label, counts) in enumerate(zip(result.labels, confusion.tolist()))
    ]
    title = f"{result.name}: texts by true label (row) and predicted label (column)"
    return Table(("true label", *result.labels), rows, title=title)


def _confused_pairs(result: Result) -> Table:
    """The most frequent confusions: true label, predicted label, texts."""
    mistakes = result.confusion.copy()
    np.fill_diagonal(mistakes, 0)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:SHOWN_PAIRS]
    pairs = (divmod(int(i), len(result.labels)) for i in order if mistakes.flat[i])
    rows = [(result.labels[i], result.labels[j], f"{mistakes[i, j]:,}") for i, j in pairs]
    title = f"{result.name}: most frequent confusions"
    return Table(("true label", "predicted", "texts"), rows, text=(0, 1), title=title)


def _comparison(evaluation: Evaluation, comparison: Comparison) -> Table:
    """The second model against the first: name and value."""
    test, n = comparison.test, len(evaluation.texts)
    span = f"{comparison.interval.low * 100:+.2f} to {comparison.interval.high * 100:+.2f}"
    difference = f"{comparison.difference * 100:+.2f} points, 95 % interval {span}"
    verdict = (
        "a significant difference" if test.mid_p < SIGNIFICANT else "no significant difference"
    )
    rows = [("micro F1", f"{comparison.micro_f1 * 100:+.2f} points")] if evaluation.several else []
    rows += [
        ("exact match" if evaluation.several else "accuracy", difference),
        ("McNemar", f"p = {test.mid_p:.2g}, {verdict}"),
        (
            "correct",
            f"{test.only_second_right:,} by it alone, {test.only_first_right:,} by the other alone",
        ),
        ("labels", f"differ for {comparison.disagreements:,} of {counted(n, 'text')}"),
        ("probabilities", f"differ by at most {comparison.largest_change:.2g}"),
    ]
    return Table(
        ("", ""), rows, text=(0, 1), title=f"{comparison.second} against {comparison.first}"
    )


def report(evaluation: Evaluation) -> str:
    """The page: HTML that loads nothing and runs no script. It holds the texts it shows."""
    results = evaluation.results
    versions = f"edge-lstm {__version__}, {results[0].runtime}"
    return page(
        f"{' and '.join(result.name for result in results)} on {evaluation.data}",
        [texts_line(evaluation)],
        _body(evaluation),
        [versions, *(f"{result.name}: sha256 {result.model.sha256()}" for result in results)],
    )


def _body(evaluation: Evaluation) -> Iterator[str]:
    results = evaluation.results
    if warnings := [
        f"{r.name}, training warning: {line}" for r in results for line in r.model.warnings
    ]:
        yield items(warnings)
    for cells in tables(evaluation):
        yield table(cells, [result.name for result in results])
    for result in results:
        yield table(_mistakes(evaluation, result))


def _mistakes(evaluation: Evaluation, result: Result) -> Table:
    wrong = _surest_mistakes(result)
    rows = []
    for i in wrong[:SHOWN_TEXTS].tolist():
        true, predicted = (
            _label_names(result, matrix, i) for matrix in (result.truth, result.predicted)
        )
        sure = "" if evaluation.several else f"\u00a0{result.confidence[i]:.1%}"
        text = evaluation.texts[i] if evaluation.texts[i].strip() else "(empty)"
        excerpt = text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…"
        rows.append((f"{i + 1:,}", true or "(none)", (predicted or "(none)") + sure, excerpt))
    note = (
        f"({counted(len(wrong), 'text')}, at most {SHOWN_TEXTS} shown, the most confident first: look for "
        "wrong labels in the data, and for what the model misses, such as irony and negation)"
    )
    header = ("text", "label", "predicted", "")
    return Table(header, rows, note, (1, 2, 3), f"Misclassified by {result.name}")


def write_mistakes(evaluation: Evaluation, path: Path) -> None:
    """Write the first model's mistakes as CSV, the surest first.

    row: the text's number in the data, from 1. label: the true one, by the model's name for it;
        correct it
    where it is wrong. predicted: the model's. probability: see Result.confidence. Several labels
    are joined by LABEL_JOINT. Spreadsheets take the file for UTF-8 by its byte order mark. Raise
    OutputError.
    """
    result = evaluation.results[0]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(MISTAKE_COLUMNS)
    for i in _surest_mistakes(result).tolist():
        names = (_label_names(result, matrix, i) for matrix in (result.truth, result.predicted))
        writer.writerow([i + 1, *names, f"{result.confidence[i]:.4f}", evaluation.texts[i]])
    write_atomically(well_formed(buffer.getvalue()).encode("utf-8-sig"), path)


def _surest_mistakes(result: Result) -> npt.NDArray[np.int64]:
    """int64 [mistakes], the rows of the texts that are wrong, the surest first."""
    wrong = np.flatnonzero(~result.correct)
    return np.asarray(wrong[np.argsort(-result.confidence[wrong], kind="stable")])


def _label_names(result: Result, matrix: Bools, text: int) -> str:
    """The labels of one text in one cell. matrix: truth or predicted."""
    return LABEL_JOINT.join(result.labels[i] for i in np.flatnonzero(matrix[text]).tolist())


def _span(interval: Interval) -> str:
    return f"{interval.low:.2%} to {interval.high:.2%}".replace("%", "")
