"""Which words of a text moved its prediction: leave each out, classify again, see what changes (occlusion).

The device does it with the model it has: one more run for each word, in batches. It shows what the model
reacts to, not why: words that only work together (a negation and what it negates) each show a part of it;
``by="sentence"`` leaves out whole sentences.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any, Literal, get_args

from edge_lstm.classifier import Classifier
from edge_lstm.errors import DataError
from edge_lstm.html import page, table
from edge_lstm.metrics import SMALLEST_PROBABILITY
from edge_lstm.text import START_ID, Status

By = Literal["word", "sentence"]

CHUNK = 64  # rows between two calls of progress
WEAK = 0.05  # of the strongest effect: what is below stays without colour
LISTED = 20  # parts in the page's table
# A sentence ends at its stop and the space after it, at a line's end, or at an HTML break.
# The stop of an English title is not an end.
_SENTENCE_END = re.compile(
    r"(?<!\bMr)(?<!\bMs)(?<!\bDr)(?<!\bSt)(?<!\bMrs)"
    r"[.!?…。！？]+[\"')\]’”»]*(?=\s)|[。！？]|\n+|(?:<br\s*/?>\s*)+"
)
_STYLE = """
.reading { font-size: 1.13rem; line-height: 1.9; max-width: 72ch; }
.reading span { border-radius: 3px; padding: 1px 0; }
.unknown { text-decoration: underline; }
.unread { color: var(--muted); }
"""


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
    """A text's prediction and what each part did to it.

    label: what the effects are about, the predicted label where no other was asked for; probability: of it.
    answer: the predicted label.
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
        """The parts that moved the prediction most, in either direction, without those of no effect."""
        moving = [part for part in self.parts if part.effect]
        return sorted(moving, key=lambda part: -abs(part.effect))[:count]

    def strength(self, part: Part) -> float:
        """-1 (away from the label) to 1 (towards it): the part's effect over the strongest one."""
        strongest = max((abs(part.effect) for part in self.parts), default=0.0)
        return part.effect / strongest if strongest else 0.0

    def pieces(self) -> Iterator[tuple[str, Part | None]]:
        """The whole text in order: each part, and None with what stands between them."""
        at = 0
        for part in self.parts:
            yield self.text[at : part.start], None
            yield part.text, part
            at = part.end
        yield self.text[at:], None

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
    """Leave out each part of a text in turn.

    label: what the effects are about; None for the predicted one. by: the parts, words or sentences.
    progress: called with (rows that ran, rows in all).

    Raise DataError where the model has no such label or there are no such parts.
    """
    labels, tokenizer = classifier.labels, classifier.model.tokenizer
    if label is not None and label not in labels:
        raise DataError(f"the model has no label {label!r}; its labels are {', '.join(labels)}")
    if by not in get_args(By):
        raise DataError(f"no parts called {by!r}; give word or sentence")
    encoded, tokens = tokenizer.encode_text(text), tokenizer.tokens(text)
    ids = [START_ID, *(id_ for token in tokens for id_ in token.ids)]
    words = [(token.start, token.end) for token in tokens]
    first_ids = [1]  # first_ids[w]: the place in ids where word w begins
    for token in tokens:
        first_ids.append(first_ids[-1] + len(token.ids))
    first_read = len(ids) - len(encoded.ids)  # the ids before it are cut off

    groups = [(w, w + 1) for w in range(len(words))] if by == "word" else _sentences(text, words)
    rows, row_of = [encoded.ids], [0] * len(groups)
    for g, (first, last) in enumerate(groups):
        start, end = first_ids[first], first_ids[last]
        if end > max(start, first_read):
            row_of[g] = len(rows)
            # The last ids of the text without the part: the truncation rule of Tokenizer.
            rows.append((ids[max(0, start - tokenizer.length) : start] + ids[end:])[-tokenizer.length :])
    predictions = _probabilities(classifier, rows, batch_size, progress)
    base, several = predictions[0], classifier.model.thresholds is not None
    best = max(range(len(labels)), key=base.__getitem__)
    column = best if label is None else labels.index(label)
    parts = [
        Part(
            start=words[first][0],
            end=words[last - 1][1],
            text=text[words[first][0] : words[last - 1][1]],
            effect=_log_odds(base, column, several) - _log_odds(predictions[row], column, several),
            probability=predictions[row][column],
            known=any(token.known for token in tokens[first:last]),
            read=first_ids[last] > first_read or first_ids[first] >= first_read,
        )
        for (first, last), row in zip(groups, row_of)
    ]
    return Explanation(
        text=text,
        label=labels[column],
        probability=base[column],
        answer=labels[best],
        probabilities=dict(zip(labels, base)),
        status=encoded.status,
        by=by,
        parts=tuple(parts),
    )


