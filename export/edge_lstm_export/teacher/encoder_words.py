"""The words of an encoder: what each means beside the others, by the vectors that the encoder reads first.

Some hundred labelled texts hold a third less of the words that the next text brings. An encoder has read
them all: its own table of words says which of them mean something like those that were labelled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from edge_lstm.text import spaceless, split_marks
from edge_lstm_export.teacher.labels import Floats, Ints
from edge_lstm_export.teacher.transformer import Transformer, word_table

WIDTH = 128  # of a meaning: principal components; on the parts that soft_ngrams.py names 65.8 %, with 64 65.2
# Of the words that a word may be exchanged for: how many at most, and their least cosine. 30 of at least 0.25
# are as good.
NEIGHBOURS, LEAST_LIKENESS = 12, 0.35
# Of the words of texts, to be of use to them: of those of English sets an English encoder knows 89 to 98 %,
# of the same sets in letters of no language 0 to 13.
LEAST_KNOWN = 0.5
_CHUNK = 4096  # words compared at once


@dataclass(frozen=True)
class EncoderWords:
    """words: those that the encoder's tokenizer reads as one piece; table: float32 [pieces, hidden], what the
    encoder reads for each piece of its vocabulary; pieces: int64 [words], of each word. read: words → the
    pieces of each, without those that say that nothing is known."""

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
        """Of the encoder's own words, as :meth:`vectors` gives them."""
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
        """float32 [words, at most WIDTH], of length 1; 0 where the encoder knows nothing of a word."""
        return _of_length_one(self.vectors(words) @ self._axes[1])

    def near(self, words: Sequence[str], without: Sequence[str], most: int) -> tuple[str, ...]:
        """Of the encoder's own words the nearest to any of these, nearest first; none of ``without``."""
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
        """Of each word at most NEIGHBOURS of the encoder's own words that are near it, whichever are."""
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


def words_of(model: Transformer) -> EncoderWords | None:
    """From the encoder's tokenizer and its table of pieces; None where it has none, as one that reads
    characters. Words are of letters alone, two or more, in scripts that put spaces between them."""
    tokenizer = model.tokenizer
    weight = word_table(model)
    if weight is None:
        return None
    table = weight.detach().float().cpu().numpy()
    special = set(tokenizer.all_special_ids)
    ids = [i for i in range(min(len(tokenizer), len(table))) if i not in special]
    said = [
        tokenizer.convert_tokens_to_string([token]).strip() for token in tokenizer.convert_ids_to_tokens(ids)
    ]
    words = [
        (i, word.lower())
        for i, word in zip(ids, said)
        if len(word) > 1 and word.isalpha() and not spaceless(word)
    ]
    read = partial(_pieces_of, tokenizer)
    found: dict[str, int] = {}
    for (i, word), pieces in zip(words, read([word for _, word in words])):
        if pieces == [i]:
            found.setdefault(word, i)
    return EncoderWords(tuple(found), table, np.array(list(found.values()), np.int64), read)


def _pieces_of(tokenizer: Any, words: Sequence[str]) -> list[list[int]]:
    # After a space, since some vocabularies tell a word's beginning by it.
    if not words:
        return []
    read = tokenizer([f" {word}" for word in words], add_special_tokens=False)["input_ids"]
    return [[i for i in ids if i != tokenizer.unk_token_id] for ids in read]


def _of_length_one(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9), np.float32)
