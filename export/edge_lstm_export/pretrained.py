"""Pretrained word vectors: which words mean something alike, known before the first label is read.

Some hundred labelled texts hold a third less of the words that the next text brings, and none of them says
that "refund" and "reimbursement" are alike. Vectors that were learnt from other texts do. They come from the
encoder that teaches, from a file of word vectors (:func:`read_vectors`), or from a small table for English
that is part of this package (:func:`english`).
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

from edge_lstm.errors import DataError
from edge_lstm.text import FIRST_WORD_ID, spaceless, split_marks
from edge_lstm_export.teacher.labels import Floats, Ints

WIDTH = 128  # of a meaning: principal components; on the parts that soft_ngrams.py names 65.8 %, with 64 65.2
# Of the words that a word may be exchanged for: how many at most, and their least cosine. 30 of at least 0.25
# are as good.
NEIGHBOURS, LEAST_LIKENESS = 12, 0.35
# Of the words of texts, to be of use to them: of those of English sets an English encoder knows 89 to 98 %,
# of the same sets in letters of no language 0 to 13.
LEAST_KNOWN = 0.5
# The same for the table of this package, which nobody asked for: of English sets it knows 89 to 98 %, of some
# German, French and Spanish sentences 43 to 53.
LEAST_ENGLISH = 0.7
_CHUNK = 4096  # words compared at once
# The smooth inverse frequency a / (a + p) of Arora, Liang and Ma (2017), "A simple but tough-to-beat baseline
# for sentence embeddings"; p by Zipf's law from the place in the vocabulary, as model2vec has it.
_SIF = 1e-4
_FIRST_RANK = 10.0  # frequent words are not as unlike as Zipf's law has them

MOST_WORDS = 50_000  # of a file of vectors: the first ones, which are the most frequent

ENGLISH = Path(__file__).with_name("english.safetensors")


@dataclass(frozen=True)
class Meanings:
    """Of each id of a vocabulary: vectors: float32 [ids, width], of length 1, or 0 where nothing is known;
    weights: float32 [ids], how much it counts in a text's meaning, from 0 to 1."""

    vectors: Floats
    weights: Floats

    @cached_property
    def weighted(self) -> Floats:
        """float32 [ids, width], what a text's meaning adds up."""
        return np.asarray(self.vectors * self.weights[:, None], np.float32)


