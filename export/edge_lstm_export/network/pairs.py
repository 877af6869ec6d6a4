"""The table of word pairs: the vector of each pair, without a list of the pairs.

A pair is hashed to a bucket, and the bucket's displacement leads to a slot ("hash, displace and
compress"; Belazzougui, Botelho & Dietzfelbinger, 2009). The slot keeps 16 bits of the pair, its
fingerprint. A foreign pair that has both counts as the slot's own: this table decides which n-grams
a network has, in training as on the device. docs/file-format.md has the arithmetic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
# int64 of NumPy or of PyTorch.
Whole = TypeVar("Whole", bound=Any)

# A Mersenne prime, and two multipliers for it (Fishman & Moore, 1986, SIAM J. Sci. Stat. Comput. 7:
# 24-45). All products are below 2^62.
PRIME = 2**31 - 1
BUCKET_FACTOR = 950706376
SLOT_FACTOR = 742938285
# A pair's key is its left id times this, plus its right id; no id is as large.
LEFT_FACTOR = 2**17
# Prime; a fingerprint is 1 to this, and 0 marks an empty slot.
FINGERPRINTS = 65521
# Bytes of a displacement and of a fingerprint.
NUMBER_BYTES = 2

SLOTS_PER_PAIR = 1.03  # fewer empty slots cost more displacements, more of them more bytes
SLOTS_PER_BUCKET = 4
MOST_DISPLACEMENT = 2**16 - 1
# Displacements that are tried at once.
_TRIED = 64


def buckets_of(slots: int) -> int:
    """Return the number of displacements of a table with this number of slots."""
    return math.ceil(slots / SLOTS_PER_BUCKET)


def pair_keys(left: Whole, right: Whole) -> Whole:
    """Return the numbers, 0 to PRIME - 1, that pairs of ids are known by. Very few are alike."""
    keys: Whole = (left * LEFT_FACTOR + right) % PRIME
    return keys


@dataclass(frozen=True)
class PairTable:
    """A table of word pairs.

    displacements: int64 [buckets], 0 to MOST_DISPLACEMENT.
    fingerprints: int64 [slots], 0 for an empty slot. A table without slots has no pairs.

    Both are arrays of NumPy or tensors of PyTorch.
    """

    displacements: Any
    fingerprints: Any

    def find(self, left: Whole, right: Whole) -> tuple[Whole, Whole]:
        """Return each pair's slot, and whether the slot is the pair's.

        left, right: ids, int64 of one shape, in the kind of array that the table is in. A pair with
        padding, 0, has no slot. The table must have slots.
        """
        slots = len(self.fingerprints)
        bucket, step, first, fingerprint = _hashed(pair_keys(left, right), slots)
        slot = (first + self.displacements[bucket] * step) % slots
        is_own = self.fingerprints[slot] == fingerprint
        return slot, is_own & (left > 0) & (right > 0)


NO_PAIRS = PairTable(np.zeros(0, np.int64), np.zeros(0, np.int64))


def _hashed(keys: Whole, slots: int) -> tuple[Whole, Whole, Whole, Whole]:
    """Return four values per key.

    They are its bucket, the step of a displacement, the slot without displacement, and the
    fingerprint.
    """
    buckets = buckets_of(slots)
    high = keys * BUCKET_FACTOR % PRIME
    low = keys * SLOT_FACTOR % PRIME
    step = 1 + high // buckets % max(slots - 1, 1)
    return high % buckets, step, low % slots, 1 + low % FINGERPRINTS


def table_of(pairs: Ints, most_slots: int) -> tuple[PairTable, Ints]:
    """Make the table of these pairs.

    pairs: int64 [n, 2], ids, both at least 1; the most important first. If several have one key,
        the first stays. As many stay as find room.
    most_slots: slots that the table may have.

    Returns the table, and int64 [slots, 2]: the pair in each slot, 0 in an empty one. The same
    pairs give the same table.
    """
    keys = pair_keys(pairs[:, 0], pairs[:, 1])
    pairs = pairs[np.sort(np.unique(keys, return_index=True)[1])]
    largest = next((n for n in range(most_slots, 1, -1) if _is_prime(n)), 0)
    pairs = pairs[: int(largest / SLOTS_PER_PAIR)]
    while len(pairs):
        slots = math.ceil(SLOTS_PER_PAIR * len(pairs))
        while slots <= largest:
            if _is_prime(slots):
                made = _placed(pair_keys(pairs[:, 0], pairs[:, 1]), slots)
                if made is not None:
                    table, place = made
                    own = np.zeros((slots, 2), np.int64)
                    own[place] = pairs
                    return table, own
            slots += 1
        pairs = pairs[:-1]
    return NO_PAIRS, np.zeros((0, 2), np.int64)


def _placed(keys: Ints, slots: int) -> tuple[PairTable, Ints] | None:
    """Return a table of this size and the slot of each key; None if a bucket finds no place.

    The largest buckets choose first, each the smallest displacement by which its keys have slots of
    their own.
    """
    bucket, step, first, fingerprint = _hashed(keys, slots)
    sizes = np.bincount(bucket, minlength=buckets_of(slots))
    members = np.argsort(bucket, kind="stable")
    ends = np.cumsum(sizes)
    is_free = np.ones(slots, np.bool_)
    displacements = np.zeros(len(sizes), np.int64)
    place = np.zeros(len(keys), np.int64)
    for chosen in np.argsort(-sizes, kind="stable").tolist():
        size = int(sizes[chosen])
        if not size:
            break
        own = members[ends[chosen] - size : ends[chosen]]
        found = _displacement(first[own], step[own], is_free)
        if found is None:
            return None
        displacements[chosen], place[own] = found
        is_free[place[own]] = False
    fingerprints = np.zeros(slots, np.int64)
    fingerprints[place] = fingerprint
    return PairTable(displacements, fingerprints), place


def _displacement(
    first: Ints, step: Ints, is_free: npt.NDArray[np.bool_]
) -> tuple[int, Ints] | None:
    """Return the smallest displacement that leads a bucket's keys to free slots, and the slots.

    None if no displacement up to MOST_DISPLACEMENT does.
    """
    start = 0
    count = _TRIED
    while start <= MOST_DISPLACEMENT:
        tried = np.arange(start, min(start + count, MOST_DISPLACEMENT + 1))
        slots = (first + tried[:, None] * step) % len(is_free)
        for i in np.flatnonzero(is_free[slots].all(axis=1)).tolist():
            if len(set(slots[i].tolist())) == len(first):
                return start + i, slots[i]
        start += count
        count *= 4
    return None


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % i for i in range(2, math.isqrt(number) + 1))
