"""The words of a text that moved its prediction, found by occlusion.

Each word is left out in turn and the rest is classified again. The device does it with its own
model: one more run for each word, in batches. The result shows what the model reacts to, not why.
Words that only work together (a negation and the negated word) each show a part of their effect.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge_lstm.core.classifier import Classifier, Row
from edge_lstm.core.decide import STATUSES, Policy, check_label, decide
from edge_lstm.core.text import Token, Tokenizer
from edge_lstm.metrics import SMALLEST_PROBABILITY


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word of a text and its effect.

    start, end: its characters are text[start:end].
    text: the word.
    effect: the label's log-odds for the whole text - its log-odds without the word. The word moves
        the prediction towards the label (above 0) or away from it (below 0).
    probability: of the label, without the word.
    known: whether it is in the vocabulary.
    read: whether it is in the part of the text that the model reads.
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
    """A prediction and the effects of the words.

    text: the text; of a row, its texts and a character for each field's word.
    label: the label that the effects are about.
    probability: of this label.
    predicted: the predicted label.
    probabilities: of each label.
    status: see text.Status.
    words: in the order of the text.
    """

    text: str
    label: str
    probability: float
    predicted: str
    probabilities: dict[str, float]
    status: str
    words: tuple[Word, ...]

    def strongest(self, count: int) -> list[Word]:
        """Return the words that moved the prediction most, in either direction.

        Words without effect are left out.
        """
        moving = [word for word in self.words if word.effect]
        return sorted(moving, key=lambda word: -abs(word.effect))[:count]

    def strength(self, word: Word) -> float:
        """Return the word's effect over the strongest: -1 (away from the label) to 1 (towards)."""
        strongest = max((abs(word.effect) for word in self.words), default=0.0)
        return word.effect / strongest if strongest else 0.0


def explain(classifier: Classifier, text: Row, *, label: str | None = None) -> Explanation:
    """Explain a prediction: leave out each word of a text in turn.

    text: a row, if the model has fields; field words are then shown as descriptions.
    label: the label that the effects are about; None for the predicted one.

    Raise DataError if the model does not have the label.
    """
    fields = classifier.model.fields
    describe = str if fields is None else fields.describe
    text = classifier.model.as_text(text)
    labels = classifier.labels
    tokenizer = classifier.model.tokenizer
    if label is not None:
        check_label(label, labels)
    encoded = tokenizer.encode_text(text)
    rows = [encoded.ids]
    found = _without_each(tokenizer, text, rows)
    answers = classifier.probabilities_of(rows)
    read = bytes([STATUSES.index(encoded.status)])
    (prediction,) = decide(classifier.model, Policy(), answers[:1].tobytes(), read).predictions
    predictions = answers.tolist()

    predicted = str(prediction.label)
    column = labels.index(predicted if label is None else label)
    multi_label = classifier.model.thresholds is not None
    log_odds = [_log_odds(row, column, multi_label) for row in predictions]
    words = [
        Word(
            start=token.start,
            end=token.end,
            text=describe(text[token.start : token.end]),
            effect=log_odds[0] - log_odds[row],
            probability=predictions[row][column],
            known=token.known,
            read=is_read,
        )
        for token, row, is_read in found
    ]
    return Explanation(
        text=text,
        label=labels[column],
        probability=predictions[0][column],
        predicted=predicted,
        probabilities=prediction.probabilities,
        status=prediction.status,
        words=tuple(words),
    )


def _without_each(
    tokenizer: Tokenizer, text: str, rows: list[list[int]]
) -> list[tuple[Token, int, bool]]:
    """Return each word of a text, the row of ids without it, and whether the model reads it.

    rows: of the whole text alone; a row is added for each word that is read. Without another word,
        the model reads the same ids: its row is the first.
    """
    tokens = tokenizer.tokens(text)
    ids = tokenizer.with_start([i for token in tokens for i in token.ids])
    places = tokenizer.kept(range(len(ids)))  # of the ids that are read
    first_read = places[0] if places else 0
    end_read = first_read + len(places)
    found: list[tuple[Token, int, bool]] = []
    end = len(ids) - sum(len(token.ids) for token in tokens)
    for token in tokens:
        start = end
        end = start + len(token.ids)
        is_before_end = start < end_read or end_read == len(ids)
        is_read = is_before_end and (end > first_read or start >= first_read)
        row = 0
        if is_read and token.ids:
            row = len(rows)
            # The ids that are read of the text without the word.
            rows.append(list(tokenizer.kept(ids[:start] + ids[end:])))
        found.append((token, row, is_read))
    return found


def _log_odds(probabilities: Sequence[float], column: int, multi_label: bool) -> float:
    """Return the log-odds of one label against all others.

    With several labels per text, they are the log-odds against its absence.
    """
    p = probabilities[column]
    # The sum of the others, since 1 - p has no digits left near p = 1.
    others = math.fsum(q for i, q in enumerate(probabilities) if i != column)
    rest = 1 - p if multi_label else others
    return math.log(max(p, SMALLEST_PROBABILITY)) - math.log(max(rest, SMALLEST_PROBABILITY))
