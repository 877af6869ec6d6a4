"""Tokenization: from a text to ids, and from ids to the model's input.

Keras's rule follows ``keras.preprocessing.text.text_to_word_sequence``: lower-case the text,
replace filter characters by spaces, split at each space, drop empty pieces. The carriage return is
added to Keras's filter, so that a text gets the same answer whether its lines end in LF or CR LF.
(No IMDB review contains one, so Keras's word index stays valid.)

Ids follow ``keras.datasets.imdb``: 0 is padding, 1 the start of a text, 2 an unknown word, and
r + 3 the word of frequency rank r.

A text is Unicode. A surrogate pair is its character. A lone surrogate is U+FFFD, which stands for
unreadable text, so no vocabulary has it.

The rule ``pieces-1`` (docs/file-format.md) reads any script. A known word has one id. An unknown
word is read piece by piece, and so is a sentence in a script without spaces.
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

# The id of rank 1. Id 3 stays unused, as in keras.datasets.imdb.
FIRST_WORD_ID = 4

# Columns of the model's input.
DEFAULT_LENGTH = 600

# Joins labels in one column, as ``score`` writes them. No label of a multi-label model may hold it.
LABEL_JOINT = "|"

# Stands for unreadable text; no vocabulary has it.
REPLACEMENT = "\ufffd"

KERAS_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
FILTERS = KERAS_FILTERS + "\r"
KERAS_RULE = "lower-case; each filter character becomes a space; split on spaces; drop empty pieces"

# Code points that an entry of a stored vocabulary shares with the entry before it, at most; the
# character that says how many is U+0001 to U+001F.
MOST_SHARED = 30
_STARTS = re.compile("([\x00-\x1f])")

# Characters that no entry of a vocabulary has.
NEVER_IN_ENTRIES = re.compile(f"[\x00-\x1f{REPLACEMENT}]")

# The end of a long text is read first. This many characters for each id hold enough words in nearly
# every text.
_TAIL_CHARACTERS = 32

PIECES_RULE = "pieces-1"

# ASCII punctuation. A mark is a word if the vocabulary has it, else it separates words.
MARKS = KERAS_FILTERS.removesuffix("\t\n")
_ASCII_SPACES = "\t\n\r\x0b\x0c"

# Characters beyond ASCII: those for an ASCII character, and separators of words.
_REPLACEMENTS = {"\u2019": "'", "\u061f": "?"}
_WIDE_SPACES = (
    "\u00a0\u00a1\u00ab\u00b7\u00bb\u00bf\u060c\u061b\u0964\u200b\u2010\u2011\u2012\u2013\u2014"
    "\u2015\u2018\u201a\u201c\u201d\u201e\u2022\u2026\u2028\u2029\u2039\u203a\u3000\ufeff"
)

# The first bytes of such characters → the characters, and the ASCII character of each. A text
# without these bytes is not searched for each character.
_WIDE: dict[bytes, list[tuple[bytes, bytes]]] = {}
for _wide, _narrow in (_REPLACEMENTS | dict.fromkeys(_WIDE_SPACES, " ")).items():
    _bytes = _wide.encode()
    _WIDE.setdefault(_bytes[:-1], []).append((_bytes, _narrow.encode()))

# Scripts that put no spaces between words: Thai, Lao, Tibetan, Burmese, Khmer, Chinese, Japanese.
_SPACELESS = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff\u2e80-\u303f\u3040-\u30ff\u31f0-\u9fff"
    "\uf900-\ufaff\uff66-\uff9d\U0001b000-\U0001b16f\U00020000-\U0003ffff]"
)

# Words whose pieces are remembered.
_MEMO = 20_000

# Characters of the longest word whose pieces are remembered: longer words do not come back.
_LONGEST_IN_MEMO = 50

Status = Literal["ok", "empty", "unknown_words", "truncated"]

# The filter characters are ASCII, so the rule can work on UTF-8 bytes, for which translate() is a
# table look-up.
_TO_SPACE = bytes.maketrans(FILTERS.encode(), b" " * len(FILTERS))


def well_formed(text: str) -> str:
    """Return a text without surrogates: a pair becomes its character, a lone one U+FFFD.

    Decoders of UTF-16 do the same. A well-formed text is returned unchanged.
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
    # Surrogates are rare: to search every text for them would take longer.
    except UnicodeEncodeError:
        return well_formed(text).lower().encode()


def _split_at_filters(text: str) -> list[bytes]:
    """Return the words of a text by Keras's rule, some of them empty."""
    return _lower_utf8(text).translate(_TO_SPACE).split(b" ")


