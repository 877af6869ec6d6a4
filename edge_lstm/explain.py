"""Which words of a text moved the answer: leave each out, classify again, see what changes (occlusion).

The device does it with the model it has: one more run for each word, in batches, nothing but the model
file and ONNX Runtime. It shows what the model reacts to, not why: words that only work together (a
negation and what it negates) each show a part of it; ``by="sentence"`` leaves out whole sentences.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from edge_lstm.classifier import Classifier
from edge_lstm.errors import DataError
from edge_lstm.metrics import SMALLEST_PROBABILITY
from edge_lstm.text import START_ID, Status

By = Literal["word", "sentence"]

CHUNK = 64  # rows between two reports of progress
# A sentence ends at its stop and the space after it, at a line's end, or at an HTML break.
# The stop of an English title is not an end.
_SENTENCE_END = re.compile(
    r"(?<!\bMr)(?<!\bMs)(?<!\bDr)(?<!\bSt)(?<!\bMrs)"
    r"[.!?…。！？]+[\"')\]’”»]*(?=\s)|[。！？]|\n+|(?:<br\s*/?>\s*)+"
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A word or sentence of the text: characters ``start`` to ``end``.

    effect: how much it moves the log-odds of the label, towards it (above 0) or away from it (below 0):
        those of the whole text less those of the text without it.
    probability: of the label, without the part.
    known: a word of it is in the vocabulary; read: it is in the part of the text that the model reads.
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
    """A text's answer and what each part did to it. label: the label that effects are about, the answer
    where no other was asked for; probability: its probability.
    """

    text: str
    label: str
    probability: float
    answer: str
    probabilities: dict[str, float]
    status: Status
    by: By
    parts: tuple[Part, ...]

    def strongest(self, count: int) -> list[Part]:
        """The parts that moved the answer most, in either direction; those of no effect are left out."""
        moving = [part for part in self.parts if part.effect]
        return sorted(moving, key=lambda part: -abs(part.effect))[:count]

    def to_json(self) -> dict[str, Any]:
        """Plain values, for ``edge-lstm explain --json``."""
        return asdict(self)


def explain(
    classifier: Classifier,
    text: str,
    *,
    label: str | None = None,
    by: By = "word",
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Explanation:
    """Leaves out each part of a text in turn.

    label: what the effects are about; None for the answer. by: the parts, words or sentences.
    progress: called with (rows that ran, rows in all).

    Raises DataError where the model has no such label or there are no such parts.
    """
    labels = classifier.labels
    if label is not None and label not in labels:
        raise DataError(f"the model has no label {label!r}; its labels are {', '.join(labels)}")
    if by not in get_args(By):
        raise DataError(f"no parts called {by!r}; give word or sentence")
    tokenizer = classifier.model.tokenizer
    encoded = tokenizer.encode_text(text)
    tokens = tokenizer.tokens(text)
    words = [(token.start, token.end) for token in tokens]
    known = [token.known for token in tokens]
    ids, where = [START_ID], []  # where[w]: ids[where[w]:where[w + 1]] is word w
    for token in tokens:
        where.append(len(ids))
        ids += token.ids
    where.append(len(ids))
    first_read = len(ids) - len(encoded.ids)  # ids before it were cut off

    groups = [(w, w + 1) for w in range(len(words))] if by == "word" else _sentences(text, words)
    rows, row_of = [encoded.ids], {}
    for g, (first, last) in enumerate(groups):
        start, end = where[first], where[last]
        if end > max(start, first_read):
            row_of[g] = len(rows)
            # The last ids of the text without the part: the truncation rule of Tokenizer.
            length = tokenizer.length
            tail = ids[end:]
            rows.append((ids[max(0, start - length) : start] + tail)[-length:])
    answers = _probabilities(classifier, rows, batch_size, progress)
    base, several = answers[0], classifier.model.thresholds is not None
    column = labels.index(label) if label is not None else max(range(len(labels)), key=base.__getitem__)
    parts = []
    for g, (first, last) in enumerate(groups):
        row = answers[row_of[g]] if g in row_of else base
        start, end = words[first][0], words[last - 1][1]
        parts.append(
            Part(
                start=start,
                end=end,
                text=text[start:end],
                effect=_log_odds(base, column, several) - _log_odds(row, column, several),
                probability=row[column],
                known=any(known[first:last]),
                read=where[last] > first_read or where[first] >= first_read,
            )
        )
    answer = labels[max(range(len(labels)), key=base.__getitem__)]
    return Explanation(
        text=text,
        label=labels[column],
        probability=base[column],
        answer=answer,
        probabilities=dict(zip(labels, base)),
        status=encoded.status,
        by=by,
        parts=tuple(parts),
    )


def _probabilities(
    classifier: Classifier,
    rows: Sequence[Sequence[int]],
    batch_size: int | None,
    progress: Callable[[int, int], None] | None,
) -> list[list[float]]:
    answers: list[list[float]] = []
    for start in range(0, len(rows), CHUNK):
        answers += classifier.probabilities_of(rows[start : start + CHUNK], batch_size=batch_size).tolist()
        if progress:
            progress(len(answers), len(rows))
    return answers


def _log_odds(probabilities: Sequence[float], column: int, several: bool) -> float:
    """Of one label against all others. The others are added up: 1 - p has no digits left near p = 1. Where a
    text may have several labels, against not having it."""
    if several:
        others = 1 - probabilities[column]
    else:
        others = math.fsum(p for i, p in enumerate(probabilities) if i != column)
    return math.log(max(probabilities[column], SMALLEST_PROBABILITY)) - math.log(
        max(others, SMALLEST_PROBABILITY)
    )


def _sentences(text: str, words: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges of words, (first, one after the last), that form the sentences."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)] + [len(text)]
    groups = []
    first = 0
    for end in ends:
        last = first
        while last < len(words) and words[last][0] < end:
            last += 1
        if last > first:
            groups.append((first, last))
        first = last
    return groups
