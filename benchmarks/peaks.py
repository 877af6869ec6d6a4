"""The roofline: the best time that a CPU with these measured peaks could take for a token of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks import seed


@dataclass(frozen=True)
class Work:
    """What a token costs: multiply-adds (as many weights are read, once a step) and embedding columns."""

    multiply_adds: int
    embedding: int


SEED_WORK = Work(seed.MULTIPLY_ADDS_PER_TOKEN, seed.EMBEDDING)


def work_of(network: Mapping[str, Any]) -> Work:
    """The work of an edge-lstm network, from what its model file says of it. Sentinels are no work of it."""
    directions = 2 if network["bidirectional"] else 1
    hidden, embedding = network["hidden"], network["embedding_dim"]
    inputs = [embedding, *[directions * hidden] * (network["layers"] - 1)]
    return Work(sum(directions * 4 * hidden * (width + hidden) for width in inputs), embedding)


@dataclass(frozen=True)
class Peaks:
    """What one thread reaches here. Multiply-adds a second; bytes a second."""

    int8_multiply_adds: float
    fp32_multiply_adds: float
    cache_bandwidth: float  # reading from the second-level cache
    memory_bandwidth: float  # reading from memory
    first_cache: int  # bytes of the first-level data cache

    def ns_per_token(self, work: Work, batch: int) -> float:
        """Nanoseconds a token in int8 at best: the slower of computing and of reading.

        What the first-level cache cannot hold of the weights comes from the second at every step, once for
        the whole batch; each row reads its own line of the embedding.
        """
        computing = work.multiply_adds / self.int8_multiply_adds
        weights = max(0, work.multiply_adds - self.first_cache)
        reading = (weights / batch + work.embedding) / self.cache_bandwidth
        return 1e9 * max(computing, reading)

    def better(self, other: Peaks) -> Peaks:
        """The higher of each: a peak is what the CPU can do, not what it does while others use it."""
        return Peaks(
            max(self.int8_multiply_adds, other.int8_multiply_adds),
            max(self.fp32_multiply_adds, other.fp32_multiply_adds),
            max(self.cache_bandwidth, other.cache_bandwidth),
            max(self.memory_bandwidth, other.memory_bandwidth),
            self.first_cache,
        )
