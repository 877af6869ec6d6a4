"""Texts → a sparse matrix that says which n-grams each text holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

Ints = npt.NDArray[np.int64]
Matrix = Any  # scipy.sparse.csr_matrix, float32

ORDERS = 3  # 1-, 2- and 3-grams
# Words, and every punctuation mark by itself: "!" and "?" say something, and the teacher is not bound
# to the text rule of the model file.
_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)?|[^\w\s]")


def ngram_matrix(texts: Sequence[str], *, min_texts: int) -> Matrix:
    """float32 [texts, n-grams] in CSR form, 1 where the text holds the n-gram.

    Kept are n-grams that occur in at least ``min_texts`` texts.
    """
    tokens, owner, words = _tokens(texts)
    prefix = tokens  # for each position, the number of the kept (n-1)-gram that starts there, or -1
    rows: list[Ints] = []
    columns: list[Ints] = []
    width = 0
    for order in range(1, ORDERS + 1):
        codes = tokens if order == 1 else _codes(prefix, tokens, owner, order, words)
        if not len(codes):
            break
        unique, inverse = np.unique(codes, return_inverse=True)
        # Each n-gram once a text: presence, not count.
        once = np.unique(inverse.astype(np.int64) * len(texts) + owner[: len(codes)])
        gram, row = once // len(texts), once % len(texts)
        keep = (np.bincount(gram, minlength=len(unique)) >= min_texts) & (unique >= 0)
        number = np.where(keep, np.cumsum(keep) - 1, -1)
        inside = keep[gram]
        rows.append(row[inside])
        columns.append(number[gram[inside]] + width)
        width += int(keep.sum())
        prefix = number[inverse]
    row_of = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    column_of = np.concatenate(columns) if columns else np.zeros(0, np.int64)
    ones = np.ones(len(row_of), np.float32)
    return sparse.csr_matrix((ones, (row_of, column_of)), shape=(len(texts), width))


def _tokens(texts: Sequence[str]) -> tuple[Ints, Ints, int]:
    """All texts' tokens in a row as word numbers, the text each belongs to, and how many words there are."""
    words: dict[str, int] = {}
    parts: list[Ints] = []
    for text in texts:
        found = _TOKEN.findall(text.lower().replace("<br />", " "))
        parts.append(np.fromiter((words.setdefault(w, len(words)) for w in found), np.int64, len(found)))
    owner = np.repeat(np.arange(len(texts)), [len(part) for part in parts])
    return (np.concatenate(parts) if parts else np.zeros(0, np.int64)), owner, len(words)


def _codes(prefix: Ints, tokens: Ints, owner: Ints, order: int, words: int) -> Ints:
    """For each position the code of the n-gram that starts there: (its first n-1 tokens, its last token)
    as one number; -1 where a part is not kept or the text ends before it."""
    count = max(0, len(tokens) - order + 1)
    head, last = prefix[:count], tokens[order - 1 :]
    whole = (head >= 0) & (owner[:count] == owner[order - 1 :])
    return np.where(whole, head * words + last, -1)
