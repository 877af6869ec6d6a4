"""English clauses said with a negation, for a network that learns what a negation does.

A teacher knows what "It was boring" says, and "It was not boring" says the opposite, less strongly
(Kaushik et al., 2020, had people write such pairs; Taboada et al., 2011, on the strength).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge_lstm.core.text import spaceless

MOST_WORDS = 12  # In a longer clause the negation may be of something else.
SURE = 0.8  # the teacher, at least, of the clause as it stands
STRENGTH = 0.6  # How far the label is turned: 1 is the opposite, 0 neither.
MOST_ALONE = 3  # words: more without a verb are not a clause that "not" could stand before
MOST_AT_ALL = 3  # words that "at all" is added to

# Before who does it ("was it") and before "not" there is no place.
_PLACE = re.compile(
    r"\b(is|are|was|were|would|could|should|will|can|has been|have been|had been)\s+"
    r"(?!(?:not|you|it|he|she|they|we|I|this|that|there)\b)"
)
_UNFIT = re.compile(  # negated already, contrasted, asked, or more than a sentence
    r"\b(?:not|never|no|none|nothing|nobody|neither|nor|hardly|barely|cannot|without|only"
    r"|but|although|though)\b"
    r"|n't\b|\?|[.!]\s",
    re.IGNORECASE,
)
_SUBJECT = re.compile(r"\b(?:I|it|it's|this|that|he|she|they|you|we)\b|\d", re.IGNORECASE)
_END = re.compile(r"[^\w]*$")
_SHORT = {"will": "won't", "can": "can't"}


def negated(clause: str) -> list[str]:
    """Return the clause with a negation, in each way that there is.

    There is no way without a place for one, or if something would not be turned.
    """
    words = clause.split()
    if not words or len(words) > MOST_WORDS or _UNFIT.search(clause):
        return []
    place = _PLACE.search(clause)
    if place is None:
        if len(words) > MOST_ALONE or _SUBJECT.search(clause) or spaceless(clause):
            return []
        capitals = words[0].isupper() and len(words[0]) > 1
        alone = clause if capitals else clause[0].lower() + clause[1:]
        return [f"{'Not' if clause[0].isupper() else 'not'} {alone}"]
    before = clause[: place.start(1)]
    after = clause[place.end(1) :]
    verb, *been = place[1].split()
    ways = [f"{verb} not", _SHORT.get(verb, f"{verb}n't"), f"{verb} never"]
    texts = [before + " ".join([way, *been]) + after for way in ways]
    if len(after.split()) <= MOST_AT_ALL:
        texts.append(_END.sub(lambda end: f" at all{end[0]}", texts[len(words) % 2], count=1))
    return texts


def negated_clauses(
    clauses: Sequence[str], labels: npt.NDArray[np.float32]
) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Negate the clauses that the labels are sure of.

    labels: float32 [n, 2]. Return texts, float32 [m, 2], turned.

    No text is one of the clauses.
    """
    seen = set(clauses)
    texts = []
    rows = []
    for row in np.flatnonzero(labels.max(axis=1) >= SURE).tolist():
        for text in negated(clauses[row]):
            if text not in seen:
                seen.add(text)
                texts.append(text)
                rows.append(row)
    turned = 0.5 + STRENGTH * (labels[rows][:, ::-1] - 0.5)
    return texts, np.asarray(turned, np.float32).reshape(len(texts), 2)