def explanation_page(explanation: Explanation) -> str:
    """The text with its colours and the strongest parts: HTML that loads nothing and runs no script."""
    title = f"{explanation.label} {explanation.probability:.1%}"
    return page(title, _body(explanation, title), style=_STYLE)


def _body(explanation: Explanation, title: str) -> Iterator[str]:
    label = escape(explanation.label)
    others = ", ".join(f"{escape(name)} {value:.1%}" for name, value in explanation.probabilities.items())
    yield f"<h1>{escape(title)}</h1>"
    yield (
        f'<p class="muted">{others}; status {explanation.status}. Blue moves towards {label}, orange away '
        "from it. Underlined: not in the vocabulary. Grey: not read, because the text is too long.</p>"
    )
    spans = (
        escape(text) if part is None else _span(part, explanation.strength(part))
        for text, part in explanation.pieces()
    )
    yield f'<p class="reading text">{"".join(spans)}</p>'
    yield "<h2>What moved the prediction most</h2>"
    rows = [
        (escape(" ".join(part.text.split())), f"{part.effect:+.3f}", f"{part.probability:.2%}")
        for part in explanation.strongest(LISTED)
    ]
    yield table((explanation.by, "effect", f"{explanation.label} without it"), rows, numbers=(1, 2))
    yield (
        f'<p class="muted">Each {explanation.by} was left out in turn. The effect is the change of the '
        f"log-odds of {label}: +1 multiplies its odds by 2.7. It shows what the model reacts to, not why; "
        "words that only work together each show a part of it.</p>"
    )


def _span(part: Part, strength: float) -> str:
    rgb = "37,99,168" if strength > 0 else "217,119,43"  # GOOD and BAD of html.py
    opacity = 0.2 + 0.5 * abs(strength)
    tint = f"background:rgba({rgb},{opacity:.2f})" if abs(strength) >= WEAK else ""
    names = " ".join(["unknown"] * (not part.known) + ["unread"] * (not part.read))
    title = f"effect {part.effect:+.3f}, without it {part.probability:.2%}"
    return f'<span class="{names}" style="{tint}" title="{title}">{escape(part.text)}</span>'


def _probabilities(
    classifier: Classifier,
    rows: Sequence[Sequence[int]],
    batch_size: int | None,
    progress: Callable[[int, int], None] | None,
) -> list[list[float]]:
    predictions: list[list[float]] = []
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        predictions += classifier.probabilities_of(chunk, batch_size=batch_size).tolist()
        if progress:
            progress(len(predictions), len(rows))
    return predictions


def _log_odds(probabilities: Sequence[float], column: int, several: bool) -> float:
    """Log-odds of one label against all others, or, with several labels per text, against its absence.

    The others are added up: 1 - p has no digits left near p = 1.
    """
    p = probabilities[column]
    others = 1 - p if several else math.fsum(q for i, q in enumerate(probabilities) if i != column)
    return math.log(max(p, SMALLEST_PROBABILITY)) - math.log(max(others, SMALLEST_PROBABILITY))


def _sentences(text: str, words: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges of words, (first, one after the last), that form the sentences."""
    groups, first = [], 0
    for end in [*(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]:
        last = first
        while last < len(words) and words[last][0] < end:
            last += 1
        if last > first:
            groups.append((first, last))
        first = last
    return groups
