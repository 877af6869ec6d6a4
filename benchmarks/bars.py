"""The bars that the project set itself, and what was measured for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.peaks import Peaks, Work

Json = dict[str, Any]
# Time at batch 1 against edge-lstm's: at least so many times.
_FASTER = {
    "LiteRT int8": 6.0,
    "ONNX Runtime int8 (pre-processed, then quantize_dynamic)": 3.0,
    "PyTorch": 9.0,
}
_COST_OF_PROMISES = 1.03
_ROOFLINE = 3.0


@dataclass(frozen=True)
class Bar:
    """One bar: what is asked, what was measured, whether it holds."""

    asked: str
    measured: str
    holds: bool


def all_bars(report: Json) -> list[Bar]:
    """The bars whose contenders took part."""
    results = {result["name"]: result for result in report["contenders"]}
    ours = [result for result in report["contenders"] if result["group"] == "ours"]
    found = []
    if ours:
        found += _against_peers(ours[0], results)
        found.append(_roofline(ours, Peaks(**report["peaks"])))
    for what, cost in report["cost_of_promises"].items():
        if "same width" in what:
            asked = f"the promises cost under {100 * (_COST_OF_PROMISES - 1):.0f} % at {what}"
            found.append(Bar(asked, percent_more(cost), cost["ratio"] < _COST_OF_PROMISES))
    return found


def _against_peers(ours: Json, results: dict[str, Json]) -> list[Bar]:
    found = []
    seed = results.get("PyTorch")
    if seed is not None:
        mine, theirs = ours["accuracy"], seed["accuracy"]
        holds = mine["accuracy"] >= theirs["accuracy"]
        measured = f"{percent(mine['accuracy'])} % against {percent(theirs['accuracy'])} %"
        found.append(Bar("at least as accurate as the seed network in fp32", measured, holds))
    for name, times in _FASTER.items():
        if name in results:
            ratio = results[name]["times_the_first"]
            asked = f"{times:g} times as fast as {name}"
            found.append(Bar(asked, f"{interval(ratio)} times", ratio["ratio"] >= times))
    return found


def _roofline(ours: Sequence[Json], peaks: Peaks) -> Bar:
    """That of our file that comes nearest: wide networks do, narrow ones take less time in all."""
    times = {
        (result["name"], size): distance(result, peaks, int(size))
        for result in ours
        for size in result["batches"]
        if size != "1"
    }
    asked = f"in batches, at most {_ROOFLINE:g} times the roofline's time"
    if not times:
        return Bar(asked, "too few texts for a batch", False)
    name, size = best = min(times, key=times.__getitem__)
    return Bar(asked, f"{times[best]:.2f} times in batches of {size} ({name})", times[best] <= _ROOFLINE)


def distance(result: Json, peaks: Peaks, batch: int) -> float:
    """How many times the roofline's time for its own network a contender takes in batches of this size."""
    measured = result["batches"][str(batch)]
    best = peaks.ns_per_token(Work(**result["work"]), batch) * measured["mean_tokens"]
    return float(1e9 / measured["texts_per_second"] / best)


def interval(ratio: Json) -> str:
    """A ratio with its 95 % interval."""
    return f"{ratio['ratio']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"


def percent_more(ratio: Json) -> str:
    """The same as a percentage above 1."""
    more, low, high = (100 * (ratio[key] - 1) for key in ("ratio", "low", "high"))
    return f"{more:+.1f} % ({low:+.1f} to {high:+.1f})"


def percent(share: float) -> str:
    """A share of texts as a percentage of two decimals, never rounded up: 0.92676 → "92.67"."""
    # A share of whole texts may lie a hair below its decimal: 0.8888 · 10^4 is 8887.999….
    return f"{math.floor(share * 1e4 + 1e-6) / 100:.2f}"
