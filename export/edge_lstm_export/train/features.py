"""What the n-gram part reads of a text: its words and word pairs, and while it is fitted also the characters
of its words and what they mean.

Character n-grams (2 to 5 within a word) and word embeddings count in the fit only. A word's own are fixed, so
they are added into the word's vector, and a word that came up once still says what its characters say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from edge_lstm.text import PAD_ID, START_ID, Tokenizer
from edge_lstm_export.train.examples import Examples

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Matrix = Any  # scipy.sparse.csr_matrix, float32
CHARACTERS = 2, 5
FEWEST_TEXTS = 2  # that a word pair, or a character n-gram, must occur in
# (the text of each pair, its column, how many texts hold each column) → float64 [columns], see choose_ngrams.
Ranking = Callable[[Ints, Ints, Ints], npt.NDArray[np.float64]]
_TEXTS_AT_A_TIME = 20_000
_PAIR_BASE = 2**31  # a pair's key: left id · _PAIR_BASE + right id


@dataclass(frozen=True)
class Features:
    """The n-grams of a network and what else its fit reads of a text.

    keys: int64 [n] ascending, words' ids and pairs' keys, one row of the network's vectors each; words: how
    many of them are words. characters: float32 [n, m], CSR: how often an n-gram holds a character n-gram;
    None for long texts, which hold enough words. embeddings: float32 [n, width], what a word adds to the
    meaning of a text; None where nothing is known.
    """

    keys: Ints
    words: int
    characters: Matrix | None = None
    embeddings: Floats | None = None

    @property
    def ids(self) -> Ints:
        """int64 [n, 2], as network.NGramVectors takes them."""
        first = np.where(self.keys < _PAIR_BASE, self.keys, self.keys // _PAIR_BASE)
        return np.stack([first, np.where(self.keys < _PAIR_BASE, 0, self.keys % _PAIR_BASE)], axis=1)

    def held(self, examples: Examples) -> Matrix:
        """float32 [texts, n], CSR: 1 for each n-gram that a text holds."""
        blocks = [self._held(*block) for block in _blocks(examples)]
        return sparse.vstack([sparse.csr_matrix((0, len(self.keys)), dtype=np.float32), *blocks], "csr")

    def _held(self, texts: int, owner: Ints, ids: Ints) -> Matrix:
        left, pairs = _pairs(owner, ids)
        owner, keys = np.concatenate([owner, left]), np.concatenate([ids, pairs])
        place = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        inside = self.keys[place] == keys
        rows, columns = _each_once(owner[inside], place[inside], len(self.keys))
        return sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), (texts, len(self.keys)))

    def best(self, vectors: Floats, held: Matrix, most: int) -> Features:
        """Keep ``most``: the first words and then the pairs that move most logits, by the length of their
        vectors times the root of their texts. vectors: float32 [n, outputs]; held: float32 [texts, n]."""
        words = min(self.words, most)
        worth = np.linalg.norm(vectors, axis=1) * np.sqrt(held.getnnz(axis=0))
        pairs = np.argsort(-worth[self.words :], kind="stable")[: most - words]
        keys = np.concatenate([self.keys[:words], np.sort(self.keys[self.words :][pairs])])
        return replace(self, keys=keys, words=words)

    def matrix(self, held: Matrix) -> Matrix:
        """held: float32 [texts, n] → float32 [texts, n + m + width], CSR: all columns of the fit."""
        blocks = [held]
        if self.characters is not None:
            blocks.append(held @ self.characters)
        if self.embeddings is not None:
            blocks.append(sparse.csr_matrix(held @ self.embeddings))
        return sparse.hstack(blocks).tocsr()

    def folded(self, weights: Floats) -> Floats:
        """weights: float32 [n + m + width, outputs], of :meth:`matrix` → float32 [n, outputs], those of the
        characters and embeddings added into the words'."""
        count = len(self.keys)
        total, start = weights[:count], count
        for block in (self.characters, self.embeddings):
            if block is not None:
                total = total + block @ weights[start : start + block.shape[1]]
                start += block.shape[1]
        return np.asarray(total, np.float32)


