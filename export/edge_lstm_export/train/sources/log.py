"""The log of ``serve``: the requests behind its rows, and their changes.

A row that was handed back stands for itself. A sure answer that was checked by chance stands for
all the sure answers that were not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from edge_lstm.core.risk_coverage import fewest_texts
from edge_lstm.errors import DataError
from edge_lstm.metrics import wilson_interval
from edge_lstm.printable import shorten
from edge_lstm.tables.format import Row
from edge_lstm.tables.labelled import LabelledTexts
from edge_lstm_export.arrays import Bools, Floats
from edge_lstm_export.train.sources.dataset import as_traffic

# The columns by which a log is known, as serve writes them.
TIME = "time"
BECAUSE = "because"
_TEXT = "text"
_STATE = "state"
SHADOW = "shadow"
NO_FILE = "no file"
UNFAMILIAR = "unfamiliar"

# No row stands for more requests: one wrong label would decide the calibration.
_MOST = 100

# The share of errors that a file is usually asked for.
_USUAL_RISK = 0.05


@dataclass(frozen=True)
class Log:
    """The rows of a log that answer one question, in its order.

    days: as YYYY-MM-DD; "" if the row has no time.
    why: NO_FILE, SHADOW, or the status of the file's answer.
    weights: float64 [n], the requests that each row stands for.
    given: the upstream's label.
    own: the file's label; None without a file.
    files: the digest of the file that was asked; None without one.
    """

    days: list[str]
    why: list[str]
    weights: Floats
    given: list[str]
    own: list[str | None]
    files: list[str | None]

    def notes(self, source: str) -> Iterator[str]:
        """Yield the number of requests behind the rows, the limits of the log, and its changes."""
        checked = self.why.count(SHADOW)
        passed = self.why.count(NO_FILE)
        handed = len(self.why) - checked - passed
        yield (
            f"{source}: {passed:,} requests that no file answered, {handed:,} handed back, "
            f"{checked:,} sure answers checked; they stand for {self.weights.sum():,.0f} requests"
        )
        needed = fewest_texts(_USUAL_RISK)
        if handed and not checked:
            yield (
                f"{source}: no sure answer was ever checked, so accuracy and serve --abstain are "
                "of the questions that were handed back alone; give serve --shadow 0.2"
            )
        elif checked and checked < needed:
            yield (
                f"{source}: serve --abstain {_USUAL_RISK} on the traffic needs {needed} checked "
                f"sure answers or more, {needed - checked} are missing; raise serve --shadow"
            )
        if agreement := self._agreement():
            yield f"{source}: {agreement}"
        if change := self._change():
            yield f"{source}: {change}"

    def _agreement(self) -> str | None:
        """Return how often the file that was asked last agreed, on all of its requests.

        None without a file, or without a checked answer of it.
        """
        last = next((each for each in reversed(self.files) if each), None)
        rows = [row for row, file in enumerate(self.files) if last and file == last]
        if last is None or SHADOW not in {self.why[row] for row in rows}:
            return None
        agrees = [self.given[row] == self.own[row] for row in rows]
        agreed = np.average(agrees, weights=self.weights[rows])
        effective = len(as_traffic(self.weights[rows]))
        interval = wilson_interval(round(agreed * effective), effective)
        return (
            f"the file {last[:8]} agreed with the upstream on {agreed:.1%} (95 %: "
            f"{interval.low * 100:.1f} to {interval.high * 100:.1f}) of its requests"
        )

    def _change(self) -> str | None:
        """Return what the last day has more or less of than the days before; None for nothing."""
        last = max(self.days, default="")
        traffic = as_traffic(self.weights)
        is_checked = np.array(self.why)[traffic] == SHADOW
        is_last = np.array(self.days)[traffic] == last
        given = np.array(self.given)[traffic]
        own = np.array([each or "" for each in self.own])[traffic]
        everything = np.ones(len(traffic), np.bool_)
        counted = {f"the label {shorten(each)}": (given == each, everything) for each in {*given}}
        counted["unfamiliar texts"] = (np.array(self.why)[traffic] == UNFAMILIAR, everything)
        counted["wrong among the checked sure answers"] = (given != own, is_checked)
        # As many comparisons as there are shares: together they are wrong once in twenty times.
        furthest = NormalDist().inv_cdf(1 - 0.025 / len(counted))
        change = None
        for what, (has, among) in sorted(counted.items()):
            now = _share(has, among & is_last)
            before = _share(has, among & ~is_last)
            deviation = _deviation(has, among, is_last)
            if deviation > furthest:
                furthest = deviation
                change = f"{what}: {now:.1%} on {last}, {before:.1%} on the days before"
        return change


def _share(has: Bools, among: Bools) -> float:
    return float(has[among].mean()) if among.any() else 0.0


def _deviation(has: Bools, among: Bools, is_last: Bools) -> float:
    """Return how many standard errors the shares of two groups are apart (z test)."""
    sizes = [int((among & is_last).sum()), int((among & ~is_last).sum())]
    pooled = _share(has, among)
    if not all(sizes) or pooled in (0, 1):
        return 0.0
    apart = abs(_share(has, among & is_last) - _share(has, among & ~is_last))
    return apart / float(np.sqrt(pooled * (1 - pooled) * sum(1 / size for size in sizes)))


def read_log(rows: Iterable[Row], labelled: LabelledTexts) -> Log:
    """Return the log of the rows with a label.

    rows: of the file. labelled: read from it, with one label each.

    Raise DataError for a row that no server wrote.
    """
    assert labelled.columns is not None
    (column,) = labelled.columns.labels
    kept = {*labelled.numbers}
    days: list[str] = []
    reasons: list[Mapping[str, Any]] = []
    for row in rows:
        if row.number in kept:
            days.append(str(row.values.get(TIME) or "")[:10])
            reasons.append(_reason(row, column))
    weights = np.array([1 / max(float(each.get("chance", 1)), 1 / _MOST) for each in reasons])
    why = [str(each.get("why", NO_FILE)) for each in reasons]
    own = [each.get("label") for each in reasons]
    files = [each.get("sha256") for each in reasons]
    return Log(days, why, weights, labelled.names, own, files)


def request_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return the object that a request of a log was about; another row as it is."""
    if not row.keys() >= {TIME, BECAUSE, _TEXT}:
        return row
    state = row.get(_STATE)
    return state if isinstance(state, dict) else {_TEXT: row[_TEXT]}


def _reason(row: Row, column: str) -> Mapping[str, Any]:
    """Return why a row is there; an empty one if it does not say. Raise DataError."""
    asked = row.values.get(BECAUSE) or {}
    reason = asked.get(column, {}) if isinstance(asked, dict) else None
    if isinstance(reason, dict):
        label = reason.get("label")
        sha256 = reason.get("sha256")
        # A reader leaves numbers as they are written.
        with suppress(TypeError, ValueError):
            is_chance = 0 < float(reason.get("chance", 1)) <= 1
            are_texts = all(each is None or isinstance(each, str) for each in (label, sha256))
            if is_chance and are_texts:
                return reason
    raise DataError(
        f"{row.source} row {row.number}: {BECAUSE!r} is not what serve --log writes; correct or "
        "remove it"
    )
