"""Choose the unlabelled texts that teachers label, in memory that does not grow with the log."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from hashlib import blake2b

MOST_TEXTS = 20_000  # different texts to label: of more, a random part
_NUMBER = re.compile(r"\d+")


def choose_unlabelled(
    texts: Iterable[str], left_out: Collection[str], seed: int, source: str
) -> tuple[tuple[str, ...], list[str]]:
    """Return the different texts, in their order, and what a person should know of them, a line each.

    left_out: the labelled and the test texts. source: where the texts are from, for the lines. Of more than
    MOST_TEXTS a random part is chosen, one of those that differ in numbers alone. The choice depends on
    ``seed`` and on what the texts are, not on how often they occur.
    """
    lines = repeated = 0
    sample: dict[int, tuple[int, str]] = {}  # key drawn by seed and text → (place, text)
    for text in texts:
        lines += 1
        if text in left_out:
            repeated += 1
            continue
        encoded = text.encode("utf-8", "surrogatepass")
        key = int.from_bytes(blake2b(encoded, digest_size=8, key=b"%d" % seed).digest(), "little")
        sample.setdefault(key, (lines, text))
        if len(sample) > 4 * MOST_TEXTS:
            sample = dict(sorted(sample.items())[: 2 * MOST_TEXTS])
    chosen = [sample[key] for key in sorted(sample)]
    if len(chosen) > MOST_TEXTS:
        forms: dict[str, tuple[int, str]] = {}
        for place, text in chosen:
            forms.setdefault(_NUMBER.sub("0", text), (place, text))
        chosen = list(forms.values())[:MOST_TEXTS]
    remarks, of = [], f"of {lines:,} texts of {source}"
    if repeated:
        rest = "they are left out" if chosen else "none is left to label"
        remarks.append(f"{repeated:,} {of} are among the labelled or the test texts; {rest}")
    if len(chosen) == MOST_TEXTS:
        remarks.append(f"{of} {MOST_TEXTS:,} are labelled, drawn at random")
    return tuple(text for _, text in sorted(chosen)), remarks
