"""Tokenizers that were made elsewhere: a text's ids exactly as in the training of its model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from edge_lstm.core import text
from edge_lstm.core.text import KERAS_FILTERS
from edge_lstm.errors import DataError, first_line
from edge_lstm_export.importing import inert_pickle
from edge_lstm_export.importing.files import first_bytes, open_zip
from edge_lstm_export.importing.model import Vectorization, check_settings

MOST_BYTES = 2**25  # in a tokenizer's file
_HEAD = 512  # bytes by which its kind is known

# The characters at which Python's str.split() splits.
PYTHON_SPACES = "".join(chr(c) for c in range(0x110000) if chr(c).isspace())
# TextVectorization removes these. A backslash stands in its expression before some of them.
TEXT_VECTORIZATION_PUNCTUATION = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"

# Settings of a TextVectorization and of a Tokenizer, with the values that are imported, the default
# first.
_TEXT_VECTORIZATION: dict[str, tuple[Any, ...]] = {
    "standardize": ("lower_and_strip_punctuation", "lower", "strip_punctuation", None),
    "split": ("whitespace",),
    "output_mode": ("int",),
    "ngrams": (None,),
}
_TOKENIZER: dict[str, tuple[Any, ...]] = {
    "char_level": (False,),
    "split": (" ",),
    "analyzer": (None,),
}

# keras.datasets.imdb: rank of a word + 3; 1 starts a text, 2 is any other word.
IMDB_OFFSET = 3
# And so is a part of it that begins with its most frequent words.
_IMDB_FIRST = ("the", "and", "a", "of", "to", "is", "br", "in", "it", "i")

# Entries of own dictionaries for something else than a word, in lower case and without brackets.
_ROLES = {
    **dict.fromkeys(("pad", "padding"), "pad"),
    **dict.fromkeys(("unk", "oov", "unknown"), "oov"),
    **dict.fromkeys(("start", "sos", "bos", "s", "cls", "end", "eos", "/s", "sep"), "other"),
    **dict.fromkeys(("mask", "unused"), "other"),
}
# Characters to try a regular expression of words with: letters of Latin texts, punctuation,
# signs of currencies, and the punctuation of East Asia.
_TRIED = (*range(0x250), *range(0x2000, 0x20D0), *range(0x3000, 0x3020))
_BRACKETS = "<>[](){}_|"
_KNOWN = (
    "give a tokenizer's pickle or to_json(), a JSON file or pickle of word to id, or a "
    "vocabulary.txt"
)


@dataclass(frozen=True)
class ImportedRule:
    """A text rule with a vocabulary.

    ids_of: word → id. splits: the rule that makes words of a text. source: the kind of tokenizer,
    for people. oov_id: of unknown words; None: they are left out. start_id: before the first word,
    or None. below: words with this id or a higher one count as unknown; None: no limit. pad_id: of
    padding. unread: other tokens of the dictionary, which no text is given.
    """

    ids_of: Mapping[str, int] = field(repr=False)
    splits: text.TextRule
    source: str
    oov_id: int | None = None
    start_id: int | None = None
    below: int | None = None
    pad_id: int = 0
    unread: tuple[str, ...] = ()

    @cached_property
    def known(self) -> dict[str, int]:
        """The words that keep their ids."""
        if self.below is None:
            return dict(self.ids_of)
        return {word: i for word, i in self.ids_of.items() if i < self.below}

    @property
    def highest_id(self) -> int:
        """The highest id of any text."""
        return max(self.oov_id or 0, self.start_id or 0, *self.known.values())

    def of_rows(self, rows: int) -> ImportedRule:
        """Return the rule for an embedding of this many rows.

        Raises DataError if the tokenizer belongs to another model.
        """
        if self.below is None and self.source == IMDB:
            return replace(self, below=rows)
        if self.highest_id >= rows:
            raise DataError(
                f"the tokenizer has ids up to {self.highest_id:,}, the model's embedding "
                f"{rows:,} rows; give the tokenizer of this model, or --num-words"
            )
        return self


def imported_rule(values: dict[str, Any]) -> ImportedRule:
    """Return the rule of its values, as JSON gives them."""
    splits = text.TextRule(**values.pop("splits"))
    return ImportedRule(splits=splits, unread=tuple(values.pop("unread")), **values)


def splitting(lowercase: text.Lowercase, separators: str, removed: str = "") -> text.TextRule:
    """Return a rule that splits texts.

    separators: characters at which words end (a space always does).
    removed: characters that are left out.
    """
    separate = dict.fromkeys(c for c in separators if c not in removed + " ")
    return text.TextRule("".join(separate), removed=removed, lowercase=lowercase)


def splitting_by(pattern: str, lowercase: text.Lowercase) -> text.TextRule:
    """Return the rule whose words are the matches of a regular expression.

    They are runs of a class of letters, and single marks. Characters beyond _TRIED are letters.

    Raises DataError for an expression of other words.
    """
    try:
        regex = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise DataError(f"--pattern {pattern!r:.60}: {first_line(error)}; mend it") from None
    separators = ""
    marks = ""
    for character in map(chr, _TRIED):
        # Alone and twice: a run has no least length, and no place.
        found = [
            [match[0] for match in regex.finditer(f"a{inside}a")]
            for inside in (character, character * 2)
        ]
        if found == [["a", "a"]] * 2:
            separators += character
        elif found == [["a", character, "a"], ["a", character, character, "a"]]:
            marks += character if character.isascii() else ""
            separators += "" if character.isascii() else character
        elif found != [[f"a{character}a"], [f"a{character * 2}a"]]:
            raise DataError(
                f"--pattern {pattern!r:.60} is not imported; known are runs of a class of letters, "
                "and marks, as [a-z]+ or \\w+|[.,!?]"
            )
    if others := set(marks) - set(text.MARKS):
        raise DataError(
            f"--pattern {pattern!r:.60} makes a word of {min(others)!r}, which no model file can; "
            "name the marks without it"
        )
    return replace(splitting(lowercase, separators), marks=marks)


# Kinds of tokenizers, for people.
IMDB = "imdb_word_index.json"
VECTORIZATION = "TextVectorization"
OWN = "word to id"


def read_words(path: Path) -> ImportedRule:
    """Read a tokenizer's file. Raises DataError for any other file."""
    name = str(path)
    if first_bytes(path, MOST_BYTES).startswith(b"PK"):
        return rule_of(_in_torch_archive(path), name)
    data = path.read_bytes()
    begin = data[:_HEAD].removeprefix(b"\xef\xbb\xbf").lstrip()
    # A file of TextVectorization's words begins with an empty line and [UNK].
    if begin.startswith((b"{", b"[", b'"')) and not begin.startswith(b"[UNK]"):
        return rule_of(_json(data, name), name)
    if data[:1] == b"\x80" or path.suffix.lower() in (".pkl", ".pickle", ".joblib"):
        return rule_of(inert_pickle.load(data, name), name)
    try:
        lines = data.decode("utf-8-sig").replace("\r\n", "\n").removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        lines = []
    longest = max(map(len, lines), default=0)
    if b"\0" in data[:_HEAD] or len(lines) < 3 or longest > 200:
        raise DataError(f"{path} is neither a pickle nor JSON nor one word a line; {_KNOWN}")
    return rule_of(lines, name)


