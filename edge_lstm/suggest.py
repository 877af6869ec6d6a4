"""Which texts to label next: those that a model is unsure of, and no two that say the same.

A model learns most from the label that it cannot guess, but the texts that it is least sure of are often
many times the same one. So texts are taken one by one: the next is the one with the highest product of how
unsure the model is (1 less the margin between its two likeliest labels; Scheffer et al., 2001) and how
little it resembles any text that is taken or labelled already (1 less the cosine of their characters).
"""

from __future__ import annotations

import csv
import heapq
import io
import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_lstm.atomic import open_atomically
from edge_lstm.classifier import Classifier
from edge_lstm.errors import DataError
from edge_lstm.text import text_key

Floats = npt.NDArray[np.float32]

POOL = 20_000  # texts that are classified: of more, a random part, so that any log takes flat memory and time
SHORTLIST = 20  # so many times the texts asked for are compared with each other, the least sure ones
FEWEST_COMPARED = 500
NEAR_COPY = 0.85  # cosine from which a text counts as a copy of another
# Characters of a text that are compared, how many in a row, and the numbers they are hashed to.
_READ, _IN_A_ROW, _COLUMNS = 2000, 3, 4096


@dataclass(frozen=True)
class Suggestion:
    """A text to label; label: the model's guess; probability: of it, 0 to 1."""

    text: str
    label: str
    probability: float


@dataclass(frozen=True)
class Suggestions:
    """rows: the most worth labelling first. texts: different ones that were read, without those that are
    labelled already; judged: how many of them were classified."""

    rows: tuple[Suggestion, ...]
    texts: int
    judged: int


def suggest(
    classifier: Classifier, texts: Iterable[str], count: int, *, labelled: Sequence[str] = ()
) -> Suggestions:
    """At most ``count`` texts to label next, each different from the ``labelled`` ones and from each other.

    The order of the texts decides nothing. Memory does not grow with their number, but for 8 bytes each.
    Raises DataError where there is no text, or none that is not labelled already.
    """
    if count < 1:
        raise DataError(f"-n must be at least 1, not {count}")
    known, seen = set(map(text_key, labelled)), set[int]()
    pool: list[tuple[int, str]] = []  # a heap; keys are hashes, so the smallest are a random part
    some = False
    for text in texts:
        some = some or bool(text.strip())
        key = text_key(text)
        if not text.strip() or key in known or key in seen:
            continue
        seen.add(key)
        if len(pool) < POOL:
            heapq.heappush(pool, (-key, text))
        elif -key > pool[0][0]:
            heapq.heapreplace(pool, (-key, text))
    if not pool:
        raise DataError(
            "every text is labelled already; give others"
            if some
            else "there is no text to choose from; give a file with texts"
        )
    candidates = [text for _, text in sorted(pool, reverse=True)]
    probabilities = classifier.probabilities(candidates)
    two = np.sort(probabilities, axis=1)[:, -2:]
    unsure = (1 - (two[:, 1] - two[:, 0])).astype(np.float64)
    order = np.argsort(-unsure, kind="stable")[: max(FEWEST_COMPARED, SHORTLIST * count)]
    vectors = _vectors([candidates[i] for i in order])
    chosen = _choose(unsure[order], vectors, _vectors(labelled), count)
    rows = tuple(
        Suggestion(candidates[i], classifier.labels[int(best)], float(probabilities[i, best]))
        for i in order[chosen].tolist()
        for best in [probabilities[i].argmax()]
    )
    return Suggestions(rows, len(seen), len(candidates))


def _choose(
    unsure: npt.NDArray[np.float64], vectors: Floats, labelled: Floats, count: int
) -> npt.NDArray[np.int64]:
    """Places of the texts to label, one after another by the largest product; near-copies are left out."""
    likeness = np.zeros(len(vectors))
    for start in range(0, len(labelled), 1000):
        likeness = np.maximum(likeness, (vectors @ labelled[start : start + 1000].T).max(axis=1))
    taken: list[int] = []
    free = likeness < NEAR_COPY
    while len(taken) < count and free.any():
        best = int(np.where(free, (unsure + 1e-9) * (1 - likeness), -math.inf).argmax())
        taken.append(best)
        likeness = np.maximum(likeness, vectors @ vectors[best])
        free &= likeness < NEAR_COPY
        free[best] = False
    return np.array(taken, np.int64)


def _vectors(texts: Sequence[str]) -> Floats:
    """float32 [n, columns], rows of length 1: which runs of characters a text holds, for any script."""
    vectors = np.zeros((len(texts), _COLUMNS), np.float32)
    for row, text in enumerate(texts):
        plain = f" {' '.join(text[:_READ].lower().split())} "
        for i in range(max(1, len(plain) - _IN_A_ROW + 1)):
            run = plain[i : i + _IN_A_ROW].encode("utf-8", "surrogatepass")
            vectors[row, zlib.crc32(run) % _COLUMNS] = 1
        vectors[row] /= np.linalg.norm(vectors[row])
    return vectors


def write_suggestions(suggestions: Suggestions, path: Path) -> None:
    """CSV with the columns text and label, the model's guess in the latter, for a person to correct and for
    ``train`` to read. OutputError where it cannot be written."""
    with open_atomically(path) as file:
        lines = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(lines)
        writer.writerow(("text", "label"))
        for row in suggestions.rows:
            writer.writerow([row.text.encode("utf-8", "replace").decode(), row.label])
        lines.detach()
