"""An evaluation as one HTML page: what a model gets wrong, how sure it is, and what int8 changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from edge_lstm import __version__
from edge_lstm.answering import SHOWN_RISKS
from edge_lstm.atomic import write_atomically
from edge_lstm.charts import (
    MATRIX_LABELS,
    LengthBin,
    agreement_chart,
    confusion_chart,
    coverage_chart,
    length_chart,
    reliability_chart,
)
from edge_lstm.evaluation.answers import Answers, counted
from edge_lstm.evaluation.evaluate import Comparison, Evaluation, ModelResult
from edge_lstm.html import figure, legend, page, swatch, table
from edge_lstm.metrics import wilson_interval

MISTAKES = 25  # shown for each model, the surest first
DISAGREEMENTS = 25  # shown for each comparison, the largest change first
BY_HAND = "–"  # of a threshold: no share of wrong answers was wanted
EXCERPT = 240  # characters of a text that are shown before it is opened
LENGTH_EDGES = (0, 1, 10, 25, 50, 100, 200, 300, 400, 600, 1000)


def write_report(evaluation: Evaluation, path: Path) -> None:
    """Writes the page. It holds the texts it shows. Raises OutputError where it cannot be written."""
    write_atomically(report(evaluation), path)


def report(evaluation: Evaluation) -> str:
    """The page: HTML that loads nothing, reads no network and runs no script."""
    names = " and ".join(model.name for model in evaluation.models)
    return page(f"{names} on {evaluation.data}", _body(evaluation, names))


def _body(evaluation: Evaluation, names: str) -> Iterator[str]:
    n = len(evaluation.texts)
    yield f"<h1>{escape(names)}</h1>"
    texts = f"{n:,} texts of {escape(evaluation.data)} ({counted(evaluation.statuses)})"
    yield f'<p class="muted">evaluated on {texts}</p>'
    yield _summary(evaluation)
    yield from _data(evaluation)
    for model in evaluation.models:
        yield from _model(model)
    yield "<h2>Accuracy by text length</h2>"
    yield legend(list(enumerate(model.name for model in evaluation.models)))
    yield figure(
        length_chart(length_bins(evaluation)),
        "Share of right answers for texts of each length; the bars are 95 % intervals (Wilson).",
    )
    for comparison, model in zip(evaluation.comparisons, evaluation.models[1:]):
        yield from _comparison(evaluation, comparison, evaluation.models[0], model)
    for model in evaluation.models:
        yield from _mistakes(evaluation, model)
    yield footer(evaluation.models)


def _summary(evaluation: Evaluation) -> str:
    rows = []
    for i, model in enumerate(evaluation.models):
        interval = f"{model.interval.low:.2%} to {model.interval.high:.2%}"
        rows.append(
            (
                swatch(i) + escape(model.name),
                f"{model.bytes / 1000:,.0f} kB",
                f"<b>{model.accuracy:.2%}</b>",
                interval,
                f"{model.macro_f1:.2%}",
                f"{model.log_loss:.4f}",
                f"{model.calibration_error:.2%}",
            )
        )
    header = ("model", "size", "accuracy", "95 % interval", "mean F1", "log loss", "calibration error")
    return table(header, rows, numbers=range(1, 7))


def _data(evaluation: Evaluation) -> Iterator[str]:
    """What to know of the texts, and of those the models learnt from, before believing the figures."""
    yield "<h2>The data</h2><ul>"
    n, duplicates = len(evaluation.texts), evaluation.duplicates
    repeated, conflicting = duplicates.repeated, duplicates.conflicting
    yield f"<li>{repeated:,} of {n:,} texts ({repeated / n:.1%}) repeat the words of an earlier one.</li>"
    yield f"<li>{conflicting:,} have the words of one with another label: no model can answer them all.</li>"
    yield from notes(evaluation.models)
    yield "</ul>"


def _model(model: ModelResult) -> Iterator[str]:
    yield f"<h2>{escape(model.name)}</h2>"
    scores = (
        (
            escape(row.label),
            f"{row.precision:.2%}",
            f"{row.recall:.2%}",
            f"{row.f1:.2%}",
            f"{row.support:,}",
            f"{row.predicted:,}",
        )
        for row in model.by_label
    )
    header = ("label", "precision", "recall", "F1", "texts", "answers")
    yield table(header, scores, numbers=range(1, 6))
    yield '<div class="figures">'
    if len(model.labels) <= MATRIX_LABELS:
        yield figure(
            confusion_chart(model.confusion, model.labels),
            "Texts by true label (row) and answer (column), with the share of the row.",
        )
    else:
        yield _largest_confusions(model)
    yield figure(
        reliability_chart(model.bins, len(model.labels)),
        "Right answers among those of about each probability. On the line, a probability is what it says; "
        "orange: surer than right; light blue: right more often than sure. Mean gap: "
        f"{model.calibration_error:.2%} (expected calibration error, {len(model.bins)} bins).",
    )
    yield figure(
        coverage_chart(model.confidence, model.correct, model.answered),
        "Accuracy where only the surest answers are used and the rest is left to a person."
        + (" Dashed: the texts that are answered here." if model.threshold else ""),
    )
    yield "</div>"
    yield from _abstention(model)


def _abstention(model: ModelResult) -> Iterator[str]:
    """What the thresholds of the file come to on these texts: wanted, answered, wrong."""
    wanted = sorted({*SHOWN_RISKS, *([model.wanted] if model.wanted else [])})
    promised = {share: model.abstention and model.abstention.promised(share) for share in wanted}
    thresholds = {f"{share:.3g}": point.threshold for share, point in promised.items() if point}
    if model.threshold and model.wanted is None:
        thresholds[BY_HAND] = model.threshold
    if not thresholds:
        return
    yield "<h3>Where the model may be unsure</h3>"
    source = ""
    if model.same_texts:
        source = ", found on the same texts (*: on others more may be wrong)"
    elif model.abstention:
        source = f", found on {model.abstention.texts:,} texts ({escape(model.abstention.data)})"
    yield (
        f'<p class="muted">The threshold for each share of wrong answers that is wanted{source}, and what it '
        "comes to on the texts of this page.</p>"
    )
    yield table(
        ("wanted", "threshold", "answered", "wrong", "95 % interval"),
        (_abstention_row(wanted, replace(model, threshold=least)) for wanted, least in thresholds.items()),
        numbers=range(1, 5),
    )


def _abstention_row(wanted: str, model: ModelResult) -> tuple[str, ...]:
    answered, wrong = int(model.answered.sum()), model.wrong_answers
    share = f"{answered / len(model.truth):.2%}"
    if not answered:
        return (wanted, f"{model.threshold:.6g}", share, "–", "–")
    interval = wilson_interval(wrong, answered)
    mark = "*" if model.same_texts and wanted != BY_HAND else ""
    return (
        wanted,
        f"{model.threshold:.6g}",
        share,
        f"{wrong / answered:.2%}{mark}",
        f"{interval.low:.2%} to {interval.high:.2%}",
    )


def _largest_confusions(model: ModelResult) -> str:
    mistakes = model.confusion.copy()
    np.fill_diagonal(mistakes, 0)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:20]
    pairs = (divmod(int(i), len(model.labels)) for i in order if mistakes.flat[i])
    rows = ((escape(model.labels[i]), escape(model.labels[j]), f"{mistakes[i, j]:,}") for i, j in pairs)
    return (
        "<div><h3>Most frequent confusions</h3>"
        + table(("true label", "answer", "texts"), rows, numbers=(2,))
        + "</div>"
    )


def _mistakes(evaluation: Evaluation, model: ModelResult) -> Iterator[str]:
    wrong = np.flatnonzero(~model.correct)
    if not len(wrong):
        yield f"<h2>Mistakes of {escape(model.name)}</h2><p>None.</p>"
        return
    shown, which = most_confident(wrong, model.confidence)
    yield f"<h2>{which} {len(wrong):,} mistakes of {escape(model.name)}</h2>"
    yield (
        '<p class="muted">Where the model was surest and wrong: look here for wrong labels in the data, and '
        "for what the model cannot read (irony, negation, topics it never saw).</p>"
    )
    rows = (
        (
            f"{i + 1:,}",
            escape(model.labels[model.truth[i]]),
            escape(model.labels[model.predicted[i]]),
            f"{model.confidence[i]:.2%}",
            excerpt(evaluation.texts[i]),
        )
        for i in shown.tolist()
    )
    yield table(("text", "label", "answer", "probability", ""), rows, numbers=(0, 3))


def _comparison(
    evaluation: Evaluation, comparison: Comparison, first: ModelResult, second: ModelResult
) -> Iterator[str]:
    test, n = comparison.test, len(evaluation.texts)
    low, high = comparison.interval.low * 100, comparison.interval.high * 100
    yield f"<h2>{escape(second.name)} against {escape(first.name)}</h2>"
    yield (
        f"<p>Accuracy changes by <b>{comparison.difference * 100:+.2f} points</b> (95 % interval "
        f"{low:+.2f} to {high:+.2f}). {test.only_second_right:,} texts are answered rightly by it alone, "
        f"{test.only_first_right:,} by the other alone: McNemar's test gives p = {test.mid_p:.2g}. "
        f"{comparison.other_label:,} of {n:,} texts ({comparison.other_label / n:.2%}) get another label; "
        f"the largest change of a probability is {comparison.largest_change:.2g}.</p>"
    )
    rows = np.arange(n)
    true_first, true_second = first.probabilities[rows, first.truth], second.probabilities[rows, second.truth]
    change = np.abs(true_second - true_first)
    yield '<div class="figures">'
    yield figure(
        agreement_chart(true_first, true_second, (first.name, second.name)),
        "The probability of the true label, from one model (across) to the other (upwards). On the line, "
        "nothing changed; in the tinted corners one of them crosses one half.",
    )
    quantiles = ((f"{q:.1%} of the texts", np.quantile(change, q)) for q in (0.5, 0.9, 0.99, 0.999))
    limits = [*quantiles, ("all", change.max())]
    cells = ((name, f"at most {value:.2g}") for name, value in limits)
    yield (
        "<div><h3>Change of the true label's probability</h3>"
        + table(("", ""), cells, numbers=(1,))
        + "</div>"
    )
    yield "</div>"
    yield from _disagreements(evaluation, first, second, change)


def _disagreements(
    evaluation: Evaluation, first: ModelResult, second: ModelResult, change: npt.NDArray[np.float32]
) -> Iterator[str]:
    apart = np.flatnonzero(first.predicted != second.predicted)
    if not len(apart):
        yield "<p>They give every text the same label.</p>"
        return
    shown = apart[np.argsort(-change[apart], kind="stable")][:DISAGREEMENTS]
    which = "" if len(shown) == len(apart) else f"{len(shown)} of the "
    yield f"<h3>{which}{len(apart):,} texts to which they give another label, the largest change first</h3>"

    def answer(model: ModelResult, i: int) -> str:
        label, right = model.labels[model.predicted[i]], model.correct[i]
        share = f"{escape(label)}&nbsp;{model.probabilities[i].max():.1%}"
        return f"<b>{share}</b>" if right else share

    cells = (
        (
            f"{i + 1:,}",
            escape(first.labels[first.truth[i]]),
            answer(first, i),
            answer(second, i),
            excerpt(evaluation.texts[i]),
        )
        for i in shown.tolist()
    )
    yield table(("text", "label", first.name, second.name, ""), cells, numbers=(0,))
    yield '<p class="muted">Bold: the right answer.</p>'


def most_confident(
    wrong: npt.NDArray[np.int64], confidence: npt.NDArray[np.floating[Any]]
) -> tuple[npt.NDArray[np.int64], str]:
    """The mistakes that are shown, the surest first, and how a heading calls them. wrong: rows of texts;
    confidence: float [n]."""
    shown = wrong[np.argsort(-confidence[wrong], kind="stable")][:MISTAKES]
    return shown, f"The {len(shown)} most confident of" if len(shown) < len(wrong) else "All"


def notes(models: Sequence[Answers]) -> Iterator[str]:
    """Items of a list: what to know of each model's figures."""
    for model in models:
        if model.oov:
            yield f"<li>{escape(model.name)}: {escape(model.oov.note)}.</li>"
        for warning in model.warnings:
            yield f"<li>{escape(model.name)}, of its training: {escape(warning)}.</li>"


