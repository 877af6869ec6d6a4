"""Rows with named fields: an object becomes a text, whose last words stand for numbers and choices.

A field word is one character of Unicode's plane 15, which no text of a row keeps. So it is an entry
of the vocabulary like any other, and the network and the engines know nothing of fields. Numbers
are compared as the decimals that they are written as: no number is ever rounded.

docs/file-format.md has the rule for ports.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal, NoReturn, get_args

from edge_lstm.errors import DataError
from edge_lstm.printable import CONTROL_CHARACTER, listed, shorten, well_formed

Kind = Literal["text", "number", "category"]
# What a number field is of the values at its path: the last one, or a figure of a list.
Part = Literal["value", "length", "least", "greatest", "sum"]

FIRST_WORD = 0xF0000
MOST_WORDS = 0xFFFD  # in plane 15
# Begins a text that was made of a row already, for code that takes texts alone.
READ_MARK = chr(0xFFFFD)
MOST_FIELDS = 256  # and as many field words of a row
MOST_PAIRS = 64
MOST_DEPTH = 32  # of an object
LONGEST_NUMBER = 64  # characters of a number or date in a string
FIELD_WORDS = re.compile("[\U000f0000-\U000fffff]")

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,8})?")
_DATE = re.compile(
    "([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]+)?)?"
    "(?:Z|([+-])([01][0-9]|2[0-3]):?([0-5][0-9]))?)?"
)
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001
_NO_NUMBER = Decimal("NaN")
# A sum is of whole millionths: of numbers below this, and up to this many.
_MOST_SUMMED = Decimal(10**12)
_MOST_SUM = 8 * 10**18
_ORDERS = ("<", "=", ">")


class RowText(str):
    """What the text rule reads of a row: its texts, then its field words.

    row: the object, or its JSON.
    fields: the fields that read it.
    """

    row: Any
    fields: Fields


@dataclass(frozen=True)
class Field:
    """A field of a row.

    name: its path, as in ``order.lines``: keys with points between them.
    kind: how it is read.
    part: of a number.
    edges: of a number, rising: its word says how many of them it exceeds.
    values: of a category, in the order of their words.
    """

    name: str
    kind: Kind = "text"
    part: Part = "value"
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require(
            isinstance(self.name, str) and 0 < len(self.name) <= 1000, "a field's name is no text"
        )
        _require(not CONTROL_CHARACTER.search(self.name), "a field's name has a control character")
        _require(self.kind in get_args(Kind), "a field's kind is not supported")
        _require(self.part in get_args(Part), "a field's part is not supported")
        numbers = all(type(each) in (int, float) and math.isfinite(each) for each in self.edges)
        rising = numbers and all(a < b for a, b in zip(self.edges, self.edges[1:]))
        _require(rising, "a field's edges are not rising numbers")
        texts = all(isinstance(each, str) for each in self.values)
        _require(
            texts and len({*self.values}) == len(self.values), "a field's values are not texts"
        )
        _require(
            self.kind == "number" or (self.part == "value" and not self.edges), "edges of words"
        )
        _require(self.kind == "category" or not self.values, "a field has values and no category")

    @property
    def title(self) -> str:
        """Its name for people: of a figure of a list, with which."""
        return self.name if self.part == "value" else f"{self.part} of {self.name}"

    @property
    def words(self) -> int:
        """The number of its words: of bins or values, then for a missing and an unknown one."""
        if self.kind == "text":
            return 0
        return len(self.values) + 2 if self.kind == "category" else len(self.edges) + 3

    @cached_property
    def _decimals(self) -> list[Decimal]:
        return [Decimal(repr(edge)) for edge in self.edges]

    @cached_property
    def _places(self) -> dict[Any, int]:
        """The place of each value, as a text, and as a number if it is one."""
        places: dict[Any, int] = {}
        for place, value in enumerate(self.values):
            places[value] = place
            if _NUMBER.fullmatch(value):
                places.setdefault(Decimal(value), place)
        return places

    def word_of(self, found: Values | None) -> tuple[int, Decimal | None]:
        """Return the number of a row's word, from 0, and its number if it is one.

        found: the values at its path; None without any.
        """
        missing = self.words - 2
        unknown = self.words - 1
        if self.kind == "category":
            value = None if found is None else found.last
            if isinstance(value, str):
                value = well_formed(value)
            return missing if value is None else self._places.get(value, unknown), None
        number = None if found is None else found.part(self.part)
        if number is None:
            return missing, None
        if number.is_nan():
            return unknown, None
        return bisect_left(self._decimals, number), number

    def describe(self, word: int) -> str:
        """Return what a word says, for people. word: its number, from 0."""
        if word == self.words - 2:
            return f"{self.title} is missing"
        if word == self.words - 1:
            return f"{self.title} is unknown"
        if self.kind == "category":
            return f"{self.title} = {self.values[word]}"
        ends = []
        if word > 0:
            ends.append(f"> {self.edges[word - 1]:.15g}")
        if word < len(self.edges):
            ends.append(f"<= {self.edges[word]:.15g}")
        return f"{self.title} {', '.join(ends) or 'is a number'}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        plain: dict[str, Any] = {"name": self.name, "kind": self.kind}
        if self.part != "value":
            plain["part"] = self.part
        if self.kind == "number":
            plain["edges"] = list(self.edges)
        if self.kind == "category":
            plain["values"] = list(self.values)
        return plain


@dataclass(frozen=True)
class Fields:
    """The fields that a model reads in a row.

    fields: in the order of their words.
    pairs: the places of two numbers among the fields; a word has their order.

    Raises ValueError if they do not fit together.
    """

    fields: tuple[Field, ...]
    pairs: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        _require(0 < len(self.fields) <= 2 * MOST_FIELDS, "it has no fields, or too many")
        named = {(each.name, each.kind, each.part) for each in self.fields}
        _require(len(named) == len(self.fields), "a field is there twice")
        _require(len(self.pairs) <= MOST_PAIRS, f"it compares more than {MOST_PAIRS} pairs")
        for pair in self.pairs:
            _require(
                len(pair) == 2
                and all(type(i) is int and 0 <= i < len(self.fields) for i in pair)
                and all(self.fields[i].kind == "number" for i in pair),
                "a pair of fields is not of two numbers",
            )
        _require(self.width <= MOST_FIELDS, f"it has more than {MOST_FIELDS} field words")
        _require(self._firsts[-1] + 3 * len(self.pairs) <= MOST_WORDS, "its fields have many words")

    @property
    def width(self) -> int:
        """The most field words of a row."""
        return sum(each.kind != "text" for each in self.fields) + len(self.pairs)

    @property
    def texts(self) -> list[Field]:
        """The fields that are texts."""
        return [each for each in self.fields if each.kind == "text"]

    @property
    def names(self) -> tuple[str, ...]:
        """The paths that are read, each once."""
        return tuple(dict.fromkeys(each.name for each in self.fields))

    @cached_property
    def _firsts(self) -> list[int]:
        """The first word of each field, and then the first of the pairs."""
        firsts = [0]
        for each in self.fields:
            firsts.append(firsts[-1] + each.words)
        return firsts

    def read(self, row: Any) -> RowText:
        """Return the text of a row.

        row: an object, or its JSON. Any other text stands for the first text field.

        Raises DataError for a text that begins as an object but is not JSON, and for any other text
        if the model has no text field.
        """
        if isinstance(row, RowText):
            return row if row.fields is self else self.read(row.row)
        if isinstance(row, str) and row.startswith(READ_MARK):
            text = RowText(row.removeprefix(READ_MARK))
        else:
            text = RowText(self._text(self._object_of(row)))
        text.row = row
        text.fields = self
        return text

    def _object_of(self, row: Any) -> Any:
        if isinstance(row, Mapping):
            return row
        if not isinstance(row, str):
            raise DataError(f"a row is a {type(row).__name__}; give an object of fields, or JSON")
        if is_object(row):
            return parse_object(row)
        if not self.texts:
            names = listed(self.names, most=8)
            raise DataError(f"the model reads an object with {names}, not a text; give JSON")
        return {self.texts[0].name: row}

    def _text(self, row: Any) -> str:
        found = collected(row)
        parts: list[str] = []
        words: list[int] = []
        numbers: list[Decimal | None] = []
        for each, first in zip(self.fields, self._firsts):
            at_path = found.get(each.name)
            number = None
            if each.kind == "text":
                parts += at_path.texts if at_path else ()
            else:
                word, number = each.word_of(at_path)
                words.append(first + word)
            numbers.append(number)
        first = self._firsts[-1]
        for place, (a, b) in enumerate(self.pairs):
            left = numbers[a]
            right = numbers[b]
            if left is not None and right is not None:
                words.append(first + 3 * place + 1 + (left > right) - (left < right))
        text = FIELD_WORDS.sub(" ", " ".join(parts))
        return " ".join([text, *(chr(FIRST_WORD + word) for word in words)])

    def below(self) -> Iterator[tuple[str, list[str]]]:
        """Yield the word of each bin of a number, and the words of the bins up to it."""
        for each, first in zip(self.fields, self._firsts):
            if each.kind == "number":
                bins = [chr(FIRST_WORD + first + i) for i in range(len(each.edges) + 1)]
                yield from ((word, bins[: i + 1]) for i, word in enumerate(bins))

    def describe(self, word: str) -> str:
        """Return what a field word says, for people; another word as it is."""
        number = ord(word) - FIRST_WORD if FIELD_WORDS.fullmatch(word) else -1
        if not 0 <= number < self._firsts[-1] + 3 * len(self.pairs):
            return word
        if number >= self._firsts[-1]:
            place, order = divmod(number - self._firsts[-1], 3)
            a, b = (self.fields[i].title for i in self.pairs[place])
            return f"{a} {_ORDERS[order]} {b}"
        for each, first in zip(self.fields, self._firsts):
            if first <= number < first + each.words:
                return each.describe(number - first)
        return word

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for the model file."""
        return {
            "fields": [each.to_dict() for each in self.fields],
            "pairs": [list(pair) for pair in self.pairs],
        }

    def in_words(self) -> Iterator[str]:
        """Yield a line for each field and each pair, for people."""
        for each in self.fields:
            listing = [f"{edge:.15g}" for edge in each.edges] or [*map(shorten, each.values)]
            yield f"{each.title}: {each.kind}{' of ' if listing else ''}{', '.join(listing)}"
        for a, b in self.pairs:
            yield f"{self.fields[a].title} against {self.fields[b].title}"

    @classmethod
    def from_dict(cls, values: Any) -> Fields:
        """Make the fields of the values of :meth:`to_dict`.

        Raises ValueError or TypeError.
        """
        made = []
        for plain in values["fields"]:
            lists = {name: tuple(plain.get(name, ())) for name in ("edges", "values")}
            made.append(Field(plain["name"], plain["kind"], plain.get("part", "value"), **lists))
        fields = cls(tuple(made), tuple(tuple(pair) for pair in values["pairs"]))
        _require(fields.to_dict() == values, "its fields have a setting that is not supported")
        return fields


