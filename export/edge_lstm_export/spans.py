"""Parts of a text that stand for themselves: single sentences, and runs of a few.

A network that learns from whole reviews alone never sees what people type: one sentence. A teacher that
labels any text labels these too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

MOST_SENTENCES = 3  # of a span
FEWEST_CHARACTERS = 3  # "Ok." is a sentence, ")." is none

# After a full stop, a question or exclamation mark and what closes it, where white space follows; in scripts
# without spaces after their own marks; at the end of a line, which <br> is too.
_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？])|\s*(?:<br\s*/?>|\n)\s*")


def sentences(text: str) -> list[str]:
    """The sentences of a text, as they stand there. "Mr. Smith" makes two: good enough to learn from."""
    return [part.strip() for part in _END.split(text) if len(part.strip()) >= FEWEST_CHARACTERS]


def random_spans(texts: Sequence[str], each: int, seed: int) -> list[str]:
    """``each`` spans of one to MOST_SENTENCES sentences of every text that has more than one, drawn by
    ``seed``, in the texts' order; a text of fewer sentences gives fewer. No span is there twice."""
    rng = np.random.default_rng([seed, 0x5B])
    found: dict[str, None] = {}
    for text in texts:
        parts = sentences(text)
        if len(parts) < 2:
            continue
        for _ in range(min(each, len(parts))):
            count = int(rng.integers(1, MOST_SENTENCES + 1))
            first = int(rng.integers(0, len(parts)))
            found[" ".join(parts[first : first + count])] = None
    return list(found)
