"""Parts of a text that stand for themselves: clauses, single sentences, and runs of a few.

A network that learns from whole reviews alone never sees what people type: one sentence. A teacher that
labels any text labels these too. Clauses show what a few words make of each other ("not bad at all"), as the
labelled phrases of the Stanford Sentiment Treebank do (Socher et al., 2013); words that turn others ("not",
"never") are rare among them, so spans can be drawn around those too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from edge_lstm.text import split_words

# How many sentences a span has; 0: a clause of one. People type single sentences, and less.
LENGTHS = (0, 1, 1, 2, 3)
WHOLE_SENTENCES = (1, 2, 3)
FEWEST_CHARACTERS = 3  # "Ok." is a sentence, ")." is none

# After a full stop, a question or exclamation mark and what closes it, where white space follows; in scripts
# without spaces after their own marks; at the end of a line, which <br> is too.
_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？])|\s*(?:<br\s*/?>|\n)\s*")


# After a comma and its like, in scripts without spaces after their own; at a dash, and at brackets.
_CLAUSE_END = re.compile(r"(?<=[,;:])\s+|(?<=[，；：、])|\s+[-–—]+\s+|\s*[()]+\s*")


def sentences(text: str) -> list[str]:
    """The sentences of a text, as they stand there. "Mr. Smith" makes two: good enough to learn from."""
    return [part.strip() for part in _END.split(text) if len(part.strip()) >= FEWEST_CHARACTERS]


def random_spans(texts: Sequence[str], each: int, seed: int, lengths: Sequence[int] = LENGTHS) -> list[str]:
    """``each`` spans, of one of the ``lengths``, of every text that has more than one sentence, drawn by
    ``seed``, in the texts' order; a text of fewer sentences gives fewer. No span is there twice."""
    rng = np.random.default_rng([seed, 0x5B])
    found: dict[str, None] = {}
    for text in texts:
        parts = sentences(text)
        if len(parts) < 2:
            continue
        for _ in range(min(each, len(parts))):
            count = lengths[int(rng.integers(len(lengths)))]
            first = int(rng.integers(len(parts)))
            span = " ".join(parts[first : first + count])
            if not count:
                clauses = [part for part in _CLAUSE_END.split(parts[first]) if len(part) >= FEWEST_CHARACTERS]
                span = clauses[int(rng.integers(len(clauses)))] if clauses else parts[first]
            found[span] = None
    return list(found)


# Of a span around a word: most words before it and after it, and most spans of a text.
BEFORE, AFTER, MOST_AROUND = 3, 5, 3


def spans_around(texts: Sequence[str], words: Sequence[str], seed: int) -> list[str]:
    """Few words of a clause, around each of ``words`` that it holds, and so of all texts in their order; how
    many before it and after it is drawn by ``seed``. A word that begins with * stands for all that end so. No
    span is there twice."""
    rng = np.random.default_rng([seed, 0xA8])
    whole = {word.lower() for word in words if not word.startswith("*")}
    ends = tuple(word[1:].lower() for word in words if word.startswith("*"))
    found: dict[str, None] = {}
    for text in texts:
        clauses = [clause.split() for part in sentences(text) for clause in _CLAUSE_END.split(part)]
        places = [
            (clause, i)
            for clause in clauses
            for i, word in enumerate(split_words(own)[-1:] for own in clause)
            if word and (word[0] in whole or (ends and word[0].endswith(ends)))
        ]
        for place in np.sort(rng.permutation(len(places))[:MOST_AROUND]).tolist():
            clause, i = places[place]
            first = max(0, i - int(rng.integers(BEFORE + 1)))
            found[" ".join(clause[first : i + 1 + int(rng.integers(1, AFTER + 1))])] = None
    return list(found)