def _in_torch_archive(path: Path) -> Any:
    """Return the value that torch.save wrote; no code of it is run. Raises DataError."""
    with open_zip(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("data.pkl")]
        if len(pickles) != 1:
            raise DataError(f"{path} is a zip archive without a tokenizer; {_KNOWN}")
        data = archive.read(pickles[0])
    return inert_pickle.load(data, str(path))


def rule_of(value: Any, name: str = "words") -> ImportedRule:
    """Return the text rule of a value.

    value: an ImportedRule, Keras's live Tokenizer or TextVectorization, the contents of a
        tokenizer's file, a dict of word → id, or a list of words by their ids.
    name: of the file, for errors.

    Raises DataError for another value.
    """
    others = value.values() if isinstance(value, Mapping) else ()
    value = next((each for each in others if isinstance(each, inert_pickle.TokenizerState)), value)
    if isinstance(value, inert_pickle.TokenizerState) or hasattr(value, "texts_to_sequences"):
        return _keras_rule(vars(value), name)
    if hasattr(value, "get_vocabulary"):
        value = Vectorization(value.get_config(), value.get_vocabulary())
    match value:
        case ImportedRule():
            return value
        case Vectorization():
            return _vectorization_rule(value, name)
        case ["", "[UNK]", *_]:
            return _vectorization_rule(Vectorization({}, value), name)
        case {"": 0, "[UNK]": 1}:
            listed = sorted(_ids_of(value, name), key=value.__getitem__)
            return _vectorization_rule(Vectorization({}, listed), name)
        case {"class_name": "Tokenizer", "config": dict(config)}:
            return _keras_rule(config, name)
        case {"word_index": Mapping(), "num_words": _}:
            return _keras_rule(value, name)
        case list() | tuple():
            ids: Mapping[Any, Any] = _places(value, name)
        case (
            {"word_index": Mapping() as ids}
            | {"word2idx": Mapping() as ids}
            | {"word_to_ix": Mapping() as ids}
            | {"stoi": Mapping() as ids}
            | {"vocab": Mapping() as ids}
            | (Mapping() as ids)
        ):
            pass
        case _:
            raise DataError(f"{name} holds {type(value).__name__}, not a tokenizer; {_KNOWN}")
    return _rule_of_dict(_ids_of(ids, name), name)


