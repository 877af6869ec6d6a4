"""Rows with named fields: an object becomes a text, whose last words stand for numbers and choices.

A field word is one character of Unicode's plane 15, which no text of a row keeps. So it is an entry
of the vocabulary like any other, and the network and the engines know nothing of fields. Numbers
are compared as the decimals that they are written as: no number is ever rounded.

docs/file-format.md has the rule for ports.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Context, Decimal
from functools import cached_property
from itertools import accumulate
from typing import Any, Literal, NoReturn, TypeAlias

from edge_lstm.checked import MOST_DEPTH, check_fields, depth, require
from edge_lstm.errors import DataError
from edge_lstm.printable import CONTROL_CHARACTER, Number, Pairs, listed, shorten, well_formed

Kind: TypeAlias = Literal["text", "number", "category"]
# What a number field is of the values at its path: the last one, or a figure of a list.
Part: TypeAlias = Literal["value", "length", "least", "greatest", "sum"]

FIRST_WORD = 0xF0000
MOST_WORDS = 0xFFFD  # in plane 15
# Begins a text that was made of a row already, for code that takes texts alone.
READ_MARK = chr(0xFFFFD)
MOST_FIELDS = 256  # and as many field words of a row
MOST_PAIRS = 64
LONGEST_NUMBER = 64  # characters of a number or date in a string
FIELD_WORDS = re.compile("[\U000f0000-\U000fffff]")

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,8})?")
DATE = re.compile(
    "([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]((?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)"
    "(?:Z|([+-](?:[01][0-9]|2[0-3])):?([0-5][0-9]))?)?"
)
_NO_NUMBER = Decimal("NaN")
# A sum is of numbers below this, and at most this in millionths.
_MOST_SUMMED = 10**12
_MOST_SUM = 8 * 10**18
_CUT = Context(rounding=ROUND_DOWN, traps=[])
# Words of a field besides one for each: of a number above all edges, of a missing and an unknown
# value.
_MORE_WORDS = {"text": 0, "number": 3, "category": 2}
_TOO_DEEP = f"an object is nested more than {MOST_DEPTH} deep; give a flatter one"


class RowText(str):
    """What the text rule reads of a row: its texts, then its field words.

    row: the object, or its JSON.
    fields: the fields that read it; None for a text that stands for the row in models without.
    """

    row: Any
    fields: Fields | None

    @classmethod
    def of(cls, text: str, row: Any, fields: Fields | None = None) -> RowText:
        """Return the text of a row."""
        made = cls(text)
        made.row = row
        made.fields = fields
        return made


@dataclass(frozen=True)
class Field:
    """A field of a row.

    name: its path, as in ``order.lines``: keys with points between them.
    kind: how it is read.
    part: of a number.
    known: the edges of a number, rising, an ISO date as a string: its word says how many of them it
        exceeds. Or the values of a category, in the order of their words.

    Raises ValueError for other values.
    """

    name: str
    kind: Kind = "text"
    part: Part = "value"
    known: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self, ValueError)
        require(0 < len(self.name) <= 1000, "a field's name is empty or too long")
        require(not CONTROL_CHARACTER.search(self.name), "a field's name has a control character")
        require(self.kind == "number" or self.part == "value", "only numbers have parts")
        if self.kind == "number":
            numbers = not any(map(Decimal.is_nan, self._edges))
            rising = numbers and self._edges == sorted({*self._edges})
            require(rising, "a field's edges are not rising numbers")
        else:
            differ = len({*self.known}) == len(self.known)
            texts = {*map(type, self.known)} <= {str}
            require(texts and differ, "a field's values are not different texts")

    @property
    def title(self) -> str:
        """Its name for people: of a figure of a list, with which."""
        return self.name if self.part == "value" else f"{self.part} of {self.name}"

    @property
    def words(self) -> int:
        """The number of its words: of bins or values, then for a missing and an unknown one."""
        return len(self.known) + _MORE_WORDS[self.kind]

    @cached_property
    def _edges(self) -> list[Decimal]:
        return [number_of(str(edge)) for edge in self.known]

    @cached_property
    def _places(self) -> dict[Value | None, int]:
        """The place of each value, as a text, and as a number if it is one."""
        places: dict[Value | None, int] = {_NO_NUMBER: self.words - 1}
        for place, value in enumerate(self.known):
            places[value] = place
            places.setdefault(number_of(value), place)
        return places

    def value(self, found: Values) -> Value | None:
        """Return its value in a row: NaN for other values than numbers, None for a missing one.

        found: the values at its path.
        """
        return found.last if self.kind == "category" else found.number(self.part)

    def word_of(self, value: Value | None) -> int:
        """Return the number of a value's word, from 0."""
        unknown = self.words - 1
        if value is None:
            return unknown - 1
        if isinstance(value, str):
            value = well_formed(value)
        if self.kind == "category":
            return self._places.get(value, unknown)
        number = Decimal(value)
        return unknown if number.is_nan() else bisect_left(self._edges, number)

    @property
    def shown(self) -> list[str]:
        """Its edges or values, for people."""
        return [each if isinstance(each, str) else f"{each:.15g}" for each in self.known]

    def says(self) -> Iterator[str]:
        """Yield what its words say, for people, in their order."""
        says = [f"= {value}" for value in self.shown]
        if self.kind == "number":
            above = ["", *(f"> {edge}" for edge in self.shown)]
            below = [*(f"<= {edge}" for edge in self.shown), ""]
            says = [", ".join(filter(None, each)) or "any" for each in zip(above, below)]
        if self.words:
            says += ["is missing", "is unknown"]
        yield from (f"{self.title} {each}" for each in says)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        plain: dict[str, Any] = {"name": self.name, "kind": self.kind}
        if self.part != "value":
            plain["part"] = self.part
        if self.kind != "text":
            plain["edges" if self.kind == "number" else "values"] = list(self.known)
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
        require(self.fields, "it has no fields")
        named = {(each.name, each.kind, each.part) for each in self.fields}
        require(len(named) == len(self.fields), "a field is there twice")
        require(len(self.pairs) <= MOST_PAIRS, f"it compares more than {MOST_PAIRS} pairs")
        numbers = {i for i, each in enumerate(self.fields) if each.kind == "number"}
        of_numbers = (
            len(pair) == 2 and {*map(type, pair)} == {int} and numbers.issuperset(pair)
            for pair in self.pairs
        )
        require(all(of_numbers), "a pair of fields is not of two numbers")
        require(self.width <= MOST_FIELDS, f"it has more than {MOST_FIELDS} field words")
        require(self._firsts[-1] + 3 * len(self.pairs) <= MOST_WORDS, "its fields have many words")

    @property
    def width(self) -> int:
        """The most field words of a row."""
        return len(self.fields) - len(self.texts) + len(self.pairs)

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
        return [*accumulate((each.words for each in self.fields), initial=0)]

    def read(self, row: Any) -> RowText:
        """Return the text of a row.

        row: an object, or its JSON. Any other text stands for the first text field.

        Raises DataError for a text that begins as an object but is not JSON, and for any other text
        if the model has no text field.
        """
        if isinstance(row, RowText):
            return row if row.fields is self else self.read(row.row)
        is_read = isinstance(row, str) and row.startswith(READ_MARK)
        text = row[1:] if is_read else self._text(self.object_of(row))
        return RowText.of(text, row, self)

    def object_of(self, row: Any) -> Any:
        """Return a row as :func:`parse_object` does. Raises DataError as :meth:`read`."""
        if isinstance(row, Mapping) or (isinstance(row, str) and is_object(row)):
            return parse_object(row)
        if isinstance(row, str) and self.texts:
            return Pairs([(self.texts[0].name, row)])
        raise DataError(
            f"the model reads an object with {listed(self.names, most=8)}, not a text; give JSON"
        )

    def _text(self, row: Any) -> str:
        found = collected(row)
        texts = [text for each in self.texts for text in found[each.name].texts]
        values = [each.value(found[each.name]) for each in self.fields]
        words = [
            first + each.word_of(value)
            for each, first, value in zip(self.fields, self._firsts, values)
            if each.kind != "text"
        ]
        first = self._firsts[-1]
        for place, (a, b) in enumerate(self.pairs):
            left = values[a]
            right = values[b]
            if isinstance(left, Decimal) and isinstance(right, Decimal):
                order = left.compare(right)
                if not order.is_nan():
                    words.append(first + 3 * place + 1 + int(order))
        text = FIELD_WORDS.sub(" ", " ".join(texts))
        return " ".join([text, *(chr(FIRST_WORD + word) for word in words)])

    def below(self, there: Collection[str]) -> Iterator[tuple[str, str]]:
        """Yield each field word twice; then a bin's word and the words of the bins up to it.

        If rows lack a category, its values share the word of an unknown one: so together they stand
        against the word of a missing one.

        there: the words of the training rows.
        """
        words = "".join(self._says)
        yield from zip(words, words)
        for each, first in zip(self.fields, self._firsts):
            own = words[first : first + each.words]
            known = own[:-2]
            if each.kind == "number":
                yield from zip(known, accumulate(known))
            elif each.kind == "category" and own[-2] in there:
                yield from ((value, own[-1] + value) for value in known)

    @cached_property
    def _says(self) -> dict[str, str]:
        """What each field word says."""
        says = [word for each in self.fields for word in each.says()]
        for a, b in self.pairs:
            says += [f"{self.fields[a].title} {sign} {self.fields[b].title}" for sign in "<=>"]
        return {chr(FIRST_WORD + number): each for number, each in enumerate(says)}

    def describe(self, word: str) -> str:
        """Return what a field word says, for people; another word as it is."""
        return self._says.get(word, word)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for the model file."""
        return {
            "fields": [each.to_dict() for each in self.fields],
            "pairs": [list(pair) for pair in self.pairs],
        }

    def in_words(self) -> Iterator[str]:
        """Yield a line for each field and each pair, for people."""
        for each in self.fields:
            known = ", ".join(map(shorten, each.shown))
            plain = ", and a plain text" if each in self.texts[:1] else ""
            yield f"{each.title}: {each.kind}{plain}{' of ' if known else ''}{known}"
        for a, b in self.pairs:
            yield f"{self.fields[a].title} against {self.fields[b].title}"

    @classmethod
    def from_dict(cls, values: Any) -> Fields:
        """Make the fields of the values of :meth:`to_dict`.

        Raises ValueError or TypeError.
        """
        made = (
            Field(
                name=plain["name"],
                kind=plain["kind"],
                part=plain.get("part", "value"),
                known=tuple(plain.get("edges", plain.get("values", ()))),
            )
            for plain in values["fields"]
        )
        fields = cls(tuple(made), tuple(map(tuple, values["pairs"])))
        require(fields.to_dict() == values, "its fields have a setting that is not supported")
        return fields


# --- The values of a row --------------------------------------------------------------------------


# A text, a number, true or false.
Value: TypeAlias = str | Decimal


class Values(list[Any]):
    """The values at one path of a row, lists among them, in their order.

    null and empty texts are left out.
    """

    @property
    def last(self) -> Value | None:
        """The last value, lists left out."""
        for each in reversed(self):
            if not isinstance(each, list):
                return str(each).lower() if isinstance(each, bool) else each
        return None

    @property
    def texts(self) -> list[str]:
        """The texts."""
        return [each for each in self if isinstance(each, str)]

    def number(self, part: Part) -> Decimal | None:
        """Return the number of a field; NaN for other values, None without a value."""
        if part == "value":
            last = self.last
            return None if last is None else number_of(last)
        if part == "length":
            lengths = [len(each) for each in self if isinstance(each, list)]
            return Decimal(sum(lengths)) if lengths else None
        numbers = [each for each in self if isinstance(each, Decimal)]
        if not numbers:
            return None
        if any(number.is_nan() for number in numbers):
            return _NO_NUMBER
        return _FIGURES[part](numbers)


def _sum(numbers: Sequence[Decimal]) -> Decimal:
    """Return the sum of numbers, each cut to whole millionths; NaN if it is too large."""
    total = 0
    for number in numbers:
        if number.copy_abs() >= _MOST_SUMMED:
            return _NO_NUMBER
        total += int(_CUT.scaleb(number, 6))
        if abs(total) > _MOST_SUM:
            return _NO_NUMBER
    return _CUT.scaleb(total, -6)


_FIGURES: Mapping[str, Callable[[list[Decimal]], Decimal]] = {
    "least": min,
    "greatest": max,
    "sum": _sum,
}


def number_of(value: Value) -> Decimal:
    """Return the number that a value is, or that a text says; NaN for another one.

    A text is a number as JSON has it, or an ISO date: its seconds since 1970, UTC.
    """
    if isinstance(value, Decimal):
        return value
    text = value.strip(" ")
    if len(value) > LONGEST_NUMBER:
        return _NO_NUMBER
    if found := DATE.fullmatch(text):
        return _seconds(found)
    return _decimal(text)


def _seconds(found: re.Match[str]) -> Decimal:
    """Return the seconds of a date; NaN for a day or time that does not exist."""
    day, time, hours, minutes = found.groups()
    zone = f"{hours}:{minutes}" if hours else "+00:00"
    try:
        moment = datetime.fromisoformat(f"{day}T{(time or '00').partition('.')[0]}{zone}")
    except ValueError:
        return _NO_NUMBER
    return Decimal(int(moment.timestamp()))


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _decimal(digits: str) -> Decimal:
    return Decimal(digits) if _NUMBER.fullmatch(digits) else _NO_NUMBER


def _decoder(constant: Callable[[str], Any]) -> json.JSONDecoder:
    """Return a decoder. constant: makes a value of NaN and the like."""
    return json.JSONDecoder(
        object_pairs_hook=Pairs,
        parse_float=Number,
        parse_int=Number,
        parse_constant=constant,
    )


_JSON = _decoder(_refused)
# Of Python's numbers, NaN is a missing value, as pandas has it.
_PYTHON = _decoder({"Infinity": Number("1e99999999"), "-Infinity": Number("-1e99999999")}.get)


def without_fields(text: str) -> str:
    """Return the texts of a row alone."""
    return str(FIELD_WORDS.sub(" ", text))


def is_object(text: str) -> bool:
    """Return whether a text begins as an object of JSON."""
    return text.lstrip(" \t\n\r").startswith("{")


def parse_object(row: Mapping[str, Any] | str) -> Any:
    """Return an object, or its JSON, as :class:`Pairs` with its numbers as :class:`Number`.

    Raises DataError if it is not JSON or nested too deep.
    """
    try:
        text = row if isinstance(row, str) else _ENCODER.encode(row)
        parsed = (_JSON if text is row else _PYTHON).decode(text)
        # Counting brackets is fast.
        if text.count("{") + text.count("[") > MOST_DEPTH < depth(parsed):
            raise RecursionError
    except RecursionError:
        raise DataError(_TOO_DEEP) from None
    except (TypeError, ValueError) as error:
        shown = shorten(row) if isinstance(row, str) else "a row"
        reason = str(error).partition(": line")[0]
        raise DataError(f"{shown} is not JSON ({reason}); correct the object") from None
    return parsed


def is_missing(value: Any) -> bool:
    """Return whether a value is missing: None, NaN, pandas.NaT or pandas.NA."""
    try:
        return value is None or bool(value != value)
    except TypeError:
        return True


def _plain(value: Any) -> Any:
    """Return a value of NumPy or pandas, a date or another mapping as one of JSON."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    return None if is_missing(value) else str(value)


_ENCODER = json.JSONEncoder(default=_plain)


def collected(row: Any) -> defaultdict[str, Values]:
    """Return the values of a row by path; items of a list have the path of the list.

    row: of :func:`parse_object`.
    """
    found: defaultdict[str, Values] = defaultdict(Values)

    def collect(value: Any, path: str) -> None:
        if isinstance(value, Pairs):
            for name, item in value:
                collect(item, f"{path}.{name}" if path else name)
            return
        if type(value) is Number:
            value = _decimal(value)
        found[path] += [] if value is None or value == "" else [value]
        if isinstance(value, list):
            for item in value:
                collect(item, path)

    collect(row, "")
    return found
