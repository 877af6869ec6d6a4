"""What to know of evaluated texts before believing the figures: words a model does not know, duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edge_lstm.modelfile import ModelFile
from edge_lstm.text import text_key

# So many times the expected share of out-of-vocabulary words, and two points, are more than chance brings.
# To a model of IMDB, film reviews by others bring 1.15 times its share and customers' tickets 1.5 times; to a
# model of the tickets, the reviews bring 1.4 times.
_TIMES, _POINTS = 1.25, 0.02
# For models that do not say what share was to be expected.
_MANY = 0.2


@dataclass(frozen=True)
class OovRate:
    """rate: share of the texts' words that are out of the vocabulary, from 0 to 1.

    expected: the same of new texts like the training's, where the model says it; None elsewhere.
    without_known_words: texts with words, but none that the model knows.
    """

    rate: float
    expected: float | None
    without_known_words: int

    @property
    def out_of_domain(self) -> bool:
        """Whether these are texts of another kind than the model learnt from."""
        if self.expected is None:
            return self.rate > _MANY
        return self.rate > _TIMES * self.expected + _POINTS

    @property
    def note(self) -> str:
        """A line for a person: what it is, and what to do where it is bad."""
        known = "" if self.expected is None else f" ({self.expected:.1%} in texts like those it learnt from)"
        line = f"{self.rate:.1%} of the words are unknown to it{known}"
        if self.without_known_words:
            line += f", {self.without_known_words:,} texts hold no known word"
        if self.out_of_domain:
            line += "; these are texts of another kind: train on some like them"
        return line

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "out_of_domain": self.out_of_domain}


def oov_rate(model: ModelFile, texts: Sequence[str]) -> OovRate:
    """Counts the words of every text, the whole of it."""
    counts = [model.tokenizer.count_words(text) for text in texts]
    words = sum(count for count, _ in counts)
    data = model.training.get("data")
    expected = data.get("unknown_words") if isinstance(data, dict) else None
    return OovRate(
        1 - sum(known for _, known in counts) / words if words else 0.0,
        float(expected) if isinstance(expected, (int, float)) else None,
        sum(1 for count, known in counts if count and not known),
    )


@dataclass(frozen=True)
class Duplicates:
    """repeated: texts with the words of an earlier one, which count more than once.

    conflicting: texts of the same words as one with another label; no model can answer them all.
    """

    repeated: int
    conflicting: int


def find_duplicates(texts: Sequence[str], labels: Sequence[int]) -> Duplicates:
    """labels: each text's true one. Capitals, punctuation and spaces make no difference."""
    groups: dict[int, list[int]] = {}
    for text, label in zip(texts, labels):
        groups.setdefault(text_key(text), []).append(label)
    conflicting = sum(len(group) for group in groups.values() if len(set(group)) > 1)
    return Duplicates(len(texts) - len(groups), conflicting)