def split_words(text: str) -> list[str]:
    """Return the words of a text, in order, by Keras's rule."""
    return [word.decode() for word in _split_at_filters(text) if word]


def text_key(text: str) -> int:
    """Return 64 bits that depend on a text's words, but not on capitals, punctuation and spaces.

    They find duplicates without keeping the texts. Two of a million texts collide once in 10^7
    times.
    """
    words = b" ".join(filter(None, _split_at_filters(text)))
    return int.from_bytes(hashlib.blake2b(words, digest_size=8).digest(), "little")


def texts_digest(texts: Iterable[str]) -> str:
    """Return a SHA-256 (hex) of the texts' words (:func:`text_key`), in any order of the texts."""
    keys = sorted({text_key(text) for text in texts})
    return hashlib.sha256(b"".join(key.to_bytes(8, "little") for key in keys)).hexdigest()


def word_spans(text: str) -> list[tuple[int, int]]:
    """Return (start, end), in characters, of each word of :func:`split_words` in the text."""
    # Lower-casing may change a word's length, but never makes or removes a filter character.
    return [match.span() for match in re.finditer(f"[^{re.escape(FILTERS)} ]+", text)]


def spaceless(word: str) -> bool:
    """Tell whether a word holds characters of a script without spaces."""
    return _SPACELESS.search(word) is not None


def _separators(marks: Sequence[str]) -> str:
    """Return the ASCII characters, but the space, that separate words if ``marks`` are words."""
    return "".join(mark for mark in MARKS if mark not in marks) + _ASCII_SPACES


def _mark_table(marks: Sequence[str]) -> bytes:
    """Return the table that makes separators of the rule pieces-1 spaces, for translate()."""
    separators = _separators(marks)
    return bytes.maketrans(separators.encode(), b" " * len(separators))


def split_marks(text: str, marks: Sequence[str] = MARKS) -> list[str]:
    """Return the words of a text by the rule pieces-1. marks: the marks that are words."""
    words = _split_marks(text, _mark_table(marks), _set_apart(marks))
    return [word.decode() for word in words]


_Marks = list[tuple[int, bytes, bytes]]


def _set_apart(marks: Sequence[str]) -> _Marks:
    """Return each mark's code, the mark, and the mark between spaces."""
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
        # To look for a byte's number is faster than to look for bytes.
        if code in data:
            data = data.replace(mark, apart)
    return data.split()