def _vectorization_rule(layer: Vectorization, name: str) -> ImportedRule:
    """Return the rule of a TextVectorization layer."""
    kind = f"{name}: its TextVectorization"
    if layer.vocabulary is None:
        raise DataError(f"{kind} has no vocabulary; give it with --words")
    check_settings(layer.config, _TEXT_VECTORIZATION, kind)
    standardize = layer.config.get("standardize", "lower_and_strip_punctuation") or ""
    # The characters at which TensorFlow's strings.split() splits.
    splits = splitting(
        "ascii" if "lower" in standardize else "none",
        "\t\n\x0b\x0c\r ",
        TEXT_VECTORIZATION_PUNCTUATION if "strip" in standardize else "",
    )
    ids = {word: i for word, i in _places(layer.vocabulary, name).items() if i > 1}
    return ImportedRule(_ids_of(ids, name), splits, VECTORIZATION, oov_id=1)


def _places(words: Sequence[Any], name: str) -> dict[str, int]:
    """Return each word's place in a list. Raises DataError unless all are different words."""
    places = {word: i for i, word in enumerate(words) if isinstance(word, str)}
    if len(places) != len(words):
        raise DataError(f"{name} is a list, but not of different words; {_KNOWN}")
    return places


def _json(data: bytes, name: str) -> Any:
    """Return what JSON holds, also if it is a text of JSON within JSON."""
    try:
        value = json.loads(data.decode("utf-8-sig"))
        while isinstance(value, str):
            value = json.loads(value)
    except (ValueError, RecursionError):
        raise DataError(f"{name} is cut short or not JSON; copy it again") from None
    return value


def _keras_rule(settings: Mapping[str, Any], name: str) -> ImportedRule:
    """Return the rule of Keras's Tokenizer. settings: its attributes, or its to_json()."""
    index = settings.get("word_index")
    if isinstance(index, str):
        index = _json(index.encode("utf-8", "surrogatepass"), name)
    if not isinstance(index, Mapping) or not index:
        raise DataError(f"{name}: the tokenizer has no words; it was not fitted")
    check_settings(settings, _TOKENIZER, f"{name}: the tokenizer")
    filters = settings.get("filters", KERAS_FILTERS)
    below = settings.get("num_words")
    token = settings.get("oov_token")
    is_usable = isinstance(filters, (str, list, tuple)) and isinstance(token, str | int | None)
    if not is_usable or type(below) not in (int, type(None)):
        raise DataError(
            f"{name}: the tokenizer's filters, num_words or oov_token are damaged; save it again"
        )
    # A number as the token stands in no text.
    words = {word: i for word, i in index.items() if isinstance(word, str) or word != token}
    oov_id = index.get(token)
    if type(oov_id) is not int or oov_id < 0:
        oov_id = None
    lowercase: text.Lowercase = "unicode" if settings.get("lower", True) else "none"
    return ImportedRule(
        _ids_of(words, name),
        splitting(lowercase, "".join(map(str, filters))),
        source="Keras Tokenizer",
        oov_id=oov_id,
        below=below or None,
    )


