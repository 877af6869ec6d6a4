"""Tokenization: from a text to ids, and from ids to the model's input.

A text rule is a handful of settings (:class:`TextRule`). Trainings use two rules with names:

- ``KERAS`` follows ``keras.preprocessing.text.text_to_word_sequence``: lower-case the text, replace
  filter characters by spaces, split at each space, drop empty pieces. The carriage return is added
  to Keras's filter, so that a text gets the same answer whether its lines end in LF or CR LF. (No
  IMDB review contains one, so Keras's word index stays valid.)
- :func:`subword_rule` reads any script. A known word has one id. An unknown word is read piece by
  piece, and so is a sentence in a script without spaces.

Ids of both follow ``keras.datasets.imdb``: 0 is padding, 1 the start of a text, 2 an unknown word,
and r + 3 the word of frequency rank r.

A text is Unicode. A surrogate pair is its character. A lone surrogate is U+FFFD, which stands for
unreadable text, so no vocabulary has it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from edge_lstm.checked import require
from edge_lstm.printable import well_formed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

PAD_ID = 0
START_ID = 1
OOV_ID = 2

# The id of rank 1 in trainings, and the highest in any rule. Id 3 stays unused, as in
# keras.datasets.imdb.
FIRST_WORD_ID = 4

# Columns of the model's input.
DEFAULT_LENGTH = 600

# Stands for unreadable text; no vocabulary has it.
REPLACEMENT = "\ufffd"

KERAS_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'

# Code points that an entry of a stored vocabulary shares with the entry before it, at most; the
# character that says how many is U+0001 to U+001F.
MOST_SHARED = 30
_STARTS = re.compile("([\x00-\x1f])")

# Characters that no entry of a vocabulary has.
NEVER_IN_ENTRIES = re.compile(f"[\x00-\x1f{REPLACEMENT}]")

# ASCII punctuation, of which the vocabulary may have words.
MARKS = KERAS_FILTERS.removesuffix("\t\n")
_ASCII_SPACES = "\t\n\r\x0b\x0c"

# Characters beyond ASCII: those for an ASCII character, and separators of words.
REPLACEMENTS = {"\u2019": "'", "\u061f": "?"}
_WIDE_SPACES = (
    "\u00a0\u00a1\u00ab\u00b7\u00bb\u00bf\u060c\u061b\u0964\u200b\u2010\u2011\u2012\u2013\u2014"
    "\u2015\u2018\u201a\u201c\u201d\u201e\u2022\u2026\u2028\u2029\u2039\u203a\u3000\ufeff"
)

# Scripts that put no spaces between words: Thai, Lao, Tibetan, Burmese, Khmer, Chinese, Japanese.
_SPACELESS = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff\u2e80-\u303f\u3040-\u30ff\u31f0-\u9fff"
    "\uf900-\ufaff\uff66-\uff9d\U0001b000-\U0001b16f\U00020000-\U0003ffff]"
)

Status = Literal["ok", "empty", "unknown_words", "truncated"]
Lowercase = Literal["unicode", "ascii", "none"]
Keeps = Literal["last", "first"]


@dataclass(frozen=True)
class TextRule:
    """How a text becomes words, and words become ids.

    lowercase: ``unicode``: as str.lower does; ``ascii``: A to Z alone; ``none``.
    replace_wide: whether the characters of REPLACEMENTS become theirs.
    removed: characters that vanish.
    separators: characters that become spaces. Words stand between spaces.
    marks: ASCII punctuation; each mark is a word of its own.
    start_id: id before the ids of the words; None for no such id.
    oov_id: id of a word without one; None: such a word is left out.
    first_word_id: id of the vocabulary's first word.
    keeps: which ids of a long text are kept, the ``last`` or the ``first``.

    Raises ValueError for values that do not fit together.
    """

    separators: str
    marks: str = ""
    removed: str = ""
    lowercase: Lowercase = "unicode"
    replace_wide: bool = False
    start_id: int | None = START_ID
    oov_id: int | None = OOV_ID
    first_word_id: int = FIRST_WORD_ID
    keeps: Keeps = "last"

    def __post_init__(self) -> None:
        parts = {"separators": self.separators, "removed": self.removed, "marks": self.marks}
        for name, characters in parts.items():
            require(isinstance(characters, str), f"its {name} are not a text")
            require(well_formed(characters) == characters, f"its {name} hold a surrogate")
        each = "".join(parts.values())
        require(len(set(each)) == len(each), "a character is in its text rule twice")
        require(set(self.marks) <= set(MARKS), "a mark is no ASCII punctuation")
        require(self.lowercase in get_args(Lowercase), "its lower-casing is not supported")
        require(self.keeps in get_args(Keeps), "its truncation is not supported")
        require(
            type(self.first_word_id) is int and START_ID <= self.first_word_id <= FIRST_WORD_ID,
            f"its first word's id is not between 1 and {FIRST_WORD_ID}",
        )
        has_start = self.start_id == START_ID and type(self.start_id) is int
        require(
            self.start_id is None or (has_start and self.first_word_id > START_ID),
            "its start's id is not supported",
        )
        oov = self.oov_id
        require(
            oov is None or (type(oov) is int and oov > (self.start_id or PAD_ID)),
            "its id of unknown words is not supported",
        )

    @cached_property
    def _table(self) -> bytes:
        narrow = "".join(filter(str.isascii, self.separators))
        return bytes.maketrans(narrow.encode(), b" " * len(narrow))

    @cached_property
    def _deleted(self) -> bytes:
        return "".join(filter(str.isascii, self.removed)).encode()

    @cached_property
    def _wide(self) -> dict[bytes, list[tuple[bytes, bytes]]]:
        """Characters beyond ASCII, with what each becomes, by all but their last byte.

        A text without these bytes is not searched for each character.
        """
        wide = REPLACEMENTS if self.replace_wide else {}
        wide = wide | dict.fromkeys(self.removed, "") | dict.fromkeys(self.separators, " ")
        by_lead: dict[bytes, list[tuple[bytes, bytes]]] = {}
        for character, narrow in wide.items():
            data = character.encode()
            if len(data) > 1:
                by_lead.setdefault(data[:-1], []).append((data, narrow.encode()))
        return by_lead

    @cached_property
    def _marks(self) -> list[tuple[int, bytes, bytes]]:
        """Each mark's code, the mark, and the mark between spaces."""
        return [(ord(mark), mark.encode(), f" {mark} ".encode()) for mark in self.marks]

    def split(self, text: str) -> list[bytes]:
        """Return the words of a text, in order."""
        try:
            data = self._lowered(text)
        # Surrogates are rare: to search every text for them would take longer.
        except UnicodeEncodeError:
            data = self._lowered(well_formed(text))
        if not data.isascii():
            for lead, pairs in self._wide.items():
                if lead in data:
                    for wide, narrow in pairs:
                        data = data.replace(wide, narrow)
        data = data.translate(self._table, self._deleted)
        for code, mark, apart in self._marks:
            # To look for a byte's number is faster than to look for bytes.
            if code in data:
                data = data.replace(mark, apart)
        return list(filter(None, data.split(b" ")))

    def _lowered(self, text: str) -> bytes:
        """Return a text in UTF-8. UnicodeEncodeError for surrogates."""
        if self.lowercase == "unicode":
            return text.lower().encode()
        data = text.encode()
        return data.lower() if self.lowercase == "ascii" else data

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return (start, end), in characters, of each word of :meth:`split` in the text."""
        gaps = re.escape(self.separators + " ")
        # Like a mark, a character that stands for one is never a part of a word.
        wide = REPLACEMENTS.items() if self.replace_wide else ()
        apart = self.marks + "".join(c for c, mark in wide if mark in self.marks)
        gaps += "".join(c for c, mark in wide if mark in self.separators)
        marks = re.escape(apart)
        single = f"[{marks}]|" if marks else ""
        # Lower-casing may change a word's length, but seldom makes or removes a separator.
        return [found.span() for found in re.finditer(f"{single}[^{gaps}{marks}]+", text)]


KERAS = TextRule(KERAS_FILTERS + "\r")


@cache
def subword_rule(marks: str = MARKS) -> TextRule:
    """Return the rule of trainings with subwords.

    marks: punctuation that is a word, in the order of ASCII.
    """
    others = "".join(mark for mark in MARKS if mark not in marks)
    return TextRule(others + _ASCII_SPACES + _WIDE_SPACES, marks, replace_wide=True)


def split_words(text: str) -> list[str]:
    """Return the words of a text, in order, by Keras's rule."""
    return [word.decode() for word in KERAS.split(text)]


