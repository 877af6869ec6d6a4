"""Tokenizers that were made elsewhere: a text's ids exactly as in the training of its model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from edge_lstm import text
from edge_lstm.errors import DataError
from edge_lstm.text import KERAS_FILTERS
from edge_lstm_export.importing import inert_pickle
from edge_lstm_export.importing.files import first_bytes
from edge_lstm_export.importing.model import Vectorization, check_settings

MOST_LETTERS = 200  # the longest word in a file of one word a line
MOST_BYTES = 2**27  # in a tokenizer's file

# The characters at which Python's str.split() splits.
PYTHON_SPACES = "".join(chr(c) for c in range(0x110000) if chr(c).isspace())
# The characters at which TensorFlow's strings.split() splits.
ASCII_SPACES = "\t\n\x0b\x0c\r "
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
IMDB_START = 1
IMDB_OOV = 2
# By these two numbers its index is known: no other has the same order of rare words.
_IMDB_WORDS = 88_584
_IMDB_RANK = ("fawn", 34_701)

# Names that own dictionaries have for unknown words and padding, in lower case.
_OOV_NAMES = ("unk", "oov", "unknown", "<unk>", "<oov>", "[unk]", "[oov]", "<unknown>")
_PAD_NAMES = ("pad", "<pad>", "[pad]", "_pad_", "__pad__", "<padding>")
_KNOWN = (
    "give a tokenizer's pickle or to_json(), a JSON file or pickle of word to id, or a "
    "vocabulary.txt"
)


@dataclass(frozen=True)
class TextRule:
    """A text rule with a vocabulary.

    ids_of: word → id. splits: the rule that makes words of a text. source: the kind of tokenizer,
    for people. oov_id: of unknown words; None: they are left out. start_id: before the first word,
    or None. below: words with this id or a higher one count as unknown; None: no limit. pad_id: of
    padding.
    """

    ids_of: Mapping[str, int] = field(repr=False)
    splits: text.TextRule
    source: str
    oov_id: int | None = None
    start_id: int | None = None
    below: int | None = None
    pad_id: int = 0

    def words_of(self, document: str) -> list[str]:
        """Return a text's words in their order."""
        return [word.decode() for word in self.splits.split(document)]

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

    def of_rows(self, rows: int) -> TextRule:
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


def splitting(lowercase: text.Lowercase, separators: str, removed: str = "") -> text.TextRule:
    """Return a rule that splits texts.

    separators: characters at which words end (a space always does).
    removed: characters that are left out.
    """
    separate = dict.fromkeys(c for c in separators if c not in removed + " ")
    return text.TextRule("".join(separate), removed=removed, lowercase=lowercase)


# Kinds of tokenizers, for people.
IMDB = "imdb_word_index.json"
VECTORIZATION = "TextVectorization"
OWN = "word to id"


def read_words(path: Path) -> TextRule:
    """Read a tokenizer's file. Raises DataError for any other file."""
    head = first_bytes(path, MOST_BYTES)
    data = path.read_bytes()
    name = str(path)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[", b'"')):
        return rule_of(_json(data, name), name)
    if head[:1] == b"\x80" or path.suffix.lower() in (".pkl", ".pickle", ".joblib"):
        return rule_of(inert_pickle.load(data, name), name)
    try:
        lines = data.decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        lines = []
    longest = max(map(len, lines), default=0)
    if b"\0" in head or len(lines) < 3 or longest > MOST_LETTERS:
        raise DataError(f"{path} is neither a pickle nor JSON nor one word a line; {_KNOWN}")
    return rule_of(lines, name)


def rule_of(value: Any, name: str = "words") -> TextRule:
    """Return the text rule of a value.

    value: a TextRule, Keras's live Tokenizer or TextVectorization, the contents of a tokenizer's
        file, a dict of word → id, or a list of words by their ids.
    name: of the file, for errors.

    Raises DataError for another value.
    """
    if isinstance(value, inert_pickle.TokenizerState) or hasattr(value, "texts_to_sequences"):
        return _keras_rule(vars(value), name)
    if hasattr(value, "get_vocabulary"):
        value = Vectorization(value.get_config(), value.get_vocabulary())
    match value:
        case TextRule():
            return value
        case Vectorization():
            return _vectorization_rule(value, name)
        case ["", "[UNK]", *_]:
            return _vectorization_rule(Vectorization({}, value), name)
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
    return _rule_of_dict(_ids_of(ids, name))


def _vectorization_rule(layer: Vectorization, name: str) -> TextRule:
    """Return the rule of a TextVectorization layer."""
    kind = f"{name}: its TextVectorization"
    if layer.vocabulary is None:
        raise DataError(f"{kind} has no vocabulary; give it with --words")
    check_settings(layer.config, _TEXT_VECTORIZATION, kind)
    standardize = layer.config.get("standardize", "lower_and_strip_punctuation") or ""
    splits = splitting(
        "ascii" if "lower" in standardize else "none",
        ASCII_SPACES,
        TEXT_VECTORIZATION_PUNCTUATION if "strip" in standardize else "",
    )
    ids = {word: i for word, i in _places(layer.vocabulary, name).items() if i > 1}
    return TextRule(_ids_of(ids, name), splits, VECTORIZATION, oov_id=1)


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


def _keras_rule(settings: Mapping[str, Any], name: str) -> TextRule:
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
    return TextRule(
        _ids_of(words, name),
        splitting(lowercase, "".join(map(str, filters))),
        source="Keras Tokenizer",
        oov_id=oov_id,
        below=below or None,
    )


def _rule_of_dict(ids: dict[str, int]) -> TextRule:
    """Return the rule of a dict of word → id: Keras's index of IMDB, or one of a person's own."""
    if len(ids) == _IMDB_WORDS and ids.get(_IMDB_RANK[0]) == _IMDB_RANK[1]:
        shifted = {word: rank + IMDB_OFFSET for word, rank in ids.items()}
        splits = splitting("unicode", KERAS_FILTERS)
        return TextRule(shifted, splits, IMDB, oov_id=IMDB_OOV, start_id=IMDB_START)
    oov = _ids_named(_OOV_NAMES, ids)
    pad = _ids_named(_PAD_NAMES, ids)
    words = {word: i for word, i in ids.items() if i not in (*oov, *pad)}
    has_capitals = any(word != word.lower() for word in words)
    return TextRule(
        words,
        splitting("none" if has_capitals else "unicode", PYTHON_SPACES),
        source=OWN,
        oov_id=next(iter(oov), None),
        pad_id=next(iter(pad), 0),
    )


def _ids_named(names: Sequence[str], ids: Mapping[str, int]) -> list[int]:
    """Return the ids of the words that are among the names, in lower case."""
    return [i for word, i in ids.items() if word.lower() in names]


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