def choose_ngrams(examples: Examples, most: int, num_ids: int, scores: Ranking | None = None) -> Features:
    """The n-grams that get a vector, at most ``most``.

    Every id below ``num_ids`` that is not the padding's or the start's (a word that occurs in no text has its
    characters), then the word pairs of most worth that occur in two texts or more: those in most texts, or
    with ``scores`` those that tell labels apart.
    """
    owner, pairs = _pairs_of(examples)
    words = np.setdiff1d(np.arange(num_ids), (PAD_ID, START_ID))[:most]
    keys, column, texts = np.unique(pairs, return_inverse=True, return_counts=True)
    worth = texts.astype(np.float64) if scores is None else scores(owner, column, texts)
    worth[texts < FEWEST_TEXTS] = -1
    best = np.argsort(-worth, kind="stable")[: max(0, most - len(words))]
    chosen = np.sort(keys[best[worth[best] > 0]])
    return Features(np.concatenate([words, chosen]).astype(np.int64), len(words))


def log_count_ratio(targets: Floats) -> Ranking:
    """Rank n-grams by |log-count ratio| times the root of their texts, the largest over the labels against
    the rest (the ratio is NB-SVM's; Wang & Manning, 2012). targets: float32 [texts, L]."""

    def scores(owner: Ints, column: Ints, texts: Ints) -> npt.NDArray[np.float64]:
        inside = np.stack([np.bincount(column, label[owner], len(texts)) for label in targets.T], axis=1) + 1
        outside = texts[:, None] - inside + 2
        sizes = targets.sum(axis=0)
        ratios = np.log(inside / outside) - np.log((sizes + 1) / (len(targets) - sizes + 1))
        return np.asarray(np.abs(ratios).max(axis=1) * np.sqrt(texts), np.float64)

    return scores


def with_characters(features: Features, tokenizer: Tokenizer) -> Features:
    """The features with the character n-grams of words and subwords: of ``<word>`` for a word."""
    from sklearn.feature_extraction.text import CountVectorizer

    entries = ["", "", "", "", *(f"<{word}>" for word in tokenizer.words), *(tokenizer.pieces or ())]
    pairs = len(features.keys) - features.words  # which have no characters of their own
    texts = [entries[i] if i < len(entries) else "" for i in features.keys[: features.words]] + [""] * pairs
    counter = CountVectorizer(analyzer="char", ngram_range=CHARACTERS, lowercase=False, dtype=np.float32)
    return replace(features, characters=counter.fit_transform([*texts, "<>"])[:-1])


def with_embeddings(features: Features, embeddings: Floats) -> Features:
    """The features with what words mean. embeddings: float32 [ids, width], 0 where nothing is known."""
    table = np.zeros((len(features.keys), embeddings.shape[1]), np.float32)
    table[: features.words] = embeddings[features.keys[: features.words]]
    return replace(features, embeddings=table)


def _blocks(examples: Examples) -> Iterator[tuple[int, Ints, Ints]]:
    """Yield (texts, the text of each id, ids) of some texts at a time: all at once would take gigabytes."""
    for start in range(0, len(examples), _TEXTS_AT_A_TIME):
        offsets = examples.offsets[start : start + _TEXTS_AT_A_TIME + 1]
        owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        yield len(offsets) - 1, owner, examples.ids[offsets[0] : offsets[-1]].astype(np.int64)


def _pairs(owner: Ints, ids: Ints) -> tuple[Ints, Ints]:
    """(text, key) of each pair of neighbours, int64 [n] each."""
    same = owner[:-1] == owner[1:]
    return owner[:-1][same], (ids[:-1] * _PAIR_BASE + ids[1:])[same]


def _pairs_of(examples: Examples) -> tuple[Ints, Ints]:
    """(text, key) of the pairs, int64 [n] each, each once per text."""
    parts, first = [(np.zeros(0, np.int64), np.zeros(0, np.int64))], 0
    for texts, owner, ids in _blocks(examples):
        owner, pairs = _pairs(owner, ids)
        keys, place = np.unique(pairs, return_inverse=True)
        owner, place = _each_once(owner, place.reshape(-1), len(keys))
        parts.append((owner + first, keys[place]))
        first += texts
    return np.concatenate([owner for owner, _ in parts]), np.concatenate([keys for _, keys in parts])


def _each_once(rows: Ints, columns: Ints, width: int) -> tuple[Ints, Ints]:
    """Return the different (row, column) in ascending order, int64 [n] each; columns are below ``width``."""
    both = np.sort(rows * width + columns)
    both = both[np.diff(both, prepend=-1) != 0]  # numpy's unique hashes, which takes several times as long
    return both // max(1, width), both % max(1, width)