def footer(models: Sequence[Answers]) -> str:
    """What made the page, and of which files."""
    files = " ".join(f"{escape(model.name)}: sha256 {model.sha256}." for model in models)
    return f"<footer>edge-lstm {__version__}, ONNX Runtime {onnxruntime.__version__}. {files}</footer>"


def excerpt(text: str) -> str:
    """The beginning of a text, and the whole of it to open."""
    if not text.strip():
        return '<span class="muted">(empty)</span>'
    if len(text) <= EXCERPT:
        return f'<span class="text">{escape(text)}</span>'
    start = text[:EXCERPT].rsplit(" ", 1)[0]
    rest = text[len(start) :]
    return (
        f'<details><summary class="text">{escape(start)} …</summary>'
        f'<span class="text">…{escape(rest)}</span></details>'
    )


def length_bins(evaluation: Evaluation) -> list[LengthBin]:
    """Accuracy of every model for texts of each range of lengths, in words; empty ranges are left out."""
    bins = []
    for low, high in zip(LENGTH_EDGES, (*LENGTH_EDGES[1:], None)):
        inside = (evaluation.words >= low) & (True if high is None else evaluation.words < high)
        count = int(inside.sum())
        if not count:
            continue
        name = f"{low:,}+" if high is None else f"{low}" if high == low + 1 else f"{low} to {high - 1}"
        rights = [int(model.correct[inside].sum()) for model in evaluation.models]
        bins.append(
            LengthBin(
                name,
                count,
                tuple(right / count for right in rights),
                tuple(wilson_interval(right, count) for right in rights),
            )
        )
    return bins
