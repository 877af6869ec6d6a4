"""Inputs: their paths, the options for reading them, and their columns."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from edge_lstm.checked import check_fields
from edge_lstm.errors import DataError, did_you_mean, nearest
from edge_lstm.printable import Pairs, cut, json_text, listed, well_formed

if TYPE_CHECKING:
    from edge_lstm.core.fields import Fields

STDIN = "-"
BOM = b"\xef\xbb\xbf"
# A longer row is hardly a document. It becomes an error row, and is not kept in memory.
MAX_ROW_BYTES = 16 * 2**20
MAX_ROW = f"{MAX_ROW_BYTES // 2**20} MiB"
WHOLE_ROW = -1  # in place of a column's index
TEXT_NAMES = (
    *("text", "review", "content", "sentence", "comment", "document", "body", "message", "tweet"),
    *("review_text", "review_body", "reviewtext", "comment_text"),
)
LABEL_NAMES = ("label", "sentiment", "class", "category", "target", "polarity", "labels", "intent")


class Checksum:
    """The CRC-32 of bytes that are read or written: it shows that they have changed since."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes) -> None:
        """Take in the bytes that follow."""
        self._value = zlib.crc32(data, self._value)

    def __str__(self) -> str:
        return f"{self._value:08x}"


@dataclass(frozen=True)
class Source:
    """One input.

    path: a file, a folder of ``.txt`` files, or ``-`` for standard input.
    format: the name of its format.
    compression: ``gzip``, ``zstd``, or nothing.
    files: of a folder, its ``.txt`` files, relative to it, in order.
    encoding: as in ReadOptions, or nothing.
    """

    path: str
    format: str
    compression: str = ""
    files: tuple[str, ...] = ()
    encoding: str = ""

    @property
    def name(self) -> str:
        """The name of the input in messages."""
        return "standard input" if self.path == STDIN else self.path


@dataclass(frozen=True)
class ReadOptions:
    """Options for reading inputs. An option that is None is detected.

    text_column: name of the column with the texts, or its number (from 1).
    label_column: name or number of the column with the labels, for labelled data.
    format: name of the format, if the suffix of the file does not say it.
    encoding: of text files: a name that Python has for it. None: UTF-8, or UTF-16 with a mark. A
        row with bytes that cannot be decoded has no text.
    fields: names of fields, such as ``amount`` or ``order.lines``; the text of a row is then an
        object as JSON, a line of JSONL or these columns. Empty: all columns. None: a text column.
    """

    text_column: str | None = None
    label_column: str | None = None
    format: str | None = None
    encoding: str | None = None
    fields: Sequence[str] | None = None

    def check(self) -> None:
        """Check the types and the encoding.

        Raises TypeError if an option has another type, DataError if it cannot have its value.
        """
        check_fields(self)
        if self.encoding is not None and not _is_encoding(self.encoding):
            raise DataError(
                f"no text encoding {self.encoding!r}; give a name that Python has for it, such as "
                "cp1252, shift_jis or utf-16-le"
            )

    def find_text(self, columns: tuple[str, ...], source: Source) -> int:
        """Return the index of the text column; WHOLE_ROW if the text is an object.

        Raises DataError that lists the columns.
        """
        if columns and self.fields is not None:
            return WHOLE_ROW
        return find_column(columns, self.text_column, source.name, "text", self.label_column)


Options = TypeVar("Options", bound=ReadOptions)


@dataclass(frozen=True)
class Dialect:
    """The form of CSV.

    delimiter: between fields.
    newline: the end of a line.
    bom: whether the file begins with a byte order mark.
    """

    delimiter: str = ","
    newline: str = "\n"
    bom: bool = False


@dataclass(frozen=True)
class Schema:
    """The columns of an input.

    It is small, because each worker gets it.

    format: the name of its format.
    columns: their names; for JSONL the keys of the first rows, in order of appearance.
    text: the index of the text column; WHOLE_ROW: the text of a row is an object.
    fields: of a whole row, the columns that are read.
    is_unicode: whether its strings are Unicode; else they may have bytes that are not UTF-8 (see
        values.py).
    rows: their number; None if it is not known.
    dialect: of CSV and TSV; of other formats without a meaning.
    types: of Parquet, the Arrow schema as Arrow serializes it.
    """

    format: str
    columns: tuple[str, ...]
    text: int
    is_unicode: bool = False
    rows: int | None = None
    dialect: Dialect = Dialect()
    types: bytes | None = None
    fields: tuple[str, ...] = ()

    @property
    def text_column(self) -> str:
        """The name of the text column; empty if the text is an object."""
        return "" if self.text == WHOLE_ROW else self.columns[self.text]

    def with_fields(self, names: Sequence[str], where: str, *, may_lack: bool) -> Schema:
        """Choose the columns of fields: for ``a.b`` the columns ``a.b`` and ``a``.

        names: of the fields; empty for all columns.
        may_lack: whether a row may lack some of them.
        Raises DataError that lists the columns.
        """
        wanted = map(str, names)
        columns = {name: [each for each in self.columns if is_under(each, name)] for name in wanted}
        missing = [name for name in columns if not columns[name]]
        if missing and (not may_lack or len(missing) == len(columns)):
            column_index(self.columns, missing[0], where)
        return replace(self, fields=tuple(chain(*columns.values())) or self.columns)

    def texts(self, column: Callable[[int], Iterable[Any]]) -> list[Any]:
        """Return the text of each row: of its column, or the row as JSON, without NaN.

        column: returns the values of a column by its index.
        """
        if self.text != WHOLE_ROW:
            return [*column(self.text)]
        places = [i for i, name in enumerate(self.columns) if name in self.fields]
        names = [self.columns[i] for i in places]
        rows = (zip(names, row) for row in zip(*map(column, places)))
        return [json_text(Pairs((name, v) for name, v in row if v == v)) for row in rows]


