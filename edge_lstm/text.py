"""Text → token ids: the rule, the vocabulary, the matrix that the model takes.

The rule is that of ``keras.preprocessing.text.text_to_word_sequence``: lower-case, filter characters
become spaces, split on single spaces, empty pieces dropped. One character is added to Keras's filter,
the carriage return, so that a text answers the same whether its lines end in LF or CR LF (no IMDB
review contains one, so Keras's word index stays valid).

Ids are those of ``keras.datasets.imdb``: 0 padding, 1 start of text, 2 out of vocabulary, and the word
of frequency rank r is r + 3.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

PAD_ID = 0
START_ID = 1
OOV_ID = 2
FIRST_WORD_ID = 4  # rank 1; id 3 stays unused, as in keras.datasets.imdb
DEFAULT_LENGTH = 600
KERAS_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
FILTERS = KERAS_FILTERS + "\r"

# Of a long text this many characters for each id are read first: enough for words of nearly every text.
_TAIL_CHARACTERS = 32

Status = Literal["ok", "empty", "unknown_words", "truncated"]

# The filter characters are ASCII, so the rule can work on UTF-8 bytes, where translate() is a table look-up.
# The pieces of 1,300 characters take 12 us against 16 with str.translate(), and 19 against 130 where one of
# them is not ASCII (Python 3.11, timeit of _pieces against text.lower().translate(table).split(" ")).
_TO_SPACE = bytes.maketrans(FILTERS.encode(), b" " * len(FILTERS))


def _pieces(text: str) -> list[bytes]:
    return text.lower().encode("utf-8", "surrogatepass").translate(_TO_SPACE).split(b" ")


def split_words(text: str) -> list[str]:
    """The words of a text, in order, by the rule above."""
    return [piece.decode("utf-8", "surrogatepass") for piece in _pieces(text) if piece]


def text_key(text: str) -> int:
    """64 bits that are the same for texts of the same words, whatever their capitals, punctuation and
    spaces: to find duplicates without keeping the texts (of a million, two collide once in 10^7 times).
    """
    words = b" ".join(filter(None, _pieces(text)))
    return int.from_bytes(hashlib.blake2b(words, digest_size=8).digest(), "little")


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where the words of :func:`split_words` stand in the text as it was given: (start, end) of each."""
    # Lower-casing may change a word's length, but never makes or takes away a filter character.
    return [match.span() for match in re.finditer(f"[^{re.escape(FILTERS)} ]+", text)]


@dataclass(frozen=True)
class Encoded:
    """One text as token ids.

    ``ids`` holds at most ``length`` ids without padding; ``status`` says what a reader should know of
    the text: ``ok``, ``empty`` (no words), ``unknown_words`` (words, but none of the vocabulary) or
    ``truncated`` (only the last ``length`` ids were kept).
    """

    ids: list[int]
    status: Status


@dataclass(frozen=True)
class Tokenizer:
    """The text rule with a vocabulary.

    words: the vocabulary; ``words[i]`` has id ``i + 4``.
    length: columns of the model's input; longer texts keep their last ``length`` ids.
    oov_id: the id of words outside the vocabulary, or None to leave such words out altogether
        (``oov_char=None`` of ``keras.datasets.imdb.load_data``), so that no time is spent on them.
    """

    words: tuple[str, ...]
    length: int = DEFAULT_LENGTH
    oov_id: int | None = OOV_ID
    _ids: dict[bytes, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        encoded = (word.encode("utf-8", "surrogatepass") for word in self.words)
        object.__setattr__(self, "_ids", {word: i for i, word in enumerate(encoded, FIRST_WORD_ID)})

    @property
    def num_ids(self) -> int:
        """Number of ids in use: every id is below it."""
        return len(self.words) + FIRST_WORD_ID

    def encode_text(self, text: str) -> Encoded:
        """One text → its ids, at most ``length`` of them, and its status."""
        tail_length = _TAIL_CHARACTERS * self.length
        if len(text) > 2 * tail_length:
            # Only its last words matter. A space keeps lower() from looking over the cut (final sigma).
            tail = self._encode(text[text.find(" ", len(text) - tail_length) + 1 :])
            if tail.status == "truncated":
                return tail
        return self._encode(text)

    def _encode(self, text: str) -> Encoded:
        pieces = _pieces(text)
        known = self._ids.get
        if self.oov_id is None:
            ids = [START_ID, *filter(None, map(known, pieces))]
            has_known = len(ids) > 1
        else:
            oov = self.oov_id
            ids = [START_ID, *[known(piece, oov) for piece in pieces if piece]]
            # Known words have ids from 4 on: one C-level pass tells whether there is any.
            has_known = max(ids) >= FIRST_WORD_ID
        if not has_known:
            return Encoded(ids[-self.length :], "unknown_words" if any(pieces) else "empty")
        if len(ids) > self.length:
            return Encoded(ids[-self.length :], "truncated")
        return Encoded(ids, "ok")

    def count_words(self, text: str) -> tuple[int, int]:
        """(words of the whole text, those of them that are in the vocabulary)."""
        pieces = [piece for piece in _pieces(text) if piece]
        return len(pieces), sum(map(self._ids.__contains__, pieces))

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.int32]:
        """Texts → ids: int32 [n, length], 0 = padding, on the right."""
        return to_matrix([self.encode_text(text).ids for text in texts], self.length)

    def to_metadata(self) -> dict[str, Any]:
        """The rule in words and numbers, for the model file: enough to re-implement it."""
        return {
            "rule": "lower-case; each filter character becomes a space; split on spaces; drop empty pieces",
            "lowercase": "unicode",
            "filters": FILTERS,
            "pad_id": PAD_ID,
            "padding": "right",
            "start_id": START_ID,
            "oov_id": self.oov_id,
            "first_word_id": FIRST_WORD_ID,
            "length": self.length,
            "truncation": "keep the last ids",
        }


def to_matrix(rows: Sequence[Sequence[int]], length: int) -> npt.NDArray[np.int32]:
    """Rows of at most ``length`` ids → int32 [n, length], padded with 0 on the right."""
    matrix = np.zeros((len(rows), length), dtype=np.int32)
    for i, row in enumerate(rows):
        matrix[i, : len(row)] = row
    return matrix
