"""What a person should know of a measured result before relying on it: each a line that says what to do."""

from __future__ import annotations

from collections.abc import Iterator

from edge_lstm_export.datasets.dataset import listed, shorten
from edge_lstm_export.evaluation import Measured

# Points of accuracy: an interval this wide on either side cannot tell two trainings apart.
WIDE_INTERVAL = 5.0


def remarks(measured: Measured) -> Iterator[str]:
    """Of the validation part's result, since that is what epochs and options are chosen by."""
    points = (measured.interval.high - measured.interval.low) * 50
    if points > WIDE_INTERVAL:
        yield (
            f"the validation part holds {measured.texts} texts: its accuracy is known to ±{points:.0f} "
            "points only; collect more texts, or hold out more with --validation"
        )
    frequent = max(measured.labels, key=lambda row: row.support)
    share = frequent.support / measured.texts
    if measured.interval.low <= share:
        yield (
            f"not shown to be better than always answering {shorten(frequent.label)} "
            f"({measured.accuracy:.1%} against {share:.1%}): do not rely on it, collect more texts"
        )
    never = [shorten(row.label) for row in measured.labels if row.support and not row.predicted]
    if never:
        yield (
            f"{listed(never)} is never the answer on the validation part: collect more such texts, "
            "or use the label's probability with a threshold of your own"
        )
