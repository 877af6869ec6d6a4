"""The golden rows of a model file, for its self-test.

Their texts follow from the vocabulary alone, and that is in the file anyway: they tell nothing
of the texts that the network learnt from. Standard library, numpy and the device's side only: the
planning counts their bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_lstm.core.model_checks import GOLDEN_LABELS
from edge_lstm.core.text import Tokenizer

ORDERS = 16  # orders in which golden_texts can draw its words

# Written for the project: capitals, marks, an apostrophe and letters beyond ASCII, everyday words.
_WRITTEN = "Not GOOD, not bad: it’s as it is. Isn't it? ÄΣ"
# Words of the two texts of any words.
_SHORT = 8
_LONG = 52
_LONGEST_PROBABILITY = 1.23456789e-05


def golden_texts(
    tokenizer: Tokenizer, examples: Sequence[str] = (), *, order: int = 0
) -> list[str]:
    """Return the texts of a model file's golden rows, each once, the examples last.

    The others are few, since each has a probability per label: empty; an unknown word; a text of
    written words, frequent ones, for their pairs, and one made up of pieces; a short and a long
    text of any words and pieces. The same vocabulary gives the same texts.

    order: number of the order of these words, 0 to ORDERS - 1. The texts have the same number of
        bytes in each.
    """
    rng = np.random.default_rng(0)
    words = tokenizer.words
    pieces = tokenizer.pieces
    # Most pairs of the first words are n-grams.
    frequent = _drawn(rng, words[:10], 20)
    made_up = "".join(_drawn(rng, pieces, 3))
    drawn = _drawn(rng, (*words, *pieces), _SHORT + _LONG)
    np.random.default_rng(order).shuffle(drawn)
    mixed = " ".join([_WRITTEN, *frequent, made_up]).rstrip()
    own = ["", "Qwxyzzy!", mixed, " ".join(drawn[:_SHORT]), " ".join(drawn[_SHORT:])]
    return [*dict.fromkeys(text for text in own if text not in examples), *examples]


def longest_golden(tokenizer: Tokenizer, labels: int) -> list[dict[str, object]]:
    """Return golden rows whose answers take as many bytes as any can."""
    answers = [_LONGEST_PROBABILITY] * labels
    texts = golden_texts(tokenizer)
    return [golden_row(text, tokenizer.encode_text(text).ids, answers) for text in texts]


def golden_row(
    text: str, ids: Sequence[int], probabilities: Sequence[float], *, is_example: bool = False
) -> dict[str, object]:
    """Return a golden row as the file holds it: the answers of the most probable labels.

    probabilities: float32, one for each label.
    is_example: a person put the text into the file, to be shown.
    """
    answers = np.asarray(probabilities, np.float32)
    best = np.argsort(-answers, kind="stable")[:GOLDEN_LABELS]
    # The shortest number that is this float32.
    shown = [[int(label), float(str(answers[label]))] for label in best]
    row: dict[str, object] = {"text": text, "ids": list(ids), "probabilities": shown}
    if is_example:
        row["example"] = True
    return row


def _drawn(rng: np.random.Generator, entries: Sequence[str], count: int) -> list[str]:
    """Draw entries, with repeats; none out of none."""
    return [entries[i] for i in rng.integers(len(entries), size=count)] if entries else []