def text_key(text: str) -> int:
    """Return 64 bits that depend on a text's words, but not on capitals, punctuation and spaces.

    They find duplicates without keeping the texts. Two of a million texts collide once in 10^7
    times.
    """
    words = b" ".join(KERAS.split(text))
    return int.from_bytes(hashlib.blake2b(words, digest_size=8).digest(), "little")


def texts_digest(texts: Iterable[str]) -> str:
    """Return a SHA-256 (hex) of the texts' words (:func:`text_key`), in any order of the texts."""
    keys = sorted({text_key(text) for text in texts})
    return hashlib.sha256(b"".join(key.to_bytes(8, "little") for key in keys)).hexdigest()


def spaceless(word: str) -> bool:
    """Tell whether a word holds characters of a script without spaces."""
    return _SPACELESS.search(word) is not None


def split_marks(text: str, marks: str = MARKS) -> list[str]:
    """Return the words of a text by :func:`subword_rule`. marks: the marks that are words."""
    return [word.decode() for word in subword_rule(marks).split(text)]


@dataclass(frozen=True)
class Encoded:
    """A text as token ids.

    ids: up to ``length`` ids, without padding.
    status: ``ok``; ``empty``: no words; ``unknown_words``: words, but none of the vocabulary;
        ``truncated``: only ``length`` of the ids were kept.
    """

    ids: list[int]
    status: Status


