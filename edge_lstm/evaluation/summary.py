"""An evaluation as tables and notes of plain text: the terminal and the page show the same cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from edge_lstm.answering import LABEL_JOINT
from edge_lstm.evaluation.evaluate import Bools, Comparison, Evaluation, Result
from edge_lstm.metrics import Interval

SAME_TEXTS = "* threshold chosen on these same texts; on others more may be wrong"
SIGNIFICANT = 0.05  # of McNemar's mid-p value


class Table(NamedTuple):
    """The first column holds names, the others numbers."""

    header: Sequence[str]
    rows: list[Sequence[str]]


def texts_line(evaluation: Evaluation) -> str:
    """``60 texts of test.csv (1 empty, 59 ok)``."""
    statuses = ", ".join(f"{count:,} {status}" for status, count in sorted(evaluation.statuses.items()))
    several = f", {evaluation.labels_per_text:.2f} labels per text" if evaluation.several else ""
    return f"{len(evaluation.texts):,} texts of {evaluation.data}{several} ({statuses})"


def models_table(evaluation: Evaluation, names: Sequence[str]) -> Table:
    """A row for each model, under the names given."""
    rows: list[Sequence[str]] = []
    for name, result in zip(names, evaluation.results):
        size, accuracy, loss = f"{len(result.model.data) / 1000:,.0f} kB", result.accuracy, result.log_loss
        if evaluation.several:
            f1 = f"{result.scores.micro_f1:.2%}", f"{result.scores.macro_f1:.2%}"
            rows.append((name, size, *f1, f"{accuracy:.2%}", f"{loss:.4f}"))
        else:
            calibration = f"{result.calibration_error:.2%}"
            rows.append((name, size, f"{accuracy:.2%}", _span(result.interval), f"{loss:.4f}", calibration))
    if evaluation.several:
        return Table(("model", "size", "micro F1", "macro F1", "all right", "log loss"), rows)
    return Table(("model", "size", "accuracy", "95 % interval", "log loss", "cal. error"), rows)


def labels_table(result: Result) -> Table:
    """A row for each label, the last their mean (macro F1)."""
    thresholds = [f"{value:.3f}" for value in result.thresholds or ()]
    rows: list[Sequence[str]] = []
    for i, row in enumerate(result.scores.labels):
        scores = f"{row.precision:.2%}", f"{row.recall:.2%}", f"{row.f1:.2%}", f"{row.support:,}"
        rows.append((row.label, *thresholds[i : i + 1], *scores))
    blank = [""] * bool(thresholds)
    rows.append(("mean", *blank, "", "", f"{result.scores.macro_f1:.2%}", ""))
    header = ("label", *(["threshold"] if thresholds else []), "precision", "recall", "F1", "texts")
    return Table(header, rows)


def confusion_table(result: Result) -> Table:
    """A row for each true label, a column for each predicted one."""
    rows = [
        (label, *(f"{count:,}" for count in counts))
        for label, counts in zip(result.labels, result.confusion.tolist())
    ]
    return Table(("true label", *result.labels), list(rows))


def confused_pairs_table(result: Result, most: int = 20) -> Table:
    """The most frequent confusions: true label, predicted label, texts."""
    mistakes = result.confusion.copy()
    np.fill_diagonal(mistakes, 0)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:most]
    pairs = (divmod(int(i), len(result.labels)) for i in order if mistakes.flat[i])
    rows = [(result.labels[i], result.labels[j], f"{mistakes[i, j]:,}") for i, j in pairs]
    return Table(("true label", "predicted", "texts"), list(rows))


def abstention_table(evaluation: Evaluation, names: Sequence[str]) -> Table:
    """A row for each model that abstains; a ``*`` marks a threshold that was chosen on these texts."""
    cells: list[Sequence[str]] = []
    for name, row in zip(names, (result.abstention for result in evaluation.results)):
        if row is None:
            continue
        wrong, span = "–", "–"
        if row.wrong is not None and row.wrong_interval is not None:
            wrong, span = f"{row.wrong:.2%}{'*' * row.same_texts}", _span(row.wrong_interval)
        allowed = "–" if row.abstain is None else f"{row.abstain:.2%}"
        cells.append((name, allowed, f"{row.threshold:.6g}", f"{row.answered:.2%}", wrong, span))
    return Table(("model", "allowed", "threshold", "answered", "wrong", "95 % interval"), cells)


def comparison_rows(evaluation: Evaluation, comparison: Comparison) -> list[tuple[str, str]]:
    """The second model against the first: name and value."""
    test, n = comparison.test, len(evaluation.texts)
    span = f"{comparison.interval.low * 100:+.2f} to {comparison.interval.high * 100:+.2f}"
    difference = f"{comparison.difference * 100:+.2f} points, 95 % interval {span}"
    verdict = "a significant difference" if test.mid_p < SIGNIFICANT else "no significant difference"
    rows = [("micro F1", f"{comparison.micro_f1 * 100:+.2f} points")] if evaluation.several else []
    return [
        *rows,
        ("all right" if evaluation.several else "accuracy", difference),
        ("McNemar", f"p = {test.mid_p:.2g}, {verdict}"),
        ("right", f"{test.only_second_right:,} by it alone, {test.only_first_right:,} by the other alone"),
        ("labels", f"{comparison.disagreements:,} of {n:,} texts get other labels"),
        ("change", f"of a probability, at most {comparison.largest_change:.2g}"),
    ]


def notes(evaluation: Evaluation, names: Sequence[str]) -> list[str]:
    """What to know of the texts before believing the metrics."""
    lines = [f"{name}: {r.oov.note}" for name, r in zip(names, evaluation.results) if r.oov]
    flatters = any(r.abstention and r.abstention.same_texts for r in evaluation.results)
    return [SAME_TEXTS] * flatters + lines


def label_names(result: Result, matrix: Bools, text: int) -> str:
    """The labels of one text in one cell. matrix: truth or predicted."""
    return LABEL_JOINT.join(result.labels[i] for i in np.flatnonzero(matrix[text]).tolist())


def _span(interval: Interval) -> str:
    return f"{interval.low:.2%} to {interval.high:.2%}".replace("%", "")
