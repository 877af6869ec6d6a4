"""The log of ``serve``: the requests behind its rows, and their changes.

A row that was handed back stands for itself. A sure answer that was checked by chance stands for
all the sure answers that were not.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from edge_lstm.core.risk_coverage import fewest_texts
from edge_lstm.errors import DataError
from edge_lstm.printable import Pairs, shorten
from edge_lstm.tables.format import Row
from edge_lstm.tables.labelled import LabelledTexts
from edge_lstm_export.arrays import Floats
from edge_lstm_export.train.sources.dataset import as_traffic

# The columns by which a log is known, as serve writes them.
TIME = "time"
BECAUSE = "because"
_TEXT = "text"
_STATE = "state"
SHADOW = "shadow"
NO_FILE = "no file"
UNFAMILIAR = "unfamiliar"

_UNFAMILIAR_TEXTS = "unfamiliar texts"
_WRONG = "wrong among the checked sure answers"

# No row stands for more requests: one wrong label would decide the calibration.
_MOST = 100

# The share of errors that a file is usually asked for.
_USUAL_RISK = 0.05


class Logged(NamedTuple):
    """A row of a log that answers one question.

    day: YYYY-MM-DD; "" if the row has no time.
    why: NO_FILE, SHADOW, or the status of the file's answer.
    weight: the requests that the row stands for.
    own: the file's label; None without a file.
    given: the upstream's label.
    """

    day: str
    why: str
    weight: float
    own: str | None
    given: str


@dataclass(frozen=True)
class Log:
    """The rows of a log that answer one question, in its order."""

    rows: Sequence[Logged]

    @property
    def weights(self) -> Floats:
        """float32 [n], the requests that each row stands for."""
        return np.array([row.weight for row in self.rows], np.float32)

    def notes(self) -> Iterator[str]:
        """Yield the number of requests behind the rows, the limits of the log, and its changes."""
        counts = Counter(row.why for row in self.rows)
        checked = counts[SHADOW]
        handed = len(self.rows) - checked - counts[NO_FILE]
        yield (
            f"{counts[NO_FILE]:,} requests that no file answered, {handed:,} handed back, "
            f"{checked:,} sure answers checked; they stand for {self.weights.sum():,.0f} requests"
        )
        needed = fewest_texts(_USUAL_RISK)
        if handed and not checked:
            yield (
                "no sure answer was ever checked, so accuracy and serve --abstain are of the "
                "questions that were handed back alone; give serve --shadow 0.2"
            )
        elif checked and checked < needed:
            yield (
                f"serve --abstain {_USUAL_RISK} on the traffic needs {needed} checked sure answers "
                f"or more, {needed - checked} are missing; raise serve --shadow"
            )
        yield from self._change()

    def _change(self) -> Iterator[str]:
        """Yield what the last day has most clearly more or less of than the days before."""
        last = max(row.day for row in self.rows)
        # What there is, in how many rows, and among how many: of the days before, and of the last.
        found: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        among: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        for i in as_traffic(self.weights):
            row = self.rows[i]
            is_last = row.day == last
            found[f"the label {shorten(row.given)}"][is_last] += 1
            found[_UNFAMILIAR_TEXTS][is_last] += row.why == UNFAMILIAR
            among[""][is_last] += 1
            if row.why == SHADOW:
                found[_WRONG][is_last] += row.given != row.own
                among[_WRONG][is_last] += 1
        # As many comparisons as there are shares: together they are wrong once in twenty times.
        furthest = NormalDist().inv_cdf(1 - 0.025 / len(found))
        change = None
        for what, counts in sorted(found.items()):
            texts = among.get(what, among[""])
            pooled = sum(counts) / sum(texts)
            if not all(texts) or pooled in (0, 1):
                continue
            before, now = (count / total for count, total in zip(counts, texts))
            # The standard error of the difference (z test).
            error = math.sqrt(pooled * (1 - pooled) * sum(1 / total for total in texts))
            if abs(now - before) > furthest * error:
                furthest = abs(now - before) / error
                change = f"{what}: {now:.1%} on {last}, {before:.1%} on the days before"
        if change is not None:
            yield change


def read_log(rows: Iterable[Row], labelled: LabelledTexts) -> Log:
    """Return the log of the rows with a label.

    rows: of the file. labelled: read from it, with one label each.

    Raise DataError for a row that no server wrote.
    """
    assert labelled.columns is not None
    (column,) = labelled.columns.labels
    given = dict(zip(labelled.numbers, labelled.names))
    return Log([_logged(row, column, given[row.number]) for row in rows if row.number in given])


def request_of(row: Pairs) -> Pairs:
    """Return the object that a request of a log was about; another row as it is."""
    columns = dict(row)
    if not columns.keys() >= {TIME, BECAUSE, _TEXT}:
        return row
    state = columns.get(_STATE)
    return state if isinstance(state, Pairs) else Pairs([(_TEXT, columns[_TEXT])])


def _logged(row: Row, column: str, given: str) -> Logged:
    """Return a row; one that does not say why it is there stands for itself. Raise DataError."""
    asked = row.values.get(BECAUSE) or {}
    day = str(row.values.get(TIME) or "")[:10]
    # A reader leaves numbers as they are written.
    with suppress(AttributeError, TypeError, ValueError):
        reason = asked.get(column, {})
        chance = float(reason.get("chance", 1))
        own = reason.get("label")
        if 0 < chance <= 1 and (own is None or isinstance(own, str)):
            weight = 1 / max(chance, 1 / _MOST)
            return Logged(day, str(reason.get("why", NO_FILE)), weight, own, given)
    raise DataError(
        f"{row.source} row {row.number}: {BECAUSE!r} is not what serve --log writes; correct or "
        "remove it"
    )
