"""Which texts to label next: those that a model is unsure of, and no two that say the same.

A model learns most from labels that it cannot guess. But the texts that it is least sure of are many times
the same one, or odd ones that nothing else is like, and from those a model of few rows learns less than from
rows at random. So the unsure ones are divided into as many clusters as texts are asked for, by their
characters and weighted by how unsure the model is (1 less the margin between its two likeliest labels;
Scheffer et al., 2001), and each cluster gives the text that stands for it (Zhdanov, 2019).
"""

from __future__ import annotations

import contextlib
import csv
import heapq
import io
import itertools
import shutil
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_lstm.atomic import is_stream, open_atomically, write_atomically, write_error
from edge_lstm.classifier import Classifier
from edge_lstm.errors import DataError
from edge_lstm.text import text_key

Floats = npt.NDArray[np.float32]

POOL = 20_000  # texts that are classified: of more, a random part, so that any log takes flat memory and time
SHORTLIST = 20  # so many times the texts asked for are compared with each other, the least sure ones
FEWEST_COMPARED = 500
MOST_CLUSTERS = 200  # of more texts that are asked for, several of each
_STEPS = 10  # of k-means
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
    """Places of the texts to label: of each cluster the one that stands for it, then the next of each;
    near-copies are left out."""
    likeness = np.zeros(len(vectors))
    for start in range(0, len(labelled), 1000):
        likeness = np.maximum(likeness, (vectors @ labelled[start : start + 1000].T).max(axis=1))
    free = np.flatnonzero(likeness < NEAR_COPY)
    if not len(free):
        return free
    weights, vectors = unsure[free] + 1e-9, vectors[free]
    cosine = vectors @ _centres(vectors, weights, min(count, MOST_CLUSTERS, len(free))).T
    cluster = cosine.argmax(axis=1)
    worth = weights * cosine.max(axis=1)
    order = np.lexsort((-worth, cluster))
    first = np.concatenate([[True], np.diff(cluster[order]) > 0])
    places = np.arange(len(order))
    rank = np.empty_like(places)
    rank[order] = places - np.maximum.accumulate(np.where(first, places, 0))
    taken: list[int] = []
    nearest = np.zeros(len(free))  # the cosine to the nearest one that is taken
    for place in np.lexsort((-weights, rank)).tolist():
        if nearest[place] < NEAR_COPY:
            taken.append(int(free[place]))
            if len(taken) == count:
                break
            nearest = np.maximum(nearest, vectors @ vectors[place])
    return np.array(taken, np.int64)


def _centres(vectors: Floats, weights: npt.NDArray[np.float64], count: int) -> Floats:
    """float32 [count, columns], of length 1: spherical k-means of the weighted vectors, begun as
    k-means++ begins."""
    rng = np.random.default_rng(0)
    apart = np.ones(len(vectors))
    centres = np.zeros((count, vectors.shape[1]), np.float32)
    for k in range(count):
        shares = np.cumsum(weights * np.maximum(apart, 1e-9))
        centres[k] = vectors[min(int(np.searchsorted(shares, rng.random() * shares[-1])), len(vectors) - 1)]
        apart = np.minimum(apart, 1 - vectors @ centres[k])
    for _ in range(_STEPS):
        cluster = (vectors @ centres.T).argmax(axis=1)
        for k in range(count):
            own = cluster == k
            if own.any():
                total = weights[own].astype(np.float32) @ vectors[own]
                centres[k] = total / np.linalg.norm(total)
    return centres


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


def write_suggestions(suggestions: Suggestions, path: Path) -> Path | None:
    """CSV with the columns text and label, the model's guess in the latter, for a person to correct and for
    ``train`` to read. An earlier file may hold what a person has corrected: where it is another one it is
    kept under the name that is returned. OutputError where it cannot be written."""
    lines = io.StringIO(newline="")
    writer = csv.writer(lines)
    writer.writerow(("text", "label"))
    writer.writerows((row.text, row.label) for row in suggestions.rows)
    data = lines.getvalue().encode("utf-8", "replace")
    kept = _keep_earlier(path, data)
    write_atomically(data, path)
    return kept


def _keep_earlier(path: Path, data: bytes) -> Path | None:
    """A copy of what is there, where it is not the same, under the first free number."""
    if is_stream(path) or not path.exists():
        return None
    copy = path
    try:
        if path.stat().st_size == len(data) and path.read_bytes() == data:
            return None
        for number in itertools.count(1):
            copy = path.with_name(f"{path.stem}.{number}{path.suffix}")
            with contextlib.suppress(FileExistsError):
                copy.open("xb").close()  # the name is ours; another run may be doing the same
                break
        try:
            with path.open("rb") as earlier, open_atomically(copy) as file:
                shutil.copyfileobj(earlier, file)
        except BaseException:
            copy.unlink()
            raise
    except OSError as error:
        raise write_error(copy, error) from None
    return copy
