"""An evaluation of texts with several labels as one HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import numpy as np

from edge_lstm.atomic import write_atomically
from edge_lstm.evaluation.answers import Bools, counted
from edge_lstm.evaluation.report import excerpt, footer, most_confident, notes
from edge_lstm.evaluation.several import SeveralComparison, SeveralEvaluation, SeveralResult
from edge_lstm.html import page, swatch, table


def write_several_report(evaluation: SeveralEvaluation, path: Path) -> None:
    """Writes the page. It holds the texts it shows. Raises OutputError where it cannot be written."""
    names = " and ".join(model.name for model in evaluation.models)
    write_atomically(page(f"{names} on {evaluation.data}", _body(evaluation, names)), path)


def _body(evaluation: SeveralEvaluation, names: str) -> Iterator[str]:
    yield f"<h1>{escape(names)}</h1>"
    yield (
        f'<p class="muted">evaluated on {len(evaluation.texts):,} texts of {escape(evaluation.data)} '
        f"({counted(evaluation.statuses)}), which have {evaluation.labels_of_a_text:.2f} labels on "
        "average</p>"
    )
    yield _summary(evaluation.models)
    yield "<ul>"
    yield from notes(evaluation.models)
    yield "</ul>"
    for model in evaluation.models:
        yield f"<h2>{escape(model.name)} by label</h2>"
        yield _labels(model)
    for comparison in evaluation.comparisons:
        yield _comparison(comparison, len(evaluation.texts))
    for model in evaluation.models:
        yield from _mistakes(evaluation, model)
    yield footer(evaluation.models)


def _summary(models: Sequence[SeveralResult]) -> str:
    header = ("model", "size", "micro F1", "macro F1", "exactly right", "95 % interval", "log loss")
    rows = [
        (
            swatch(i) + escape(model.name),
            f"{model.bytes / 1000:,.0f} kB",
            f"<b>{model.scores.micro_f1:.2%}</b>",
            f"<b>{model.scores.macro_f1:.2%}</b>",
            f"{model.scores.subset_accuracy:.2%}",
            f"{model.interval.low:.2%} to {model.interval.high:.2%}",
            f"{model.log_loss:.4f}",
        )
        for i, model in enumerate(models)
    ]
    return table(header, rows, numbers=range(1, 7))


def _labels(model: SeveralResult) -> str:
    header = ("label", "threshold", "precision", "recall", "F1", "texts", "answers")
    rows = (
        (
            escape(row.label),
            f"{threshold:.4f}",
            f"{row.precision:.2%}",
            f"{row.recall:.2%}",
            f"{row.f1:.2%}",
            f"{row.support:,}",
            f"{row.predicted:,}",
        )
        for row, threshold in zip(model.scores.labels, model.thresholds)
    )
    return table(header, rows, numbers=range(1, 7))


def _comparison(comparison: SeveralComparison, n: int) -> str:
    test = comparison.test
    low, high = comparison.interval.low * 100, comparison.interval.high * 100
    return (
        f"<h2>{escape(comparison.second)} against {escape(comparison.first)}</h2>"
        f"<p>Micro F1 changes by <b>{comparison.micro_f1 * 100:+.2f} points</b>, the share of texts that are "
        f"exactly right by {comparison.difference * 100:+.2f} (95 % interval {low:+.2f} to {high:+.2f}). "
        f"{test.only_second_right:,} texts are exactly right by it alone, {test.only_first_right:,} by the "
        f"other alone: McNemar's test gives p = {test.mid_p:.2g}. {comparison.other_labels:,} of {n:,} texts "
        f"({comparison.other_labels / n:.2%}) get other labels; the largest change of a probability is "
        f"{comparison.largest_change:.2g}.</p>"
    )


def _mistakes(evaluation: SeveralEvaluation, model: SeveralResult) -> Iterator[str]:
    """The texts whose own labels are least probable by the model."""
    wrong = np.flatnonzero(~model.correct)
    if not len(wrong):
        yield f"<h2>Mistakes of {escape(model.name)}</h2><p>None.</p>"
        return
    shown, which = most_confident(wrong, model.confidence)
    yield f"<h2>{which} {len(wrong):,} texts that {escape(model.name)} has not exactly right</h2>"
    yield (
        '<p class="muted">A label is missing or too many, and the model was sure of it: look here for wrong '
        "labels in the data.</p>"
    )
    rows = (
        (
            f"{i + 1:,}",
            _names(model, model.truth[i]),
            _names(model, model.given[i]),
            excerpt(evaluation.texts[i]),
        )
        for i in shown.tolist()
    )
    yield table(("text", "labels", "answer", ""), rows, numbers=(0,))


def _names(model: SeveralResult, own: Bools) -> str:
    return ", ".join(map(escape, model.names(own))) or '<span class="muted">(none)</span>'
