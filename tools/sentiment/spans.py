"""Parts of a review that stand for themselves.

They are clauses, sentences, runs of a few, and words around a negation.

A network that learns from whole reviews alone never sees what people type: one sentence. Clauses
show what a few words make of each other, as the phrases of the Stanford Sentiment Treebank do
(Socher et al., 2013).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from edge_lstm.core.text import split_words

LENGTHS = (0, 1, 1, 2, 3)  # sentences of a span, drawn; 0: a clause of one
FEWEST_CHARACTERS = 3  # "Ok." is a sentence, ")." is not
BEFORE = 3  # words before a negation, at most
AFTER = 5  # words after it, at most
MOST_AROUND = 3  # such spans of a review, at most
# fmt: off
NEGATIONS = (
    "not", "*n't", "never", "no", "nothing", "nobody", "none", "neither", "nor", "hardly", "barely",
    "without", "cannot", "lack", "lacks", "fails", "failed", "far",
)
# fmt: on

# After a full stop, a question or exclamation mark and what closes it; at the end of a line, which
# <br> is too.
_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？])|\s*(?:<br\s*/?>|\n)\s*")
_CLAUSE_END = re.compile(r"(?<=[,;:])\s+|(?<=[，；：、])|\s+[-–—]+\s+|\s*[()]+\s*")


def sentences(text: str) -> list[str]:
    """Split a text.

    "Mr. Smith" makes two: good enough to learn from.
    """
    return [part.strip() for part in _END.split(text) if len(part.strip()) >= FEWEST_CHARACTERS]


def random_spans(texts: Sequence[str], each: int, seed: int) -> list[str]:
    """Draw ``each`` spans of every text of two sentences or more.

    At most one comes from a sentence, and none twice.
    """
    rng = np.random.default_rng([seed, 0x5B])
    spans: dict[str, None] = {}
    for text in texts:
        parts = sentences(text)
        if len(parts) < 2:
            continue
        for _ in range(min(each, len(parts))):
            count = LENGTHS[int(rng.integers(len(LENGTHS)))]
            first = int(rng.integers(len(parts)))
            span = " ".join(parts[first : first + count])
            if not count:
                clauses = [
                    part
                    for part in _CLAUSE_END.split(parts[first])
                    if len(part) >= FEWEST_CHARACTERS
                ]
                span = clauses[int(rng.integers(len(clauses)))] if clauses else parts[first]
            spans[span] = None
    return list(spans)


def spans_around(texts: Sequence[str], words: Sequence[str], seed: int) -> list[str]:
    """Draw a few words of a clause around each of ``words`` that it holds; none twice.

    A word that begins with * stands for all that end so.
    """
    rng = np.random.default_rng([seed, 0xA8])
    whole = {word for word in words if not word.startswith("*")}
    ends = tuple(word[1:] for word in words if word.startswith("*"))
    spans: dict[str, None] = {}
    for text in texts:
        clauses = [clause.split() for part in sentences(text) for clause in _CLAUSE_END.split(part)]
        places = [
            (clause, i)
            for clause in clauses
            for i, last in enumerate(split_words(word)[-1:] for word in clause)
            if last and (last[0] in whole or last[0].endswith(ends))
        ]
        for place in np.sort(rng.permutation(len(places))[:MOST_AROUND]).tolist():
            clause, i = places[place]
            first = max(0, i - int(rng.integers(BEFORE + 1)))
            spans[" ".join(clause[first : i + 1 + int(rng.integers(1, AFTER + 1))])] = None
    return list(spans)