def _rule_of_dict(ids: dict[str, int], name: str) -> ImportedRule:
    """Return the rule of a dict of word → id: Keras's index of IMDB, or one of a person's own."""
    tokens = _tokens_of(ids)
    words = {word: i for word, i in ids.items() if word not in tokens}
    offset = _imdb_offset(words)
    if offset is not None:
        shifted = {word: i - offset + IMDB_OFFSET for word, i in words.items()}
        splits = splitting("unicode", KERAS_FILTERS)
        return ImportedRule(shifted, splits, IMDB, oov_id=2, start_id=1)
    if len(words) >= 10 and max(map(len, words)) == 1:
        raise DataError(f"{name} gives ids to letters, not to words, which is not imported")
    ids_by_role = {role: ids[token] for token, role in tokens.items()}
    has_capitals = any(word != word.lower() for word in words)
    return ImportedRule(
        words,
        splitting("none" if has_capitals else "unicode", PYTHON_SPACES + _without_marks(words)),
        source=OWN,
        oov_id=ids_by_role.get("oov"),
        pad_id=ids_by_role.get("pad", 0),
        unread=tuple(
            f"{token} (id {ids[token]})" for token, role in tokens.items() if role == "other"
        ),
    )


def _tokens_of(ids: Mapping[str, int]) -> dict[str, str]:
    """Return the entries that stand for something else than a word: pad, oov, other.

    An entry in brackets is one with any id. Bare, it may be a word of English: it is one with one
    of the first ids or the last, if no other entry stands for the same.
    """
    bare_ids = {*range(4), max(ids.values(), default=0)}
    found: dict[str, str] = {}
    roles = {token: role for token in ids if (role := _ROLES.get(token.strip(_BRACKETS).lower()))}
    for token in sorted(roles, key=_is_bare):
        role = roles[token]
        is_possible = not _is_bare(token) or (role != "other" and ids[token] in bare_ids)
        is_taken = role != "other" and role in found.values()
        if is_possible and not is_taken:
            found[token] = role
    return found


def _is_bare(token: str) -> bool:
    """Whether a token stands without brackets."""
    return token.strip(_BRACKETS) == token


def _without_marks(words: Iterable[str]) -> str:
    """Return the marks at which texts are split: Keras's, if no word holds one of them.

    Then the texts had none when the words were made of them.
    """
    return KERAS_FILTERS if all(map(set(KERAS_FILTERS).isdisjoint, words)) else ""


def _imdb_offset(words: Mapping[str, int]) -> int | None:
    """Return what was added to the ranks of Keras's index of IMDB; None for other words."""
    word, rank = ("fawn", 34_701)
    # No other index has the same order of rare words.
    if len(words) == 88_584 and words.get(word) in (rank, rank + IMDB_OFFSET):
        return words[word] - rank
    # The most frequent words alone, with room for the tokens before them: a Tokenizer that learnt
    # from the reviews has the same ranks, but begins with 1.
    shifted = {word: i + IMDB_OFFSET for i, word in enumerate(_IMDB_FIRST, 1)}
    return IMDB_OFFSET if shifted.items() <= words.items() else None


def _ids_of(value: Mapping[Any, Any], name: str) -> dict[str, int]:
    """Return a dict of word → id, checked. Raises DataError."""
    ids = {}
    for word, i in value.items():
        if not isinstance(word, str) or type(i) is not int or not 0 <= i < 2**31:
            raise DataError(f"{name} gives {word!r:.40} {i!r:.40} instead of an id; {_KNOWN}")
        ids[word] = i
    if not ids:
        raise DataError(f"{name} holds no words; {_KNOWN}")
    if len(set(ids.values())) != len(ids):
        raise DataError(f"{name} gives two words one id; {_KNOWN}")
    return ids