# --- The values of a row --------------------------------------------------------------------------


@dataclass
class Values:
    """The values at one path of a row, in their order.

    last: the last text or number; null and empty texts do not count.
    texts: all strings.
    length: the items of all lists; None without a list.
    numbers: all numbers but those in strings.
    """

    last: str | Decimal | None = None
    texts: list[str] = field(default_factory=list)
    length: int | None = None
    numbers: list[Decimal] = field(default_factory=list)

    def part(self, part: Part) -> Decimal | None:
        """Return the number of a field; NaN for other values, None without a value."""
        if part == "value":
            return None if self.last is None else number_of(self.last)
        if part == "length":
            return None if self.length is None else Decimal(self.length)
        if not self.numbers:
            return None
        if any(number.is_nan() for number in self.numbers):
            return _NO_NUMBER
        if part == "sum":
            return _sum(self.numbers)
        return min(self.numbers) if part == "least" else max(self.numbers)


def _sum(numbers: Sequence[Decimal]) -> Decimal:
    """Return the sum of numbers, each cut to whole millionths; NaN if it is too large."""
    total = 0
    for number in numbers:
        # Decimals are rounded by arithmetic, and fractions are not.
        if number.copy_abs() >= _MOST_SUMMED:
            return _NO_NUMBER
        if number and number.adjusted() >= -6:
            total += int(Fraction(number) * 10**6)
        if abs(total) > _MOST_SUM:
            return _NO_NUMBER
    return Decimal(total).scaleb(-6)


