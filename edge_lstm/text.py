"""Text → token ids: the rule, the vocabulary, the matrix that the model takes.

The rule is that of ``keras.preprocessing.text.text_to_word_sequence``: lower-case, filter
characters become spaces, split on single spaces, empty pieces dropped. One character is added to
Keras's filter, the carriage return, so that a text gets the same answer whether its lines end in LF
or CR LF (no IMDB review contains one, so Keras's word index stays valid).

Ids are those of ``keras.datasets.imdb``: 0 padding, 1 start of text, 2 out of vocabulary, and the
word of frequency rank r is r + 3.

A text is Unicode: a surrogate pair is its character, and a lone surrogate is U+FFFD. That one
stands for what could not be read, so no vocabulary has it.

The rule ``pieces-1`` (docs/file-format.md) also reads any script: a known word stays one id, an
unknown one is read by its parts, and so is a sentence in a script without spaces.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

PAD_ID = 0
START_ID = 1
OOV_ID = 2
FIRST_WORD_ID = 4  # rank 1; id 3 stays unused, as in keras.datasets.imdb
DEFAULT_LENGTH = 600
# Joins labels in one column, as ``score`` writes them; no label of a model that gives several may
# hold it.
LABEL_JOINT = "|"
REPLACEMENT = "\ufffd"  # stands for what could not be read; in no vocabulary
KERAS_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
FILTERS = KERAS_FILTERS + "\r"

KERAS_RULE = "lower-case; each filter character becomes a space; split on spaces; drop empty pieces"

# Of a long text this many characters for each id are read first: enough for words of nearly every
# text.
_TAIL_CHARACTERS = 32

PIECES_RULE = "pieces-1"
# ASCII punctuation: words of their own where the vocabulary has them, else separators.
MARKS = KERAS_FILTERS.removesuffix("\t\n")
_ASCII_SPACES = "\t\n\r\x0b\x0c"
# What stands for an ASCII character, and what separates words, beyond ASCII, grouped by the first
# bytes that its characters have in common: a text without them is not searched for each.
_REPLACEMENTS = {"\u2019": "'", "\u061f": "?"}
_WIDE_SPACES = (
    "\u00a0\u00a1\u00ab\u00b7\u00bb\u00bf\u060c\u061b\u0964\u200b\u2010\u2011\u2012\u2013\u2014\u2015\u2018\u201a"
    "\u201c\u201d\u201e\u2022\u2026\u2028\u2029\u2039\u203a\u3000\ufeff"
)
_WIDE: dict[bytes, list[tuple[bytes, bytes]]] = {}
for _wide, _narrow in (*_REPLACEMENTS.items(), *((c, " ") for c in _WIDE_SPACES)):
    _bytes = _wide.encode()
    _WIDE.setdefault(_bytes[:-1], []).append((_bytes, _narrow.encode()))

# Scripts that put no spaces between words: Thai, Lao, Tibetan, Burmese, Khmer, Chinese, Japanese.
_SPACELESS = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff\u2e80-\u303f\u3040-\u30ff\u31f0-\u9fff\uf900-\ufaff"
    "\uff66-\uff9d\U0001b000-\U0001b16f\U00020000-\U0003ffff]"
)
_MEMO = 20_000  # words whose pieces are remembered

Status = Literal["ok", "empty", "unknown_words", "truncated"]

# The filter characters are ASCII, so the rule can work on UTF-8 bytes, where translate() is a table
# look-up.
_TO_SPACE = bytes.maketrans(FILTERS.encode(), b" " * len(FILTERS))


def well_formed(text: str) -> str:
    """Return a text without surrogates: a pair becomes its character, a lone one U+FFFD.

    Decoders of UTF-16 do the same. A well-formed text is returned as it is.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _lower_utf8(text: str) -> bytes:
    try:
        return text.lower().encode()
    except UnicodeEncodeError:  # rare, so that other texts need not be looked through
        return well_formed(text).lower().encode()


def _pieces(text: str) -> list[bytes]:
    return _lower_utf8(text).translate(_TO_SPACE).split(b" ")


def split_words(text: str) -> list[str]:
    """The words of a text, in order, by the rule above."""
    return [piece.decode() for piece in _pieces(text) if piece]