def _is_encoding(name: str) -> bool:
    try:
        "".encode(name)
        # Python has encodings of names and literals, too.
        return codecs.lookup(name).name not in (
            "idna",
            "punycode",
            "unicode-escape",
            "raw-unicode-escape",
            "utf-7",
        )
    except (LookupError, ValueError):
        return False


def find_column(
    columns: Sequence[str],
    name: str | None,
    where: str,
    what: Literal["text", "label"],
    other: str | int | None = None,
) -> int:
    """Return the index of the column of the texts or of the labels.

    It is the column asked for, the only one with a name of TEXT_NAMES or LABEL_NAMES, or of two
    columns the one that is not ``other``. A text may also be in the only column.

    name: the name of the column, or its number from 1; None if none is asked for.
    where: the name of the input in messages.
    other: the name, number or index of the other column of the two.
    Raises DataError that lists the columns.
    """
    if not columns:
        raise DataError(f"{where} has no columns; give one with the {what}")
    if name is not None:
        return column_index(columns, name, where)
    if what == "text" and len(columns) == 1:
        return 0
    names = TEXT_NAMES if what == "text" else LABEL_NAMES
    lower = [column.strip().lower() for column in columns]
    # If a table has both 'text' and 'review', the first is the text.
    if lower.count(names[0]) == 1:
        return lower.index(names[0])
    matches = [i for i, column in enumerate(lower) if column in names]
    if len(matches) == 1:
        return matches[0]
    if other is not None and len(columns) == 2:
        return 1 - (other if isinstance(other, int) else column_index(columns, other, where))
    reason = "several may hold" if matches else "none is clearly"
    more = ", or several of 0 and 1 with --indicator-columns" if what == "label" else ""
    raise DataError(
        f"{where} has the columns {_names(columns)}: {reason} the {what}; "
        f"name one with --{what}-column{more}"
    )


def with_fields(options: Options, models: Sequence[Fields | None]) -> Options:
    """Return the options for the rows that models read.

    models: the fields of each; None for one that reads a text.

    Raises DataError if some read fields and others a text, or if a text column is named.
    """
    reading = [each for each in models if each is not None]
    if not reading:
        return options
    if len(reading) < len(models):
        raise DataError("some models read fields and others a text; ask them one after the other")
    if options.text_column is not None:
        raise DataError(
            f"the model reads the fields {listed(reading[0].names, most=8)}; "
            "leave --text-column out"
        )
    return replace(options, fields=[name for each in reading for name in each.names])


def is_under(name: str, path: str) -> bool:
    """Return whether the path of a field is of this name, or inside it."""
    return path == name or path.startswith(f"{name}.")


def holds_labels(columns: Sequence[str]) -> bool:
    """Return whether a column has one of LABEL_NAMES."""
    return any(name.strip().lower() in LABEL_NAMES for name in columns)


def column_index(columns: Sequence[str], column: str, where: str) -> int:
    """Return the index of the column with this name, or else with this number (from 1).

    Raises DataError that lists the columns, or their numbers if several have the name.
    """
    count = columns.count(column)
    if count == 1:
        return columns.index(column)
    if count > 1:
        numbers = ", ".join(str(i) for i, name in enumerate(columns, 1) if name == column)
        raise DataError(
            f"{where} has {count} columns {column!r}; name one by its number: {numbers}"
        )
    # int() takes digits of any script, and any number of them.
    is_number = column.isascii() and column.isdigit() and len(column) < 9
    if is_number and 1 <= int(column) <= len(columns):
        return int(column) - 1
    there = _names(nearest(column, columns))
    raise DataError(
        f"{where} has no column {column!r}; its columns are {there}{did_you_mean(column, columns)}"
    )


def distinct(columns: Sequence[str]) -> tuple[str, ...]:
    """Return column names in UTF-8, repeated ones with a number."""
    names: dict[str, None] = {}
    for column in columns:
        column = well_formed(column)
        name = column
        number = 1
        while name in names:
            number += 1
            name = f"{column}_{number}"
        names[name] = None
    return tuple(names)


def _names(columns: Sequence[str]) -> str:
    return listed([repr(cut(name, 40)) for name in columns], most=20)
