"""Texts for the teachers to label: some of a log, and texts made of the labelled ones. A small network that
sees a teacher's predictions for thousands of texts near the rows learns what the teacher knows.

Made is a text with words left out, a piece of it, the first half of it with the second half of another, or
with words exchanged for another's; which way is drawn (after Tang et al., 2019). None inherits a label: that
of "not good" without "not" is another one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence

import numpy as np

from edge_lstm.printable import counted
from edge_lstm.text import spaceless
from edge_lstm_export.train.data import Ints
from edge_lstm_export.train.plan import MOST_UNLABELLED

_NUMBER, _TWO_LETTERS = re.compile(r"\d+"), re.compile(r"([^\W\d_])([^\W\d_])")
# How often each way is taken; the rest are exchanged words.
LEFT_OUT, PIECE, JOINED = 0.35, 0.25, 0.25
EXCHANGED_SHARE = 1 / 3  # of a text's words
LEFT_OUT_SHARE, PIECE_SHARE = (0.1, 0.5), (0.3, 0.8)


def choose_unlabelled(
    texts: Sequence[str], left_out: Collection[str], seed: int, source: str, most: int = MOST_UNLABELLED
) -> tuple[tuple[str, ...], list[str]]:
    """Return the different texts, sorted, and what a person should know of them, a line each.

    left_out: the labelled and the test texts. source: where the texts are from, for the lines. Of more than
    ``most`` a random part is chosen, one of those that differ in numbers alone.
    """
    chosen, repeated = sorted({*texts}.difference(left_out)), sum(text in left_out for text in texts)
    remarks, of = [], f"of {counted(len(texts), 'text')} of {source}"
    if repeated:
        rest = "not used" if chosen else "none is left to label"
        verb = "is a labelled or test text" if repeated == 1 else "are labelled or test texts"
        remarks.append(f"{repeated:,} {of} {verb}: {rest}")
    if len(chosen) > most:
        order = np.random.default_rng([seed, 0xB2]).permutation(len(chosen)).tolist()
        forms = {_NUMBER.sub("0", chosen[i]): chosen[i] for i in order}
        chosen = sorted([*forms.values()][:most])
        remarks.append(f"a random {len(chosen):,} {of} are used")
    return tuple(chosen), remarks


def augment(texts: Sequence[str], fold: Ints, each: int, seed: int) -> tuple[tuple[str, ...], Ints]:
    """Make at most ``each`` texts of every one of ``texts``; return them, different from each other and from
    those, with the fold that all their sources are of. fold: int64 [n], only texts of one are mixed."""
    rng = np.random.default_rng([seed, 0x3D])
    # Where words have no spaces between them, characters take their place.
    unsegmented = [spaceless(text) for text in texts]
    units = [list(text) if alone else text.split() for text, alone in zip(texts, unsegmented)]
    members = {k: np.flatnonzero(fold == k) for k in np.unique(fold)}
    sources: dict[str, int] = {}
    for i, words in enumerate(units):
        for way in rng.random(each if words else 0):
            other = units[int(rng.choice(members[fold[i]]))] or words
            made = ("" if unsegmented[i] else " ").join(_variant(words, other, float(way), rng))
            if made.strip():
                sources.setdefault(made, i)
    for text in texts:
        sources.pop(text, None)
    return tuple(sources), fold[np.array([*sources.values()], np.int64)]


def misspell(texts: Sequence[str], share: float, seed: int) -> list[str]:
    """Return the texts with so many of their letters left out, doubled, or exchanged with the next one."""
    rng, errors = random.Random(seed), (r"\2", r"\1\1\2", r"\2\1")

    def read(two: re.Match[str]) -> str:
        return two.expand(rng.choice(errors)) if rng.random() < 2 * share else two[0]

    return [_TWO_LETTERS.sub(read, text) for text in texts]


def _variant(words: list[str], other: list[str], way: float, rng: np.random.Generator) -> list[str]:
    if way < LEFT_OUT:
        stays = rng.random(len(words)) >= rng.uniform(*LEFT_OUT_SHARE)
        return [unit for unit, stay in zip(words, stays) if stay]
    if way < LEFT_OUT + PIECE:
        size = max(1, round(len(words) * rng.uniform(*PIECE_SHARE)))
        start = int(rng.integers(0, len(words) - size + 1))
        return words[start : start + size]
    if way < LEFT_OUT + PIECE + JOINED:
        return [*words[: (len(words) + 1) // 2], *other[len(other) // 2 :]]
    exchanged = rng.random(len(words)) < EXCHANGED_SHARE
    drawn = rng.integers(0, len(other), len(words))
    return [other[j] if change else unit for unit, change, j in zip(words, exchanged, drawn)]
