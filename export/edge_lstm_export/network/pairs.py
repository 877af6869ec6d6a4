"""The table of word pairs: the vector of each pair, without a list of the pairs.

A pair is hashed to a bucket, and the bucket's displacement leads to a slot ("hash, displace and
compress"; Belazzougui, Botelho & Dietzfelbinger, 2009). The slot keeps 8 bits of the pair, its
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
# A fingerprint is 1 to this, and 0 marks an empty slot. It takes a byte, as a displacement does.
FINGERPRINTS = 255
MOST_DISPLACEMENT = 255
# More slots would leave more pairs without one, and fewer take more bytes than they save.
SLOTS_PER_BUCKET = 3
SPARE_SLOTS = 8  # of a table that may be larger: in a small one, each pair finds a slot


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
        the first stays. The least important of a bucket are left out while it finds no place: of a
        full table, one pair in a hundred.
    most_slots: slots that the table may have.

    Returns the table, and int64 [slots, 2]: the pair in each slot, 0 in an empty one. The same
    pairs give the same table.
    """
    keys = pair_keys(pairs[:, 0], pairs[:, 1])
    pairs = pairs[np.sort(np.unique(keys, return_index=True)[1])]
    largest = next((n for n in range(most_slots, 1, -1) if _is_prime(n)), 0)
    slots = next((n for n in range(len(pairs) + SPARE_SLOTS, largest) if _is_prime(n)), largest)
    pairs = pairs[:slots]
    if not len(pairs):
        return NO_PAIRS, np.zeros((0, 2), np.int64)
    bucket, step, first, fingerprint = _hashed(pair_keys(pairs[:, 0], pairs[:, 1]), slots)
    sizes = np.bincount(bucket, minlength=buckets_of(slots))
    members = np.split(np.argsort(bucket, kind="stable"), np.cumsum(sizes))
    displacements = np.zeros(len(sizes), np.int64)
    fingerprints = np.zeros(slots, np.int64)
    own = np.zeros((slots, 2), np.int64)
    # The largest buckets choose first.
    for chosen in np.argsort(-sizes, kind="stable").tolist():
        held = members[chosen]
        while len(held):
            found = _displacement(first[held], step[held], fingerprints == 0)
            if found is not None:
                displacements[chosen], places = found
                fingerprints[places] = fingerprint[held]
                own[places] = pairs[held]
                break
            held = held[:-1]
    return PairTable(displacements, fingerprints), own


def _displacement(
    first: Ints, step: Ints, is_free: npt.NDArray[np.bool_]
) -> tuple[int, Ints] | None:
    """Return the smallest displacement that leads a bucket's keys to free slots, and the slots.

    None if no displacement up to MOST_DISPLACEMENT does.
    """
    slots = (first + np.arange(MOST_DISPLACEMENT + 1)[:, None] * step) % len(is_free)
    for i in np.flatnonzero(is_free[slots].all(axis=1)).tolist():
        if len(set(slots[i].tolist())) == len(first):
            return i, slots[i]
    return None


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % i for i in range(2, math.isqrt(number) + 1))
