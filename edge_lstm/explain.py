"""Which words of a text moved its prediction: leave each out, classify again, see what changes
(occlusion).

The device does it with the model it has: one more run for each word, in batches. It shows what the
    model
reacts to, not why: words that only work together (a negation and what it negates) each show a part
    of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_lstm.classifier import Classifier
from edge_lstm.errors import DataError
from edge_lstm.metrics import SMALLEST_PROBABILITY
from edge_lstm.text import START_ID, Status

WEAK = 0.05  # of the strongest effect: what is below stays without colour


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word of the text: characters ``start`` to ``end``.

    effect: how much it moves the log-odds of the label, towards it (above 0) or away from it (below
        0): those of the whole text less those of the text without it.
    probability: of the label, without the word.
    known: it is in the vocabulary; read: it is in the part of the text that the model reads.
    """

    start: int
    end: int
    text: str
    effect: float
    probability: float
    known: bool
    read: bool


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A text's prediction and what each word did to it.

    label: what the effects are about, the predicted label where no other was asked for;
        probability: of it.
    predicted: the predicted label.
    """

    text: str
    label: str
    probability: float
    predicted: str
    probabilities: dict[str, float]
    status: Status
    words: tuple[Word, ...]

    def strongest(self, count: int) -> list[Word]:
        """The words that moved the prediction most, in either direction, without those of no
        effect."""
        moving = [word for word in self.words if word.effect]
        return sorted(moving, key=lambda word: -abs(word.effect))[:count]

    def strength(self, word: Word) -> float:
        """-1 (away from the label) to 1 (towards it): the word's effect over the strongest one."""
        strongest = max((abs(word.effect) for word in self.words), default=0.0)
        return word.effect / strongest if strongest else 0.0

    def pieces(self) -> Iterator[tuple[str, Word | None]]:
        """The whole text in order: each word, and None with what stands between them."""
        at = 0
        for word in self.words:
            yield self.text[at : word.start], None
            yield word.text, word
            at = word.end
        yield self.text[at:], None


def explain(classifier: Classifier, text: str, *, label: str | None = None) -> Explanation:
    """Leave out each word of a text in turn.

    label: what the effects are about; None for the predicted one. DataError where the model has
        none such.
    """
    labels, tokenizer = classifier.labels, classifier.model.tokenizer
    if label is not None and label not in labels:
        raise DataError(f"the model has no label {label!r}; its labels are {', '.join(labels)}")
    encoded, tokens = tokenizer.encode_text(text), tokenizer.tokens(text)
    ids = [START_ID, *(id_ for token in tokens for id_ in token.ids)]
    first_read = len(ids) - len(encoded.ids)  # the ids before it are cut off
    rows, row_of, is_read, end = [encoded.ids], [], [], 1
    for token in tokens:
        start, end = end, end + len(token.ids)
        is_read.append(end > first_read or start >= first_read)
        row_of.append(len(rows) if end > max(start, first_read) else 0)
        if row_of[-1]:
            # The last ids of the text without the word: the truncation rule of Tokenizer.
            rows.append(
                (ids[max(0, start - tokenizer.length) : start] + ids[end:])[-tokenizer.length :]
            )
    predictions = classifier.probabilities_of(rows).tolist()
    base, several = predictions[0], classifier.model.thresholds is not None
    best = max(range(len(labels)), key=base.__getitem__)
    column = best if label is None else labels.index(label)
    words = [
        Word(
            start=token.start,
            end=token.end,
            text=text[token.start : token.end],
            effect=_log_odds(base, column, several) - _log_odds(predictions[row], column, several),
            probability=predictions[row][column],
            known=token.known,
            read=is_within,
        )
        for token, row, is_within in zip(tokens, row_of, is_read)
    ]
    return Explanation(
        text=text,
        label=labels[column],
        probability=base[column],
        predicted=labels[best],
        probabilities=dict(zip(labels, base)),
        status=encoded.status,
        words=tuple(words),
    )


def _log_odds(probabilities: Sequence[float], column: int, several: bool) -> float:
    """Log-odds of one label against all others, or, with several labels per text, against its
    absence.

    The others are added up: 1 - p has no digits left near p = 1.
    """
    p = probabilities[column]
    rest = 1 - p if several else math.fsum(q for i, q in enumerate(probabilities) if i != column)
    return math.log(max(p, SMALLEST_PROBABILITY)) - math.log(max(rest, SMALLEST_PROBABILITY))
