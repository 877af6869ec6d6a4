"""What to know of evaluated texts before believing the metrics: out-of-vocabulary words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edge_lstm.modelfile import ModelFile

# So many times the expected share of out-of-vocabulary words, and two points: texts of the same kind by other
# writers stay below.
_TIMES, _POINTS = 1.25, 0.02
_MANY = 0.2  # for models that do not say what share to expect


@dataclass(frozen=True)
class OovRate:
    """rate: share of the texts' words that are out of the vocabulary, from 0 to 1.

    expected: the same of new texts like the training's; None where the model does not say it.
    without_known_words: texts with words, but none of the vocabulary.
    """

    rate: float
    expected: float | None
    without_known_words: int

    @property
    def out_of_domain(self) -> bool:
        """Whether these are texts of another kind than the training's."""
        if self.expected is None:
            return self.rate > _MANY
        return self.rate > _TIMES * self.expected + _POINTS

    @property
    def note(self) -> str:
        """A line for a person: what it is, and what to do where it is bad."""
        usual = "" if self.expected is None else f" ({self.expected:.1%} in texts like its training texts)"
        line = f"{self.rate:.1%} of the words are not in its vocabulary{usual}"
        if self.without_known_words:
            line += f"; texts without a known word: {self.without_known_words:,}"
        if self.out_of_domain:
            line += ". These are texts of another kind: train on some of them too"
        return line

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "out_of_domain": self.out_of_domain}


def oov_rate(model: ModelFile, texts: Sequence[str]) -> OovRate:
    """Count the words of every text, the whole of it."""
    counts = [model.tokenizer.count_words(text) for text in texts]
    words = sum(count for count, _ in counts)
    data = model.training.get("data")
    expected = data.get("unknown_words") if isinstance(data, dict) else None
    return OovRate(
        1 - sum(known for _, known in counts) / words if words else 0.0,
        float(expected) if isinstance(expected, (int, float)) else None,
        sum(1 for count, known in counts if count and not known),
    )