def number_of(value: str | Decimal) -> Decimal:
    """Return the number that a value is, or that a text says; NaN for another one.

    A text is a number as JSON has it, or an ISO date: its seconds since 1970, UTC.
    """
    if isinstance(value, Decimal):
        return value
    text = value.strip(" ")
    if len(value) > LONGEST_NUMBER:
        return _NO_NUMBER
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    if found := _DATE.fullmatch(text):
        return _seconds(found)
    return _NO_NUMBER


def _seconds(found: re.Match[str]) -> Decimal:
    """Return the seconds of a date; NaN for a day or time that does not exist."""
    *moment, sign, hours, minutes = found.groups(default="0")
    try:
        year, month, day, hour, minute, second = map(int, moment)
        since = datetime(year, month, day, hour, minute, second) - EPOCH  # noqa: DTZ001
    except ValueError:
        return _NO_NUMBER
    ahead = 60 * (60 * int(hours) + int(minutes))
    return Decimal(since // timedelta(seconds=1) - (-ahead if sign == "-" else ahead))


class _Object(list[tuple[str, Any]]):
    """The names and values of an object of JSON, a repeated name as often as it is there."""


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _decimal(digits: str) -> Decimal:
    return Decimal(digits) if _NUMBER.fullmatch(digits) else _NO_NUMBER


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Object,
    parse_float=_decimal,
    parse_int=_decimal,
    parse_constant=_refused,
)


