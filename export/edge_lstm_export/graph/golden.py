"""The texts in a model file: golden texts for its self-test, and a person's examples.

The golden texts follow from the vocabulary alone, and that is in the file anyway: they tell nothing
of the texts that the network learnt from. Standard library, numpy and the device's side only: the
planning counts their bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from edge_lstm.errors import DataError
from edge_lstm.printable import CONTROL_CHARACTER
from edge_lstm.tables.lines import TEXT
from edge_lstm.tables.reader import format_of, read_rows
from edge_lstm.text import Tokenizer

MOST_EXAMPLES = 8
LONGEST_EXAMPLE = 500  # characters
ORDERS = 16  # orders in which golden_texts can draw its words

_UNKNOWN = "Qwxyzzy!"
# Written for the project: capitals, marks, an apostrophe and letters beyond ASCII, everyday words.
_WRITTEN = "Not GOOD, not bad: it’s as it is. Isn't it? ÄΣ"
# Words in a row: most pairs of the first words are n-grams.
_FREQUENT = 10
_PAIRED = 20
_PARTS = 3  # pieces of a made-up word
# Words of the two texts of any words.
_SHORT = 8
_LONG = 52


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
    frequent = _drawn(rng, words[:_FREQUENT], _PAIRED)
    made_up = "".join(_drawn(rng, pieces, _PARTS))
    drawn = _drawn(rng, (*words, *pieces), _SHORT + _LONG)
    np.random.default_rng(order).shuffle(drawn)
    mixed = " ".join([_WRITTEN, *frequent, made_up]).rstrip()
    own = ["", _UNKNOWN, mixed, " ".join(drawn[:_SHORT]), " ".join(drawn[_SHORT:])]
    return [*dict.fromkeys(text for text in own if text not in examples), *examples]


def _drawn(rng: np.random.Generator, entries: Sequence[str], count: int) -> list[str]:
    """Draw entries, with repeats; none out of none."""
    return [entries[i] for i in rng.integers(len(entries), size=count)] if entries else []


def checked_examples(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the texts that go into a model file as examples, each once.

    Raises DataError for more than MOST_EXAMPLES of them, and for one that is not a text, blank,
    longer than LONGEST_EXAMPLE characters, not UTF-8, or has a control character (a line end is
    one).
    """
    if isinstance(texts, str):
        raise DataError("the examples are one text; give a list of texts")
    examples = list(islice(texts, MOST_EXAMPLES + 1))
    if len(examples) > MOST_EXAMPLES:
        raise DataError(f"more than {MOST_EXAMPLES} example texts; give {MOST_EXAMPLES} or fewer")
    for number, text in enumerate(examples, 1):
        if reason := _unfit(text):
            raise DataError(f"example text {number} {reason}")
    return tuple(dict.fromkeys(examples))


def _unfit(text: Any) -> str | None:
    """Return why a text cannot be an example, and what to do; None if it can."""
    if not isinstance(text, str):
        return f"is {text!r:.40}; give a string"
    if not text.strip():
        return "is blank; leave it out"
    if len(text) > LONGEST_EXAMPLE:
        return f"has {len(text):,} characters; give at most {LONGEST_EXAMPLE}"
    if CONTROL_CHARACTER.search(text):
        return "has a line end or another control character; write it on one line"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "is not UTF-8; write it in UTF-8"
    return None


def read_examples(path: str | Path) -> tuple[str, ...]:
    """Read example texts from a table that ``score`` reads, or from lines.

    A file of another kind has one text per line; blank lines are left out.

    Raises DataError, also for a file without texts; see checked_examples.
    """
    rows = read_rows([path], format=format_of(str(path)) or TEXT.name)
    texts = (text for row in rows if (text := row.required_text()).strip())
    examples = checked_examples(texts)
    if not examples:
        raise DataError(f"{path} holds no text; give a file with one text per line")
    return examples