def _sizes_by_first(pieces: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Map two characters to the lengths of the pieces that begin with them, the longest first."""
    sizes: dict[str, set[int]] = {}
    for piece in pieces:
        if len(piece) > 1:
            sizes.setdefault(piece[:2], set()).add(len(piece))
    return {first: tuple(sorted(each, reverse=True)) for first, each in sizes.items()}


@dataclass(frozen=True)
class Encoded:
    """A text as token ids.

    ids: 1 to ``length`` ids, without padding.
    status: ``ok``; ``empty``: no words; ``unknown_words``: words, but none of the vocabulary;
        ``truncated``: only the last ``length`` ids were kept.
    """

    ids: list[int]
    status: Status


@dataclass(frozen=True)
class Token:
    """A word in its text.

    In a script without spaces, it is a piece of a word.

    start, end: the word is text[start:end], of the text before lower-casing.
    ids: the word's ids; empty if the rule leaves it out.
    """

    start: int
    end: int
    ids: list[int]

    @property
    def known(self) -> bool:
        """Whether the vocabulary has the word."""
        return bool(self.ids) and self.ids != [OOV_ID]


@dataclass(frozen=True)
class Tokenizer:
    """A text rule with a vocabulary.

    words: the vocabulary; ``words[i]`` has id ``i + 4``.
    length: columns of the model's input; longer texts keep their last ``length`` ids.
    pieces: pieces of other words; their ids follow the ids of the words. If given, the rule is
        pieces-1, see above; None: it is Keras's, without pieces.
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
        pieces = self.pieces or ()
        first_piece_id = FIRST_WORD_ID + len(self.words)
        derived: dict[str, Any] = {
            "_ids": {word.encode(): i for i, word in enumerate(self.words, FIRST_WORD_ID)},
            "_piece_ids": {piece: i for i, piece in enumerate(pieces, first_piece_id)},
            "_sizes": _sizes_by_first(pieces),
            "_table": _mark_table(self.marks),
            "_marks": _set_apart(self.marks),
            "_memo": {},
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @property
    def marks(self) -> str:
        """The punctuation marks that are words, in the order of ASCII; none by Keras's rule."""
        if self.pieces is None:
            return ""
        return "".join(sorted(set(MARKS).intersection(self.words)))

    @property
    def num_ids(self) -> int:
        """The number of ids in use: every id is below it."""
        return len(self.words) + len(self.pieces or ()) + FIRST_WORD_ID

    def encode_text(self, text: str) -> Encoded:
        """Return a text's ids, at most ``length`` of them, and its status."""
        tail_length = _TAIL_CHARACTERS * self.length
        if len(text) > 2 * tail_length:
            # Only the last words matter. The text is cut at a space, since lower() looks at the
            # letters around a capital sigma.
            start = text.find(" ", len(text) - tail_length) + 1
            tail = self._encode(text[start:])
            if tail.status == "truncated":
                return tail
        return self._encode(text)

    def _encode(self, text: str) -> Encoded:
        if self.pieces is None:
            words: Sequence[bytes] = _split_at_filters(text)
            ids = self._whole_words(words)
        else:
            words = _split_marks(text, self._table, self._marks)
            ids = self._words_and_pieces(words)
        # Known words have ids from 4 on, and max() is the fastest way to find one.
        if max(ids) < FIRST_WORD_ID:
            return Encoded(ids[-self.length :], "unknown_words" if any(words) else "empty")
        if len(ids) > self.length:
            return Encoded(ids[-self.length :], "truncated")
        return Encoded(ids, "ok")

    def _whole_words(self, words: Sequence[bytes]) -> list[int]:
        """Return the ids of a text's words by Keras's rule, with START_ID before them."""
        word_id = self._ids.get
        return [START_ID, *[word_id(word, OOV_ID) for word in words if word]]

    def _words_and_pieces(self, words: Sequence[bytes]) -> list[int]:
        """Return the ids of a text's words by the rule pieces-1, with START_ID before them."""
        every: list[Any] = [START_ID, *map(self._ids.get, words)]
        unknown = every.count(None)
        if not unknown:
            return every
        remembered = self._memo.get
        ids: list[int] = []
        start = 0
        # Python sees the unknown words alone. The known ones between them are copied in C.
        for _ in range(unknown):
            end = every.index(None, start)
            word = words[end - 1]
            parts = remembered(word)
            ids += every[start:end]
            ids += self.split_word(word.decode()) if parts is None else parts
            start = end + 1
        ids += every[start:]
        return ids

    def split_word(self, word: str) -> list[int]:
        """Return the ids of an unknown lower-case word's pieces, in their order in the word."""
        ids: list[int] = []
        for _, _, part in self._parts(word):
            ids += part
        if len(word) <= _LONGEST_IN_MEMO:
            if len(self._memo) >= _MEMO:
                self._memo.clear()
            self._memo[word.encode()] = ids
        return ids

    def _parts(self, word: str) -> list[tuple[int, int, list[int]]]:
        """Return (start, end, ids) of a word's pieces: the longest piece at each place.

        A character at which no piece starts is a part of its own. The first of several such
        characters has OOV_ID, the others have no id.
        """
        piece_id = self._piece_ids.get
        sizes = self._sizes.get
        length = len(word)
        parts: list[tuple[int, int, list[int]]] = []
        start = 0
        is_unknown = False
        while start < length:
            for size in sizes(word[start : start + 2], ()):
                end = start + size
                if end <= length and (piece := piece_id(word[start:end])) is not None:
                    break
            else:
                end = start + 1
                piece = piece_id(word[start])
            if piece is not None:
                ids = [piece]
            elif is_unknown:
                ids = []
            else:
                ids = [OOV_ID]
            parts.append((start, end, ids))
            start = end
            is_unknown = piece is None
        return parts

    def tokens(self, text: str) -> list[Token]:
        """Return the words of the whole text with their places.

        Their ids in a row are the ids of the text before truncation, without START_ID.
        """
        if self.pieces is None:
            return [self._token(text, start, end) for start, end in word_spans(text)]
        gaps = re.escape(_separators(self.marks) + " ")
        # Like a mark, a character that stands for one is never a part of a word.
        stands_for_mark = [c for c, mark in _REPLACEMENTS.items() if mark in MARKS]
        marks = re.escape(self.marks) + "".join(stands_for_mark)
        single = f"[{marks}]|" if marks else ""
        tokens: list[Token] = []
        for match in re.finditer(f"{single}[^{gaps}{_WIDE_SPACES}{marks}]+", text):
            at = match.start()
            lower = well_formed(match.group()).lower()
            is_known = lower.encode() in self._ids
            if is_known or not spaceless(lower) or len(lower) != len(match.group()):
                tokens.append(self._token(text, *match.span()))
                continue
            for start, end, ids in self._parts(lower):
                tokens.append(Token(at + start, at + end, ids))
        return tokens

    def _token(self, text: str, start: int, end: int) -> Token:
        word = text[start:end]
        if self.pieces is None:
            ids = self._whole_words(_split_at_filters(word))
        else:
            ids = self._words_and_pieces(_split_marks(word, self._table, self._marks))
        return Token(start, end, ids[1:])

    def count_words(self, text: str) -> tuple[int, int]:
        """Return the number of words of the whole text, and how many the vocabulary has.

        By the rule pieces-1, each piece of a word in a script without spaces counts as a word.
        """
        if self.pieces is None:
            every = [word for word in _split_at_filters(text) if word]
        else:
            every = _split_marks(text, self._table, self._marks)
        unknown = [word for word in every if word not in self._ids]
        words = len(every)
        in_vocabulary = words - len(unknown)
        if self.pieces is None:
            return words, in_vocabulary
        for word in unknown:
            if word.isascii() or not spaceless(decoded := word.decode()):
                continue
            parts = self._parts(decoded)
            words += len(parts) - 1
            in_vocabulary += sum(ids not in ([], [OOV_ID]) for _, _, ids in parts)
        return words, in_vocabulary

    def to_metadata(self) -> dict[str, Any]:
        """Return the rule in words and numbers, for the model file: enough to re-implement it."""
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
        return {
            "rule": PIECES_RULE,
            "lowercase": "unicode",
            "replacements": _REPLACEMENTS,
            "separators": _separators(self.marks) + _WIDE_SPACES,
            "marks": self.marks,
            "words": len(self.words),
            "unknown_words": "longest piece first, from the left",
            **ends,
        }

    @property
    def entries(self) -> tuple[str, ...]:
        """The words, then the pieces: the vocabulary in the order of the ids."""
        return (*self.words, *(self.pieces or ()))

    @classmethod
    def from_metadata(cls, settings: dict[str, Any], entries: tuple[str, ...]) -> Tokenizer:
        """Make a tokenizer of the values of :meth:`to_metadata` and the vocabulary.

        entries: see :attr:`entries`.

        Raises ValueError for a rule that this version does not implement: it never guesses one.
        """
        words = entries
        pieces = None
        if settings.get("rule") == PIECES_RULE:
            count = int(settings["words"])
            words = entries[:count]
            pieces = entries[count:]
        made = cls(words, length=int(settings["length"]), pieces=pieces)
        for key, value in made.to_metadata().items():
            if settings[key] != value:
                raise ValueError(
                    f"tokenizer setting {key} = {str(settings[key])[:40]!r} is not supported"
                )
        return made


def front_coded(entries: Iterable[str]) -> str:
    """Return a vocabulary as model files hold it, in the order of its ids.

    Each entry is one character and the rest of the entry. The character's code is 1 more than the
    number of leading code points that the entry shares with the entry before it.

    entries: none holds a character below U+0020.
    """
    parts: list[str] = []
    before = ""
    for entry in entries:
        most = min(len(before), len(entry), MOST_SHARED)
        shared = next((i for i in range(most) if before[i] != entry[i]), most)
        parts += chr(shared + 1), entry[shared:]
        before = entry
    return "".join(parts)


def front_decoded(text: str, most: int) -> tuple[str, ...]:
    """Return the entries of :func:`front_coded`, at most ``most``.

    Raises ValueError if the text is not what :func:`front_coded` returns, or holds more entries.
    """
    # Counted before the text is split: parts take many times its memory.
    if sum(map(text.count, map(chr, range(MOST_SHARED + 2)))) > most:
        raise ValueError(f"its vocabulary has more than {most:,} entries")
    first, *parts = _STARTS.split(text)
    if first:
        raise ValueError("its vocabulary does not begin with an entry")
    entries: list[str] = []
    entry = ""
    for start, rest in zip(parts[::2], parts[1::2]):
        shared = ord(start) - 1
        if not 0 <= shared <= len(entry):
            raise ValueError("a word of its vocabulary shares more than the word before it has")
        entry = entry[:shared] + rest
        entries.append(entry)
    if not all(entries):
        raise ValueError("a word of its vocabulary is empty")
    return tuple(entries)


def to_matrix(rows: Sequence[Sequence[int]], length: int) -> npt.NDArray[np.int32]:
    """Return int32 [n, length], padded with PAD_ID on the right. rows: at most length ids each."""
    matrix = np.zeros((len(rows), length), dtype=np.int32)
    for i, row in enumerate(rows):
        matrix[i, : len(row)] = row
    return matrix
