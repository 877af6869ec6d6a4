"""Which preset this machine can afford: untrained files are weighed and timed, the best that fits is taken.

An untrained network has the size and the time of a trained one with the same words and labels.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_lstm.errors import DataError
from edge_lstm_export.checkpoint import Checkpoint, load_checkpoint
from edge_lstm_export.fit import Prepared, new_network
from edge_lstm_export.network import NetworkConfig

if TYPE_CHECKING:  # what most trainings do without is imported where it is used
    from edge_lstm.classifier import Classifier

AUTO = "auto"
# The presets from the most to the least accurate (benchmarks/accuracy.md; a test holds it to that).
BY_ACCURACY = ("base", "medium", "small", "tiny", "seed")

# A trained file's provenance: 1.9 kB with two labels of IMDB, and some warnings.
_ACCOUNT_BYTES, _ACCOUNT_BYTES_PER_LABEL = 2_000, 250
_TIMED_TEXTS = 60
_ROUNDS = 5


@dataclass(frozen=True)
class Budget:
    """kb: largest int8 file, in 1,000 bytes; us: longest median time of a text, from text to answer at
    batch 1 on one thread, in µs. None is no limit."""

    kb: float | None = None
    us: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("--budget-kb", self.kb), ("--budget-us", self.us)):
            if value is not None and not value > 0:
                raise DataError(f"{name} must be above 0, not {value:g}")

    def allows(self, cost: Cost) -> bool:
        """Whether neither limit is broken."""
        return (self.kb is None or cost.kb <= self.kb) and (self.us is None or cost.us <= self.us)

    def __str__(self) -> str:
        limits = ((self.kb, "kB"), (self.us, "µs a text"))
        return " and ".join(f"{value:g} {unit}" for value, unit in limits if value is not None)


@dataclass(frozen=True)
class Cost:
    """A preset's int8 file in kB (1,000 bytes), and its median time of a text in µs."""

    kb: float
    us: float

    def __str__(self) -> str:
        return f"{self.kb:,.1f} kB {self.us:,.0f} µs"


@dataclass(frozen=True)
class Candidate:
    """A preset as the job would train it. teacher: "none" where the data have too few texts for the preset's,
    else what the job says."""

    prepared: Prepared
    shape: NetworkConfig
    teacher: str | None


@dataclass(frozen=True)
class Choice:
    """The preset that was taken, with its teacher (None: the preset's), and what each one costs (empty in a
    resumed training)."""

    preset: str
    teacher: str | None
    costs: Mapping[str, Cost]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON. Costs are left out: they hold times, and a training that is repeated makes
        the same bytes."""
        return {"preset": self.preset, "teacher": self.teacher}


Times = Callable[["Sequence[Classifier]", Sequence[str]], Sequence[float]]


def choose(
    candidates: Mapping[str, Candidate],
    budget: Budget,
    say: Callable[[str], None],
    times: Times | None = None,
) -> Choice:
    """The first candidate within the budget; ``say`` is told in one line what each one costs.

    times: stands in for :func:`median_micros` in tests. DataError where none fits.
    """
    files = {name: _untrained_file(candidate) for name, candidate in candidates.items()}
    prepared = next(iter(candidates.values())).prepared
    sizes = {
        name: len(data) + _ACCOUNT_BYTES + _ACCOUNT_BYTES_PER_LABEL * len(prepared.dataset.labels)
        for name, data in files.items()
    }
    from edge_lstm.classifier import Classifier
    from edge_lstm.modelfile import parse_model

    classifiers = [Classifier.from_model(parse_model(data, Path(name))) for name, data in files.items()]
    micros = (times or median_micros)(classifiers, _some_texts(prepared))
    costs = {
        name: Cost(round(size / 1000, 1), round(us, 1)) for (name, size), us in zip(sizes.items(), micros)
    }
    taken = next((name for name, cost in costs.items() if budget.allows(cost)), None)
    if taken is None:
        small, fast = min(costs, key=lambda n: costs[n].kb), min(costs, key=lambda n: costs[n].us)
        raise DataError(
            f"no preset fits {budget} here: the smallest is {small} ({costs[small]}), the fastest is {fast} "
            f"({costs[fast]}); raise --budget-kb or --budget-us"
        )
    measured = ", ".join(f"{name} {cost}" for name, cost in costs.items())
    say(f"preset {taken} fits {budget} (measured here: {measured} a text)")
    return Choice(taken, candidates[taken].teacher, costs)


def kept_choice(partial: Path) -> Choice:
    """The choice with which an unfinished training was begun. DataError where it was begun without one."""
    kept = load_checkpoint(partial).training.get("settings", {}).get("preset")
    if kept is None:
        raise DataError(
            f"{partial} was not begun with --preset {AUTO}; resume with the same options, "
            "or delete that file to start anew"
        )
    return Choice(kept["preset"], kept["teacher"], {})


def median_micros(classifiers: Sequence[Classifier], texts: Sequence[str]) -> list[float]:
    """Median over the texts of the µs from a text to its answer, at batch 1, one figure a classifier.

    The classifiers take turns at every text, so that what slows the machine slows all; each one's first
    run of a text brings it into the caches and is not counted. A text's time is the fastest of its rounds:
    other work on the machine adds to a time and never takes from it.
    """
    fastest = np.full((len(classifiers), len(texts)), np.inf)
    for _ in range(_ROUNDS):
        for column, text in enumerate(texts):
            for row, classifier in enumerate(classifiers):
                classifier.probabilities([text])
                start = time.perf_counter()
                classifier.probabilities([text])
                taken = (time.perf_counter() - start) * 1e6
                fastest[row, column] = min(fastest[row, column], taken)
    return [float(value) for value in np.median(fastest, axis=1)]


def _untrained_file(candidate: Candidate) -> bytes:
    prepared = candidate.prepared
    network = new_network(prepared, candidate.shape, seed=0)
    from edge_lstm_export.export import untried_int8

    return untried_int8(Checkpoint(network, prepared.tokenizer, prepared.dataset.labels, {}))


def _some_texts(prepared: Prepared) -> list[str]:
    """Training texts of every length that occurs, as often as it occurs."""
    by_length = sorted(prepared.train.texts, key=len)
    rows = np.linspace(0, len(by_length) - 1, min(_TIMED_TEXTS, len(by_length))).round().astype(int)
    return [by_length[row] for row in rows]