def text_key(text: str) -> int:
    """64 bits that are the same for texts of the same words, whatever their capitals, punctuation
    and
    spaces: to find duplicates without keeping the texts (of a million, two collide once in 10^7
        times)."""
    words = b" ".join(filter(None, _pieces(text)))
    return int.from_bytes(hashlib.blake2b(words, digest_size=8).digest(), "little")


def texts_digest(texts: Iterable[str]) -> str:
    """sha256 (hex) that is the same for texts of the same words (:func:`text_key`), in any
    order."""
    keys = sorted({text_key(text) for text in texts})
    return hashlib.sha256(b"".join(key.to_bytes(8, "little") for key in keys)).hexdigest()


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where the words of :func:`split_words` stand in the text as it was given: (start, end) of
    each."""
    # Lower-casing may change a word's length, but never makes or takes away a filter character.
    return [match.span() for match in re.finditer(f"[^{re.escape(FILTERS)} ]+", text)]


def spaceless(word: str) -> bool:
    """Whether a word holds characters of a script without spaces."""
    return _SPACELESS.search(word) is not None


def _mark_table(marks: Sequence[str]) -> bytes:
    """The bytes table of the rule pieces-1: what is no mark of the vocabulary becomes a space."""
    separators = "".join(mark for mark in MARKS if mark not in marks) + _ASCII_SPACES
    return bytes.maketrans(separators.encode(), b" " * len(separators))


def split_marks(text: str, marks: Sequence[str] = MARKS) -> list[str]:
    """The words of a text by the rule pieces-1, where ``marks`` are words."""
    words = _split_marks(text, _mark_table(marks), _apart(marks))
    return [word.decode() for word in words]


_Marks = list[tuple[int, bytes, bytes]]


def _apart(marks: Sequence[str]) -> _Marks:
    """Each mark: its code, the mark, and the mark between spaces."""
    return [(ord(mark), mark.encode(), f" {mark} ".encode()) for mark in marks]


def _split_marks(text: str, table: bytes, marks: _Marks) -> list[bytes]:
    data = _lower_utf8(text)
    if not data.isascii():
        for lead, pairs in _WIDE.items():
            if lead in data:
                for wide, narrow in pairs:
                    data = data.replace(wide, narrow)
    data = data.translate(table)
    for code, mark, apart in marks:
        if code in data:  # the fastest way to ask
            data = data.replace(mark, apart)
    return data.split()


def _sizes_by_first(pieces: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """First two characters → the lengths of the pieces that begin with them, the longest first."""
    sizes: dict[str, set[int]] = {}
    for piece in pieces:
        if len(piece) > 1:
            sizes.setdefault(piece[:2], set()).add(len(piece))
    return {first: tuple(sorted(those, reverse=True)) for first, those in sizes.items()}


@dataclass(frozen=True)
class Encoded:
    """One text as token ids.

    ``ids`` holds at most ``length`` ids without padding; ``status`` says what a reader should know
    of
    the text: ``ok``, ``empty`` (no words), ``unknown_words`` (words, but none of the vocabulary) or
    ``truncated`` (only the last ``length`` ids were kept).
    """

    ids: list[int]
    status: Status


@dataclass(frozen=True)
class Token:
    """A word of a text, or a piece of one in a script without spaces: characters ``start`` to
    ``end`` of the text as it was given, and its ids (none where it is left out)."""

    start: int
    end: int
    ids: list[int]

    @property
    def known(self) -> bool:
        """Whether the vocabulary has it."""
        return bool(self.ids) and self.ids != [OOV_ID]


@dataclass(frozen=True)
class Tokenizer:
    """The text rule with a vocabulary.

    words: the vocabulary; ``words[i]`` has id ``i + 4``.
    length: columns of the model's input; longer texts keep their last ``length`` ids.
    pieces: what other words are read as; their ids come after the words'. None for Keras's rule,
        which knows no pieces; else the rule is pieces-1, see above.
    """

    words: tuple[str, ...]
    length: int = DEFAULT_LENGTH
    pieces: tuple[str, ...] | None = None
    _ids: dict[bytes, int] = field(init=False, repr=False, compare=False)
    _piece_ids: dict[str, int] = field(init=False, repr=False, compare=False)
    _sizes: dict[str, tuple[int, ...]] = field(init=False, repr=False, compare=False)
    _table: bytes = field(init=False, repr=False, compare=False)
    _marks: _Marks = field(init=False, repr=False, compare=False)
    _memo: dict[bytes, list[int]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pieces, marks = self.pieces or (), self.marks
        derived: dict[str, Any] = {
            "_ids": {word.encode(): i for i, word in enumerate(self.words, FIRST_WORD_ID)},
            "_piece_ids": {
                piece: i for i, piece in enumerate(pieces, FIRST_WORD_ID + len(self.words))
            },
            "_sizes": _sizes_by_first(pieces),
            "_table": _mark_table(marks),
            "_marks": _apart(marks),
            "_memo": {},
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @property
    def marks(self) -> str:
        """The punctuation marks that are words, in the order of ASCII; none by Keras's rule."""
        return "" if self.pieces is None else "".join(sorted(set(MARKS).intersection(self.words)))

    @property
    def num_ids(self) -> int:
        """Number of ids in use: every id is below it."""
        return len(self.words) + len(self.pieces or ()) + FIRST_WORD_ID

    def encode_text(self, text: str) -> Encoded:
        """One text → its ids, at most ``length`` of them, and its status."""
        tail_length = _TAIL_CHARACTERS * self.length
        if len(text) > 2 * tail_length:
            # Only its last words matter. A space keeps lower() from looking over the cut (final
            # sigma).
            tail = self._encode(text[text.find(" ", len(text) - tail_length) + 1 :])
            if tail.status == "truncated":
                return tail
        return self._encode(text)

    def _encode(self, text: str) -> Encoded:
        if self.pieces is None:
            words: Sequence[bytes] = _pieces(text)
            ids = self._whole_words(words)
        else:
            words = _split_marks(text, self._table, self._marks)
            ids = self._words_and_pieces(words)
        # Known words have ids from 4 on: one C-level pass tells whether there is any.
        if max(ids) < FIRST_WORD_ID:
            return Encoded(ids[-self.length :], "unknown_words" if any(words) else "empty")
        if len(ids) > self.length:
            return Encoded(ids[-self.length :], "truncated")
        return Encoded(ids, "ok")

    def _whole_words(self, words: Sequence[bytes]) -> list[int]:
        """The ids of a text's words by Keras's rule, after the start's."""
        word_id = self._ids.get
        return [START_ID, *[word_id(word, OOV_ID) for word in words if word]]

    def _words_and_pieces(self, words: Sequence[bytes]) -> list[int]:
        """The ids of a text's words by the rule pieces-1, after the start's."""
        every: list[Any] = [START_ID, *map(self._ids.get, words)]
        unknown = every.count(None)
        if not unknown:
            return every
        ids: list[int] = []
        remembered, start = self._memo.get, 0
        for _ in range(unknown):  # from one to the next all is done in C
            end = every.index(None, start)
            word = words[end - 1]
            parts = remembered(word)
            ids += every[start:end]
            ids += self.split_word(word.decode()) if parts is None else parts
            start = end + 1
        ids += every[start:]
        return ids

    def split_word(self, word: str) -> list[int]:
        """The ids of an unknown lower-case word's pieces, the longest first."""
        ids = [piece for _, _, pieces in self._parts(word) for piece in pieces]
        if len(word) <= 50:  # long words do not come back
            if len(self._memo) >= _MEMO:
                self._memo.clear()
            self._memo[word.encode()] = ids
        return ids

    def _parts(self, word: str) -> list[tuple[int, int, list[int]]]:
        """(start, end, ids) of each piece of a word, a character where none starts: OOV_ID is the
        id of several of them in a row, at the first."""
        piece_id, sizes, length = self._piece_ids.get, self._sizes.get, len(word)
        parts: list[tuple[int, int, list[int]]] = []
        start, unknown = 0, False
        while start < length:
            for size in sizes(word[start : start + 2], ()):
                end = start + size
                if end <= length and (piece := piece_id(word[start:end])) is not None:
                    break
            else:
                end = start + 1
                piece = piece_id(word[start])
            parts.append(
                (start, end, [piece] if piece is not None else [] if unknown else [OOV_ID])
            )
            start, unknown = end, piece is None
        return parts

    def tokens(self, text: str) -> list[Token]:
        """The words of the whole text with their places: their ids in a row are the text's, without
        the start's and before truncation."""
        if self.pieces is None:
            return [self._token(text, start, end) for start, end in word_spans(text)]
        gaps = re.escape(
            "".join(mark for mark in MARKS if mark not in self.marks) + _ASCII_SPACES + " "
        )
        marks = re.escape(self.marks) + "".join(
            c for c in _REPLACEMENTS if _REPLACEMENTS[c] in self.marks
        )
        marks += "".join(c for c in _REPLACEMENTS if _REPLACEMENTS[c] in MARKS)
        single = f"[{marks}]|" if marks else ""
        tokens: list[Token] = []
        for match in re.finditer(f"{single}[^{gaps}{_WIDE_SPACES}{marks}]+", text):
            lower, at = well_formed(match.group()).lower(), match.start()
            whole = lower.encode() in self._ids
            if whole or not spaceless(lower) or len(lower) != len(match.group()):
                tokens.append(self._token(text, *match.span()))
            else:
                tokens += [
                    Token(at + start, at + end, ids) for start, end, ids in self._parts(lower)
                ]
        return tokens

    def _token(self, text: str, start: int, end: int) -> Token:
        word = text[start:end]
        if self.pieces is None:
            ids = self._whole_words(_pieces(word))[1:]
        else:
            ids = self._words_and_pieces(_split_marks(word, self._table, self._marks))[1:]
        return Token(start, end, ids)

    def count_words(self, text: str) -> tuple[int, int]:
        """(words of the whole text, those of them that are in the vocabulary).

        By the rule pieces-1, each piece of a word in a script without spaces counts as a word.
        """
        if self.pieces is None:
            pieces = [piece for piece in _pieces(text) if piece]
            return len(pieces), sum(map(self._ids.__contains__, pieces))
        every = _split_marks(text, self._table, self._marks)
        unknown = [word for word in every if word not in self._ids]
        words, in_vocabulary = len(every), len(every) - len(unknown)
        for word in unknown:
            if word.isascii() or not spaceless(decoded := word.decode()):
                continue
            parts = self._parts(decoded)
            words += len(parts) - 1
            in_vocabulary += sum(ids not in ([], [OOV_ID]) for _, _, ids in parts)
        return words, in_vocabulary

    def to_metadata(self) -> dict[str, Any]:
        """The rule in words and numbers, for the model file: enough to re-implement it."""
        ends = {
            "pad_id": PAD_ID,
            "padding": "right",
            "start_id": START_ID,
            "oov_id": OOV_ID,
            "first_word_id": FIRST_WORD_ID,
            "length": self.length,
            "truncation": "keep the last ids",
        }
        if self.pieces is None:
            return {"rule": KERAS_RULE, "lowercase": "unicode", "filters": FILTERS, **ends}
        separators = "".join(mark for mark in MARKS if mark not in self.marks)
        return {
            "rule": PIECES_RULE,
            "lowercase": "unicode",
            "replacements": _REPLACEMENTS,
            "separators": separators + _ASCII_SPACES + _WIDE_SPACES,
            "marks": self.marks,
            "words": len(self.words),
            "unknown_words": "longest piece first, from the left",
            **ends,
        }

    @classmethod
    def from_metadata(cls, settings: dict[str, Any], vocabulary: str) -> Tokenizer:
        """From :meth:`to_metadata` and the vocabulary, an entry a line.

        A rule that this version does not implement is a ValueError, never a guess.
        """
        entries = tuple(vocabulary.split("\n")) if vocabulary else ()
        pieces, words = None, entries
        if settings.get("rule") == PIECES_RULE:
            count = int(settings["words"])
            words, pieces = entries[:count], entries[count:]
        made = cls(words, length=int(settings["length"]), pieces=pieces)
        expected = made.to_metadata()
        for key in expected:
            if settings[key] != expected[key]:
                raise ValueError(
                    f"tokenizer setting {key} = {str(settings[key])[:40]!r} is not supported"
                )
        return made


def to_matrix(rows: Sequence[Sequence[int]], length: int) -> npt.NDArray[np.int32]:
    """Rows of at most ``length`` ids → int32 [n, length], padded with 0 on the right."""
    matrix = np.zeros((len(rows), length), dtype=np.int32)
    for i, row in enumerate(rows):
        matrix[i, : len(row)] = row
    return matrix
