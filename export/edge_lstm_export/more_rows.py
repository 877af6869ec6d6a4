"""Would more rows help? The accuracy over the number of labelled rows, and what twice as many are worth.

Each row is judged by networks that learnt from some of the others, an eighth, a quarter, a half and all that
cross-validation leaves. The error falls as a power of the number of rows, as it does over wide ranges
(Hestness et al., 2017), so a line through its logarithm says what doubling them is worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm.atomic import open_atomically, write_atomically
from edge_lstm.metrics import Interval, wilson_interval
from edge_lstm.printable import printable, to_json

Bools = npt.NDArray[np.bool_]

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
FEWEST_ROWS = 10  # that a point is learnt from
FEWEST_ROWS_IN_ALL = 4 * FEWEST_ROWS  # a quarter, a half and all: three points
LEAST_GAIN = 0.005  # less is nothing that so few points can tell
ALONE, TAUGHT = "rows alone", "with the teacher"
_RESAMPLED = 1000


@dataclass(frozen=True)
class Gain:
    """What twice the rows are expected to add to the accuracy (0.03 is 3 points), with its interval."""

    points: float
    interval: Interval


@dataclass(frozen=True)
class Curve:
    """learnt: rows that each point's networks learnt from, ascending; total: rows that there are.

    right: by what was learnt (ALONE, TAUGHT), bool [points, total]: whether each row was answered rightly.
    """

    learnt: tuple[int, ...]
    total: int
    right: Mapping[str, Bools]

    def accuracies(self, name: str) -> list[float]:
        """From 0 to 1, one a point."""
        return [float(row.mean()) for row in self.right[name]]

    def intervals(self, name: str) -> list[Interval]:
        """95 % intervals, one a point."""
        return [wilson_interval(int(row.sum()), self.total) for row in self.right[name]]

    def gain(self, name: str) -> Gain:
        """Of doubling all rows; its interval is that of rows drawn anew (bootstrap, 95 %)."""
        right = self.right[name]
        rng = np.random.default_rng(0)
        drawn = rng.integers(0, self.total, (_RESAMPLED, self.total))
        errors = np.stack([1 - row[drawn].mean(axis=1) for row in right], axis=1)
        low, high = np.quantile(self._gains(errors), (0.025, 0.975))
        (points,) = self._gains(1 - right.mean(axis=1, keepdims=True).T)
        return Gain(float(points), Interval(float(low), float(high)))

    def _gains(self, errors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """errors: [n, points], from 0 to 1 → [n]: what doubling takes off the error; never below 0."""
        logs = np.log(np.maximum(errors, 0.5 / self.total))
        x = np.log(np.array(self.learnt, np.float64))
        x -= x.mean()
        slope = np.minimum(0, (logs @ x) / (x @ x))
        at_all = np.exp(logs.mean(axis=1) + slope * (np.log(self.total) - np.log(self.learnt).mean()))
        return np.asarray(at_all * (1 - 2**slope))

    def sentence(self) -> str:
        """What doubling the rows is worth, for a person."""
        said = []
        for name in self.right:
            gain = self.gain(name)
            with_teacher = "" if name == ALONE else f", {TAUGHT} "
            low, high = 100 * gain.interval.low, 100 * gain.interval.high
            if gain.points < LEAST_GAIN:
                said.append(f"{with_teacher}less than half a point")
            else:
                points = f"{100 * gain.points:.1f}".removesuffix(".0")
                plural = "" if points == "1" else "s"
                said.append(f"{with_teacher}about {points} point{plural} ({low:.1f} to {high:.1f})")
        return f"doubling your {self.total:,} rows is worth {''.join(said)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON: accuracies and gains from 0 to 1."""
        found: dict[str, Any] = {"rows": self.total, "learnt_from": list(self.learnt)}
        for name, key in ((ALONE, "alone"), (TAUGHT, "with_teacher")):
            if name in self.right:
                gain = self.gain(name)
                found[key] = {
                    "accuracy": [round(value, 4) for value in self.accuracies(name)],
                    "interval": [[round(i.low, 4), round(i.high, 4)] for i in self.intervals(name)],
                    "doubling": round(gain.points, 4),
                    "doubling_interval": [round(gain.interval.low, 4), round(gain.interval.high, 4)],
                }
        return found


class CurveInterrupted(KeyboardInterrupt):
    """While the curve was measured: the training was complete and its checkpoint written."""


def rows_of(total: int, folds: int) -> tuple[int, ...]:
    """How many of ``total`` rows each point learns from, ascending; those of too few are left out."""
    all_but_a_fold = total - -(-total // folds)
    counts = {min(round(share * total), all_but_a_fold) for share in SHARES}
    return tuple(sorted(count for count in counts if count >= FEWEST_ROWS))


def write_curve(curve: Curve, path: Path) -> None:
    """As JSON."""
    write_atomically(to_json(curve.to_dict()) + "\n", path)


def draw_curve(curve: Curve, path: Path, title: str) -> None:
    """As a PNG: accuracy over the rows, with 95 % intervals. Imports matplotlib, which takes a second."""
    from matplotlib.figure import Figure  # without pyplot: needs no display
    from matplotlib.ticker import NullLocator

    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for name, colour in ((ALONE, "#7a8ba0"), (TAUGHT, "#c8501e")):
        if name not in curve.right:
            continue
        means = [100 * value for value in curve.accuracies(name)]
        low = [100 * each.low for each in curve.intervals(name)]
        high = [100 * each.high for each in curve.intervals(name)]
        axes.plot(curve.learnt, means, "o-", color=colour, label=name)
        axes.fill_between(curve.learnt, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_xscale("log")
    axes.set_xticks(curve.learnt, [f"{count:,}" for count in curve.learnt])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="labelled rows learnt from", ylabel="accuracy, cross-validated, %")
    axes.set_title(printable(curve.sentence()), fontsize=9)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    figure.suptitle(printable(title), fontsize=10)
    with open_atomically(path) as file:
        figure.savefig(file, format="png", dpi=120)
