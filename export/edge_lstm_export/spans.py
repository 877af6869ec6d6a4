"""Parts of a text that stand for themselves: clauses, single sentences, and runs of a few.

A network that learns from whole reviews alone never sees what people type: one sentence. A teacher that
labels any text labels these too. Clauses show what a few words make of each other ("not bad at all"), as the
labelled phrases of the Stanford Sentiment Treebank do (Socher et al., 2013).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

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
