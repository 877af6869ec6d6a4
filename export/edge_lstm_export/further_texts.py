"""The texts without a label that teachers of short texts label: of a log of any length, as many as are worth
their time, in memory that does not grow with it."""

from __future__ import annotations

import hashlib
import heapq
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from edge_lstm.text import spaceless, split_marks
from edge_lstm_export.near_texts import near_first

MOST_FURTHER = 20_000  # different texts: of more, those that are near the labelled ones
MOST_COMPARED = 60_000  # different texts: of more, a random part
_NUMBER = re.compile(r"\d+")
FEWEST_ALIKE = 0.2  # of the texts, that share a word with the labelled ones where both are of one language


@dataclass(frozen=True)
class Further:
    """texts: that are read, different from each other. lines: that there were. known: how many of them are
    among the labelled texts or the test texts, and left out. alike: the share of ``texts`` with a word of the
    labelled ones, 0 to 1. near: how many of ``texts`` are near those, where they were chosen by that."""

    texts: tuple[str, ...]
    lines: int = 0
    known: int = 0
    alike: float = 1.0
    near: int | None = None

    def remarks(self, source: str) -> list[str]:
        """What a person should know of them, a line each."""
        said = []
        if self.known:
            rest = "none is left to label" if not self.texts else "they are left out"
            said.append(
                f"note: {self.known:,} of {self.lines:,} texts of {source} stand among the labelled or the "
                f"test texts; {rest}"
            )
        if self.near is not None:
            said.append(
                f"of {self.lines:,} texts of {source} {len(self.texts):,} are labelled, {self.near:,} of "
                "them near the labelled ones"
            )
        if self.alike < FEWEST_ALIKE:
            said.append(
                f"note: only {self.alike:.0%} of the texts of {source} share a word with the labelled ones; "
                "are they of the same language and kind?"
            )
        return said


NOTHING_FURTHER = Further(())


def choose_further(
    texts: Iterable[str], labelled: Sequence[str], test: Collection[str], seed: int
) -> Further:
    """The different texts that are neither labelled nor test texts, in their order; of more than
    MOST_FURTHER those that are of the labelled texts' kind, one of those that differ in numbers alone. Which,
    ``seed`` and what they are decide, not how often they occur."""
    left_out = {*labelled, *test}
    lines = known = 0
    # The largest keys leave it; a text that left it, or was kept out, stays out when it comes again.
    heap: list[tuple[int, int, str]] = []
    kept: set[int] = set()
    for text in texts:
        lines += 1
        if text in left_out:
            known += 1
            continue
        hashed = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=b"%d" % seed)
        key = int.from_bytes(hashed.digest(), "little")
        if key in kept or (len(heap) == MOST_COMPARED and key > -heap[0][0]):
            continue
        kept.add(key)
        if len(heap) < MOST_COMPARED:
            heapq.heappush(heap, (-key, lines, text))
        else:
            kept.discard(-heapq.heapreplace(heap, (-key, lines, text))[0])
    near = None
    if len(heap) > MOST_FURTHER:
        by_form: dict[str, tuple[int, int, str]] = {}
        for item in sorted(heap, reverse=True):  # the smallest keys first: a random order
            by_form.setdefault(_NUMBER.sub("0", item[2]), item)
        drawn = [*by_form.values()]
        order, near = near_first([text for _, _, text in drawn], labelled, seed)
        heap = [drawn[i] for i in order[:MOST_FURTHER]]
        near = min(near, MOST_FURTHER)
    chosen = tuple(text for _, _, text in sorted(heap, key=lambda item: item[1]))
    words = {unit for text in labelled for unit in _units(text)}
    alike = sum(not words.isdisjoint(_units(text)) for text in chosen) / max(1, len(chosen))
    return Further(chosen, lines, known, alike if chosen else 1.0, near)


def _units(text: str) -> list[str]:
    """Words of more than one letter; characters where words have no spaces between them."""
    return list(text) if spaceless(text) else [word for word in split_marks(text) if len(word) > 1]
