"""Texts made from labelled ones, for a teacher to label: a student learns from them what it lacks texts for.

A made text is a labelled one with words left out, a run of its words, the first half of one and the second
half of another, or a text with words of others in the place of its own. What it means only a teacher can
say, anything that gives texts probabilities: its label is never that of the text it was made from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from edge_lstm.errors import DataError
from edge_lstm.text import spaceless

Floats = npt.NDArray[np.float32]
Labeller = Callable[[Sequence[str]], Floats]  # texts → probabilities, float32 [n, labels]

# How often each kind is made, and the share of words that stays, is cut out at least, or is exchanged.
KINDS = {"dropped": 0.35, "run": 0.25, "joined": 0.25, "exchanged": 0.15}
KEPT, SHORTEST_RUN, EXCHANGED = 0.7, 0.4, 1 / 3
MOST = 100  # made from a text


def make_texts(texts: Sequence[str], each: int, seed: int) -> list[str]:
    """``each`` made texts from every text, in the texts' order. Words are what stands between spaces; in a
    script without spaces, characters. Texts without a word are left as they are. DataError where ``each`` is
    below 0 or above MOST.
    """
    if not 0 <= each <= MOST:
        raise DataError(f"made must be from 0 to {MOST}, not {each}")
    rng = np.random.default_rng([seed, 0x3D])
    split = [_split(text) for text in texts]
    words = [word for units, _ in split for word in units]
    kinds = rng.choice(len(KINDS), size=(len(texts), each), p=list(KINDS.values()))
    made = []
    for (units, joint), wanted in zip(split, kinds):
        for kind in wanted:
            if not units:
                made.append("")
                continue
            count = len(units)
            match list(KINDS)[kind]:
                case "dropped":
                    new = [unit for unit in units if rng.random() < KEPT] or [units[rng.integers(count)]]
                case "run":
                    size = max(1, int(np.ceil(count * rng.uniform(SHORTEST_RUN, 1))))
                    start = rng.integers(count - size + 1)
                    new = units[start : start + size]
                case "joined":
                    other = split[rng.integers(len(split))][0]
                    new = units[: (count + 1) // 2] + other[len(other) // 2 :]
                case _:
                    new = [words[rng.integers(len(words))] if rng.random() < EXCHANGED else u for u in units]
            made.append(joint.join(new))
    return made


def made_and_labelled(
    texts: Sequence[str], each: int, seed: int, label: Labeller
) -> tuple[list[str], Floats]:
    """(made texts that are none of ``texts``, each once; float32 [n, labels]: ``label``'s of them)."""
    own = set(texts)
    made = [text for text in dict.fromkeys(make_texts(texts, each, seed)) if text and text not in own]
    return made, np.asarray(label(made), np.float32) if made else np.zeros((0, 0), np.float32)


def _split(text: str) -> tuple[list[str], str]:
    """(words, what joins them again)."""
    words = text.split()
    alone = sum(map(spaceless, words))
    return (list("".join(words)), "") if 2 * alone > len(words) else (words, " ")
