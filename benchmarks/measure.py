"""What a peer answers, and its time and memory: cold start, latency and throughput in interleaved rounds."""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.processes import Child, Entrant

BATCHES = (8, 16)  # that a text's answer is compared in
_SAME_ANSWER_TEXTS = 960
_WARM_UP = 5  # calls thrown away when a peer's turn begins: its predecessor has filled the caches
_MINIMUM_FOR_P99 = 1000

Json = dict[str, Any]
Nanoseconds = NDArray[np.float64]


def probabilities(child: Child, rows: list[int], batch: int, folder: Path) -> NDArray[np.float32]:
    """Return float32 [rows], answered in batches of `batch` in the order given."""
    output = folder / "answer.npy"
    child.ask(cmd="probabilities", batch=batch, rows=rows, output=str(output))
    answer: NDArray[np.float32] = np.load(output)
    output.unlink()
    return answer


def accuracy(answer: NDArray[np.float32], labels: NDArray[np.int32]) -> Json:
    """Return the share of right labels at 0.5 with the half-width of its 95 % interval."""
    right = float(((answer >= 0.5) == (labels == 1)).mean())
    half_width = 1.96 * (right * (1 - right) / len(labels)) ** 0.5
    return {"texts": len(labels), "accuracy": right, "plus_minus": half_width}


def same_answer(child: Child, texts: int, folder: Path) -> Json:
    """Compare texts alone and in batches, by batch size: the largest difference of a probability, and labels
    that flip."""
    rows = random.Random(11).sample(range(texts), min(texts, _SAME_ANSWER_TEXTS))
    alone = probabilities(child, rows, 1, folder)
    figures: Json = {}
    for size in BATCHES:
        whole = rows[: len(rows) // size * size]  # some tools take no other number of rows than the file's
        if whole:
            batched, reference = probabilities(child, whole, size, folder), alone[: len(whole)]
            figures[str(size)] = {
                "texts": len(batched),
                "differ": int((batched != reference).sum()),
                "largest_difference": float(np.abs(batched - reference).max()),
                "labels_flipped": int(((batched >= 0.5) != (reference >= 0.5)).sum()),
            }
    return figures


def cold_start(entrant: Entrant, texts: Path, times: int, rows: Sequence[int]) -> Json:
    """Measure process start → first answer in fresh processes, and the memory after answering `rows` one by
    one: medians."""
    starts, peaks = [], []
    for _ in range(times):
        with Child(entrant, texts) as child:
            child.ask(cmd="run", batch=1, rows=list(rows))
            starts.append((child.first_answer_ns - child.started_ns) / 1e6)
            peaks.append(child.ask(cmd="memory")["peak_kib"] / 1024)
    return {"cold_start_ms": statistics.median(starts), "peak_mib": statistics.median(peaks)}


def cut(rows: Sequence[int], batch: int, rounds: int) -> list[list[int]]:
    """Cut the rows into at most `rounds` turns of whole batches; leave out what fills none."""
    rounds = max(1, min(rounds, len(rows) // batch))
    turns = [part.tolist() for part in np.array_split(np.array(rows), rounds)]
    return [turn[: len(turn) // batch * batch] for turn in turns]


def interleaved(
    children: Mapping[str, Child], turns: Sequence[list[int]], batch: int, passes: int, order: random.Random
) -> dict[str, Nanoseconds]:
    """Return the nanoseconds of every call, float64 [passes, calls], of every peer; all answer the same rows.

    In each turn the peers follow one another in a new random order, so that whatever slows the machine for
    a while slows all of them alike. All turns are taken `passes` times.
    """
    samples: dict[str, list[int]] = {name: [] for name in children}
    for turn in [turn for _ in range(passes) for turn in turns]:
        for name in order.sample(list(children), len(children)):
            children[name].ask(cmd="run", batch=batch, rows=turn[: _WARM_UP * batch])
            samples[name] += children[name].ask(cmd="run", batch=batch, rows=turn)["ns"]
    return {name: np.array(values, np.float64).reshape(passes, -1) for name, values in samples.items()}


def undisturbed_ms(samples: Nanoseconds) -> NDArray[np.float64]:
    """Return the milliseconds of every call, [calls]: the fastest of its passes.

    The median would favour short calls on a busy machine: they slip between two interruptions, long
    ones do not.
    """
    fastest: NDArray[np.float64] = samples.min(axis=0) / 1e6
    return fastest


def latency(samples: Nanoseconds) -> Json:
    """Return the milliseconds of a call: the median of the undisturbed times, the p99 of all samples."""
    enough = samples.size >= _MINIMUM_FOR_P99
    return {
        "samples": samples.size,
        "p50_ms": float(np.median(undisturbed_ms(samples))),
        "p99_ms": float(np.percentile(samples, 99)) / 1e6 if enough else None,
    }


def ratio(slower: Nanoseconds, faster: Nanoseconds) -> Json:
    """Return how many times as long `slower` takes for the same texts, with a bootstrap 95 % interval."""
    above, below = undisturbed_ms(slower), undisturbed_ms(faster)
    picks = np.random.default_rng(7).integers(0, len(above), (1000, len(above)))
    low, high = np.percentile(above[picks].mean(axis=1) / below[picks].mean(axis=1), [2.5, 97.5])
    return {"ratio": float(above.mean() / below.mean()), "low": float(low), "high": float(high)}
