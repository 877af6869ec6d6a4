"""A latency result as one HTML page that opens offline and prints."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np

from edge_lstm import charts
from edge_lstm.html import SERIES, figure, page, swatch, table
from edge_lstm.latency import summary
from edge_lstm.latency.result import Result
from edge_lstm.latency.statistics import per_text
from edge_lstm.printable import listed


def report(result: Result) -> str:
    """The page: HTML that loads nothing and runs no script."""
    names = list(dict.fromkeys(Path(one.model.path).name.removesuffix(".onnx") for one in result.settings))
    title = f"Latency of {listed(names, 3)}"
    return page(title, _body(title, result))


def _body(title: str, result: Result) -> Iterator[str]:
    yield f"<h1>{escape(title)}</h1>"
    measured = f"{result.created}, measured for {result.seconds:.0f} s"
    lines = [summary.machine_line(result), summary.texts_line(result), measured]
    yield f'<p class="muted">{"<br>".join(map(escape, lines))}</p>'
    if not result.warnings:
        yield "<p>No condition disturbed the measurement.</p>"
    else:
        items = "".join(f"<li>{escape(warning.text)}</li>" for warning in result.warnings)
        yield f"<p><b>Read with care</b></p><ul>{items}</ul>"
    colours = {one.name: swatch(i) for i, one in enumerate(result.settings)}
    for cells in summary.tables(result):
        rows = [(colours.get(name, "") + escape(name), *map(escape, values)) for name, *values in cells.rows]
        yield table(cells.header, rows, numbers=range(1, len(cells.header)))
        yield f'<p class="muted">{escape(cells.note)}</p>'
    yield from _lengths(result)
    yield f'<p class="muted">{escape(result.energy_note)}.</p>'
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    models = {one.model.path: one.model.sha256 for one in result.settings}
    digests = "<br>".join(f"{escape(Path(path).name)}: sha256 {sha}" for path, sha in models.items())
    yield f"<footer>{escape(versions)}<br>{digests}</footer>"


def _lengths(result: Result) -> Iterator[str]:
    """The line through the texts' medians over their tokens."""
    curves: list[charts.LengthCurve] = []
    for one, colour in zip(result.settings, SERIES):  # of more settings the colours could not be told apart
        if fit := one.length_fit:
            text = np.array(one.samples.text, np.int64)
            _, times = per_text(text, one.samples.both_us)
            _, tokens = per_text(text, np.array(one.samples.tokens, np.float64))
            curves.append(charts.LengthCurve(tokens, times, fit.fixed_us, fit.per_token_us, colour))
    if curves:
        yield "<h2>Time by length</h2>"
        caption = "A dot is a text, the median of its runs; the line is the fit."
        yield figure(charts.length_curve_chart(curves), caption)
