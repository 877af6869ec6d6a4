"""A latency result as one HTML page that opens offline and prints."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np

from edge_lstm.charts import length_chart
from edge_lstm.html import SERIES, figure, items, page, table
from edge_lstm.latency import summary
from edge_lstm.latency.result import Result
from edge_lstm.printable import listed


def report(result: Result) -> str:
    """The page: HTML that loads nothing and runs no script."""
    models = dict.fromkeys(one.model for one in result.settings)
    digests = [f"{Path(model.path).name}: sha256 {model.sha256}" for model in models]
    names = listed(list(dict.fromkeys(Path(model.path).name.removesuffix(".onnx") for model in models)), 3)
    measured = f"{result.created}, measured for {result.seconds:.0f} s"
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    return page(
        f"Latency of {names}",
        [summary.machine_line(result), summary.texts_line(result), measured],
        _body(result),
        [versions, *digests],
    )


def _body(result: Result) -> Iterator[str]:
    if result.warnings:
        yield f"<p><b>Read with care</b></p>{items(warning.text for warning in result.warnings)}"
    else:
        yield "<p>No condition disturbed the measurement.</p>"
    names = [one.name for one in result.settings]
    for cells in summary.tables(result):
        yield table(cells, names)
    curves = [
        (np.array(one.by_text) * (1, 1e-6), (fit.fixed_us / 1e6, fit.per_token_us / 1e6), colour)
        for one, colour in zip(
            result.settings, SERIES
        )  # of more settings the colours could not be told apart
        if (fit := one.length_fit) and one.by_text
    ]
    if curves:
        caption = "A dot is a text, the median of its runs; the line is the fit."
        yield f"<h2>Time by length</h2>{figure(length_chart(curves), caption)}"
    yield f'<p class="muted">{escape(result.energy_note)}.</p>'
