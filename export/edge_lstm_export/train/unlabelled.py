"""The texts without a label that teachers label: of a log of any length, as many as are worth their time, in
memory that does not grow with it.

Of a long log those come first that are similar to the labelled texts, by the cosine of TF-IDF vectors of
words and word pairs (characters and their pairs in unsegmented scripts). The threshold is what nine in ten of
the labelled texts reach with another one. Among the texts above it a random part is as diverse as they are.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import numpy as np

from edge_lstm.text import spaceless, split_marks
from edge_lstm_export.train.data import Floats, Ints

MOST_TEXTS = 20_000  # different texts to label: of more, those similar to the labelled ones
MOST_COMPARED = 60_000  # different texts that are compared with them: of more, a random part
_MOST_LABELLED = 1_000  # labelled texts that others are compared with, a random part
_FAR_SHARE = 0.1  # of the labelled texts, that are less similar to each other than the threshold
_FEWEST_SHARING = 0.2  # of the texts, that share a word with the labelled ones where both are of one language
_MOST_WORDS = 100  # of a text, that are compared
_COLUMNS, _CHUNK = 1 << 18, 2_000
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class UnlabelledTexts:
    """texts: what is labelled, each once. lines: how many texts there were; labelled: how many of these are
    left out as labelled or test texts. sharing: the share of ``texts`` that have a word in common with the
    labelled ones, 0 to 1. similar: how many of ``texts`` are similar to these, where that decided."""

    texts: tuple[str, ...] = ()
    lines: int = 0
    labelled: int = 0
    sharing: float = 1.0
    similar: int | None = None

    def remarks(self, source: str) -> list[str]:
        """Return what a person should know of them, a line each."""
        lines = []
        if self.labelled:
            rest = "they are left out" if self.texts else "none is left to label"
            lines.append(
                f"{self.labelled:,} of {self.lines:,} texts of {source} are among the labelled or the "
                f"test texts; {rest}"
            )
        if self.similar is not None:
            lines.append(
                f"of {self.lines:,} texts of {source} {len(self.texts):,} are labelled, {self.similar:,} of "
                "them similar to the labelled ones"
            )
        if self.sharing < _FEWEST_SHARING:
            lines.append(
                f"only {self.sharing:.0%} of the texts of {source} have words (or characters, in an "
                "unsegmented script) in common with the labelled ones; are they of one language and kind?"
            )
        return lines


def choose_unlabelled(
    texts: Iterable[str], labelled: Sequence[str], test: Collection[str], seed: int
) -> UnlabelledTexts:
    """Choose the different texts that are neither labelled nor test texts, in their order; of more than
    MOST_TEXTS those similar to the labelled ones, one of those that differ in numbers alone. The choice
    depends on ``seed`` and on what the texts are, not on how often they occur."""
    left_out = {*labelled, *test}
    lines = repeated = 0
    # The texts with the smallest keys, the largest key on top. A text that left it stays out when it comes
    # again: its key is above the top.
    heap: list[tuple[int, int, str]] = []
    keys: set[int] = set()
    for text in texts:
        lines += 1
        if text in left_out:
            repeated += 1
            continue
        encoded = text.encode("utf-8", "surrogatepass")
        key = int.from_bytes(blake2b(encoded, digest_size=8, key=b"%d" % seed).digest(), "little")
        if key in keys or (len(heap) == MOST_COMPARED and key > -heap[0][0]):
            continue
        keys.add(key)
        heapq.heappush(heap, (-key, lines, text))
        if len(heap) > MOST_COMPARED:
            keys.discard(-heapq.heappop(heap)[0])
    similar = None
    if len(heap) > MOST_TEXTS:
        # The smallest key of each form, and these in the order of the keys, which is a random one.
        drawn = sorted({_NUMBER.sub("0", item[2]): item for item in sorted(heap)}.values(), reverse=True)
        order, above = similar_first([text for _, _, text in drawn], labelled, seed)
        heap, similar = [drawn[i] for i in order[:MOST_TEXTS]], min(above, MOST_TEXTS)
    chosen = tuple(text for _, _, text in sorted(heap, key=lambda item: item[1]))
    words = {unit for text in labelled for unit in _units(text)}
    sharing = sum(not words.isdisjoint(_units(text)) for text in chosen) / len(chosen) if chosen else 1.0
    return UnlabelledTexts(chosen, lines, repeated, sharing, similar)


def similar_first(texts: Sequence[str], labelled: Sequence[str], seed: int) -> tuple[Ints, int]:
    """Return (the numbers of the texts: first those similar to the labelled ones, in their order, then the
    others, the most similar first; how many are similar)."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    labelled = list(dict.fromkeys(labelled))  # a copy is similar whatever else is not
    if len(labelled) > _MOST_LABELLED:
        chosen = np.random.default_rng([seed, 0x6E]).permutation(len(labelled))[:_MOST_LABELLED]
        labelled = [labelled[i] for i in np.sort(chosen)]
    hashing = {"n_features": _COLUMNS, "alternate_sign": False, "norm": None, "dtype": np.float32}
    vectorizer = HashingVectorizer(analyzer=_features, binary=True, **hashing)
    vectors = TfidfTransformer().fit_transform(vectorizer.transform([*texts, *labelled]))
    references = vectors[len(texts) :]
    among = (references @ references.T).tolil()
    among.setdiag(0)
    threshold = np.quantile(_largest(among.tocsr()), _FAR_SHARE)
    starts = range(0, len(texts), _CHUNK)
    parts = [_largest(vectors[i : min(i + _CHUNK, len(texts))] @ references.T) for i in starts]
    similarity = np.concatenate([*parts, np.zeros(0, np.float32)])
    similar = similarity >= threshold
    rest = np.flatnonzero(~similar)
    rest = rest[np.argsort(-similarity[rest], kind="stable")]
    return np.concatenate([np.flatnonzero(similar), rest]), int(similar.sum())


def _largest(matrix: Any) -> Floats:
    """Of each row of a sparse matrix."""
    return np.asarray(matrix.max(axis=1).todense(), np.float32).ravel()


def _units(text: str) -> list[str]:
    """Words of more than one letter; characters of unsegmented scripts."""
    return list(text) if spaceless(text) else [word for word in split_marks(text) if len(word) > 1]


def _features(text: str) -> list[str]:
    units = (list(text) if spaceless(text) else split_marks(text))[:_MOST_WORDS]
    return [*units, *(f"{left} {right}" for left, right in pairwise(units))]