@dataclass(frozen=True)
class PretrainedWords:
    """words: those that have a vector, of an encoder those that its tokenizer reads as one piece, the most
    frequent first; table: float32 [pieces, hidden], the vectors, of an encoder those of its word pieces;
    pieces: int64 [words], of each word its row. read: any words → the rows of each, none where nothing is
    known."""

    words: tuple[str, ...]
    table: Floats
    pieces: Ints
    read: Callable[[Sequence[str]], list[list[int]]]

    @cached_property
    def _axes(self) -> tuple[Floats, Floats]:
        """(mean [hidden], principal components of the words [hidden, WIDTH])."""
        own = self.table[self.pieces]
        mean = own.mean(axis=0) if len(own) else np.zeros(self.table.shape[1], np.float32)
        own = own - mean
        _, axes = np.linalg.eigh(own.T @ own)
        return mean, np.asarray(axes[:, ::-1][:, :WIDTH], np.float32)

    @cached_property
    def _own(self) -> Floats:
        """Of the words that have a vector, as :meth:`vectors` gives them."""
        return _of_length_one(self.table[self.pieces] - self._axes[0])

    def share_of(self, texts: Sequence[str]) -> float:
        """Of all words in these texts, those that it knows, 0 to 1."""
        known = set(self.words)
        found = [word in known for text in texts for word in split_marks(text) if word.isalpha() and word[1:]]
        return sum(found) / max(1, len(found))

    def vectors(self, words: Sequence[str]) -> Floats:
        """float32 [words, hidden], centred and of length 1: the mean of the word's pieces; 0 without any."""
        found = np.zeros((len(words), self.table.shape[1]), np.float32)
        for row, ids in enumerate(self.read(words)):
            if ids:
                found[row] = self.table[ids].mean(axis=0) - self._axes[0]
        return _of_length_one(found)

    def meanings(self, words: Sequence[str]) -> Floats:
        """float32 [words, at most WIDTH], of length 1; 0 where nothing is known of a word."""
        return _of_length_one(self.vectors(words) @ self._axes[1])

    def weights(self, words: Sequence[str]) -> Floats:
        """float32 [words]: how much each counts in what a text means, from 0 to 1: little where it is
        frequent. One that is none of its own counts as a rare one."""
        ranks = np.arange(len(self.words)) + _FIRST_RANK
        share = 1 / ranks / max(1e-9, float((1 / ranks).sum()))
        own = dict(zip(self.words, (_SIF / (_SIF + share)).tolist()))
        return np.array([own.get(word, 1.0) for word in words], np.float32)

    def of_ids(self, words: Sequence[str], ids: int) -> Meanings:
        """What is known of a vocabulary of so many ids, which begins with these words."""
        vectors = self.meanings(words)
        found = Meanings(np.zeros((ids, vectors.shape[1]), np.float32), np.zeros(ids, np.float32))
        own = slice(FIRST_WORD_ID, FIRST_WORD_ID + len(words))
        found.vectors[own], found.weights[own] = vectors, self.weights(words)
        return found

    def near(self, words: Sequence[str], without: Sequence[str], most: int) -> tuple[str, ...]:
        """Of the words that have a vector the nearest to any of these, nearest first; none of ``without``."""
        wanted = self.vectors(words)
        wanted = wanted[np.abs(wanted).sum(axis=1) > 0]
        if not len(wanted) or not len(self.words):
            return ()
        own = self._own
        nearest = np.concatenate(
            [(own[i : i + _CHUNK] @ wanted.T).max(axis=1) for i in range(0, len(own), _CHUNK)]
        )
        known = set(without)
        found: list[str] = []
        for i in np.argsort(-nearest, kind="stable"):
            if len(found) >= most:
                break
            if self.words[i] not in known:
                found.append(self.words[i])
        return tuple(found)

    def beside(self, words: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Of each word at most NEIGHBOURS of the words that have a vector that are near it, whichever are."""
        if not self.words:
            return {}
        own = self._own
        wanted = self.vectors(words)
        found = {}
        for start in range(0, len(words), _CHUNK // 8):
            likeness = wanted[start : start + _CHUNK // 8] @ own.T
            last = min(NEIGHBOURS, likeness.shape[1] - 1)  # the word itself may be among them
            first = np.argpartition(-likeness, last, axis=1)[:, : last + 1]
            for word, row, places in zip(words[start:], likeness, first):
                near = [self.words[i] for i in places if row[i] > LEAST_LIKENESS and self.words[i] != word]
                found[word] = tuple(near[:NEIGHBOURS])
        return found


def _of_length_one(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9), np.float32)


@lru_cache(maxsize=1)
def english() -> PretrainedWords:
    """The table of this package: English words and their vectors."""
    stored = load_file(ENGLISH)
    words = tuple(stored["words"].tobytes().decode().split("\n"))
    return _whole_words(words, unpacked(stored["codes"], stored["scales"]))


def read_vectors(path: Path) -> PretrainedWords:
    """Word vectors of a text file, as fastText's ``.vec``, word2vec and GloVe have them: a line a word, the
    word and its numbers with spaces between; ``.gz`` too. A first line of two numbers is the file's size.

    Words of letters alone, two or more, in lower case, in scripts that put spaces between them, at most
    MOST_WORDS; the order of the file is taken for that of frequency. DataError where it is no such file.
    """
    words: dict[str, int] = {}
    table: list[npt.NDArray[np.float32]] = []
    width = 0
    for number, line in enumerate(_lines(path), 1):
        parts = line.split()
        if number == 1 and len(parts) == 2 and all(part.isdigit() for part in parts):
            continue
        word, values = _vector(path, number, parts, width)
        width = width or len(values)
        if len(word) > 1 and word.isalpha() and not spaceless(word) and word not in words:
            words[word] = len(words)
            table.append(values)
            if len(words) == MOST_WORDS:
                break
    if not words:
        raise DataError(f"{path} has no vector of a word; {_AS_IT_IS}")
    return _whole_words(tuple(words), np.stack(table))


_LARGEST = 1e6  # of a number: theirs are about 1 in size
_AS_IT_IS = "give fastText's .vec, or such a text of word2vec or GloVe: on each line a word and its numbers"


def _lines(path: Path) -> Iterator[str]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield line.decode("utf-8")
                except UnicodeDecodeError:
                    raise DataError(f"{path}, line {number}, is not UTF-8 text; {_AS_IT_IS}") from None
    except FileNotFoundError:
        raise DataError(f"no word vectors at {path}; check the path") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); check the file") from None


def _vector(path: Path, number: int, parts: Sequence[str], width: int) -> tuple[str, npt.NDArray[np.float32]]:
    """A line's word in lower case and its numbers, ``width`` of them; 0: as many as there are."""
    width = width or len(parts) - 1
    numbers = parts[len(parts) - width :] if width > 1 else ()
    try:
        values = np.array([float(number) for number in numbers])
    except ValueError:
        values = np.zeros(0)
    if len(values) != width or width < 2 or len(parts) <= width:
        wanted = f"a word and {width} numbers" if number > 2 else "a word and its numbers"
        raise DataError(f"{path}, line {number}, is not {wanted}; {_AS_IT_IS}")
    if not (np.abs(values) < _LARGEST).all():  # written so that NaN fails
        raise DataError(f"{path}, line {number}: a number is not finite, or too large; {_AS_IT_IS}")
    return " ".join(parts[:-width]).lower(), values.astype(np.float32)


def _whole_words(words: tuple[str, ...], table: Floats) -> PretrainedWords:
    """Of a vector a word, and nothing for others."""
    place = {word: i for i, word in enumerate(words)}

    def read(asked: Sequence[str]) -> list[list[int]]:
        return [[place[word]] if word in place else [] for word in asked]

    return PretrainedWords(words, table, np.arange(len(words)), read)


# Eight levels a value, of two standard deviations at most.
_BITS, _REACH = 3, 2.0


def packed(values: Floats) -> tuple[npt.NDArray[np.uint8], Floats]:
    """values: float32 [words, width] → codes: uint8 [words, width * 3 / 8], scales: float32 [width]."""
    scales = np.sqrt((values**2).mean(axis=0)).astype(np.float32) * np.float32(2 * _REACH / (2**_BITS - 1))
    levels = np.round(values / np.maximum(scales, 1e-9) + (2**_BITS - 1) / 2).clip(0, 2**_BITS - 1)
    bits = (levels.astype(np.uint8)[..., None] >> np.arange(_BITS, dtype=np.uint8)) & 1
    return np.packbits(bits.reshape(len(values), -1), axis=1), scales


def unpacked(codes: npt.NDArray[np.uint8], scales: Floats) -> Floats:
    """What :func:`packed` has packed: float32 [words, width]."""
    bits = np.unpackbits(codes, axis=1, count=_BITS * len(scales)).reshape(len(codes), len(scales), _BITS)
    levels = bits @ (1 << np.arange(_BITS))
    return np.asarray((levels - (2**_BITS - 1) / 2) * scales, np.float32)
