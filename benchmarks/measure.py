"""The measurements of time and memory: cold start, latency and throughput in interleaved rounds."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.children import Child

_WARM_UP = 5  # calls thrown away when a peer's turn begins: its predecessor has filled the caches
_MINIMUM_FOR_P99 = 1000

Json = dict[str, Any]
Nanoseconds = NDArray[np.float64]


def cold_start(start: Callable[[], Child], times: int, rows: Sequence[int]) -> Json:
    """Process start → first answer in fresh processes, and the memory after answering `rows` one by one."""
    samples: list[Json] = []
    for _ in range(times):
        with start() as child:
            child.ask(cmd="run", batch=1, rows=list(rows))
            samples.append(
                {
                    "cold_start_ms": (child.first_answer_ns - child.started_ns) / 1e6,
                    "load_ms": child.loaded["load_ns"] / 1e6,
                    "first_inference_ms": child.loaded["first_ns"] / 1e6,
                    "peak_mib": child.ask(cmd="memory")["peak_kib"] / 1024,
                }
            )
    return {name: statistics.median(sample[name] for sample in samples) for name in samples[0]}


def cut(rows: Sequence[int], batch: int, rounds: int) -> list[list[int]]:
    """The rows in at most `rounds` turns of whole batches; what fills no batch is left out."""
    rounds = max(1, min(rounds, len(rows) // batch))
    turns = [part.tolist() for part in np.array_split(np.array(rows), rounds)]
    return [turn[: len(turn) // batch * batch] for turn in turns]


def interleaved(
    children: Mapping[str, Child],
    turns: Sequence[list[int]],
    batch: int,
    passes: int,
    order: random.Random,
) -> dict[str, Nanoseconds]:
    """Nanoseconds of every call, float64 [passes, calls], of every peer; all answer the same rows.

    In each turn the peers follow one another in a new random order, so that whatever slows the machine for
    a while slows all of them alike. All turns are taken `passes` times.
    """
    measured: dict[str, list[Nanoseconds]] = {name: [] for name in children}
    for _ in range(passes):
        collected: dict[str, list[int]] = {name: [] for name in children}
        for turn in turns:
            names = list(children)
            order.shuffle(names)
            for name in names:
                children[name].ask(cmd="run", batch=batch, rows=turn[: _WARM_UP * batch])
                collected[name] += children[name].ask(cmd="run", batch=batch, rows=turn)["ns"]
        for name, samples in collected.items():
            measured[name].append(np.array(samples, np.float64))
    return {name: np.stack(samples) for name, samples in measured.items()}


def undisturbed_ms(samples: Nanoseconds) -> NDArray[np.float64]:
    """Milliseconds of every call, [calls]: the fastest of its passes.

    The median would favour short calls on a busy machine: they slip between two interruptions, long
    ones do not.
    """
    fastest: NDArray[np.float64] = samples.min(axis=0) / 1e6
    return fastest


def latency(samples: Nanoseconds) -> Json:
    """Milliseconds a call. Mean and median are of the undisturbed times, the p99 is of all samples."""
    enough = samples.size >= _MINIMUM_FOR_P99
    undisturbed = undisturbed_ms(samples)
    return {
        "samples": samples.size,
        "mean_ms": float(undisturbed.mean()),
        "p50_ms": float(np.median(undisturbed)),
        "p99_ms": float(np.percentile(samples, 99)) / 1e6 if enough else None,
    }


def ratio(slower: Nanoseconds, faster: Nanoseconds, seed: int = 7) -> Json:
    """How many times as long `slower` takes for the same texts, with a bootstrap 95 % interval."""
    above, below = undisturbed_ms(slower), undisturbed_ms(faster)
    picks = np.random.default_rng(seed).integers(0, len(above), (1000, len(above)))
    low, high = np.percentile(above[picks].mean(axis=1) / below[picks].mean(axis=1), [2.5, 97.5])
    return {"ratio": float(above.mean() / below.mean()), "low": float(low), "high": float(high)}
