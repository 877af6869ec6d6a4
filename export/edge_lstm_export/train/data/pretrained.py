"""Pretrained word vectors: which words mean something alike, before the first label is read.

They come from a teacher (its encoder, or the sentiment model) or from the package's table
(:func:`english`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

from edge_lstm.core.text import FIRST_WORD_ID, split_marks
from edge_lstm_export.arrays import Floats, Ints

_CHUNK = 4096  # words compared at once, memory only
COMPONENTS = 128  # principal ones, of pretrained embeddings, as the n-gram part reads them
_SMALLEST = 1e-9  # divisors are at least this
BITS = 3  # of the package's table; a packed value has eight levels
ENGLISH = Path(__file__).parents[2] / "english.safetensors"


@dataclass(frozen=True)
class WordEmbeddings:
    """Vectors of the ids of a vocabulary.

    vectors: float32 [ids, width], of length 1, or 0 for an unknown id.
    weighted: the same times the word's weight in a text's meaning, the sum over its words.
    """

    vectors: Floats
    weighted: Floats


@dataclass(frozen=True)
class PretrainedWords:
    """Vectors of words.

    words: that have a vector, the most frequent first.
    table: float32 [pieces, hidden], the vectors of words or word pieces.
    pieces: int64 [words], rows of it.
    read: returns the rows of each of any words, none for an unknown one.
    """

    words: tuple[str, ...]
    table: Floats
    pieces: Ints
    read: Callable[[Sequence[str]], list[list[int]]]

    @cached_property
    def _mean(self) -> Floats:
        total = self.table[self.pieces].sum(axis=0)
        return np.asarray(total / max(1, len(self.words)), np.float32)

    def share_of(self, texts: Sequence[str]) -> float:
        """Return the share of the words in these texts that have a vector, 0 to 1."""
        words = [
            word for text in texts for word in split_marks(text) if word.isalpha() and word[1:]
        ]
        vocabulary = set(self.words)
        return sum(word in vocabulary for word in words) / max(1, len(words))

    def vectors(self, words: Sequence[str]) -> Floats:
        """Return the mean of each word's pieces: float32 [words, hidden].

        It is centred and of length 1; 0 for a word without pieces.
        """
        vectors = np.zeros((len(words), self.table.shape[1]), np.float32)
        for row, ids in enumerate(self.read(words)):
            if ids:
                vectors[row] = self.table[ids].mean(axis=0) - self._mean
        return _normalised(vectors)

    def embeddings(self, words: Sequence[str], ids: int) -> WordEmbeddings:
        """Return the embeddings of a vocabulary that begins with these words.

        ids: its size.

        A word counts by its smooth inverse frequency (Arora, Liang and Ma, 2017); the frequency
        follows from its rank by Zipf's law, as in model2vec. A word without a vector of its own
        counts 1, as a rare one.
        """
        centred = self.table[self.pieces] - self._mean
        # In ascending order of the variance: the last ones are the principal components.
        _, directions = np.linalg.eigh(centred.T @ centred)
        components = directions[:, ::-1][:, :COMPONENTS]
        # Zipf's law, of a rank and ten.
        share = 1 / (np.arange(len(self.words)) + 10.0)
        share /= max(_SMALLEST, float(share.sum()))
        smoothing = 1e-4  # a of a / (a + p)
        weight = dict(zip(self.words, (smoothing / (smoothing + share)).tolist()))
        weights = np.array([weight.get(word, 1.0) for word in words], np.float32)
        around = FIRST_WORD_ID, ids - FIRST_WORD_ID - len(words)
        vectors = np.pad(_normalised(self.vectors(words) @ components), (around, (0, 0)))
        return WordEmbeddings(vectors, vectors * np.pad(weights, around)[:, None])

    def text_vectors(self, texts: Sequence[str]) -> Floats:
        """Return the weighted mean of each text's embeddings.

        It is of length 1, or 0 if no word is known.

        float32 [texts, at most COMPONENTS].
        """
        by_text = [sorted(set(split_marks(text))) for text in texts]
        place = {
            word: i for i, word in enumerate(sorted({word for words in by_text for word in words}))
        }
        weighted = self.embeddings(list(place), len(place) + FIRST_WORD_ID).weighted[FIRST_WORD_ID:]
        sums = [weighted[[place[word] for word in words]].sum(axis=0) for words in by_text]
        return _normalised(np.stack(sums))

    def related(self, texts: Sequence[str], without: Sequence[str], most: int) -> tuple[str, ...]:
        """Return the words nearest to any of these texts', nearest first, none of ``without``."""
        vectors = self.vectors(sorted({word for text in texts for word in split_marks(text)}))
        vectors = vectors[vectors.any(axis=1)]
        if not len(vectors) or not self.words:
            return ()
        own = _normalised(self.table[self.pieces] - self._mean)
        parts = [own[i : i + _CHUNK] for i in range(0, len(own), _CHUNK)]
        likeness = np.concatenate([(part @ vectors.T).max(axis=1) for part in parts])
        excluded = set(without)
        order = np.argsort(-likeness, kind="stable")
        return tuple([word for i in order if (word := self.words[i]) not in excluded][:most])


@lru_cache(maxsize=1)
def english() -> PretrainedWords:
    """Return the table of this package: English words and their vectors."""
    stored = load_file(ENGLISH)
    words = tuple(stored["words"].tobytes().decode().split("\n"))
    place = {word: i for i, word in enumerate(words)}
    table = unpacked_vectors(stored["codes"], stored["scales"])

    def read(words: Sequence[str]) -> list[list[int]]:
        return [[place[word]] if word in place else [] for word in words]

    return PretrainedWords(words, table, np.arange(len(words)), read)


def _normalised(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / lengths.clip(_SMALLEST), np.float32)


def unpacked_vectors(codes: npt.NDArray[np.uint8], scales: Floats) -> Floats:
    """Return unpacked vectors: float32 [words, width].

    codes: uint8 [words, width * 3 / 8], as tools/word_vectors.py packs them.
    scales: float32 [width].
    """
    bits = np.unpackbits(codes, axis=1, count=BITS * len(scales))
    levels = bits.reshape(len(codes), len(scales), BITS) @ (1 << np.arange(BITS))
    return np.asarray((levels - (2**BITS - 1) / 2) * scales, np.float32)
