"""What a linear model reads of a short text: its n-grams, the parts of its words, and what they mean.

The parts of words (characters 2 to 5 within a word) count in training only: a word's are known beforehand,
so they are added into the word's own vector, and a word that came up once still says what its parts say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from edge_lstm.text import FIRST_WORD_ID, PAD_ID, START_ID, Tokenizer, spaceless
from edge_lstm_export.examples import Examples
from edge_lstm_export.pretrained import Meanings

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Truth = npt.NDArray[Any]  # int64 [n], or of texts with several labels bool [n, labels]
Matrix = Any  # scipy.sparse.csr_matrix, float32
CHARACTERS = (2, 3, 4, 5)
FEWEST_TEXTS = 2  # that a pair, or a part of a word, is to occur in
# Of a piece that a word is read as which the texts do not teach (see learn_features).
FEWEST_CHARACTERS = 3


def choose_ngrams(examples: Examples, most: int, num_ids: int) -> Ints:
    """The n-grams that get a vector: int64 [n, 2] as network.NGramVectors wants them, n at most ``most``.

    Every id below ``num_ids`` that is not the padding's or the start's (one that occurs in no text has its
    parts), then the pairs that occur in most texts, in two or more. Labels are not read.
    """
    _, pairs = held_in(examples)
    used = np.setdiff1d(np.arange(num_ids), (PAD_ID, START_ID))[:most]
    keys, texts = np.unique(pairs[:, 1], return_counts=True)
    keys, texts = keys[texts >= FEWEST_TEXTS], texts[texts >= FEWEST_TEXTS]
    kept = np.sort(keys[np.argsort(-texts, kind="stable")[: most - len(used)]])
    words = np.stack([used, np.zeros_like(used)], axis=1)
    return np.concatenate([words, np.stack(np.divmod(kept, PAIR_BASE), axis=1)]).astype(np.int64)


PAIR_BASE = 2**31  # a pair's key: left id · PAIR_BASE + right id


def held_in(examples: Examples) -> tuple[Ints, Ints]:
    """(text, id) and (text, key of a pair), int64 [n, 2] each, each once a text."""
    owner = np.repeat(np.arange(len(examples)), examples.lengths)
    ids = examples.ids.astype(np.int64)
    same = owner[:-1] == owner[1:]
    pairs = (ids[:-1] * PAIR_BASE + ids[1:])[same]
    return _each_once(owner, ids), _each_once(owner[:-1][same], pairs)


def _each_once(owner: Ints, keys: Ints) -> Ints:
    """(owner, key), int64 [n, 2] in ascending order, each once."""
    known, place = np.unique(keys, return_inverse=True)
    both = np.sort(owner * len(known) + place.reshape(-1))
    both = both[np.diff(both, prepend=-1) != 0]  # numpy's unique hashes, which takes several times as long
    return np.stack([both // max(1, len(known)), known[both % max(1, len(known))]], axis=1)


@dataclass(frozen=True)
class Features:
    """What the linear model reads of a text: the n-grams that it holds, and parts of its words.

    keys: int64 [n] ascending, words' ids and pairs' keys, a row of the network's vectors each; words: how
    many of them are words. parts: float32 [n, parts], CSR: how often an n-gram has a part. entries: the
    words and pieces, by id. meanings: float32 [n, width], what a word adds to the meaning of a text, 0 for
    pairs (pretrained.Meanings.weighted); None where nothing is known. meant: the length of what a text means;
    0: it is not read. read_as: float32 [n, n], CSR: what n-grams each is to the linear model; None: itself.
    """

    keys: Ints
    words: int
    parts: Matrix
    entries: tuple[str, ...]
    meanings: Floats | None = None
    meant: float = 0.0
    read_as: Matrix | None = None

    def subset(self, rows: Ints) -> Features:
        """Of some of the n-grams, rows in ascending order."""
        words = int((rows < self.words).sum())
        meanings = None if self.meanings is None else self.meanings[rows]
        read_as = None if self.read_as is None else self.read_as[rows][:, rows]
        some = replace(self, keys=self.keys[rows], words=words, parts=self.parts[rows])
        return replace(some, meanings=meanings, read_as=read_as)

    def with_meanings(self, length: float) -> Features:
        """The same with what the words mean beside them: columns that words share which mean something alike,
        those of the labelled texts and others. length: of a text's meaning; 0, or where nothing is known,
        these as they are."""
        return replace(self, meant=length) if length and self.meanings is not None else self

    @property
    def width(self) -> int:
        """Of the meanings, where they are read."""
        return self.meanings.shape[1] if self.meanings is not None and self.meant else 0

    @cached_property
    def with_borders(self) -> Features:
        """The same with parts of pairs beside those of words: the characters around the space between two.
        So a pair that came up twice says what pairs say that end and begin alike. Two pieces count as two
        words, though they may be of one."""
        parts = _Parts(len(self.keys))
        for row, key in enumerate(self.keys[self.words :].tolist(), self.words):
            left, right = (self.entries[i] for i in divmod(key, PAIR_BASE))
            if not (spaceless(left) or spaceless(right)):  # between these there is no space
                parts.add(row, f"{left} {right}", around=len(left))
        return replace(self, parts=sparse.hstack([self.parts, parts.matrix()]).tocsr())

    def matrix(self, examples: Examples) -> Matrix:
        """float32 [texts, n + parts + width], CSR: what each text holds, as the linear model reads it."""
        held = self.held(examples)
        blocks = [held if self.read_as is None else held @ self.read_as, held @ self.parts]
        if self.width:
            blocks.append(sparse.csr_matrix(held @ self.meanings))
        return sparse.hstack(blocks).tocsr()

    def held(self, examples: Examples) -> Matrix:
        """float32 [texts, n], CSR: the n-grams that each text holds."""
        found = np.concatenate(held_in(examples))
        place = np.searchsorted(self.keys, found[:, 1]).clip(max=len(self.keys) - 1)
        known = self.keys[place] == found[:, 1]
        ones = np.ones(int(known.sum()), np.float32)
        places = found[known, 0], place[known]
        return sparse.csr_matrix((ones, places), shape=(len(examples), len(self.keys)))

    def folded(self, weights: Floats) -> Floats:
        """weights: float32 [n + parts + width, outputs], of the matrix's columns → [n, outputs], parts and
        meanings added in."""
        count, meant = len(self.keys), len(weights) - self.width
        total = weights[:count] if self.read_as is None else self.read_as @ weights[:count]
        total = total + self.parts @ weights[count:meant]
        if self.meanings is not None and self.width:
            total = total + self.meanings @ weights[meant:]
        return np.asarray(total, np.float32)


def learn_features(
    ngrams: Ints, tokenizer: Tokenizer, meanings: Meanings | None = None, alone: Tokenizer | None = None
) -> Features:
    """The features of a network with these n-grams (see :func:`choose_ngrams`). meanings: of each id.

    alone: with the words that the labelled texts teach, where the tokenizer has others after these: to the
    linear model, another word is the pieces that it would be without. Else words that one text holds or none
    would be strangers, where their pieces are not."""
    words = int((ngrams[:, 1] == 0).sum())
    keys = np.concatenate([ngrams[:words, 0], ngrams[words:, 0] * PAIR_BASE + ngrams[words:, 1]])
    marked = ["", "", "", "", *(f"<{word}>" for word in tokenizer.words), *(tokenizer.pieces or ())]
    parts, read_as = _Parts(len(keys)), None
    taught = len(tokenizer.words) if alone is None else len(alone.words)
    others = range(FIRST_WORD_ID + taught, FIRST_WORD_ID + len(tokenizer.words))
    for row, i in enumerate(keys[:words].tolist()):
        if i not in others:
            parts.add(row, marked[i])
    if alone is not None and len(others):
        rows: list[int] = []
        columns: list[int] = []
        for row, i in enumerate(keys.tolist()):
            ids = [i]
            if row < words and i in others:
                found = alone.encode_text(tokenizer.words[i - FIRST_WORD_ID]).ids[1:]
                ids = [one + len(others) if one >= others.start else one for one in found]
                ids = [one for one in ids if len(marked[one]) >= FEWEST_CHARACTERS]
                for one in ids:
                    parts.add(row, marked[one])
            places = np.searchsorted(keys, ids)
            columns += [
                int(place) for place, one in zip(places, ids) if keys[min(place, len(keys) - 1)] == one
            ]
            rows += [row] * (len(columns) - len(rows))
        ones = np.ones(len(rows), np.float32)
        read_as = sparse.csr_matrix((ones, (rows, columns)), (len(keys), len(keys)))
    entries = ("", "<", "", "", *tokenizer.words, *(tokenizer.pieces or ()))
    known = None
    if meanings is not None:
        known = np.zeros((len(keys), meanings.vectors.shape[1]), np.float32)
        known[:words] = meanings.weighted[keys[:words]]
    return Features(keys, words, parts.matrix(), entries, known, read_as=read_as)


class _Parts:
    """Gathers which characters an n-gram has."""

    def __init__(self, ngrams: int) -> None:
        self.ngrams = ngrams
        self.number: dict[str, int] = {}
        self.rows: list[int] = []
        self.columns: list[int] = []

    def add(self, row: int, text: str, around: int | None = None) -> None:
        """The parts of ``text``; around: those alone that hold the character of this index, and one before or
        behind it."""
        for size in CHARACTERS:
            last = len(text) - size
            first = 0
            if around is not None:
                first, last = max(0, around - size + 1), min(around, last)
            for start in range(first, last + 1):
                self.rows.append(row)
                self.columns.append(self.number.setdefault(text[start : start + size], len(self.number)))

    def matrix(self) -> Matrix:
        """float32 [n-grams, parts], CSR; one empty column where there are none."""
        ones = np.ones(len(self.rows), np.float32)
        shape = (self.ngrams, max(1, len(self.number)))
        return sparse.coo_matrix((ones, (self.rows, self.columns)), shape=shape).tocsr()
