"""Choose the unlabelled texts that teachers label, in memory that does not grow with the log.

Of a long log those come first that are similar to the labelled texts, by the cosine of TF-IDF vectors of
words and word pairs (characters and their pairs in unsegmented scripts). The threshold is the similarity that
nine in ten of the labelled texts reach with another labelled text. Of the texts above it a random part is
taken, which is as diverse as they are.
"""

from __future__ import annotations

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
_MOST_WORDS = 100  # of a text, that are compared
_COLUMNS, _CHUNK = 1 << 18, 2_000
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class UnlabelledTexts:
    """texts: to be labelled, each once. lines: how many texts there were; labelled: how many of these are
    left out as labelled or test texts. similar: how many of ``texts`` are similar to the labelled ones; None
    where all texts are taken."""

    texts: tuple[str, ...] = ()
    lines: int = 0
    labelled: int = 0
    similar: int | None = None

    def remarks(self, source: str) -> list[str]:
        """Return what a person should know of them, a line each."""
        lines = []
        if self.labelled:
            rest = "they are left out" if self.texts else "none is left to label"
            of = f"{self.labelled:,} of {self.lines:,} texts of {source}"
            lines.append(f"{of} are among the labelled or the test texts; {rest}")
        if self.similar is not None:
            of = f"of {self.lines:,} texts of {source} {len(self.texts):,} are labelled"
            lines.append(f"{of}, {self.similar:,} of them similar to the labelled ones")
        return lines


def choose_unlabelled(
    texts: Iterable[str], labelled: Sequence[str], test: Collection[str], seed: int
) -> UnlabelledTexts:
    """Choose the different texts that are neither labelled nor test texts, in their order; of more than
    MOST_TEXTS those similar to the labelled ones, one of those that differ in numbers alone. The choice
    depends on ``seed`` and on what the texts are, not on how often they occur."""
    left_out = {*labelled, *test}
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
        if len(sample) > 2 * MOST_COMPARED:
            sample = _smallest(sample)
    chosen, similar = list(_smallest(sample).values()), None
    if len(chosen) > MOST_TEXTS:
        forms: dict[str, tuple[int, str]] = {}
        for place, text in chosen:
            forms.setdefault(_NUMBER.sub("0", text), (place, text))
        different = list(forms.values())
        order, above = similar_first([text for _, text in different], labelled, seed)
        chosen, similar = [different[i] for i in order[:MOST_TEXTS]], min(above, MOST_TEXTS)
    return UnlabelledTexts(tuple(text for _, text in sorted(chosen)), lines, repeated, similar)


def _smallest(sample: dict[int, tuple[int, str]]) -> dict[int, tuple[int, str]]:
    """Return the texts of the smallest keys, by rising key: a random part, the same however often each text
    occurs."""
    return dict(sorted(sample.items())[:MOST_COMPARED])


def similar_first(texts: Sequence[str], labelled: Sequence[str], seed: int) -> tuple[Ints, int]:
    """Return (the numbers of the texts: first those similar to the labelled ones, in their order, then the
    others, the most similar first; how many are similar)."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    labelled = list(dict.fromkeys(labelled))  # a copy is similar whatever else is not
    if len(labelled) > _MOST_LABELLED:
        part = np.random.default_rng([seed, 0x6E]).permutation(len(labelled))[:_MOST_LABELLED]
        labelled = [labelled[i] for i in np.sort(part)]
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
    """Return the largest value of each row of a sparse matrix."""
    return np.asarray(matrix.max(axis=1).todense(), np.float32).ravel()


def _features(text: str) -> list[str]:
    units = (list(text) if spaceless(text) else split_marks(text))[:_MOST_WORDS]
    return [*units, *(f"{left} {right}" for left, right in pairwise(units))]
