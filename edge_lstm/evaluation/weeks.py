"""Agreement with the labels by week, of texts that have a date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from edge_lstm import metrics
from edge_lstm.metrics import Bools


@dataclass(frozen=True, kw_only=True)
class Week:
    """The texts of a week, and the answers to them.

    monday: the week's first day, as 2026-03-02.
    texts: their number, at least 1.
    agreement: share of texts whose answer is the label.
    interval: its 95 % interval.
    answered: share of texts on which the model does not abstain.
    wrong: share of these answers that differs from the label; None if nothing is answered.
    """

    monday: str
    texts: int
    agreement: float
    interval: metrics.Interval
    answered: float
    wrong: float | None


def weeks(correct: Bools, answered: Bools, dates: Sequence[date]) -> list[Week]:
    """Return the weeks that have a text, the first one first.

    correct: bool [n], whether the answer is the label.
    answered: bool [n], whether the model does not abstain.
    dates: of each text, in UTC.
    """
    first_days = np.array([day - timedelta(days=day.weekday()) for day in dates])
    found = []
    for monday in np.unique(first_days):
        is_here = first_days == monday
        right = correct[is_here]
        kept = answered[is_here]
        week = Week(
            monday=monday.isoformat(),
            texts=len(right),
            agreement=float(right.mean()),
            interval=metrics.wilson_interval(int(right.sum()), len(right)),
            answered=float(kept.mean()),
            wrong=float(1 - right[kept].mean()) if kept.any() else None,
        )
        found.append(week)
    return found