@dataclass(frozen=True)
class Token:
    """A word in its text.

    In a script without spaces, it is a piece of a word.

    start, end: the word is text[start:end], of the text before lower-casing.
    ids: the word's ids; empty if the rule leaves it out.
    known: whether the vocabulary has the word.
    """

    start: int
    end: int
    ids: list[int]
    known: bool


@dataclass(frozen=True)
class Tokenizer:
    """A text rule with a vocabulary.

    words: the vocabulary; ``words[i]`` has id ``rule.first_word_id + i``.
    length: columns of the model's input, and the most ids that a text keeps.
    pieces: pieces of other words; their ids follow the ids of the words.
    rule: see :class:`TextRule`.

    Raises ValueError if the rule's ids do not fit the vocabulary.
    """

    words: tuple[str, ...]
    length: int = DEFAULT_LENGTH
    pieces: tuple[str, ...] = ()
    rule: TextRule = KERAS

    def __post_init__(self) -> None:
        rule = self.rule
        usual = (START_ID, OOV_ID, FIRST_WORD_ID)
        require(
            not self.pieces or (rule.start_id, rule.oov_id, rule.first_word_id) == usual,
            "a rule with subwords has other ids",
        )
        require((rule.oov_id or 0) < self.num_ids, "its id of unknown words is too large")

    @cached_property
    def _ids(self) -> dict[bytes, int]:
        return {word.encode(): i for i, word in enumerate(self.words, self.rule.first_word_id)}

    @cached_property
    def _piece_ids(self) -> dict[str, int]:
        first = self.rule.first_word_id + len(self.words)
        return {piece: i for i, piece in enumerate(self.pieces, first)}

    @cached_property
    def _sizes(self) -> dict[str, tuple[int, ...]]:
        """By their first two characters: the sizes of the longer pieces, the largest first.

        Few pieces begin alike, so few lengths are tried for each.
        """
        sizes: dict[str, set[int]] = {}
        for piece in self.pieces:
            if len(piece) > 1:
                sizes.setdefault(piece[:2], set()).add(len(piece))
        return {first: tuple(sorted(each, reverse=True)) for first, each in sizes.items()}

    @cached_property
    def _memo(self) -> dict[bytes, list[int]]:
        """Words that were read piece by piece, and their ids."""
        return {}

    @classmethod
    def of_subwords(
        cls, words: tuple[str, ...], pieces: tuple[str, ...] = (), length: int = DEFAULT_LENGTH
    ) -> Tokenizer:
        """Make a tokenizer of the rule of trainings with subwords.

        Its marks are the punctuation among the words.
        """
        marks = "".join(sorted(set(MARKS).intersection(words)))
        return cls(words, length, pieces, subword_rule(marks))

    @property
    def num_ids(self) -> int:
        """The number of ids in use: every id is below it."""
        return self.rule.first_word_id + len(self.words) + len(self.pieces)

    def kept(self, ids: Sequence[int]) -> Sequence[int]:
        """Return the ids that are kept of a text's ids, at most ``length``."""
        if self.rule.keeps == "first":
            return ids[: self.length]
        return ids[-self.length :]

    def is_known(self, token_id: int) -> bool:
        """Tell whether a word or a piece has this id."""
        return token_id >= self.rule.first_word_id and token_id != self.rule.oov_id

    def encode_text(self, text: str) -> Encoded:
        """Return a text's ids, at most ``length`` of them, and its status."""
        # 32 characters for each id hold enough words in nearly every text.
        most = 32 * self.length
        if len(text) > 2 * most:
            # Only the words at one end matter. The text is cut at a space, since lower() looks at
            # the letters around a capital sigma.
            if self.rule.keeps == "last":
                part = text[text.find(" ", len(text) - most) + 1 :]
            else:
                part = text[: max(0, text.rfind(" ", 0, most))]
            encoded = self._encode(part)
            if encoded.status == "truncated":
                return encoded
        return self._encode(text)

    def _encode(self, text: str) -> Encoded:
        words = self.rule.split(text)
        ids = self.with_start(self._ids_of(words))
        kept = list(self.kept(ids))
        if not any(map(self.is_known, ids)):
            return Encoded(kept, "unknown_words" if words else "empty")
        return Encoded(kept, "ok" if len(kept) == len(ids) else "truncated")

    def with_start(self, ids: Sequence[int]) -> list[int]:
        """Return the ids of a text's words with the start's id before them, if there is one."""
        start = self.rule.start_id
        return list(ids) if start is None else [start, *ids]

    def _ids_of(self, words: Sequence[bytes]) -> list[int]:
        """Return the ids of a text's words."""
        every: list[Any] = list(map(self._ids.get, words))
        unknown = every.count(None)
        if not unknown:
            return every
        oov = self.rule.oov_id
        if oov is None:
            return [i for i in every if i is not None]
        if not self.pieces:
            return [oov if i is None else i for i in every]
        remembered = self._memo.get
        ids: list[int] = []
        start = 0
        # Python sees the unknown words alone. The known ones between them are copied in C.
        for _ in range(unknown):
            end = every.index(None, start)
            word = words[end]
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
        # Longer words do not come back.
        if len(word) <= 50:
            if len(self._memo) >= 20_000:  # words
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

        Their ids in a row are the ids of the text before truncation, without the start's.
        """
        tokens: list[Token] = []
        for at, end in self.rule.spans(text):
            words = self.rule.split(text[at:end])
            if not words:  # of characters that vanish
                continue
            lower = words[0].decode()
            is_one = words[0] in self._ids or not self.pieces or not spaceless(lower)
            if is_one or len(lower) != end - at:
                tokens.append(self._token(at, end, self._ids_of(words)))
                continue
            for start, stop, ids in self._parts(lower):
                tokens.append(self._token(at + start, at + stop, ids))
        return tokens

    def _token(self, start: int, end: int, ids: list[int]) -> Token:
        return Token(start, end, ids, any(map(self.is_known, ids)))

    def to_metadata(self) -> dict[str, Any]:
        """Return the rule as JSON values, for the model file: enough to re-implement it."""
        rule = self.rule
        return {
            "lowercase": rule.lowercase,
            "replacements": REPLACEMENTS if rule.replace_wide else {},
            "removed": rule.removed,
            "separators": rule.separators,
            "marks": rule.marks,
            "words": len(self.words),
            "pad_id": PAD_ID,
            "start_id": rule.start_id,
            "oov_id": rule.oov_id,
            "first_word_id": rule.first_word_id,
            "length": self.length,
            "truncation": rule.keeps,
        }

    @property
    def entries(self) -> tuple[str, ...]:
        """The words, then the pieces: the vocabulary in the order of the ids."""
        return (*self.words, *self.pieces)

    @classmethod
    def from_metadata(cls, settings: dict[str, Any], entries: tuple[str, ...]) -> Tokenizer:
        """Make a tokenizer of the values of :meth:`to_metadata` and the vocabulary.

        entries: see :attr:`entries`.

        Raises ValueError for a rule that this version does not implement: it never guesses one.
        """
        rule = TextRule(
            separators=settings["separators"],
            marks=settings["marks"],
            removed=settings["removed"],
            lowercase=settings["lowercase"],
            replace_wide=bool(settings["replacements"]),
            start_id=settings["start_id"],
            oov_id=settings["oov_id"],
            first_word_id=settings["first_word_id"],
            keeps=settings["truncation"],
        )
        count = settings["words"]
        made = cls(entries[:count], settings["length"], entries[count:], rule)
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
    # No more are split: parts take many times the text's memory.
    first, *parts = _STARTS.split(text, most + 1)
    if len(parts) > 2 * most:
        raise ValueError(f"its vocabulary has more than {most:,} entries")
    if first:
        raise ValueError("its vocabulary does not begin with an entry")
    entries: list[str] = []
    entry = ""
    for start, rest in zip(parts[::2], parts[1::2]):
        shared = ord(start) - 1
        if not 0 <= shared <= len(entry):
            raise ValueError(
                "a word of its vocabulary shares more letters than the word before it has"
            )
        entry = entry[:shared] + rest
        entries.append(entry)
    if not all(entries):
        raise ValueError("a word of its vocabulary is empty")
    return tuple(entries)


def uncoded(stored: str, most: int) -> str:
    """Return a vocabulary as :func:`front_coded` does, from the text that a model file has.

    If the text has U+0000, letter pairs stand before the first one: a character of ASCII, and the
    two characters that replace it behind U+0000.

    Raises ValueError if letter pairs are damaged, or the result has more than ``most`` characters.
    """
    end = stored.find("\0")
    if end < 0:
        return stored
    codes = stored[:end:3]
    if end % 3 or not codes.isascii():
        raise ValueError("the letter pairs of its vocabulary are damaged")
    text = stored[end + 1 :]
    if len(text) + sum(map(text.count, set(codes))) > most:
        raise ValueError("its vocabulary is far too large")
    # A list: str.translate takes half as long as with a dict. It keeps characters beyond its end.
    letters = [chr(point) for point in range(128)]
    for i in range(0, end, 3):
        letters[ord(stored[i])] = stored[i + 1 : i + 3]
    return text.translate(letters)


def to_matrix(rows: Sequence[Sequence[int]], length: int) -> npt.NDArray[np.int32]:
    """Return int32 [n, length], padded with PAD_ID on the right. rows: at most length ids each."""
    import numpy as np

    matrix = np.zeros((len(rows), length), dtype=np.int32)
    for i, row in enumerate(rows):
        matrix[i, : len(row)] = row
    return matrix