def without_fields(text: str) -> str:
    """Return the texts of a row alone."""
    return str(FIELD_WORDS.sub(" ", text))


def is_object(text: str) -> bool:
    """Return whether a text begins as an object of JSON."""
    return text.lstrip(" \t\n\r").startswith("{")


def parse_object(text: str) -> Any:
    """Return the object of a JSON text, for :meth:`Fields.read`.

    Raises DataError if it is not JSON, or not an object.
    """
    try:
        row = _DECODER.decode(text)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        reason = str(error).partition(": line")[0]
        raise DataError(f"{shorten(text)} is not JSON ({reason}); correct the object") from None
    return row


def collected(row: Any) -> dict[str, Values]:
    """Return the values of a row by path; items of a list have the path of the list.

    Raises DataError if it is nested too deep.
    """
    found: dict[str, Values] = {}
    for path, value in _values(row, "", 0):
        at_path = found.get(path)
        if at_path is None:
            at_path = found[path] = Values()
        if isinstance(value, (list, tuple)):
            at_path.length = (at_path.length or 0) + len(value)
            continue
        plain = _plain(value)
        if plain is None or plain == "":
            continue
        at_path.last = plain
        if isinstance(plain, Decimal):
            at_path.numbers.append(plain)
        elif isinstance(value, str):
            at_path.texts.append(plain)
    return found


def _values(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield the path of each list and value in a row, and it, in their order."""
    items: Iterable[tuple[str, Any]]
    if isinstance(value, (Mapping, _Object)):
        named = value.items() if isinstance(value, Mapping) else value
        items = ((f"{path}.{name}" if path else str(name), each) for name, each in named)
    elif isinstance(value, (list, tuple)):
        yield path, value
        items = ((path, each) for each in value)
    else:
        yield path, value
        return
    if depth >= MOST_DEPTH:
        raise _too_deep()
    for inner, each in items:
        yield from _values(each, inner, depth + 1)


def _too_deep() -> DataError:
    return DataError(f"an object is nested more than {MOST_DEPTH} deep; give a flatter one")


def _plain(value: Any) -> str | Decimal | None:
    """Return a value as a text or a number; None for null."""
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        value = value.item()  # of NumPy
    if value is None or isinstance(value, (str, Decimal)):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, float):
        return Decimal(repr(value))
    return str(value.isoformat() if hasattr(value, "isoformat") else value)


def _require(holds: object, reason: str) -> None:
    if not holds:
        raise ValueError(reason)
