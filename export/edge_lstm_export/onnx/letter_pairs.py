"""A vocabulary in fewer bytes: a code of one byte stands for two characters."""

from __future__ import annotations

from collections import Counter
from heapq import heapify, heappop, heappush
from operator import add

# Replaces a pair that has a code; no vocabulary has it.
TAKEN = "\0"


def with_codes(vocabulary: str) -> str:
    """Return a vocabulary as a model file has it, see text.uncoded.

    vocabulary: see text.front_coded. It is returned as it is if no code saves bytes.
    """
    unused = [code for code in map(chr, range(1, 128)) if code not in vocabulary]
    counts = Counter(map(add, vocabulary, vocabulary[1:]))
    ranked = [(-_saved(pair, times), pair) for pair, times in counts.items()]
    heapify(ranked)
    left = vocabulary
    codes = ""
    while unused and ranked:
        # Other pairs took some of its characters: it may save less than when it was ranked.
        pair = heappop(ranked)[1]
        saved = _saved(pair, left.count(pair))
        if ranked and -saved > ranked[0][0]:
            heappush(ranked, (-saved, pair))
        elif saved <= 0:
            break
        else:
            left = left.replace(pair, TAKEN)
            codes += unused.pop(0) + pair
    for i in range(0, len(codes), 3):
        vocabulary = vocabulary.replace(codes[i + 1 : i + 3], codes[i])
    return f"{codes}\0{vocabulary}" if codes else vocabulary


def _saved(pair: str, times: int) -> int:
    """Return the bytes that a code saves."""
    size = len(pair.encode())
    return times * (size - 1) - (1 + size)
